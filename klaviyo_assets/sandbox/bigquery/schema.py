"""Table schemas: reading them from requests, comparing them, and turning them into DuckDB columns.

Here: rules about columns that loads, queries and table calls share. A schema is kept as the list
of dictionaries that the API shows, because column descriptions have no place in `Field`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed
from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.names import column_name
from klaviyo_assets.sandbox.bigquery.sql import duckdb_type
from klaviyo_assets.sandbox.bigquery.sql.model import Field
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name

Column = dict[str, Any]
"""One TableFieldSchema of the API, types and modes in their canonical spelling."""

ADDITION = "ALLOW_FIELD_ADDITION"
RELAXATION = "ALLOW_FIELD_RELAXATION"

_ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
}
_TYPES = (
    *("STRING", "BYTES", "INTEGER", "FLOAT", "NUMERIC", "BOOLEAN"),
    *("TIMESTAMP", "DATETIME", "DATE", "TIME", "RECORD", "JSON"),
)
_MODES = ("NULLABLE", "REQUIRED", "REPEATED")
_COLUMN = dict.fromkeys(("name", "type", "mode", "description", "fields"))


def read_schema(fields: Any, where: str = "schema.fields") -> list[Column]:
    """Check the columns of a request and return them in the API's form.

    Raises:
        ApiError: A name, type, mode or attribute is not legal or not supported.
    """
    if not isinstance(fields, list):
        raise invalid(f"{where} has to be a list of fields")
    columns = [_read_column(entry, f"{where}[{place}]") for place, entry in enumerate(fields)]
    names: set[str] = set()
    for column in columns:
        if column["name"].lower() in names:
            raise invalid(f"Duplicate field name: {column['name']}. Names are compared without regard to case.")
        names.add(column["name"].lower())
    return columns


def _read_column(entry: Any, where: str) -> Column:
    allowed.check(entry, _COLUMN, where)
    kind = str(entry.get("type", "")).upper()
    kind = _ALIASES.get(kind, kind)
    mode = (entry.get("mode") or "NULLABLE").upper()
    if kind not in _TYPES:
        raise unsupported(f"the type {entry.get('type')!r} of {where}; supported: {', '.join(_TYPES)}")
    if mode not in _MODES:
        raise invalid(f"Invalid mode {mode!r} of {where}; allowed: {', '.join(_MODES)}")
    column: Column = {"name": column_name(str(entry.get("name", ""))), "type": kind, "mode": mode}
    if entry.get("description") is not None:
        column["description"] = entry["description"]
    if kind == "RECORD":
        column["fields"] = _read_members(entry, where)
    return column


def _read_members(entry: Column, where: str) -> list[Column]:
    members = read_schema(entry.get("fields") or [], f"{where}.fields")
    if not members:
        raise invalid(f"Field {entry['name']} is type RECORD but has no schema")
    if any(member["mode"] == "REQUIRED" for member in members):
        raise unsupported(f"REQUIRED fields inside the RECORD {entry['name']}")
    return members


def fields_of(columns: Iterable[Column]) -> tuple[Field, ...]:
    """Return the columns as the SQL translation wants them."""
    return tuple(
        Field(column["name"], column["type"], column["mode"], fields_of(column.get("fields", ()))) for column in columns
    )


def columns_of(fields: Iterable[Field]) -> list[Column]:
    """Return the output columns of a query as the API shows them."""
    return [_column_of(field) for field in fields]


def _column_of(field: Field) -> Column:
    column: Column = {"name": field.name, "type": field.type, "mode": field.mode}
    if field.fields:
        column["fields"] = columns_of(field.fields)
    return column


def column_type(column: Column) -> str:
    """Return the DuckDB type of a column."""
    kind = _struct_type(column) if column["type"] == "RECORD" else duckdb_type(column["type"])
    return f"{kind}[]" if column["mode"] == "REPEATED" else kind


def _struct_type(column: Column) -> str:
    members = (f"{quoted_name(member['name'])} {column_type(member)}" for member in column["fields"])
    return f"STRUCT({', '.join(members)})"


def column_definition(column: Column) -> str:
    """Return a column of CREATE TABLE; a REQUIRED one takes no NULL, a REPEATED one is empty by default."""
    suffix = {"REQUIRED": " NOT NULL", "REPEATED": " DEFAULT []"}.get(column["mode"], "")
    return f"{quoted_name(column['name'])} {column_type(column)}{suffix}"


def find(columns: Iterable[Column], name: str) -> Column | None:
    """Return the column of that name, in any case, as BigQuery matches names."""
    return next((column for column in columns if column["name"].lower() == name.lower()), None)


@dataclass(frozen=True)
class Evolution:
    """What a write changes in a table's schema.

    Attributes:
        columns: The schema afterwards.
        added_columns: Columns that the table gains.
        relaxed: Names of REQUIRED columns that become NULLABLE.
    """

    columns: list[Column]
    added_columns: list[Column]
    relaxed: list[str]


def evolve(table: str, existing: list[Column], job_columns: list[Column], options: Collection[str]) -> Evolution:
    """Compare what a job writes with what its table has, by BigQuery's rules.

    Args:
        table: The table's name for messages.
        existing: Columns of the table.
        job_columns: Columns of the job.
        options: The job's schemaUpdateOptions.

    Raises:
        ApiError: The job's columns do not fit, and no option allows the change.
    """
    added_columns = [column for column in job_columns if find(existing, column["name"]) is None]
    _check_additions(table, added_columns, options)
    relaxed = []
    for column in existing:
        counterpart = find(job_columns, column["name"])
        if counterpart is not None and _is_relaxed(table, column, counterpart, options):
            relaxed.append(column["name"])
        elif counterpart is None and column["mode"] == "REQUIRED":
            raise mismatch(table, f"Missing required field: {column['name']}")
    return Evolution([*_relax(existing, relaxed), *added_columns], added_columns, relaxed)


def mismatch(table: str, detail: str) -> ApiError:
    """Build BigQuery's error for columns that do not fit a table."""
    return invalid(f"Provided Schema does not match Table {table}. {detail}")


def _check_additions(table: str, added_columns: list[Column], options: Collection[str]) -> None:
    for column in added_columns:
        if ADDITION not in options:
            raise mismatch(table, f"Cannot add fields (field: {column['name']})")
        if column["mode"] == "REQUIRED":
            raise mismatch(table, f"Cannot add required fields to an existing schema (field: {column['name']})")


def _is_relaxed(table: str, column: Column, job_column: Column, options: Collection[str]) -> bool:
    name, old_mode, new_mode = column["name"], column["mode"], job_column["mode"]
    if job_column["type"] != column["type"]:
        raise mismatch(table, f"Field {name} has changed type from {column['type']} to {job_column['type']}")
    _check_members(table, column, job_column)
    if old_mode == new_mode:
        return False
    if (old_mode, new_mode) == ("REQUIRED", "NULLABLE") and RELAXATION in options:
        return True
    raise mismatch(table, f"Field {name} has changed mode from {old_mode} to {new_mode}")


def _check_members(table: str, column: Column, job_column: Column) -> None:
    if column["type"] != "RECORD":
        return
    try:
        evolve(table, column["fields"], job_column["fields"], ())
    except ApiError as fault:
        raise invalid(f"{fault.message}, inside the RECORD {column['name']}") from fault


def _relax(columns: list[Column], names: Collection[str]) -> list[Column]:
    return [{**column, "mode": "NULLABLE"} if column["name"] in names else column for column in columns]
