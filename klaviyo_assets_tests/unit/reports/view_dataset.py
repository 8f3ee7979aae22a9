"""One account's dataset with every table, report and view, in this process: GoogleSQL on an in-memory DuckDB.

Here: tables made from the specs, views made by the product's own statements, filling tables, reading anything. Not
here: what a report computes; reports are filled with rows as they are wanted, or restated.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pyarrow as pa

from klaviyo_assets.accounts import Account
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import PARAMETER_TYPES, Days, restate, restate_parameters
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.statement import create_view
from klaviyo_assets.sandbox.bigquery.sql import Field, Parameter, Statement, TableRef, translate
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.unit.reports.warehouse import (
    DATASET,
    LOCATION,
    PROJECT,
    fields,
    new_dataset,
    place,
    table_of,
    wire,
)

ACCOUNT = Account("acme", "acme", timezone="Europe/Berlin", currency="EUR")
SPECS: dict[str, TableSpec] = {**TABLES, **REPORTS}

Row = dict[str, Any]


class Schemas:
    """The columns of tables and views, and the views' texts, as the translator asks for them."""

    def __init__(self) -> None:
        self.views: dict[str, Statement] = {}

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """Columns of a table or view; KeyError when there is none."""
        if ref[2] in self.views:
            return self.views[ref[2]].schema
        return fields(SPECS[ref[2]])

    def view(self, ref: TableRef) -> str | None:
        """The query of a view."""
        return self.views[ref[2]].options["view_query"] if ref[2] in self.views else None

    def translated(self, sql: str, parameters: Iterable[Parameter] = ()) -> Statement:
        """One GoogleSQL statement, ready for DuckDB."""
        (statement,) = translate(
            sql, parameters=list(parameters), schemas=self, default_project=PROJECT, default_dataset=DATASET,
            physical_name=lambda ref: place(ref[2]),
        )  # fmt: skip
        return statement


@cache
def schemas() -> Schemas:
    """Every table, report and view; views are made in the order of `VIEWS`, so each one's reads have to come first."""
    all_schemas = Schemas()
    for name, view in VIEWS.items():
        all_schemas.views[name] = all_schemas.translated(create_view(view, LOCATION, ACCOUNT))
    return all_schemas


@cache
def _all_rows(name: str) -> str:
    return schemas().translated(f"SELECT * FROM `{name}`").duckdb_sql


class Dataset:
    """All tables and reports, empty at first, and the views over them."""

    def __init__(self) -> None:
        self.connection = new_dataset(SPECS)

    def fill(self, **tables: list[Row]) -> None:
        """Replace the rows of tables and reports by name; columns that a row leaves out are null."""
        for name, rows in tables.items():
            self.connection.register("fresh", _table(SPECS[name], rows))
            self.connection.execute(f"TRUNCATE {place(name)}")
            self.connection.execute(f"INSERT INTO {place(name)} FROM fresh")

    def clear(self) -> None:
        """Empty every table and report."""
        for name in SPECS:
            self.connection.execute(f"TRUNCATE {place(name)}")

    def rows(self, name: str) -> list[Row]:
        """All rows of a table, report or view."""
        rows: list[Row] = self.connection.sql(_all_rows(name)).to_arrow_table().to_pylist()
        return rows

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a GoogleSQL query."""
        return self.connection.execute(schemas().translated(sql).duckdb_sql).fetchall()

    def restate(self, report: str, data_through: Any) -> None:
        """Compute all rows of a report from the tables."""
        given = restate_parameters(ACCOUNT, Days.all(), data_through)
        parameters = [Parameter(name, PARAMETER_TYPES[name], wire(value)) for name, value in given.items()]
        statement = schemas().translated(restate(REPORTS[report], LOCATION), parameters)
        self.connection.execute(statement.duckdb_sql, statement.parameters)


def _table(spec: TableSpec, rows: list[Row]) -> pa.Table:
    column_names = set(spec.column_names)
    assert all(row.keys() <= column_names for row in rows), "a row has a column that its table lacks"
    return table_of(spec, rows)
