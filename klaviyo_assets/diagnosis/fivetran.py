"""Fivetran: does the key work, and is each account's connection healthy and on time?

What belongs here: judging what the API reports. What does not: calling it (`resources/fivetran/resource.py`). No
sync is started and nothing is changed.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.resources.fivetran.models import Connection, SourceTable, until
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.tables import TABLES
from klaviyo_assets.text import plural

FIVETRAN = "fivetran"
_DAY = timedelta(days=1)
# A connection is late when it has missed this many of its own intervals.
_MISSED = 3


def check_key(fivetran: FivetranResource) -> Iterator[DoctorFinding]:
    """Check that the key is accepted and can see anything."""
    scope = Scope(FIVETRAN)
    groups = fivetran.groups()
    if groups:
        yield scope.ok(f"the key sees {plural(len(groups), 'group')}")
    else:
        yield scope.fail("the key cannot see any group", "Give its user access to the destination's group in Fivetran.")


def check_account(fivetran: FivetranResource, account: Account) -> Iterator[DoctorFinding]:
    """Check one account's connection and its tables."""
    scope = Scope(FIVETRAN, account.name)
    if not account.fivetran_connection_id:
        yield scope.warn(
            "fivetran_connection_id is not set, so syncs are neither started nor monitored",
            "Set it in accounts.toml; `klaviyo-assets connections` lists them.",
        )
        return
    connection = fivetran.connection(account.fivetran_connection_id)
    yield from judged(account, connection, datetime.now(UTC))
    yield from judged_schema(account, connection, fivetran.schemas(connection.id))


def judged(account: Account, connection: Connection, now: datetime) -> Iterator[DoctorFinding]:
    """What the connection's state means for the account."""
    scope = Scope(FIVETRAN, account.name)
    last = f"last success {connection.succeeded_at:%Y-%m-%d %H:%M} UTC" if connection.succeeded_at else "no success yet"
    yield scope.ok(f"connection {connection.id}: {connection.state}, {last}")
    yield from _identity(scope, account, connection)
    stopped = list(_stopped(scope, connection))
    yield from stopped
    yield from _schedule(scope, connection)
    if not stopped:
        yield from _lateness(scope, connection, now)


def _identity(scope: Scope, account: Account, connection: Connection) -> Iterator[DoctorFinding]:
    if connection.service not in {"", "klaviyo"}:
        yield scope.fail(
            f"connection {connection.id} is for {connection.service}, not for Klaviyo",
            "Set fivetran_connection_id in accounts.toml; `klaviyo-assets connections` lists them.",
        )
    if connection.schema and connection.schema != account.postgres_schema:
        yield scope.warn(
            f"connection {connection.id} writes to {connection.schema!r}, but the account reads "
            f"{account.postgres_schema!r}",
            "Set postgres_schema or fivetran_connection_id in accounts.toml so that they match.",
        )


def _stopped(scope: Scope, connection: Connection) -> Iterator[DoctorFinding]:
    """The worst reason that keeps the connection from syncing."""
    because = f": {'; '.join(connection.problems)[:300].rstrip('.')}" if connection.problems else ""
    if connection.setup_state != "connected":
        yield scope.fail(f"the setup of the connection is {connection.setup_state}{because}",
                         f"Fix it at {connection.url}/setup.")  # fmt: skip
    elif connection.is_paused:
        yield scope.fail("the connection is paused, so no new data arrive", f"Enable it at {connection.url}.")
    elif connection.awaits_schema_review:
        yield scope.fail("the schema changed and waits for review, so no new data arrive",
                         f"Review it at {connection.url}/schema.")  # fmt: skip
    elif connection.last_sync_failed:
        yield scope.fail(f"the last sync failed at {connection.failed_at:%Y-%m-%d %H:%M} UTC{because}",
                         f"See {connection.url}; Fivetran retries by itself.")  # fmt: skip
    elif connection.sync_state == "rescheduled":
        yield scope.warn(f"the sync is postponed {until(connection.rescheduled_for)}{because}",
                         "Nothing to do: it will continue then.")  # fmt: skip


def _schedule(scope: Scope, connection: Connection) -> Iterator[DoctorFinding]:
    if connection.schedule_type == "manual":
        yield scope.warn(
            "Fivetran does not sync the connection by itself (schedule: manual)",
            f"Run `klaviyo-assets sync` on your own schedule, or set one at {connection.url}.",
        )
    elif connection.sync_frequency and timedelta(minutes=connection.sync_frequency) > _DAY:
        yield scope.warn(
            f"the connection syncs only every {connection.sync_frequency / 1440:.0f} days, so numbers can be that old",
            f"Set a shorter interval at {connection.url}.",
        )


def _lateness(scope: Scope, connection: Connection, now: datetime) -> Iterator[DoctorFinding]:
    if connection.succeeded_at is None:
        yield scope.warn(
            "the connection has never finished a sync", "Wait for the first one, or run `klaviyo-assets sync`."
        )
        return
    if connection.schedule_type == "manual" or connection.is_syncing:
        return
    allowed = max(_MISSED * timedelta(minutes=connection.sync_frequency or 0), _DAY)
    if now - connection.succeeded_at > allowed:
        yield scope.warn(
            f"the last successful sync was {(now - connection.succeeded_at) / _DAY:.1f} days ago, though it "
            f"syncs every {connection.sync_frequency or 0} minutes",
            f"See {connection.url}.",
        )


def judged_schema(account: Account, connection: Connection, tables: Iterable[SourceTable]) -> Iterator[DoctorFinding]:
    """Find tables and columns that the product reads but that are switched off or hashed in Fivetran."""
    scope = Scope(FIVETRAN, account.name)
    fix = f"Change it at {connection.url}/schema, then re-sync the table there."
    read = {table.destination_name: table for table in tables if table.destination_name in TABLES}
    off = sorted(name for name, table in read.items() if not table.enabled)
    if off:
        finding = scope.fail if "event" in off else scope.warn
        yield finding(
            f"tables switched off in Fivetran: {', '.join(off)}", f"Switch them on at {connection.url}/schema."
        )
    for name, table in sorted(read.items()):
        if not table.enabled:
            continue
        wanted = {column.name for column in TABLES[name].raw}
        keys = {part for part in wanted if part == "id" or part.endswith("_id")}
        if missing := sorted(wanted & set(table.columns_off)):
            yield scope.warn(f"columns of {name} are switched off in Fivetran: {', '.join(missing)}", fix)
        if hashed := sorted(keys & set(table.columns_hashed)):
            yield scope.fail(f"Fivetran hashes ids of {name}, so its rows cannot be joined: {', '.join(hashed)}", fix)
