"""Fivetran: does the key work, and is each account's connection well and on time.

Here: judging what the API tells. Not here: asking it (`resources/fivetran/resource.py`); no sync is started, nothing
changed.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.findings import Finding, Scope
from klaviyo_assets.resources.fivetran.models import Connection, SourceTable, until
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.tables import TABLES
from klaviyo_assets.text import plural

FIVETRAN = "fivetran"
_DAY = timedelta(days=1)
# A connection is late when it has missed so many of its own intervals.
_MISSED = 3


def check_key(fivetran: FivetranResource) -> Iterator[Finding]:
    """Whether the key is let in, and sees anything."""
    scope = Scope(FIVETRAN)
    groups = fivetran.groups()
    if groups:
        yield scope.ok(f"the key sees {plural(len(groups), 'group')}")
    else:
        yield scope.fail("the key sees no group", "Give its user access to the destination's group in Fivetran.")


def check_account(fivetran: FivetranResource, account: Account) -> Iterator[Finding]:
    """One account's connection and its tables."""
    scope = Scope(FIVETRAN, account.name)
    if not account.fivetran_connection_id:
        yield scope.warn(
            "no fivetran_connection_id: its syncs are neither started nor watched",
            "Set it in accounts.toml; `klaviyo-assets connections` lists them.",
        )
        return
    connection = fivetran.connection(account.fivetran_connection_id)
    yield from judged(account, connection, datetime.now(UTC))
    yield from judged_schema(account, connection, fivetran.schemas(connection.id))


def judged(account: Account, connection: Connection, now: datetime) -> Iterator[Finding]:
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


def _identity(scope: Scope, account: Account, connection: Connection) -> Iterator[Finding]:
    if connection.service not in {"", "klaviyo"}:
        yield scope.fail(
            f"connection {connection.id} is one of {connection.service}, not of Klaviyo",
            "Set fivetran_connection_id in accounts.toml; `klaviyo-assets connections` lists them.",
        )
    if connection.schema and connection.schema != account.postgres_schema:
        yield scope.warn(
            f"connection {connection.id} writes to {connection.schema!r}, the account reads "
            f"{account.postgres_schema!r}",
            "Set postgres_schema or fivetran_connection_id in accounts.toml so that they belong together.",
        )


def _stopped(scope: Scope, connection: Connection) -> Iterator[Finding]:
    """What keeps the connection from syncing, the worst first and alone."""
    because = f": {'; '.join(connection.problems)[:300].rstrip('.')}" if connection.problems else ""
    if connection.setup_state != "connected":
        yield scope.fail(f"the set-up of the connection is {connection.setup_state}{because}",
                         f"Mend it at {connection.url}/setup.")  # fmt: skip
    elif connection.is_paused:
        yield scope.fail("the connection is paused: nothing new arrives", f"Enable it at {connection.url}.")
    elif connection.awaits_schema_review:
        yield scope.fail("the schema changed and waits for review: nothing new arrives",
                         f"Review it at {connection.url}/schema.")  # fmt: skip
    elif connection.last_sync_failed:
        yield scope.fail(f"its last sync failed at {connection.failed_at:%Y-%m-%d %H:%M} UTC{because}",
                         f"See {connection.url}; Fivetran tries again by itself.")  # fmt: skip
    elif connection.sync_state == "rescheduled":
        yield scope.warn(f"its sync is put off {until(connection.rescheduled_for)}{because}",
                         "Nothing: it goes on then.")  # fmt: skip


def _schedule(scope: Scope, connection: Connection) -> Iterator[Finding]:
    if connection.schedule_type == "manual":
        yield scope.warn(
            "Fivetran does not sync it by itself (schedule: manual)",
            f"Run `klaviyo-assets sync` on a schedule of yours, or set one at {connection.url}.",
        )
    elif connection.sync_frequency and timedelta(minutes=connection.sync_frequency) > _DAY:
        yield scope.warn(
            f"it syncs every {connection.sync_frequency / 1440:.0f} days only: numbers are as old",
            f"Set a shorter interval at {connection.url}.",
        )


def _lateness(scope: Scope, connection: Connection, now: datetime) -> Iterator[Finding]:
    if connection.succeeded_at is None:
        yield scope.warn("it has never finished a sync", "Wait for its first one, or start it: `klaviyo-assets sync`.")
        return
    if connection.schedule_type == "manual" or connection.is_syncing:
        return
    allowed = max(_MISSED * timedelta(minutes=connection.sync_frequency or 0), _DAY)
    if now - connection.succeeded_at > allowed:
        yield scope.warn(
            f"its last success is {(now - connection.succeeded_at) / _DAY:.1f} days ago, though it syncs every "
            f"{connection.sync_frequency or 0} minutes",
            f"See {connection.url}.",
        )


def judged_schema(account: Account, connection: Connection, tables: Iterable[SourceTable]) -> Iterator[Finding]:
    """Tables and columns that the product reads and that somebody switched off, or has Fivetran hash."""
    scope = Scope(FIVETRAN, account.name)
    mend = f"Change it at {connection.url}/schema, then re-sync the table there."
    read = {table.destination_name: table for table in tables if table.destination_name in TABLES}
    off = sorted(name for name, table in read.items() if not table.enabled)
    if off:
        finding = scope.fail if "event" in off else scope.warn
        yield finding(f"switched off in Fivetran: {', '.join(off)}", f"Switch them on at {connection.url}/schema.")
    for name, table in sorted(read.items()):
        if not table.enabled:
            continue
        wanted = {column.name for column in TABLES[name].raw}
        keys = {part for part in wanted if part == "id" or part.endswith("_id")}
        if missing := sorted(wanted & set(table.columns_off)):
            yield scope.warn(f"columns of {name} switched off in Fivetran: {', '.join(missing)}", mend)
        if hashed := sorted(keys & set(table.columns_hashed)):
            yield scope.fail(f"ids of {name} are hashed by Fivetran, so nothing joins: {', '.join(hashed)}", mend)
