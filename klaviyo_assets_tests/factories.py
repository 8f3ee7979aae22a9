"""Rows and frames built from specs, so that a test states only what it is about.

Here: valid raw rows (as Fivetran writes them), raw frames (as extraction reads them) and mapped frames. Not here:
random ones (`strategies.py`).
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from klaviyo_assets.model.arrow import arrow_type, mapped_schema, table_to_frame
from klaviyo_assets.model.spec import PACKED, UNLISTED, Column, Constraint, LogicalType, TableSpec, plain_spelling

Row = Mapping[str, Any]
NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


def raw_rows(spec: TableSpec, *overrides: Row) -> list[dict[str, Any]]:
    """One valid raw row per override (one row if there is none), keys as Fivetran names columns.

    Every listed column has a value; keys and instants differ from row to row, custom fields are absent. An override
    may name any column, also one that the spec does not list.
    """
    mapped = {column.raw: column for column in spec.columns if column.raw}
    return [
        {raw.name: _value(raw.name, raw.type, mapped.get(raw.name), number) for raw in spec.raw} | dict(override)
        for number, override in enumerate(overrides or ({},))
    ]


def raw_frame(spec: TableSpec, *overrides: Row) -> pd.DataFrame:
    """`raw_rows` as extraction reads them; see `extracted`."""
    return extracted(spec, raw_rows(spec, *overrides))


def extracted(spec: TableSpec, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Raw rows as extraction reads them: the spec's raw columns and properties, `_properties` and `_packed`.

    A column comes as its logical type where all its values have it, else as text, just as extraction hands over a
    Postgres column of another type. Columns the spec does not list are gathered as JSON in `_properties`.
    """
    properties = [f"property_{field.name}" for field in spec.properties]
    columns = {raw.name: _typed([row.get(raw.name) for row in rows], raw.type) for raw in spec.raw}
    columns |= {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in properties}
    column_names = {*columns, *([spec.custom_fields.packed] if spec.custom_fields else [])}
    columns[UNLISTED] = pa.array([_unlisted(spec, row, column_names) for row in rows], pa.string())
    columns[PACKED] = pa.array([_packed(spec, row) for row in rows], pa.string())
    return table_to_frame(pa.table(columns))


def mapped_frame(spec: TableSpec, *overrides: Row) -> pd.DataFrame:
    """A mapped frame that passes every check: one row per override (one row if there is none)."""
    rows = [
        {column.name: _value(column.name, column.type, column, number) for column in spec.columns} | dict(override)
        for number, override in enumerate(overrides or ({},))
    ]
    schema = pa.schema([field.with_nullable(True) for field in mapped_schema(spec)])
    return table_to_frame(pa.Table.from_pylist(rows, schema=schema))


def _value(name: str, logical: LogicalType, column: Column | None, number: int) -> Any:
    """A value of the type that keeps the column's rules; different from row to row where the type allows it."""
    plain = {
        LogicalType.STRING: f"{name}_{number}",
        LogicalType.INTEGER: number + 1,
        LogicalType.FLOAT: number + 0.5,
        LogicalType.NUMERIC: Decimal(number) + Decimal("10.50"),
        LogicalType.BOOLEAN: False,
        LogicalType.TIMESTAMP: NOON + timedelta(seconds=number),
        LogicalType.DATE: date(2024, 1, 31),
        LogicalType.JSON: "{}",
    }[logical]
    rules = column.constraints if column else ()
    listed = [
        word for rule in rules if rule.name == "one_of" for word in rule.description[len("one of ") :].split(", ")
    ]
    for candidate in (plain, *listed, "EUR", "email", 0, 1):
        if all(_holds(rule, candidate, logical) for rule in rules):
            return candidate
    raise AssertionError(f"no candidate keeps the rules of {name!r}: add one to _value")


def _holds(rule: Constraint, value: Any, logical: LogicalType) -> bool:
    if isinstance(value, str) != (logical in {LogicalType.STRING, LogicalType.JSON}):
        return False
    return bool(rule.holds(pd.Series([value], dtype=pd.ArrowDtype(arrow_type(logical)))).all())


def _typed(values: list[Any], logical: LogicalType) -> pa.Array:
    try:
        return pa.array(values, arrow_type(logical))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value)


def _unlisted(spec: TableSpec, row: Row, column_names: set[str]) -> str | None:
    prefix = spec.custom_fields.prefix if spec.custom_fields else ""
    fields = {
        plain_spelling(name.removeprefix(prefix)): value
        for name, value in row.items()
        if name not in column_names and value is not None
    }
    return json.dumps(fields) if fields else None


def _packed(spec: TableSpec, row: Row) -> str | None:
    return _text(row.get(spec.custom_fields.packed)) if spec.custom_fields else None
