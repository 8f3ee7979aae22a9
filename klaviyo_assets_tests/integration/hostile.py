"""Hostile raw rows, as Fivetran's tables may hold them: what each of them costs, and writing them into an account.

Here: the kinds, and what is to become of a row of each. Not here: loading them, and any other expectation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import cycle
from typing import Any

from psycopg import sql

from klaviyo_assets_tests.integration.deployment import Deployment

PERSONAL = "jane.roe@shop.example"
LOADED, LEFT_OUT, UNDATED = "loaded", "left out", "undated"
_DEEP = "[" * 1500 + "]" * 1500
_ABSURD = ("58158-03-01 00:00+00", "10000-01-01 00:00+00", "infinity", "-infinity", "0044-03-15 00:00+00 BC",
           "4713-01-01 00:00+00 BC", "294276-12-31 00:00+00", None)  # fmt: skip

DOCUMENTS = (
    r'{"url": "https://shop.example/\u0000"}', r'{"title": "cut \ud83d", "contact": "PERSONAL"}',
    r'{"\ude00": "\ud83d"}', '{"n": 1e999999}', '{"n": 1e400, "m": 9999999999999999999999}', '{"a": 1, "a": 2}',
    '{"email": "PERSONAL", "email": null}', '{"n": DEEP, "email": "PERSONAL"}',
    r'{"": 1, "\u0000": 2, "__proto__": {"a": 3}}', "[1, [2, {}]]", "null", "true", '"text"', "7",
    r'{"nested": "{\"email\": \"PERSONAL\"}"}', r'{"icon": "👩‍👩‍👧", "x": "\u0001\ufffe"}',
    "{" + ", ".join(f'"key {number}": {number}' for number in range(2_000)) + "}",
)  # fmt: skip
DOCUMENTS = tuple(text.replace("PERSONAL", PERSONAL).replace("DEEP", _DEEP) for text in DOCUMENTS)
_RECORDED = (
    r'{"$attributed_event_id": "x\u0000y"}', r'{"$attributed_event_id": "x\ud83d"}',
    '{"$attributed_event_id": {"a": 1}}', '{"$attributed_event_id": "' + "x" * 20_000 + '"}',
    '{"$attributed_event_id": 1e999999}', "[]", "null", "true", _DEEP,
    '[null, 7, "x", {"relationships": {"attributed-event": {"data": {"id": "ABSURD"}}}}]',
    '{"relationships": {"flow": 7, "campaign": {"data": []}}}', '{"$attributed_event_id": " "}',
)  # fmt: skip
_VALUES = ("NaN", "Infinity", "1e999999", "1e400", "9" * 50_000, "12 EUR", '{"amount": 1, "name": "' + PERSONAL + '"}',
           "\t", "1,234", "-0", "0x1F")  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One way to be hostile: cells in place of an ordinary event's, and what becomes of the row."""

    cells: dict[str, Any]
    fate: str = LOADED


def _kinds() -> Iterator[Kind]:
    yield from (Kind({"property_items": text}) for text in DOCUMENTS)
    yield from (Kind({"property_attribution": text}) for text in _RECORDED)
    yield from (Kind({"property_value": text}) for text in _VALUES)
    yield from (Kind({"datetime": time, "timestamp": time}, UNDATED) for time in _ABSURD)
    yield from (Kind({"datetime": time}) for time in _ABSURD)
    yield from (Kind({"_fivetran_synced": time}) for time in _ABSURD)
    cohorts = ("99999999999:x", "abc", "999999999:", ":")
    yield from (Kind({"property_cohort_message_send_cohort": text}) for text in cohorts)
    yield from (Kind({"property_currency_code": text}) for text in ("dollars", PERSONAL, "\u0661\u0662\u0663", "€"))
    yield from (Kind({"person_id": text}) for text in ("👩‍👩‍👧", "\x01\x1f", "\ufffe", " ", "x" * 10_000, "A|b\n"))
    yield from (Kind({"type": text, "metric_id": None}) for text in ("", " ", "received email ", "x" * 100_000, "a\nb"))
    yield Kind({"id": None}, LEFT_OUT)


KINDS = tuple(_kinds())
# In a packed account all properties are keys of one document.
PACKED_KINDS = tuple(
    Kind({"custom_property_fields": text})
    for text in (*DOCUMENTS, *('{"$value": 7, ' + text[1:] for text in DOCUMENTS if text.startswith("{")))
) + tuple(kind for kind in KINDS if not any(name.startswith("property_") for name in kind.cells))


@dataclass
class HostileAccount:
    """An account with hostile events among its own, the same number on each of its days."""

    deployment: Deployment
    kinds: tuple[Kind, ...]
    fates: dict[str, str] = field(default_factory=dict)

    def write(self, per_day: int) -> None:
        """Write hostile rows of all kinds in turn."""
        kinds, account = cycle(self.kinds), self.deployment.account
        for ahead in range((account.today() - account.start_date).days + 1):
            self._write_day(account.start_date + timedelta(days=ahead), [next(kinds) for _ in range(per_day)])

    def _write_day(self, day: date, kinds: list[Kind]) -> None:
        start, end = self.deployment.account.day_bounds(day)
        for number, kind in enumerate(kinds):
            event_id = f"hostile-{day}-{number}"
            if "id" in kind.cells:
                # Blanks of other lengths: the table has a primary key.
                event_id = " " * (len(self.fates) + 1)
            self.fates[event_id] = kind.fate
            ordinary = {"id": event_id, "datetime": _between(start, end, number), "_fivetran_synced": start}
            cells = {**ordinary, **kind.cells, "id": event_id}
            if "timestamp" not in cells:
                cells["timestamp"] = ordinary["datetime"]
            self._insert(cells)

    def _insert(self, cells: dict[str, Any]) -> None:
        """An event like the first one there is, with other cells."""
        given = {**self._ordinary, **cells}
        columns = [name for name in given if name in self._columns]
        statement = sql.SQL("INSERT INTO {{}}.event ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        )
        self.deployment.raw(statement.as_string(None), [given[name] for name in columns])

    @cached_property
    def _ordinary(self) -> dict[str, Any]:
        names = ("metric_id", "person_id", "type")
        (row,) = self.deployment.raw("SELECT metric_id, person_id, type FROM {}.event WHERE person_id <> '' LIMIT 1")
        return dict(zip(names, row, strict=True))

    @cached_property
    def _columns(self) -> frozenset[str]:
        rows = self.deployment.raw(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 'event'",
            [self.deployment.account.postgres_schema],
        )
        return frozenset(name for (name,) in rows)

    def having(self, fate: str) -> set[str]:
        """The ids of the hostile events of which this becomes."""
        return {event_id for event_id, found in self.fates.items() if found == fate}


def _between(start: datetime, end: datetime, number: int) -> datetime:
    return start + (end - start) * (number % 97) / 100
