"""Days of the account's time zone, counted from the shop's first day.

Here: turning a day number into epoch seconds and back, daylight saving included.
"""

import bisect
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.dice import Floats, Ints


class Calendar:
    """The shop's days: number 0 is `first_day`; each is 23 to 25 hours long."""

    def __init__(self, timezone: str, first_day: date) -> None:
        self.zone, self.first_day = ZoneInfo(timezone), first_day
        self._midnights: list[int] = []

    def midnight(self, day: int) -> int:
        """Epoch seconds at which the day begins."""
        if day < 0:
            return self._begin(day)
        while len(self._midnights) <= day:
            self._midnights.append(self._begin(len(self._midnights)))
        return self._midnights[day]

    def day_of(self, at: int) -> int:
        """The number of the day that holds the instant; negative before the first day."""
        if at < self.midnight(0):
            return (datetime.fromtimestamp(at, self.zone).date() - self.first_day).days
        self.midnight((at - self.midnight(0)) // 80_000 + 1)
        return bisect.bisect_right(self._midnights, at) - 1

    def at(self, day: int, fraction: Floats) -> Ints:
        """Instants within a day, from the share of it that has passed."""
        begin, end = self.midnight(day), self.midnight(day + 1)
        return (begin + np.floor(fraction * (end - begin))).astype(np.int64)

    def date_of(self, day: int) -> date:
        """The calendar date of a day number."""
        return self.first_day + timedelta(days=day)

    def _begin(self, day: int) -> int:
        return int(datetime.combine(self.date_of(day), time(), self.zone).timestamp())
