"""A DuckDB in this process with a few tables, and a way to run GoogleSQL on it as the stand-in does."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from klaviyo_assets.sandbox.bigquery.sql import (
    Field,
    Parameter,
    Statement,
    TableRef,
    duckdb_type,
    session_setup,
    translate,
)
from klaviyo_assets.sandbox.bigquery.sql.types import from_field

PROJECT, DATASET = "p", "d"

EVENT = (
    Field("event_id", "STRING", "REQUIRED"),
    Field("occurred_at", "TIMESTAMP"),
    Field("occurred_on", "DATE"),
    Field("metric", "STRING"),
    Field("person_id", "STRING"),
    Field("campaign_id", "STRING"),
    Field("value", "NUMERIC"),
    Field("quantity", "INTEGER"),
    Field("score", "FLOAT"),
    Field("is_machine_open", "BOOLEAN"),
    Field("properties", "STRING"),
    Field("tags", "STRING", "REPEATED"),
    Field("touches", "RECORD", "REPEATED", (Field("rank", "INTEGER"), Field("channel", "STRING"))),
)
CAMPAIGN = (Field("campaign_id", "STRING"), Field("name", "STRING"), Field("send_at", "TIMESTAMP"))

EVENTS = """
('e1', '2024-05-01 23:30:00+00', '2024-05-01', 'open', 'ann', 'c1', NULL, 1, 0.5, true, '{"$ua": "x", "n": 1}',
 ['a', 'b'], [{'rank': 1, 'channel': 'email'}, {'rank': 2, 'channel': 'sms'}]),
('e2', '2024-05-01 10:00:00+00', '2024-05-01', 'open', 'bob', 'c1', NULL, 2, 1.5, false, '{}', ['b'], []),
('e3', '2024-05-02 03:30:00+00', '2024-05-02', 'order', 'ann', 'c1', 19.99, 3, NULL, NULL, NULL, [], []),
('e4', '2024-05-02 12:00:00+00', '2024-05-02', 'order', 'cat', 'c2', 0.01, 4, 2.5, false, 'broken', ['c'], []),
('e5', '2024-05-04 00:00:00+00', '2024-05-04', 'click', 'ann', NULL, NULL, NULL, NULL, NULL, NULL, [], [])
"""
CAMPAIGNS = """
('c1', 'Spring', '2024-04-30 08:00:00+00'), ('c2', 'Summer', NULL), ('c3', 'Autumn', '2024-06-01 08:00:00+00')
"""


def physical_name(ref: TableRef) -> str:
    """Tables live in the main schema under their dotted name."""
    return '"' + ".".join(ref) + '"'


def day(text: str) -> date:
    """A DATE."""
    return date.fromisoformat(text)


def moment(text: str) -> datetime:
    """A TIMESTAMP."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def money(text: str) -> Decimal:
    """A NUMERIC."""
    return Decimal(text)


class Engine:
    """A session: tables by name, and what a script changes in them."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in session_setup():
            self.connection.execute(statement)
        self.tables: dict[TableRef, tuple[Field, ...]] = {}
        self.views: dict[TableRef, tuple[str, tuple[Field, ...]]] = {}

    def add(self, name: str, fields: tuple[Field, ...], rows: str = "") -> None:
        """A table with rows given as a DuckDB VALUES list."""
        ref = (PROJECT, DATASET, name)
        self.tables[ref] = fields
        columns = ", ".join(f'"{field.name}" {from_field(field).duckdb}' for field in fields)
        self.connection.execute(f"CREATE OR REPLACE TABLE {physical_name(ref)} ({columns})")
        if rows:
            self.connection.execute(f"INSERT INTO {physical_name(ref)} VALUES {rows}")

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """See SchemaLookup."""
        return self.views[ref][1] if ref in self.views else self.tables[ref]

    def view(self, ref: TableRef) -> str | None:
        """See SchemaLookup."""
        return self.views[ref][0] if ref in self.views else None

    def translate(self, sql: str, *parameters: Parameter) -> list[Statement]:
        """The statements of a script."""
        return translate(
            sql,
            parameters=parameters,
            schemas=self,
            default_project=PROJECT,
            default_dataset=DATASET,
            physical_name=physical_name,
        )

    def rows(self, sql: str, *parameters: Parameter) -> list[tuple[Any, ...]]:
        """Run a script; the last statement's rows. The announced types are checked against DuckDB's."""
        rows: list[tuple[Any, ...]] = []
        for statement in self.translate(sql, *parameters):
            if not statement.duckdb_sql:
                continue
            reader = self.connection.execute(statement.duckdb_sql, statement.parameters or None)
            column_types = [(column[0], str(column[1]).replace('"', "")) for column in reader.description]
            rows = reader.fetchall()
            if statement.kind == "SELECT":
                assert column_types == [(each.name, described(each)) for each in statement.schema]
        return rows

    def value(self, expression: str, *parameters: Parameter) -> Any:
        """The value of one expression."""
        return self.rows(f"SELECT {expression} AS x", *parameters)[0][0]

    def kind(self, expression: str) -> str:
        """The API type of an expression, REPEATED spelt out."""
        column = self.translate(f"SELECT {expression} AS x")[0].schema[0]
        return f"REPEATED {column.type}" if column.mode == "REPEATED" else column.type


def described(field: Field) -> str:
    """A field's DuckDB type as DuckDB describes it."""
    return from_field(field).duckdb.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE").replace('"', "")


def shop() -> Engine:
    """An engine with the tables `event` and `campaign`."""
    engine = Engine()
    engine.add("event", EVENT, EVENTS)
    engine.add("campaign", CAMPAIGN, CAMPAIGNS)
    assert duckdb_type("NUMERIC") == "DECIMAL(38,9)"
    return engine
