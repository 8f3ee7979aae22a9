"""Unusual days: an account's day in the report `account_by_event_date` against the same weekday of earlier weeks.

Here: reading the report, and which days can be judged: those that are over and loaded. Not here: which numbers are
watched (`watched.py`), when one is unusual (`judging.py`), the asset check (`defs/checks/unusual.py`), and mails.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies.judging import Anomaly, anomaly_of
from klaviyo_assets.audit.anomalies.watched import COLUMNS, WATCHED, Point, WatchedNumber
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import current
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.model.googlesql import column_list, quoted
from klaviyo_assets.tables import EVENT, TABLES

__all__ = ["WEEKS", "Anomaly", "anomalies", "anomalies_of", "find_anomalies"]

REPORT = "account_by_event_date"
WEEKS = 12


def anomalies(
    rows: Iterable[Mapping[str, Any]], day: date, account: Account, *, loaded_days: Collection[date] | None = None,
    data_through: datetime | None = None,
) -> list[Anomaly]:  # fmt: skip
    """What is unusual about a day; nothing if the day is not over yet.

    Args:
        rows: Rows of `account_by_event_date`: those of the day and of the `WEEKS` weeks before.
        day: The day to judge.
        account: The account. Money in a different currency than the account's is not compared.
        loaded_days: The days that are loaded; a loaded day without rows had no events. By default, the days with rows.
        data_through: Up to when the account's data are complete; by default, as stated in the rows.
    """
    day_rows = list(rows)
    through = data_through or max((row["data_through"] for row in day_rows), default=None)
    if through is None or through < account.day_bounds(day)[1]:
        return []
    days = _days(day_rows, loaded_days)
    judgments = (anomaly_of(number, _points(number, days, account, day), account, day) for number in WATCHED)
    return [anomaly for anomaly in judgments if anomaly]


def find_anomalies(dataset: BigQueryDataset, account: Account, days: Collection[date]) -> list[Anomaly]:
    """What is unusual about some days of an account, oldest day first. Days that are not over or loaded are left out.

    Args:
        dataset: The account's dataset; it is only read.
        account: The account.
        days: The days to judge.

    Raises:
        KlaviyoAssetsError: BigQuery cannot be queried.
    """
    if not all(dataset.has_table(name) for name in (REPORT, "ledger")):
        return []
    return anomalies_of(dataset, account, days, current(dataset))


def anomalies_of(
    dataset: BigQueryDataset, account: Account, days: Collection[date], entries: Mapping[tuple[str, str], Entry]
) -> list[Anomaly]:
    """Like `find_anomalies`, for callers that already have the ledger.

    Args:
        dataset: The account's dataset; it is only read.
        account: The account.
        days: The days to judge.
        entries: The newest ledger row of every partition, by table and partition.

    Raises:
        KlaviyoAssetsError: BigQuery cannot be queried.
    """
    loads = _Loads.of(entries)
    judged_days = sorted(day for day in days if loads.is_over(day, account))
    if not judged_days:
        return []
    rows = rows_of(dataset, judged_days[0] - timedelta(weeks=WEEKS), judged_days[-1])
    return [
        anomaly
        for day in judged_days
        for anomaly in anomalies(rows, day, account, loaded_days=loads.days, data_through=loads.through)
    ]


def rows_of(dataset: BigQueryDataset, first: date, last: date) -> list[Mapping[str, Any]]:
    """The rows of `account_by_event_date` of some days, as `anomalies` reads them.

    Args:
        dataset: The account's dataset.
        first: First day.
        last: Last day, inclusive.
    """
    columns = ("occurred_on", "channel", "currency", "data_through", *COLUMNS)
    rows = dataset.query(
        f"SELECT {column_list(columns)} FROM {quoted(REPORT)} WHERE occurred_on BETWEEN @first AND @last",
        {"first": ("DATE", first), "last": ("DATE", last)},
    )
    return [dict(row.items()) for row in rows]


@dataclass(frozen=True)
class _Loads:
    """What the ledger knows about an account's days of events."""

    events: Mapping[date, Entry]
    through: datetime | None

    @classmethod
    def of(cls, entries: Mapping[tuple[str, str], Entry]) -> "_Loads":
        events = {entry.day: entry for entry in entries.values() if entry.table == EVENT.name and entry.day}
        moments = [entry.data_through for entry in entries.values() if entry.table in TABLES and entry.data_through]
        return cls(events, max(moments, default=None))

    @property
    def days(self) -> Collection[date]:
        return self.events.keys()

    @cached_property
    def _events_through(self) -> datetime | None:
        return max((entry.data_through for entry in self.events.values() if entry.data_through), default=None)

    def is_over(self, day: date, account: Account) -> bool:
        """Whether a day is loaded completely: after a failure its events may lag behind other tables."""
        end, entry = account.day_bounds(day)[1], self.events.get(day)
        if entry is None or self.through is None or self.through < end:
            return False
        return entry.recorded_at >= end or (self._events_through is not None and self._events_through >= end)


@dataclass(frozen=True)
class _Day:
    """The sums of one day: of all messages, and of emails alone."""

    sums: Mapping[str, float]
    emails: Mapping[str, float]
    currencies: frozenset[str]


def _days(rows: Sequence[Mapping[str, Any]], loaded_days: Collection[date] | None) -> dict[date, _Day]:
    by_day: dict[date, list[Mapping[str, Any]]] = {day: [] for day in loaded_days or ()}
    for row in rows:
        if loaded_days is None or row["occurred_on"] in by_day:
            by_day.setdefault(row["occurred_on"], []).append(row)
    return {
        day: _Day(_sums(day_rows), _sums(row for row in day_rows if row["channel"] == "email"),
                  frozenset(row["currency"] for row in day_rows))
        for day, day_rows in by_day.items()
    }  # fmt: skip


def _sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    all_rows = list(rows)
    return {column: float(sum(row[column] or 0 for row in all_rows)) for column in COLUMNS}


def _points(number: WatchedNumber, days: Mapping[date, _Day], account: Account, day: date) -> dict[date, Point]:
    """The number on the day and in the weeks before, if it is known and in the account's currency."""
    first = day - timedelta(weeks=WEEKS)
    points = {}
    for on, sums in days.items():
        if not first <= on <= day or (number.is_money and not sums.currencies <= {account.currency}):
            continue
        day_sums = sums.emails if number.is_share else sums.sums
        count = sum(day_sums[name] for name in number.sums) - sum(day_sums[name] for name in number.less)
        points[on] = Point(on, count, day_sums[number.per] if number.per else 1.0, day_sums["conversions"])
    return points
