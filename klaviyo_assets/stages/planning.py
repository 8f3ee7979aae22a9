"""Which days of an account are dirty, and why: what is in Postgres now is not what BigQuery was loaded from.

Here: comparing digests and fingerprints, level-triggered, and saying what changed. Not here: who asks (sensors, the
command line), and runs.

A failed run leaves its day's ledger row as it was, so the day stays dirty: nothing is forgotten. A day's attribution
is dirty by itself where a day changed that its touches were read from, or a setting that decides only credit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, partial
from typing import Any

from psycopg import sql

from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.source.days import late_receipts, metrics_of_days, ranges, row_count
from klaviyo_assets.source.extraction import NO_ROWS, AccountSource
from klaviyo_assets.source.spellings import columns_gone, columns_read
from klaviyo_assets.source.sql import id_text
from klaviyo_assets.stages.looks import OVERLAP, Known, Look, all_days, is_older, known_days, reads
from klaviyo_assets.stages.mapping import (
    UNDATED,
    UNDATED_WITH,
    attribution_fingerprint,
    event_fingerprint,
    event_settings,
)
from klaviyo_assets.stages.vanished import COLUMNS, loaded_event_days, refuse_losses
from klaviyo_assets.tables import ACCOUNT_TABLES, ATTRIBUTION, EVENT

NEW_ROWS = "new rows"
CHANGED_ROWS = "changed rows"
CHANGED_TOUCHES = "touches of a changed day"
LATE_RECEIPTS = "receipts of people of the day arrived late"
NOT_LOADED = "not loaded since it was found dirty"
ARRIVED_TOUCHES = "recorded touches that were missing arrived"
RENAMED_METRICS = "metric names changed"
GONE_COLUMNS = "columns that are gone, and accepted as empty"
OTHER_VERSION = "made by another version of this program"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class DirtyDay:
    """A day to make again, and why; `only_attribution`: its events are as they were loaded."""

    day: date
    reasons: tuple[str, ...]
    only_attribution: bool = False


@dataclass(frozen=True)
class Plan:
    """What of an account has to be made again: days in order, and account tables.

    `through` is the newest sync that was seen; `swept`: every day was looked at; `fewer`: by how many events each
    day that has fewer of them than were loaded does so.
    """

    days: tuple[DirtyDay, ...] = ()
    tables: tuple[str, ...] = ()
    through: datetime | None = None
    swept: bool = True
    fewer: tuple[int, ...] = ()

    @property
    def look(self) -> Look | None:
        """What the next look needs to know; None where nothing has ever been synced."""
        if self.through is None:
            return None
        return Look(self.through, *(tuple(self.ranges(only_attribution=only)) for only in (False, True)))

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
        lacking, span = _number(sum(self.fewer), "event"), _number(len(self.fewer), "day")
        lost = f"{lacking} fewer in Postgres than were loaded, on {span}: BigQuery will follow"
        return [lost] * bool(self.fewer) + [
            f"{reasons}: {_number(days, 'day')} of {'attribution' if only else 'events'} will be made"
            f"{'' if reasons == NEW_ROWS else ' again'}"
            for (reasons, only), days in counted.items()
        ]


def plan(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look | None = None
) -> Plan:
    """Days from `first` to `last` whose rows, settings or possible touches differ from what was last loaded.

    Args:
        source: The account in one snapshot.
        entries: The ledger's newest entries.
        first: First day, inclusive.
        last: Last day, inclusive.
        seen: What the last look left. Then only the days are looked at that syncs have written to since, and those
            that were dirty, unless the number of events tells that others changed too. None: every day, in one pass.

    Raises:
        VanishedError: what was loaded is gone, and nobody accepted that.
    """
    planner = _planner(source, entries, first, last, seen)
    loaded = [entry.day for entry in loaded_event_days(entries) if entry.day]
    # Days before the start date are not asked for, though Postgres may have their events: then they are counted anew.
    is_known = all(first <= day <= last for day in loaded)
    refuse_losses(source, entries, sum(row_count(planner.known.of(day)) for day in loaded) if is_known else None)
    return planner.plan()


def dirty_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> list[date]:
    """The days that a plan would have, for whatever reason, also where what was loaded is gone."""
    return [dirty.day for dirty in _planner(source, entries, first, last).plan().days]


def _planner(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look | None = None
) -> "_Planner":
    known = known_days(source, entries, first, last, seen) if seen else None
    swept = known is None
    return _Planner(source, entries, first, last, known or all_days(source, entries, first, last), seen, swept)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True)
class _Planner:
    source: AccountSource
    entries: Mapping[tuple[str, str], Entry]
    first: date
    last: date
    known: Known
    seen: Look | None
    swept: bool

    def plan(self) -> Plan:
        loaded = {entry.day for entry in self.entries.values() if entry.table == EVENT.name and entry.day}
        with_rows = {day for day, digest in self.known.digests.items() if digest != NO_ROWS}
        days = sorted(day for day in with_rows | loaded if self.first <= day <= self.last)
        changed = {day: reasons for day in days if (reasons := list(self._of_events(day)))}
        # Other rows show in the digests of what was read; another meaning of the same rows does not.
        renamed = {day for day, reasons in changed.items() if RENAMED_METRICS in reasons}
        late = self._late_receipts(days, renamed)
        for day in late[EVENT.name]:
            changed.setdefault(day, []).append(LATE_RECEIPTS)
        arrived = self._arrived(day for day in days if day not in changed)
        credit = partial(self._of_attribution, renamed=renamed, arrived=arrived, late=late[ATTRIBUTION.name])
        dirty = [DirtyDay(day, tuple(changed.get(day) or credit(day)), day not in changed) for day in days]
        return Plan(
            tuple(found for found in dirty if found.reasons), tuple(self._tables()),
            _moment(self.source.data_through), self.swept,
            tuple(fewer for day in changed if (fewer := self._fewer(day)) > 0),
        )  # fmt: skip

    def _of_events(self, day: date) -> Iterator[str]:
        """Why a day's events have to be made again, and all that follows from them."""
        entry = self.entries.get((EVENT.name, day.isoformat()))
        if entry is None:
            yield NEW_ROWS
            return
        if entry.source_digest != self.known.of(day):
            yield CHANGED_ROWS
        if self._is_set_otherwise(entry, day):
            yield from _setting_changes(entry, event_settings(self.source.account))
        if self._reads_differ(entry):
            yield CHANGED_TOUCHES
        if self._lacks_columns(EVENT, entry):
            yield GONE_COLUMNS
        if self.seen and day in self.seen.of_events and is_older(entry, self.seen):
            yield NOT_LOADED

    def _fewer(self, day: date) -> int:
        """How many events fewer a day has than when it was loaded; fewer than none where it has more."""
        entry, digest = self.entries.get((EVENT.name, day.isoformat())), self.known.of(day)
        return row_count(entry.source_digest) - row_count(digest) if entry and digest else 0

    def _is_set_otherwise(self, entry: Entry, day: date) -> bool:
        """Whether events were made with other settings or metric names than those of now."""
        account, metrics, seen = self.source.account, self.source.metrics, entry.details.get("metric_ids")
        if seen is None:
            seen = self._metrics_of_unknown.get(day, frozenset())
        return entry.settings_fingerprint != event_fingerprint(account, metrics, seen)

    @cached_property
    def _metrics_of_unknown(self) -> dict[date, frozenset[str]]:
        """The metrics of days whose load did not keep them: it was one from the archive, or an older version's."""
        entries = [entry for entry in self.entries.values() if entry.table == EVENT.name and entry.day]
        days = [entry.day for entry in entries if entry.details.get("metric_ids") is None]
        return metrics_of_days(self.source, [day for day in days if day])

    def _of_attribution(self, day: date, renamed: set[date], arrived: set[str], late: set[date]) -> Iterator[str]:
        """Why the credits of a day whose events are as loaded have to be made again."""
        entry = self.entries.get((ATTRIBUTION.name, day.isoformat()))
        if entry is None or entry.source_digest != self.known.of(day):
            yield NEW_ROWS if entry is None else CHANGED_ROWS
            return
        if self._has_other_settings(entry):
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

    def _has_other_settings(self, entry: Entry) -> bool:
        """Whether credits were made with other settings or metric names; a load from the archive knows no names."""
        source, seen = self.source, entry.details.get("metric_ids")
        wanted = attribution_fingerprint(source.account, source.attribution_source, source.metrics, seen or ())
        if seen is None:
            return (entry.settings_fingerprint or "").partition(":")[0] != wanted.partition(":")[0]
        return entry.settings_fingerprint != wanted

    def _reads_differ(self, entry: Entry) -> bool:
        """Whether a day that touches were looked for in, or found on, is another one now."""
        return any(self.known.of(day) not in {None, digest} for day, digest in reads(entry).items())

    def _late_receipts(self, days: Iterable[date], renamed: set[date]) -> dict[str, set[date]]:
        """Days of events, and of credits, that lack a receipt because it arrived after they had been read."""
        loaded: dict[str, dict[date, datetime]] = {EVENT.name: {}, ATTRIBUTION.name: {}}
        for day in days:
            for table, moments in loaded.items():
                entry = self.entries.get((table, day.isoformat()))
                # Events keep what they read only where some of them want a receipt.
                if entry and entry.data_through and entry.details.get("reads") is not None:
                    moments[day] = entry.data_through
        every = {day: min(moments[day] for moments in loaded.values() if day in moments)
                 for day in loaded[EVENT.name] | loaded[ATTRIBUTION.name]}  # fmt: skip
        since = None
        if self.seen and not self.swept:
            since = min([self.seen.through, *(every[day] for day in self.seen.days & every.keys())]) - OVERLAP
        arrived = late_receipts(self.source, every, since, renamed)
        return {
            table: {day for day, moment in moments.items() if day in arrived and arrived[day] > moment}
            for table, moments in loaded.items()
        }

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

    def _tables(self) -> Iterator[str]:
        """The account tables whose rows or settings are others than those that were loaded."""
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
        """Whether columns are gone that the load read; where nobody accepted that there is no plan at all."""
        before = entry.details.get(COLUMNS) or ()
        now = self._event_columns if spec is EVENT else columns_read(spec, self.source.table(spec))
        return bool(now) and bool(columns_gone(spec, before, now))

    @cached_property
    def _event_columns(self) -> list[str]:
        return columns_read(EVENT, self.source.table(EVENT))

    def _undated_differ(self) -> bool:
        """Whether other events than at the last load lack a time; before there were any, there was no entry."""
        entry = self.entries.get((EVENT.name, UNDATED))
        return (entry.source_digest if entry else NO_ROWS) != self.source.undated_digest()


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
