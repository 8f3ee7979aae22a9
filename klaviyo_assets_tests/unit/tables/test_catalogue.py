"""What must be true of every table of the catalogue."""

import re

import pandas as pd
import pytest

from klaviyo_assets.mapping.rules import validate
from klaviyo_assets.model.arrow import frame_to_table, mapped_schema, table_to_frame
from klaviyo_assets.model.spec import LogicalType, Partitioning
from klaviyo_assets.tables import ACCOUNT_TABLES, TABLES
from klaviyo_assets_tests.factories import mapped_frame, raw_frame, raw_rows

SPECS = pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
COPIED = pytest.mark.parametrize("spec", ACCOUNT_TABLES, ids=lambda spec: spec.name)

# https://fivetran.com/docs/connectors/applications/klaviyo: the tables, and those with delete capture.
FIVETRAN_TABLES = {
    "person", "campaign", "campaign_message", "campaign_message_send_time", "campaign_list",
    "campaign_tracking_utm_param", "campaign_tag", "flow_tag", "list_tag", "segment_tag", "email_template", "flow",
    "flow_action", "flow_action_tracking_utm_param", "flow_message", "metric", "list", "list_person",
    "list_exclusion", "global_exclusion", "segment", "segment_person", "tags", "tag_group", "coupon",
    "coupon_code",
}  # fmt: skip
DELETES_CAPTURED = {
    "campaign", "campaign_list", "campaign_tracking_utm_param", "campaign_message", "campaign_message_send_time",
    "email_template", "flow", "list", "list_exclusion", "metric", "person", "list_person", "segment_person",
    "global_exclusion", "segment",
}  # fmt: skip


def test_every_table_fivetran_writes_is_in_the_catalogue():
    names = {spec.name for spec in ACCOUNT_TABLES}

    assert names - FIVETRAN_TABLES == set(), "Fivetran's page lists these tables? Then add them to FIVETRAN_TABLES here"
    assert FIVETRAN_TABLES - names == set(), "add these tables to ACCOUNT_TABLES in tables/__init__.py"
    assert len(names) == len(ACCOUNT_TABLES)
    assert {spec.name for spec in ACCOUNT_TABLES} <= set(TABLES)


@SPECS
def test_a_table_is_listed_under_its_own_name(spec):
    assert TABLES[spec.name] is spec


@SPECS
def test_texts_are_sentences(spec):
    texts = {"grain": spec.grain, "description": spec.description}
    texts |= {column.name: column.description for column in spec.columns}

    assert [name for name, text in texts.items() if not re.fullmatch(r"\S.*\S\.", text)] == []
    assert spec.grain.startswith("One row per ")


@SPECS
def test_no_raw_column_is_read_twice_or_under_two_names(spec):
    copied = [column.raw for column in spec.columns if column.raw]
    names = [name for raw in spec.raw for name in (raw.name, *raw.older_names)]

    assert len(copied) == len(set(copied))
    assert len(names) == len(set(names))


@SPECS
def test_key_columns_are_required(spec):
    assert [name for name in spec.key if not spec.column(name).required] == []


@SPECS
def test_names_say_the_type(spec):
    """`_at` is an instant, `_on` a day, `is_` a flag, `_id` a text, and the other way round."""
    suffixes = {LogicalType.TIMESTAMP: r".*_at", LogicalType.DATE: r".*_on", LogicalType.BOOLEAN: r"(is|can|has)_.*"}
    for column in spec.columns:
        for logical, pattern in suffixes.items():
            assert (column.type is logical) == bool(re.fullmatch(pattern, column.name)), column.name
    id_columns = [column for column in spec.columns if column.name.endswith("_id") and column.name != "status_id"]
    assert {column.type for column in id_columns} <= {LogicalType.STRING}


@SPECS
def test_personal_columns_are_texts(spec):
    """A hash has to fit in."""
    assert {column.type for column in spec.columns if column.personal} <= {LogicalType.STRING}


@COPIED
def test_account_tables_carry_what_every_table_has(spec):
    assert spec.partitioning is Partitioning.ACCOUNT
    assert {"properties", "synced_at"} <= set(spec.column_names)
    assert ("is_deleted" in spec.column_names) == (spec.name in DELETES_CAPTURED), (
        f"if Fivetran captures deletes of {spec.name}, its spec says deletes=True and DELETES_CAPTURED names it"
    )


@SPECS
def test_the_same_name_has_the_same_type_everywhere(spec):
    types = {column.name: column.type for other in TABLES.values() for column in other.columns}
    # A UTM parameter is a name and a value, as in Klaviyo; an event's value is money.
    names = set(spec.column_names) - ({"value"} if spec.name.endswith("_utm_param") else set())
    types |= {"value": LogicalType.NUMERIC}

    assert [name for name in sorted(names) if types[name] is not spec.column(name).type] == []


@SPECS
def test_a_valid_frame_passes_and_comes_back_from_arrow_as_it_was(spec):
    frame = mapped_frame(spec, {}, {}, {})
    table = frame_to_table(frame, spec)

    assert validate(frame, spec).ok
    assert table.schema == mapped_schema(spec)
    pd.testing.assert_frame_equal(table_to_frame(table), frame, check_exact=True)


@SPECS
def test_raw_rows_hold_every_raw_column_and_the_override(spec):
    rows = raw_rows(spec, {}, {"something_new": 5})

    assert [raw.name for raw in spec.raw] == list(rows[0])
    assert rows[1]["something_new"] == 5
    frame = raw_frame(spec, {}, {"something_new": 5})
    assert frame["_properties"].tolist()[1] == '{"something_new": 5}'


def test_personal_columns_are_the_ones_decided():
    """A new personal column, or one that is no longer, is a decision about people: it shows here."""
    personal = {f"{spec.name}.{column.name}" for spec in ACCOUNT_TABLES for column in spec.columns if column.personal}

    decided = {
        f"person.{name}"
        for name in (
            "email", "phone_number", "external_id", "first_name", "last_name", "organization", "title", "address_1",
            "address_2", "zip", "latitude", "longitude", "ip", "image",
        )
    }  # fmt: skip

    assert personal == decided, "mark a column that tells who a person is as personal, and name it here"


# What names or locates one person, or was given to one, without being personal by itself.
OF_ONE_PERSON = {"person_id", "city", "region", "timezone", "unique_code", "touch_event_id", "attributed_event_id"}
# Short words of Klaviyo, names that a business gives, and ids; every other text may hold anything.
PREVIEWED_TEXTS = (
    r".*_id|.*name|label|metric|channel|status|reason|country|type|.*_type|.*_source|.*_category|.*_object|.*_or_.*"
)


@SPECS
def test_no_personal_and_no_freely_typed_column_is_previewed(spec):
    """A preview stays in Dagster's event log, which anyone with the UI can read and no `pii` setting reaches."""
    previewed = [column for column in spec.columns if column.is_previewed]
    texts = {column.name for column in previewed if column.type is LogicalType.STRING}

    assert previewed, f"name a few columns of {spec.name} in `previewed`: its preview in Dagster's UI would be empty"
    assert not any(column.personal or column.type is LogicalType.JSON for column in previewed)
    assert not texts & OF_ONE_PERSON
    freely_typed = [name for name in sorted(texts) if not re.fullmatch(PREVIEWED_TEXTS, name)]
    assert freely_typed == [], (
        "a text that people type freely must not be previewed; if it is a word of Klaviyo's, add it to PREVIEWED_TEXTS"
    )
