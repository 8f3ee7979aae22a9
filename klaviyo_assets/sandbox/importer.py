"""`sandbox import`: Fivetran-shaped CSV files into an account's schema, as Fivetran would have written them.

Here: the account, the tables, the load (one transaction for all files), and the summary. Not here: reading
files (`csv_files`) and choosing types (`csv_columns`).
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.sandbox.csv_files import RejectedRow, ScannedFile, find_files, good_rows, scan_file
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.postgres import create_schema, writer_url
from klaviyo_assets.sandbox.raw_tables import KEYS
from klaviyo_assets.sandbox.state import State, write_private
from klaviyo_assets.source.indexes import possible


@dataclass(frozen=True)
class ImportedTable:
    """One raw table after the import."""

    table: str
    rows: int
    types: dict[str, str]
    left_out: list[str]
    text_instead: list[str]
    key: tuple[str, ...]
    rejected: list[RejectedRow]


@dataclass(frozen=True)
class Imported:
    """The outcome of an import. `ignored` are CSV files that are not named after a raw table."""

    account: str
    schema: str
    account_added: bool
    tables: list[ImportedTable]
    ignored: list[str]

    @property
    def rejected_rows(self) -> int:
        """Rows that were not loaded."""
        return sum(len(table.rejected) for table in self.tables)


def import_folder(folder: Folder, state: State, account: str, directory: Path) -> Imported:
    """Load every raw table's CSV file of a folder, replacing the tables of those names.

    Args:
        folder: the sandbox's folder.
        state: its state.
        account: an account of its accounts file, or the name of a new one.
        directory: the folder of files, one per raw table, named as the table.

    Raises:
        SettingsError: the account's name is not allowed.
        PermanentError: a file cannot be read or loaded; nothing was changed.
        TransientError: Postgres does not run.
    """
    schema = account_schema(folder, account)
    files, ignored = find_files(directory)
    scanned = [scan_file(path) for path in files]
    tables = _load(state, schema or f"klaviyo_{account}", scanned)
    if schema is None:
        with folder.lock():
            _add_account(folder.accounts_file, account, _first_day(scanned))
    return Imported(account, schema or f"klaviyo_{account}", schema is None, tables, [path.name for path in ignored])


def account_schema(folder: Folder, account: str) -> str | None:
    """The Postgres schema the accounts file names for an account; None when it does not list it.

    Raises:
        SettingsError: the name is not allowed, or the file cannot be read.
    """
    if not re.fullmatch(r"[a-z0-9_]{1,50}", account):
        raise SettingsError(
            f"cannot import into account {account!r}", "Allowed: 1 to 50 lowercase letters a-z, digits and _."
        )
    path = folder.accounts_file
    try:
        blocks = tomllib.loads(path.read_text(encoding="utf-8"))["account"] if path.exists() else []
        return next((str(block["postgres_schema"]) for block in blocks if block["name"] == account), None)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"cannot read the accounts file {path}: {error!r}", "Fix it, or remove it.") from error


def describe(result: Imported) -> str:
    """A summary for people: rows and types per table, and everything that was not loaded unchanged."""
    lines = [f"Imported into account {result.account} (schema {result.schema}):"]
    for table in result.tables:
        typed_columns = {name: kind for name, kind in table.types.items() if kind != "text"}
        lines.append(
            f"  {table.table}: {table.rows} rows, {len(table.types)} columns, {len(typed_columns)} of them not text"
        )
        lines += [f"    {note}" for note in _notes(table)]
    if result.ignored:
        lines.append(f"Ignored, because no raw table has that name: {', '.join(result.ignored)}")
    if result.account_added:
        lines.append(f"Added account {result.account} to the accounts file (UTC, USD): edit it there.")
    return "\n".join(lines)


def _notes(table: ImportedTable) -> list[str]:
    notes = [f"line {row.line} not loaded: {row.reason}" for row in table.rejected]
    if table.text_instead:
        notes.append(f"text, since cells do not fit the stated type: {', '.join(table.text_instead)}")
    if KEYS[table.table] and not table.key:
        notes.append(f"no primary key: {', '.join(KEYS[table.table])} is missing, empty or not unique")
    if table.left_out:
        names = ", ".join(table.left_out[:6]) + (" ..." if len(table.left_out) > 6 else "")
        notes.append(f"{len(table.left_out)} columns left out, as Fivetran would: no row has a value ({names})")
    return notes


def _load(state: State, schema: str, files: Sequence[ScannedFile]) -> list[ImportedTable]:
    try:
        connection = psycopg.connect(writer_url(state), connect_timeout=5, options="-c TimeZone=UTC")
    except psycopg.OperationalError as error:
        raise TransientError(
            "cannot import: the sandbox's Postgres does not answer", "Run `klaviyo-assets sandbox start` first."
        ) from error
    try:
        with connection:
            create_schema(connection, schema)
            return [_load_table(connection, schema, scanned) for scanned in files]
    except psycopg.Error as error:
        raise PermanentError(
            f"the import into schema {schema} was rolled back, so nothing has changed: {str(error).splitlines()[0]}"
        ) from error


def _load_table(connection: psycopg.Connection[Any], schema: str, scanned: ScannedFile) -> ImportedTable:
    types = {name: scan.type for name, scan in scanned.kept_columns.items()}
    table = sql.Identifier(schema, scanned.table)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), _type(kind)) for name, kind in types.items()
    )
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, columns))
    names = sql.SQL(", ").join(map(sql.Identifier, types))
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, names)) as copy:
        for row in good_rows(scanned):
            copy.write_row(row)
    key = _add_key(connection, table, scanned)
    for index in possible(types, scanned.table):
        connection.execute(index.statement(schema))
    connection.execute(sql.SQL("ANALYZE {}").format(table))
    return ImportedTable(
        table=scanned.table,
        rows=scanned.rows,
        types=types,
        left_out=[name for name in scanned.columns if name not in types],
        text_instead=[name for name, scan in scanned.kept_columns.items() if scan.fell_back],
        key=key,
        rejected=scanned.rejected,
    )


def _add_key(connection: psycopg.Connection[Any], table: sql.Identifier, scanned: ScannedFile) -> tuple[str, ...]:
    """Add Fivetran's primary key, unless the rows forbid it; returns its columns."""
    key = KEYS[scanned.table]
    if not key or not set(key) <= set(scanned.kept_columns):
        return ()
    names = sql.SQL(", ").join(map(sql.Identifier, key))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, names))
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation):
        return ()
    return key


def _type(kind: str) -> sql.SQL:
    postgres_types = {
        "text": sql.SQL("text"),
        "boolean": sql.SQL("boolean"),
        "bigint": sql.SQL("bigint"),
        "double precision": sql.SQL("double precision"),
        "timestamptz": sql.SQL("timestamptz"),
        "json": sql.SQL("json"),
    }
    return postgres_types[kind]


def _first_day(files: Sequence[ScannedFile]) -> date:
    """The UTC day of the earliest event; today when there is none."""
    events = [scanned for scanned in files if scanned.table == "event"]
    times = [scan.earliest for scanned in events for scan in scanned.columns.values() if scan.earliest]
    return min(times, default=datetime.now(UTC)).date()


def _add_account(path: Path, account: str, first_day: date) -> None:
    block = {
        "name": account,
        "fivetran_connection_id": f"imported_{account}",
        "postgres_schema": f"klaviyo_{account}",
        "timezone": "UTC",
        "currency": "USD",
        "conversion_metric": "Placed Order",
        "pii": "hash",
    }
    # JSON's strings are TOML's.
    lines = ["[[account]]", *(f"{name} = {json.dumps(value)}" for name, value in block.items())]
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    new_block = "\n".join([*lines, f"start_date = {first_day.isoformat()}"]) + "\n"
    write_private(path, f"{text.rstrip()}\n\n{new_block}".lstrip())
