"""Make Dagster's SQLite event log fast enough for a command that writes thousands of events.

Here: two settings of this process's SQLite connections. Not here: where the log lives (`project.py`).

Dagster opens a connection per event. Closing a database's last connection copies its write-ahead log back, and a full
sync at every commit waits for the disk: together they take two thirds of the time of a run that does little else. With
one connection per file held open and syncs at checkpoints only, the log still survives a crash of the program; a power
cut may cost the last events, but never the file. Postgres as instance storage is not touched.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quick_event_log() -> Iterator[None]:
    """Within the block, keep this process's SQLite files open and sync them at checkpoints only."""
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
