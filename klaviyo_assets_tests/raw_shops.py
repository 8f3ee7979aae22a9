"""Random raw shops: everything that is allowed to be odd, in few places and seconds, so that oddities meet.

Here: Hypothesis strategies of Fivetran-shaped rows: ties, anonymous people, both shapes of recorded attribution over
several hops, dangling and across people, linear shares, deletes, days on which clocks change, several currencies, junk
values, older metric names in odd case, sends stated or not. Not here: any expectation.

A drawn account holds several shops whose ids are disjoint: nothing that one does can reach another, so each is an
example of its own, for the price of one load. They share the account's settings, metrics and calendar, and only
what is grouped by account, day and channel adds them up. Whoever counts examples counts shops.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from klaviyo_assets_tests.reference import Row, Settings, Shop

# Five days around a change of clocks; in Cairo it happens at midnight, which then does not exist.
CALENDARS = (
    ("UTC", datetime(2024, 2, 26, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 3, 8, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2024, 12, 30, tzinfo=UTC)),
    ("Pacific/Auckland", datetime(2024, 4, 5, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2024, 4, 24, tzinfo=UTC)),
)
MESSAGE_METRICS = (
    *("Received Email",) * 8, *("Opened Email",) * 6, *("Clicked Email",) * 6, "Received Text Message",
    "Received Text Message", "Clicked Text Message", "Received Push", "Opened Push", "Opened WhatsApp",
    "Bounced Email", "Bounced Push", "Dropped Email", "Marked Email as Spam", "Failed to Deliver Text Message",
    "Sent Text Message", *("Unsubscribed from Email Marketing", "Unsubscribed from List") * 4,
    "Unsubscribed from Text Message Marketing",
)  # fmt: skip
OTHER_METRICS = (
    *("Placed Order",) * 9, "API Order", "API Order", "Refunded Order", "Refunded Order", "Ordered Product",
    "Checkout Started", "Checkout Started", "Viewed Product", "Fulfilled Order", *("Subscribed to List",) * 4,
    "Subscribed to Email Marketing", "Subscribed to Text Message Marketing",
    "Failed to Deliver Automated Response Text Message", "Anything Custom", "Nameless", "Unlisted",
)  # fmt: skip
ACTS = {"Unsubscribed from Email Marketing", "Unsubscribed from List", "Subscribed to List"}
OLDER_NAMES = {
    "Received Text Message": "Received SMS", "Clicked Text Message": "Clicked SMS", "Opened WhatsApp": "Read WhatsApp",
    "Failed to Deliver Text Message": "Failed to Deliver SMS", "Sent Text Message": "Sent SMS",
    "Unsubscribed from Email Marketing": "Unsubscribed", "Checkout Started": "Started Checkout",
    "Unsubscribed from Text Message Marketing": "Unsubscribed from SMS",
    "Subscribed to Text Message Marketing": "Consented to Receive SMS",
}  # fmt: skip
WINDOWS = (
    {"email_click": 21_600, "email_open": 10_800, "email_delivery": 10_800, "sms_click": 86_400, "sms_delivery": 10_799,
     "mobile_push_open": 0},
    {"email_click": 432_000, "email_open": 432_000, "sms_delivery": 43_200, "whatsapp_open": 43_200},
    {"email_click": 10_800, "email_open": 10_801, "email_delivery": 3_600, "mobile_push_click": 172_800},
    {"email_click": 86_400, "email_open": 21_600, "email_delivery": 21_600, "sms_delivery": 86_400},
    {},
)  # fmt: skip
CONVERSIONS = (
    ("Placed Order", "shopify"), ("Placed Order", "Shopify"), ("placed ORDER", "SHOPIFY"), ("placed ORDER", "API"),
    ("conversion", None), ("Checkout Started", None), ("Refunded Order", None), ("No such metric", None),
)  # fmt: skip
# Campaign, flow, and a message of theirs; shop events belong to none, most of the time.
OWNERS = (
    ("c1", None, "m1"), ("c1", None, "m1"), ("c1", None, "m1"), ("c1", None, "m1"), ("c1", None, "m2"),
    (None, "f1", "m4"), (None, "f1", "m4"), (None, "f1", "m4"), (None, "f2", "m5"), ("c2", None, "m3"),
    ("c2", "f1", "m4"), ("unknown", None, None), (None, None, None),
)  # fmt: skip
SHOP_OWNERS = ((None, None, None),) * 9 + (("c1", None, "m1"), ("c1", None, None), (None, "f1", None))
AMOUNTS = (
    "49.990000", "100", "-12.5", "1e-05", "1.234,50", "1,234.5", "n.a.", "inf", "", None, "12,50", "1,234",
    "0.0000000005", "1'234.50", "+7.25", "NaN", "1 000 000,01", 19.99, 3,
)  # fmt: skip
CURRENCIES = (None, None, "EUR", "EUR", "USD", "usd", "euro", "")
DETAILS: tuple[Row, ...] = (
    {}, {"email_domain": "Example.com"}, {"email_domain": "example.com", "bounce_type": "Hard"},
    {"email_domain": "gmx.de", "bounce_type": "soft", "apple_privacy_open": "true", "bot_click": True},
    {"segment_count": "2", "credit_usage": "1.5", "message_spend": "0.03", "apple_privacy_open": True},
    {"segment_count": "x", "text_message_credit_usage_amount": 2, "bot_click": "1"},
    {"segment_count": 3, "text_message_spend": "0,05", "apple_privacy_open": "no"},
    {"list": "News"}, {"list": "News"}, {"list_id": "l1"}, {"list": "news"}, {"list": "Twice", "email_domain": ""},
    {"list_id": "l2", "list": "News"}, {"list": "Gone"}, {"list": "Gone"}, {"machine_open": "yes"},
)  # fmt: skip
# How an event tells its message, and the hours by which a stated send lies before it.
TELLINGS = ("cohort", "cohort", "cohort", "both", "flow_message_id", "message", "nothing", "junk")
HOURS = (0, 3, 6, 24, 27, -3, -30)
# Which earlier or later event, person and message a recorded attribution names.
SHAPES = (
    *("none", "old", "linked") * 3, "bare", "direct", "direct touch", "direct message", "flow", "linear",
    "linear direct", "below data", "junk", "empty",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Drawn:
    """An account with several shops in it; which of them is wrong is said by who compares, not by a long repr."""

    settings: Settings
    shops: tuple[Shop, ...]
    shared: Shop

    @property
    def whole(self) -> Shop:
        """All shops in one account, as they are loaded."""
        tables: dict[str, list[Row]] = dict(self.shared.tables)
        for shop in self.shops:
            for name, rows in shop.tables.items():
                tables[name] = [*tables.get(name, []), *rows]
        return Shop(tables)

    def only(self, *shops: Shop) -> "Drawn":
        """The same account with these shops alone."""
        return replace(self, shops=shops)


@st.composite
def accounts(draw: st.DrawFn, shops: int, events: int, **stated: Any) -> Drawn:
    """An account of so many shops, each with up to so many events.

    Args:
        draw: Hypothesis'.
        shops: How many.
        events: Of one shop, at most.
        stated: What is not to be drawn: `source`, or `spelled` (`unpacked`, `packed` or `camel`).
    """
    timezone, start = draw(st.sampled_from(CALENDARS))
    metric, integration = draw(st.sampled_from(CONVERSIONS))
    settings = Settings(
        timezone=timezone,
        currency=draw(st.sampled_from(("EUR", "USD"))),
        conversion_metric=metric,
        conversion_integration=integration,
        source=stated.get("source") or draw(st.sampled_from(("native", "native", "touch", "touch", "auto"))),
        windows=draw(st.sampled_from(WINDOWS)),
        start_date=start.date() + timedelta(days=draw(st.sampled_from((-5, -5, 1)))),
        machine_opens_earn=draw(st.booleans()),
        bot_clicks_earn=draw(st.booleans()),
    )
    synced = start + timedelta(hours=draw(st.integers(24, 240)))
    catalogue = metric_rows(draw(st.booleans()), synced)
    spelled = stated.get("spelled") or draw(st.sampled_from((unpacked, packed, camel)))
    drawn_shops = tuple(
        _Shop(draw, f"s{number:02}", start, catalogue, synced).tables(events, spelled) for number in range(shops)
    )
    return Drawn(settings, drawn_shops, Shop({"metric": catalogue}))


def metric_rows(is_old: bool, synced: datetime) -> list[Row]:
    """The account's metrics under their names of today, or under older ones in odd case."""
    rows = []
    for name in dict.fromkeys((*MESSAGE_METRICS, *OTHER_METRICS)):
        written = {"API Order": "Placed Order", "Nameless": None}.get(name, name)
        if is_old and written:
            written = OLDER_NAMES.get(written, written).upper()
        integration = {"Placed Order": "Shopify", "API Order": "API"}.get(name)
        is_gone = is_old and name == "Checkout Started"
        rows.append({"id": metric_id(name), "name": written, "integration_name": integration,
                     "_fivetran_deleted": is_gone, "_fivetran_synced": synced})  # fmt: skip
    return [row for row in rows if row["id"] != metric_id("Unlisted")]


def metric_id(name: str) -> str:
    """The id of a metric; the refund's is one that settings name."""
    return "conversion" if name == "Refunded Order" else f"M-{name.replace(' ', '')}"


class _Shop:
    """One shop while it is drawn; its ids begin with the prefix."""

    def __init__(self, draw: st.DrawFn, prefix: str, start: datetime, catalogue: list[Row], synced: datetime) -> None:
        self.draw = draw
        self.prefix = prefix
        self.start = start
        self.at = start
        self.person: str | None = "p1"
        self.trail = -1
        self.act: tuple[datetime, str | None] | None = None
        self.names = {row["id"]: row["name"] for row in catalogue}
        self.synced = synced

    def tables(self, events: int, spelled: Any) -> Shop:
        """The shop's tables."""
        # Shops begin on different days, so that some are about the hour that is missing or there twice.
        self.at += timedelta(hours=self.pick((0, 24, 42, 48)))
        # Some begin with a touch and a trail of events that leads back to it, one hop longer with each.
        self.trail = self.pick((-1, -1, -1, 2, 4, 6, 7))
        count = self.pick(range(3, events + 1))
        rows = [spelled(self.event(number)) for number in range(count)]
        return Shop({"event": rows, "campaign": list(self.campaigns()), "list": self.lists()})

    def pick(self, choices: Any) -> Any:
        """One of some choices."""
        return self.draw(st.sampled_from(choices))

    def named(self, name: str | None) -> str | None:
        """An id of this shop."""
        return name and f"{self.prefix}{name}"

    def event(self, number: int) -> Row:
        """One raw event in plain spelling."""
        in_trail = number <= self.trail
        is_message = number == 0 if in_trail else self.draw(st.booleans())
        at, person = self.moment(in_trail)
        name = self.pick(MESSAGE_METRICS if is_message else OTHER_METRICS)
        if name in ACTS and not in_trail:
            # Klaviyo writes one act as several events.
            at, person = self.act or (at, person)
            self.act = None if self.act else (at, person)
        owners = OWNERS if is_message else SHOP_OWNERS
        campaign, flow, message = owners[0] if in_trail else self.pick(owners)
        row: Row = {
            "id": self.named(f"e{number:02}"), "metric_id": metric_id(name),
            "type": self.names.get(metric_id(name)) or name,
            "person_id": self.named(person),
            "campaign_id": self.named(campaign), "flow_id": self.named(flow),
            "_variation": self.pick((None, None, None, None, "A", "B")) if is_message else None,
            "datetime": at, "timestamp": at, "_fivetran_synced": self.synced,
        }  # fmt: skip
        row |= self.pick(({},) * 9 + ({"_fivetran_deleted": True}, {"datetime": None}, {"metric_id": None}))
        row |= {f"property_{key}": self.placed(key, value) for key, value in self.pick(DETAILS).items()}
        return row | (self.telling(message, at) if is_message or message else {}) | self.of_shop(number, is_message)

    def moment(self, in_trail: bool) -> tuple[datetime, str | None]:
        """When and who: mostly in the order of the numbers, often the same person, often in the same second."""
        if not self.pick((True, True, False)):
            return self.at, self.person
        person = self.pick(("p1", "p1", "p1", "p1", "p1", None, "p2", "p2")[: 6 if in_trail else 8])
        # Steps of three hours, and a second around them: ties and the very ends of windows are normal.
        self.at += timedelta(hours=3 * self.pick((0, 0, 0, 1, 1, 2, 4, 8, -1)))
        self.person = person
        return self.at + timedelta(seconds=self.pick((0, 0, 0, 0, 1, -1))), person

    def placed(self, key: str, value: Any) -> Any:
        """A detail's value; lists are the shop's own."""
        return self.named(value) if key in {"list_id", "list"} else value

    def telling(self, message: str | None, at: datetime) -> Row:
        """What an event says of its message and send."""
        how = self.pick(TELLINGS)
        if how in {"cohort", "both"} and message:
            sent = at - timedelta(hours=self.pick(HOURS))
            other = {"property_message": self.named("m9")} if how == "both" else {}
            return {"property_cohort_message_send_cohort": f"{int(sent.timestamp())}:{self.named(message)}", **other}
        if how == "junk":
            return {"property_cohort_message_send_cohort": "soon:m1", "property_message": self.named(message)}
        return {"flow_message_id": {"flow_message_id": self.named(message)},
                "message": {"property_message": self.named(message)}}.get(how, {})  # fmt: skip

    def of_shop(self, number: int, is_message: bool) -> Row:
        """What an event is worth, and what Klaviyo recorded of its reason."""
        attribution = self.attribution(number) if not is_message or number % 4 == 0 else None
        if is_message:
            return {"property_attribution": attribution}
        return {"property_value": self.pick(AMOUNTS), "property_currency_code": self.pick(CURRENCIES),
                "property_attribution": attribution}  # fmt: skip

    def attribution(self, number: int) -> str | None:
        """A recorded attribution in one of its shapes."""
        in_trail = 0 < number <= self.trail
        shape = self.pick(("old", "linked") if in_trail else SHAPES)
        if shape in {"none", "junk", "empty"}:
            return {"none": None, "junk": self.pick(("no json", "null", "7", '{"relationships": 1}'))}.get(shape, "{}")
        before = (1,) if in_trail else (1, 1, 1, 1, 2, 2, 2, 3, 4, 5, -1, 40)
        other, another = (self.named(f"e{number - self.pick(before):02}") for _ in range(2))
        old = {"$attributed_event_id": other}
        shapes: dict[str, Any] = {
            "old": old, "bare": {"attributed_event_id": other, "$flow": "x"},
            "linked": related(event=other),
            "direct": related(campaign=self.named("c1")),
            "direct touch": related(event=other, campaign=self.named("c1")),
            "direct message": related(**{"campaign": self.named("c1"), "campaign-message": self.named("m2")}),
            "flow": related(**{"event": other, "flow": self.named("f1"), "flow-message-variation": "B"}),
            "linear": [old, {"$attributed_event_id": another}, related(event=other)],
            "linear direct": [related(campaign=self.named("c2")), related(event=another), {"nothing": 1}],
            "below data": {"data": [old, related(flow=self.named("f2"))]},
        }  # fmt: skip
        return json.dumps(shapes[shape])

    def campaigns(self) -> list[Row]:
        """Campaigns with and without a time of sending; one more is unknown."""
        hours = self.pick((None, -24, 0, 30, 60))
        sent = None if hours is None else self.start + timedelta(hours=hours)
        return [{"id": self.named(name), "name": name, "send_time": sent, "_fivetran_deleted": name == "c2",
                 "_fivetran_synced": self.synced} for name in ("c1", "c2")]  # fmt: skip

    def lists(self) -> list[Row]:
        """Lists; one name is borne by two, and one list is gone."""
        names = {"l1": "News", "l2": "Twice", "l3": "Twice", "l4": "Gone", "l5": "Gone"}
        return [{"id": self.named(key), "list_name": self.named(name), "_fivetran_deleted": key == "l4",
                 "_fivetran_synced": self.synced} for key, name in names.items()]  # fmt: skip


def related(**named: str | None) -> Row:
    """A recorded attribution in the shape of API revision 2025-04-15."""
    kinds = {"event": "attributed-event"}
    relationships = {kinds.get(kind, kind): {"data": {"type": kind, "id": each}} for kind, each in named.items()}
    return {"type": "attribution", "id": "x", "relationships": relationships}


def unpacked(row: Row) -> Row:
    """Custom fields in columns of their own."""
    return {name: value for name, value in row.items() if value is not None}


def packed(row: Row) -> Row:
    """Custom fields in one JSON column, under Klaviyo's names."""
    fields = {name.removeprefix("property_"): value for name, value in unpacked(row).items() if "property_" in name}
    rest = {name: value for name, value in unpacked(row).items() if "property_" not in name}
    dollar = {"value", "attribution"}
    return {**rest, "custom_property_fields": {f"${key}" if key in dollar else key: fields[key] for key in fields}}


def camel(row: Row) -> Row:
    """Custom fields in columns under source naming."""
    return {camel_name(name) if "property_" in name else name: value for name, value in unpacked(row).items()}


def camel_name(name: str) -> str:
    """`property_currency_code` as `propertyCurrencyCode`."""
    first, *words = name.split("_")
    return first + "".join(word.capitalize() for word in words)
