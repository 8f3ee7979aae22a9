"""What the Fivetran stand-in remembers about connections, incidents and time, in a SQLite file.

Here: durable records. Not here: how far each connection's data reaches (`ledger`). That is written to Postgres with
the data, so that the two agree even after a kill.
"""

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.fivetran.shop import Incident
from klaviyo_assets.sandbox.fivetran.writer import Mode

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (offset_seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS connection (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, incarnation TEXT NOT NULL, seed INTEGER NOT NULL,
    events_per_day REAL NOT NULL, start TEXT NOT NULL, people INTEGER, created_at TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0, schedule_type TEXT NOT NULL DEFAULT 'auto',
    setup_state TEXT NOT NULL DEFAULT 'connected', sync_state TEXT NOT NULL DEFAULT 'scheduled',
    mode TEXT NOT NULL DEFAULT 'incremental', tables TEXT, rescheduled_for TEXT,
    succeeded_at TEXT, failed_at TEXT, failure TEXT,
    next_outcome TEXT, next_seconds REAL, next_until TEXT, next_reason TEXT,
    schema_status TEXT NOT NULL DEFAULT 'ready', disabled TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE IF NOT EXISTS incident (
    connection_id TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL,
    count INTEGER NOT NULL, days REAL NOT NULL, name TEXT NOT NULL, PRIMARY KEY (connection_id, number)
);
"""
_CHANGEABLE = frozenset(
    [
        "paused",
        "schedule_type",
        "setup_state",
        "sync_state",
        "mode",
        "tables",
        "rescheduled_for",
        "succeeded_at",
        "failed_at",
        "failure",
        "next_outcome",
        "next_seconds",
        "next_until",
        "next_reason",
        "schema_status",
        "disabled",
    ]
)
# Columns that books of an earlier version lack.
_LATER_COLUMNS = {"schema_status": "TEXT NOT NULL DEFAULT 'ready'", "disabled": "TEXT NOT NULL DEFAULT '[]'"}


@dataclass(frozen=True, slots=True)
class Record:
    """One connection's row; times are aware datetimes in UTC.

    `incarnation` tells this shop from one of the same name whose books were lost. `next_*` is what an operator
    planned for the coming sync. `schema_status` is `ready`, or `blocked_on_customer` while a changed schema waits for
    review; `disabled` are the tables that are switched off.
    """

    id: str
    position: int
    incarnation: str
    seed: int
    events_per_day: float
    start: date
    people: int | None
    created_at: datetime
    paused: bool
    schedule_type: str
    setup_state: str
    sync_state: str
    mode: Mode
    tables: str | None
    rescheduled_for: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    failure: str | None
    next_outcome: str | None
    next_seconds: float | None
    next_until: datetime | None
    next_reason: str | None
    schema_status: str
    disabled: frozenset[str]


class Books:
    """The SQLite file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)
        self._widen()

    def _widen(self) -> None:
        column_names = {row["name"] for row in self._db.execute("PRAGMA table_info(connection)")}
        for name in _LATER_COLUMNS.keys() - column_names:
            self._db.execute(f"ALTER TABLE connection ADD COLUMN {name} {_LATER_COLUMNS[name]}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def clock_offset(self, default: timedelta) -> timedelta:
        """How far the shop's clock is from the real one; `default` on the first call."""
        with self._transaction() as db:
            row = db.execute("SELECT offset_seconds FROM clock").fetchone()
            if row is None:
                db.execute("INSERT INTO clock VALUES (?)", [default.total_seconds()])
                return default
        return timedelta(seconds=row[0])

    def set_clock_offset(self, offset: timedelta) -> None:
        """Remember the clock's offset."""
        with self._transaction() as db:
            db.execute("UPDATE clock SET offset_seconds = ?", [offset.total_seconds()])

    def open_connection(
        self,
        connection_id: str,
        position: int,
        seed: int,
        events_per_day: float,
        start: date,
        people: int | None,
        now: datetime,
    ) -> None:
        """Remember a connection, unless it exists: an existing shop keeps its first settings."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO connection (id, position, incarnation, seed, events_per_day, start, people, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    connection_id,
                    position,
                    uuid.uuid4().hex,
                    seed,
                    events_per_day,
                    start.isoformat(),
                    people,
                    now.isoformat(),
                ),
            )

    def connections(self) -> list[Record]:
        """All connections in their order."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM connection ORDER BY position").fetchall()
        return [_record(row) for row in rows]

    def connection(self, connection_id: str) -> Record | None:
        """One connection, or None."""
        with self._lock:
            row = self._db.execute("SELECT * FROM connection WHERE id = ?", [connection_id]).fetchone()
        return None if row is None else _record(row)

    def change(self, connection_id: str, **values: Any) -> None:
        """Set columns of a connection; times may be datetimes."""
        unknown = set(values) - _CHANGEABLE
        if unknown:
            raise ValueError(f"cannot change {sorted(unknown)} of a connection")
        assignments = ", ".join(f"{name} = ?" for name in values)
        texts = [value.isoformat() if isinstance(value, datetime) else value for value in values.values()]
        with self._transaction() as db:
            db.execute(f"UPDATE connection SET {assignments} WHERE id = ?", [*texts, connection_id])

    def add_incident(self, connection_id: str, kind: str, at: datetime, count: int, days: float, name: str) -> Incident:
        """Number an incident and remember it."""
        with self._transaction() as db:
            number = db.execute(
                "SELECT COALESCE(MAX(number) + 1, 0) FROM incident WHERE connection_id = ?", [connection_id]
            ).fetchone()[0]
            incident = Incident(kind, int(at.timestamp()), number, count, days, name)
            db.execute(
                "INSERT INTO incident VALUES (?, ?, ?, ?, ?, ?, ?)",
                [connection_id, number, kind, incident.at, count, days, name],
            )
        return incident

    def incidents(self, connection_id: str) -> list[Incident]:
        """The incidents of a connection's shop, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT kind, at, number, count, days, name FROM incident WHERE connection_id = ? ORDER BY number",
                [connection_id],
            ).fetchall()
        return [Incident(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _record(row: sqlite3.Row) -> Record:
    values = dict(row)
    for name in ("created_at", "rescheduled_for", "succeeded_at", "failed_at", "next_until"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name]).astimezone(UTC)
    values["start"], values["paused"] = date.fromisoformat(values["start"]), bool(values["paused"])
    values["disabled"] = frozenset(json.loads(values["disabled"]))
    return Record(**values)
