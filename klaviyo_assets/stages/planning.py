"""Which days of an account are dirty, and why: Postgres now differs from what BigQuery was loaded from.

Here: comparing digests and fingerprints with the ledger, and naming what changed. Not here: who asks (sensors, the
command line), and runs.

A failed run leaves its day's ledger row as it was, so the day stays dirty: nothing is forgotten. A day's attribution
alone is dirty if a day changed from which its touches were read, or a setting that decides only credit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, partial
from itertools import product
from typing import Any

from psycopg import sql

from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.mapping.fingerprints import (
    UNDATED,
    UNDATED_WITH,
    attribution_fingerprint,
    event_fingerprint,
    event_settings,
)
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.source.days import late_receipts, metrics_of_days, ranges
from klaviyo_assets.source.digests import NO_ROWS, row_count
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.spellings import columns_gone, columns_read
from klaviyo_assets.source.sql import id_text
from klaviyo_assets.stages.looks import OVERLAP, DayDigests, Look, all_days, is_older, known_days, reads
from klaviyo_assets.stages.vanished import COLUMNS, loaded_event_days, refuse_losses
from klaviyo_assets.tables import ACCOUNT_TABLES, ATTRIBUTION, EVENT

NEW_ROWS = "new rows"
CHANGED_ROWS = "changed rows"
CHANGED_TOUCHES = "touches of a changed day"
LATE_RECEIPTS = "receipts of the day's people arrived late"
NOT_LOADED = "not loaded since it was found dirty"
ARRIVED_TOUCHES = "recorded touches that had been missing arrived"
RENAMED_METRICS = "metric names changed"
GONE_COLUMNS = "columns that are gone, and accepted as empty"
OTHER_VERSION = "loaded by a different version of this program"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class DirtyDay:
    """A day to rebuild, and why; with `only_attribution`, its events are as they were loaded."""

    day: date
    reasons: tuple[str, ...]
    only_attribution: bool = False


@dataclass(frozen=True)
class Plan:
    """What has to be rebuilt for an account: days in order, and account tables.

    Attributes:
        days: The dirty days.
        tables: The names of the dirty account tables.
        through: The newest sync that was seen.
        swept: Whether every day was looked at.
        fewer: For each day that has fewer events than were loaded, how many are missing.
    """

    days: tuple[DirtyDay, ...] = ()
    tables: tuple[str, ...] = ()
    through: datetime | None = None
    swept: bool = True
    fewer: tuple[int, ...] = ()

    @property
    def look(self) -> Look | None:
        """What the next look needs to know; None if nothing has ever been synced."""
        if self.through is None:
            return None
        return Look(self.through, *(tuple(self.ranges(only_attribution=only)) for only in (False, True)))

    def ranges(self, *, only_attribution: bool) -> list[tuple[date, date]]:
        """Consecutive days of one kind as (first, last), in order."""
        return ranges(dirty.day for dirty in self.days if dirty.only_attribution is only_attribution)

    def reasons(self, first: date, last: date, *, only_attribution: bool) -> list[str]:
        """Why days of one kind in a range are rebuilt: each reason once, the most frequent first."""
        counted: dict[str, int] = {}
        for dirty in self.days:
            if first <= dirty.day <= last and dirty.only_attribution is only_attribution:
                counted |= {reason: counted.get(reason, 0) + 1 for reason in dirty.reasons}
        return sorted(counted, key=lambda reason: (-counted[reason], reason))

    @property
    def announcements(self) -> list[str]:
        """A sentence for each set of reasons: what changed, and how many days are rebuilt for it."""
        counted: dict[tuple[str, bool], int] = {}
        for dirty in self.days:
            kind = "; ".join(dirty.reasons), dirty.only_attribution
            counted[kind] = counted.get(kind, 0) + 1
        lacking, span = _number(sum(self.fewer), "event"), _number(len(self.fewer), "day")
        lost = f"{lacking} fewer in Postgres than were loaded, on {span}: BigQuery will follow"
        return [lost] * bool(self.fewer) + [
            f"{reasons}: {_number(days, 'day')} of {'attribution' if only else 'events'} will be "
            f"{'loaded' if reasons == NEW_ROWS else 'rebuilt'}"
            for (reasons, only), days in counted.items()
        ]


def plan(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look | None = None
) -> Plan:
    """The days from `first` to `last` whose rows, settings or possible touches differ from the last load.

    Args:
        source: The account in one snapshot.
        entries: The ledger's newest entries.
        first: First day, inclusive.
        last: Last day, inclusive.
        seen: What the last look left. Only the days that syncs have written to since then, and those that were dirty,
            are looked at, unless the number of events shows that other days changed too. None: every day, in one pass.

    Raises:
        VanishedError: rows, tables or columns that were loaded are gone, and this was not accepted.
    """
    planner = _planner(source, entries, first, last, seen)
    loaded = [entry.day for entry in loaded_event_days(entries) if entry.day]
    # Days before the start date are not read, though Postgres may have their events: then all events are counted.
    is_known = all(first <= day <= last for day in loaded)
    refuse_losses(source, entries, sum(row_count(planner.digests.of(day)) for day in loaded) if is_known else None)
    return planner.plan()


def dirty_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> list[date]:
    """The days that a plan would have, even if rows that were loaded are gone."""
    return [dirty.day for dirty in _planner(source, entries, first, last).plan().days]


def _planner(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look | None = None
) -> "_Planner":
    digests = known_days(source, entries, first, last, seen) if seen else None
    swept = digests is None
    return _Planner(source, entries, first, last, digests or all_days(source, entries, first, last), seen, swept)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True)
class _Planner:
    source: AccountSource
    entries: Mapping[tuple[str, str], Entry]
    first: date
    last: date
    digests: DayDigests
    seen: Look | None
    swept: bool

    def plan(self) -> Plan:
        days = self._days_with_events()
        changed = {day: reasons for day in days if (reasons := list(self._of_events(day)))}
        # New rows show in the digests of the days that were read; a new meaning of the same rows does not.
        renamed = {day for day in changed if self._has_other_names(day)}
        late = self._late_receipts(days, renamed)
        for day in late[EVENT.name]:
            changed.setdefault(day, []).append(LATE_RECEIPTS)
        arrived = self._arrived(day for day in days if day not in changed)
        credit = partial(self._of_attribution, renamed=renamed, arrived=arrived, late=late[ATTRIBUTION.name])
        dirty = (DirtyDay(day, tuple(changed.get(day) or credit(day)), day not in changed) for day in days)
        fewer = filter(lambda count: count > 0, map(self._fewer, changed))
        return Plan(
            tuple(day for day in dirty if day.reasons), tuple(self._tables()), _moment(self.source.data_through),
            self.swept, tuple(fewer),
        )  # fmt: skip

    def _days_with_events(self) -> list[date]:
        """The days of the range that have events now, or had some when they were loaded."""
        loaded = {entry.day for entry in self.entries.values() if entry.table == EVENT.name and entry.day}
        with_rows = {day for day, digest in self.digests.by_day.items() if digest != NO_ROWS}
        return sorted(day for day in with_rows | loaded if self.first <= day <= self.last)

    def _of_events(self, day: date) -> Iterator[str]:
        """Why a day's events have to be rebuilt, and with them everything that depends on them."""
        entry = self.entries.get((EVENT.name, day.isoformat()))
        if entry is None:
            yield NEW_ROWS
            return
        if entry.source_digest != self.digests.of(day):
            yield CHANGED_ROWS
        if self._has_other_event_settings(entry, day):
            yield from _setting_changes(entry, event_settings(self.source.account))
        if self._reads_differ(entry):
            yield CHANGED_TOUCHES
        if self._lacks_columns(EVENT, entry):
            yield GONE_COLUMNS
        if self.seen and day in self.seen.of_events and is_older(entry, self.seen):
            yield NOT_LOADED

    def _fewer(self, day: date) -> int:
        """How many fewer events a day has than when it was loaded; negative if it has more."""
        entry, digest = self.entries.get((EVENT.name, day.isoformat())), self.digests.of(day)
        return row_count(entry.source_digest) - row_count(digest) if entry and digest else 0

    def _has_other_event_settings(self, entry: Entry, day: date) -> bool:
        """Whether events were mapped with settings or metric names that have changed since."""
        return entry.settings_fingerprint != self._event_fingerprint(entry, day)

    def _has_other_names(self, day: date) -> bool:
        """Whether a day's metrics have other names, or became conversions, since the day was loaded.

        A setting may have changed too: whoever renames the conversion metric changes the setting with it.
        """
        entry = self.entries.get((EVENT.name, day.isoformat()))
        if entry is None or entry.settings_fingerprint is None:
            return False
        loaded, current = entry.settings_fingerprint, self._event_fingerprint(entry, day)
        return loaded.partition(":")[2] != current.partition(":")[2]

    def _event_fingerprint(self, entry: Entry, day: date) -> str:
        """The fingerprint that a day's events would have if they were mapped now."""
        metric_ids = entry.details.get("metric_ids")
        if metric_ids is None:
            metric_ids = self._metrics_of_unknown.get(day, frozenset())
        return event_fingerprint(self.source.account, self.source.metrics, metric_ids)

    @cached_property
    def _metrics_of_unknown(self) -> dict[date, frozenset[str]]:
        """The metrics of days whose load did not keep them: it came from the archive, or from an older version."""
        entries = [entry for entry in self.entries.values() if entry.table == EVENT.name and entry.day]
        days = [entry.day for entry in entries if entry.details.get("metric_ids") is None]
        return metrics_of_days(self.source, [day for day in days if day])

    def _of_attribution(self, day: date, renamed: set[date], arrived: set[str], late: set[date]) -> Iterator[str]:
        """Why a day's credits have to be rebuilt although its events are as they were loaded."""
        entry = self.entries.get((ATTRIBUTION.name, day.isoformat()))
        if entry is None or entry.source_digest != self.digests.of(day):
            yield NEW_ROWS if entry is None else CHANGED_ROWS
            return
        if self._has_other_attribution_settings(entry):
            settings = self.source.account.attribution_settings(self.source.attribution_source)
            yield from _setting_changes(entry, settings)
        if self._reads_differ(entry) or not renamed.isdisjoint(reads(entry)):
            yield CHANGED_TOUCHES
        if not arrived.isdisjoint(entry.details.get("missing") or ()):
            yield ARRIVED_TOUCHES
        if day in late:
            yield LATE_RECEIPTS
        if self.seen and day in self.seen.days and is_older(entry, self.seen):
            yield NOT_LOADED

    def _has_other_attribution_settings(self, entry: Entry) -> bool:
        """Whether credits were computed with other settings or metric names; a load from the archive has no names."""
        source, seen = self.source, entry.details.get("metric_ids")
        fingerprint = attribution_fingerprint(source.account, source.attribution_source, source.metrics, seen or ())
        if seen is None:
            return (entry.settings_fingerprint or "").partition(":")[0] != fingerprint.partition(":")[0]
        return entry.settings_fingerprint != fingerprint

    def _reads_differ(self, entry: Entry) -> bool:
        """Whether a day on which touches were looked for, or found, has changed."""
        return any(self.digests.of(day) not in {None, digest} for day, digest in reads(entry).items())

    def _late_receipts(self, days: Iterable[date], renamed: set[date]) -> dict[str, set[date]]:
        """Days of events, and of credits, that lack a receipt because it arrived after they had been read."""
        loads = self._loads_with_receipts(days)
        earliest: dict[date, datetime] = {}
        for day, moment in (load for moments in loads.values() for load in moments.items()):
            earliest[day] = min(moment, earliest.get(day, moment))
        arrived = late_receipts(self.source, earliest, self._receipts_since(earliest), renamed)
        return {
            table: {day for day, moment in moments.items() if day in arrived and arrived[day] > moment}
            for table, moments in loads.items()
        }

    def _loads_with_receipts(self, days: Iterable[date]) -> dict[str, dict[date, datetime]]:
        """Up to which sync events and credits were loaded, for each day that has read receipts."""
        loads: dict[str, dict[date, datetime]] = {EVENT.name: {}, ATTRIBUTION.name: {}}
        for day, (table, moments) in product(days, loads.items()):
            entry = self.entries.get((table, day.isoformat()))
            # Events keep which days they read only if some of them needed a receipt.
            if entry and entry.data_through and entry.details.get("reads") is not None:
                moments[day] = entry.data_through
        return loads

    def _receipts_since(self, earliest: Mapping[date, datetime]) -> datetime | None:
        """Receipts written before this moment are known to have been read; None: any receipt may be late."""
        if self.seen is None or self.swept:
            return None
        return min([self.seen.through, *(earliest[day] for day in self.seen.days & earliest.keys())]) - OVERLAP

    def _arrived(self, days: Iterable[date]) -> set[str]:
        """Ids of events that recorded attribution named and that were missing, but are in Postgres now."""
        entries = (self.entries.get((ATTRIBUTION.name, day.isoformat())) for day in days)
        missing = sorted({named for entry in entries if entry for named in entry.details.get("missing") or ()})
        table = self.source.table(EVENT)
        if not missing or not table.columns:
            return set()
        query = sql.SQL("SELECT {0} AS id FROM {1} AS t WHERE {0} = ANY({2})")
        events = self.source.snapshot.read(query.format(id_text(table, "id"), table.identifier, sql.Literal(missing)))
        return set(events.column("id").to_pylist())

    def _tables(self) -> Iterator[str]:
        """The account tables whose rows or settings differ from what was loaded."""
        for spec in ACCOUNT_TABLES:
            entry = self.entries.get((spec.name, self.source.account.name))
            if (
                entry is None
                or entry.source_digest != self.source.table_digest(spec)
                or entry.settings_fingerprint != self.source.account.table_fingerprint
                or (spec is UNDATED_WITH and self._undated_differ())
                or self._lacks_columns(spec, entry)
            ):
                yield spec.name

    def _lacks_columns(self, spec: TableSpec, entry: Entry) -> bool:
        """Whether columns that the load read are gone. If this was not accepted, there is no plan at all."""
        before = entry.details.get(COLUMNS) or ()
        now = self._event_columns if spec is EVENT else columns_read(spec, self.source.table(spec))
        return bool(now) and bool(columns_gone(spec, before, now))

    @cached_property
    def _event_columns(self) -> list[str]:
        return columns_read(EVENT, self.source.table(EVENT))

    def _undated_differ(self) -> bool:
        """Whether the events without a time differ from the last load; there is no entry before the first of them."""
        entry = self.entries.get((EVENT.name, UNDATED))
        return (entry.source_digest if entry else NO_ROWS) != self.source.undated_digest()


def _setting_changes(entry: Entry, settings: Mapping[str, Any]) -> Iterator[str]:
    """Each change between the settings of a load and the present ones; there is always at least one."""
    before = entry.details.get("settings")
    if not before:
        yield OTHER_VERSION
        return
    named = [_change(name, before[name], now) for name, now in settings.items() if before.get(name, now) != now]
    yield from named or [RENAMED_METRICS]


def _change(name: str, before: Any, now: Any) -> str:
    if not isinstance(now, Mapping) or not isinstance(before, Mapping):
        return f"{name} changed ({_setting_text(before)} -> {_setting_text(now)})"
    parts = [
        f"{part} {_duration(before.get(part))} -> {_duration(now.get(part))}"
        for part in sorted({*before, *now})
        if before.get(part) != now.get(part)
    ]
    return f"{name} changed ({', '.join(parts)})"


def _setting_text(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _duration(seconds: int | None) -> str:
    if not seconds:
        return "none" if seconds is None else "0 seconds"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return _number(seconds // size, unit)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
