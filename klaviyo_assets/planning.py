"""Which days of an account are dirty: what is in Postgres now is not what BigQuery was loaded from.

Here: comparing digests and fingerprints, level-triggered. Not here: who asks (sensors, the command line), and runs.

A failed run leaves its day's ledger row as it was, so the day stays dirty: nothing is forgotten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import sql

from klaviyo_assets.extraction import EVENT_DIGEST_COLUMNS, NO_ROWS, AccountSource, digest_expression
from klaviyo_assets.ledger import Entry
from klaviyo_assets.mapped_frames import event_fingerprint
from klaviyo_assets.schemas.sql import event_time
from klaviyo_assets.tables import ATTRIBUTION, EVENT


@dataclass(frozen=True)
class DayState:
    """One day of events as Postgres has it: digest of its rows, and the metrics that occur."""

    digest: str
    metric_ids: frozenset[str]


def source_days(source: AccountSource, first: date, last: date) -> dict[date, DayState]:
    """Every day from `first` to `last` (inclusive, account days) that has events, in one pass over the table."""
    table = source.table(EVENT)
    if not table.columns:
        return {}
    start, _ = source.account.day_bounds(first)
    _, end = source.account.day_bounds(last)
    day = sql.SQL("(({}) AT TIME ZONE {})::date").format(event_time(table), sql.Literal(source.account.timezone))
    metrics = (
        sql.SQL("string_agg(DISTINCT t.metric_id::text, chr(10))")
        if "metric_id" in table.columns
        else sql.SQL("NULL::text")
    )
    query = sql.SQL("SELECT {} AS day, {} AS digest, {} AS metrics FROM {} AS t WHERE {} >= {} AND {} < {} GROUP BY 1")
    found = source.snapshot.read(
        query.format(
            day, digest_expression(table, EVENT_DIGEST_COLUMNS), metrics, table.identifier,
            event_time(table), sql.Literal(start), event_time(table), sql.Literal(end),
        )
    )  # fmt: skip
    return {
        row["day"]: DayState(row["digest"], frozenset((row["metrics"] or "").split("\n")) - {""})
        for row in found.to_pylist()
    }


def dirty_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> list[date]:
    """Days whose events, settings or possible touches differ from what was last loaded.

    A changed day dirties the days after it that its touches may be credited in: those of the longest window.
    """
    states = source_days(source, first, last)
    loaded = {entry.day for entry in entries.values() if entry.table == EVENT.name and entry.day}
    days = {day for day in states.keys() | loaded if first <= day <= last}
    changed = {day for day in days if not _is_current(source, entries, day, states.get(day))}
    reach = -(-source.account.attribution.longest_window // timedelta(days=1))
    followed = {day + timedelta(days=ahead) for day in changed for ahead in range(reach + 1)}
    return sorted(changed | (followed & days))


def _is_current(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], day: date, state: DayState | None
) -> bool:
    state = state or DayState(NO_ROWS, frozenset())
    event = entries.get((EVENT.name, day.isoformat()))
    credited = entries.get((ATTRIBUTION.name, day.isoformat()))
    if event is None or credited is None:
        return False
    wanted = {
        event.source_digest: state.digest,
        credited.source_digest: state.digest,
        event.settings_fingerprint: event_fingerprint(source.account, source.metrics, state.metric_ids),
        credited.settings_fingerprint: f"{source.account.fingerprint}:{source.attribution_source}",
    }
    return all(found == expected for found, expected in wanted.items())


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Consecutive days as (first, last), in order."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
