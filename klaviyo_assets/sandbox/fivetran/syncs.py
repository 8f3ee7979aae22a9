"""Running syncs: in the background, one at a time per connection, with the outcome that an operator planned.

Here: the life of a sync from request to `succeeded_at`. Not here: HTTP (`api`), rows (`shop`), SQL
(`writer`).
"""

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg

from klaviyo_assets.errors import KlaviyoAssetsError, UnknownNameError
from klaviyo_assets.sandbox.fivetran import ledger
from klaviyo_assets.sandbox.fivetran.books import Books, Record
from klaviyo_assets.sandbox.fivetran.clock import Clock
from klaviyo_assets.sandbox.fivetran.shop import KINDS, TABLES, Incident, Shop, ValuesReports, profile
from klaviyo_assets.sandbox.fivetran.writer import Connection, Mode, create_indexes, write_sync

_log = logging.getLogger(__name__)
_TICK = 0.2


class SyncFailedError(KlaviyoAssetsError):
    """The failure of a sync that an operator planned to fail."""


@dataclass
class _Run:
    thread: threading.Thread
    cancel: threading.Event = field(default_factory=threading.Event)


class Syncer:
    """Starts syncs and records how they ended.

    Args:
        books: Where connections are remembered.
        clock: The shop's clock; every time that the API shows is of it.
        postgres_url: Of the role that writes the raw tables.
        sync_seconds: How long a sync takes at least.
        indexes: Whether the recommended indexes are created.
        sync_every: Seconds between syncs of connections on schedule "auto"; None runs none by itself.
    """

    def __init__(
        self,
        books: Books,
        clock: Clock,
        postgres_url: str,
        sync_seconds: float = 1.0,
        indexes: bool = True,
        sync_every: float | None = None,
    ) -> None:
        self.books, self.clock = books, clock
        self._postgres_url, self._sync_seconds, self._indexes = postgres_url, sync_seconds, indexes
        self.sync_every = sync_every
        self._shops: dict[str, Shop] = {}
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._runs: dict[str, _Run] = {}
        self._starting = threading.RLock()
        self._stop_event = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="fivetran-schedule", daemon=True)

    def open(self) -> None:
        """Read from Postgres what was committed, restart interrupted syncs, and start the schedule."""
        for record in self.books.connections():
            self._reconcile(record)
            if record.sync_state == "syncing":
                self.start(record.id)
        self._ticker.start()

    def close(self) -> None:
        """Stop the schedule and wait for running syncs to give up or end."""
        self._stop_event.set()
        for run in list(self._runs.values()):
            run.cancel.set()
            run.thread.join()

    def start(
        self,
        connection_id: str,
        mode: Mode = "incremental",
        tables: Collection[str] | None = None,
        force: bool = False,
    ) -> bool:
        """Begin a sync in the background.

        Returns:
            False where one is running already and `force` is not set.
        """
        with self._starting:
            running = self._runs.get(connection_id)
            if running is not None and running.thread.is_alive():
                if not force:
                    return False
                running.cancel.set()
                running.thread.join()
            if mode != "incremental":
                table_names = None if tables is None else json.dumps(sorted(tables))
                self.books.change(connection_id, mode=mode, tables=table_names)
            self.books.change(connection_id, sync_state="syncing", rescheduled_for=None)
            thread = threading.Thread(target=self._run, args=[connection_id], daemon=True)
            self._runs[connection_id] = _Run(thread)
            thread.start()
        return True

    def happen(self, connection_id: str, kind: str, count: int, days: float, name: str) -> Incident:
        """Add an incident to a shop now; the next sync brings it."""
        if kind not in KINDS:
            raise UnknownNameError("incident", kind, KINDS)
        with self._locks[connection_id]:
            earlier = [incident.at for incident in self.books.incidents(connection_id)]
            # A second later than all that a sync may already have seen: instants of the shop are whole seconds.
            at = datetime.fromtimestamp(max([int(self.clock.now().timestamp()), *earlier]) + 1, UTC)
            self.clock.advance(max(at - self.clock.now(), timedelta(0)))
            incident = self.books.add_incident(connection_id, kind, at, count, days, name)
            if connection_id in self._shops:
                self._shops[connection_id].happen(incident)
        return incident

    def shop(self, record: Record) -> Shop:
        """The shop behind a connection."""
        if record.id not in self._shops:
            self._shops[record.id] = Shop(
                profile(record.position),
                record.seed,
                record.events_per_day,
                record.start,
                record.people,
                self.books.incidents(record.id),
            )
        return self._shops[record.id]

    @contextmanager
    def klaviyo(self, record: Record) -> Iterator[ValuesReports]:
        """What Klaviyo's own reports show of a connection's shop now; no sync writes meanwhile."""
        with self._locks[record.id]:
            yield self.shop(record).values_reports(self.clock.now())

    def connect(self) -> Connection:
        """A connection to Postgres, with the ledger in place."""
        connection = psycopg.connect(self._postgres_url, connect_timeout=5, application_name="fivetran-sandbox")
        ledger.create(connection)
        connection.commit()
        return connection

    def _run(self, connection_id: str) -> None:
        try:
            self._sync(connection_id)
        except (psycopg.Error, KlaviyoAssetsError) as error:
            self._fail(connection_id, str(error))
        except Exception as error:  # noqa: BLE001  # a thread's last resort: the API has to show the failure
            _log.exception("sync of %s broke", connection_id)
            self._fail(connection_id, f"{type(error).__name__}: {error}")

    def _sync(self, connection_id: str) -> None:
        record = self._record(connection_id)
        started_at = _to_milliseconds(self.clock.now())
        seconds = self._sync_seconds if record.next_seconds is None else record.next_seconds
        cancelled = self._runs[connection_id].cancel.wait(seconds)
        if cancelled:
            return
        self.books.change(connection_id, next_outcome=None, next_seconds=None, next_until=None, next_reason=None)
        if record.next_outcome == "reschedule":
            self.books.change(connection_id, sync_state="rescheduled", rescheduled_for=record.next_until)
        elif record.next_outcome == "fail":
            raise SyncFailedError(record.next_reason or "the source refused the request")
        else:
            self._write(self._record(connection_id), started_at)

    def _write(self, record: Record, started_at: datetime) -> None:
        with self._locks[record.id], self.connect() as connection:
            finished = self._write_in(connection, record, started_at)
        self.books.change(
            record.id,
            sync_state="scheduled",
            mode="incremental",
            tables=None,
            failure=None,
            succeeded_at=finished.finished_at,
        )

    def _write_in(self, connection: Connection, record: Record, started_at: datetime) -> ledger.FinishedSync:
        """Data and ledger in one transaction, which the caller's `with` commits."""
        shop, until = self.shop(record), started_at.replace(microsecond=0)
        last = ledger.last_sync(connection, record.id, record.incarnation)
        # Tables of a former shop, whose books were lost, hold different ids, so they are emptied.
        stale = ledger.forget_others(connection, record.id, record.incarnation)
        mode: Mode = "reload" if stale else record.mode
        since = None if last is None else last.until
        write = partial(write_sync, connection, shop, until=until, since=since, synced_at=started_at)
        enabled = set(TABLES) - record.disabled
        if record.tables is None or since is None:
            counts = write(mode=mode, tables=enabled)
        else:
            # The other tables continue from where they were.
            table_names = set(json.loads(record.tables)) & enabled
            counts = write(mode=mode, tables=table_names) | write(tables=enabled - table_names)
        if self._indexes:
            create_indexes(connection, shop.profile.schema)
        finished = ledger.FinishedSync(
            record.id, started_at, record.incarnation, until, self.clock.now(), mode, sum(counts.values())
        )
        ledger.record(connection, finished)
        return finished

    def _fail(self, connection_id: str, reason: str) -> None:
        self.books.change(connection_id, sync_state="scheduled", failed_at=self.clock.now(), failure=reason.strip())

    def _reconcile(self, record: Record) -> None:
        """A kill between Postgres' commit and ours leaves a success that the books do not know."""
        try:
            with self.connect() as connection:
                last = ledger.last_sync(connection, record.id, record.incarnation)
        except psycopg.OperationalError as error:
            _log.warning("Postgres does not answer, going on from the books alone: %s", error)
            return
        if last and (record.succeeded_at is None or record.succeeded_at < last.finished_at):
            self.books.change(record.id, succeeded_at=last.finished_at)

    def _tick(self) -> None:
        while not self._stop_event.wait(_TICK):
            for record in self.books.connections():
                if record.schedule_type == "auto" and not record.paused and self._is_due(record):
                    self.start(record.id)

    def _is_due(self, record: Record) -> bool:
        now = self.clock.now()
        if record.sync_state == "rescheduled":
            return record.rescheduled_for is not None and record.rescheduled_for <= now
        if self.sync_every is None or record.sync_state != "scheduled" or record.setup_state != "connected":
            return False
        ends = [at for at in (record.succeeded_at, record.failed_at) if at is not None]
        return not ends or max(ends) + timedelta(seconds=self.sync_every) <= now

    def _record(self, connection_id: str) -> Record:
        record = self.books.connection(connection_id)
        if record is None:
            raise UnknownNameError("connection", connection_id, [r.id for r in self.books.connections()])
        return record


def _to_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
