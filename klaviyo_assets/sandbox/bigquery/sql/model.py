"""What goes into a translation and what comes out: fields, parameters, statements, the error.

Here: the data classes the rest of the stand-in codes against. Not here: how a statement is made.
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
    """Where a translation learns what tables and views exist."""

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """Columns of a table, or the output columns of a view; KeyError when there is neither."""

    def view(self, ref: TableRef) -> str | None:
        """The GoogleSQL text when `ref` is a view, else None."""


class SqlError(Exception):
    """A statement BigQuery would refuse, or one the stand-in does not offer (reason notImplemented)."""

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
        duckdb_sql: Ready to execute, `$name` placeholders for `parameters`. For CREATE_VIEW and
            CREATE_TABLE_AS_SELECT the SELECT alone; empty where the server does the whole work
            (CREATE_TABLE, DROP_*, ALTER_TABLE, transactions).
        parameters: Python values for the placeholders that `duckdb_sql` uses.
        schema: Output columns of SELECT, CREATE_TABLE_AS_SELECT, CREATE_VIEW; declared ones of CREATE_TABLE,
            added ones of ALTER_TABLE.
        target: The table a DML or DDL statement changes.
        reads: Tables and views the statement reads, those behind views included.
        options: What DDL says besides columns; each key only where it was said:
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
    """The error for what BigQuery offers and the stand-in does not."""
    return SqlError("notImplemented", f"not supported by the local stand-in: {feature}")


def invalid(message: str) -> SqlError:
    """The error for what BigQuery itself refuses."""
    return SqlError("invalidQuery", message)
