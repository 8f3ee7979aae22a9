"""The catalogue of statistics: the numbers in a report, by Klaviyo's own names, and how each one is counted.

Here: what feeds a statistic, its formula as a sentence and as GoogleSQL, and whether it may be added up. Not here:
which metrics there are (`model/metrics.py`), and which report shows which statistic at which grain (`reports/`).

A statistic is computed over *facts* (`reports/facts.py`): one row per event and per credit, with the columns `fact`
(what happened to a message, or the credit of a conversion), `metric`, `person_id`, `send_key` (one person's one send),
`is_machine`, `is_own_currency`, `weight`, `value` and the measures of text messages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.model.metrics import METRIC_KINDS, Role
from klaviyo_assets.model.spec import Column, LogicalType

# Facts beside those that are named after a message event's role: credits of conversions, and conversions that no
# message earned.
CONVERTED = "converted"
CONVERTED_OTHER_CURRENCY = "converted_other_currency"
UNATTRIBUTED = "unattributed"
UNATTRIBUTED_OTHER_CURRENCY = "unattributed_other_currency"


class Kind(StrEnum):
    """How a statistic is computed from facts."""

    EVENTS = "events"  # the number of events
    PEOPLE = "people"  # distinct people at the row's grain; a person in two rows would be added twice
    SENDS = "sends"  # distinct sends (person x message x variation x send time): the additive twin of people
    SUM = "sum"  # the sum of a measure
    RATE = "rate"  # one statistic divided by another
    NET = "net"  # one statistic minus another


class Unit(StrEnum):
    """What a statistic is measured in."""

    COUNT = "count"  # events, people, sends; a credited event may count in parts
    MONEY = "money"  # the account's currency
    CREDITS = "credits"  # what Klaviyo charges for text messages
    SHARE = "share"  # a count per count
    MULTIPLE = "multiple"  # money per money: 3 is three times as much


# The units of measures that sum something different from events.
_UNITS = {"value": Unit.MONEY, "spend": Unit.MONEY, "credit_usage": Unit.CREDITS}


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A number in a report.

    Attributes:
        name: Klaviyo's name; also the column's.
        facts: The facts that count; empty: any.
        metrics: Canonical names of the metrics whose facts count; empty: any.
        measure: The facts' column that is summed.
        numerator: The numerator of a rate; for a net, the statistic that is subtracted from.
        denominator: The denominator of a rate; for a net, the statistic that is subtracted.
        leaves_out_machines: Opens that a mail program's privacy protection may have made and clicks of security
            scanners do not count.
        is_own_currency: Only amounts in the account's currency count.
        is_klaviyos: One of the 31 statistics of Klaviyo's Reporting API; the others are this product's.
        is_null_without_data: Null, not zero, if no fact states the measure.
    """

    name: str
    kind: Kind
    meaning: str
    type: LogicalType = LogicalType.INTEGER
    facts: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    measure: str = ""
    numerator: str = ""
    denominator: str = ""
    leaves_out_machines: bool = False
    is_own_currency: bool = False
    is_klaviyos: bool = True
    is_null_without_data: bool = False

    @property
    def is_additive(self) -> bool:
        """Whether a sum over rows of a report means anything."""
        return self.kind not in (Kind.PEOPLE, Kind.RATE)

    @property
    def unit(self) -> Unit:
        """Its unit: that of its measure, or the result of dividing its parts."""
        if self.kind is not Kind.RATE:
            return _UNITS.get(self.measure, Unit.COUNT)
        above, below = STATISTICS[self.numerator].unit, STATISTICS[self.denominator].unit
        if above is below:
            return Unit.SHARE if above is Unit.COUNT else Unit.MULTIPLE
        return above

    @property
    def is_computed(self) -> bool:
        """Whether it is computed from other statistics of the same row, not from facts."""
        return self.kind in (Kind.RATE, Kind.NET)

    @property
    def is_always_known(self) -> bool:
        """Whether the statistic is never null."""
        return self.kind is not Kind.RATE and not self.is_null_without_data

    @property
    def formula(self) -> str:
        """Its formula, in the words of the catalogue."""
        if self.is_computed:
            return f"{self.numerator} {'/' if self.kind is Kind.RATE else '-'} {self.denominator}"
        what = {
            Kind.EVENTS: "number of events",
            Kind.PEOPLE: "distinct known people",
            Kind.SENDS: "distinct sends (person x message x variation x send time)",
            Kind.SUM: f"sum of {self.measure.replace('_', ' ')}",
        }[self.kind]
        counted = (*(fact.replace("_", " ") for fact in self.facts), *self.metrics)
        left_out = " without those of machines" if self.leaves_out_machines else ""
        return f"{what} over {' + '.join(counted) or 'everything that happened'}{left_out}"

    @property
    def description(self) -> str:
        """Meaning, formula and whether it may be added: the column's description."""
        warning = {
            Kind.PEOPLE: " Do not add rows: one person can be in several.",
            Kind.RATE: " Null if the denominator is 0. Do not add or average rows: divide the sums.",
        }
        return f"{self.meaning} Formula: {self.formula}.{warning.get(self.kind, '')}"

    @property
    def column(self) -> Column:
        """The statistic as a report's column."""
        return Column(
            name=self.name, type=self.type, description=self.description, required=self.is_always_known
        )  # fmt: skip

    @property
    def expression(self) -> str:
        """GoogleSQL: an aggregate over facts, or for what is computed a formula over columns of the same row."""
        if self.kind is Kind.RATE:
            return f"SAFE_DIVIDE({self.numerator}, {self.denominator})"
        if self.kind is Kind.NET:
            return f"{self.numerator} - {self.denominator}"
        if self.kind is Kind.EVENTS:
            return f"COUNTIF({self._counts})"
        if self.kind is Kind.SUM:
            total = f"SUM(IF({self._counts}, {self.measure}, NULL))"
            return total if self.is_null_without_data else f"COALESCE({total}, 0)"
        counted = "person_id" if self.kind is Kind.PEOPLE else "send_key"
        return f"COUNT(DISTINCT IF({self._counts}, {counted}, NULL))"

    @property
    def _counts(self) -> str:
        """GoogleSQL: whether a fact counts."""
        conditions = [
            f"{column} IN ({text_literals(names)})"
            for column, names in (("fact", self.facts), ("metric", self.metrics)) if names
        ]  # fmt: skip
        conditions += ["NOT is_machine"] * self.leaves_out_machines
        conditions += ["is_own_currency"] * self.is_own_currency
        return " AND ".join(conditions) or "is_event"


def text_literals(values: Iterable[str]) -> str:
    """A GoogleSQL list of text literals, quoted by the library."""
    return ", ".join(exp.Literal.string(value).sql("bigquery") for value in values)


def _events(name: str, meaning: str, *facts: str, is_klaviyos: bool = True, machines: bool = True) -> Statistic:
    return Statistic(
        name=name, kind=Kind.EVENTS, meaning=meaning, facts=facts, is_klaviyos=is_klaviyos,
        leaves_out_machines=not machines,
    )  # fmt: skip


def _people(name: str, meaning: str, fact: str, *, is_klaviyos: bool = True, machines: bool = True) -> Statistic:
    return Statistic(
        name=name, kind=Kind.PEOPLE, meaning=meaning, facts=(fact,), is_klaviyos=is_klaviyos,
        leaves_out_machines=not machines,
    )  # fmt: skip


def _sends(name: str, meaning: str, fact: str, *, machines: bool = True) -> Statistic:
    return Statistic(
        name=name, kind=Kind.SENDS, meaning=meaning, facts=(fact,), is_klaviyos=False,
        leaves_out_machines=not machines,
    )  # fmt: skip


def _sum(
    name: str, meaning: str, measure: str, fact: str, kind: LogicalType = LogicalType.NUMERIC,
    *, is_klaviyos: bool = True, is_null_without_data: bool = False,
) -> Statistic:  # fmt: skip
    return Statistic(
        name=name, kind=Kind.SUM, meaning=meaning, type=kind, facts=(fact,), measure=measure,
        is_klaviyos=is_klaviyos, is_null_without_data=is_null_without_data,
    )  # fmt: skip


def _rate(
    name: str, meaning: str, numerator: str, denominator: str, kind: LogicalType = LogicalType.FLOAT,
    *, is_klaviyos: bool = True,
) -> Statistic:  # fmt: skip
    return Statistic(
        name=name, kind=Kind.RATE, meaning=meaning, type=kind, numerator=numerator, denominator=denominator,
        is_klaviyos=is_klaviyos,
    )  # fmt: skip


_SHARES = "A conversion that several touches share counts in parts that sum to 1; under last touch it is one whole."
_OWN_MONEY = "In the account's currency; events that state no currency are taken to be in it."

_CATALOGUE: tuple[Statistic, ...] = (
    _events("recipients", "Messages attempted, bounces and failures included.",
            Role.RECEIVED, Role.BOUNCED, Role.FAILED),
    _events("delivered", "Messages that arrived: recipients - bounced - failed.", Role.RECEIVED),
    _rate("delivery_rate", "Share of the attempted messages that arrived.", "delivered", "recipients"),
    _events("bounced", "Emails and pushes that bounced.", Role.BOUNCED),
    _rate("bounce_rate", "Share of the attempted messages that bounced.", "bounced", "recipients"),
    _events("failed", "Text and WhatsApp messages that could not be delivered; automated responses are left out.",
            Role.FAILED),
    _rate("failed_rate", "Share of the attempted messages that failed.", "failed", "recipients"),
    _events("bounced_or_failed", "Messages that bounced or failed.", Role.BOUNCED, Role.FAILED),
    _rate("bounced_or_failed_rate", "Share of the attempted messages that bounced or failed.",
          "bounced_or_failed", "recipients"),
    _events("dropped", "Emails that Klaviyo never attempted; they are not among the recipients.", Role.DROPPED,
            is_klaviyos=False),
    _events("opens", "Opens, every one of them; machine opens included.", Role.OPENED),
    _people("opens_unique", "People who opened.", Role.OPENED),
    _sends("sends_opened", "Sends that were opened: opens_unique in a form that can be added up.", Role.OPENED),
    _events("opens_excl_machine", "Opens, except those that a mail program's privacy protection may have caused.",
            Role.OPENED, is_klaviyos=False, machines=False),
    _people("opens_unique_excl_machine", "People who opened, machine opens left out.", Role.OPENED,
            is_klaviyos=False, machines=False),
    _sends("sends_opened_excl_machine", "Sends that were opened, machine opens left out.", Role.OPENED,
           machines=False),
    _rate("open_rate", "People who opened per message that arrived.", "opens_unique", "delivered"),
    _rate("open_rate_excl_machine", "People who opened per message that arrived, machine opens left out.",
          "opens_unique_excl_machine", "delivered", is_klaviyos=False),
    _events("clicks", "Clicks, every one of them; bot clicks included.", Role.CLICKED),
    _people("clicks_unique", "People who clicked.", Role.CLICKED),
    _sends("sends_clicked", "Sends that were clicked: clicks_unique in a form that can be added up.", Role.CLICKED),
    _events("clicks_excl_bot", "Clicks, except those that Klaviyo attributes to a security scanner.", Role.CLICKED,
            is_klaviyos=False, machines=False),
    _people("clicks_unique_excl_bot", "People who clicked, bot clicks left out.", Role.CLICKED,
            is_klaviyos=False, machines=False),
    _sends("sends_clicked_excl_bot", "Sends that were clicked, bot clicks left out.", Role.CLICKED, machines=False),
    _rate("click_rate", "People who clicked per message that arrived.", "clicks_unique", "delivered"),
    _rate("click_rate_excl_bot", "People who clicked per message that arrived, bot clicks left out.",
          "clicks_unique_excl_bot", "delivered", is_klaviyos=False),
    _rate("click_to_open_rate", "People who clicked per person who opened.", "clicks_unique", "opens_unique"),
    _rate("click_to_open_rate_excl_machine", "People who clicked per person who opened, bot clicks and machine opens "
          "left out.", "clicks_unique_excl_bot", "opens_unique_excl_machine", is_klaviyos=False),
    _events("unsubscribes", "Unsubscribes. Klaviyo writes one act as several events (marketing, and each list): "
            "those of one person, channel and second count once.", Role.UNSUBSCRIBED),
    _people("unsubscribe_uniques", "People who unsubscribed.", Role.UNSUBSCRIBED),
    _rate("unsubscribe_rate", "People who unsubscribed per message that arrived.", "unsubscribe_uniques", "delivered"),
    _events("spam_complaints", "Emails marked as spam.", Role.SPAM),
    _rate("spam_complaint_rate", "Complaints per message that arrived.", "spam_complaints", "delivered"),
    _sum("conversions", f"Conversions credited to the message. {_SHARES} {_OWN_MONEY}", "weight", CONVERTED),
    _people("conversion_uniques", f"People with a conversion credited to the message. {_OWN_MONEY}", CONVERTED),
    _sends("sends_converted", "Sends credited with a conversion: conversion_uniques in a form that can be added up. "
           f"{_OWN_MONEY}", CONVERTED),
    _sum("conversion_value", f"Value of the conversions credited to the message. {_OWN_MONEY}", "value", CONVERTED),
    _sum("conversions_other_currency", "Credited conversions in a currency other than the account's. They are in no "
         f"other column: amounts are never converted. {_SHARES}", "weight", CONVERTED_OTHER_CURRENCY,
         is_klaviyos=False),
    _rate("conversion_rate", "People with a conversion per message that arrived.", "conversion_uniques", "delivered"),
    _rate("average_order_value", "Money per conversion.", "conversion_value", "conversions", LogicalType.NUMERIC),
    _rate("revenue_per_recipient", "Money per message that arrived, as in Klaviyo's glossary.",
          "conversion_value", "delivered", LogicalType.NUMERIC),
    _sum("message_segment_count_sum", "Segments of the text messages that arrived; null if none states a number.",
         "segment_count", Role.RECEIVED, LogicalType.INTEGER, is_null_without_data=True),
    _sum("text_message_credit_usage_amount", "Credits used for text messages; null if the data state none.",
         "credit_usage", Role.RECEIVED, is_null_without_data=True),
    _sum("text_message_spend", "Money spent on text messages; null if the data state none.",
         "spend", Role.RECEIVED, is_null_without_data=True),
    _rate("text_message_roi", "Money earned per money spent on text messages.",
          "conversion_value", "text_message_spend", LogicalType.NUMERIC),
    Statistic(name="events", kind=Kind.EVENTS, is_klaviyos=False,
              meaning="Everything that happened, of any metric; deleted events are left out."),
    _sum("conversions_unattributed", f"Conversions that no message earned. {_OWN_MONEY}", "weight", UNATTRIBUTED,
         is_klaviyos=False),
    _sum("conversion_value_unattributed", f"Value of the conversions that no message earned. {_OWN_MONEY}", "value",
         UNATTRIBUTED, is_klaviyos=False),
    _sum("conversions_unattributed_other_currency", "Conversions that no message earned, in a currency other than the "
         "account's. They are in no other column.", "weight", UNATTRIBUTED_OTHER_CURRENCY, is_klaviyos=False),
    _people("delivered_uniques", "People who received a message.", Role.RECEIVED, is_klaviyos=False),
    _people("spam_complaint_uniques", "People who marked an email as spam.", Role.SPAM, is_klaviyos=False),
    _events("subscribes", "Subscribes: those of one person, list, channel and second count once.", Role.SUBSCRIBED,
            is_klaviyos=False),
    _people("subscribe_uniques", "People who subscribed.", Role.SUBSCRIBED, is_klaviyos=False),
    Statistic(name="net_growth", kind=Kind.NET, meaning="By how many the number of subscribers grew (negative: "
              "shrank).", numerator="subscribes", denominator="unsubscribes", is_klaviyos=False),
)  # fmt: skip

STATISTICS: dict[str, Statistic] = {statistic.name: statistic for statistic in _CATALOGUE}
# People who did something, and what replaces them when rows are added up: the sends concerned, or the acts.
ADDITIVE_TWINS: dict[str, str] = {
    "opens_unique": "sends_opened",
    "opens_unique_excl_machine": "sends_opened_excl_machine",
    "clicks_unique": "sends_clicked",
    "clicks_unique_excl_bot": "sends_clicked_excl_bot",
    "unsubscribe_uniques": "unsubscribes",
    "spam_complaint_uniques": "spam_complaints",
    "conversion_uniques": "sends_converted",
    "delivered_uniques": "delivered",
    "subscribe_uniques": "subscribes",
}
# The roles of message events that reports of messages count; events of other roles create no row there.
COUNTED_ROLES: tuple[Role, ...] = (
    Role.RECEIVED, Role.BOUNCED, Role.FAILED, Role.DROPPED, Role.OPENED, Role.CLICKED, Role.UNSUBSCRIBED, Role.SPAM,
)  # fmt: skip

# What people do on a site and in a shop, and which of it has a value.
SHOP_METRICS: tuple[str, ...] = (
    "Active on Site", "Viewed Product", "Added to Cart", "Checkout Started", "Placed Order", "Ordered Product",
    "Fulfilled Order", "Cancelled Order", "Refunded Order",
)  # fmt: skip
VALUED_METRICS: tuple[str, ...] = (
    "Checkout Started", "Placed Order", "Ordered Product", "Cancelled Order", "Refunded Order",
)  # fmt: skip


def metric_events(metric: str) -> Statistic:
    """`<metric>_events`: how many events of a metric there are, credited or not."""
    return Statistic(
        name=f"{_snake_case(metric)}_events", kind=Kind.EVENTS, meaning=f"Events of the metric {metric!r}.",
        metrics=(metric,), is_klaviyos=False,
    )  # fmt: skip


def credited_events(metric: str) -> Statistic:
    """`<metric>_events` that messages earned: an event that several touches share counts in parts."""
    return Statistic(
        name=f"{_snake_case(metric)}_events", kind=Kind.SUM, type=LogicalType.NUMERIC, measure="weight",
        meaning=f"Events of the metric {metric!r}: the message's own, or credited to it. {_SHARES}",
        metrics=(metric,), is_klaviyos=False,
    )  # fmt: skip


def metric_people(metric: str) -> Statistic:
    """`<metric>_people`: how many people did it."""
    return Statistic(
        name=f"{_snake_case(metric)}_people", kind=Kind.PEOPLE,
        meaning=f"People with an event of the metric {metric!r}.",
        metrics=(metric,), is_klaviyos=False,
    )  # fmt: skip


def metric_value(metric: str) -> Statistic:
    """`<metric>_value`: the sum of the events' values in the account's currency."""
    return Statistic(
        name=f"{_snake_case(metric)}_value", kind=Kind.SUM, type=LogicalType.NUMERIC, measure="value",
        meaning=f"Value of the events of the metric {metric!r}. {_OWN_MONEY}", metrics=(metric,), is_own_currency=True,
        is_klaviyos=False,
    )  # fmt: skip


def _snake_case(metric: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", metric.lower()).strip("_")


# The statistics that no query may sum or average.
NOT_ADDITIVE: frozenset[str] = frozenset(
    found.name for found in (*_CATALOGUE, *map(metric_people, SHOP_METRICS)) if not found.is_additive
)


def statistics(*names: str) -> tuple[Statistic, ...]:
    """Statistics by name, in the order asked for.

    Raises:
        UnknownNameError: the catalogue has no such statistic; the message lists those it has.
    """
    for name in names:
        if name not in STATISTICS:
            raise UnknownNameError("statistic", name, STATISTICS)
    return tuple(STATISTICS[name] for name in names)


def metrics_of(*roles: Role) -> tuple[str, ...]:
    """Canonical names of the metrics of message events with one of these roles."""
    return tuple(kind.name for kind in METRIC_KINDS if kind.role in roles and kind.channel)


def fact_of(metric: str) -> str:
    """GoogleSQL for the fact an event is, by its canonical metric name; null for events that feed no statistic.

    Args:
        metric: The column that holds the name, as GoogleSQL.
    """
    branches = (
        f"WHEN {metric} IN ({text_literals(metrics_of(role))}) THEN {text_literals([role])}" for role in COUNTED_ROLES
    )
    return f"CASE {' '.join(branches)} END"
