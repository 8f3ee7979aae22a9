"""What Postgres says about an account's days: digests of their rows, days that a sync wrote to, and late receipts.

Here: questions about days of events, each a single statement in one snapshot. Not here: what follows from the answers
(`stages/planning.py`), and reading the rows themselves (`source/extraction.py`).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

from psycopg import sql

from klaviyo_assets.source.digests import EVENT_DIGEST_COLUMNS, digest_expression
from klaviyo_assets.source.event_rules import is_receipt
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.sql import RawTable, during, event_time, id_text, sync_time
from klaviyo_assets.tables import EVENT

SYNCED = "_fivetran_synced"
_NEVER, _FOREVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def source_days(source: AccountSource, first: date, last: date) -> dict[date, str]:
    """The digest of every day from `first` to `last` (inclusive, account days) that has events, in one pass."""
    return _digests(source, [(first, last)])


def digests_of(source: AccountSource, days: Iterable[date]) -> dict[date, str]:
    """The digests of some days; days without events are left out."""
    return _digests(source, ranges(days))


def _digests(source: AccountSource, spans: Collection[tuple[date, date]]) -> dict[date, str]:
    table = source.table(EVENT)
    if not table.columns or not spans:
        return {}
    query = sql.SQL("SELECT {} AS day, {} AS digest FROM {} AS t WHERE {} GROUP BY 1").format(
        _day(source, table), digest_expression(table, EVENT_DIGEST_COLUMNS), table.identifier,
        sql.SQL(" OR ").join(_within(source, table, span) for span in spans),
    )  # fmt: skip
    return {row["day"]: row["digest"] for row in source.snapshot.read(query).to_pylist()}


def events_between(source: AccountSource, first: date, last: date) -> int:
    """The number of events, including deleted ones, on the days from `first` to `last`."""
    table = source.table(EVENT)
    if not table.columns:
        return 0
    query = sql.SQL("SELECT count(*) AS n FROM {} AS t WHERE {}")
    counts = source.snapshot.read(query.format(table.identifier, _within(source, table, (first, last))))
    return int(counts.column("n")[0].as_py())


def days_synced_since(source: AccountSource, since: datetime) -> set[date] | None:
    """The days of events that Fivetran wrote at or after a moment; None if the table does not show this."""
    table = source.table(EVENT)
    if table.columns.get(SYNCED) != "timestamptz":
        return None
    query = sql.SQL("SELECT DISTINCT {} AS day FROM {} AS t WHERE t._fivetran_synced >= {}").format(
        _day(source, table), table.identifier, sql.Literal(since)
    )
    return set(source.snapshot.read(query).column("day").to_pylist()) - {None}


def metrics_of_days(source: AccountSource, days: Iterable[date]) -> dict[date, frozenset[str]]:
    """The metrics of the events of some days that are not deleted."""
    table, spans = source.table(EVENT), ranges(days)
    if "metric_id" not in table.columns or not spans:
        return {}
    query = sql.SQL("SELECT DISTINCT {} AS day, {} AS metric FROM {} AS t WHERE ({}) AND {}").format(
        _day(source, table), id_text(table, "metric_id"), table.identifier,
        sql.SQL(" OR ").join(_within(source, table, span) for span in spans), _kept(table),
    )  # fmt: skip
    metric_ids: dict[date, set[str]] = {}
    for row in source.snapshot.read(query).to_pylist():
        metric_ids.setdefault(row["day"], set()).update({row["metric"]} - {None, ""})
    return {day: frozenset(ids) for day, ids in metric_ids.items()}


def late_receipts(
    source: AccountSource, loaded: Mapping[date, datetime], since: datetime | None, renamed: Collection[date] = ()
) -> dict[date, datetime]:
    """Days that contain events of people whose receipts arrived late, with the time of arrival (`_fivetran_synced`).

    A receipt of an earlier day says when a message was sent, or which one is credited. A day that found no receipt did
    not read the receipt's day, so the digests of what it read do not show the arrival.

    Args:
        source: The account in one snapshot.
        loaded: For each day that may need receipts, up to which sync it was read.
        since: Receipts written before this are known to have been read; None: check receipts of any time.
        renamed: Days whose receipts count as having arrived just now: they may not have been receipts before.
    """
    table = source.table(EVENT)
    if not loaded or table.columns.get(SYNCED) != "timestamptz" or "person_id" not in table.columns:
        return {}
    late = _late(source, table, loaded, since, renamed)
    if not late:
        return {}
    persons, days, arrived = (list(part) for part in zip(*late, strict=True))
    query = sql.SQL(
        "SELECT {day} AS day, max(late.arrived) AS arrived FROM {table} AS t JOIN "
        "unnest({persons}::text[], {days}::date[], {arrived}::timestamptz[]) AS late(person, day, arrived) "
        "ON late.person = {person} AND late.day <= {day} GROUP BY 1"
    ).format(
        day=_day(source, table), table=table.identifier, person=id_text(table, "person_id"),
        persons=sql.Literal(persons), days=sql.Literal(days), arrived=sql.Literal(arrived),
    )  # fmt: skip
    rows = source.snapshot.read(query).to_pylist()
    return {row["day"]: row["arrived"] for row in rows if row["day"] in loaded}


def _late(
    source: AccountSource, table: RawTable, loaded: Mapping[date, datetime], since: datetime | None,
    renamed: Collection[date],
) -> list[tuple[str, date, datetime]]:  # fmt: skip
    """Person, day and arrival of the receipts that came after a later day, or their own, had been read."""
    # For each day, the earliest time at which it or any later day was read; a receipt that came afterwards was missed.
    days = [min(loaded) + timedelta(days=ahead) for ahead in range((max(loaded) - min(loaded)).days + 1)]
    moments = list(accumulate((loaded.get(day, _FOREVER) for day in reversed(days)), min))[::-1]
    day = _day(source, table)
    late = sql.SQL("t._fivetran_synced >= {} AND t._fivetran_synced > coalesce(read.moment, {})").format(
        sql.Literal(since or _NEVER), sql.Literal(moments[0])
    )
    if renamed:
        late = sql.SQL("({} = ANY({}::date[]) OR ({}))").format(day, sql.Literal(sorted(renamed)), late)
    query = sql.SQL(
        "SELECT {person} AS person, {day} AS day, max(t._fivetran_synced) AS arrived FROM {table} AS t LEFT JOIN "
        "unnest({days}::date[], {moments}::timestamptz[]) AS read(day, moment) ON read.day = {day} WHERE {receipt} AND "
        "{person} IS NOT NULL AND {day} <= {last} AND {late} AND {synced} GROUP BY 1, 2"
    ).format(
        person=id_text(table, "person_id"), day=day, table=table.identifier, late=late,
        receipt=is_receipt(table, source.metrics),
        days=sql.Literal(days), moments=sql.Literal(moments),
        last=sql.Literal(days[-1]), synced=sync_time(sql.SQL("t._fivetran_synced")),
    )  # fmt: skip
    return [
        (row["person"], row["day"], _FOREVER if row["day"] in renamed else row["arrived"])
        for row in source.snapshot.read(query).to_pylist()
    ]


def _day(source: AccountSource, table: RawTable) -> sql.Composed:
    return sql.SQL("(({}) AT TIME ZONE {})::date").format(event_time(table), sql.Literal(source.account.timezone))


def _within(source: AccountSource, table: RawTable, span: tuple[date, date]) -> sql.Composed:
    return during(table, source.account.day_bounds(span[0])[0], source.account.day_bounds(span[1])[1])


def _kept(table: RawTable) -> sql.Composable:
    deleted = "_fivetran_deleted"
    if table.columns.get(deleted) != "bool":
        return sql.SQL("true")
    return sql.SQL("NOT coalesce(t._fivetran_deleted, false)")


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Consecutive days as (first, last), in order."""
    spans: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if spans and day - spans[-1][1] == timedelta(days=1):
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans
