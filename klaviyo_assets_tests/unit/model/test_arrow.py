"""Specs as Arrow: total over the types, and no value changes on the way between frames and tables."""

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.arrow import (
    arrow_type,
    empty_frame,
    frame_to_table,
    mapped_schema,
    pandas_dtype,
    table_to_frame,
)
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets_tests.factories import mapped_frame
from klaviyo_assets_tests.strategies import mapped_frames
from klaviyo_assets_tests.unit.model.every_type import SPEC


@pytest.mark.parametrize("logical", LogicalType)
def test_every_logical_type_has_an_arrow_type_and_a_dtype(logical):
    assert pandas_dtype(logical).pyarrow_dtype == arrow_type(logical)


def test_the_sample_spec_has_a_column_of_every_type():
    """Guards the tests below: a new logical type has to join them."""
    assert {column.type for column in SPEC.columns} == set(LogicalType)


def test_key_and_required_columns_are_not_nullable():
    nullable = {field.name for field in mapped_schema(SPEC) if field.nullable}

    assert nullable == set(SPEC.column_names) - {"sample_id", "is_conversion"}


def test_an_empty_frame_has_every_column_and_type():
    frame = empty_frame(SPEC)

    assert len(frame) == 0
    assert frame_to_table(frame, SPEC).schema == mapped_schema(SPEC)


@settings(max_examples=60, deadline=None)
@given(mapped_frames(SPEC))
def test_a_frame_comes_back_from_arrow_as_it_was(frame):
    table = frame_to_table(frame, SPEC)

    pd.testing.assert_frame_equal(table_to_frame(table), frame, check_exact=True)
    assert frame_to_table(table_to_frame(table), SPEC).equals(table)


def test_columns_are_put_in_the_order_of_the_spec_and_the_index_is_ignored():
    frame = mapped_frame(SPEC, {}, {})
    shuffled = frame[list(frame.columns[::-1])].set_index(pd.Index([7, 3]))

    assert frame_to_table(shuffled, SPEC).equals(frame_to_table(frame, SPEC))


def test_plain_pandas_columns_that_lose_nothing_are_taken():
    frame = mapped_frame(SPEC, {"quantity": 3, "value": Decimal("1.5"), "channel": "sms"})
    moment = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
    plain = frame.assign(
        quantity=pd.Series([3], dtype="int32"),
        value=pd.Series([Decimal("1.5")], dtype=object),
        channel=pd.Series(["sms"], dtype="category"),
        synced_at=pd.Series([moment]).astype("datetime64[ns, UTC]"),
        email=pd.Series([None], dtype=object),
    )

    table = frame_to_table(plain, SPEC)

    assert table.schema == mapped_schema(SPEC)
    row = table.to_pylist()[0]
    assert (row["quantity"], row["value"], row["channel"]) == (3, Decimal("1.500000000"), "sms")
    assert (row["synced_at"], row["email"]) == (moment, None)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        pytest.param("value", pd.Series([0.1]), id="money from a float"),
        pytest.param("value", pd.Series([Decimal("0.0000000001")], dtype=object), id="a tenth decimal"),
        pytest.param("quantity", pd.Series([1.0]), id="a whole number from a float"),
        pytest.param("quantity", pd.Series([2**63], dtype="uint64"), id="more than 64 bits"),
        pytest.param("quantity", pd.Series(["1"]), id="a number from text"),
        pytest.param("is_conversion", pd.Series([1]), id="a flag from a number"),
        pytest.param("synced_at", pd.Series([datetime(2024, 1, 1)]), id="a time without a zone"),
        pytest.param("synced_at", pd.Series([pd.Timestamp(1, tz="UTC")]), id="a nanosecond"),
        pytest.param("occurred_on", pd.Series([pd.Timestamp("2024-01-01 10:00", tz="UTC")]), id="a day from a time"),
        pytest.param("email", pd.Series([5]), id="text from a number"),
        pytest.param("email", pd.Series(["a", 5], dtype=object).iloc[1:], id="text from an object"),
    ],
)
def test_a_column_that_would_have_to_change_a_value_is_refused_by_name(column, values):
    frame = mapped_frame(SPEC)
    frame[column] = values.to_numpy() if values.dtype == object else values.reset_index(drop=True)

    with pytest.raises(PermanentError, match=f"table 'sample': column '{column}' is .* without changing a value"):
        frame_to_table(frame, SPEC)


def test_a_refusal_does_not_quote_the_value():
    """Arrow's own message would: the column may be personal."""
    frame = mapped_frame(SPEC)
    frame["quantity"] = pd.Series(["nobody@example.com", 5], dtype=object).iloc[:1]

    with pytest.raises(PermanentError) as caught:
        frame_to_table(frame, SPEC)

    assert "nobody@example.com" not in str(caught.value)
    assert caught.value.__context__ is None or "nobody" not in str(caught.value.__context__)


@pytest.mark.parametrize("column", ["sample_id", "is_conversion"])
def test_a_null_in_a_required_column_is_refused_by_name(column):
    frame = mapped_frame(SPEC, {}, {column: None})

    with pytest.raises(PermanentError, match=f"the required column '{column}' is null in 1 of 2 rows"):
        frame_to_table(frame, SPEC)


def test_missing_and_unknown_columns_are_named():
    frame = mapped_frame(SPEC).rename(columns={"value": "amount"})

    with pytest.raises(PermanentError, match=r"missing columns \['value'\], unexpected columns \['amount'\]"):
        frame_to_table(frame, SPEC)


def test_the_table_carries_no_pandas_metadata():
    """Metadata of the pandas version would change the bytes of the same rows."""
    assert frame_to_table(mapped_frame(SPEC), SPEC).schema.metadata is None


def test_a_text_column_that_pandas_widened_is_taken_back():
    """Some pandas operations turn string into large_string."""
    frame = mapped_frame(SPEC)
    frame["email"] = frame["email"].astype(pd.ArrowDtype(pa.large_string()))

    assert frame_to_table(frame, SPEC).schema.field("email").type == pa.string()
