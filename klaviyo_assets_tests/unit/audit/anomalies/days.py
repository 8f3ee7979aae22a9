"""Days of a shop as the report `account_by_event_date` has them, for tests of what is unusual.

Here: rows. Not here: any expectation.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies.watched import COLUMNS

ACME = Account("acme", "klaviyo_acme", timezone="America/New_York")
# A Monday, and long after everything.
FIRST = date(2026, 1, 5)
LATER = datetime(2028, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def row(day: date, channel: str | None = "email", currency: str = "USD", **counts: float) -> Row:
    """One row of the report; what is not given is 0."""
    fixed = {"occurred_on": day, "channel": channel, "currency": currency, "data_through": LATER}
    return fixed | dict.fromkeys(COLUMNS, 0) | counts


def calm_day(day: date, number: int = 0) -> list[Row]:
    """A day like every other: 4,000 e-mails and 120 orders, give or take a little."""
    sent = 4000 + 37 * (number % 5)
    return [
        row(day, recipients=sent, delivered=sent - 40, opens_excl_machine=1600 + 11 * (number % 7),
            clicks_excl_bot=80 + number % 3, unsubscribes=8 + number % 2, spam_complaints=number % 2),
        row(day, None, conversions=40, conversions_unattributed=80 + number % 3, conversion_value=3200 + number % 9),
    ]  # fmt: skip


def calm_weeks(weeks: int = 12) -> list[Row]:
    """So many weeks of such days, and the Monday after them: the day to judge."""
    return [each for number in range(7 * weeks + 1) for each in calm_day(FIRST + timedelta(days=number), number)]


def judged_day(weeks: int = 12) -> date:
    """The Monday after so many weeks."""
    return FIRST + timedelta(weeks=weeks)


def changed(rows: list[Row], day: date, **counts: float) -> list[Row]:
    """The rows with some counts of a day replaced: messages' in the row of e-mails, conversions' in the other."""
    return [
        each | {name: count for name, count in counts.items() if name.startswith("conversion") != bool(each["channel"])}
        if each["occurred_on"] == day else each
        for each in rows
    ]  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A made-up shop: how much it mails and sells, on which weekdays, and how much its days differ.

    Attributes:
        size: Messages of a campaign.
        campaigns: Weekdays with a campaign; or the chance that a day has one.
        orders: Orders of a day.
        spread: Relative standard deviation of a day's volumes.
    """

    size: int
    campaigns: frozenset[int] | float
    orders: float
    spread: float = 0.15

    def days(self, dice: random.Random, number: int) -> Iterator[list[Row]]:
        """The rows of so many days in a row."""
        levels = [dice.lognormvariate(0, 0.25) for _ in range(7)]
        rates = {
            "opens_excl_machine": dice.uniform(0.15, 0.6), "clicks_excl_bot": dice.uniform(0.005, 0.04),
            "unsubscribes": dice.uniform(0.0005, 0.004), "spam_complaints": dice.uniform(0, 0.0006),
        }  # fmt: skip
        for ahead in range(number):
            day = FIRST + timedelta(days=ahead)
            yield list(self._rows(dice, day, levels[day.weekday()], rates))

    def _rows(self, dice: random.Random, day: date, level: float, rates: dict[str, float]) -> Iterator[Row]:
        has_campaign = day.weekday() in self.campaigns if isinstance(self.campaigns, frozenset) else (
            dice.random() < self.campaigns
        )  # fmt: skip
        for size in (0.1 * self.size, self.size) if has_campaign else (0.1 * self.size,):
            sent = _poisson(dice, size * level * dice.lognormvariate(0, self.spread))
            delivered = sent - min(sent, _poisson(dice, 0.01 * sent))
            seen = {name: _poisson(dice, delivered * rate * dice.lognormvariate(0, 0.15))
                    for name, rate in rates.items()}  # fmt: skip
            yield row(day, recipients=sent, delivered=delivered, **seen)
        orders = _poisson(dice, self.orders * level * dice.lognormvariate(0, self.spread))
        credited = sum(dice.random() < 0.3 for _ in range(orders))
        value = sum(round(dice.lognormvariate(4, 0.7), 2) for _ in range(credited))
        yield row(day, None, conversions=credited, conversions_unattributed=orders - credited, conversion_value=value)


def _poisson(dice: random.Random, mean: float) -> int:
    """A count of that mean."""
    if mean > 50:
        return max(0, round(dice.gauss(mean, mean**0.5)))
    left, count = mean, 0
    while (left := left - dice.expovariate(1)) > 0:
        count += 1
    return count
