"""Events as numbers, before they are written as rows.

Here: the record of one event, and collecting a day's events. Not here: why they happen.
"""

import numpy as np
import numpy.typing as npt

from klaviyo_assets.sandbox.fivetran.shop.dice import Ints
from klaviyo_assets.sandbox.fivetran.shop.metrics import CODES
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER

EVENT = np.dtype(
    [
        ("sequence", "i8"),  # unique in the account; the event id is spelled from it
        ("metric", "i2"),  # code
        ("at", "i8"),  # epoch seconds
        ("arrives", "i8"),  # when Fivetran can first see it
        ("revised", "i8"),  # when the shop itself changes it, or NEVER
        ("deleted", "i8"),  # when it is deleted, or NEVER
        ("changed", "i8"),  # when an incident last touched it, or NEVER
        ("edition", "i2"),  # how many times an incident rewrote its value
        ("person", "i4"),  # -1: anonymous
        ("message", "i4"),  # message key, -1: none
        ("sent_at", "i8"),  # when the message's cohort was sent
        ("order", "i8"),  # sequence of the Placed Order, 0: none
        ("item", "i2"),  # line of the order
        ("flags", "u1"),
    ]
)
Events = npt.NDArray[np.void]
"""Rows of EVENT."""

MACHINE, BOT, HARD, LATE = 1, 2, 4, 8
"""Flags: opened by a machine, clicked by a bot, bounced for good, brought by a late-events incident."""

_DAY_SHIFT = 26
_LATE_SHARE = 0.004
_LATE_DAYS = 2.5
_LATE_MOST = 14 * 86_400


class Journal:
    """Collects the events of one day's causes; an event itself may lie days after its cause."""

    def __init__(self, part: int, rng: np.random.Generator) -> None:
        self._next = (part << _DAY_SHIFT) + 1
        self._rng = rng
        self._written_events: list[Events] = []

    def write(
        self,
        metric: str,
        at: Ints,
        person: Ints | int,
        message: Ints | int = -1,
        sent_at: Ints | int = 0,
        order: Ints | int = 0,
        item: Ints | int = 0,
        flags: Ints | int = 0,
    ) -> Events:
        """Add one event per element of `at` and return them; they can be changed until the day ends."""
        events = np.zeros(len(at), dtype=EVENT)
        events["sequence"] = np.arange(self._next, self._next + len(at))
        self._next += len(at)
        events["metric"], events["at"], events["person"] = CODES[metric], at, person
        events["message"], events["sent_at"], events["order"] = message, sent_at, order
        events["item"], events["flags"] = item, flags
        events["arrives"] = at + self._delay(len(at))
        events["revised"] = events["deleted"] = events["changed"] = NEVER
        self._written_events.append(events)
        return events

    def events(self) -> Events:
        """All events written, in the order of their sequence numbers."""
        return np.concatenate([np.zeros(0, dtype=EVENT), *self._written_events])

    def _delay(self, count: int) -> Ints:
        """Delays of arrival: up to a minute for nearly all events, days for the late ones."""
        seconds = 1 + self._rng.exponential(30, count)
        late = self._rng.random(count) < _LATE_SHARE
        days = np.minimum(self._rng.exponential(_LATE_DAYS * 86_400, count), _LATE_MOST)
        return np.where(late, 3_600 + days, seconds).astype(np.int64)
