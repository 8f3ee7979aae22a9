"""An account's headline numbers: yesterday and the last seven days, each against the same time before.

Here: which numbers, reading them from the view that Looker Studio reads, and comparing. Not here: how they look.

Days are in the account's time zone. Numbers count by event date, so a day no longer changes once its data are complete.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.model.statistics import STATISTICS, Unit

VIEW = "looker_account_by_event_date"
DAYS_DRAWN = 28
_WEEK = 7
# Where a day's revenue comes from, in the order of the picture's legend.
SOURCES: Mapping[str, str] = {"campaign": "Campaigns", "flow": "Flows", "none": "Not from a message"}
_CONVERSIONS = ("conversions", "conversions_unattributed")


@dataclass(frozen=True)
class Headline:
    """A number: its label, the columns that it sums, and whether more of it is good news.

    `made_by`: for money, the columns that count the acts that earned it.
    """

    label: str
    columns: tuple[str, ...]
    made_by: tuple[str, ...] = ()
    is_more_good: bool = True

    @property
    def is_money(self) -> bool:
        """Whether it is an amount."""
        return all(STATISTICS[name].unit is Unit.MONEY for name in self.columns)


HEADLINES: tuple[Headline, ...] = (
    Headline("Revenue", ("conversion_value", "conversion_value_unattributed"), made_by=_CONVERSIONS),
    Headline("of which from messages", ("conversion_value",), made_by=("conversions",)),
    Headline("Conversions", _CONVERSIONS),
    Headline("Messages delivered", ("delivered",)),
    Headline("Opens without machine opens", ("opens_excl_machine",)),
    Headline("Clicks without bot clicks", ("clicks_excl_bot",)),
    Headline("Bounced or failed", ("bounced_or_failed",), is_more_good=False),
    Headline("Unsubscribes", ("unsubscribes",), is_more_good=False),
    Headline("Spam complaints", ("spam_complaints",), is_more_good=False),
)
COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(name for headline in HEADLINES for name in headline.columns))


@dataclass(frozen=True)
class Period:
    """A sum over some days, and over as many days before; `makers`: how many acts are in each of the two sums."""

    value: Decimal
    before: Decimal
    makers: tuple[Decimal, Decimal]
    is_money: bool = False

    @property
    def change(self) -> Decimal | None:
        """The relative change; None if there was nothing before."""
        return (self.value - self.before) / abs(self.before) if self.before else None

    @property
    def is_telling(self) -> bool:
        """Whether the change is larger than chance explains with so few acts: more than two standard deviations."""
        now, before = (max(float(made), 1.0) for made in self.makers)
        mean = float(abs(self.value) + abs(self.before)) / 2
        # The standard deviation of an order's value is about its mean, so money varies twice as much as a count.
        deviation = math.sqrt((2 if self.is_money else 1) * (1 / now + 1 / before))
        return mean > 0 and float(abs(self.value - self.before)) / mean > 2 * deviation


@dataclass(frozen=True)
class Figure:
    """A headline number of an account; `day` against the same weekday a week ago, `week` against the week before."""

    headline: Headline
    day: Period
    week: Period


@dataclass(frozen=True)
class Headlines:
    """What the mail shows of an account.

    Attributes:
        account: The account.
        day: The last day that is over: yesterday in the account's time zone.
        figures: The numbers.
        revenue: Money by day and source of the message, as in `SOURCES`, for a picture.
        data_through: Up to when the account's reports are complete; None before the first load.
    """

    account: Account
    day: date
    figures: tuple[Figure, ...] = ()
    revenue: tuple[tuple[date, str, Decimal], ...] = ()
    data_through: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all of the day is in the numbers."""
        return self.data_through is not None and self.data_through >= self.account.day_bounds(self.day)[1]

    @property
    def revenue_of_week(self) -> Decimal:
        """Accounts are ordered by it."""
        return self.figures[0].week.value if self.figures else Decimal(0)


def read_headlines(dataset: BigQueryDataset, account: Account, day: date) -> Headlines:
    """An account's headline numbers of a day.

    Raises:
        KlaviyoAssetsError: BigQuery cannot be asked, or the account's views do not exist.
    """
    sums = ", ".join(f"SUM({name}) AS {name}" for name in COLUMNS)
    rows = dataset.query(
        f"SELECT occurred_on, message_source, MAX(data_through) AS data_through, {sums} FROM {VIEW} "
        "WHERE occurred_on BETWEEN @first AND @last GROUP BY occurred_on, message_source",
        {"first": ("DATE", day - timedelta(days=DAYS_DRAWN - 1)), "last": ("DATE", day)},
    )
    (reach,) = dataset.query("SELECT MAX(data_through) AS data_through FROM looker_freshness")
    return headlines(account, day, [dict(row.items()) for row in rows], reach["data_through"])


def headlines(
    account: Account, day: date, rows: Iterable[Mapping[str, Any]], data_through: datetime | None
) -> Headlines:
    """The same from rows of the view, summed by day and source of the message.

    Args:
        account: The account.
        day: The day to be shown; rows of the `DAYS_DRAWN` days up to it.
        rows: `occurred_on`, `message_source` and `COLUMNS`.
        data_through: Up to when the account's reports are complete.
    """
    day_rows = list(rows)
    by_day: dict[date, dict[str, Decimal]] = {}
    for row in day_rows:
        sums = by_day.setdefault(row["occurred_on"], dict.fromkeys(COLUMNS, Decimal(0)))
        for name in COLUMNS:
            sums[name] += Decimal(row[name] or 0)
    return Headlines(
        account, day, tuple(_figure(headline, by_day, day) for headline in HEADLINES), tuple(_revenue(day_rows, day)),
        data_through,
    )  # fmt: skip


def _figure(headline: Headline, by_day: Mapping[date, Mapping[str, Decimal]], day: date) -> Figure:
    def total(columns: tuple[str, ...], last: date, length: int) -> Decimal:
        days = (last - timedelta(days=ago) for ago in range(length))
        return sum(
            (by_day.get(each_day, {}).get(name, Decimal(0)) for each_day in days for name in columns), Decimal(0)
        )

    def period(length: int) -> Period:
        week_before = day - timedelta(days=_WEEK)
        value, value_before, *makers = (
            total(columns, last, length)
            for columns in (headline.columns, headline.made_by or headline.columns)
            for last in (day, week_before)
        )
        return Period(value, value_before, (makers[0], makers[1]), headline.is_money)

    return Figure(headline, period(1), period(_WEEK))


def _revenue(rows: Iterable[Mapping[str, Any]], day: date) -> Iterable[tuple[date, str, Decimal]]:
    """A row per drawn day and source, so that days without revenue are drawn too."""
    money = {
        (row["occurred_on"], row["message_source"]): sum((Decimal(row[name] or 0) for name in HEADLINES[0].columns),
                                                         Decimal(0))
        for row in rows
    }  # fmt: skip
    for ago in reversed(range(DAYS_DRAWN)):
        on = day - timedelta(days=ago)
        for source in SOURCES:
            yield on, source, money.get((on, source), Decimal(0))
