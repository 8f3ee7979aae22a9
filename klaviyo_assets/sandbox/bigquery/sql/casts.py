"""CAST between GoogleSQL types, as DuckDB text.

DuckDB reads and rounds differently ('yes' is a BOOL, 2.5 becomes 2, a NUMERIC prints its zeros), so every pair
has its own entry; a pair without one is an error, as in BigQuery. The `bq_` macros are in `session`.
"""

from klaviyo_assets.sandbox.bigquery.sql.types import Type, member_names, text

_NUMERIC = "DECIMAL(38,9)"
CASTS: dict[tuple[str, str], str] = {
    ("INT64", "STRING"): "CAST({0} AS VARCHAR)",
    ("INT64", "FLOAT64"): "CAST({0} AS DOUBLE)",
    ("INT64", "NUMERIC"): f"CAST({{0}} AS {_NUMERIC})",
    ("INT64", "BOOL"): "({0} <> 0)",
    ("BOOL", "STRING"): "CAST({0} AS VARCHAR)",
    ("BOOL", "INT64"): "CAST({0} AS BIGINT)",
    ("FLOAT64", "STRING"): "bq_float64_text({0})",
    ("FLOAT64", "INT64"): "CAST(round({0}) AS BIGINT)",
    ("FLOAT64", "NUMERIC"): f"CAST(printf('%.25f', {{0}}) AS {_NUMERIC})",
    ("NUMERIC", "STRING"): "bq_numeric_text({0})",
    ("NUMERIC", "INT64"): "CAST(round({0}) AS BIGINT)",
    ("NUMERIC", "FLOAT64"): "CAST(CAST({0} AS VARCHAR) AS DOUBLE)",
    ("STRING", "INT64"): "bq_int64({0})",
    ("STRING", "FLOAT64"): "bq_float64({0})",
    ("STRING", "NUMERIC"): "bq_numeric({0})",
    ("STRING", "BOOL"): "bq_bool({0})",
    ("STRING", "DATE"): "bq_date({0})",
    ("STRING", "DATETIME"): "bq_datetime({0})",
    ("STRING", "TIMESTAMP"): "bq_timestamp({0})",
    ("STRING", "TIME"): "bq_time({0})",
    ("STRING", "BYTES"): "encode({0})",
    ("BYTES", "STRING"): "decode({0})",
    ("DATE", "STRING"): "strftime({0}, '%Y-%m-%d')",
    ("DATE", "DATETIME"): "CAST({0} AS TIMESTAMP)",
    ("DATE", "TIMESTAMP"): "(CAST({0} AS TIMESTAMP) AT TIME ZONE 'UTC')",
    ("DATETIME", "STRING"): "bq_datetime_text({0})",
    ("DATETIME", "DATE"): "CAST({0} AS DATE)",
    ("DATETIME", "TIME"): "CAST({0} AS TIME)",
    ("DATETIME", "TIMESTAMP"): "({0} AT TIME ZONE 'UTC')",
    ("TIMESTAMP", "STRING"): "(bq_datetime_text({0} AT TIME ZONE 'UTC') || '+00')",
    ("TIMESTAMP", "DATE"): "CAST(({0} AT TIME ZONE 'UTC') AS DATE)",
    ("TIMESTAMP", "DATETIME"): "({0} AT TIME ZONE 'UTC')",
    ("TIMESTAMP", "TIME"): "CAST(({0} AT TIME ZONE 'UTC') AS TIME)",
    ("TIME", "STRING"): "bq_time_text({0})",
}


def cast_text(sql: str, source: Type, target: Type) -> str | None:
    """DuckDB text of CAST(sql AS target); None when GoogleSQL has no such cast."""
    if source == target:
        return sql
    if source.kind == "NULL":
        return f"CAST({sql} AS {target.duckdb})"
    if source.kind == target.kind == "ARRAY":
        return _array(sql, source, target)
    if source.kind == target.kind == "STRUCT" and len(source.fields) == len(target.fields):
        return _struct(sql, source, target)
    template = CASTS.get((source.kind, target.kind))
    return None if template is None else template.format(sql)


def _array(sql: str, source: Type, target: Type) -> str | None:
    assert source.element is not None  # noqa: S101 - an ARRAY has one
    assert target.element is not None  # noqa: S101
    if source.element.kind == "NULL":
        return f"CAST({sql} AS {target.duckdb})"
    inner = cast_text("each", source.element, target.element)
    return None if inner is None else f"list_transform({sql}, lambda each: {inner})"


def _struct(sql: str, source: Type, target: Type) -> str | None:
    for (_, left), (_, right) in zip(source.fields, target.fields, strict=True):
        if left != right and left.kind != "NULL" and not (left.is_numeric and right.is_numeric):
            return None
    names = source.duckdb, target.duckdb
    return sql if names[0] == names[1] else f"CAST(row({_members(sql, source)}) AS {target.duckdb})"


def _members(sql: str, source: Type) -> str:
    pairs = zip(member_names(source), source.fields, strict=True)
    return ", ".join(
        "NULL" if kind.kind == "NULL" else f"struct_extract({sql}, {text(name)})" for name, (_, kind) in pairs
    )
