"""Fivetran's REST API: its connections, and starting syncs and waiting for their end.

Here: the resource and its requests. Not here: HTTP and retries (`transport.py`), the models
(`models.py`), the outcome of a sync (`wait.py`), Dagster assets (`defs/assets/fivetran.py`).

It never changes a connection: no schedule is switched, nothing is paused or enabled.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import dagster as dg
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, NotFoundError, PermanentError, SettingsError, UnknownNameError
from klaviyo_assets.resources.fivetran.models import (
    DASHBOARD,
    Connection,
    Group,
    SourceTable,
    connection_of,
    group_of,
    source_tables_of,
)
from klaviyo_assets.resources.fivetran.wait import SyncMarks, Wait, await_sync, refuse_unsyncable
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.limited_http import no_longer_than
from klaviyo_assets.transport.time_limits import (
    FIVETRAN_CALL,
    FIVETRAN_CONNECT,
    FIVETRAN_EXCHANGE,
    FIVETRAN_SILENCE,
    FIVETRAN_SYNC,
)

if TYPE_CHECKING:
    from klaviyo_assets.resources.fivetran.transport import Transport

Answer = TypeVar("Answer")
API_URL = "https://api.fivetran.com"
# The current and the former name of connections in the API; it may serve both.
_GENERATIONS = ("connections", "connectors")


@dataclass(frozen=True)
class StartedSync:
    """A sync that was requested: the connection before the request, and whether a sync was already running.

    A running sync is not restarted unless forced; the wait then lasts until it ends.
    """

    previous: Connection
    was_running: bool = False

    @property
    def since(self) -> SyncMarks:
        """The marks from which to wait for this sync."""
        return SyncMarks.of(self.previous)


class FivetranResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One Fivetran account, as one API key sees it."""

    api_key: str = Field(repr=False, description="Key of an API key pair (FIVETRAN_API_KEY).")
    api_secret: str = Field(repr=False, description="Its secret (FIVETRAN_API_SECRET).")
    api_url: str = Field(default="", description=f"Address of the API (FIVETRAN_API_URL; {API_URL}).")
    connect_timeout_seconds: float = Field(
        default=FIVETRAN_CONNECT.seconds, description="How long to wait for a connection."
    )
    read_timeout_seconds: float = Field(
        default=FIVETRAN_SILENCE.seconds, description="How long to wait for the next byte."
    )
    exchange_timeout_seconds: float = Field(
        default=FIVETRAN_EXCHANGE.seconds, description="How long a request and its answer may take in all."
    )
    call_timeout_seconds: float = Field(
        default=FIVETRAN_CALL.seconds, description="How long a call may take with its repetitions."
    )
    max_attempts: int = Field(default=5, ge=1, description="How many times a request is made before it is given up.")
    first_backoff_seconds: float = Field(default=1, description="Pause before the first repetition; it then doubles.")
    longest_pause_seconds: float = Field(
        default=60, description="Longest pause to sleep through; where Fivetran asks for more, the request fails."
    )
    hourly_budget: int = Field(
        default=10_000,
        description="Requests this process may make in an hour. Fivetran allows an account 20,000 (500 on trial).",
    )
    sync_timeout_seconds: float = Field(
        default=FIVETRAN_SYNC.seconds, description="How long to wait for the end of a sync."
    )
    poll_interval_seconds: float = Field(default=10, description="How often to ask whether a sync has ended.")

    @cached_property
    def transport(self) -> "Transport":
        """HTTP, created on first use.

        Raises:
            SettingsError: the key or its secret is empty.
        """
        from klaviyo_assets.resources.fivetran.transport import Transport, TransportSettings

        if not self.api_key or not self.api_secret:
            raise SettingsError(
                "FIVETRAN_API_KEY and FIVETRAN_API_SECRET must both be set",
                "Run `klaviyo-assets init`, which asks for them.",
            )
        return Transport(
            TransportSettings(
                api_url=optional(self.api_url, "FIVETRAN_API_URL", API_URL),
                api_key=self.api_key,
                api_secret=self.api_secret,
                connect_timeout=self.connect_timeout_seconds,
                read_timeout=self.read_timeout_seconds,
                exchange_timeout=self.exchange_timeout_seconds,
                call_timeout=self.call_timeout_seconds,
                max_attempts=self.max_attempts,
                first_backoff=self.first_backoff_seconds,
                longest_pause=self.longest_pause_seconds,
                hourly_budget=self.hourly_budget,
            )
        )

    @cached_property
    def generations(self) -> list[str]:
        """The names to try for connections; after the first success, only the one that works."""
        return list(_GENERATIONS)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  Dagster's signature
        """Close the connections that a run opened."""
        if "transport" in self.__dict__:
            self.transport.close()

    def groups(self) -> list[Group]:
        """All groups."""
        return [group_of(item) for item in self.transport.pages("/v1/groups")]

    def connections(self, group: str | None = None) -> list[Connection]:
        """The connections of a group (its id), or of all groups.

        Raises:
            UnknownNameError: there is no such group.
        """
        if group is not None:
            try:
                return self._list(lambda noun: f"/v1/groups/{quote(group, safe='')}/{noun}")
            except NotFoundError as error:
                raise UnknownNameError("Fivetran group", group, [known.id for known in self.groups()]) from error
        try:
            return self._list(lambda noun: f"/v1/{noun}")
        except NotFoundError:
            return [found for known in self.groups() for found in self.connections(known.id)]

    def connection(self, connection_id: str) -> Connection:
        """The current state of a connection.

        Raises:
            UnknownNameError: no connection has that id; the message lists the existing ones.
        """
        return connection_of(self._get(connection_id))

    def schemas(self, connection_id: str) -> tuple[SourceTable, ...]:
        """The tables that a connection may sync, enabled or not.

        Raises:
            UnknownNameError: there is no connection of that id.
        """
        return source_tables_of(self._get(connection_id, "/schemas"))

    def sync(self, connection_id: str, *, force: bool = False) -> StartedSync:
        """Start a sync with one request; `force` ends a running sync and starts a new one.

        Raises:
            ConnectionPausedError: the connection is paused.
            BrokenSetupError: its set-up is incomplete or broken.
            SchemaBlockedError: its schema changed and waits for review.
            UnknownNameError: there is no connection of that id.
        """
        previous = self._syncable(connection_id)
        self._start(previous, "sync", {"force": force})
        return StartedSync(previous, was_running=previous.is_syncing and not force)

    def resync(self, connection_id: str, tables: Iterable[str] | None = None) -> StartedSync:
        """Read everything, or only these tables, from the source again.

        Raises:
            UnknownNameError: there is no such connection or table.
            PermanentError: a table is switched off in Fivetran.
            ConflictError: a sync is running that excludes it.
        """
        previous = self._syncable(connection_id)
        body = {} if tables is None else {"scope": self._scope(connection_id, tables)}
        self._start(previous, "resync", body)
        return StartedSync(previous)

    def wait(
        self,
        connection_id: str,
        since: SyncMarks,
        *,
        timeout_seconds: float | None = None,
        interval_seconds: float | None = None,
        on_progress: Callable[[Connection], None] | None = None,
    ) -> Connection:
        """Wait until the sync that follows `since` has succeeded; returns the connection after it.

        Raises:
            SyncFailedError: it failed; the message has Fivetran's reason.
            SyncRescheduledError: Fivetran postponed it; the error says until when.
            ConnectionPausedError: the connection is paused, so it never ends.
            BrokenSetupError: the set-up broke.
            SchemaBlockedError: its schema changed and waits for review.
            SyncUnfinishedError: it had not ended after the time-out.
        """
        wait = Wait(
            self.sync_timeout_seconds if timeout_seconds is None else timeout_seconds,
            self.poll_interval_seconds if interval_seconds is None else interval_seconds,
            on_progress,
        )
        return await_sync(lambda: self.connection(connection_id), since, wait)

    def _syncable(self, connection_id: str) -> Connection:
        connection = self.connection(connection_id)
        refuse_unsyncable(connection)
        return connection

    def _start(self, previous: Connection, action: str, body: Mapping[str, Any]) -> None:
        """Post once. If the answer is lost, check whether a sync has begun before posting again."""
        for attempt in self.transport.attempts():
            with attempt, no_longer_than(self.call_timeout_seconds):
                if attempt.retry_state.attempt_number > 1 and self._has_begun(previous):
                    return
                self.transport.post(f"/v1/{self.generations[0]}/{previous.id}/{action}", body)

    def _has_begun(self, previous: Connection) -> bool:
        now = self.connection(previous.id)
        became_historical = now.is_historical_sync and not previous.is_historical_sync
        return now.is_syncing or became_historical or SyncMarks.of(now) != SyncMarks.of(previous)

    def _scope(self, connection_id: str, tables: Iterable[str]) -> dict[str, list[str]]:
        tables_known = {
            name: table for table in self.schemas(connection_id) for name in (table.name, table.destination_name)
        }
        scope: dict[str, list[str]] = {}
        for name in tables:
            if name not in tables_known:
                raise UnknownNameError(f"table of Fivetran connection {connection_id}", name, tables_known)
            if not tables_known[name].enabled:
                raise PermanentError(
                    f"cannot re-sync {name!r}: the table is switched off in Fivetran connection {connection_id}",
                    f"Switch it on at {DASHBOARD}/{connection_id}/schema.",
                )
            scope.setdefault(tables_known[name].schema, []).append(tables_known[name].name)
        return scope

    def _get(self, connection_id: str, below: str = "") -> Mapping[str, Any]:
        segment = quote(connection_id, safe="")
        try:
            return self._in_either_generation(lambda noun: self.transport.get(f"/v1/{noun}/{segment}{below}"))
        except NotFoundError as error:
            raise self._unknown(connection_id) from error

    def _list(self, path: Callable[[str], str]) -> list[Connection]:
        items = self._in_either_generation(lambda noun: list(self.transport.pages(path(noun))))
        return [connection_of(item) for item in items]

    def _in_either_generation(self, ask: Callable[[str], Answer]) -> Answer:
        """The answer of the current API, or else of the older one; later requests use the one that answered."""
        # Several threads may ask at once, and the first answer shortens the list for all of them.
        nouns = list(self.generations)
        for noun in nouns:
            try:
                answer = ask(noun)
            except NotFoundError:
                if noun == nouns[-1]:
                    raise
            else:
                self.generations[:] = [noun]
                return answer
        raise AssertionError("the last generation either answers or raises")

    def _unknown(self, connection_id: str) -> UnknownNameError:
        try:
            connection_names = [f"{connection.id} ({connection.schema})" for connection in self.connections()]
        except KlaviyoAssetsError:
            connection_names = []
        hint = "Set fivetran_connection_id in accounts.toml; `klaviyo-assets connections` shows the connections."
        return UnknownNameError("Fivetran connection", connection_id, connection_names, hint)


def fivetran_from_environment(environment: Mapping[str, str] | None = None) -> FivetranResource:
    """The resource that the environment describes, for use outside Dagster.

    Raises:
        SettingsError: a variable is missing; the message names it.
    """
    environment = os.environ if environment is None else environment
    missing = [name for name in ("FIVETRAN_API_KEY", "FIVETRAN_API_SECRET") if not environment.get(name)]
    if missing:
        raise SettingsError(
            f"{' and '.join(missing)} must be set (in the environment or in .env)",
            "`klaviyo-assets init` asks for them; `klaviyo-assets sandbox env` prints those of the local stand-in.",
        )
    return FivetranResource(
        api_key=environment["FIVETRAN_API_KEY"],
        api_secret=environment["FIVETRAN_API_SECRET"],
        api_url=environment.get("FIVETRAN_API_URL", ""),
    )
