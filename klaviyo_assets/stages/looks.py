"""What one look at an account's days knows, and leaves for the next: digests of the days that may have changed.

Here: `Look`, and finding the days by what syncs wrote since the last one, or all of them. Not here: what follows from
another digest (`stages/planning.py`), and the questions to Postgres (`source/days.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.source.days import days_synced_since, digests_of, events_between, row_count, source_days
from klaviyo_assets.source.extraction import NO_ROWS, AccountSource
from klaviyo_assets.tables import EVENT

# Rows of one sync may bear times that lie so far apart, and a sync under way shows only in part.
OVERLAP = timedelta(hours=6)


@dataclass(frozen=True)
class Look:
    """What a look leaves for the next one: up to which sync it saw, and what it found dirty.

    `dirty` and `credits` are ranges of days, first and last, of all tables and of attribution alone. They are looked
    at again until they have been loaded from that sync or a later one.
    """

    through: datetime
    dirty: tuple[tuple[date, date], ...] = ()
    credits: tuple[tuple[date, date], ...] = ()

    @property
    def written(self) -> dict[str, Any]:
        """As JSON keeps it."""
        spans = {"dirty": self.dirty, "credits": self.credits}
        kept = {name: [[first.isoformat(), last.isoformat()] for first, last in each] for name, each in spans.items()}
        return {"through": self.through.isoformat(), **kept}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Look":
        """What was written."""
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
        """The days of which anything was dirty."""
        return self.of_events | frozenset(_days_of(self.credits))


def all_days(source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date) -> "Known":
    """The digest of every day, and of those outside that touches were read from."""
    read = {day for entry in entries.values() for day in reads(entry)}
    begin, end = min({first, *read}), max({last, *read})
    return Known(source_days(source, begin, end))


def known_days(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], first: date, last: date, seen: Look
) -> "Known | None":
    """The digests of the days that may have changed since a look; None where these are not all that did."""
    written = days_synced_since(source, seen.through - OVERLAP)
    if written is None:
        return None
    loaded = {entry.day: entry for entry in entries.values() if entry.table == EVENT.name and entry.day}
    # The ledger knows no digests of days before the first one.
    left = {day.isoformat() for day in seen.days}
    outside = {
        day for (_, partition), entry in entries.items() if partition in left for day in reads(entry)
        if not first <= day <= last
    }  # fmt: skip
    looked_at = written | seen.days | outside
    found = digests_of(source, looked_at)
    expected = sum(row_count(found.get(day)) for day in looked_at if first <= day <= last) + sum(
        row_count(entry.source_digest) for day, entry in loaded.items() if day not in looked_at and first <= day <= last
    )
    # Fewer or more events than that: some are gone, or have come to be on another day.
    if events_between(source, first, last) != expected:
        return None
    believed = {day: entry.source_digest or NO_ROWS for day, entry in loaded.items()}
    return Known({**believed, **{day: found.get(day, NO_ROWS) for day in looked_at}}, (first, last), looked_at)


def is_older(entry: Entry, seen: Look) -> bool:
    """Whether a load was made from less than a look saw."""
    return entry.data_through is not None and entry.data_through < seen.through


def _days_of(spans: Iterable[tuple[date, date]]) -> Iterator[date]:
    return (first + timedelta(days=ahead) for first, last in spans for ahead in range((last - first).days + 1))


def reads(entry: Entry) -> dict[date, str]:
    """The other days that a day was made from, with their digests of then."""
    return {date.fromisoformat(day): digest for day, digest in (entry.details.get("reads") or {}).items()}


@dataclass(frozen=True)
class Known:
    """Digests of days: of every day that has rows, or of those of `within` and of some others."""

    digests: Mapping[date, str]
    within: tuple[date, date] | None = None
    others: Set[date] = frozenset()

    def of(self, day: date) -> str | None:
        """A day's digest; None where nobody looked and there is no reason to."""
        if self.within is None or self.within[0] <= day <= self.within[1] or day in self.others:
            return self.digests.get(day, NO_ROWS)
        return None
