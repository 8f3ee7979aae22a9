"""How far each connection's data reaches, written in the transaction that writes the data.

Here: one row per finished sync in Postgres schema `fivetran_sandbox`. After a kill at any moment the
tables and this ledger agree.
"""

from dataclasses import astuple, dataclass
from datetime import datetime

from klaviyo_assets.sandbox.fivetran.writer import Connection

_CREATE = """
CREATE SCHEMA IF NOT EXISTS fivetran_sandbox;
CREATE TABLE IF NOT EXISTS fivetran_sandbox.sync (
    connection_id text, started_at timestamptz, incarnation text NOT NULL, until timestamptz NOT NULL,
    finished_at timestamptz NOT NULL, mode text NOT NULL, row_count bigint NOT NULL,
    PRIMARY KEY (connection_id, incarnation, started_at)
)
"""


@dataclass(frozen=True, slots=True)
class FinishedSync:
    """A sync that was committed; `until` is what the next one begins from."""

    connection_id: str
    started_at: datetime
    incarnation: str
    until: datetime
    finished_at: datetime
    mode: str
    row_count: int


def create(connection: Connection) -> None:
    """Create the ledger where it is missing."""
    if not connection.execute("SELECT to_regclass('fivetran_sandbox.sync')").fetchone()[0]:  # type: ignore[index]
        connection.execute(_CREATE)


def last_sync(connection: Connection, connection_id: str, incarnation: str) -> FinishedSync | None:
    """The newest sync of a connection's present shop, or None."""
    row = connection.execute(
        "SELECT connection_id, started_at, incarnation, until, finished_at, mode, row_count"
        " FROM fivetran_sandbox.sync WHERE connection_id = %s AND incarnation = %s ORDER BY started_at DESC LIMIT 1",
        [connection_id, incarnation],
    ).fetchone()
    return None if row is None else FinishedSync(*row)


def forget_others(connection: Connection, connection_id: str, incarnation: str) -> bool:
    """Delete what former shops of the same name synced; returns whether there was anything."""
    return bool(
        connection.execute(
            "DELETE FROM fivetran_sandbox.sync WHERE connection_id = %s AND incarnation <> %s",
            [connection_id, incarnation],
        ).rowcount
    )


def record(connection: Connection, sync: FinishedSync) -> None:
    """Add a sync, in the transaction of its data."""
    connection.execute(
        "INSERT INTO fivetran_sandbox.sync VALUES (%s, %s, %s, %s, %s, %s, %s)",
        astuple(sync),
    )
