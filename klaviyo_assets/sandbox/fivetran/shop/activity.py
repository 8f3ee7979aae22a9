"""One day of a shop: newcomers, campaigns, flows, visits and orders, and everything they lead to.

Here: causes, rates and delays. Not here: how an event is spelled (`properties`, `event_rows`),
which touch an order is attributed to (`attribution`).
"""

from dataclasses import dataclass

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.calendar import Calendar
from klaviyo_assets.sandbox.fivetran.shop.consent import Consent, Queue
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Floats, Ints
from klaviyo_assets.sandbox.fivetran.shop.journal import BOT, HARD, MACHINE, Events, Journal
from klaviyo_assets.sandbox.fivetran.shop.messages import Campaign, Messages
from klaviyo_assets.sandbox.fivetran.shop.orders import Orders
from klaviyo_assets.sandbox.fivetran.shop.people import People
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

_DAY, _HOUR = 86_400, 3_600

# Recipients of campaigns and visits, per event of the day's budget; tuned so that a day uses about its budget.
_MAILED, _TEXTED, _PUSHED, _VISITS = 0.300, 0.034, 0.012, 0.105
_MAIL_DAYS, _TEXT_DAYS, _PUSH_DAYS = 0.43, 0.17, 0.10

# Shares of what is delivered, near the industry's medians; the shop buys a little more than most.
_DROPPED, _BOUNCED, _HARD_SHARE, _SPAM = 0.001, 0.007, 0.4, 0.0005
_MACHINE_OPENS, _REOPENS, _CLICKS_OF_OPENS, _SECOND_CLICK, _BOT_CLICKS = 0.6, 0.28, 0.085, 0.25, 0.003
_UNSUBSCRIBES_OF_OPENS, _LIST_TOO = 0.008, 0.6
_TEXT_FAILS, _TEXT_CLICKS, _TEXT_STOPS = 0.025, 0.07, 0.009
_PUSH_BOUNCES, _PUSH_OPENS, _PUSH_PEOPLE = 0.02, 0.06, 0.15
_ANONYMOUS, _LANDS = 0.3, 0.85
_VIEWS, _VIEWS_MORE, _CARTS, _CHECKOUTS, _ORDERS = 0.7, 0.4, 0.25, 0.21, 0.62
_BROWSE_FLOW = 0.12
_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 8, 7, 6, 6, 7, 8, 10, 12, 12, 10, 7, 4], dtype=float)


@dataclass
class Household:
    """What a day needs to know of its account."""

    profile: Profile
    calendar: Calendar
    people: People
    messages: Messages
    orders: Orders
    consent: Consent
    queue: Queue
    events_per_day: float


class Day:
    """Simulates one day of the account and writes its journal."""

    def __init__(self, shop: Household, day: int, rng: np.random.Generator) -> None:
        self._shop, self._day, self._rng = shop, day, rng
        self._people, self._consent = shop.people, shop.consent
        self._journal = Journal(day, rng)

    def live(self) -> Events:
        """All events this day causes, some of them on later days."""
        self._consent.grow(self._people.count(self._day))
        self._newcomers()
        for campaign in self._shop.messages.campaigns_on(self._day):
            self._send(campaign)
        self._strangers_and_regulars()
        if self._shop.profile.api_orders:
            self._wholesale()
        while due := self._shop.queue.due(self._day):
            self._flows(*due)
        return self._journal.events()

    def _newcomers(self) -> None:
        persons = self._people.born_on(self._day)
        at = self._people.created_at(persons)
        email, sms = self._people.subscribed_email(persons), self._people.subscribed_sms(persons)
        self._journal.write("submitted_form", at[email], persons[email])
        self._journal.write("subscribed_list", at[email], persons[email])
        self._journal.write("subscribed_email", at[email], persons[email])
        self._journal.write("sent_sms", at[sms], persons[sms])
        self._journal.write("subscribed_sms", at[sms], persons[sms])
        self._journal.write("auto_sms", at[sms] + 2, persons[sms])
        self._trigger("subscribed_list", persons[email], at[email])
        self._trigger("subscribed_sms", persons[sms], at[sms])
        self._visit(persons, at + 30)

    def _send(self, campaign: Campaign) -> None:
        share, days = {
            "email": (_MAILED, _MAIL_DAYS),
            "sms": (_TEXTED, _TEXT_DAYS),
            "mobile_push": (_PUSHED, _PUSH_DAYS),
        }[campaign.channel]
        sent_at = campaign.send_at or 0
        audience = self._audience(campaign.channel, sent_at)
        mean_count = share / days * self._shop.events_per_day * self._rng.uniform(0.85, 1.15)
        persons = audience[self._rng.random(len(audience)) < mean_count / max(len(audience), 1)]
        variation = self._rng.integers(0, len(campaign.messages), len(persons))
        keys = campaign.messages[0].key + variation
        self._deliver(campaign.channel, persons, keys, np.full(len(persons), sent_at))

    def _audience(self, channel: str, at: int) -> Ints:
        everyone = np.arange(len(self._consent.email_from), dtype=np.int64)
        if channel == "email":
            return everyone[self._consent.by_email(everyone, at)]
        if channel == "sms":
            return everyone[self._consent.by_sms(everyone, at)]
        exists = self._people.created_at(everyone) <= at
        return everyone[exists & self._people.dice.chance(everyone, "push", _PUSH_PEOPLE)]

    def _deliver(self, channel: str, persons: Ints, keys: Ints, sent_at: Ints) -> None:
        {"email": self._mail, "sms": self._text, "mobile_push": self._push}[channel](persons, keys, sent_at)

    def _flows(self, persons: Ints, keys: Ints, at: Ints) -> None:
        for key in np.unique(keys):
            channel = self._shop.messages.message(int(key)).channel
            may = self._consent.by_email if channel == "email" else self._consent.by_sms
            is_of_key = keys == key
            is_of_key[is_of_key] = may(persons[is_of_key], at[is_of_key])
            self._deliver(channel, persons[is_of_key], keys[is_of_key], at[is_of_key])

    def _mail(self, persons: Ints, keys: Ints, sent_at: Ints) -> None:
        fate = self._rng.random(len(persons))
        dropped, bounced = fate < _DROPPED, (fate >= _DROPPED) & (fate < _DROPPED + _BOUNCED)
        sends = _Sends(persons, keys, sent_at)
        self._record("dropped_email", sends.only(dropped), sent_at[dropped])
        self._bounces(sends.only(bounced))
        receipts = sends.only(fate >= _DROPPED + _BOUNCED)
        at = receipts.sent_at + self._wait(240, len(receipts.persons), 2_400)
        self._record("received_email", receipts, at)
        self._reactions(receipts, at)

    def _bounces(self, sends: "_Sends") -> None:
        at = sends.sent_at + self._wait(120, len(sends.persons), 3_600)
        hard = self._rng.random(len(at)) < _HARD_SHARE
        self._record("bounced_email", sends, at, np.where(hard, HARD, 0))
        self._consent.leave_email(sends.persons[hard], at[hard])

    def _reactions(self, sends: "_Sends", at: Ints) -> None:
        count = len(at)
        apple = self._people.uses_apple_mail(sends.persons)
        flag = np.where(apple, MACHINE, 0)
        machine = apple & (self._rng.random(count) < _MACHINE_OPENS)
        self._record("opened_email", sends.only(machine), (at + self._wait(600, count))[machine], MACHINE)
        bot = self._rng.random(count) < _BOT_CLICKS
        self._record("clicked_email", sends.only(bot), at[bot] + 3, BOT)
        has_opened = self._rng.random(count) < self._people.opening(sends.persons)
        opened_at = at + np.minimum(self._rng.lognormal(9.1, 1.3, count), 9 * _DAY).astype(np.int64)
        self._record("opened_email", sends.only(has_opened), opened_at[has_opened], flag[has_opened])
        again_open = has_opened & (self._rng.random(count) < _REOPENS)
        self._record(
            "opened_email",
            sends.only(again_open),
            opened_at[again_open] + self._wait(_DAY, again_open.sum()),
            flag[again_open],
        )
        self._clicks(sends.only(has_opened), opened_at[has_opened])
        self._departures(sends, at, has_opened, opened_at)

    def _clicks(self, sends: "_Sends", opened_at: Ints) -> None:
        clicked = self._rng.random(len(opened_at)) < _CLICKS_OF_OPENS
        sends, at = sends.only(clicked), opened_at[clicked] + 4 + self._wait(40, clicked.sum())
        self._record("clicked_email", sends, at)
        clicks_again = self._rng.random(len(at)) < _SECOND_CLICK
        self._record("clicked_email", sends.only(clicks_again), at[clicks_again] + self._wait(200, clicks_again.sum()))
        lands = self._rng.random(len(at)) < _LANDS
        self._visit(sends.persons[lands], at[lands] + 3)

    def _departures(self, sends: "_Sends", at: Ints, has_opened: Bools, opened_at: Ints) -> None:
        leaves = has_opened & (self._rng.random(len(at)) < _UNSUBSCRIBES_OF_OPENS)
        left_at = opened_at[leaves] + 15 + self._wait(30, leaves.sum())
        self._record("unsubscribed_email", sends.only(leaves), left_at)
        list_too = self._rng.random(len(left_at)) < _LIST_TOO
        self._record("unsubscribed_list", sends.only(leaves).only(list_too), left_at[list_too])
        self._consent.leave_email(sends.persons[leaves], left_at)
        spam = self._rng.random(len(at)) < _SPAM
        spam_at = at[spam] + self._wait(3 * _HOUR, spam.sum())
        self._record("spam", sends.only(spam), spam_at)
        self._consent.leave_email(sends.persons[spam], spam_at)

    def _text(self, persons: Ints, keys: Ints, sent_at: Ints) -> None:
        sends = _Sends(persons, keys, sent_at)
        has_failed = self._rng.random(len(persons)) < _TEXT_FAILS
        self._record("failed_sms", sends.only(has_failed), sent_at[has_failed] + 20)
        sends = sends.only(~has_failed)
        at = sends.sent_at + 2 + self._wait(15, len(sends.persons), 900)
        receipts = self._record("received_sms", sends, at)
        has_updated = self._rng.random(len(at)) < 0.2
        receipts["revised"][has_updated] = receipts["arrives"][has_updated] + 240
        clicked = self._rng.random(len(at)) < _TEXT_CLICKS
        clicked_at = at[clicked] + 10 + self._wait(1_200, clicked.sum(), 2 * _DAY)
        self._record("clicked_sms", sends.only(clicked), clicked_at)
        self._visit(sends.persons[clicked], clicked_at + 3)
        stops = self._rng.random(len(at)) < _TEXT_STOPS
        stopped_at = at[stops] + 30 + self._wait(600, stops.sum())
        self._record("unsubscribed_sms", sends.only(stops), stopped_at)
        self._consent.leave_sms(sends.persons[stops], stopped_at)

    def _push(self, persons: Ints, keys: Ints, sent_at: Ints) -> None:
        sends = _Sends(persons, keys, sent_at)
        bounced = self._rng.random(len(persons)) < _PUSH_BOUNCES
        self._record("bounced_push", sends.only(bounced), sent_at[bounced] + 5)
        sends = sends.only(~bounced)
        at = sends.sent_at + 1 + self._wait(10, len(sends.persons), 600)
        self._record("received_push", sends, at)
        has_opened = self._rng.random(len(at)) < _PUSH_OPENS
        self._record("opened_push", sends.only(has_opened), at[has_opened] + self._wait(1_800, has_opened.sum(), _DAY))

    def _record(self, metric: str, sends: "_Sends", at: Ints, flags: Ints | int = 0) -> Events:
        return self._journal.write(metric, at, sends.persons, sends.keys, sends.sent_at, flags=flags)

    def _strangers_and_regulars(self) -> None:
        weekend = self._shop.calendar.date_of(self._day).weekday() >= 5
        count = self._rng.poisson(_VISITS * self._shop.events_per_day * (1.2 if weekend else 0.92))
        at = self._shop.calendar.at(self._day, self._time_of_day(count))
        persons = self._rng.integers(0, max(self._people.count(self._day - 1), 1), count)
        persons[self._rng.random(count) < _ANONYMOUS] = -1
        self._visit(persons, at)

    def _visit(self, persons: Ints, at: Ints) -> None:
        count = len(persons)
        self._journal.write("active_on_site", at, persons)
        views, more_views, carts = (self._rng.random(count) < p for p in (_VIEWS, _VIEWS * _VIEWS_MORE, _CARTS))
        viewed_at = at + 15 + self._wait(40, count)
        self._journal.write("viewed_product", viewed_at[views], persons[views])
        self._journal.write("viewed_product", viewed_at[more_views] + 60, persons[more_views])
        self._journal.write("added_to_cart", viewed_at[carts] + 90, persons[carts])
        is_known = persons >= 0
        eager = np.where(is_known, _CHECKOUTS * self._people.buying(persons), 0.0)
        buys = self._rng.random(count) < eager
        self._checkout(persons[buys], viewed_at[buys] + 150 + self._wait(120, buys.sum()))
        looks = is_known & views & ~buys & (self._rng.random(count) < _BROWSE_FLOW)
        self._trigger("viewed_product", persons[looks], viewed_at[looks])

    def _checkout(self, persons: Ints, at: Ints) -> None:
        self._journal.write("checkout_started", at, persons)
        pays = self._rng.random(len(at)) < _ORDERS
        self._trigger("checkout_started", persons[~pays], at[~pays])
        self._order(persons[pays], at[pays] + 45 + self._wait(120, pays.sum()))

    def _order(self, persons: Ints, at: Ints) -> None:
        placed = self._journal.write("placed_order", at, persons)
        placed["order"] = placed["sequence"]
        self._second_thoughts(placed)
        orders, count = placed["sequence"], len(at)
        lines = self._shop.orders.line_counts(orders)
        for line in range(int(lines.max(initial=0))):
            has = lines > line
            self._journal.write("ordered_product", at[has], persons[has], order=orders[has], item=line)
        self._after_order(persons, at, orders, self._rng.random(count))
        self._trigger("placed_order", persons, at)

    def _after_order(self, persons: Ints, at: Ints, orders: Ints, fate: Floats) -> None:
        def happens(metric: str, mask: Bools, earliest: int, mean: int) -> None:
            later = at[mask] + earliest + self._wait(mean, mask.sum(), 9 * _DAY)
            self._journal.write(metric, later, persons[mask], order=orders[mask])

        happens("cancelled_order", fate < 0.015, 600, 4 * _HOUR)
        happens("fulfilled_order", fate >= 0.05, 18 * _HOUR, _DAY)
        happens("confirmed_shipment", fate >= 0.3, 20 * _HOUR, _DAY)
        happens("delivered_shipment", fate >= 0.4, 3 * _DAY, _DAY)
        happens("refunded_order", (fate > 0.06) & (fate < 0.10), 3 * _DAY, 3 * _DAY)
        happens("submitted_review", (fate > 0.2) & (fate < 0.26), 5 * _DAY, 2 * _DAY)

    def _second_thoughts(self, placed: Events) -> None:
        """Edit some orders a day later; delete test orders if Fivetran captures deletes."""
        fate = self._rng.random(len(placed))
        later = (placed["arrives"] + 2 * _HOUR + self._wait(_DAY, len(placed), 3 * _DAY)).astype(np.int64)
        placed["revised"] = np.where(fate < 0.05, later, placed["revised"])
        if self._shop.profile.event_deletes:
            placed["deleted"] = np.where(fate > 0.996, later, placed["deleted"])

    def _wholesale(self) -> None:
        """Orders that a second system reports through the API; some name no person."""
        count = self._rng.poisson(0.002 * self._shop.events_per_day)
        at = self._shop.calendar.at(self._day, self._time_of_day(count))
        persons = self._rng.integers(-1, max(self._people.initial // 50, 1), count)
        placed = self._journal.write("api_placed_order", at, persons)
        placed["order"] = placed["sequence"]
        self._journal.write("api_ordered_product", at, persons, order=placed["sequence"])

    def _trigger(self, metric: str, persons: Ints, at: Ints) -> None:
        for flow in self._shop.messages.flows:
            if flow.trigger != metric or not len(at):
                continue
            for name in dict.fromkeys(message.name for message in flow.messages):
                variations = [message for message in flow.messages if message.name == name]
                keys = variations[0].key + persons % len(variations)
                self._shop.queue.add(persons, keys, at + variations[0].delay)

    def _time_of_day(self, count: int) -> Floats:
        hours = self._rng.choice(24, count, p=_HOURS / _HOURS.sum())
        return np.asarray((hours + self._rng.random(count)) / 24)

    def _wait(self, mean: float, count: int | np.integer, longest: float = 9 * _DAY) -> Ints:
        return np.minimum(self._rng.exponential(mean, int(count)), longest).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Sends:
    """Sends as parallel arrays: person, message, time."""

    persons: Ints
    keys: Ints
    sent_at: Ints

    def only(self, mask: Bools) -> "_Sends":
        return _Sends(self.persons[mask], self.keys[mask], self.sent_at[mask])
