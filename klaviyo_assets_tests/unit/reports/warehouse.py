"""One account's dataset in this process: GoogleSQL through the sandbox's translator on an in-memory DuckDB.

Here: tables made from the specs, loading mapped rows, running statements with parameters. Not here: HTTP, jobs and
load rules, which the sandbox's server has.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from klaviyo_assets.accounts import Account, AttributionSettings
from klaviyo_assets.model.arrow import arrow_type
from klaviyo_assets.model.spec import LogicalType, TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.statement import (
    PARAMETER_TYPES,
    Days,
    affected,
    affected_parameters,
    restate,
    restate_parameters,
)
from klaviyo_assets.sandbox.bigquery.sql import Field, Parameter, session_setup, translate
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.reference import Mapped, Row, Standing

PROJECT, DATASET = "a-project", "klaviyo_acme"
LOCATION = f"{PROJECT}.{DATASET}"
READ = ("event", "attribution", "metric", "campaign", "list", "list_person", "segment", "segment_person", "person")
SPECS: dict[str, TableSpec] = {**{name: TABLES[name] for name in READ}, **REPORTS}
_API_TYPES = {kind: kind.value for kind in LogicalType} | {LogicalType.JSON: "STRING"}


class Schemas:
    """The tables' columns, as the translator asks for them."""

    def table(self, ref: tuple[str, str, str]) -> tuple[Field, ...]:
        """Columns of a table; KeyError when there is none."""
        return fields(SPECS[ref[2]])

    def view(self, ref: tuple[str, str, str]) -> str | None:
        """There are no views here."""
        return None


def fields(spec: TableSpec) -> tuple[Field, ...]:
    """A table's columns, as the translator knows them."""
    columns = spec.columns
    return tuple(Field(c.name, _API_TYPES[c.type], "REQUIRED" if c.required else "NULLABLE") for c in columns)


def new_dataset(specs: Mapping[str, TableSpec]) -> duckdb.DuckDBPyConnection:
    """A dataset with these tables, all empty."""
    connection = duckdb.connect(":memory:")
    for setting in session_setup():
        connection.execute(setting)
    connection.execute(f"ATTACH ':memory:' AS \"{PROJECT}\"")
    connection.execute(f'CREATE SCHEMA "{PROJECT}"."{DATASET}"')
    for name, spec in specs.items():
        connection.register("empty", table_of(spec, []))
        connection.execute(f"CREATE TABLE {place(name)} AS FROM empty")
    return connection


class Warehouse:
    """A dataset with the mapped tables and the reports, empty at first."""

    def __init__(self) -> None:
        self.connection = new_dataset(SPECS)

    def load(self, mapped: Mapped) -> None:
        """Replace the mapped rows; the reports stay as they are."""
        self.load_rows(
            {
                "event": mapped.events,
                "attribution": mapped.attribution,
                "campaign": mapped.campaigns,
                "list": mapped.lists,
            }
        )

    def load_rows(self, tables: Mapping[str, list[Row]]) -> None:
        """Replace mapped tables by rows; columns that these lack are null."""
        self.load_tables({name: table_of(SPECS[name], rows) for name, rows in tables.items()})

    def load_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """Replace mapped tables by Arrow tables of their columns; others and the reports stay as they are."""
        for name, table in tables.items():
            self.connection.register("fresh", table)
            self.connection.execute(f"TRUNCATE {place(name)}")
            self.connection.execute(f"INSERT INTO {place(name)} BY NAME FROM fresh")

    def restate(self, report: ReportSpec, standing: Standing, days: Days) -> None:
        """Restate days of a report."""
        self.run(_restate(report.name), restate_parameters(_account(standing), days, standing.data_through))

    def affected(self, report: ReportSpec, standing: Standing, event_days: Iterable[Any], ids: Iterable[str]) -> Days:
        """The days of a report that a change of event days and campaigns concerns; a lifetime is made anew."""
        if not report.affected_sql:
            return Days.all()
        parameters = affected_parameters(_account(standing), list(event_days), list(ids))
        return Days.of([row[0] for row in self.run(_affected(report.name), parameters)])

    def rows(self, report: ReportSpec) -> list[Row]:
        """All rows of a report."""
        rows: list[Row] = self.connection.sql(f"FROM {place(report.name)}").to_arrow_table().to_pylist()
        return rows

    def run(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run one GoogleSQL statement."""
        given = [Parameter(name, PARAMETER_TYPES[name], wire(value)) for name, value in parameters.items()]
        (statement,) = translate(
            sql, parameters=given, schemas=Schemas(), default_project=PROJECT, default_dataset=DATASET,
            physical_name=lambda ref: place(ref[2]),
        )  # fmt: skip
        return self.connection.execute(statement.duckdb_sql, statement.parameters).fetchall()


def differences(report: ReportSpec, actual_rows: list[Row], expected_rows: list[Row]) -> list[str]:
    """Every cell that is not as wanted, as `grain column: found, wanted`; rows that are missing or too many."""
    columns = report.grain_columns
    by_key = [{tuple(row[name] for name in columns): row for row in rows} for rows in (actual_rows, expected_rows)]
    left, right = by_key
    assert len(left) == len(actual_rows), "two rows of one grain"
    faults = [f"{key} is too many" for key in left.keys() - right]
    faults += [f"{key} is missing" for key in right.keys() - left]
    for key in left.keys() & right:
        assert left[key].keys() == right[key].keys() == set(report.column_names)
        faults += [
            f"{key} {name}: {left[key][name]!r}, {right[key][name]!r}"
            for name in report.column_names if not _same(left[key][name], right[key][name])
        ]  # fmt: skip
    return sorted(faults)


@cache
def _restate(name: str) -> str:
    return restate(REPORTS[name], LOCATION)


@cache
def _affected(name: str) -> str:
    return affected(REPORTS[name], LOCATION)


def _same(actual_value: Any, expected_value: Any) -> bool:
    if isinstance(expected_value, float) and isinstance(actual_value, float):
        return abs(actual_value - expected_value) < 1e-12
    return bool(actual_value == expected_value)


def wire(value: Any) -> Any:
    """A parameter's value as the API sends it: texts, and lists of them."""
    if isinstance(value, list):
        return [wire(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _account(standing: Standing) -> Account:
    windows = AttributionSettings(windows={"email_click": int(standing.window.total_seconds())})
    return Account("acme", "acme", timezone=standing.timezone, currency=standing.currency, attribution=windows)


def place(name: str) -> str:
    """A table's name in DuckDB."""
    return f'"{PROJECT}"."{DATASET}"."{name}"'


def table_of(spec: TableSpec, rows: list[Row]) -> pa.Table:
    """Rows with a table's columns; those that a row leaves out are null."""
    schema = pa.schema([(column.name, arrow_type(column.type)) for column in spec.columns])
    return pa.Table.from_pylist(rows, schema=schema)
