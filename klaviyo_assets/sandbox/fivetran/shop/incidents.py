"""Incidents: faults in a shop's data on demand, so that a demo or a test can watch how the platform copes.

Here: the kinds of incident and their effect on events, persons and names. Not here: re-syncs and
truncations, which concern the connection (`writer`). An incident takes effect for everything asked for after its time;
asking again for an earlier time is not supported.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.sandbox.fivetran.shop.dice import Dice, Ints
from klaviyo_assets.sandbox.fivetran.shop.journal import LATE, Events, Journal
from klaviyo_assets.sandbox.fivetran.shop.messages import Campaign, Messages
from klaviyo_assets.sandbox.fivetran.shop.metrics import CODES
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER, People

_INCIDENT_PARTS = 1 << 19
"""Journal parts from here on belong to incidents; the shop's days are below."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident.

    Attributes:
        kind: one of `KINDS`.
        at: when, in epoch seconds of the shop's clock.
        number: tells incidents of one shop apart, from 0.
        count: how many events, persons or campaigns are hit.
        days: how many days back the events may lie.
        name: a new campaign name, or a new column's name.
    """

    kind: str
    at: int
    number: int
    count: int = 1
    days: float = 10
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("incident", self.kind, KINDS)


class Overlay:
    """The lasting effects of incidents on rows, each with the time from which it holds."""

    def __init__(self, dice: Dice, people: People, messages: Messages) -> None:
        self._dice, self._people, self._messages = dice, people, messages
        self.campaign_names: dict[str, tuple[str, int]] = {}
        self.campaigns_deleted: dict[str, tuple[bool, int]] = {}
        self.merges: dict[int, tuple[int, int]] = {}
        self.persons_edited: dict[int, tuple[int, int]] = {}
        # Every decision, for segments are counted as of midnight: later ones must not hide the one of then.
        self.persons_deleted: dict[int, list[tuple[bool, int]]] = {}
        self.lists_left: dict[int, tuple[bool, int]] = {}
        self.columns: dict[str, int] = {}
        self.vanished: set[int] = set()

    def apply(self, incident: Incident, events: Events, day: int) -> Events:
        """Change events in place, remember the rest, and return the events that the incident creates."""
        born = _EFFECTS[incident.kind](_Scene(self, incident, events, day))
        return born if born is not None else events[:0]

    def merges_of(self, persons: Ints) -> tuple[Ints, Ints]:
        """For each person, the survivor and the time of the merge (NEVER for most)."""
        become, merged_at = self._people.merges(persons)
        if self.merges:
            merged_persons = np.array(sorted(self.merges), dtype=np.int64)
            merge_times = np.array([self.merges[int(person)] for person in merged_persons], dtype=np.int64)
            place = np.minimum(np.searchsorted(merged_persons, persons), len(merged_persons) - 1)
            is_merged = (merged_persons[place] == persons) & (merged_at == NEVER)
            become = np.where(is_merged, merge_times[place, 0], become)
            merged_at = np.where(is_merged, merge_times[place, 1], merged_at)
        return become, merged_at

    def edits_of(self, count: int, until: int) -> tuple[Ints, Ints]:
        """How often each of the first `count` persons was edited by then, and when last (0 for never)."""
        editions, edited_at = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for person, (edition, at) in self.persons_edited.items():
            if person < count and at <= until:
                editions[person], edited_at[person] = edition, at
        return editions, edited_at


class _Scene:
    """One incident and what it can reach."""

    def __init__(self, overlay: Overlay, incident: Incident, events: Events, day: int) -> None:
        self.overlay, self.incident, self.events, self.day = overlay, incident, events, day
        self.rng = overlay._dice.generator(_INCIDENT_PARTS, incident.number)

    def positions(self, *metrics: str, is_deleted: bool = False) -> Ints:
        """Some events the incident may hit, chosen the same way whatever else has been lived."""
        events, at = self.events, self.incident.at
        reach = (events["arrives"] <= at) & (events["at"] >= at - self.incident.days * 86_400)
        reach &= (events["deleted"] <= at) == is_deleted
        if metrics:
            reach &= np.isin(events["metric"], [CODES[metric] for metric in metrics])
        positions = np.flatnonzero(reach)
        return self._sample(positions[np.argsort(events["sequence"][positions])])

    def persons(self) -> Ints:
        """Some persons who exist and were not merged away."""
        everyone = np.arange(self.overlay._people.count(self.day), dtype=np.int64)
        merged_at = self.overlay.merges_of(everyone)[1]
        is_present = (self.overlay._people.created_at(everyone) <= self.incident.at) & (merged_at == NEVER)
        return self._sample(everyone[is_present])

    def campaigns(self) -> list[Campaign]:
        """The campaigns last sent."""
        campaigns = [c for c in self.overlay._messages.campaigns_until(self.incident.at) if c.send_at is not None]
        return sorted((c for c in campaigns if (c.send_at or 0) <= self.incident.at), key=lambda c: c.send_at or 0)[
            -self.incident.count :
        ]

    def _sample(self, candidates: Ints) -> Ints:
        return self.rng.choice(candidates, min(self.incident.count, len(candidates)), replace=False)


def _late_events(scene: _Scene) -> Events:
    """Opens and orders whose time is days back arrive now."""
    incident, journal = scene.incident, Journal(_INCIDENT_PARTS + scene.incident.number, scene.rng)
    receipts = scene.events[scene.positions("received_email")]
    half = receipts[: (incident.count + 1) // 2]
    at = np.minimum(half["at"] + 60 + scene.rng.integers(0, 86_400, len(half)), incident.at - 1)
    journal.write("opened_email", at, half["person"], half["message"], half["sent_at"])
    orders = incident.count - len(half)
    ordered_at = incident.at - 1 - scene.rng.integers(0, int(incident.days * 86_400) + 1, orders)
    placed = journal.write("placed_order", ordered_at, scene.rng.choice(scene.persons(), orders))
    placed["order"] = placed["sequence"]
    born = journal.events()
    born["arrives"], born["flags"] = incident.at, born["flags"] | LATE
    return born


def _edit_events(scene: _Scene) -> None:
    """Orders get a different value."""
    positions = scene.positions("placed_order")
    scene.events["edition"][positions] += 1
    scene.events["changed"][positions] = scene.incident.at


def _delete_events(scene: _Scene) -> None:
    """Events are deleted; Fivetran reports it if the account captures deletes of events."""
    positions = scene.positions()
    scene.events["deleted"][positions] = scene.events["changed"][positions] = scene.incident.at


def _restore_events(scene: _Scene) -> None:
    """Deleted events come back."""
    positions = scene.positions(is_deleted=True)
    scene.events["deleted"][positions], scene.events["changed"][positions] = NEVER, scene.incident.at


def _vanish_events(scene: _Scene) -> None:
    """Events vanish at the source without a trace: only a re-sync or reload notices."""
    scene.overlay.vanished.update(int(s) for s in scene.events["sequence"][scene.positions()])


def _rename_campaign(scene: _Scene) -> None:
    """The campaigns last sent get a different name."""
    for campaign in scene.campaigns():
        name = scene.incident.name or f"{campaign.name} (renamed {scene.incident.number})"
        scene.overlay.campaign_names[campaign.campaign_id] = (name, scene.incident.at)


def _delete_campaign(scene: _Scene) -> None:
    """The campaigns last sent are deleted; their events stay."""
    for campaign in scene.campaigns():
        scene.overlay.campaigns_deleted[campaign.campaign_id] = (True, scene.incident.at)


def _restore_campaign(scene: _Scene) -> None:
    """Deleted campaigns come back."""
    for campaign_id in scene.overlay.campaigns_deleted:
        scene.overlay.campaigns_deleted[campaign_id] = (False, scene.incident.at)


def _merge_persons(scene: _Scene) -> None:
    """Persons are merged into others; their events follow."""
    persons = scene.persons()
    everyone = np.setdiff1d(np.arange(scene.overlay._people.initial), persons)
    free = everyone[scene.overlay.merges_of(everyone)[1] == NEVER]
    for person, survivor in zip(persons, scene.rng.choice(free, len(persons)), strict=True):
        scene.overlay.merges[int(person)] = (int(survivor), scene.incident.at)


def _edit_persons(scene: _Scene) -> None:
    """Persons move to a different city."""
    for person in scene.persons():
        edition, _ = scene.overlay.persons_edited.get(int(person), (0, 0))
        scene.overlay.persons_edited[int(person)] = (edition + 1, scene.incident.at)


def _delete_persons(scene: _Scene) -> None:
    """Persons are deleted; their events stay."""
    for person in scene.persons():
        scene.overlay.persons_deleted.setdefault(int(person), []).append((True, scene.incident.at))


def _restore_persons(scene: _Scene) -> None:
    """Deleted persons come back."""
    for decisions in scene.overlay.persons_deleted.values():
        decisions.append((False, scene.incident.at))


def _leave_lists(scene: _Scene) -> None:
    """Persons are removed from all lists."""
    for person in scene.persons():
        scene.overlay.lists_left[int(person)] = (True, scene.incident.at)


def _rejoin_lists(scene: _Scene) -> None:
    """Persons that were removed are back on their lists."""
    for person in scene.overlay.lists_left:
        scene.overlay.lists_left[person] = (False, scene.incident.at)


def _new_column(scene: _Scene) -> None:
    """Events carry a property nobody has seen before."""
    name = scene.incident.name or f"attribute_{scene.incident.number}"
    scene.overlay.columns.setdefault(name, scene.incident.at)


_EFFECTS: dict[str, Callable[[_Scene], Events | None]] = {
    "late_events": _late_events,
    "edit_events": _edit_events,
    "delete_events": _delete_events,
    "restore_events": _restore_events,
    "vanish_events": _vanish_events,
    "rename_campaign": _rename_campaign,
    "delete_campaign": _delete_campaign,
    "restore_campaign": _restore_campaign,
    "merge_persons": _merge_persons,
    "edit_persons": _edit_persons,
    "delete_persons": _delete_persons,
    "restore_persons": _restore_persons,
    "leave_lists": _leave_lists,
    "rejoin_lists": _rejoin_lists,
    "new_column": _new_column,
}
KINDS = tuple(_EFFECTS)
"""The incidents there are."""

EFFECTS = {kind: (effect.__doc__ or "").strip() for kind, effect in _EFFECTS.items()}
"""What each kind of incident does, in a sentence."""
