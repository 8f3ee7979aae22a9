"""The outcome of a sync: a bounded wait for its end, with errors that say what to do.

Here: polling one connection until its sync has an outcome. Not here: the requests (`resource.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.resources.fivetran.errors import (
    BrokenSetupError,
    ConnectionPausedError,
    SchemaBlockedError,
    SyncFailedError,
    SyncRescheduledError,
    SyncUnfinishedError,
)
from klaviyo_assets.resources.fivetran.models import Connection, until


@dataclass(frozen=True)
class SyncMarks:
    """When earlier syncs of a connection ended, by Fivetran's clock, never ours."""

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None

    @classmethod
    def of(cls, connection: Connection) -> "SyncMarks":
        """The marks of a connection's current state."""
        return cls(connection.succeeded_at, connection.failed_at)

    def has_succeeded(self, connection: Connection) -> bool:
        """Whether a later sync succeeded, and none failed after it."""
        return _later(connection.succeeded_at, self.succeeded_at) and not connection.last_sync_failed

    def has_failed(self, connection: Connection) -> bool:
        """Whether a later sync failed, and none succeeded after it."""
        return _later(connection.failed_at, self.failed_at) and connection.last_sync_failed


@dataclass(frozen=True)
class Wait:
    """How long to wait, and how often to ask. Durations are seconds."""

    timeout: float
    interval: float
    on_progress: Callable[[Connection], None] | None = None


def await_sync(read: Callable[[], Connection], since: SyncMarks, wait: Wait) -> Connection:
    """Poll until the sync that follows `since` has ended; returns the connection after it.

    Raises:
        SyncFailedError: it failed.
        SyncRescheduledError: Fivetran postponed it.
        ConnectionPausedError: the connection is paused, so that it never ends.
        BrokenSetupError: the set-up broke.
        SchemaBlockedError: a changed schema waits for review, so that it never ends.
        SyncUnfinishedError: the time is up.
    """
    deadline = time.monotonic() + wait.timeout
    put_off = False
    while True:
        connection = read()
        if wait.on_progress:
            wait.on_progress(connection)
        if since.has_succeeded(connection):
            return connection
        refuse_failed(connection, since)
        # Right after the trigger, the state may still be the old one: it counts once it is seen twice.
        if put_off and connection.sync_state == "rescheduled":
            raise rescheduled(connection)
        put_off = connection.sync_state == "rescheduled"
        if time.monotonic() + wait.interval > deadline:
            raise _unfinished(connection, wait)
        time.sleep(wait.interval)


def refuse_failed(connection: Connection, since: SyncMarks) -> None:
    """Raise an error if the sync failed or will never end."""
    refuse_unsyncable(connection)
    if since.has_failed(connection):
        retry = f" It tries again {until(connection.rescheduled_for)}." if connection.rescheduled_for else ""
        raise SyncFailedError(
            f"the Fivetran sync of {_name(connection)} failed at {connection.failed_at:%Y-%m-%d %H:%M} "
            f"UTC{_because(connection)}",
            f"See {connection.url}.{retry}",
        )


def refuse_unsyncable(connection: Connection) -> None:
    """Raise an error if the connection cannot sync: it is paused, not fully set up, or its schema waits for review."""
    if connection.setup_state != "connected":
        raise BrokenSetupError(
            f"the setup of Fivetran connection {_name(connection)} is {connection.setup_state}{_because(connection)}",
            f"Fix it at {connection.url}/setup.",
        )
    if connection.is_paused:
        raise ConnectionPausedError(
            f"Fivetran connection {_name(connection)} is paused, so it cannot sync", f"Enable it at {connection.url}."
        )
    if connection.awaits_schema_review:
        raise SchemaBlockedError(
            f"the schema of Fivetran connection {_name(connection)} changed and waits for review, so it cannot sync",
            f"Review it at {connection.url}/schema.",
        )


def rescheduled(connection: Connection) -> KlaviyoAssetsError:
    """The error for a sync that Fivetran postponed."""
    return SyncRescheduledError(
        f"Fivetran put the sync of {_name(connection)} off {until(connection.rescheduled_for)}{_because(connection)}",
        "Run it again after that, or leave it to the sensor, which notices the end of the sync.",
        until=connection.rescheduled_for,
    )


def _unfinished(connection: Connection, wait: Wait) -> KlaviyoAssetsError:
    last = f"{connection.succeeded_at:%Y-%m-%d %H:%M} UTC" if connection.succeeded_at else "never"
    return SyncUnfinishedError(
        f"the Fivetran sync of {_name(connection)} had not ended after {wait.timeout:g} s (state: "
        f"{connection.state}; last success: {last})",
        f"It goes on at Fivetran, see {connection.url}. Wait longer, or leave it to the sensor, which notices "
        "the end of the sync.",
    )


def _name(connection: Connection) -> str:
    return f"{connection.id} ({connection.schema})" if connection.schema else connection.id


def _because(connection: Connection) -> str:
    problems = "; ".join(problem for problem in connection.problems if problem)
    return f": {problems[:500].rstrip('.')}" if problems else ""


def _later(now: datetime | None, previous: datetime | None) -> bool:
    return now is not None and (previous is None or now > previous)
