"""How each kind of statement changes tables and results.

Here: running one translated statement. Scripts and their transactions are in `queries`.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Table
from klaviyo_assets.sandbox.bigquery.destinations import (
    Destination,
    RowFile,
    cluster_fields,
    partition_field,
    write_file,
)
from klaviyo_assets.sandbox.bigquery.errors import duplicate, invalid_query, not_found
from klaviyo_assets.sandbox.bigquery.information_schema import rows_of_view
from klaviyo_assets.sandbox.bigquery.names import physical_name, reference
from klaviyo_assets.sandbox.bigquery.results import ResultFiles
from klaviyo_assets.sandbox.bigquery.schema import (
    ADDITION,
    Column,
    column_definition,
    columns_of,
    evolve,
)
from klaviyo_assets.sandbox.bigquery.sql import Statement
from klaviyo_assets.sandbox.bigquery.sql.information_schema import PREFIX
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import count_of

DDL = ("CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "CREATE_VIEW", "DROP_TABLE", "DROP_VIEW", "ALTER_TABLE")
_DML = ("INSERT", "UPDATE", "DELETE", "TRUNCATE_TABLE")
_COUNTS = {"INSERT": "insertedRowCount", "UPDATE": "updatedRowCount", "DELETE": "deletedRowCount"}


@contextmanager
def relations(catalog: Catalog, reads: Iterable[TableRef]) -> Iterator[None]:
    """Provide the INFORMATION_SCHEMA views that a statement reads."""
    names = []
    for ref in reads:
        if ref[2].startswith(PREFIX):
            names.append(physical_name(ref))
            catalog.cursor.register(names[-1], rows_of_view(catalog, ref))
    try:
        yield
    finally:
        for name in names:
            catalog.cursor.unregister(name)


class Execution:
    """The run of a job's statements, within the job's transaction.

    Attributes:
        statistics: What the last statement adds to `statistics.query`.
        result: Columns and number of rows of the last SELECT.
    """

    def __init__(self, catalog: Catalog, job_id: str, results: ResultFiles, destination: Destination | None) -> None:
        self.catalog, self._job_id, self._results, self._destination = catalog, job_id, results, destination
        self.statistics: dict[str, Any] = {}
        self.result: dict[str, Any] | None = None

    def run(self, statement: Statement) -> None:
        """Run one statement.

        Raises:
            ApiError: It cannot be run on the tables as they are.
            duckdb.Error: The data does not allow it (a division by zero, a failed cast).
        """
        self.statistics = {}
        if statement.kind in _DML or statement.kind == "MERGE":
            self._change_rows(statement)
        else:
            _RUNNERS[statement.kind](self, statement)

    def select(self, statement: Statement) -> None:
        """Store the rows of a SELECT, and write them to the job's destination if it has one."""
        columns = columns_of(statement.schema)
        names = [column["name"] for column in columns]
        self._check_names(names)
        cursor = self.catalog.cursor
        rows = self._results.write(cursor, self._job_id, names, statement.duckdb_sql, statement.parameters)
        self.result = {"columns": columns, "rows": rows}
        if self._destination is not None:
            self.catalog.dataset(self._destination.address.ref[1])
            file = RowFile(self._results.path(self._job_id), columns, columns)
            write_file(self.catalog, self._destination, file)

    def check(self, statement: Statement) -> None:
        """Run an ASSERT; its SQL raises when the condition is false."""
        self.catalog.cursor.execute(statement.duckdb_sql, statement.parameters).fetchall()

    def create(self, statement: Statement) -> None:
        """Run CREATE TABLE and CREATE TABLE AS SELECT."""
        columns = _with_descriptions(statement)
        if self._keeps_existing(statement):
            return
        options = statement.options
        partition = options.get("partition_field")
        table = Table(
            _target(statement),
            columns,
            partition_field({"field": partition} if partition else None, columns),
            cluster_fields({"fields": options.get("cluster_fields") or ()}, columns),
            description=options.get("description"),
            friendly_name=options.get("friendly_name"),
            labels=dict(options.get("labels") or {}),
        )
        staged = self._stage(statement, columns) if statement.duckdb_sql else None
        self._drop_replaced(statement)
        self.catalog.create_table(table)
        if staged:
            self.catalog.cursor.execute(f"INSERT INTO {table.physical} SELECT * FROM temp.{staged}")
            self.catalog.cursor.execute(f"DROP TABLE temp.{staged}")

    def create_view(self, statement: Statement) -> None:
        """Store a view's query and its output columns."""
        if self._keeps_existing(statement):
            return
        options = statement.options
        view = Table(
            _target(statement),
            _with_descriptions(statement),
            view_query=options["view_query"],
            description=options.get("description"),
            friendly_name=options.get("friendly_name"),
            labels=dict(options.get("labels") or {}),
        )
        self._drop_replaced(statement)
        self.catalog.create_table(view)

    def drop(self, statement: Statement) -> None:
        """Run DROP TABLE and DROP VIEW."""
        table = self._existing(statement)
        if table is None:
            if not statement.options.get("if_exists"):
                raise not_found(f"Table {_full_name(_target(statement))}")
            self._ddl(statement, "SKIP")
            return
        if table.is_view != (statement.kind == "DROP_VIEW"):
            raise invalid_query(f"{table} is a {'view' if table.is_view else 'table'}: use DROP of that kind")
        self.catalog.drop_table(table)
        self._ddl(statement, "DROP")

    def alter(self, statement: Statement) -> None:
        """Add columns to a table."""
        table = self._existing(statement)
        if table is None:
            if statement.options.get("if_exists"):
                self._ddl(statement, "SKIP")
                return
            raise not_found(f"Table {_full_name(_target(statement))}")
        added_columns = columns_of(statement.schema)
        optional = [{**column, "mode": _relaxed(column)} for column in table.columns]
        evolution = evolve(str(table), optional, [*optional, *added_columns], {ADDITION})
        self.catalog.change_columns(
            table, dataclasses.replace(evolution, columns=[*table.columns, *evolution.added_columns])
        )
        self._ddl(statement, "ALTER")

    def _change_rows(self, statement: Statement) -> None:
        target = _target(statement)
        table = self.catalog.get_table(target)
        cursor = self.catalog.cursor
        if statement.kind == "MERGE":
            sql = f"{statement.duckdb_sql} RETURNING merge_action"
            counts = Counter(action for (action,) in cursor.execute(sql, statement.parameters).fetchall())
        else:
            kind = "DELETE" if statement.kind == "TRUNCATE_TABLE" else statement.kind
            counts = Counter({kind: count_of(cursor, statement.duckdb_sql, statement.parameters)})
        self.catalog.replace_table(table)
        self.statistics = {
            "numDmlAffectedRows": str(counts.total()),
            "dmlStats": {_COUNTS[kind]: str(count) for kind, count in counts.items()},
        }

    def _stage(self, statement: Statement, columns: list[Column]) -> str:
        # The SELECT may read the very table that it replaces, so its rows are fetched first.
        name = quoted_name(f"staged_{self._job_id}")
        cursor = self.catalog.cursor
        definitions = ", ".join(column_definition({**column, "mode": _relaxed(column)}) for column in columns)
        cursor.execute(f"CREATE TEMP TABLE {name} ({definitions})")
        cursor.execute(f"INSERT INTO temp.{name} {statement.duckdb_sql}", statement.parameters)
        return name

    def _keeps_existing(self, statement: Statement) -> bool:
        existing = self._existing(statement)
        if existing is None:
            self._ddl(statement, "CREATE")
            return False
        if statement.options.get("if_not_exists"):
            self._ddl(statement, "SKIP")
            return True
        if not statement.options.get("or_replace"):
            raise duplicate(f"Table {existing}")
        if existing.is_view != (statement.kind == "CREATE_VIEW"):
            raise invalid_query(f"{existing} is a {'view' if existing.is_view else 'table'}: drop it first")
        self._ddl(statement, "REPLACE")
        return False

    def _drop_replaced(self, statement: Statement) -> None:
        existing = self._existing(statement)
        if existing is not None:
            self.catalog.drop_table(existing)

    def _existing(self, statement: Statement) -> Table | None:
        target = _target(statement)
        self.catalog.dataset(target[1])
        return self.catalog.find_table(target)

    def _ddl(self, statement: Statement, operation: str) -> None:
        target = reference(_target(statement))
        self.statistics = {"ddlOperationPerformed": operation, "ddlTargetTable": target}

    @staticmethod
    def _check_names(names: list[str]) -> None:
        repeated_names = [name for name, count in Counter(name.lower() for name in names).items() if count > 1]
        if repeated_names:
            raise invalid_query(
                f"Duplicate column names in the result are not supported. Found duplicate(s): {repeated_names}"
            )


_RUNNERS: dict[str, Callable[[Execution, Statement], None]] = {
    "SELECT": Execution.select,
    "ASSERT": Execution.check,
    "CREATE_TABLE": Execution.create,
    "CREATE_TABLE_AS_SELECT": Execution.create,
    "CREATE_VIEW": Execution.create_view,
    "DROP_TABLE": Execution.drop,
    "DROP_VIEW": Execution.drop,
    "ALTER_TABLE": Execution.alter,
}


def _target(statement: Statement) -> TableRef:
    if statement.target is None:
        raise RuntimeError(f"the translation names no target of {statement.kind}")
    return statement.target


def _full_name(ref: TableRef) -> str:
    return f"{ref[0]}:{ref[1]}.{ref[2]}"


def _with_descriptions(statement: Statement) -> list[Column]:
    """Return the statement's columns with the descriptions that its DDL gave them."""
    descriptions = statement.options.get("column_descriptions") or {}
    return [
        {**column, "description": descriptions[column["name"]]} if column["name"] in descriptions else column
        for column in columns_of(statement.schema)
    ]


def _relaxed(column: Column) -> str:
    return "NULLABLE" if column["mode"] == "REQUIRED" else str(column["mode"])
