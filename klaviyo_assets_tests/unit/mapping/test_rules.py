"""Checking mapped frames: a broken table is told from bad rows, and no value is told at all."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.mapping.rules import frame_schema, rules, validate
from klaviyo_assets.model.arrow import empty_frame, pandas_dtype
from klaviyo_assets.model.spec import Column, Constraint, LogicalType, Partitioning, TableSpec
from klaviyo_assets_tests.factories import NOON, mapped_frame
from klaviyo_assets_tests.strategies import mapped_frames
from klaviyo_assets_tests.unit.model.every_type import SPEC

DAILY = TableSpec(
    name="daily", grain="One row per sample.", description="A daily table.", key=("sample_id",),
    columns=SPEC.columns, partitioning=Partitioning.ACCOUNT_DAY, day_column="occurred_on",
)  # fmt: skip


def bad_rows(result):
    return [tuple(row) for row in result.bad_rows.itertuples(index=False)]


def with_raw(frame, column, values):
    """The frame with Arrow values that pandas would not build itself."""
    return frame.assign(**{column: pd.arrays.ArrowExtensionArray(pa.chunked_array([values]))})


def test_a_sound_frame_passes():
    result = validate(mapped_frame(SPEC, {}, {}, {}), SPEC)

    assert result.ok
    assert (result.schema_errors, bad_rows(result), list(result.bad_row_numbers)) == ((), [], [])


def test_an_empty_frame_passes():
    assert validate(empty_frame(SPEC), SPEC).ok


def test_nulls_pass_where_nothing_is_required():
    optional = {name: None for name in SPEC.column_names if name not in {"sample_id", "is_conversion"}}

    assert validate(mapped_frame(SPEC, optional, {}), SPEC).ok


@pytest.mark.parametrize(
    ("override", "field", "rule", "reason"),
    [
        ({"sample_id": None}, "sample_id", "not_null", "must not be null"),
        ({"is_conversion": None}, "is_conversion", "not_null", "must not be null"),
        ({"sample_id": ""}, "sample_id", "not_empty", "must be not the empty text"),
        ({"currency": "eur"}, "currency", "currency_code", "must be a three-letter ISO 4217 code in capitals"),
        ({"channel": "fax"}, "channel", "one_of", "must be one of email, sms"),
        ({"quantity": 0}, "quantity", "at_least_1", "must be at least 1"),
        ({"value": Decimal("-0.01")}, "value", "at_least_0", "must be at least 0"),
        ({"probability": float("inf")}, "probability", "finite", "must be a finite number"),
    ],
)
def test_each_broken_rule_is_a_bad_row(override, field, rule, reason):
    result = validate(mapped_frame(SPEC, {}, override, {}), SPEC)

    assert not result.ok
    assert result.schema_errors == ()
    assert bad_rows(result) == [(1, field, rule, reason)]


def test_not_a_number_is_not_finite_and_fails_the_bound_too():
    frame = with_raw(mapped_frame(SPEC, {}, {}), "probability", pa.array([0.5, float("nan")]))

    assert ("probability", "finite") in [row[1:3] for row in bad_rows(validate(frame, SPEC))]


@pytest.mark.parametrize("micros", [-9222425352054775809, 2**62])
def test_a_time_outside_the_calendar_is_a_bad_row(micros):
    """ADBC reads Postgres's infinity as such a number; BigQuery refuses the whole file for it."""
    times = pa.array([1_700_000_000_000_000, micros]).cast(pa.timestamp("us", tz="UTC"))
    frame = with_raw(mapped_frame(SPEC, {}, {}), "synced_at", times)

    assert bad_rows(validate(frame, SPEC)) == [(1, "synced_at", "in_calendar", "must be in the years 1 to 9999")]


def test_one_row_may_break_several_rules_and_all_are_told_in_order():
    frame = mapped_frame(SPEC, {"quantity": 0}, {"value": Decimal(-1), "currency": "x", "is_conversion": None})

    result = validate(frame, SPEC)

    assert [row[:3] for row in bad_rows(result)] == [
        (0, "quantity", "at_least_1"),
        (1, "currency", "currency_code"),
        (1, "is_conversion", "not_null"),
        (1, "value", "at_least_0"),
    ]
    assert list(result.bad_row_numbers) == [0, 1]


def test_the_summary_counts_rows_per_rule():
    result = validate(mapped_frame(SPEC, {"quantity": 0}, {"quantity": -5}, {"channel": "fax"}), SPEC)

    assert result.summary.to_dict("records") == [
        {"field": "channel", "rule": "one_of", "reason": "must be one of email, sms", "rows": 1},
        {"field": "quantity", "rule": "at_least_1", "reason": "must be at least 1", "rows": 2},
    ]


def test_row_numbers_are_positions_whatever_the_index():
    frame = mapped_frame(SPEC, {}, {"quantity": 0}).set_index(pd.Index(["x", "x"]))

    assert [row[0] for row in bad_rows(validate(frame, SPEC))] == [1]


@pytest.mark.parametrize("column", [column.name for column in SPEC.columns])
def test_a_missing_column_breaks_the_table(column):
    result = validate(mapped_frame(SPEC).drop(columns=column), SPEC)

    assert result.schema_errors == (f"the column '{column}' is missing",)
    assert not result.ok
    assert result.bad_rows.empty


def test_an_unknown_column_breaks_the_table():
    result = validate(mapped_frame(SPEC).assign(surprise=1), SPEC)

    assert result.schema_errors == ("the column 'surprise' is not one of the table's",)


def test_columns_in_another_order_break_the_table():
    frame = mapped_frame(SPEC)

    result = validate(frame[["email", "sample_id", *frame.columns[2:]]], SPEC)

    assert "the column 'email' is not in its place" in result.schema_errors


def test_a_column_that_stands_twice_breaks_the_table():
    frame = mapped_frame(SPEC)
    twice = pd.concat([frame, frame[["email"]]], axis=1)

    result = validate(twice, SPEC)

    assert "the column 'email' is there more than once" in result.schema_errors


def test_a_rule_that_cannot_be_applied_breaks_the_table():
    rule = Constraint("even", "even", lambda values: values.no_such_thing)
    column = Column(name="sample_id", type=LogicalType.STRING, description="Id.", constraints=(rule,))
    spec = TableSpec(name="sample", grain="g.", description="d.", key=("sample_id",), columns=(column,))

    result = validate(mapped_frame(SPEC)[["sample_id"]], spec)

    assert result.schema_errors == ("the rule 'even' of 'sample_id' could not be applied",)


@pytest.mark.parametrize("column", SPEC.columns, ids=lambda column: column.name)
def test_a_wrong_type_breaks_the_table_and_is_named(column):
    wrong = [date(2024, 1, 1)] if column.type is not LogicalType.DATE else [True]

    result = validate(mapped_frame(SPEC).assign(**{column.name: pd.Series(wrong, dtype=object)}), SPEC)

    assert result.schema_errors == (f"the column '{column.name}' is object, not {pandas_dtype(column.type)}",)


def test_of_equal_keys_the_row_synced_last_stays():
    earlier, later = NOON, NOON + timedelta(hours=1)
    frame = mapped_frame(
        SPEC,
        {"sample_id": "a", "synced_at": earlier},
        {"sample_id": "b", "synced_at": earlier},
        {"sample_id": "a", "synced_at": later},
        {"sample_id": "a", "synced_at": None},
    )

    result = validate(frame, SPEC)

    assert [row[:3] for row in bad_rows(result)] == [
        (0, "sample_id", "duplicate_key"),
        (3, "sample_id", "duplicate_key"),
    ]
    assert "the one synced last" in result.bad_rows["reason"][0]


def test_which_of_two_equally_new_rows_stays_does_not_depend_on_their_order():
    rows = mapped_frame(SPEC, *({"sample_id": "a", "synced_at": NOON, "quantity": quantity} for quantity in (5, 4)))

    kept = [
        frame.drop(index=validate(frame, SPEC).bad_row_numbers)["quantity"].tolist()
        for frame in (rows, rows.iloc[::-1].reset_index(drop=True))
    ]

    assert kept[0] == kept[1]
    assert len(kept[0]) == 1


def test_rows_without_a_key_are_null_not_duplicates():
    result = validate(mapped_frame(SPEC, {"sample_id": None}, {"sample_id": None}, {}), SPEC)

    assert [row[:3] for row in bad_rows(result)] == [(0, "sample_id", "not_null"), (1, "sample_id", "not_null")]


def test_a_key_of_several_columns_is_one_key():
    spec = TableSpec(name="pair", grain="g.", description="d.", key=("sample_id", "channel"), columns=SPEC.columns)
    rows = [{"sample_id": key, "channel": channel} for key, channel in (("a", "sms"), ("a", "email"), ("a", "sms"))]

    result = validate(mapped_frame(spec, *rows), spec)

    assert [row[1:3] for row in bad_rows(result)] == [("sample_id,channel", "duplicate_key")]


def test_a_table_without_a_sync_time_still_keeps_one_row_per_key():
    spec = TableSpec(name="report", grain="g.", description="d.", key=("sample_id",), columns=SPEC.columns[:5])

    result = validate(mapped_frame(spec, {"sample_id": "a"}, {"sample_id": "a"}), spec)

    assert len(result.bad_rows) == 1


def test_a_row_of_another_day_is_a_bad_row_of_a_daily_partition():
    frame = mapped_frame(DAILY, {}, {"occurred_on": date(2024, 2, 1)})

    result = validate(frame, DAILY, date(2024, 1, 31))

    assert bad_rows(result) == [(1, "occurred_on", "wrong_day", "must be the partition's day, 2024-01-31")]
    assert validate(frame, DAILY).ok


@pytest.mark.parametrize("secret", ["", "nobody@example.com"])
def test_no_value_of_a_row_is_told(secret):
    """The column may be personal, and reasons are stored and logged."""
    frame = mapped_frame(SPEC, {"email": "", "channel": secret, "currency": "secret-currency", "quantity": -987654})

    result = validate(frame, SPEC)

    told = " ".join(str(cell) for row in bad_rows(result) for cell in row[1:]) + " ".join(result.schema_errors)
    assert len(result.bad_rows) == 4
    assert not any(value in told for value in ("nobody@example.com", "secret-currency", "987654"))


def test_the_schema_carries_names_and_descriptions_of_rules():
    schema = frame_schema(SPEC)

    checks = {check.name: check.description for check in schema.columns["quantity"].checks}
    assert checks == {"at_least_1": "at least 1"}
    assert schema.columns["quantity"].description == "Quantity."
    assert list(schema.columns) == list(SPEC.column_names)


@pytest.mark.parametrize("column", SPEC.columns, ids=lambda column: column.name)
def test_every_rule_lets_null_pass(column):
    nulls = pd.Series(pd.arrays.ArrowExtensionArray(pa.nulls(2, pandas_dtype(column.type).pyarrow_dtype)))

    frame = mapped_frame(SPEC, {}, {}).assign(**{column.name: nulls})

    assert {row[2] for row in bad_rows(validate(frame, SPEC))} <= {"not_null"}


@settings(max_examples=60, deadline=None)
@given(mapped_frames(SPEC))
def test_what_is_left_without_the_bad_rows_passes(frame):
    """The promise quarantine stands on."""
    result = validate(frame, SPEC)

    rest = frame.drop(index=result.bad_row_numbers)

    assert result.schema_errors == ()
    assert validate(rest, SPEC).ok


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_exactly_one_row_of_each_key_stays(keys):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [{"sample_id": key, "synced_at": start + timedelta(minutes=n % 3)} for n, key in enumerate(keys)]
    frame = mapped_frame(SPEC, *rows).iloc[: len(rows)]

    kept = frame.drop(index=validate(frame, SPEC).bad_row_numbers)

    assert sorted(kept["sample_id"]) == sorted(set(keys))
    assert all(kept["synced_at"].reset_index(drop=True) == newest(frame, kept["sample_id"]))


def newest(frame, keys):
    return pd.Series([frame.loc[frame["sample_id"] == key, "synced_at"].max() for key in keys], dtype=object)


def test_every_type_has_its_rules():
    calendar = ["in_calendar"]
    by_type = {LogicalType.FLOAT: ["finite"], LogicalType.TIMESTAMP: calendar, LogicalType.DATE: calendar}

    for column in SPEC.columns:
        names = [rule.name for rule in rules(SPEC, column)]
        assert names == by_type.get(column.type, []) + [rule.name for rule in column.constraints]
