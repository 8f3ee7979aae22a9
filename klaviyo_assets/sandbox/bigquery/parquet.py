"""What a Parquet file holds in BigQuery's terms, and how DuckDB reads it without altering a value.

Here: the type map of BigQuery's Parquet loads and the rules about lists, judged by the file's own
schema (what Arrow or pandas noted beside it means nothing to BigQuery). DuckDB would silently read '5' or
1.7 as an integer, so types are compared here, before it sees a row.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.names import column_name
from klaviyo_assets.sandbox.bigquery.schema import Column, column_type, find, mismatch
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import Cursor

_SCHEMA_SQL = """
SELECT name, type, repetition_type, coalesce(num_children, 0), converted_type, scale, precision,
       CAST(logical_type AS VARCHAR)
FROM parquet_schema(?)
"""
_PLAIN = {"BOOLEAN": "BOOLEAN", "FLOAT": "FLOAT", "DOUBLE": "FLOAT", "INT96": "TIMESTAMP"}
_NUMERIC_DIGITS, _NUMERIC_SCALE = 29, 9


@dataclass(frozen=True)
class Node:
    """One element of the file's schema tree."""

    name: str
    physical: str | None
    repetition: str
    converted_type: str | None
    scale: int | None
    precision: int | None
    logical: str
    children: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Options:
    """The load job's settings that decide how the file is read.

    Attributes:
        list_inference: parquetOptions.enableListInference.
        decimals: decimalTargetTypes, in the order sent; empty means NUMERIC.
    """

    list_inference: bool = False
    decimals: tuple[str, ...] = ()


def read_nodes(cursor: Cursor, file: Path) -> tuple[Node, ...]:
    """Read the top-level columns of a Parquet file.

    Raises:
        ApiError: It is not a Parquet file.
    """
    try:
        rows = iter(cursor.execute(_SCHEMA_SQL, [str(file)]).fetchall())
    except duckdb.Error as fault:
        raise invalid(
            f"Error while reading data, error message: Input file is not in Parquet format. {fault}"
        ) from fault
    return _node(rows).children


def _node(rows: Iterator[tuple[Any, ...]]) -> Node:
    name, physical, repetition, children, converted_type, scale, precision, logical = next(rows)
    below = tuple(_node(rows) for _ in range(int(children)))
    return Node(name, physical, repetition or "REQUIRED", converted_type, scale, precision, logical or "", below)


def columns_of_file(nodes: Collection[Node], options: Options) -> list[Column]:
    """Return the columns BigQuery would make of a file, all NULLABLE or REPEATED.

    Raises:
        ApiError: A column has a type outside the subset, or is a list without list inference.
    """
    return [_column(node, node.name, options) for node in nodes]


def _column(node: Node, path: str, options: Options) -> Column:
    column_name(node.name)
    if node.repetition == "REPEATED":
        raise unsupported(f"the bare repeated Parquet field {path}: write it as a LIST")
    if node.logical.startswith("ListType") or node.converted_type == "LIST":
        element = _element(node, path, options)
        return {**_column(element, path, options), "name": node.name, "mode": "REPEATED"}
    if node.children:
        if node.converted_type or node.logical:
            raise unsupported(f"the Parquet type {node.logical or node.converted_type} of field {path}")
        members = [_column(child, f"{path}.{child.name}", options) for child in node.children]
        return {"name": node.name, "type": "RECORD", "mode": "NULLABLE", "fields": members}
    return {"name": node.name, "type": _scalar(node, path, options), "mode": "NULLABLE"}


def _element(node: Node, path: str, options: Options) -> Node:
    if not options.list_inference:
        # Without it BigQuery reads a RECORD with a member `list`; given a REPEATED column, it stores empty
        # arrays without a word (googleapis/python-bigquery issue 2008).
        raise invalid(
            f"Field {path} is a Parquet LIST: set ParquetOptions.enable_list_inference to True, "
            "or BigQuery reads it as a RECORD or loads empty arrays."
        )
    middle = node.children[0]
    element = middle.children[0] if len(middle.children) == 1 else middle
    if element.logical.startswith("ListType"):
        raise invalid(f"Field {path} is a list of lists, which BigQuery has no type for")
    return element


def _scalar(node: Node, path: str, options: Options) -> str:
    physical, logical = node.physical or "", node.logical
    if logical.startswith("DecimalType") or node.converted_type == "DECIMAL":
        return _decimal(node, path, options)
    if logical.startswith("TimestampType"):
        return _timestamp(logical, path)
    if logical.startswith("TimeType"):
        if "NANOS=NanoSeconds" in logical:
            raise unsupported(f"TIME in nanoseconds of field {path}: write microseconds")
        return "TIME"
    if logical.startswith("DateType") or node.converted_type == "DATE":
        return "DATE"
    if physical in _PLAIN:
        return _PLAIN[physical]
    if physical in ("INT32", "INT64") and (not logical or logical.startswith("IntType")):
        return "INTEGER"
    if physical == "BYTE_ARRAY" and (logical.startswith("StringType") or node.converted_type == "UTF8"):
        return "STRING"
    if physical in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY") and not logical and not node.converted_type:
        return "BYTES"
    raise unsupported(f"the Parquet type {logical or node.converted_type or physical} of field {path}")


def _timestamp(logical: str, path: str) -> str:
    if "NANOS=NanoSeconds" in logical:
        raise unsupported(f"a timestamp in nanoseconds in field {path}: write microseconds")
    return "TIMESTAMP" if re.search(r"isAdjustedToUTC=(1|true)", logical) else "DATETIME"


def _decimal(node: Node, path: str, options: Options) -> str:
    precision, scale = node.precision or 0, node.scale or 0
    fits = scale <= _NUMERIC_SCALE and precision - scale <= _NUMERIC_DIGITS
    for target in options.decimals or ("NUMERIC",):
        if target == "NUMERIC" and fits:
            return "NUMERIC"
        if target != "NUMERIC":
            raise unsupported(f"decimalTargetTypes {target} for field {path}: write decimal(38, 9)")
    raise invalid(
        f"Field {path} is decimal({precision}, {scale}), which does not fit NUMERIC: at most {_NUMERIC_DIGITS} digits "
        f"before and {_NUMERIC_SCALE} after the point; write decimal(38, 9) or send decimalTargetTypes."
    )


def check_file(table: str, nodes: Collection[Node], in_file: list[Column], schema: list[Column]) -> None:
    """Compare a file with the schema in its load job.

    Args:
        table: The destination's name for messages.
        nodes: The file's columns, as the file declares them.
        in_file: The same columns in BigQuery's types.
        schema: The job's schema.

    Raises:
        ApiError: A column is missing or unknown, or has a different type or mode.
    """
    for column in in_file:
        counterpart = find(schema, column["name"])
        if counterpart is None:
            raise mismatch(table, f"Cannot add fields (field: {column['name']})")
        _check_pair(table, column["name"], column, counterpart)
    required_in_file = {node.name.lower() for node in nodes if node.repetition == "REQUIRED"}
    for column in schema:
        if column["mode"] == "REQUIRED" and find(in_file, column["name"]) is None:
            raise mismatch(table, f"Missing required field: {column['name']}")
        if column["mode"] == "NULLABLE" and column["name"].lower() in required_in_file:
            # googleapis/java-bigquery issue 13.
            raise mismatch(table, f"Field {column['name']} has changed mode from NULLABLE to REQUIRED")


def _check_pair(table: str, path: str, column: Column, target: Column) -> None:
    if target["type"] == "JSON":
        raise _json_refused(path)
    if column["type"] != target["type"]:
        raise mismatch(table, f"Field {path} has changed type from {target['type']} to {column['type']}")
    if (column["mode"] == "REPEATED") != (target["mode"] == "REPEATED"):
        raise mismatch(table, f"Field {path} has changed mode from {target['mode']} to {column['mode']}")
    for member in column.get("fields", ()):
        counterpart = find(target["fields"], member["name"])
        if counterpart is None:
            raise mismatch(table, f"Cannot add fields (field: {path}.{member['name']})")
        _check_pair(table, f"{path}.{member['name']}", member, counterpart)


def _json_refused(path: str) -> ApiError:
    """Build the error for a JSON column in a Parquet load, which BigQuery refuses."""
    return invalid(
        f"Unsupported field type: JSON (field {path}). BigQuery cannot load JSON columns from Parquet: "
        "use a STRING column and PARSE_JSON."
    )


def value_sql(source: str, column: Column | None, target: Column) -> str:
    """Return the SQL that turns a file's column into the table's: same values, members in the table's order.

    Args:
        source: SQL expression of the value read.
        column: The file's column, None when it has none of that name.
        target: The table's column.
    """
    if column is None:
        return f"CAST({'[]' if target['mode'] == 'REPEATED' else 'NULL'} AS {column_type(target)})"
    if target["mode"] == "REPEATED":
        return f"coalesce({_list_sql(source, column, target)}, CAST([] AS {column_type(target)}))"
    if target["type"] == "RECORD":
        return _struct_sql(source, column, target)
    return f"CAST({source} AS {column_type(target)})"


def _list_sql(source: str, column: Column, target: Column) -> str:
    single = {**target, "mode": "NULLABLE"}
    item = value_sql("item", {**column, "mode": "NULLABLE"}, single)
    # BigQuery refuses arrays with a NULL inside.
    checked = f"CASE WHEN item IS NULL THEN error('{_NULL_IN_ARRAY} {target['name']}') ELSE {item} END"
    return f"list_transform({source}, lambda item: {checked})"


_NULL_IN_ARRAY = "Array cannot have a null element; error in writing field"


def _struct_sql(source: str, column: Column, target: Column) -> str:
    members = []
    for member in target["fields"]:
        source_member = find(column["fields"], member["name"])
        inner = f"({source}).{quoted_name(source_member['name'])}" if source_member else "NULL"
        members.append(f"{quoted_name(member['name'])} := {value_sql(inner, source_member, member)}")
    return f"CASE WHEN {source} IS NOT NULL THEN struct_pack({', '.join(members)}) END"
