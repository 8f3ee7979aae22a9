"""Which datasets and tables exist: kept in the same file, and changed in the same transactions, as their rows.

Here: reading and writing the metadata, and the DuckDB tables that follow it. The API's rules on
requests are in `datasets` and `tables`, those on schemas in `schema`.
"""

import dataclasses
import datetime as dt
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.sandbox.bigquery.errors import duplicate, invalid, not_found, unsupported
from klaviyo_assets.sandbox.bigquery.names import physical_name
from klaviyo_assets.sandbox.bigquery.schema import Column, Evolution, column_definition, fields_of, find
from klaviyo_assets.sandbox.bigquery.sql.model import Field, TableRef
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import Cursor, count_of, fetch_row

SET_UP = (
    "CREATE SCHEMA IF NOT EXISTS catalog",
    "CREATE TABLE IF NOT EXISTS catalog.datasets (dataset VARCHAR NOT NULL, document VARCHAR NOT NULL)",
    "CREATE TABLE IF NOT EXISTS catalog.tables "
    "(dataset VARCHAR NOT NULL, name VARCHAR NOT NULL, document VARCHAR NOT NULL)",
)
"""No keys: names are guarded by locks, and DuckDB's indexes refuse a delete and insert of one key in a transaction."""


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC, the API's unit."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Dataset:
    """A dataset's metadata; times are milliseconds since 1970 UTC."""

    name: str
    location: str
    description: str | None = None
    friendly_name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    created: int = field(default_factory=now_ms)
    modified: int = field(default_factory=now_ms)
    etag: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Table:
    """A table's or view's metadata; times are milliseconds since 1970 UTC.

    Attributes:
        ref: Project, dataset, table.
        columns: The schema as the API shows it.
        partition_field: The DATE or TIMESTAMP column whose UTC day a row's partition is, if any.
        cluster_fields: Stored and shown; DuckDB does not use them.
        view_query: The GoogleSQL text of a view.
    """

    ref: TableRef
    columns: list[Column]
    partition_field: str | None = None
    cluster_fields: tuple[str, ...] = ()
    view_query: str | None = None
    description: str | None = None
    friendly_name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    created: int = field(default_factory=now_ms)
    modified: int = field(default_factory=now_ms)
    etag: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __str__(self) -> str:
        """Return the name as BigQuery's messages write it."""
        return f"{self.ref[0]}:{self.ref[1]}.{self.ref[2]}"

    @property
    def physical(self) -> str:
        """The quoted name of the DuckDB table that holds the rows."""
        return quoted_name(physical_name(self.ref))

    @property
    def is_view(self) -> bool:
        """Whether it has a query in place of rows."""
        return self.view_query is not None

    def day_sql(self) -> str:
        """Return the SQL expression of a row's partition day.

        Raises:
            ApiError: The table has no partitions.
        """
        column = find(self.columns, self.partition_field or "")
        if column is None:
            raise invalid(f"Table {self} is not partitioned, so $YYYYMMDD cannot address a part of it.")
        name = quoted_name(column["name"])
        return name if column["type"] == "DATE" else f"CAST({name} AT TIME ZONE 'UTC' AS DATE)"


class Catalog:
    """The metadata as one transaction sees it; it is the `SchemaLookup` of a translation too."""

    def __init__(self, cursor: Cursor, project: str) -> None:
        self.cursor, self.project = cursor, project
        # A translation asks for the same few tables again and again, and each answer is a query.
        self._known_tables: dict[TableRef, Table | None] = {}

    def forget(self) -> None:
        """Read every table anew: the transaction has ended."""
        self._known_tables.clear()

    def datasets(self) -> list[Dataset]:
        """Return all datasets by name."""
        rows = self.cursor.execute("SELECT document FROM catalog.datasets ORDER BY dataset").fetchall()
        return [Dataset(**json.loads(document)) for (document,) in rows]

    def dataset(self, name: str) -> Dataset:
        """Return one dataset.

        Raises:
            ApiError: There is none of that name.
        """
        sql = "SELECT document FROM catalog.datasets WHERE dataset = ?"
        row = fetch_row(self.cursor, sql, [name])
        if row is None:
            raise not_found(f"Dataset {self.project}:{name}")
        return Dataset(**json.loads(row[0]))

    def add_dataset(self, dataset: Dataset) -> None:
        """Store a new dataset.

        Raises:
            ApiError: The name is taken.
        """
        for sibling in self.datasets():
            if sibling.name == dataset.name:
                raise duplicate(f"Dataset {self.project}:{dataset.name}")
            if sibling.name.lower() == dataset.name.lower():
                raise unsupported(f"datasets whose names differ only in case ({sibling.name}, {dataset.name})")
        self._insert_dataset(dataset)

    def replace_dataset(self, dataset: Dataset) -> Dataset:
        """Store the new state of a dataset under a new etag."""
        fresh = dataclasses.replace(dataset, modified=now_ms(), etag=uuid.uuid4().hex)
        self.cursor.execute("DELETE FROM catalog.datasets WHERE dataset = ?", [dataset.name])
        self._insert_dataset(fresh)
        return fresh

    def remove_dataset(self, name: str) -> None:
        """Forget an empty dataset."""
        self.cursor.execute("DELETE FROM catalog.datasets WHERE dataset = ?", [name])

    def _insert_dataset(self, dataset: Dataset) -> None:
        row = [dataset.name, json.dumps(dataclasses.asdict(dataset))]
        self.cursor.execute("INSERT INTO catalog.datasets VALUES (?, ?)", row)

    def tables(self, dataset: str) -> list[Table]:
        """Return a dataset's tables and views by name."""
        sql = "SELECT document FROM catalog.tables WHERE dataset = ? ORDER BY name"
        return [_table(document) for (document,) in self.cursor.execute(sql, [dataset]).fetchall()]

    def find_table(self, ref: TableRef) -> Table | None:
        """Return a table or view, None when there is none."""
        if ref[0] != self.project:
            return None
        if ref not in self._known_tables:
            self._known_tables[ref] = self._read_table(ref)
        return self._known_tables[ref]

    def _read_table(self, ref: TableRef) -> Table | None:
        sql = "SELECT document FROM catalog.tables WHERE dataset = ? AND name = ?"
        row = fetch_row(self.cursor, sql, [ref[1], ref[2]])
        return _table(row[0]) if row else None

    def get_table(self, ref: TableRef) -> Table:
        """Return a table or view.

        Raises:
            ApiError: There is none of that name.
        """
        table = self.find_table(ref)
        if table is None:
            raise not_found(f"Table {ref[0]}:{ref[1]}.{ref[2]}")
        return table

    def create_table(self, table: Table) -> None:
        """Store a new table or view, and create its empty DuckDB table.

        Raises:
            ApiError: Its dataset is missing, or the name is taken.
        """
        project, dataset, name = table.ref
        self.dataset(dataset)
        names = "SELECT name FROM catalog.tables WHERE dataset = ?"
        for (sibling,) in self.cursor.execute(names, [dataset]).fetchall():
            if sibling == name:
                raise duplicate(f"Table {table}")
            if sibling.lower() == name.lower():
                raise unsupported(f"tables whose names differ only in case ({project}:{dataset}.{sibling}, {table})")
        self._create_physical(table)
        self._insert_table(table)

    def replace_table(self, table: Table) -> Table:
        """Store the new metadata of a table under a new etag; its rows do not change."""
        fresh = dataclasses.replace(table, modified=now_ms(), etag=uuid.uuid4().hex)
        self._delete_row(table.ref)
        self._insert_table(fresh)
        return fresh

    def recreate(self, table: Table) -> Table:
        """Empty a table by creating it again with its current columns."""
        self.cursor.execute(f"DROP TABLE {table.physical}")
        self._create_physical(table)
        return self.replace_table(table)

    def drop_table(self, table: Table) -> None:
        """Remove a table with its rows, or a view."""
        if not table.is_view:
            self.cursor.execute(f"DROP TABLE {table.physical}")
        self._delete_row(table.ref)

    def change_columns(self, table: Table, evolution: Evolution) -> Table:
        """Add and relax columns of a table with rows."""
        for column in evolution.added_columns:
            self.cursor.execute(f"ALTER TABLE {table.physical} ADD COLUMN {column_definition(column)}")
        for name in evolution.relaxed:
            self.cursor.execute(f"ALTER TABLE {table.physical} ALTER COLUMN {quoted_name(name)} DROP NOT NULL")
        if evolution.columns == table.columns:
            return table
        return self.replace_table(dataclasses.replace(table, columns=evolution.columns))

    def _create_physical(self, table: Table) -> None:
        if not table.is_view:
            columns = ", ".join(column_definition(column) for column in table.columns)
            self.cursor.execute(f"CREATE TABLE {table.physical} ({columns})")

    def _insert_table(self, table: Table) -> None:
        self._known_tables.pop(table.ref, None)
        row = [table.ref[1], table.ref[2], json.dumps(dataclasses.asdict(table))]
        self.cursor.execute("INSERT INTO catalog.tables VALUES (?, ?, ?)", row)

    def _delete_row(self, ref: TableRef) -> None:
        self._known_tables.pop(ref, None)
        self.cursor.execute("DELETE FROM catalog.tables WHERE dataset = ? AND name = ?", [ref[1], ref[2]])

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """Return the columns of a table or view.

        Raises:
            KeyError: There is none of that name.
        """
        stored_table = self.find_table(ref)
        if stored_table is None:
            raise KeyError(ref)
        return fields_of(stored_table.columns)

    def view(self, ref: TableRef) -> str | None:
        """Return the GoogleSQL text of a view; None for a table."""
        stored_table = self.find_table(ref)
        return stored_table.view_query if stored_table else None


def _table(document: str) -> Table:
    state: dict[str, Any] = json.loads(document)
    project, dataset, name = state.pop("ref")
    state["cluster_fields"] = tuple(state["cluster_fields"])
    return Table(ref=(project, dataset, name), **state)


def count_rows(cursor: Cursor, table: Table, day: dt.date | None = None) -> int:
    """Count the rows of a table or of one of its days; a view has none of its own."""
    if table.is_view:
        return 0
    where, values = (f" WHERE {table.day_sql()} = ?", [day]) if day else ("", [])
    return count_of(cursor, f"SELECT count(*) FROM {table.physical}{where}", values)


def partitions(cursor: Cursor, table: Table) -> Iterator[tuple[str, int]]:
    """Give each partition's id and its number of rows, in order of the ids."""
    day = table.day_sql()
    sql = (
        f"SELECT coalesce(strftime({day}, '%Y%m%d'), '__NULL__'), count(*) FROM {table.physical} GROUP BY 1 ORDER BY 1"
    )
    for identifier, rows in cursor.execute(sql).fetchall():
        yield str(identifier), int(rows)
