"""What one look at an account's days knows, and what it leaves for the next look.

Here: `Look`, and the digests of the days that syncs wrote to since the last look, or of all days. Not here: what
follows from a changed digest (`stages/planning.py`), and the queries (`source/days.py`). Why a look is kept at all:
docs/decisions/0008-dirty-by-digest.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.source.days import days_synced_since, digests_of, events_between, source_days
from klaviyo_assets.source.digests import NO_ROWS, row_count
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.tables import EVENT

# The rows of one sync may have sync times this far apart, and a sync that is still running shows only in part.
OVERLAP = timedelta(hours=6)


@dataclass(frozen=True)
class Look:
    """What a look leaves for the next one: the newest sync it saw, and the days it found dirty.

    `dirty` and `credits` are ranges of days (first and last, inclusive): of all tables, and of attribution alone. They
    are looked at again until they have been loaded from that sync or a later one.
    """

    through: datetime
    dirty: tuple[tuple[date, date], ...] = ()
    credits: tuple[tuple[date, date], ...] = ()

    @property
    def written(self) -> dict[str, Any]:
        """The look as JSON."""
        spans = {"dirty": self.dirty, "credits": self.credits}
        kept = {name: [[first.isoformat(), last.isoformat()] for first, last in each] for name, each in spans.items()}
        return {"through": self.through.isoformat(), **kept}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Look":
        """The look that `written` gave."""
        spans = [
            tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in written[name])
            for name in ("dirty", "credits")
        ]
        return cls(datetime.fromisoformat(written["through"]), *spans)

    @cached_property
    def of_events(self) -> frozenset[date]:
        """The days whose events were dirty."""
        return frozenset(_days_of(self.dirty))

    @cached_property
    def days(self) -> frozenset[date]:
        """The days that had anything dirty."""
        return self.of_events | frozenset(_days_of(self.credits))


def all_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> "DayDigests":
    """The digest of every day, and of the days outside the range that touches were read from."""
    read = {day for entry in entries.values() for day in reads(entry)}
    begin, end = min({first, *read}), max({last, *read})
    return DayDigests(source_days(source, begin, end))


def known_days(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look
) -> "DayDigests | None":
    """The digests of the days that may have changed since a look; None if other days changed too."""
    written = days_synced_since(source, seen.through - OVERLAP)
    if written is None:
        return None
    looked_at = written | seen.days | _read_outside(entries, seen, first, last)
    digests = digests_of(source, looked_at)
    loaded = {entry.day: entry for entry in entries.values() if entry.table == EVENT.name and entry.day}
    expected = {day: entry.source_digest or NO_ROWS for day, entry in loaded.items()}
    expected |= {day: digests.get(day, NO_ROWS) for day in looked_at}
    events = sum(row_count(digest) for day, digest in expected.items() if first <= day <= last)
    # With fewer or more events than that, some are gone or are on a different day now.
    return DayDigests(expected, (first, last), looked_at) if events_between(source, first, last) == events else None


def _read_outside(entries: Mapping[tuple[str, str], Entry], seen: Look, first: date, last: date) -> set[date]:
    """The days outside the range that dirty days were read from: the ledger has no digests of days before the first."""
    dirty = {day.isoformat() for day in seen.days}
    days_read = {day for (_, partition), entry in entries.items() if partition in dirty for day in reads(entry)}
    return {day for day in days_read if not first <= day <= last}


def is_older(entry: Entry, seen: Look) -> bool:
    """Whether a load was made from older data than a look saw."""
    return entry.data_through is not None and entry.data_through < seen.through


def _days_of(spans: Iterable[tuple[date, date]]) -> Iterator[date]:
    return (first + timedelta(days=ahead) for first, last in spans for ahead in range((last - first).days + 1))


def reads(entry: Entry) -> dict[date, str]:
    """The other days that a day was built from, with the digests they had then."""
    return {date.fromisoformat(day): digest for day, digest in (entry.details.get("reads") or {}).items()}


@dataclass(frozen=True)
class DayDigests:
    """Digests of days: of every day that has rows, or of the days of `within` and some others."""

    by_day: Mapping[date, str]
    within: tuple[date, date] | None = None
    others: Set[date] = frozenset()

    def of(self, day: date) -> str | None:
        """A day's digest; None if the day was not looked at."""
        if self.within is None or self.within[0] <= day <= self.within[1] or day in self.others:
            return self.by_day.get(day, NO_ROWS)
        return None
