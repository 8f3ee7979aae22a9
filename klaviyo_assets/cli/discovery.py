"""What `init` learns from Fivetran and Postgres about the Klaviyo accounts there.

What belongs here: reading, and the best guess for each setting, with a note on what is uncertain. What does not: asking
the user and writing files (`init.py`).

Each question to Postgres is one statement with a time limit: what takes too long stays unknown, with a note.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.metrics import Metric
from klaviyo_assets.resources.fivetran.models import Connection
from klaviyo_assets.resources.postgres.resource import PostgresResource, Snapshot
from klaviyo_assets.source.catalog import SourceCatalog
from klaviyo_assets.source.sql import RawTable, event_time, select
from klaviyo_assets.tables.event import SPEC as EVENT
from klaviyo_assets.tables.metric import SPEC as METRIC

SERVICE = "klaviyo"
CONVERSION = "Placed Order"
# How many events are checked for a currency: the first ones found, so that the whole table is not read.
_SAMPLE = 10_000
_RECENT = timedelta(days=30)
# Earlier dates are errors, because no shop was on the web then. A time of zero seconds, for example, is in 1970.
FIRST_LIKELY_DAY = date(1995, 1, 1)


@dataclass(frozen=True)
class Candidate:
    """A metric that may be the account's conversion metric; `events` and `last_at` (UTC) show whether it is in use."""

    metric: Metric
    events: int = 0
    last_at: datetime | None = None

    def __str__(self) -> str:
        last = f", last on {self.last_at:%Y-%m-%d}" if self.last_at else ""
        return f"{self.metric.name} of {self.metric.integration or 'no integration'} ({self.events:,} events{last})"


@dataclass(frozen=True)
class Draft:
    """A draft of an account's settings; None means that the value could not be learned."""

    name: str
    schema: str
    connection_id: str = ""
    currency: str | None = None
    first_event_at: datetime | None = None
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


def discover(connections: Iterable[Connection], postgres: PostgresResource) -> list[Draft]:
    """One draft per Klaviyo connection, or, if there are none, per Postgres schema that looks like Klaviyo's.

    Raises:
        TransientError: Postgres cannot be reached.
        PermanentError: Postgres refuses the login.
    """
    schemas = klaviyo_schemas(postgres)
    of_klaviyo = [connection for connection in connections if connection.service == SERVICE]
    places = [(one.schema, one.id) for one in of_klaviyo] or [(schema, "") for schema in schemas]
    names = account_names([schema for schema, _ in places])
    return [
        _draft(postgres, name, schema, connection_id, has_tables=schema in schemas)
        for name, (schema, connection_id) in zip(names, places, strict=True)
    ]


def klaviyo_schemas(postgres: PostgresResource) -> list[str]:
    """The schemas that hold the tables `event` and `metric`."""
    query = sql.SQL(
        "SELECT n.nspname::text AS name FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid "
        "WHERE c.relname IN ('event', 'metric') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege("
        "n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') GROUP BY 1 HAVING count(*) = 2 ORDER BY 1"
    )
    with postgres.snapshot() as snapshot:
        return [row["name"] for row in _rows(snapshot, query)]


def account_names(schemas: list[str]) -> list[str]:
    """A unique name for each schema: in lower case, without the prefix that Klaviyo schemas share."""
    names: list[str] = []
    for schema in schemas:
        plain = re.sub(r"[^a-z0-9]+", "_", schema.lower()).strip("_")
        name = plain.removeprefix(f"{SERVICE}_") or "account"
        taken = sum(1 for other in names if other == name or re.fullmatch(rf"{name}_\d+", other))
        names.append(f"{name}_{taken + 1}" if taken else name)
    return names


def _draft(postgres: PostgresResource, name: str, schema: str, connection_id: str, *, has_tables: bool) -> Draft:
    draft = Draft(name, schema, connection_id)
    if not has_tables:
        missing = f"Postgres has no Klaviyo tables in schema {schema!r} yet, or this user cannot see them"
        return replace(draft, notes=(missing,))
    with postgres.snapshot() as snapshot:
        tables = SourceCatalog.read(snapshot, schema).tables
    return _with_currency(postgres, _with_events(postgres, draft, tables), tables)


def _with_events(postgres: PostgresResource, draft: Draft, tables: dict[str, RawTable]) -> Draft:
    candidates = [Candidate(metric) for metric in _metrics(postgres, tables["metric"]) if _may_convert(metric)]
    try:
        counted = _answered(postgres, _events_per_metric(tables["event"]))
    except PermanentError:
        note = "counting the events took too long, so start_date is a guess"
        return replace(draft, candidates=tuple(candidates), notes=(*draft.notes, note))
    by_id = {row["metric_id"]: row for row in counted}
    counted_candidates = [_counted(candidate, by_id.get(candidate.metric.metric_id)) for candidate in candidates]
    firsts = [row["first_at"] for row in counted if row["first_at"]]
    newest = max((row["last_at"] for row in counted if row["last_at"]), default=datetime.max.replace(tzinfo=UTC))
    notes = () if firsts else ("there are no events yet",)
    return replace(
        draft,
        candidates=tuple(sorted(counted_candidates, key=_most_used(newest), reverse=True)),
        first_event_at=min(firsts, default=None),
        notes=(*draft.notes, *notes, *_about_unlikely(sum(row["unlikely"] for row in counted)),
               *_about_conversion(counted_candidates)),
    )  # fmt: skip


def _about_unlikely(events: int) -> Iterable[str]:
    if events:
        yield (
            f"{events:,} event(s) are dated before {FIRST_LIKELY_DAY} or after today and were ignored for start_date; "
            "set it earlier if those dates are right"
        )


def _about_conversion(candidates: list[Candidate]) -> Iterable[str]:
    if not candidates:
        yield f"there is no metric {CONVERSION!r} yet; set conversion_metric once it exists, or to a different metric"


def _with_currency(postgres: PostgresResource, draft: Draft, tables: dict[str, RawTable]) -> Draft:
    stated = sql.SQL(
        "SELECT upper(e.property_currency_code) AS currency FROM ({}) AS e "
        "WHERE upper(e.property_currency_code) ~ '^[A-Z]{{3}}$' LIMIT {}"
    ).format(select(EVENT, tables["event"], properties=False), sql.Literal(_SAMPLE))
    query = sql.SQL(
        "SELECT currency, count(*) AS events FROM ({}) AS stated GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    ).format(stated)
    try:
        rows = _answered(postgres, query)
    except PermanentError:
        rows = []
    if rows:
        return replace(draft, currency=rows[0]["currency"])
    return replace(draft, notes=(*draft.notes, "no event has a currency, so the currency is a guess"))


def _metrics(postgres: PostgresResource, table: RawTable) -> list[Metric]:
    query = sql.SQL("SELECT m.id, m.name, m.integration_name, m.integration_id FROM ({}) AS m ORDER BY m.id").format(
        select(METRIC, table, properties=False)
    )
    return [
        Metric(row["id"], row["name"] or "", row["integration_name"], row["integration_id"])
        for row in _answered(postgres, query)
        if row["id"]
    ]


def _may_convert(metric: Metric) -> bool:
    return metric.canonical.casefold() == CONVERSION.casefold()


def _events_per_metric(table: RawTable) -> sql.Composed:
    metric_id = sql.SQL("t.metric_id::text") if "metric_id" in table.columns else sql.SQL("NULL::text")
    return sql.SQL(
        "SELECT {} AS metric_id, count(*) AS events, min({time}) FILTER (WHERE {likely}) AS first_at, "
        "max({time}) FILTER (WHERE {likely}) AS last_at, count(*) FILTER (WHERE NOT {likely}) AS unlikely "
        "FROM {} AS t GROUP BY 1"
    ).format(metric_id, table.identifier, time=event_time(table), likely=_likely(event_time(table)))


def _likely(time: sql.Composable) -> sql.Composed:
    """A condition: the time is plausible for an event that a shop sent or imported."""
    bounds = [sql.Literal(FIRST_LIKELY_DAY), sql.SQL("now() + interval '1 day'")]
    return sql.SQL("(({0}) >= {1} AND ({0}) < {2})").format(time, *bounds)


def _counted(candidate: Candidate, row: dict[str, Any] | None) -> Candidate:
    return replace(candidate, events=row["events"], last_at=row["last_at"]) if row else candidate


def _most_used(newest: datetime) -> Callable[[Candidate], tuple[bool, int]]:
    """Metrics in recent use first (a replaced integration may still have the most events), then by events."""
    return lambda candidate: (candidate.last_at is not None and candidate.last_at >= newest - _RECENT, candidate.events)


def _answered(postgres: PostgresResource, query: sql.Composable) -> list[dict[str, Any]]:
    with postgres.snapshot() as snapshot:
        return _rows(snapshot, query)


def _rows(snapshot: Snapshot, query: sql.Composable) -> list[dict[str, Any]]:
    return snapshot.read(query).to_pylist()  # type: ignore[no-any-return]
