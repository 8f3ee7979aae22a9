"""Allow-list: JSON functions, on STRING and on JSON values.

Paths are literals and are parsed here, so that DuckDB's richer path language is never used. JSON in a STRING
that does not parse gives NULL, as in BigQuery.
"""

import re

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, scalar
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.names import normalized_json
from klaviyo_assets.sandbox.bigquery.sql.types import (
    BOOL,
    FLOAT64,
    INT64,
    JSON,
    STRING,
    Type,
    array_of,
    member_names,
    text,
)

_STEP = re.compile(r"\.([A-Za-z_$][A-Za-z0-9_$]*)|\.\"((?:[^\"\\]|\\.)*)\"|\[(\d+)\]")
_LEGACY_STEP = re.compile(r"\['((?:[^'\\\"])*)'\]")
_NOTHING = r"([^\s\S])"
"""An expression that matches nowhere."""
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"


def duckdb_path(path: str, name: str) -> tuple[str, str]:
    """A JSONPath as DuckDB writes it, and the key of its last step ("" when that is an index).

    Raises:
        SqlError: It is not a path of BigQuery's.
    """
    if not path.startswith("$"):
        raise invalid(f"{name}: JSONPath must start with '$': {path!r}")
    steps, end, last = [], 1, ""
    if name.startswith("JSON_EXTRACT"):
        path = _LEGACY_STEP.sub(r'."\1"', path)
    while end < len(path):
        match = _STEP.match(path, end)
        if match is None:
            raise invalid(f"{name}: unsupported JSONPath {path!r} at {path[end:]!r}")
        last = (match[1] or match[2] or "") if match[3] is None else ""
        steps.append(f"[{match[3]}]" if match[3] is not None else f'."{last}"')
        end = match.end()
    return "$" + "".join(steps), last


def _document(call: Call) -> tuple[Bound, str, str, str]:
    """The document, its DuckDB text with NULL in place of what does not parse, the path, its last key."""
    call.arity(2 if call.name in ("JSON_QUERY", "JSON_EXTRACT") else 1, 2)
    value = call.bind(0)
    if value.type.kind not in ("STRING", "JSON", "NULL"):
        raise mismatch(f"function {call.name}", [value])
    path, key = duckdb_path(call.literal(1, "path") if len(call.nodes) == 2 else "$", call.name)
    source = f"bq_json_or_null({value.sql})" if value.type.kind == "STRING" else f"CAST({value.sql} AS VARCHAR)"
    return value, source, text(path), key


@scalar("JSON_VALUE", "JSON_EXTRACT_SCALAR")
def _value(call: Call) -> Bound:
    value, source, path, key = _document(call)
    return combine(f"bq_json_value({source}, {path}, {_number_pattern(value, key)})", STRING, [value])


def _number_pattern(value: Bound, key: str) -> str:
    """The pattern that finds a key's numbers as written: a STRING preserves them, JSON does not."""
    return text(_NOTHING) if value.type.kind == "JSON" else text('"' + re.escape(key) + r'"\s*:\s*(-?[0-9][-+0-9.eE]*)')


@scalar("JSON_QUERY", "JSON_EXTRACT")
def _query(call: Call) -> Bound:
    value, source, path, key = _document(call)
    if value.type.kind == "JSON":
        return combine(f"CAST(json_extract({source}, {path}) AS JSON)", JSON, [value])
    sql = f"bq_json_query({source}, {path}, {_number_pattern(value, key)}, {text(_NUMBER)})"
    return combine(sql, STRING, [value])


@scalar("JSON_VALUE_ARRAY", "JSON_EXTRACT_STRING_ARRAY")
def _value_array(call: Call) -> Bound:
    value, source, path, _ = _document(call)
    return combine(f"bq_json_value_array({source}, {path})", array_of(STRING), [value])


@scalar("JSON_QUERY_ARRAY", "JSON_EXTRACT_ARRAY")
def _query_array(call: Call) -> Bound:
    value, source, path, _ = _document(call)
    kind = JSON if value.type.kind == "JSON" else STRING
    items = f"bq_json_items({source}, {path})"
    if kind == STRING:
        element_sql = f"bq_spelled({source}, CAST(each AS VARCHAR), {text(_NUMBER)})"
        items = f"list_transform({items}, lambda each: {element_sql})"
    return combine(items, array_of(kind), [value])


@scalar("JSON_TYPE")
def _type(call: Call) -> Bound:
    call.arity(1)
    value = require(call.bind(0), JSON, call.name)
    sql = (
        f"CASE json_type({value.sql}) WHEN 'VARCHAR' THEN 'string' WHEN 'OBJECT' THEN 'object'"
        " WHEN 'ARRAY' THEN 'array' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null'"
        f" ELSE CASE WHEN {value.sql} IS NULL THEN NULL ELSE 'number' END END"
    )
    return combine(sql, STRING, [value])


@scalar("PARSE_JSON")
def _parse(call: Call) -> Bound:
    call.arity(1)
    value = require(call.bind(0), STRING, call.name)
    sql = value.sql if not value.literal else text(normalized_json(value.literal))
    return combine(f"CAST({sql} AS JSON)", JSON, [value])


@scalar("TO_JSON_STRING")
def _to_json_string(call: Call) -> Bound:
    if len(call.nodes) == 2:
        raise unsupported("TO_JSON_STRING with pretty printing")
    call.arity(1)
    value = call.bind(0)
    return combine(json_text(value.sql, value.type), STRING, [value])


@scalar("INT64", "FLOAT64", "BOOL", "LAX_STRING")
def _of_json(call: Call) -> Bound:
    """A JSON scalar as a SQL value; a different JSON type is an error."""
    call.arity(1)
    value = require(call.bind(0), JSON, call.name)
    kind = {"INT64": INT64, "FLOAT64": FLOAT64, "BOOL": BOOL, "LAX_STRING": STRING}[call.name]
    if kind == STRING:
        return combine(f"bq_json_value(CAST({value.sql} AS VARCHAR), '$', {text(_NOTHING)})", STRING, [value])
    json_types = {"INT64": "'BIGINT', 'UBIGINT'", "FLOAT64": "'BIGINT', 'UBIGINT', 'DOUBLE'", "BOOL": "'BOOLEAN'"}
    return _typed_json(value, kind, json_types[call.name])


def string_of_json(value: Bound) -> Bound:
    """STRING(json): the text of a JSON string."""
    return _typed_json(value, STRING, "'VARCHAR'")


def _typed_json(value: Bound, kind: Type, json_types: str) -> Bound:
    sql = (
        f"CASE WHEN {value.sql} IS NULL OR json_type({value.sql}) IN ({json_types})"
        f" THEN CAST(json_extract_string({value.sql}, '$') AS {kind.duckdb})"
        f" ELSE CAST(error('The provided JSON input is not of type {kind}') AS {kind.duckdb}) END"
    )
    return combine(sql, kind, [value])


_TEXTS = {
    "STRING": "CAST(to_json({0}) AS VARCHAR)",
    "INT64": "CASE WHEN {0} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST({0} AS VARCHAR)"
    " ELSE '\"' || {0} || '\"' END",
    "BOOL": "CAST({0} AS VARCHAR)",
    "FLOAT64": "bq_float64_json({0})",
    "JSON": "CAST({0} AS VARCHAR)",
    "BYTES": "'\"' || to_base64({0}) || '\"'",
    "TIME": "'\"' || bq_time_text({0}) || '\"'",
    "DATE": "'\"' || strftime({0}, '%Y-%m-%d') || '\"'",
    "DATETIME": "'\"' || replace(bq_datetime_text({0}), ' ', 'T') || '\"'",
    "TIMESTAMP": "'\"' || replace(bq_datetime_text({0} AT TIME ZONE 'UTC'), ' ', 'T') || 'Z\"'",
    "NUMERIC": "bq_numeric_json({0})",
}


def json_text(sql: str, kind: Type) -> str:
    """DuckDB text of a value's JSON text."""
    if kind.element is not None:
        inner = json_text("each", kind.element)
        elements_sql = f"array_to_string(list_transform({sql}, lambda each: {inner}), ',')"
        return f"CASE WHEN {sql} IS NULL THEN 'null' ELSE '[' || coalesce({elements_sql}, '') || ']' END"
    if kind.kind == "STRUCT":
        return f"CASE WHEN {sql} IS NULL THEN 'null' ELSE '{{' || {_json_members(sql, kind)} || '}}' END"
    if kind.kind not in _TEXTS:
        return "'null'" if kind.kind == "NULL" else _unknown(kind)
    return f"coalesce({_TEXTS[kind.kind].format(sql)}, 'null')"


def _json_members(sql: str, kind: Type) -> str:
    pieces = []
    for member_name, (name, part) in zip(member_names(kind), kind.fields, strict=True):
        member = json_text(f"struct_extract({sql}, {text(member_name)})", part)
        pieces.append(f"CAST(to_json({text(name)}) AS VARCHAR) || ':' || {member}")
    return " || ',' || ".join(pieces)


def _unknown(kind: Type) -> str:
    raise mismatch("function TO_JSON_STRING", [Bound("", kind)])
