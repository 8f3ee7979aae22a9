"""The catalogue of statistics: the numbers in a report, by Klaviyo's own names, and how each one is counted.

Here: what feeds a statistic, its formula as a sentence and as GoogleSQL, and whether it may be added up. Not here:
which metrics there are (`metrics.py`), and which report shows which statistic at which grain (`reports/`).

A statistic is computed over *facts*: one row per message event and per credited conversion, with the columns `fact`
(what happened), `person_id`, `send_key` (one person's one send), `weight`, `value` and `segment_count`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.metrics import METRIC_KINDS, Role
from klaviyo_assets.spec import Column, LogicalType

# Facts beside those that are named after a message event's role.
CONVERTED = "converted"
CONVERTED_OTHER_CURRENCY = "converted_other_currency"


class Kind(StrEnum):
    """How a statistic is made of facts."""

    EVENTS = "events"  # the number of events
    PEOPLE = "people"  # distinct people at the row's grain; whoever is in two rows would be added twice
    SENDS = "sends"  # distinct sends (person x message x variation x send time): the additive twin of people
    SUM = "sum"  # the sum of a measure
    RATE = "rate"  # one statistic divided by another


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A number in a report.

    Attributes:
        name: Klaviyo's name; also the column's.
        facts: The facts that count. Empty for rates.
        measure: The facts' column that is summed.
        numerator: Of a rate: the statistic above the line.
        denominator: Of a rate: the statistic below the line.
        is_klaviyos: One of the 31 statistics of Klaviyo's Reporting API; the others are this product's.
        is_null_without_data: Null, not zero, where no fact states the measure.
    """

    name: str
    kind: Kind
    meaning: str
    type: LogicalType = LogicalType.INTEGER
    facts: tuple[str, ...] = ()
    measure: str = ""
    numerator: str = ""
    denominator: str = ""
    is_klaviyos: bool = True
    is_null_without_data: bool = False

    @property
    def is_additive(self) -> bool:
        """Whether a sum over rows of a report means anything."""
        return self.kind not in (Kind.PEOPLE, Kind.RATE)

    @property
    def is_always_known(self) -> bool:
        """Whether the statistic is never null."""
        return self.kind is not Kind.RATE and not self.is_null_without_data

    @property
    def formula(self) -> str:
        """How it is computed, in words of the catalogue."""
        if self.kind is Kind.RATE:
            return f"{self.numerator} / {self.denominator}"
        what = {
            Kind.EVENTS: "number of events",
            Kind.PEOPLE: "distinct known people",
            Kind.SENDS: "distinct sends (person x message x variation x send time)",
            Kind.SUM: f"sum of {self.measure.replace('_', ' ')}",
        }[self.kind]
        return f"{what} over {' + '.join(fact.replace('_', ' ') for fact in self.facts)}"

    @property
    def description(self) -> str:
        """Meaning, formula and whether it may be added: the column's description."""
        warning = {
            Kind.PEOPLE: " Do not add rows: a person in two rows is one person.",
            Kind.RATE: " Null where the denominator is 0. Do not add or average rows: divide the sums.",
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
        """GoogleSQL: an aggregate over facts, or for a rate a division of two columns of the same row."""
        if self.kind is Kind.RATE:
            return f"SAFE_DIVIDE({self.numerator}, {self.denominator})"
        counts = f"fact IN ({text_literals(self.facts)})"
        if self.kind is Kind.EVENTS:
            return f"COUNTIF({counts})"
        if self.kind is Kind.SUM:
            total = f"SUM(IF({counts}, {self.measure}, NULL))"
            return total if self.is_null_without_data else f"COALESCE({total}, 0)"
        counted = "person_id" if self.kind is Kind.PEOPLE else "send_key"
        return f"COUNT(DISTINCT IF({counts}, {counted}, NULL))"


def text_literals(values: Iterable[str]) -> str:
    """A GoogleSQL list of text literals, quoted by the library."""
    return ", ".join(exp.Literal.string(value).sql("bigquery") for value in values)


def _events(name: str, meaning: str, *facts: str, is_klaviyos: bool = True) -> Statistic:
    return Statistic(name=name, kind=Kind.EVENTS, meaning=meaning, facts=facts, is_klaviyos=is_klaviyos)


def _people(name: str, meaning: str, fact: str) -> Statistic:
    return Statistic(name=name, kind=Kind.PEOPLE, meaning=meaning, facts=(fact,))


def _sends(name: str, meaning: str, fact: str) -> Statistic:
    return Statistic(name=name, kind=Kind.SENDS, meaning=meaning, facts=(fact,), is_klaviyos=False)


def _sum(
    name: str, meaning: str, measure: str, fact: str, kind: LogicalType = LogicalType.NUMERIC,
    *, is_klaviyos: bool = True, is_null_without_data: bool = False,
) -> Statistic:  # fmt: skip
    return Statistic(
        name=name, kind=Kind.SUM, meaning=meaning, type=kind, facts=(fact,), measure=measure,
        is_klaviyos=is_klaviyos, is_null_without_data=is_null_without_data,
    )  # fmt: skip


def _rate(
    name: str, meaning: str, numerator: str, denominator: str, kind: LogicalType = LogicalType.FLOAT
) -> Statistic:
    return Statistic(
        name=name, kind=Kind.RATE, meaning=meaning, type=kind, numerator=numerator, denominator=denominator
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
    _events("dropped", "Emails that Klaviyo never attempted; they are no recipients.", Role.DROPPED,
            is_klaviyos=False),
    _events("opens", "Opens, every one of them; machine opens included.", Role.OPENED),
    _people("opens_unique", "People who opened.", Role.OPENED),
    _sends("sends_opened", "Sends that were opened: opens_unique in a form that may be added up.", Role.OPENED),
    _rate("open_rate", "People who opened per message that arrived.", "opens_unique", "delivered"),
    _events("clicks", "Clicks, every one of them; bot clicks included.", Role.CLICKED),
    _people("clicks_unique", "People who clicked.", Role.CLICKED),
    _sends("sends_clicked", "Sends that were clicked: clicks_unique in a form that may be added up.", Role.CLICKED),
    _rate("click_rate", "People who clicked per message that arrived.", "clicks_unique", "delivered"),
    _rate("click_to_open_rate", "People who clicked per person who opened.", "clicks_unique", "opens_unique"),
    _events("unsubscribes", "Unsubscribes. Klaviyo writes one act as several events (marketing, and each list): "
            "those of one person, channel and second count once.", Role.UNSUBSCRIBED),
    _people("unsubscribe_uniques", "People who unsubscribed.", Role.UNSUBSCRIBED),
    _rate("unsubscribe_rate", "People who unsubscribed per message that arrived.", "unsubscribe_uniques", "delivered"),
    _events("spam_complaints", "Emails marked as spam.", Role.SPAM),
    _rate("spam_complaint_rate", "Complaints per message that arrived.", "spam_complaints", "delivered"),
    _sum("conversions", f"Conversions credited to the message. {_SHARES} {_OWN_MONEY}", "weight", CONVERTED),
    _people("conversion_uniques", f"People with a conversion credited to the message. {_OWN_MONEY}", CONVERTED),
    _sends("sends_converted", "Sends credited with a conversion: conversion_uniques in a form that may be added up. "
           f"{_OWN_MONEY}", CONVERTED),
    _sum("conversion_value", f"Value of the conversions credited to the message. {_OWN_MONEY}", "value", CONVERTED),
    _sum("conversions_other_currency", "Credited conversions in another currency than the account's. They are in no "
         f"other column: amounts are never converted. {_SHARES}", "weight", CONVERTED_OTHER_CURRENCY,
         is_klaviyos=False),
    _rate("conversion_rate", "People with a conversion per message that arrived.", "conversion_uniques", "delivered"),
    _rate("average_order_value", "Money per conversion.", "conversion_value", "conversions", LogicalType.NUMERIC),
    _rate("revenue_per_recipient", "Money per message that arrived, as in Klaviyo's glossary.",
          "conversion_value", "delivered", LogicalType.NUMERIC),
    _sum("message_segment_count_sum", "Segments of the text messages that arrived; null where none states a number.",
         "segment_count", Role.RECEIVED, LogicalType.INTEGER, is_null_without_data=True),
    _sum("text_message_credit_usage_amount", "Credits used for text messages; null where the data state none.",
         "credit_usage", Role.RECEIVED, is_null_without_data=True),
    _sum("text_message_spend", "Money spent on text messages; null where the data state none.",
         "spend", Role.RECEIVED, is_null_without_data=True),
    _rate("text_message_roi", "Money earned per money spent on text messages.",
          "conversion_value", "text_message_spend", LogicalType.NUMERIC),
)  # fmt: skip

STATISTICS: dict[str, Statistic] = {statistic.name: statistic for statistic in _CATALOGUE}
# What no query may sum or average.
NOT_ADDITIVE: frozenset[str] = frozenset(name for name, found in STATISTICS.items() if not found.is_additive)
# The roles of message events that feed any statistic; events of other roles make no row.
COUNTED_ROLES: tuple[Role, ...] = tuple(
    role for role in Role if any(role in statistic.facts for statistic in STATISTICS.values())
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
