"""Dagster's SQLite storage, created by one process at a time and with its connections kept open.

Here: the storage that `dagster.yaml` names. Not here: where its files are (`dagster.yaml`, `cli/project.py`).

Dagster creates the tables of a new folder without checking whether another process is doing the same. Two first
commands at once, or a command beside the first `dagster dev`, left two rows of its schema's version, and every later
start failed. A lock prevents that.

Dagster also creates an engine for every statement: each time it compiles the SQL again, opens the file, and, when it
closes the file's last connection, copies the write-ahead log back. An event cost more than the work that it reports
(docs/decisions/0019). Here an engine and its connections are kept, and the disk is synced at checkpoints only: the log
is safe from a crash of the program; a power cut may cost the last events, never the file.
"""

import fcntl
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine

from klaviyo_assets.errors import TransientError

LOCK_SECONDS = 60.0
# Each run has a file of its own, and the web server reads many of them.
OPEN_FILES = 16


class _Engines:
    """This process's engines of the files that were used last."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def engine(self, address: str) -> Engine:
        """The engine of a file; the one that was not used for longest is closed if there are too many."""
        with self._lock:
            if address not in self._by_address:
                self._by_address[address] = _new_engine(address)
                if len(self._by_address) > OPEN_FILES:
                    _, oldest_engine = self._by_address.popitem(last=False)
                    oldest_engine.dispose()
            self._by_address.move_to_end(address)
            return self._by_address[address]

    @property
    def addresses(self) -> list[str]:
        """The files that are open."""
        return list(self._by_address)

    def close(self) -> None:
        """Close every file; it is opened again when it is next used."""
        with self._lock:
            for engine in self._by_address.values():
                engine.dispose()
            self._by_address.clear()


def _new_engine(address: str) -> Engine:
    # Threads of the web server use a connection each: none waits for a different one's statement.
    engine = create_engine(address, pool_size=1, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _sync_at_checkpoints)
    return engine


def _sync_at_checkpoints(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


_ENGINES = _Engines()


class _EventLogStorage(SqliteEventLogStorage):
    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        engine = _ENGINES.engine(self.conn_string_for_shard(shard))
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def wipe(self) -> None:
        _ENGINES.close()
        super().wipe()


class _RunStorage(SqliteRunStorage):
    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with _ENGINES.engine(self._conn_string).begin() as connection:
            yield connection


class _ScheduleStorage(SqliteScheduleStorage):
    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with _ENGINES.engine(self._conn_string).begin() as connection:
            yield connection


class LockedSqliteStorage(DagsterSqliteStorage):
    """The same storage; opening it waits until no other process is opening it, and its connections are kept."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = _EventLogStorage(self._event_log_storage._base_dir)
        self._run_storage = _RunStorage(self._run_storage._conn_string)
        self._schedule_storage = _ScheduleStorage(self._schedule_storage._conn_string)

    def dispose(self) -> None:
        """Close every file."""
        super().dispose()
        _ENGINES.close()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "LockedSqliteStorage":
        """Called by Dagster with the block of `dagster.yaml`.

        Raises:
            TransientError: another process has held the lock for a minute.
        """
        folder = Path(config_value["base_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "opening.lock"):
            return cls(str(folder), inst_data)


@contextmanager
def _locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"opening Dagster's instance: another process has held {path} for {seconds:.0f} s",
                        "End that process, then run the command again.",
                    ) from None
                time.sleep(0.02)
        # The lock is also released when the process ends, however it ends.
        yield
