"""Types and cells: as BigQuery's REST API spells them, and as Google's engine does.

Here: both directions. A cell is a text, a list of `{"v": cell}` or `{"f": [{"v": cell}]}`, as a query's answer has it;
timestamps are microseconds. Not here: calls.
"""

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

Field = Mapping[str, Any]
"""A column as the API describes it: name, type, mode, and the fields of a RECORD."""

_KINDS = {
    "STRING": type_pb2.TYPE_STRING, "BYTES": type_pb2.TYPE_BYTES, "INTEGER": type_pb2.TYPE_INT64,
    "FLOAT": type_pb2.TYPE_DOUBLE, "NUMERIC": type_pb2.TYPE_NUMERIC, "BIGNUMERIC": type_pb2.TYPE_BIGNUMERIC,
    "BOOLEAN": type_pb2.TYPE_BOOL, "TIMESTAMP": type_pb2.TYPE_TIMESTAMP, "DATETIME": type_pb2.TYPE_DATETIME,
    "DATE": type_pb2.TYPE_DATE, "TIME": type_pb2.TYPE_TIME, "JSON": type_pb2.TYPE_JSON,
    "INTERVAL": type_pb2.TYPE_INTERVAL,
}  # fmt: skip
_SQL_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_API_NAMES = {kind: name for name, kind in _KINDS.items()}
_EPOCH = dt.date(1970, 1, 1)
# Digits after the point of NUMERIC and BIGNUMERIC, which the engine writes as whole numbers of the smallest unit.
_SCALES = {"numeric_value": 9, "bignumeric_value": 38}
_DIGITS = {"NUMERIC": 9, "BIGNUMERIC": 38}


def api_name(kind: str) -> str:
    """A type as the API spells it, from either spelling (INT64, INTEGER)."""
    return _SQL_NAMES.get(kind, kind)


def type_of(field: Field) -> type_pb2.TypeProto:
    """The engine's type of a field."""
    if field.get("mode") == "REPEATED":
        repeated = type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY)
        repeated.array_type.element_type.CopyFrom(type_of({**field, "mode": "NULLABLE"}))
        return repeated
    name = api_name(field["type"])
    if name != "RECORD":
        return type_pb2.TypeProto(type_kind=_KINDS[name])
    record = type_pb2.TypeProto(type_kind=type_pb2.TYPE_STRUCT)
    for member in field["fields"]:
        record.struct_type.field.add(field_name=member["name"], field_type=type_of(member))
    return record


def field_of(name: str, kind: type_pb2.TypeProto) -> dict[str, Any]:
    """The API's field of a column that the engine answers with."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return {**field_of(name, kind.array_type.element_type), "mode": "REPEATED"}
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        members = [field_of(member.field_name, member.field_type) for member in kind.struct_type.field]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": members}
    api = _API_NAMES.get(kind.type_kind) or type_pb2.TypeKind.Name(kind.type_kind)
    return {"name": name, "type": api, "mode": "NULLABLE"}


def cell_from(value: Any, field: Field) -> Any:
    """The cell of a value as Google's client gives or takes it: dates, Decimals, lists, dictionaries."""
    if field.get("mode") == "REPEATED":
        return [{"v": cell_from(item, {**field, "mode": "NULLABLE"})} for item in value or ()]
    if value is None:
        return None
    kind = api_name(field["type"])
    if kind == "RECORD":
        return {"f": [{"v": cell_from(value[member["name"]], member)} for member in field["fields"]]}
    if kind == "TIMESTAMP":
        return str((value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1))
    if kind in ("NUMERIC", "BIGNUMERIC"):
        units = int(Decimal(value).scaleb(_DIGITS[kind], Context(prec=100)))
        return _plain(units, _DIGITS[kind])
    if kind == "FLOAT":
        return _float(float(value))
    if kind == "BYTES":
        return base64.b64encode(value).decode()
    return str(value).lower() if kind == "BOOLEAN" else value.isoformat() if hasattr(value, "isoformat") else str(value)


def value_of(cell: Any, field: Field) -> value_pb2.ValueProto:
    """The engine's value of a cell."""
    value = value_pb2.ValueProto()
    if field.get("mode") == "REPEATED":
        single = {**field, "mode": "NULLABLE"}
        value.array_value.SetInParent()
        value.array_value.element.extend(value_of(item["v"], single) for item in cell or [])
    elif cell is not None and api_name(field["type"]) == "RECORD":
        value.struct_value.SetInParent()
        pairs = zip(cell["f"], field["fields"], strict=True)
        value.struct_value.field.extend(value_of(item["v"], member) for item, member in pairs)
    elif cell is not None:
        _WRITERS[api_name(field["type"])](value, cell)
    return value


def _writer(attribute: str, read: Callable[[Any], Any]) -> Callable[[value_pb2.ValueProto, Any], None]:
    return lambda value, cell: setattr(value, attribute, read(cell))


def _units(text: str, scale: int) -> bytes:
    """A decimal as a whole number of its smallest unit, in the fewest bytes of two's complement."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, part = digits.partition(".")
    number = sign * int(whole + part.ljust(scale, "0"))
    return number.to_bytes((8 + (number + (number < 0)).bit_length()) // 8, "little", signed=True)


def _write_timestamp(value: value_pb2.ValueProto, cell: Any) -> None:
    seconds, micros = divmod(int(cell), 1_000_000)
    value.timestamp_value.seconds, value.timestamp_value.nanos = seconds, micros * 1000


def _write_datetime(value: value_pb2.ValueProto, cell: str) -> None:
    at = dt.datetime.fromisoformat(cell)
    packed = (at.year << 26) | (at.month << 22) | (at.day << 17) | (at.hour << 12) | (at.minute << 6) | at.second
    value.datetime_value.bit_field_datetime_seconds, value.datetime_value.nanos = packed, at.microsecond * 1000


def _time_bits(cell: str) -> int:
    at = dt.time.fromisoformat(cell)
    return (((at.hour << 12) | (at.minute << 6) | at.second) << 30) | (at.microsecond * 1000)


_WRITERS: Mapping[str, Callable[[value_pb2.ValueProto, Any], None]] = {
    "STRING": _writer("string_value", str),
    "JSON": _writer("json_value", str),
    "INTEGER": _writer("int64_value", int),
    "FLOAT": _writer("double_value", float),
    "BOOLEAN": _writer("bool_value", lambda cell: str(cell).lower() == "true"),
    "NUMERIC": _writer("numeric_value", lambda cell: _units(cell, 9)),
    "BIGNUMERIC": _writer("bignumeric_value", lambda cell: _units(cell, 38)),
    "BYTES": _writer("bytes_value", base64.b64decode),
    "DATE": _writer("date_value", lambda cell: (dt.date.fromisoformat(cell) - _EPOCH).days),
    "TIME": _writer("time_value", _time_bits),
    "TIMESTAMP": _write_timestamp,
    "DATETIME": _write_datetime,
}


def cell_of(value: value_pb2.ValueProto, kind: type_pb2.TypeProto) -> Any:
    """The cell of an engine's value."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return [{"v": cell_of(item, kind.array_type.element_type)} for item in value.array_value.element]
    attribute = value.WhichOneof("value")
    if attribute is None:
        return None
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        pairs = zip(value.struct_value.field, kind.struct_type.field, strict=True)
        return {"f": [{"v": cell_of(item, member.field_type)} for item, member in pairs]}
    if attribute in _SCALES:
        return _plain(int.from_bytes(getattr(value, attribute), "little", signed=True), _SCALES[attribute])
    return _READERS.get(attribute, str)(getattr(value, attribute))


def _plain(number: int, scale: int) -> str:
    digits = str(abs(number)).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}".rstrip("0").rstrip(".")
    return f"-{text}" if number < 0 else text


def _float(number: float) -> str:
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(number), repr(number))


def _datetime(value: Any) -> str:
    bits = value.bit_field_datetime_seconds
    return dt.datetime(
        bits >> 26, bits >> 22 & 15, bits >> 17 & 31, bits >> 12 & 31, bits >> 6 & 63, bits & 63, value.nanos // 1000
    ).isoformat()


def _time(value: int) -> str:
    bits = value >> 30
    return dt.time(bits >> 12 & 31, bits >> 6 & 63, bits & 63, (value & (1 << 30) - 1) // 1000).isoformat()


_READERS: Mapping[str, Callable[[Any], str]] = {
    "double_value": _float,
    "float_value": _float,
    "bool_value": lambda value: str(value).lower(),
    "bytes_value": lambda value: base64.b64encode(value).decode(),
    "date_value": lambda value: (_EPOCH + dt.timedelta(days=value)).isoformat(),
    "timestamp_value": lambda value: str(value.seconds * 1_000_000 + value.nanos // 1000),
    "timestamp_picos_value": lambda value: str(value.seconds * 1_000_000 + value.picos // 1_000_000),
    "datetime_value": _datetime,
    "time_value": _time,
    "interval_value": lambda value: value.hex(),
}
