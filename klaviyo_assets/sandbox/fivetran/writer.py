"""Writes a sync into Postgres as Fivetran does: upserts, columns that come with their first value, soft deletes.

Here: DDL and COPY. Not here: what the rows say (`shop`), when a sync runs (`syncs`). Nothing here
commits: a sync is one transaction of its caller, so a killed sync leaves nothing behind.
"""

import io
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from klaviyo_assets.sandbox.fivetran.shop import TABLES, Shop, Table
from klaviyo_assets.source.indexes import possible

Mode = Literal["incremental", "resync", "reload"]
"""`resync` fetches everything again and flags what the source no longer has; `reload` truncates before."""

Connection = psycopg.Connection[Any]

READER = "reporting"
"""The role that reads the tables, where it exists."""

_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_timestamp, "timestamptz"),
)
_TYPE_NAMES = {
    "text": sql.SQL("text"),
    "json": sql.SQL("json"),
    "boolean": sql.SQL("boolean"),
    "bigint": sql.SQL("bigint"),
    "double precision": sql.SQL("double precision"),
    "timestamptz": sql.SQL("timestamptz"),
}
_ROWS_AT_ONCE = 50_000


def write_sync(
    connection: Connection,
    shop: Shop,
    *,
    until: datetime,
    since: datetime | None = None,
    synced_at: datetime | None = None,
    mode: Mode = "incremental",
    schema: str | None = None,
    tables: Collection[str] | None = None,
) -> dict[str, int]:
    """Write what a sync carries, in the connection's open transaction.

    Args:
        connection: As a role that may create schemas.
        shop: Where the rows come from.
        until: Everything the shop shows by then.
        since: The last sync's `until`; None for a historical sync. Only `incremental` looks at it.
        synced_at: `_fivetran_synced` of the rows written; `until` when None.
        mode: How what is already there is treated.
        schema: The Postgres schema; the profile's when None.
        tables: Only these raw tables; all when None.

    Returns:
        Rows written by table.
    """
    target = schema or shop.profile.schema
    _create_schema(connection, target)
    carried = shop.rows(until, since if mode == "incremental" else None, synced_at)
    synced_rows = {name: rows for name, rows in carried.items() if tables is None or name in tables}
    types = _columns(connection, target)
    if mode == "reload":
        _truncate(connection, target, [name for name in TABLES if name in types and (tables is None or name in tables)])
    for name, rows in synced_rows.items():
        _write_table(connection, shop, target, TABLES[name], rows, types.get(name, {}), mode)
    _grant(connection, target)
    return {name: rows.num_rows for name, rows in synced_rows.items()}


def create_indexes(connection: Connection, schema: str) -> None:
    """Create the missing recommended indexes; Fivetran itself creates only primary keys."""
    for table, columns in _columns(connection, schema).items():
        for index in possible(columns, table):
            connection.execute(index.statement(schema))


def _write_table(
    connection: Connection,
    shop: Shop,
    schema: str,
    table: Table,
    rows: pa.Table,
    column_types: Mapping[str, str],
    mode: Mode,
) -> None:
    rows = _worth_a_column(rows, {*table.key, *column_types})
    types = {name: _postgres_type(table, name, rows, shop) for name in rows.column_names}
    full_name = sql.Identifier(schema, table.name)
    if not column_types:
        _create_table(connection, full_name, table, types)
    else:
        _add_columns(connection, full_name, {name: kind for name, kind in types.items() if name not in column_types})
        _as_fivetran_types_json(connection, full_name, [name for name in types if column_types.get(name) == "jsonb"])
    if not column_types or mode == "reload":
        _copy(connection, full_name, rows)
        return
    _upsert(connection, full_name, table, rows)
    if mode == "resync":
        _forget_the_rest(connection, full_name, {*column_types, *types}, rows)


def _create_schema(connection: Connection, schema: str) -> None:
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _truncate(connection: Connection, schema: str, tables: Collection[str]) -> None:
    for table in tables:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(schema, table)))


def _create_table(connection: Connection, full_name: sql.Identifier, table: Table, types: Mapping[str, str]) -> None:
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), _TYPE_NAMES[kind]) for name, kind in types.items()]
    key = sql.SQL("PRIMARY KEY ({})").format(_names(table.key))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(full_name, sql.SQL(", ").join([*columns, key])))


def _add_columns(connection: Connection, full_name: sql.Identifier, types: Mapping[str, str]) -> None:
    for name, kind in types.items():
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(full_name, sql.Identifier(name), _TYPE_NAMES[kind])
        )


def _as_fivetran_types_json(connection: Connection, full_name: sql.Identifier, columns: Collection[str]) -> None:
    """Columns that an earlier version of this sandbox made `jsonb`."""
    change = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE json")
    for name in map(sql.Identifier, columns):
        connection.execute(change.format(full_name, name))


def _upsert(connection: Connection, full_name: sql.Identifier, table: Table, rows: pa.Table) -> None:
    """Insert new rows and replace existing ones."""
    staging = sql.Identifier("fivetran_staging")
    connection.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DROP").format(staging, full_name))
    _copy(connection, staging, rows)
    names = _names(rows.column_names)
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
        for name in rows.column_names
        if name not in table.key
    )
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
            full_name, names, names, staging, _names(table.key), assignments
        )
    )
    connection.execute(sql.SQL("DROP TABLE {}").format(staging))


def _forget_the_rest(
    connection: Connection, full_name: sql.Identifier, columns: Collection[str], rows: pa.Table
) -> None:
    """Mark rows that a re-sync did not bring as deleted. `_fivetran_synced` stays, as Fivetran leaves it."""
    effect = (
        sql.SQL("UPDATE {} SET _fivetran_deleted = TRUE").format(full_name)
        if "_fivetran_deleted" in columns
        else sql.SQL("DELETE FROM {}").format(full_name)
    )
    synced_at = rows.column("_fivetran_synced")[0].as_py()
    connection.execute(effect + sql.SQL(" WHERE _fivetran_synced < %s"), [synced_at])


def _copy(connection: Connection, full_name: sql.Identifier, rows: pa.Table) -> None:
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(full_name, _names(rows.column_names))
    options = pyarrow.csv.WriteOptions(include_header=False)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for begin in range(0, rows.num_rows, _ROWS_AT_ONCE):
            buffer = io.BytesIO()
            pyarrow.csv.write_csv(rows.slice(begin, _ROWS_AT_ONCE), buffer, options)
            copy.write(buffer.getbuffer())


def _worth_a_column(rows: pa.Table, kept_names: Collection[str]) -> pa.Table:
    """The rows without empty columns that the table lacks: Fivetran adds a column with its first value."""
    return rows.select(
        [name for name in rows.column_names if name in kept_names or rows.column(name).null_count < rows.num_rows]
    )


def _postgres_type(table: Table, column: str, rows: pa.Table, shop: Shop) -> str:
    if column in table.columns:
        return table.columns[column]
    if column in shop.json_columns(table.name):
        return "json"
    kind = rows.schema.field(column).type
    return next((name for matches, name in _TYPES if matches(kind)), "text")


def _names(columns: Collection[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _columns(connection: Connection, schema: str) -> dict[str, dict[str, str]]:
    """Types by column by table, of what is in the schema."""
    column_types: dict[str, dict[str, str]] = {}
    query = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = %s"
    for table, column, kind in connection.execute(query, [schema]).fetchall():
        column_types.setdefault(table, {})[column] = kind
    return column_types


def _grant(connection: Connection, schema: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER]).fetchone():
        return
    for statement in ("GRANT USAGE ON SCHEMA {} TO {}", "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}"):
        connection.execute(sql.SQL(statement).format(sql.Identifier(schema), sql.Identifier(READER)))
