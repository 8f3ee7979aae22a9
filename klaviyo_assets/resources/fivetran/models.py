"""Fivetran's groups, connections and tables as typed models.

Here: frozen models and reading them from an answer's `data`. Not here: HTTP (`transport.py`), and judging
the outcome of a sync (`wait.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from klaviyo_assets.errors import PermanentError

DASHBOARD = "https://fivetran.com/dashboard/connections"


@dataclass(frozen=True)
class Group:
    """A group: the connections that write to one destination."""

    id: str
    name: str


@dataclass(frozen=True)
class Connection:
    """A connection (one Klaviyo account's feed) at the time of the request. Times are UTC.

    `sync_state` is scheduled, syncing, paused or rescheduled; `setup_state` incomplete, connected or broken;
    `schema_status` is ready, blocked_on_capture (Fivetran looks at the source) or blocked_on_customer (changes wait
    for review); `sync_frequency` is in minutes; `problems` are the tasks and warnings that Fivetran shows on its
    dashboard.
    """

    id: str
    service: str
    schema: str
    group_id: str
    paused: bool = False
    setup_state: str = "connected"
    sync_state: str = "scheduled"
    schema_status: str = "ready"
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    rescheduled_for: datetime | None = None
    is_historical_sync: bool = False
    sync_frequency: int | None = None
    schedule_type: str = "auto"
    problems: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Its page on Fivetran's dashboard."""
        return f"{DASHBOARD}/{self.id}"

    @property
    def is_paused(self) -> bool:
        """Whether somebody has to enable it before it syncs."""
        return self.paused or self.sync_state == "paused"

    @property
    def awaits_schema_review(self) -> bool:
        """Whether somebody has to review a change of its schema before it syncs."""
        return self.schema_status == "blocked_on_customer"

    @property
    def is_syncing(self) -> bool:
        """Whether a sync is running."""
        return self.sync_state == "syncing"

    @property
    def last_sync_failed(self) -> bool:
        """Whether the last sync that ended was a failure."""
        return self.failed_at is not None and (self.succeeded_at is None or self.failed_at > self.succeeded_at)

    @property
    def state(self) -> str:
        """Its state in a few words, for people."""
        if self.setup_state != "connected":
            return f"set-up {self.setup_state}"
        if self.is_paused:
            return "paused"
        if self.awaits_schema_review:
            return "schema waits for review"
        if self.is_syncing:
            return "first or full sync running" if self.is_historical_sync else "syncing"
        if self.sync_state == "rescheduled":
            return f"rescheduled {until(self.rescheduled_for)}"
        return "last sync failed" if self.last_sync_failed else self.sync_state


@dataclass(frozen=True)
class SourceTable:
    """A table that a connection syncs: its name at the source and in the destination.

    `columns_off` are the columns that somebody switched off in Fivetran, `columns_hashed` those that Fivetran hashes,
    by their names in the destination.
    """

    schema: str
    name: str
    destination_schema: str
    destination_name: str
    enabled: bool
    columns_off: tuple[str, ...] = ()
    columns_hashed: tuple[str, ...] = ()


def until(moment: datetime | None) -> str:
    """`until 2026-03-01 04:30 UTC`, or that the time is not known."""
    return f"until {moment:%Y-%m-%d %H:%M} UTC" if moment else "until a time that Fivetran does not state"


def group_of(data: Mapping[str, Any]) -> Group:
    """A group from one item of an answer."""
    return Group(_text(data, "id"), str(data.get("name") or ""))


def connection_of(data: Mapping[str, Any]) -> Connection:
    """A connection from an answer's `data`, of either API generation.

    Raises:
        PermanentError: the answer lacks what every connection has.
    """
    status: Mapping[str, Any] = data.get("status") or {}
    frequency = data.get("sync_frequency")
    return Connection(
        id=_text(data, "id"),
        service=str(data.get("service") or ""),
        schema=str(data.get("schema") or ""),
        group_id=str(data.get("group_id") or ""),
        paused=bool(data.get("paused")),
        setup_state=str(status.get("setup_state") or "connected"),
        sync_state=str(status.get("sync_state") or "scheduled"),
        schema_status=str(status.get("schema_status") or "ready"),
        succeeded_at=_moment(data.get("succeeded_at")),
        failed_at=_moment(data.get("failed_at")),
        rescheduled_for=_moment(status.get("rescheduled_for")),
        is_historical_sync=bool(status.get("is_historical_sync")),
        sync_frequency=int(frequency) if frequency is not None else None,
        schedule_type=str(data.get("schedule_type") or "auto"),
        problems=tuple(_problems(status)),
    )


def source_tables_of(data: Mapping[str, Any]) -> tuple[SourceTable, ...]:
    """The tables of a connection's schema configuration, enabled or not."""
    return tuple(
        SourceTable(
            schema=schema,
            name=name,
            destination_schema=str(config.get("name_in_destination") or schema),
            destination_name=str(table.get("name_in_destination") or name),
            enabled=bool(config.get("enabled", True) and table.get("enabled", True)),
            columns_off=_columns(table, lambda column: not column.get("enabled", True)),
            columns_hashed=_columns(table, lambda column: bool(column.get("hashed"))),
        )
        for schema, config in (data.get("schemas") or {}).items()
        for name, table in (config.get("tables") or {}).items()
    )


def _columns(table: Mapping[str, Any], keep: Callable[[Mapping[str, Any]], bool]) -> tuple[str, ...]:
    """Columns of a table's configuration; Fivetran lists columns that somebody changed and may omit the others."""
    columns: Mapping[str, Mapping[str, Any]] = table.get("columns") or {}
    return tuple(str(column.get("name_in_destination") or name) for name, column in columns.items() if keep(column))


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise PermanentError(
            f"Fivetran's answer has no {name!r}, so it cannot be read", "Does FIVETRAN_API_URL point to Fivetran's API?"
        )
    return value


def _moment(value: Any) -> datetime | None:
    """A time that Fivetran wrote, or null. A time without a zone is UTC."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _problems(status: Mapping[str, Any]) -> Iterator[str]:
    for item in (*(status.get("tasks") or ()), *(status.get("warnings") or ())):
        if isinstance(item, Mapping):
            yield str(item.get("message") or item.get("code") or "")
        else:
            yield str(item)
