"""Reports of messages: the same statistics of owner x message x channel x variation, by day or for all time.

Here: the grain, the date bases, and which statistics make sense on each. Not here: the events that count
(`facts.py`), formulas (`model/statistics.py`), and the single reports, one file each.
"""

from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import (
    SHOP_METRICS,
    VALUED_METRICS,
    Statistic,
    credited_events,
    metric_people,
    metric_value,
    statistics,
)
from klaviyo_assets.reports.counting import EVENT_DAYS, EVENT_TIMES, SEND_DAYS, Counting, event_days_affected
from klaviyo_assets.reports.facts import READS, Scope, facts
from klaviyo_assets.reports.spec import DateBasis, ReportSpec

_S, _D = LogicalType.STRING, LogicalType.DATE

# Counts that mean the same by event date and by send date.
COUNTS = (
    "recipients", "delivered", "bounced", "failed", "bounced_or_failed", "dropped", "opens", "opens_unique",
    "opens_excl_machine", "opens_unique_excl_machine", "clicks", "clicks_unique", "clicks_excl_bot",
    "clicks_unique_excl_bot", "unsubscribes", "unsubscribe_uniques", "spam_complaints", "conversions",
    "conversion_uniques", "conversion_value", "conversions_other_currency", "message_segment_count_sum",
    "text_message_credit_usage_amount", "text_message_spend",
)  # fmt: skip
# Counts of sends, and rates: only where every number of a row is about the same sends.
OF_SENDS = (
    "sends_opened", "sends_opened_excl_machine", "sends_clicked", "sends_clicked_excl_bot", "sends_converted",
    "delivery_rate", "bounce_rate", "failed_rate", "bounced_or_failed_rate", "open_rate", "open_rate_excl_machine",
    "click_rate", "click_rate_excl_bot", "click_to_open_rate", "click_to_open_rate_excl_machine", "unsubscribe_rate",
    "spam_complaint_rate", "conversion_rate", "average_order_value", "revenue_per_recipient", "text_message_roi",
)  # fmt: skip
# What people did on the site and in the shop because of a message.
_EARNED = (
    *(credited_events(metric) for metric in SHOP_METRICS),
    *(metric_people(metric) for metric in SHOP_METRICS),
    *(metric_value(metric) for metric in VALUED_METRICS),
)


class Owner(StrEnum):
    """What messages belong to."""

    CAMPAIGN = "campaign"
    FLOW = "flow"

    @property
    def id_column(self) -> str:
        """The column of `event` and `attribution` that names it."""
        return f"{self}_id"

    @property
    def grain(self) -> tuple[Column, ...]:
        """The columns that tell messages apart."""
        return (
            Column(name=self.id_column, type=_S, required=True,
                   description=f"The {self}; its name is in `{self}`."),
            Column(name="message_id", type=_S, description="The message; null if the event names none."),
            Column(name="channel", type=_S, description="email, sms, mobile_push or whatsapp; null if a credit "
                   "names no touch and no receipt of the message states a channel."),
            Column(name="variation_id", type=_S,
                   description="The A/B variation; null for messages without variations."),
        )  # fmt: skip


@dataclass(frozen=True)
class DayRule:
    """What a row's day means.

    Attributes:
        day: The day's column, in facts and in the report.
        basis: What the day means.
        explanation: For the report's description.
        statistics: The statistics that make sense on this basis.
        is_late: Whether events of later days, and a new send time of the campaign, also change a row.
    """

    day: str
    basis: DateBasis
    explanation: str
    statistics: tuple[Statistic, ...]
    is_late: bool

    @property
    def day_column(self) -> Column:
        """The day as a report's column; null where the day is unknown."""
        unknown = "; null: the send is unknown (kept as a row, so that sums are complete)" if self.is_late else ""
        meaning = "the message was sent" if self.is_late else "the events happened"
        description = f"The calendar day {meaning}, in the account's time zone{unknown}."
        return Column(name=self.day, type=_D, description=description, required=not self.is_late)


EVENT_DATE = DayRule(
    "occurred_on", DateBasis.EVENT,
    "Each event counts on the day it happened, whenever its message was sent. There are no rates: on one day people "
    "also open and buy from messages of other days, so dividing two counts of a row means nothing.",
    statistics(*COUNTS), is_late=False,
)  # fmt: skip
SEND_DATE = DayRule(
    "send_on", DateBasis.SEND,
    "Each event counts on the day its message was sent, whenever it happened: as in Klaviyo's own pages and Reporting "
    "API. Rows keep growing while people open, click and buy.",
    statistics(*COUNTS, *OF_SENDS), is_late=True,
)  # fmt: skip


def message_report(name: str, owner: Owner, day_rule: DayRule, questions: tuple[str, ...]) -> ReportSpec:
    """A report of the messages of campaigns or of flows, day by day.

    Args:
        name: The report's and the table's.
        owner: Whose messages.
        day_rule: Which day an event counts on.
        questions: The questions that it answers.
    """
    counting = Counting(
        facts=facts(Scope.MESSAGES), condition=f"{owner.id_column} IS NOT NULL AND fact IS NOT NULL",
        grain=(day_rule.day_column, *owner.grain), statistics=day_rule.statistics,
        spans=EVENT_DAYS if day_rule.is_late else (), day=day_rule.day,
        last_day="COALESCE(send_on, last_event_on)" if day_rule.is_late else day_rule.day,
    )  # fmt: skip
    return ReportSpec(
        name=name, questions=questions, date_basis=day_rule.basis, statistics=day_rule.statistics, reads=READS,
        grain=f"One row per {day_rule.basis} (day), {owner}, message, channel and variation.",
        description=f"Statistics of {owner} messages by {day_rule.basis}. {day_rule.explanation}",
        key=(), order=counting.grain_names, day_column=day_rule.day, cluster=(owner.id_column, "message_id"),
        columns=counting.columns, rows_sql=counting.rows_sql,
        affected_sql=_send_days_affected(name, owner) if day_rule.is_late else event_days_affected(name),
    )  # fmt: skip


def lifetime_report(name: str, owner: Owner, questions: tuple[str, ...]) -> ReportSpec:
    """A report of the messages of campaigns or flows over all time, with what they earned on the site and in the shop.

    Args:
        name: The report's and the table's.
        owner: Whose messages.
        questions: The questions that it answers.
    """
    report_statistics = (*statistics(*COUNTS, *OF_SENDS, "delivered_uniques", "spam_complaint_uniques"), *_EARNED)
    counting = Counting(
        facts=facts(Scope.TOUCHES), condition=f"{owner.id_column} IS NOT NULL", grain=owner.grain,
        statistics=report_statistics, spans=(*SEND_DAYS, *EVENT_TIMES), last_day="DATE(last_event_at, @timezone)",
    )  # fmt: skip
    return ReportSpec(
        name=name, questions=questions, date_basis=DateBasis.LIFETIME, statistics=report_statistics, reads=READS,
        grain=f"One row per {owner}, message, channel and variation.",
        description=f"Everything that {owner} messages ever led to: Klaviyo's statistics, and the events on the site "
        "and in the shop that are credited to them. People are counted once, on however many days they came.",
        key=(), order=counting.grain_names, cluster=(owner.id_column, "message_id"),
        columns=counting.columns, rows_sql=counting.rows_sql,
    )  # fmt: skip


def _send_days_affected(name: str, owner: Owner) -> str:
    """The days that have to be restated, among them all rows that are not final."""
    # `event` no longer has what a changed day held before; the report's own rows still show which sends it was about.
    rescheduled = f" OR {owner.id_column} IN UNNEST(@campaign_ids)" if owner is Owner.CAMPAIGN else ""
    return f"""
WITH {facts(Scope.MESSAGES)}
SELECT send_on FROM facts
WHERE {owner.id_column} IS NOT NULL AND fact IS NOT NULL AND (occurred_on IN UNNEST(@event_days){rescheduled})
UNION DISTINCT SELECT send_on FROM {name} WHERE NOT is_final{rescheduled}
UNION DISTINCT SELECT report.send_on FROM {name} AS report CROSS JOIN UNNEST(@event_days) AS changed
WHERE changed BETWEEN report.first_event_on AND report.last_event_on
"""
