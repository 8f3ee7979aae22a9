"""Which days of an account are dirty, and why: what is in Postgres now is not what BigQuery was loaded from.

Here: comparing digests and fingerprints, level-triggered, and saying what changed. Not here: who asks (sensors, the
command line), and runs.

A failed run leaves its day's ledger row as it was, so the day stays dirty: nothing is forgotten. A day's attribution
is dirty by itself where a day changed that its touches were read from, or a setting that decides only credit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from psycopg import sql

from klaviyo_assets.extraction import EVENT_DIGEST_COLUMNS, NO_ROWS, AccountSource, digest_expression
from klaviyo_assets.ledger import Entry
from klaviyo_assets.mapped_frames import attribution_fingerprint, event_fingerprint, event_settings
from klaviyo_assets.schemas.sql import event_time, id_text
from klaviyo_assets.tables import ATTRIBUTION, EVENT

NEW_ROWS = "new rows"
CHANGED_ROWS = "changed rows"
CHANGED_TOUCHES = "touches of a changed day"
ARRIVED_TOUCHES = "recorded touches that were missing arrived"
RENAMED_METRICS = "metric names changed"
OTHER_VERSION = "made by another version of this program"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class DayState:
    """One day of events as Postgres has it: digest of its rows, and the metrics that occur."""

    digest: str
    metric_ids: frozenset[str]


@dataclass(frozen=True)
class DirtyDay:
    """A day to make again, and why; `only_attribution`: its events are as they were loaded."""

    day: date
    reasons: tuple[str, ...]
    only_attribution: bool = False


@dataclass(frozen=True)
class Plan:
    """The dirty days of an account, in order."""

    days: tuple[DirtyDay, ...] = ()

    def ranges(self, *, only_attribution: bool) -> list[tuple[date, date]]:
        """Consecutive days of one kind as (first, last), in order."""
        return ranges(dirty.day for dirty in self.days if dirty.only_attribution is only_attribution)

    def reasons(self, first: date, last: date, *, only_attribution: bool) -> list[str]:
        """Why days of one kind in a range are made again, each reason once, the most frequent first."""
        counted: dict[str, int] = {}
        for dirty in self.days:
            if first <= dirty.day <= last and dirty.only_attribution is only_attribution:
                counted |= {reason: counted.get(reason, 0) + 1 for reason in dirty.reasons}
        return sorted(counted, key=lambda reason: (-counted[reason], reason))

    @property
    def announcements(self) -> list[str]:
        """A sentence for each set of reasons: what changed, and how many days are made again for it."""
        counted: dict[tuple[str, bool], int] = {}
        for dirty in self.days:
            said = "; ".join(dirty.reasons), dirty.only_attribution
            counted[said] = counted.get(said, 0) + 1
        return [
            f"{reasons}: {_number(days, 'day')} of {'attribution' if only else 'events'} will be made"
            f"{'' if reasons == NEW_ROWS else ' again'}"
            for (reasons, only), days in counted.items()
        ]


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


def plan(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> Plan:
    """Days from `first` to `last` whose rows, settings or possible touches differ from what was last loaded."""
    return _Planner(source, entries, first, last).plan()


def dirty_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> list[date]:
    """The days of the plan, for whatever reason."""
    return [dirty.day for dirty in plan(source, entries, first, last).days]


@dataclass(frozen=True)
class _Planner:
    source: AccountSource
    entries: Mapping[tuple[str, str], Entry]
    first: date
    last: date

    @cached_property
    def _states(self) -> dict[date, DayState]:
        return source_days(self.source, self.first, self.last)

    def plan(self) -> Plan:
        loaded = {entry.day for entry in self.entries.values() if entry.table == EVENT.name and entry.day}
        days = sorted(day for day in self._states.keys() | loaded if self.first <= day <= self.last)
        changed = {day: reasons for day in days if (reasons := list(self._of_events(day)))}
        arrived = self._arrived(day for day in days if day not in changed)
        # Other rows show in the digests of what was read; another meaning of the same rows does not.
        renamed = {day.isoformat() for day, reasons in changed.items() if RENAMED_METRICS in reasons}
        dirty = [
            DirtyDay(day, tuple(changed[day] if day in changed else self._of_attribution(day, renamed, arrived)),
                     only_attribution=day not in changed)
            for day in days
        ]  # fmt: skip
        return Plan(tuple(found for found in dirty if found.reasons))

    def _state(self, day: date) -> DayState:
        return self._states.get(day) or DayState(NO_ROWS, frozenset())

    def _of_events(self, day: date) -> Iterator[str]:
        """Why a day's events have to be made again, and all that follows from them."""
        entry, state = self.entries.get((EVENT.name, day.isoformat())), self._state(day)
        if entry is None:
            yield NEW_ROWS
            return
        if entry.source_digest != state.digest:
            yield CHANGED_ROWS
        account, metrics = self.source.account, self.source.metrics
        if entry.settings_fingerprint != event_fingerprint(account, metrics, state.metric_ids):
            yield from _setting_changes(entry, event_settings(account))
        if self._reads_differ(entry):
            yield CHANGED_TOUCHES

    def _of_attribution(self, day: date, renamed: set[str], arrived: set[str]) -> Iterator[str]:
        """Why the credits of a day whose events are as loaded have to be made again."""
        entry = self.entries.get((ATTRIBUTION.name, day.isoformat()))
        if entry is None or entry.source_digest != self._state(day).digest:
            yield NEW_ROWS if entry is None else CHANGED_ROWS
            return
        if self._has_other_settings(entry):
            settings = self.source.account.attribution_settings(self.source.attribution_source)
            yield from _setting_changes(entry, settings)
        if self._reads_differ(entry) or not renamed.isdisjoint(entry.details.get("reads") or ()):
            yield CHANGED_TOUCHES
        if not arrived.isdisjoint(entry.details.get("missing") or ()):
            yield ARRIVED_TOUCHES

    def _has_other_settings(self, entry: Entry) -> bool:
        """Whether credits were made with other settings or metric names; a load from the archive knows no names."""
        source, seen = self.source, entry.details.get("metric_ids")
        wanted = attribution_fingerprint(source.account, source.attribution_source, source.metrics, seen or ())
        if seen is None:
            return (entry.settings_fingerprint or "").partition(":")[0] != wanted.partition(":")[0]
        return entry.settings_fingerprint != wanted

    def _reads_differ(self, entry: Entry) -> bool:
        """Whether a day that touches were looked for in is another one now; days before `first` are not looked at."""
        read = {date.fromisoformat(day): digest for day, digest in (entry.details.get("reads") or {}).items()}
        return any(digest != self._state(day).digest for day, digest in read.items() if self.first <= day <= self.last)

    def _arrived(self, days: Iterable[date]) -> set[str]:
        """Ids that recorded attribution named when they were nowhere, and that Postgres has now."""
        entries = (self.entries.get((ATTRIBUTION.name, day.isoformat())) for day in days)
        missing = sorted({named for entry in entries if entry for named in entry.details.get("missing") or ()})
        table = self.source.table(EVENT)
        if not missing or not table.columns:
            return set()
        query = sql.SQL("SELECT {0} AS id FROM {1} AS t WHERE {0} = ANY({2})")
        found = self.source.snapshot.read(query.format(id_text(table, "id"), table.identifier, sql.Literal(missing)))
        return set(found.column("id").to_pylist())


def _setting_changes(entry: Entry, settings: Mapping[str, Any]) -> Iterator[str]:
    """What changed between the settings of a load and those of now, each named; something always did."""
    before = entry.details.get("settings")
    if not before:
        yield OTHER_VERSION
        return
    named = [_change(name, before[name], now) for name, now in settings.items() if before.get(name, now) != now]
    yield from named or [RENAMED_METRICS]


def _change(name: str, before: Any, now: Any) -> str:
    if not isinstance(now, Mapping) or not isinstance(before, Mapping):
        return f"{name} changed ({_said(before)} -> {_said(now)})"
    parts = [
        f"{part} {_duration(before.get(part))} -> {_duration(now.get(part))}"
        for part in sorted({*before, *now})
        if before.get(part) != now.get(part)
    ]
    return f"{name} changed ({', '.join(parts)})"


def _said(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _duration(seconds: int | None) -> str:
    if not seconds:
        return "none" if seconds is None else "0 seconds"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return _number(seconds // size, unit)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Consecutive days as (first, last), in order."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
