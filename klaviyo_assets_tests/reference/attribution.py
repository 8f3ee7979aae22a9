"""Who earned what a person did: one rule per method, so that a test can switch a single one to another rule.

Here: the touches of an event and their shares. Not here: reading raw rows (`events.py`) and counting (`reports.py`).
"""

import json
from bisect import bisect_right
from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from typing import Any

from klaviyo_assets_tests.reference import metrics
from klaviyo_assets_tests.reference.events import Events
from klaviyo_assets_tests.reference.rows import Row

IDS = ("campaign_id", "flow_id", "message_id", "variation_id")
OF_RECEIPT = {"message_id": "message_id", "variation_id": "variation_id", "touch_channel": "channel",
              "send_at": "send_at", "send_on": "send_on"}  # fmt: skip
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
PLACES = Decimal("1e-9")
STRENGTH = {"delivery": 1, "open": 2, "click": 3}


class Attribution(Events):
    """The credits of one shop's events."""

    max_hops = 5

    @cached_property
    def attribution(self) -> list[Row]:
        """One row per event and touch that shares its credit."""
        return [credit for event in self.events for credit in self.credits(event)]

    @cached_property
    def source(self) -> str:
        """`native` where Klaviyo's own attribution is wanted, or `auto` finds any in the account; else `touch`."""
        if self.settings.source != "auto":
            return self.settings.source
        texts = (self.field(self.fields(raw), "attribution") for raw in self.shop["event"])
        return "native" if any(text not in {None, "{}", "[]"} for text in texts) else "touch"

    def credits(self, event: Row) -> list[Row]:
        """The rows of one event: shares of its weight and of its value."""
        source, earners = self.attributed(event)
        weights = shares(Decimal(1), len(earners))
        values = [None] * len(earners) if event["value"] is None else shares(event["value"], len(earners))
        return [
            self.credit(event, ids, touch)
            | {"attribution_source": source, "touch_rank": rank, "weight": weight, "value": value}
            for rank, ((ids, touch), weight, value) in enumerate(zip(earners, weights, values, strict=True), start=1)
        ]

    def attributed(self, event: Row) -> tuple[str, list[tuple[Row, Row | None]]]:
        """Where an event's credit comes from, and each earner's ids with its touch; events of messages earn nobody's.

        The event's own campaign or flow first; then what Klaviyo recorded, or, only in accounts where it recorded
        nothing, the person's last eligible touch.
        """
        if event["metric"] in metrics.OF_MESSAGES:
            return "none", []
        if has_message(event):
            return "own", [(ids_of(event), None)]
        if self.source == "touch":
            return "last_touch", [(ids_of(touch), touch) for touch in self.touches_of(event)[-1:]]
        return "recorded", [found for entry in recorded(event["attribution"]) for found in self.earned(event, entry)]

    def earned(self, event: Row, entry: Row) -> Iterator[tuple[Row, Row | None]]:
        """What one recorded entry gives: the ids it names itself, else those of the event that it leads to."""
        touch = self.follow(event, entry["event_id"])
        if has_message(entry):
            yield ids_of(entry), touch
        elif touch is not None:
            yield ids_of(touch), touch

    def follow(self, event: Row, event_id: str | None) -> Row | None:
        """The event of a campaign or flow that a recorded id leads to, over at most five hops.

        None for a trail that ends in an id that is missing or deleted, in another known person, or in the future.
        """
        person = event["person_id"]
        for _hop in range(self.max_hops):
            touch = self.events_by_id.get(event_id or "")
            if touch is None or touch is event or self.is_later(touch, event) or self.is_anothers(touch, person):
                return None
            if has_message(touch):
                return touch
            person = person or touch["person_id"]
            event_id = next((entry["event_id"] for entry in recorded(touch["attribution"]) if entry["event_id"]), None)
        return None

    def is_later(self, touch: Row, event: Row) -> bool:
        """Nothing is earned by what happened afterwards."""
        return bool(touch["occurred_at"] > event["occurred_at"])

    def is_anothers(self, touch: Row, person: str | None) -> bool:
        """Two known people contradict each other; an anonymous side contradicts nobody."""
        return None not in {touch["person_id"], person} and touch["person_id"] != person

    def touches_of(self, event: Row) -> list[Row]:
        """The touches that may earn an event, in order of their claim: the strongest is last."""
        candidates = self.touches.get(self.sharing_person(event) or "", [])
        end = bisect_right(candidates, event["occurred_at"], key=lambda touch: touch["occurred_at"])
        start = end
        while start and self.age(event, candidates[start - 1]) <= self.longest_window:
            start -= 1
        return [touch for touch in candidates[start:end] if self.is_eligible(touch, event)]

    def sharing_person(self, event: Row) -> str | None:
        """Whose touches an event may be credited to; anonymous events share none."""
        return event["person_id"]

    @cached_property
    def touches(self) -> dict[str, list[Row]]:
        """Each person's touches in order of their claim."""
        by_person: dict[str, list[Row]] = {}
        for touch in self.events_by_id.values():
            person = self.sharing_person(touch)
            if person is not None and self.is_touch(touch):
                by_person.setdefault(person, []).append(touch)
        for touches in by_person.values():
            touches.sort(key=self.claim)
        return by_person

    def is_touch(self, touch: Row) -> bool:
        """A click, an open or a delivery of a campaign's or flow's message."""
        return has_message(touch) and metrics.touch_kind(touch["metric"]) is not None

    def claim(self, touch: Row) -> tuple[Any, ...]:
        """The later the stronger; in one second a click before an open before a delivery, then the later event id."""
        return touch["occurred_at"], STRENGTH[metrics.touch_kind(touch["metric"]) or "delivery"], touch["event_id"]

    def is_eligible(self, touch: Row, event: Row) -> bool:
        """Whether a touch is of a kind that earns credit, and young enough."""
        window = self.settings.windows.get(f"{touch['channel']}_{metrics.touch_kind(touch['metric'])}")
        if touch is event or window is None or self.is_refused(touch):
            return False
        return self.within(window, self.age(event, touch))

    def is_refused(self, touch: Row) -> bool:
        """Whether the account lets no credit be earned by what a machine may have done."""
        settings = self.settings
        return (touch["is_machine_open"] and not settings.machine_opens_earn) or (
            touch["is_bot_click"] and not settings.bot_clicks_earn
        )

    def age(self, event: Row, touch: Row) -> timedelta:
        """How long before the event a touch was."""
        return event["occurred_at"] - touch["occurred_at"]

    def within(self, window: int, age: timedelta) -> bool:
        """Windows are measured in exact seconds; the last one is in."""
        return age <= timedelta(seconds=window)

    def credit(self, event: Row, ids: Row, touch: Row | None) -> Row:
        """One earner's row: its ids and send, and its touch's own time and metric."""
        # What names its own campaign or flow may state its own send; a send that only receipts tell comes below.
        stated_at = event["stated_send_at"] if has_message(event) else None
        credit = {
            **ids,
            "event_id": event["event_id"],
            "occurred_on": event["occurred_on"],
            "touch_event_id": touch and touch["event_id"],
            "touch_metric": touch and touch["metric"],
            "touch_at": touch and touch["occurred_at"],
            "touch_channel": touch and touch["channel"],
            "send_at": touch["send_at"] if touch else stated_at,
            "send_on": touch["send_on"] if touch else stated_at and self.day(stated_at),
        }
        return self.completed_by_touch(credit, touch) if touch else self.completed_by_receipt(credit, event)

    def completed_by_touch(self, credit: Row, touch: Row) -> Row:
        """A touch of the same campaign or flow tells which message and variation it was."""
        if any(credit[name] not in {None, touch[name]} for name in ("campaign_id", "flow_id")):
            return credit
        return {**credit, **{name: credit[name] or touch[name] for name in ("message_id", "variation_id")}}

    def completed_by_receipt(self, credit: Row, event: Row) -> Row:
        """Without a touch, what the person received last of the campaign or flow tells what the credit lacks."""
        stated = {name: credit[name] for name in IDS[:3] if credit[name] is not None}
        receipt = self.latest_receipt(event, **stated)
        if receipt is None:
            return credit
        return {**credit, **{ours: credit[ours] or receipt[theirs] for ours, theirs in OF_RECEIPT.items()}}


def has_message(row: Row) -> bool:
    """Whether it names a campaign or a flow."""
    return bool(row["campaign_id"] or row["flow_id"])


def ids_of(row: Row) -> Row:
    """The ids that say who earned it."""
    return {name: row[name] for name in IDS}


def recorded(text: str | None) -> list[Row]:
    """The entries of an attribution property, in any of its shapes; none where it says nothing.

    Old: `{"$attributed_event_id": id}`. New: `relationships` with `data` and `id` for each thing it names. Several
    touches are a list of either; all of it may lie below `data`.
    """
    try:
        document = json.loads(text or "null")
    except ValueError:
        return []
    if isinstance(document, dict) and isinstance(document.get("data"), dict | list):
        document = document["data"]
    listed = document if isinstance(document, list) else [document]
    entries = [entry_of(entry) for entry in listed if isinstance(entry, dict)]
    return [entry for entry in entries if any(entry.values())]


def entry_of(entry: Row) -> Row:
    """What one recorded entry names."""
    related = entry.get("relationships")
    if not isinstance(related, dict):
        named = entry.get("$attributed_event_id") or entry.get("attributed_event_id")
        return {"event_id": str(named) if named else None, **dict.fromkeys(IDS)}

    def named(*kinds: str) -> str | None:
        places = [related[kind] for kind in kinds if isinstance(related.get(kind), dict)]
        names = [place["data"].get("id") for place in places if isinstance(place.get("data"), dict)]
        return next((str(name) for name in names if name), None)

    return {
        "event_id": named("attributed-event"),
        "campaign_id": named("campaign"),
        "flow_id": named("flow"),
        "message_id": named("flow-message", "campaign-message"),
        "variation_id": named("flow-message-variation", "campaign-message-variation"),
    }


def shares(whole: Decimal, parts: int) -> list[Decimal]:
    """Equal shares of nine decimals; the last one takes the remainder, so that they sum to exactly the whole."""
    if not parts:
        return []
    share = EXACT.divide(whole, Decimal(parts)).quantize(PLACES, context=EXACT)
    rest = whole
    for _ in range(parts - 1):
        rest = EXACT.subtract(rest, share)
    return [share] * (parts - 1) + [rest]
