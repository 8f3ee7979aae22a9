"""Who gets the credit for what a person did: pure rules over events and touches.

Here: reading what Klaviyo recorded, and choosing the touches of an event. Not here: frames
(`mapping/attribution.py`), windows per account (`accounts.py`), and which rows are read from Postgres.

Order of preference for one event: its own campaign or flow; what Klaviyo recorded; and, only in accounts where
Klaviyo recorded nothing, the person's last eligible touch. The sources are never mixed within an account.

Credit belongs to the row of its message, channel, variation and send. What is unknown because no touch can be found is
taken from the person's latest receipt of the campaign or flow.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from klaviyo_assets.mapping.documents import sound
from klaviyo_assets.model.metrics import Role, metric_kind

MAX_HOPS = 5
_SCALE = Decimal("1e-9")
# NUMERIC has 38 digits; Python's default context would round to 28.
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
TOUCH_KINDS = {Role.CLICKED: "click", Role.OPENED: "open", Role.RECEIVED: "delivery"}
# Among touches in the same second, a click says more than an open, and an open more than a delivery.
_PRIORITY = {"click": 3, "open": 2, "delivery": 1}


@dataclass(frozen=True)
class Recorded:
    """One touch as Klaviyo recorded it on an event; every part may be missing."""

    event_id: str | None = None
    campaign_id: str | None = None
    flow_id: str | None = None
    message_id: str | None = None
    variation_id: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether it names the campaign or flow itself, and not only the touching event."""
        return bool(self.campaign_id or self.flow_id)


def recorded(text: str | None) -> tuple[Recorded, ...]:
    """Read an attribution property in any of its shapes; if nothing is recognizable, there are no touches.

    Shapes: `{"$attributed_event_id": id}` (the `$` may be missing), JSON:API `relationships` since API revision
    2025-04-15, and under linear attribution a list of either; each bare or below `data`.
    """
    try:
        # Ids of events, campaigns and flows: numbers are kept as they are spelled, however long they are.
        document = json.loads(sound(text), parse_int=str) if text else None
    except (ValueError, RecursionError):
        return ()
    if isinstance(document, dict) and isinstance(document.get("data"), list | dict):
        document = document["data"]
    entries = document if isinstance(document, list) else [document]
    records = [_one_recorded(entry) for entry in entries if isinstance(entry, dict)]
    return tuple(entry for entry in records if entry != Recorded())


def first_recorded_event(text: str | None) -> str | None:
    """The id of the first event that Klaviyo recorded as the reason."""
    return next((entry.event_id for entry in recorded(text) if entry.event_id), None)


def _one_recorded(entry: Mapping[str, Any]) -> Recorded:
    related = entry.get("relationships")
    if isinstance(related, dict):
        return Recorded(
            event_id=_related(related, "attributed-event"),
            campaign_id=_related(related, "campaign"),
            flow_id=_related(related, "flow"),
            message_id=_related(related, "flow-message") or _related(related, "campaign-message"),
            variation_id=_related(related, "flow-message-variation") or _related(related, "campaign-message-variation"),
        )
    return Recorded(event_id=_id(entry.get("$attributed_event_id") or entry.get("attributed_event_id")))


def _related(related: Mapping[str, Any], kind: str) -> str | None:
    data = (related.get(kind) or {}).get("data") if isinstance(related.get(kind), dict) else None
    return _id(data.get("id")) if isinstance(data, dict) else None


def _id(named: Any) -> str | None:
    """An id, as a text that Postgres, Arrow and BigQuery can hold: U+FFFD for a NUL, so that it leads nowhere."""
    return named.replace("\0", "\ufffd") if named and isinstance(named, str) else None


@dataclass(frozen=True, slots=True)
class Touch:
    """An event that may earn or pass on credit, not deleted. Times are UTC.

    `is_machine`: an open or click that a program may have made, not a person.
    """

    event_id: str
    person_id: str | None
    at: datetime
    metric: str | None
    channel: str | None = None
    campaign_id: str | None = None
    flow_id: str | None = None
    message_id: str | None = None
    variation_id: str | None = None
    send_at: datetime | None = None
    send_on: date | None = None
    attribution: str | None = None
    is_machine: bool = False

    @property
    def has_message(self) -> bool:
        """Whether it belongs to a campaign or flow."""
        return bool(self.campaign_id or self.flow_id)

    @property
    def kind(self) -> str | None:
        """click, open or delivery; None for events that are not a touch of a message."""
        kind = metric_kind(self.metric)
        return TOUCH_KINDS.get(kind.role) if kind else None


@dataclass(frozen=True, slots=True)
class Earner:
    """The message that earns credit, its send, and the touch if it is known."""

    campaign_id: str | None = None
    flow_id: str | None = None
    message_id: str | None = None
    variation_id: str | None = None
    channel: str | None = None
    send_at: datetime | None = None
    send_on: date | None = None
    touch: Touch | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """One earner's share of an event: one row of `attribution`. Channel and send are the credited message's."""

    source: str  # own, recorded or last_touch
    weight: Decimal
    value: Decimal | None
    campaign_id: str | None
    flow_id: str | None
    message_id: str | None
    variation_id: str | None
    channel: str | None
    send_at: datetime | None
    send_on: date | None
    touch: Touch | None


@dataclass
class TouchBook:
    """What a day's events may need: touches by id, a person's touches that may earn credit, and a person's receipts.

    The lists are in order of time, and within a second in order of their claim, with the strongest last.
    """

    by_id: Mapping[str, Touch]
    by_person: dict[str, list[Touch]] = field(default_factory=dict)
    receipts: dict[str, list[Touch]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, touches: Iterable[Touch], *, machine_opens_earn: bool = True, bot_clicks_earn: bool = True
    ) -> "TouchBook":
        """Index touches.

        Args:
            touches: In any order; if an id repeats, the last one counts.
            machine_opens_earn: Whether an open that a machine may have made is a last touch like any other.
            bot_clicks_earn: The same for clicks. What Klaviyo recorded is followed, whoever opened or clicked.
        """
        book = cls({touch.event_id: touch for touch in touches})
        refused = {"open": not machine_opens_earn, "click": not bot_clicks_earn}
        for touch in book.by_id.values():
            kind = touch.kind
            if not (kind and touch.person_id and touch.has_message):
                continue
            if kind == "delivery":
                book.receipts.setdefault(touch.person_id, []).append(touch)
            if not (touch.is_machine and refused.get(kind)):
                book.by_person.setdefault(touch.person_id, []).append(touch)
        for person_touches in (*book.by_person.values(), *book.receipts.values()):
            person_touches.sort(key=lambda touch: (touch.at, _PRIORITY[touch.kind or "delivery"], touch.event_id))
        return book

    def last_eligible(self, event: Touch, windows: Mapping[str, int]) -> Touch | None:
        """The person's last touch at or before the event and within its window, measured in exact seconds."""
        touches = self.by_person.get(event.person_id or "", [])
        longest = timedelta(seconds=max(windows.values(), default=0))
        for position in range(bisect_right(touches, event.at, key=lambda touch: touch.at) - 1, -1, -1):
            touch = touches[position]
            age = event.at - touch.at
            if age > longest:
                return None
            window = windows.get(f"{touch.channel}_{touch.kind}")
            if window is not None and age <= timedelta(seconds=window) and touch.event_id != event.event_id:
                return touch
        return None

    def follow(self, event: Touch, event_id: str | None) -> Touch | None:
        """The event with a campaign or flow that a recorded id leads to, over at most `MAX_HOPS` hops.

        None if the trail ends in an id that is missing or deleted, ends in the future, or leads from one known person
        to a different one; an anonymous event on the way contradicts nobody.
        """
        person = event.person_id
        for _hop in range(MAX_HOPS):
            touch = self.by_id.get(event_id or "")
            if touch is None or touch.at > event.at or touch.event_id == event.event_id:
                return None
            if person and touch.person_id and person != touch.person_id:
                return None
            if touch.has_message:
                return touch
            person = person or touch.person_id
            event_id = first_recorded_event(touch.attribution)
        return None

    def latest_receipt(self, event: Touch, earner: Earner) -> Touch | None:
        """The person's latest receipt, at or before the event, of the earner's campaign and flow (and message).

        Of receipts in the same second, the one with the greater event id counts.
        """
        receipts = self.receipts.get(event.person_id or "", [])
        for position in range(bisect_right(receipts, event.at, key=lambda touch: touch.at) - 1, -1, -1):
            receipt = receipts[position]
            if _states(earner, receipt, "campaign_id", "flow_id", "message_id"):
                return receipt
        return None


@dataclass(frozen=True)
class Verdict:
    """The credits of one event, and the recorded event ids that lead nowhere."""

    credits: tuple[Credit, ...] = ()
    dangling: tuple[str, ...] = ()


def attribute(event: Touch, value: Decimal | None, book: TouchBook, source: str, windows: Mapping[str, int]) -> Verdict:
    """Decide who gets the credit for one event that is not itself a message's.

    Args:
        event: The event, with its own ids and its recorded attribution.
        value: Its value; the shares sum to exactly this.
        book: Touches and receipts read in the same snapshot.
        source: `native` (what Klaviyo recorded) or `touch` (the last eligible touch); never both.
        windows: Seconds per `<channel>_<kind>`.
    """
    if event.has_message:
        own = Earner(event.campaign_id, event.flow_id, event.message_id, event.variation_id, None, event.send_at,
                     event.send_on)  # fmt: skip
        return Verdict(_shares("own", value, [_completed(event, own, book)]))
    if source == "touch":
        touch = book.last_eligible(event, windows)
        return Verdict(_shares("last_touch", value, [_touched(touch)])) if touch else Verdict()
    earners: list[Earner] = []
    dangling: list[str] = []
    for entry in recorded(event.attribution):
        touch = book.follow(event, entry.event_id)
        if touch is None and entry.event_id:
            dangling.append(entry.event_id)
        if entry.is_direct:
            earners.append(_direct(event, entry, touch, book))
        elif touch is not None:
            earners.append(_touched(touch))
    return Verdict(_shares("recorded", value, earners), tuple(dangling))


def _states(earner: Earner, touch: Touch, *names: str) -> bool:
    """Whether the ids that the earner states agree with those of the touch."""
    return all(getattr(earner, name) in {None, getattr(touch, name)} for name in names)


def _touched(touch: Touch) -> Earner:
    return Earner(
        touch.campaign_id, touch.flow_id, touch.message_id, touch.variation_id, touch.channel, touch.send_at,
        touch.send_on, touch,
    )  # fmt: skip


def _direct(event: Touch, entry: Recorded, touch: Touch | None, book: TouchBook) -> Earner:
    """A message that Klaviyo named; what is not stated comes from the touch, else from a receipt."""
    stated = Earner(entry.campaign_id, entry.flow_id, entry.message_id, entry.variation_id)
    if touch is None:
        return _completed(event, stated, book)
    earner = replace(stated, channel=touch.channel, send_at=touch.send_at, send_on=touch.send_on, touch=touch)
    if not _states(earner, touch, "campaign_id", "flow_id"):
        return earner
    return replace(
        earner,
        message_id=earner.message_id or touch.message_id,
        variation_id=earner.variation_id or touch.variation_id,
    )


def _completed(event: Touch, earner: Earner, book: TouchBook) -> Earner:
    """An earner without a touch; what it lacks comes from the person's latest receipt of its message."""
    receipt = book.latest_receipt(event, earner)
    if receipt is None:
        return earner
    lacking = {
        name: getattr(receipt, name)
        for name in ("message_id", "variation_id", "channel")
        if getattr(earner, name) is None
    }
    if earner.send_at is None:
        lacking |= {"send_at": receipt.send_at, "send_on": receipt.send_on}
    return replace(earner, **lacking)


def _shares(source: str, value: Decimal | None, earners: Sequence[Earner]) -> tuple[Credit, ...]:
    weights = split(Decimal(1), len(earners))
    values: Sequence[Decimal | None] = [None] * len(earners) if value is None else split(value, len(earners))
    return tuple(
        Credit(
            source, weight, share, earner.campaign_id, earner.flow_id, earner.message_id, earner.variation_id,
            earner.channel, earner.send_at, earner.send_on, earner.touch,
        )
        for earner, weight, share in zip(earners, weights, values, strict=True)
    )  # fmt: skip


def split(whole: Decimal, parts: int) -> list[Decimal]:
    """Equal shares of at most 9 decimals that sum to exactly the whole; the last one takes the remainder."""
    if parts == 0:
        return []
    with localcontext(_EXACT):
        share = (whole / parts).quantize(_SCALE)
        return [share] * (parts - 1) + [whole - share * (parts - 1)]
