"""What Klaviyo's own pages would show for an account's messages: statistics by send date, from the shop's own events.

Here: counting events. Not here: the API (`klaviyo`). No code of the product is used: these numbers are
worth something only because they are computed independently.

Klaviyo counts every event that has reached it and was not deleted. Orders count if they are in the account's
currency. Where Klaviyo recorded no attribution, the last touch still earns an order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.attribution import Touches, touches
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.journal import LATE, Events
from klaviyo_assets.sandbox.fivetran.shop.messages import Message
from klaviyo_assets.sandbox.fivetran.shop.metrics import CODES, METRICS
from klaviyo_assets.sandbox.fivetran.shop.money import understood
from klaviyo_assets.sandbox.fivetran.shop.properties import PropertyWriter

_COUNTS: Mapping[str, tuple[str, ...]] = {
    "delivered": ("received_email", "received_sms", "received_push"),
    "bounced": ("bounced_email", "bounced_push"),
    "failed": ("failed_sms",),
    "opens": ("opened_email", "opened_push"),
    "clicks": ("clicked_email", "clicked_sms"),
    "unsubscribes": ("unsubscribed_email", "unsubscribed_list", "unsubscribed_sms"),
    "spam_complaints": ("spam",),
}
_COUNT_OF = {CODES[metric]: count for count, metrics in _COUNTS.items() for metric in metrics}
_UNIQUES = {
    "opens_unique": "opens", "clicks_unique": "clicks", "unsubscribe_uniques": "unsubscribes",
    "conversion_uniques": "conversions",
}  # fmt: skip
_RATES: Mapping[str, tuple[str, str]] = {
    "delivery_rate": ("delivered", "recipients"), "bounce_rate": ("bounced", "recipients"),
    "failed_rate": ("failed", "recipients"), "bounced_or_failed_rate": ("bounced_or_failed", "recipients"),
    "open_rate": ("opens_unique", "delivered"), "click_rate": ("clicks_unique", "delivered"),
    "click_to_open_rate": ("clicks_unique", "opens_unique"),
    "unsubscribe_rate": ("unsubscribe_uniques", "delivered"),
    "spam_complaint_rate": ("spam_complaints", "delivered"),
    "conversion_rate": ("conversion_uniques", "delivered"),
    "average_order_value": ("conversion_value", "conversions"),
    "revenue_per_recipient": ("conversion_value", "delivered"),
    "text_message_roi": ("conversion_value", "text_message_spend"),
}  # fmt: skip
_TEXTS = {
    "message_segment_count_sum": "segment_count",
    "text_message_credit_usage_amount": "text_message_credit_usage_amount",
    "text_message_spend": "text_message_spend",
}
_SUMS = ("conversions", "conversion_value", *_TEXTS)
STATISTICS = frozenset([*_COUNTS, "recipients", "bounced_or_failed", *_UNIQUES, *_SUMS, *_RATES])
"""The statistics there are: the 31 of Klaviyo's Reporting API."""
GROUPINGS = {
    owner: (f"{owner}_id", f"{owner}_message_id", f"{owner}_message_name", "send_channel", "variation")
    for owner in ("campaign", "flow")
}
"""What a report may be grouped by, of what Klaviyo offers."""
_CHANNELS = {"email": "email", "sms": "sms", "mobile_push": "push-notification"}


@dataclass(frozen=True)
class Wanted:
    """A request for a report; `first` and `last` are included, in the account's time zone."""

    owner: str
    first: date
    last: date
    conversion_metric_id: str
    group_by: Sequence[str]
    statistics: Sequence[str]


@dataclass
class _Tally:
    """The counts of one group of messages."""

    counts: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    people: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def take(self, count: str, amount: Decimal, person: int) -> None:
        """Count something that a person did; -1 is an anonymous person."""
        self.counts[count] += amount
        if person >= 0:
            self.people[count].add(person)

    def statistics(self, names: Iterable[str]) -> dict[str, float]:
        """The numbers as Klaviyo writes them."""
        counts = dict(self.counts) | {name: Decimal(len(self.people[count])) for name, count in _UNIQUES.items()}
        zero = Decimal(0)
        counts["bounced_or_failed"] = counts.get("bounced", zero) + counts.get("failed", zero)
        counts["recipients"] = counts.get("delivered", zero) + counts["bounced_or_failed"]
        for name, (above, below) in _RATES.items():
            counts[name] = counts.get(above, zero) / counts[below] if counts.get(below) else zero
        return {name: float(counts.get(name, zero)) for name in names}


class ValuesReports:
    """The values reports of one account, as of an instant up to which its history has been lived."""

    def __init__(self, history: History, identity: Identity, until: int) -> None:
        self._history, self._until = history, until
        self._writer = PropertyWriter(history, identity, until)
        events = history.events
        is_present = (events["arrives"] <= until) & (events["deleted"] > until)
        is_present &= ~np.isin(events["sequence"], list(history.overlay.vanished))
        self._events: Events = events[is_present].copy()
        self._born_as = self._events["person"].astype(np.int64)
        # A merged person is one person, also for what happened before.
        self._events["person"] = history.survivors(self._born_as, until)

    def metric_key(self, metric_id: str) -> str | None:
        """The metric of an id; None if there is none."""
        keys = {self._history.dice.short_id("metric", metric.key): metric.key for metric in METRICS}
        return keys.get(metric_id)

    def results(self, query: Wanted) -> list[dict[str, Any]]:
        """One result per group: `groupings` and `statistics`."""
        tallies: defaultdict[tuple[str | None, ...], _Tally] = defaultdict(_Tally)
        for group, count, amount, person in self._countable(query):
            tallies[group].take(count, amount, person)
        return [
            {
                "groupings": dict(zip(query.group_by, group, strict=True)),
                "statistics": tally.statistics(query.statistics),
            }
            for group, tally in sorted(tallies.items(), key=lambda item: [name or "" for name in item[0]])
        ]

    def _countable(self, query: Wanted) -> Iterator[tuple[tuple[str | None, ...], str, Decimal, int]]:
        """Each contribution: group, statistic, amount, person."""
        zone = self._history.calendar.zone
        begin, end = (
            int(datetime.combine(day, time(), zone).timestamp())
            for day in (query.first, query.last + timedelta(days=1))
        )
        for key, sent_at, count, amount, person in (*self._happened(), *self._earned(query.conversion_metric_id)):
            message = self._history.messages.message(key)
            is_owners = (message.flow_id is None) == (query.owner == "campaign")
            if is_owners and begin <= sent_at < end:
                yield tuple(_grouping(message, name) for name in query.group_by), count, amount, person

    def _happened(self) -> Iterator[tuple[int, int, str, Decimal, int]]:
        """Message events as contributions: message, send time, statistic, 1, person."""
        events = self._events[self._is_counted()]
        for event in events:
            key, sent_at, person = int(event["message"]), int(event["sent_at"]), int(event["person"])
            yield key, sent_at, _COUNT_OF[int(event["metric"])], Decimal(1), person
        receipts = events[events["metric"] == CODES["received_sms"]]
        if not len(receipts):
            return
        properties = self._writer.properties("received_sms", receipts)
        for name, source in _TEXTS.items():
            amounts = properties[source].to_pylist() if source in properties else []
            for event, amount in zip(receipts, amounts, strict=False):
                yield int(event["message"]), int(event["sent_at"]), name, Decimal(str(amount)), -1

    def _is_counted(self) -> Bools:
        """Which message events count; an unsubscribe that is written as several events counts once."""
        events = self._events
        is_countable: Bools = np.isin(events["metric"], list(_COUNT_OF)) & (events["message"] >= 0)
        keys: set[tuple[int, int, bool]] = set()
        leaving = [CODES[metric] for metric in _COUNTS["unsubscribes"]]
        for position in np.flatnonzero(is_countable & np.isin(events["metric"], leaving) & (events["person"] >= 0)):
            event = events[position]
            act = (int(event["person"]), int(event["at"]), bool(event["metric"] == CODES["unsubscribed_sms"]))
            is_countable[position] = act not in keys
            keys.add(act)
        return is_countable

    def _earned(self, metric_id: str) -> Iterator[tuple[int, int, str, Decimal, int]]:
        """Shares of conversions and of their value, for the messages that earned them."""
        metric = self.metric_key(metric_id)
        orders = self._history.orders
        positions = np.flatnonzero(self._events["metric"] == (CODES[metric] if metric else -1))
        earlier_id = np.array(
            [
                name == self._history.profile.currency
                for name in orders.currencies(self._orders_of(positions)).to_pylist()
            ],
            dtype=bool,
        )
        positions = positions[earlier_id]
        amounts = self._amounts(positions)
        touches, persons = self._touches()
        for position, amount in zip(positions, amounts, strict=True):
            event = self._events[position]
            earners = self._earners(touches, int(persons[position]), int(event["at"]))
            for touch in touches.events[earners]:
                key, sent_at, person = int(touch["message"]), int(touch["sent_at"]), int(event["person"])
                yield key, sent_at, "conversions", Decimal(1) / len(earners), person
                yield key, sent_at, "conversion_value", amount / len(earners), -1

    def _orders_of(self, positions: Ints) -> Ints:
        orders = self._events[positions]
        return np.where(orders["order"] > 0, orders["order"], orders["sequence"])

    def _amounts(self, positions: Ints) -> list[Decimal]:
        """The value of each order, as far as its spelling can be read."""
        orders, history = self._orders_of(positions), self._history
        totals = history.orders.totals(orders, self._events["edition"][positions].astype(np.int64))
        return understood(history.profile, totals, history.dice.uniform(orders, "spelling"))

    def _touches(self) -> tuple[Touches, Ints]:
        """The touches that may earn conversions, and for each event the person to look them up with.

        Klaviyo records attribution when the order arrives: for the person as of then, without late events.
        """
        history, events = self._history, self._history.events
        if history.profile.attribution_shape == "none":
            return touches(history.dice, self._events), self._events["person"].astype(np.int64)
        return touches(history.dice, events[(events["flags"] & LATE) == 0]), self._born_as

    def _earners(self, touches: Touches, person: int, at: int) -> Ints:
        if person < 0:
            return np.zeros(0, dtype=np.int64)
        if self._history.profile.linear:
            return touches.several(person, at)
        last = touches.last(np.array([person]), np.array([at]))
        return last[last >= 0]


def _grouping(message: Message, name: str) -> str | None:
    if name == "send_channel":
        return _CHANNELS[message.channel]
    if name.endswith("_message_id"):
        return message.message_id
    if name.endswith("_message_name"):
        return message.name
    value: str | None = message.variation if name == "variation" else getattr(message, name)
    return value
