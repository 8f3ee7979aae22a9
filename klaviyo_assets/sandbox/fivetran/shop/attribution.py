"""What Klaviyo would have recorded: which touches an event is attributed to.

Here: finding touches by Klaviyo's rules (same person, at or before the event, within the window of their
kind; the latest wins, ties to click, open, delivery, then to the later event id). Not here: how the result is
spelled (`attribution_json`).
"""

from dataclasses import dataclass

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.dice import Dice, Ints
from klaviyo_assets.sandbox.fivetran.shop.journal import Events
from klaviyo_assets.sandbox.fivetran.shop.metrics import CODES, METRICS

_HOUR, _DAY = 3_600, 86_400

WINDOWS = {
    "clicked_email": 5 * _DAY,
    "clicked_sms": 5 * _DAY,
    "opened_email": 5 * _DAY,
    "opened_push": _DAY,
    "received_sms": 12 * _HOUR,
}
"""Seconds within which a touch counts: the windows of new Klaviyo accounts."""

LONGEST = max(WINDOWS.values())
_RANK = {"clicked_email": 2, "clicked_sms": 2, "opened_email": 1, "opened_push": 1, "received_sms": 0}
_MOST_TOUCHES = 5
_TIME_BITS = 34


@dataclass(frozen=True, slots=True)
class Touches:
    """All touches of a stretch of time, ordered by person, time, preference."""

    events: Events
    keys: Ints
    windows: Ints

    def last(self, persons: Ints, at: Ints) -> Ints:
        """For each event, the position in `events` of its last eligible touch; -1 if it has none."""
        best = np.full(len(persons), -1, dtype=np.int64)
        for window in set(WINDOWS.values()):
            members = np.flatnonzero(self.windows == window)
            places = _latest(self.keys[members], persons, at)
            hit = np.flatnonzero(places >= 0)
            hit = hit[at[hit] - self.events["at"][members[places[hit]]] <= window]
            # Positions are ordered by time and preference, so the later position is the better touch.
            best[hit] = np.maximum(best[hit], members[places[hit]])
        return best

    def several(self, person: int, at: int) -> Ints:
        """Positions of one event's eligible touches, at most one per message, the latest first."""
        end = int(np.searchsorted(self.keys, _key(person, at), side="right"))
        begin = int(np.searchsorted(self.keys, _key(person, at - LONGEST), side="left"))
        eligible = [i for i in range(end - 1, begin - 1, -1) if at - self.events["at"][i] <= self.windows[i]]
        by_message: dict[int, int] = {}
        for position in eligible:
            by_message.setdefault(int(self.events["message"][position]), position)
        return np.array(list(by_message.values())[:_MOST_TOUCHES], dtype=np.int64)


def touches(dice: Dice, events: Events) -> Touches:
    """The touches among some events, ready for searching."""
    window_of, rank_of = np.zeros(len(METRICS), dtype=np.int64), np.zeros(len(METRICS), dtype=np.int64)
    for key, window in WINDOWS.items():
        window_of[CODES[key]], rank_of[CODES[key]] = window, _RANK[key]
    rows = events[(window_of[events["metric"]] > 0) & (events["person"] >= 0)]
    windows, ranks = window_of[rows["metric"]], rank_of[rows["metric"]]
    keys = _key(rows["person"].astype(np.int64), rows["at"])
    order = np.lexsort((dice.event_ids(rows["sequence"]), ranks, keys))
    return Touches(rows[order], keys[order], windows[order])


def _latest(keys: Ints, persons: Ints, at: Ints) -> Ints:
    """The last position whose key is the person's at or before the time; -1 if there is none."""
    if not len(keys):
        return np.full(len(persons), -1, dtype=np.int64)
    positions = np.searchsorted(keys, _key(persons, at), side="right") - 1
    same = keys[np.maximum(positions, 0)] >> _TIME_BITS == persons
    return np.where((positions >= 0) & same, positions, -1)


def _key(persons: Ints | int, at: Ints | int) -> Ints:
    return np.asarray((np.asarray(persons, dtype=np.int64) << _TIME_BITS) + at, dtype=np.int64)
