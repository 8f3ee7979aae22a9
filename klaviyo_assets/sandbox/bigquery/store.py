"""The one DuckDB file: connections, transactions, checkpoints and table locks.

Here: how data is kept safe while many threads use it. What the tables mean is the business of
`catalog` and `jobs`. Readers see a snapshot and wait for nobody; writers of one table wait for each other, since
DuckDB refuses the second of two transactions that delete from, or alter, the same table.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from klaviyo_assets.sandbox.bigquery.errors import StartError
from klaviyo_assets.sandbox.bigquery.sql import session_setup
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef

Cursor = duckdb.DuckDBPyConnection

LOG = logging.getLogger(__name__)

_MEMORY = "2GB"
"""Above this DuckDB spills to files: the stand-in shares a laptop with the pipeline it serves."""

_QUIET_SECONDS = 2.0
"""A checkpoint waits until no transaction has committed for this long."""


class Store:
    """The database file of one server; DuckDB lets one process own it."""

    def __init__(self, file: Path) -> None:
        self._connection = _connect(file)
        # DuckDB raises an error, instead of waiting, when two threads call one connection at the same time.
        self._guard = threading.Lock()
        self._idle: list[Cursor] = []
        self._change_event = threading.Event()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep_small, name="checkpoint", daemon=True)
        self._keeper.start()

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Hold a transaction that commits at the end, or leaves nothing behind when the block raises."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                _roll_back(cursor)
                raise
            self._change_event.set()

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """Hold a transaction for reading: everything read in it is from one moment."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
            finally:
                _roll_back(cursor)

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        # The translation's macros belong to a cursor and take 8 ms to create, so cursors are reused.
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self._new_cursor()
            for statement in session_setup():
                cursor.execute(statement)
        yield cursor
        # A cursor that saw an error is discarded, with whatever it still holds.
        self._idle.append(cursor)

    def close(self) -> None:
        """Write everything to the database file and close it."""
        self._closing.set()
        self._change_event.set()
        self._keeper.join()
        self._idle.clear()
        with self._guard:
            self._connection.close()

    def _new_cursor(self) -> Cursor:
        with self._guard:
            return self._connection.cursor()

    def _keep_small(self) -> None:
        # Replaced days leave free blocks that only a checkpoint makes usable again.
        while not self._closing.is_set():
            self._change_event.wait()
            self._change_event.clear()
            if self._closing.wait(_QUIET_SECONDS) or self._change_event.is_set():
                continue
            try:
                with self._new_cursor() as cursor:
                    cursor.execute("CHECKPOINT")
            except duckdb.Error as fault:
                # A transaction was running; the next commit asks again.
                LOG.info("checkpoint put off: %s", fault)


def fetch_row(cursor: Cursor, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
    """Run SQL that returns at most one row, and return that row.

    The whole result is fetched: DuckDB refuses more work on a cursor with rows left to read.
    """
    rows = cursor.execute(sql, values).fetchall()
    return rows[0] if rows else None


def count_of(cursor: Cursor, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run SQL that returns one number (for a change, DuckDB returns the number of rows), and return it."""
    row = fetch_row(cursor, sql, values)
    return int(row[0]) if row else 0


class TableLocks:
    """One lock per table, and one per dataset for jobs that create or drop its tables."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[TableRef, threading.Lock] = {}

    @contextmanager
    def hold(self, refs: Collection[TableRef]) -> Iterator[None]:
        """Hold the locks of these tables; a table named "" is the dataset itself.

        All writers take locks in the same order, so two writers never wait for each other.
        """
        held_locks: list[threading.Lock] = []
        try:
            for ref in sorted(set(refs)):
                lock = self._lock(ref)
                lock.acquire()
                held_locks.append(lock)
            yield
        finally:
            for lock in reversed(held_locks):
                lock.release()

    @contextmanager
    def writing(self, refs: Collection[TableRef], exists: Callable[[TableRef], bool]) -> Iterator[None]:
        """Hold the locks that a writer of these tables needs, with the dataset locks of tables that do not exist yet.

        Args:
            refs: Tables to be written, created or dropped.
            exists: Whether a table exists at this moment.
        """
        while True:
            locked_refs = {*refs, *_datasets_of_missing(refs, exists)}
            with self.hold(locked_refs):
                # A table may have gone while this writer waited for its turn.
                if _datasets_of_missing(refs, exists) <= locked_refs:
                    yield
                    return

    def _lock(self, ref: TableRef) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(ref, threading.Lock())


def _datasets_of_missing(refs: Collection[TableRef], exists: Callable[[TableRef], bool]) -> set[TableRef]:
    return {(ref[0], ref[1], "") for ref in refs if not exists(ref)}


def _connect(file: Path) -> Cursor:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(file))
    except duckdb.IOException as fault:
        raise StartError(
            f"cannot open the stand-in's data in {file}: {fault}. Another server may be using the folder: "
            "stop it, or start this one with another --data."
        ) from fault
    connection.execute(f"SET memory_limit = '{_MEMORY}'")
    # DuckDB 2.0.0 damages a table, or crashes, when a transaction that deleted and inserted rows reads them with a
    # LIMIT: late materialization fetches by row numbers that the transaction has changed.
    connection.execute("SET GLOBAL disabled_optimizers = 'late_materialization'")
    return connection


def _roll_back(cursor: Cursor) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.TransactionException:
        # The failure ended the transaction by itself.
        LOG.debug("nothing to roll back")
