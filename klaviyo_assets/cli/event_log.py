"""Make Dagster's SQLite event log quick enough for a command that writes thousands of events.

Here: two settings of this process's SQLite connections. Not here: where the log lives (`project.py`).

Dagster opens a connection per event. Closing a database's last connection copies its write-ahead log back, and a full
sync at every commit waits for the disk: together two thirds of the time of a run that does little else. Holding one
connection per file open and syncing at checkpoints only keeps the log safe from a crash of the program; a power cut
may cost the last events, never the file. Postgres as instance storage is not touched.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quick_event_log() -> Iterator[None]:
    """For the time of the block, keep this process's SQLite files open and sync them at checkpoints only."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    keepers: dict[str, sqlite3.Connection] = {}

    def connected(connection: Any, _record: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        if path and path not in keepers:
            keepers[path] = sqlite3.connect(path, check_same_thread=False)
            # SQLite opens lazily: only a statement makes the connection count as one.
            keepers[path].execute("PRAGMA schema_version").fetchone()

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)
        for keeper in keepers.values():
            keeper.close()
