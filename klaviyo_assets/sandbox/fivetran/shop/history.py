"""The history of a shop, day by day, and the effect of incidents on it.

Here: living the days in order and keeping their events. Days are simulated whole and in order, so it
does not matter how often or when somebody asks. Not here: spelling events as rows.
"""

from collections.abc import Iterable
from datetime import date

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.activity import Day, Household
from klaviyo_assets.sandbox.fivetran.shop.calendar import Calendar
from klaviyo_assets.sandbox.fivetran.shop.consent import Consent, Queue
from klaviyo_assets.sandbox.fivetran.shop.dice import Dice, Ints
from klaviyo_assets.sandbox.fivetran.shop.incidents import Incident, Overlay
from klaviyo_assets.sandbox.fivetran.shop.journal import Events
from klaviyo_assets.sandbox.fivetran.shop.messages import Messages
from klaviyo_assets.sandbox.fivetran.shop.orders import Orders
from klaviyo_assets.sandbox.fivetran.shop.people import People
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

_PEOPLE_PER_EVENT, _NEWCOMERS_PER_EVENT = 2.6, 0.012
_MERGE_HOPS = 3


class History:
    """One account's past, as far as it has been simulated."""

    def __init__(
        self,
        profile: Profile,
        seed: int,
        events_per_day: float,
        first_day: date,
        people: int | None,
        incidents: Iterable[Incident],
    ) -> None:
        self.profile = profile
        self.dice = Dice(seed, profile.name)
        self.calendar = Calendar(profile.timezone, first_day)
        initial = people if people is not None else max(20, round(_PEOPLE_PER_EVENT * events_per_day))
        self.people = People(self.dice, self.calendar, initial, _NEWCOMERS_PER_EVENT * events_per_day)
        self.messages = Messages(self.dice, profile, self.calendar)
        self.orders = Orders(self.dice, profile)
        self.overlay = Overlay(self.dice, self.people, self.messages)
        self._consent, self._queue = Consent(self.people), Queue(self.calendar)
        self._events_per_day = events_per_day
        self._days: list[Events] = []
        self._all_events: Events | None = None
        self._lived = 0
        self._incidents = sorted(incidents, key=lambda incident: incident.at)

    def live_until(self, at: int) -> None:
        """Simulate every day up to the one that contains `at`, with the incidents up to `at`."""
        while self._incidents and self._incidents[0].at <= at:
            incident = self._incidents.pop(0)
            self._live_days(incident.at)
            self._suffer(incident)
        self._live_days(at)

    def happen(self, incident: Incident) -> None:
        """Add an incident; it affects everything that arrives after its time."""
        self._incidents = sorted([*self._incidents, incident], key=lambda waiting: waiting.at)

    @property
    def events(self) -> Events:
        """Every event that the simulated days caused; some are still in the future."""
        if self._all_events is None:
            self._all_events = np.concatenate(self._days)
            self._days = [self._all_events]
        return self._all_events

    def survivors(self, persons: Ints, at: int) -> Ints:
        """For each person, the person they were merged into by then, or themselves; -1 stays anonymous."""
        return self.lineage(persons, at)[-1]

    def lineage(self, persons: Ints, at: int) -> list[Ints]:
        """Each person's chain of merges by then, themselves first; an unmerged person repeats."""
        line = [persons]
        for _ in range(_MERGE_HOPS):
            survivor, merged_at = self.overlay.merges_of(np.maximum(line[-1], 0))
            line.append(np.where((line[-1] >= 0) & (merged_at <= at), survivor, line[-1]))
        return line

    def _suffer(self, incident: Incident) -> None:
        born = self.overlay.apply(incident, self.events, self.calendar.day_of(incident.at))
        if len(born):
            self._days.append(born)
            self._all_events = None

    def _live_days(self, at: int) -> None:
        while self._lived <= self.calendar.day_of(at):
            rng = self.dice.generator(self._lived)
            self._days.append(Day(self._household, self._lived, rng).live())
            self._all_events = None
            self._lived += 1

    @property
    def _household(self) -> Household:
        return Household(
            profile=self.profile,
            calendar=self.calendar,
            people=self.people,
            messages=self.messages,
            orders=self.orders,
            consent=self._consent,
            queue=self._queue,
            events_per_day=self._events_per_day,
        )
