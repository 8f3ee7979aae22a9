"""Rows as the REST API writes them: every value is a string, nested by `f` and `v`.

Here: Arrow in, JSON cells out, a column at a time since a page can have 50,000 rows.
"""

import base64
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.sandbox.bigquery.sql.model import Field

Row = dict[str, list[dict[str, Any]]]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FLOATS = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}


def rows_of(table: pa.Table, fields: tuple[Field, ...], *, int64_timestamps: bool) -> list[Row]:
    """Return one `{"f": [{"v": ...}]}` per row.

    Args:
        table: Columns in the order of `fields`; timestamps in microseconds.
        fields: What the columns are to BigQuery.
        int64_timestamps: Timestamps as integer microseconds, else as seconds with a fraction.
    """
    columns = [
        _column(table.column(place).combine_chunks(), field, int64_timestamps) for place, field in enumerate(fields)
    ]
    if not columns:
        return [{"f": []} for _ in range(table.num_rows)]
    return [{"f": [{"v": value} for value in values]} for values in zip(*columns, strict=True)]


def _column(values: Any, field: Field, int64_timestamps: bool) -> list[Any]:
    if field.mode == "REPEATED" or field.type == "RECORD":
        encode = _encoder(field, int64_timestamps)
        return [encode(value) for value in values.to_pylist()]
    whole = _WHOLE_COLUMN.get(field.type)
    if whole is not None:
        return list(whole(values).to_pylist())
    if field.type == "TIMESTAMP" and int64_timestamps:
        return list(values.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.string()).to_pylist())
    encode = _scalar_encoder(field.type, int64_timestamps)
    return [None if value is None else encode(value) for value in values.to_pylist()]


def _text(values: Any) -> Any:
    return values.cast(pa.string())


def _plain_decimal(values: Any) -> Any:
    # NUMERIC is always written with 9 digits after the point, so every text has one.
    texts = values.cast(pa.decimal128(38, 9)).cast(pa.string())
    return pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), ".")


def _boolean(values: Any) -> Any:
    return pc.if_else(values, "true", "false")


def _time(values: Any) -> Any:
    # Arrow writes six digits always, BigQuery none where they are zeros.
    return pc.replace_substring(values.cast(pa.string()), ".000000", "")


def _datetime(values: Any) -> Any:
    return pc.replace_substring(_time(values.cast(pa.timestamp("us"))), " ", "T", max_replacements=1)


_WHOLE_COLUMN: dict[str, Callable[[Any], Any]] = {
    "STRING": _text,
    "JSON": _text,
    "INTEGER": _text,
    "DATE": _text,
    "TIME": _time,
    "BOOLEAN": _boolean,
    "DATETIME": _datetime,
}


def _encoder(field: Field, int64_timestamps: bool) -> Callable[[Any], Any]:
    """Return the encoder of a nested value."""
    if field.mode == "REPEATED":
        single = _encoder(Field(field.name, field.type, "NULLABLE", field.fields), int64_timestamps)
        # BigQuery has no NULL arrays: an array that was never written is empty.
        return lambda items: [{"v": single(item)} for item in items or []]
    if field.type == "RECORD":
        members = [_encoder(member, int64_timestamps) for member in field.fields]
        return lambda record: _record(record, members)
    encode = _scalar_encoder(field.type, int64_timestamps)
    return lambda value: None if value is None else encode(value)


def _record(record: dict[str, Any] | None, members: list[Callable[[Any], Any]]) -> Any:
    if record is None:
        return None
    pairs = zip(members, record.values(), strict=True)
    return {"f": [{"v": encode(value)} for encode, value in pairs]}


def _scalar_encoder(kind: str, int64_timestamps: bool) -> Callable[[Any], Any]:
    if kind == "TIMESTAMP":
        return _microseconds if int64_timestamps else lambda moment: repr(int(_microseconds(moment)) / 1e6)
    return _SCALARS[kind]


def _microseconds(moment: dt.datetime) -> str:
    return str((moment - _EPOCH) // dt.timedelta(microseconds=1))


def _float(value: float) -> str:
    return _FLOATS.get(repr(value), repr(value))


def _decimal(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_SCALARS: dict[str, Callable[[Any], str]] = {
    "STRING": str,
    "JSON": str,
    "INTEGER": str,
    "FLOAT": _float,
    "NUMERIC": _decimal,
    "BOOLEAN": lambda value: "true" if value else "false",
    "BYTES": lambda value: base64.b64encode(value).decode("ascii"),
    "DATE": dt.date.isoformat,
    "DATETIME": dt.datetime.isoformat,
    "TIME": dt.time.isoformat,
}
