"""Rows as the REST API spells them."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from klaviyo_assets.sandbox.bigquery.cells import rows_of
from klaviyo_assets.sandbox.bigquery.sql import Field

MOMENT = dt.datetime(1969, 12, 31, 23, 59, 59, 500_000, dt.UTC)


@pytest.mark.parametrize(
    ("kind", "values", "cell"),
    [
        ("INTEGER", pa.array([-(2**63)]), "-9223372036854775808"),
        ("FLOAT", pa.array([1e300]), "1e+300"),
        ("FLOAT", pa.array([float("-inf")]), "-Infinity"),
        ("FLOAT", pa.array([float("nan")]), "NaN"),
        ("NUMERIC", pa.array([Decimal(100)], pa.decimal128(38, 9)), "100"),
        ("NUMERIC", pa.array([Decimal("-0.000000001")], pa.decimal128(38, 9)), "-0.000000001"),
        ("BOOLEAN", pa.array([False]), "false"),
        ("BYTES", pa.array([b"\xff"]), "/w=="),
        ("DATE", pa.array([dt.date(1, 1, 1)]), "0001-01-01"),
        ("DATETIME", pa.array([dt.datetime(2024, 5, 1, 1)], pa.timestamp("us")), "2024-05-01T01:00:00"),
        ("TIME", pa.array([dt.time(1, 2, 3)], pa.time64("us")), "01:02:03"),
        ("TIMESTAMP", pa.array([MOMENT], pa.timestamp("us", "UTC")), "-500000"),
        ("JSON", pa.array(['{"a":1}']), '{"a":1}'),
    ],
)
def test_a_value_and_a_null_are_spelled(kind, values, cell):
    column = pa.concat_arrays([values, pa.nulls(1, values.type)])

    rows = rows_of(pa.table({"c": column}), (Field("c", kind),), int64_timestamps=True)

    assert rows == [{"f": [{"v": cell}]}, {"f": [{"v": None}]}]


@pytest.mark.parametrize("kind", ["STRING", "INTEGER", "NUMERIC", "TIMESTAMP", "DATE", "BOOLEAN"])
def test_a_value_in_an_array_is_spelled_as_outside_of_one(kind):
    values = {
        "STRING": pa.array(["x"]),
        "INTEGER": pa.array([1]),
        "NUMERIC": pa.array([Decimal("1.50")], pa.decimal128(38, 9)),
        "TIMESTAMP": pa.array([MOMENT], pa.timestamp("us", "UTC")),
        "DATE": pa.array([dt.date(2024, 5, 1)]),
        "BOOLEAN": pa.array([True]),
    }[kind]
    listed = pa.ListArray.from_arrays([0, 1], values)

    for int64 in (True, False):
        ((plain,),) = (
            row["f"] for row in rows_of(pa.table({"c": values}), (Field("c", kind),), int64_timestamps=int64)
        )
        ((inside,),) = (
            row["f"]
            for row in rows_of(pa.table({"c": listed}), (Field("c", kind, "REPEATED"),), int64_timestamps=int64)
        )
        assert inside == {"v": [plain]}


def test_records_are_nested_and_missing_arrays_empty():
    record = pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]))
    field = Field("r", "RECORD", "NULLABLE", (Field("a", "INTEGER"), Field("b", "STRING", "REPEATED")))

    rows = rows_of(pa.table({"r": record}), (field,), int64_timestamps=True)

    assert rows == [{"f": [{"v": {"f": [{"v": "1"}, {"v": []}]}}]}, {"f": [{"v": None}]}]
