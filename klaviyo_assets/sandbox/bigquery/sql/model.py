"""The input and output of a translation: fields, parameters, statements, the error.

Here: the data classes that the rest of the stand-in uses. Not here: how a statement is built.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

TableRef = tuple[str, str, str]
"""Project, dataset, table."""


@dataclass(frozen=True)
class Field:
    """A column as the BigQuery API describes it.

    Attributes:
        name: As written; BigQuery compares names without case.
        type: STRING BYTES INTEGER FLOAT NUMERIC BOOLEAN TIMESTAMP DATETIME DATE TIME RECORD JSON.
        mode: NULLABLE, REQUIRED or REPEATED.
        fields: Those of a RECORD.
    """

    name: str
    type: str
    mode: str = "NULLABLE"
    fields: tuple["Field", ...] = ()


class SchemaLookup(Protocol):
    """Tells a translation which tables and views exist."""

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """Columns of a table, or the output columns of a view; KeyError when there is neither."""

    def view(self, ref: TableRef) -> str | None:
        """The GoogleSQL text when `ref` is a view, else None."""


class SqlError(Exception):
    """A statement that BigQuery would refuse, or that the stand-in does not support (reason notImplemented)."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)


@dataclass(frozen=True)
class Parameter:
    """A named query parameter: BigQuery type ("STRING", "ARRAY<DATE>") and value as the API sends it."""

    name: str
    type: str
    value: Any = None


@dataclass(frozen=True)
class Statement:
    """One translated statement of a script.

    Attributes:
        kind: SELECT, INSERT, UPDATE, DELETE, MERGE, CREATE_TABLE, CREATE_TABLE_AS_SELECT, CREATE_VIEW,
            DROP_TABLE, DROP_VIEW, TRUNCATE_TABLE, ALTER_TABLE, BEGIN_TRANSACTION, COMMIT_TRANSACTION
            or ROLLBACK_TRANSACTION.
        duckdb_sql: SQL to execute, with `$name` placeholders for `parameters`. For CREATE_VIEW and
            CREATE_TABLE_AS_SELECT the SELECT alone; empty if the server does all the work
            (CREATE_TABLE, DROP_*, ALTER_TABLE, transactions).
        parameters: Python values for the placeholders that `duckdb_sql` uses.
        schema: Output columns of SELECT, CREATE_TABLE_AS_SELECT, CREATE_VIEW; declared ones of CREATE_TABLE,
            added ones of ALTER_TABLE.
        target: The table a DML or DDL statement changes.
        reads: Tables and views the statement reads, those behind views included.
        options: What DDL states besides columns; a key is present only if it was stated:
            or_replace, if_not_exists, if_exists (bool), description, friendly_name (str),
            labels (dict of str), column_descriptions (dict by column name), partition_field (str) with
            partition_type (HOUR, DAY, MONTH, YEAR), cluster_fields (list of str), view_query (the
            GoogleSQL text of a view), added_if_not_exists (set of column names of ALTER TABLE).
    """

    kind: str
    duckdb_sql: str
    parameters: dict[str, Any] = field(default_factory=dict)
    schema: tuple[Field, ...] = ()
    target: TableRef | None = None
    reads: frozenset[TableRef] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)


def unsupported(feature: str) -> SqlError:
    """The error for a feature that BigQuery has and the stand-in does not."""
    return SqlError("notImplemented", f"not supported by the local stand-in: {feature}")


def invalid(message: str) -> SqlError:
    """The error for SQL that BigQuery itself refuses."""
    return SqlError("invalidQuery", message)
