"""Who may be contacted, and what is still to be sent: the only state that one day leaves to the next.

Here: marketing consent by person, and the queue of flow messages.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.calendar import Calendar
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Ints
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER, People

Sends = tuple[Ints, Ints, Ints]
"""Persons, message keys, send times."""


@dataclass
class Consent:
    """The period in which each person may be contacted, by channel; arrays over person numbers."""

    people: People
    email_from: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    email_until: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sms_from: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sms_until: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def grow(self, count: int) -> None:
        """Add the persons up to `count`, with the consent that they gave at the start."""
        new = np.arange(len(self.email_from), count, dtype=np.int64)
        if not len(new):
            return
        created_at = self.people.created_at(new)
        email = np.where(self.people.subscribed_email(new), created_at, NEVER)
        sms = np.where(self.people.subscribed_sms(new), created_at, NEVER)
        never = np.full(len(new), NEVER)
        self.email_from, self.email_until = _append(self.email_from, email), _append(self.email_until, never)
        self.sms_from, self.sms_until = _append(self.sms_from, sms), _append(self.sms_until, never)

    def by_email(self, persons: Ints, at: Ints | int) -> Bools:
        """Whether each may be mailed at that time."""
        return (self.email_from[persons] <= at) & (at < self.email_until[persons])

    def by_sms(self, persons: Ints, at: Ints | int) -> Bools:
        """Whether each may be sent a text message at that time."""
        return (self.sms_from[persons] <= at) & (at < self.sms_until[persons])

    def leave_email(self, persons: Ints, at: Ints) -> None:
        """End a person's consent to mail."""
        np.minimum.at(self.email_until, persons, at)

    def leave_sms(self, persons: Ints, at: Ints) -> None:
        """End a person's consent to text messages."""
        np.minimum.at(self.sms_until, persons, at)


class Queue:
    """Flow messages that wait for their day."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._waiting: defaultdict[int, list[Sends]] = defaultdict(list)

    def add(self, persons: Ints, keys: Ints, at: Ints) -> None:
        """Plan one send per element."""
        if not len(at):
            return
        days = np.array([self._calendar.day_of(int(moment)) for moment in at])
        for day in np.unique(days):
            is_that_day = days == day
            self._waiting[int(day)].append((persons[is_that_day], keys[is_that_day], at[is_that_day]))

    def due(self, day: int) -> Sends | None:
        """Remove and return the messages due on that day or earlier."""
        batches = [batch for past in sorted(d for d in self._waiting if d <= day) for batch in self._waiting.pop(past)]
        if not batches:
            return None
        persons, keys, at = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return persons, keys, at


def _append(old: Ints, new: Ints) -> Ints:
    return np.concatenate([old, new])
