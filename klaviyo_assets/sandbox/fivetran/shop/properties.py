"""The properties an event carries, by metric: what Fivetran puts into `property_*`.

Here: names and values of properties, without spelling (`spelling` turns `value` into `property_value`,
`propertyValue` or a member of `custom_property_fields`). Attribution is added by `event_rows`.
"""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.sandbox.fivetran.shop.columns import constant, iso_times, join, number_texts, pick, texts, where
from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.journal import BOT, HARD, MACHINE, Events
from klaviyo_assets.sandbox.fivetran.shop.lists import LIST_NAMES, list_ids
from klaviyo_assets.sandbox.fivetran.shop.message_columns import MessageColumns
from klaviyo_assets.sandbox.fivetran.shop.metrics import METRICS
from klaviyo_assets.sandbox.fivetran.shop.money import spelled_money

Properties = dict[str, Column]

JSON_PROPERTIES = frozenset(
    ["items", "extra", "attribution", "categories", "tags", "discount_codes", "collections", "object"]
)
"""Properties whose value is JSON: Fivetran gives them a json column."""

_CLIENTS = (
    ("Apple Mail", "Email Client", "iOS", "iOS", "Apple Mail"),
    ("Gmail", "Email Client", "Android", "Android", "Gmail"),
    ("Chrome", "Browser", "Windows 11", "Windows", "Chrome"),
    ("Outlook 365", "Email Client", "macOS", "macOS", "Outlook"),
)
_PAGES = ("/", "/collections/all", "/collections/sale", "/pages/about", "/cart", "/blogs/news")
_BROWSERS, _SYSTEMS = ("Chrome", "Safari", "Firefox", "Edge"), ("iOS", "Android", "Windows", "macOS")
_TAGS = ('["vip"]', "[]", '["gift", "express"]')
_SITE = "https://{}.example"
_CREDIT_PRICE = 0.0125


class PropertyWriter:
    """Properties of events of one account, as they are at `until`."""

    def __init__(self, history: History, identity: Identity, until: int) -> None:
        self._history, self._identity, self._until = history, identity, until
        self._dice, self._orders, self._profile = history.dice, history.orders, history.profile
        self._site = _SITE.format(history.profile.name)
        self._writers: dict[str, Callable[[Events], Properties]] = self._by_metric()

    def properties(self, metric: str, events: Events) -> Properties:
        """The properties of events that are all of one metric."""
        properties = self._write(metric, events)
        return {**properties, **self._columns_of_incidents(events)}

    def _write(self, metric: str, events: Events) -> Properties:
        return self._writers[metric](events) if metric in self._writers else {}

    def _by_metric(self) -> dict[str, Callable[[Events], Properties]]:
        orders = ("fulfilled_order", "cancelled_order", "refunded_order", "confirmed_shipment", "delivered_shipment")
        return {
            **{metric.key: self._email for metric in METRICS if metric.key.endswith("_email")},
            **{metric.key: self._text for metric in METRICS if metric.key.endswith("_sms")},
            **{metric.key: self._push for metric in METRICS if metric.key.endswith("_push")},
            **dict.fromkeys(orders, self._after_order),
            **dict.fromkeys(("viewed_product", "added_to_cart"), self._product),
            **dict.fromkeys(("ordered_product", "api_ordered_product"), self._line),
            **dict.fromkeys(("placed_order", "api_placed_order", "checkout_started"), self._order),
            **dict.fromkeys(("subscribed_email", "subscribed_sms", "subscribed_list"), self._consent),
            "received_sms": self._text_receipt,
            "opened_email": self._open,
            "clicked_email": self._click,
            "bounced_email": self._bounce,
            "spam": self._email,
            "unsubscribed_list": self._unsubscribe,
            "failed_sms": self._failure,
            "clicked_sms": self._text_click,
            "submitted_form": self._form,
            "active_on_site": self._visit,
            "submitted_review": self._review,
        }

    def _email(self, events: Events) -> Properties:
        message = MessageColumns(self._history.messages, events["message"])
        return {
            "subject": message.subject,
            "campaign_name": message.name,
            "message_name": where(message.is_flow, message.name),
            "email_domain": self._identity.domains(_persons(events)),
            **self._cohort(message, events),
        }

    def _open(self, events: Events) -> Properties:
        machine = (events["flags"] & MACHINE) > 0
        return {**self._email(events), **self._client(events, machine), "apple_privacy_open": pa.array(machine)}

    def _click(self, events: Events) -> Properties:
        bot = (events["flags"] & BOT) > 0
        url = self._link(events["sequence"], "utm_medium=email")
        client = self._client(events, np.zeros(len(events), dtype=bool))
        return {**self._email(events), **client, "url": url, "bot_click": where(bot, pa.array(bot))}

    def _bounce(self, events: Events) -> Properties:
        hard = (events["flags"] & HARD) > 0
        return {**self._email(events), "bounce_type": pick(("Soft", "Hard"), hard.astype(np.int64))}

    def _unsubscribe(self, events: Events) -> Properties:
        return {**self._email(events), **self._list(events, "Newsletter")}

    def _list(self, events: Events, name: str) -> Properties:
        """The list that somebody joins or leaves: by name, by id, or both."""
        count = len(events)
        by_id = self._dice.chance(events["sequence"], "list id", 0.6)
        unnamed = by_id & self._dice.chance(events["sequence"], "list unnamed", 0.1)
        list_id = list_ids(self._history)[LIST_NAMES.index(name)]
        return {"list": where(~unnamed, constant(name, count)), "list_id": where(by_id, constant(list_id, count))}

    def _text(self, events: Events) -> Properties:
        message = MessageColumns(self._history.messages, events["message"])
        count, region = len(events), self._identity.country_code
        delivered = events["revised"] <= self._until
        return {
            "to_number": self._identity.phones(_persons(events)),
            "from_number": constant("+18335550100", count),
            "message_name": message.name,
            "message_body": join(message.subject, " Reply STOP to opt out"),
            "message_format": pick(("SMS", "MMS"), self._dice.weighted(events["sequence"], "mms", (0.8, 0.2))),
            "message_type": constant("marketing", count),
            "segment_count": pa.array(1 + self._dice.weighted(events["message"], "segments", (0.6, 0.3, 0.1))),
            "carrier_delivery_status": pick(("sent", "delivered"), delivered.astype(np.int64)),
            "to_phone_region": constant(region, count),
            "from_phone_region": constant(region, count),
            **self._cohort(message, events),
        }

    def _text_receipt(self, events: Events) -> Properties:
        """A delivered text message; accounts that buy credits see what it used and cost."""
        properties = self._text(events)
        if not self._profile.text_credits:
            return properties
        segments = properties["segment_count"].to_numpy()
        is_mms = pc.equal(properties["message_format"], "MMS").to_numpy(zero_copy_only=False)
        parts = segments * np.where(is_mms, 3, 1)
        return {
            **properties,
            "text_message_credit_usage_amount": pa.array(parts),
            "text_message_spend": pa.array(np.round(parts * _CREDIT_PRICE, 4)),
        }

    def _text_click(self, events: Events) -> Properties:
        return {**self._text(events), "url": self._link(events["sequence"], "utm_medium=sms")}

    def _failure(self, events: Events) -> Properties:
        unreachable = self._dice.below(events["sequence"], "failure", 2)
        return {
            **self._text(events),
            "failure_type": pick(("Unreachable", "Carrier violation"), unreachable),
            "failure_source": constant("Carrier", len(events)),
            "vendor_error_code": pick(("30003", "30007"), unreachable),
        }

    def _push(self, events: Events) -> Properties:
        message = MessageColumns(self._history.messages, events["message"])
        return {"title": message.subject, "message_name": message.name, **self._cohort(message, events)}

    def _cohort(self, message: MessageColumns, events: Events) -> Properties:
        sent_texts = where(events["sent_at"] > 0, number_texts(events["sent_at"]))
        return {
            "cohort_message_send_cohort": join(sent_texts, ":", message.message_id),
            "cohort_variation_send_cohort": join(sent_texts, ":", message.variation),
            "message_interaction": join(message.message_id, ":", number_texts(events["sequence"])),
        }

    def _client(self, events: Events, apple: np.ndarray) -> Properties:
        other_client = 1 + self._dice.below(_persons(events), "client", len(_CLIENTS) - 1)
        client_index = np.where(apple, 0, other_client)
        names = ("client_name", "client_type", "client_os", "client_os_family", "client_canonical")
        return {name: pick([client[i] for client in _CLIENTS], client_index) for i, name in enumerate(names)}

    def _link(self, keys: Ints, tracking: str) -> Column:
        page = pick(_PAGES, self._dice.below(keys, "page", len(_PAGES)))
        return join(self._site, page, f"?{tracking}&utm_source=Klaviyo")

    def _consent(self, events: Events) -> Properties:
        by_text = METRICS[int(events["metric"][0])].key == "subscribed_sms"
        return {
            **self._list(events, "Text Subscribers" if by_text else "Newsletter"),
            "method": pick(("Klaviyo Form", "Checkout", "API"), self._dice.below(_persons(events), "method", 3)),
        }

    def _form(self, events: Events) -> Properties:
        persons = _persons(events)
        # The quiz went live two weeks after the shop opened its books: a column that comes later.
        quiz = (events["at"] >= self._history.calendar.midnight(14)) & self._dice.chance(persons, "quiz", 0.3)
        goals = pick(("Strength", "Rest", "Gifts"), self._dice.below(persons, "goal", 3))
        return {"email": self._identity.emails(persons), "attribute_goal": where(quiz, goals)}

    def _visit(self, events: Events) -> Properties:
        keys = events["sequence"]
        return {
            "page": self._link(keys, "ref=site"),
            "browser": pick(_BROWSERS, self._dice.below(keys, "browser", len(_BROWSERS))),
            "os": pick(_SYSTEMS, self._dice.below(keys, "os", len(_SYSTEMS))),
            "is_session_activity": constant(True, len(events)),
            "session_end": iso_times(events["at"] + 600),
            "client_ip": where(self._dice.chance(keys, "ip", 0.2), self._identity.ips(_persons(events))),
        }

    def _product(self, events: Events) -> Properties:
        product_index = self._orders.product_of(events["sequence"], 0)
        products = self._orders.products
        prices = np.array([product.price for product in products])[product_index]
        return {
            "product_id": pick([p.product_id for p in products], product_index),
            "name": pick([p.name for p in products], product_index),
            "sku": pick([p.sku for p in products], product_index),
            "brand": pick([p.brand for p in products], product_index),
            "url": pick([f"{self._site}/products/{p.sku.lower()}" for p in products], product_index),
            "image_url": pick([f"{self._site}/images/{p.sku.lower()}.jpg" for p in products], product_index),
            "categories": pick([json.dumps([p.kind, "All"]) for p in products], product_index),
            "price": pa.array(prices),
            "compare_at_price": where(self._dice.chance(events["sequence"], "was", 0.15), pa.array(prices * 1.25)),
        }

    def _line(self, events: Events) -> Properties:
        orders, line = events["order"], events["item"].astype(np.int64)
        product, products = self._orders.product_of(orders, line), self._orders.products
        return {
            "value": spelled_money(self._profile, self._orders.line_values(orders, line), None),
            "currency_code": self._orders.currencies(orders),
            "event_id": join(self._orders.numbers(orders), ":", number_texts(line)),
            "product_id": pick([p.product_id for p in products], product),
            "name": pick([p.name for p in products], product),
            "sku": pick([p.sku for p in products], product),
            "vendor": pick([p.brand for p in products], product),
            "variant_option_size": self._orders.size_of(orders, line),
            "quantity": pa.array(self._orders.quantity_of(orders, line)),
        }

    def _order(self, events: Events) -> Properties:
        orders = np.where(events["order"] > 0, events["order"], events["sequence"])
        totals = self._orders.totals(orders, events["edition"].astype(np.int64))
        edited = events["revised"] <= self._until
        tags = np.where(edited, 2, self._dice.below(orders, "tags", 2))
        return {
            "value": spelled_money(self._profile, totals, self._dice.uniform(orders, "spelling")),
            "currency_code": self._orders.currencies(orders),
            "event_id": self._orders.numbers(orders),
            "items": texts(self._orders.items_json(orders)),
            "item_count": pa.array(self._orders.line_counts(orders)),
            "extra": texts(self._extras(events, orders)),
            "source_name": pick(("web", "pos", "mobile"), self._dice.weighted(orders, "source", (0.9, 0.04, 0.06))),
            "tags": pick(_TAGS, tags),
            "discount_codes": where(self._orders.discounts(orders) > 0, constant('["WELCOME10"]', len(events))),
            "total_discounts": pa.array(self._orders.discounts(orders)),
            "shipping_rate": pick(("Free", "Standard"), (self._orders.shipping(orders) > 0).astype(np.int64)),
            **self._gifts(events, orders),
        }

    def _gifts(self, events: Events, orders: Ints) -> Properties:
        """Two columns that come only once the shop offers gifts and a loyalty program."""
        is_offered = events["at"] >= self._history.calendar.midnight(10)
        loyal = (events["at"] >= self._history.calendar.midnight(20)) & self._dice.chance(orders, "loyal", 0.3)
        gift = is_offered & self._dice.chance(orders, "gift", 0.03)
        return {
            "recipient_name": where(gift, self._identity.first_names(_persons(events))),
            "attribute_loyalty_tier": where(loyal, constant("gold", len(events))),
        }

    def _extras(self, events: Events, orders: Ints) -> list[str]:
        persons = _persons(events)
        emails, ips = self._identity.emails(persons).to_pylist(), self._identity.ips(persons).to_pylist()
        names = self._identity.last_names(persons).to_pylist()
        return [
            json.dumps(
                {
                    "email": email,
                    "customer_locale": "en",
                    "billing_address": {"last_name": name, "country": self._identity.country},
                    "client_details": {"browser_ip": ip},
                    "order_number": int(order % 100_000),
                },
                ensure_ascii=False,
            )
            for email, ip, name, order in zip(emails, ips, names, orders, strict=True)
        ]

    def _after_order(self, events: Events) -> Properties:
        orders = events["order"]
        refunded = METRICS[int(events["metric"][0])].key == "refunded_order"
        money = -self._orders.refunds(orders) if refunded else self._orders.totals(orders)
        return {
            "value": spelled_money(self._profile, money, None),
            "currency_code": self._orders.currencies(orders),
            "event_id": self._orders.numbers(orders),
            "fulfillment_status": constant("fulfilled", len(events)),
        }

    def _review(self, events: Events) -> Properties:
        stars = 5 - self._dice.weighted(events["sequence"], "stars", (0.62, 0.22, 0.08, 0.04, 0.04))
        return {
            "rating": pa.array(stars),
            "title": pick(("", "Poor", "Hm", "Fine", "Good", "Love it"), stars),
        }

    def _columns_of_incidents(self, events: Events) -> Properties:
        return {
            name: where(events["at"] >= since, join("value ", number_texts(events["sequence"] % 7)))
            for name, since in self._history.overlay.columns.items()
            if since <= self._until and (events["at"] >= since).any()
        }


def _persons(events: Events) -> Ints:
    return events["person"].astype(np.int64)
