"""The package's rules, each as one switch on the reference.

Here: only where the package differs, one class per rule, named for what it does; `RULES` lists them with the numbers
of the defects they stand for. Not here: what is right (the reference), and counting (`tally.py`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from klaviyo_assets_tests.peer.tally import Share, Tally
from klaviyo_assets_tests.reference import metrics, numbers
from klaviyo_assets_tests.reference.attribution import IDS, has_message
from klaviyo_assets_tests.reference.rows import Row, Settings, Shop

# The touches that begin a session, with the windows that the package gives them.
WINDOWS = {"email_click": 120 * 3_600, "email_open": 120 * 3_600, "sms_click": 120 * 3_600}
NOBODY = "nobody"


class BareIntegers(Tally):
    """Only a number written without a point is added up, and every amount is a numeric of six decimals by then."""

    def revenue(self, value: Decimal) -> Decimal:
        """Nothing, for there is always a point."""
        written = f"{value:.6f}"
        return Decimal(written) if re.fullmatch(r"0|[1-9][0-9]*", written) else Decimal()


class DigitsAndPoints(Tally):
    """All but digits and points is struck out of an amount: its sign, its exponent, its separators."""

    reads_alike = False

    def number(self, text: str | None) -> Decimal | None:
        """What is left, rounded to six decimals."""
        left = re.sub(r"[^0-9.]", "", text or "")
        return Decimal(left).quantize(Decimal("1e-6")) if left else None


class CurrenciesAdded(Tally):
    """Amounts of all currencies are one sum."""

    def share(self, event: Mapping[str, Any], ids: Mapping[str, Any], weight: Decimal, value: Decimal | None) -> Share:
        """Every amount as if it were the account's."""
        return super().share({**event, "currency": None}, ids, weight, value)


class WrittenNames(Tally):
    """An event counts by the name written on it, not by its metric; older names are other metrics."""

    reads_alike = False

    def metric(self, raw: Row) -> str | None:
        """The written name where it is the canonical one in any case."""
        written = self.text(raw, "type")
        canonical_name = metrics.canonical(written) if written else None
        return (
            canonical_name
            if canonical_name and written and canonical_name.casefold() == written.casefold()
            else written
        )


class OwnTimeAndType(Tally):
    """The time and the metric of the touch are those of the event that it earned."""

    def credit(self, event: Row, ids: Row, touch: Row | None) -> Row:
        """As if the event had touched itself."""
        credit = super().credit(event, ids, touch)
        return credit | {"touch_at": event["occurred_at"], "touch_metric": event["metric"]}


class OneHop(Tally):
    """A recorded id leads one event far."""

    max_hops = 1


class AnybodysTouch(Tally):
    """A recorded touch of another person earns."""

    def is_anothers(self, touch: Row, person: str | None) -> bool:
        """Nobody looks."""
        return False


class LaterTouch(Tally):
    """A recorded touch that came afterwards earns."""

    def is_later(self, touch: Row, event: Row) -> bool:
        """Nobody looks."""
        return False


class EventIdsOnly(Tally):
    """Of what Klaviyo recorded only the event counts; the campaign or flow named beside it does not."""

    def earned(self, event: Row, entry: Row) -> Iterator[tuple[Row, Row | None]]:
        """What the event alone gives."""
        return super().earned(event, {**entry, **dict.fromkeys(IDS)})


class ListsUnread(Tally):
    """Several recorded touches are none."""

    def attributed(self, event: Row) -> tuple[str, list[tuple[Row, Row | None]]]:
        """As if a list said nothing."""
        is_list = isinstance(json.loads(event["attribution"] or "null"), list)
        return super().attributed({**event, "attribution": None} if is_list else event)


class MessagesEarned(Tally):
    """A message's event that names no campaign or flow is credited to one, as an order is."""

    def attributed(self, event: Row) -> tuple[str, list[tuple[Row, Row | None]]]:
        """As if it were of any other metric."""
        stray = event["metric"] in metrics.OF_MESSAGES and not has_message(event)
        return super().attributed({**event, "metric": None} if stray else event)


class OpeningEvent(Tally):
    """A person's very first event earns what follows it, whatever its metric, if it names a campaign or flow."""

    @cached_property
    def openings(self) -> set[str]:
        """The first event of each person, and of all those nobody is known for."""
        first: dict[str | None, Row] = {}
        for event in self.events_by_id.values():
            other = first.setdefault(self.sharing_person(event), event)
            if (event["occurred_at"], event["event_id"]) < (other["occurred_at"], other["event_id"]):
                first[self.sharing_person(event)] = event
        return {event["event_id"] for event in first.values()}

    def is_touch(self, touch: Row) -> bool:
        """A touch, or the first event."""
        return super().is_touch(touch) or (has_message(touch) and touch["event_id"] in self.openings)

    def is_eligible(self, touch: Row, event: Row) -> bool:
        """The first event has the window of email, unless its name speaks of SMS."""
        if touch["event_id"] not in self.openings:
            return super().is_eligible(touch, event)
        hours = 24 if "sms" in (touch["metric"] or "").lower() else 120
        return touch is not event and self.within(hours * 3_600, self.age(event, touch))


class AnonymousPerson(Tally):
    """All events that nobody is known for are those of one person."""

    def sharing_person(self, event: Row) -> str | None:
        """The person, or the one that stands for all the others."""
        return event["person_id"] or NOBODY


class CalendarHours(Tally):
    """A touch is as old as there are strokes of the hour between it and the event."""

    def age(self, event: Row, touch: Row) -> timedelta:
        """Between the beginnings of the two hours."""
        begins, began = (row["occurred_at"].replace(minute=0, second=0, microsecond=0) for row in (event, touch))
        between: timedelta = begins - began
        return between


class TiesDrawn(Tally):
    """Of several events of a person in one second, chance says which one the session begins with."""

    drawn: Mapping[str, str] = {}
    """Id of a touch -> id of the event that was drawn in its place."""

    def touches_of(self, event: Row) -> list[Row]:
        """The touch, or what was drawn in its place; that earns only if it names a campaign or flow."""
        touches = super().touches_of(event)
        instead = self.drawn.get(touches[-1]["event_id"]) if touches else None
        if instead is None:
            return touches
        return [touch for touch in (self.events_by_id[instead],) if has_message(touch)]


class VariationsApart(Tally):
    """People are counted per variation written on their events, and added up."""

    def who(self, share: Share) -> tuple[str | None, ...]:
        """A person under two variations is two people."""
        return (share.person_id, share.variation_id)


class AnonymousCounted(Tally):
    """All events that nobody is known for are those of one more person with the metric."""

    def is_someone(self, share: Share, column: str) -> bool:
        """Only people altogether are told apart."""
        return column != "people" or super().is_someone(share, column)


class DeletedDropOut(Tally):
    """What belongs to a deleted person, campaign or flow is not reported."""

    @cached_property
    def standing_ids(self) -> set[str]:
        """Of the rows that are not deleted."""
        return {
            row["id"]
            for table in ("person", "campaign", "flow")
            for row in self.shop[table]
            if not numbers.truth(self.text(row, "_fivetran_deleted"))
        }

    def is_reported(self, row: tuple[str | None, ...]) -> bool:
        """Only what has a row of its own."""
        return super().is_reported(row) and {part for part in row if part is not None} <= self.standing_ids


@dataclass(frozen=True)
class Rule:
    """A rule of the package, and the defect of `domain/peers.md` it is; 0: said there without a number."""

    defect: int
    switch: type[Any]

    @property
    def name(self) -> str:
        """What the rule is called."""
        return self.switch.__name__

    @property
    def sentence(self) -> str:
        """What the package does."""
        return (self.switch.__doc__ or "").partition("\n")[0]


_EITHER = (
    Rule(1, BareIntegers), Rule(2, DigitsAndPoints), Rule(0, CurrenciesAdded), Rule(0, WrittenNames),
    Rule(0, MessagesEarned), Rule(9, VariationsApart), Rule(5, AnonymousCounted), Rule(10, DeletedDropOut),
)  # fmt: skip
RULES: dict[str, tuple[Rule, ...]] = {
    "native": (*_EITHER, Rule(3, OwnTimeAndType), Rule(4, OneHop), Rule(4, AnybodysTouch), Rule(4, LaterTouch),
               Rule(4, EventIdsOnly), Rule(0, ListsUnread)),
    "touch": (*_EITHER, Rule(5, OpeningEvent), Rule(5, AnonymousPerson), Rule(6, CalendarHours)),
}  # fmt: skip


def under(rules: Sequence[Rule], shop: Shop, settings: Settings, like: Tally | None = None) -> Tally:
    """The reference with these rules switched on.

    Args:
        rules: What to switch.
        shop: The account's raw rows.
        settings: The account's settings.
        like: The reference of the same rows without rules: where none of the rules reads rows in another way, its
            events are taken over.
    """
    switches = tuple(rule.switch for rule in rules)
    switched_tally: Tally = type("Switched", (*switches, Tally), {})(shop, settings)
    if like is not None and all(switch.reads_alike for switch in switches):
        switched_tally.take_over(like)
    return switched_tally
