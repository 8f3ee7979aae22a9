"""A spec that contradicts itself is refused where it is written; names are brought to one spelling."""

import pandas as pd
import pytest

from klaviyo_assets.model.spec import (
    CURRENCY_CODE,
    NOT_EMPTY,
    Column,
    Field,
    LogicalType,
    Partitioning,
    RawColumn,
    TableSpec,
    at_least,
    copied_table,
    free_key,
    one_of,
    plain_spelling,
    squash,
)

ID = Column(name="sample_id", type=LogicalType.STRING, description="Id.", raw="id")
SOUND = {
    "name": "sample", "grain": "One row per sample.", "description": "Samples.", "key": ("sample_id",),
    "columns": (ID,), "raw": (RawColumn(name="id", type=LogicalType.STRING),),
}  # fmt: skip


@pytest.mark.parametrize(("change", "fault"), [
    ({"columns": (ID, ID)}, "column 'sample_id' appears twice"),
    ({"key": ("id",)}, "key column 'id' is not a column"),
    ({"order": ("at",)}, "order column 'at' is not a column"),
    ({"cluster": ("at",)}, "cluster column 'at' is not a column"),
    ({"raw": ()}, "column 'sample_id' copies the raw column 'id', which the spec does not list"),
    ({"partitioning": Partitioning.ACCOUNT_DAY}, "a daily table needs a day_column; None is not a column"),
    ({"columns": (ID, Column(name="email", type=LogicalType.STRING, description="E.", personal=True,
                             is_previewed=True))}, "column 'email' may hold personal values"),
    ({"columns": (ID, Column(name="all", type=LogicalType.JSON, description="A.", is_previewed=True))},
     "column 'all' may hold personal values"),
    ({"columns": (ID, Column(name="Bad Name", type=LogicalType.STRING, description="No."))}, "'Bad Name' is not snake"),
])  # fmt: skip
def test_a_contradiction_is_refused_naming_table_and_column(change, fault):
    with pytest.raises(ValueError, match=f"table 'sample': {fault}"):
        TableSpec(**(SOUND | change))


def test_rows_are_ordered_by_the_key_unless_the_spec_says_otherwise():
    assert TableSpec(**SOUND).total_order == ("sample_id",)


def test_a_field_is_both_sides_of_a_copied_column():
    field = Field(name="list_name", raw="name", older_names=("title",), type=LogicalType.STRING, description="Name.",
                  personal=True)  # fmt: skip
    spec = copied_table(name="t", grain="One row per t.", description="T.", key=("list_name",), fields=(field,))

    assert spec.raw[0] == RawColumn(name="name", type=LogicalType.STRING, older_names=("title",))
    assert spec.column("list_name").raw == "name"
    assert spec.column("list_name").personal
    assert spec.column_names == ("list_name", "properties", "is_deleted", "synced_at")


def test_a_new_column_is_not_previewed_until_its_table_says_so():
    fields = tuple(Field(name=name, type=LogicalType.STRING, description="A text.") for name in ("t_id", "remarks"))
    table = {"name": "t", "grain": "One row per t.", "description": "T.", "key": ("t_id",), "fields": fields}

    assert not any(column.is_previewed for column in copied_table(**table).columns)
    assert [column.name for column in copied_table(**table, previewed=("t_id",)).columns if column.is_previewed] == [
        "t_id"
    ]
    with pytest.raises(ValueError, match=r"table 't': previewed columns \['remark'\] are not columns of the table"):
        copied_table(**table, previewed=("remark",))


@pytest.mark.parametrize(("rule", "good", "bad"), [
    (at_least(1), [1, 2], 0), (one_of("email", "sms"), ["email"], "push"), (NOT_EMPTY, ["x", " "], ""),
    (CURRENCY_CODE, ["EUR"], "EURO"), (CURRENCY_CODE, ["USD"], "usd"),
])  # fmt: skip
def test_a_rule_holds_or_does_not(rule, good, bad):
    assert rule.holds(pd.Series(good)).all()
    assert not rule.holds(pd.Series([bad])).any()
    assert rule.description


@pytest.mark.parametrize(("written", "plain"), [
    ("Email Domain", "email_domain"), ("emailDomain", "email_domain"), ("$email_domain", "email_domain"),
    ("EMAIL-DOMAIN", "email_domain"), ("URLPath", "url_path"), ("SKU", "sku"), ("address1", "address1"),
    ("$_cohort$message_send_cohort", "cohort_message_send_cohort"), ("名前", "名前"), ("$", "$"),
])  # fmt: skip
def test_a_custom_field_has_one_plain_spelling(written, plain):
    assert plain_spelling(written) == plain
    assert plain_spelling(plain) == plain


def test_squashed_names_are_equal_in_all_spellings():
    assert {squash(name) for name in ("Email Domain", "emailDomain", "$email_domain", "emaildomain")} == {"emaildomain"}


@pytest.mark.parametrize(("taken", "key"), [
    ((), "plain"), (("plain",), "Plain"), (("plain", "Plain"), "plain_2"), (("plain", "Plain", "plain_2"), "plain_3"),
])  # fmt: skip
def test_a_key_that_is_taken_gets_another_so_that_nothing_is_lost(taken, key):
    assert free_key(taken, "plain", "Plain") == key
