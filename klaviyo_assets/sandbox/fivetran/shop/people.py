"""The people of a simulated account: who they are, when they joined, how they tend to act.

Here: traits, each a pure function of the person's number. Not here: what a person did (`history`)
and how a person's row looks (`person_tables`).
"""

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.calendar import Calendar
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Dice, Floats, Ints

NEVER = 1 << 60
"""An instant that does not come."""

_DAYS_BEFORE = 700
_MERGE_SHARE = 0.02


class People:
    """Persons are numbered from 0: first those known at the start, then those of each day."""

    def __init__(self, dice: Dice, calendar: Calendar, initial: int, daily: float) -> None:
        self.dice, self.calendar, self.initial, self.daily = dice, calendar, initial, daily

    def count(self, day: int) -> int:
        """How many persons exist at the end of a day."""
        return self.initial + int(self.daily * (day + 1) + 1e-9)

    def born_on(self, day: int) -> Ints:
        """The persons who joined on a day."""
        return np.arange(self.count(day - 1), self.count(day), dtype=np.int64)

    def created_at(self, persons: Ints) -> Ints:
        """When each person joined, in epoch seconds."""
        share = self.dice.uniform(persons, "created")
        early_times = self.calendar.midnight(0) - 3_600 - (share**1.5 * _DAYS_BEFORE * 86_400).astype(np.int64)
        days = self._birthday(persons)
        midnights = np.array([self.calendar.midnight(day) for day in range(int(days.max(initial=0)) + 1)])
        return np.where(persons < self.initial, early_times, midnights[days] + (share * 75_600).astype(np.int64))

    def subscribed_email(self, persons: Ints) -> Bools:
        """Whether the person subscribed to e-mail when they joined."""
        return self.dice.chance(persons, "email consent", 0.74)

    def has_phone(self, persons: Ints) -> Bools:
        """Whether a phone number is known."""
        return self.dice.chance(persons, "phone", 0.45)

    def subscribed_sms(self, persons: Ints) -> Bools:
        """Whether the person subscribed to text messages when they joined."""
        return self.has_phone(persons) & self.dice.chance(persons, "sms consent", 0.5)

    def uses_apple_mail(self, persons: Ints) -> Bools:
        """Whether a machine opens the person's mail."""
        return self.dice.chance(persons, "apple mail", 0.34)

    def opening(self, persons: Ints) -> Floats:
        """The chance that the person opens a mail by hand; 0.29 on average."""
        return self.dice.uniform(persons, "opening") ** 1.6 * 0.75

    def buying(self, persons: Ints) -> Floats:
        """How much the person buys, relative to an average of 1."""
        return 3 * self.dice.uniform(persons, "buying") ** 2

    def merges(self, persons: Ints) -> tuple[Ints, Ints]:
        """Which older person each is merged into, and when (NEVER for nearly all).

        Only newcomers are merged, one to six days after they joined.
        """
        is_merged = (persons >= self.initial) & self.dice.chance(persons, "merge", _MERGE_SHARE)
        days = 1 + 5 * self.dice.uniform(persons, "merge after")
        at = self.created_at(persons) + (days * 86_400).astype(np.int64)
        return self.dice.below(persons, "survivor", max(self.initial, 1)), np.where(is_merged, at, NEVER)

    def _birthday(self, persons: Ints) -> Ints:
        if not self.daily:
            return np.zeros(len(persons), dtype=np.int64)
        days = np.ceil((persons - self.initial + 1 - 1e-9) / self.daily).astype(np.int64) - 1
        return np.asarray(np.maximum(days, 0), dtype=np.int64)
