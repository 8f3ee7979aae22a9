"""Reports of people: what each person received, did and bought, over all time.

Here: the two grains, a person and a person with a campaign or flow. Not here: who the person is (`person`).
"""

from klaviyo_assets.model.metrics import METRIC_KINDS
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import (
    VALUED_METRICS,
    Statistic,
    credited_events,
    metric_events,
    metric_value,
    statistics,
)
from klaviyo_assets.reports.counting import EVENT_TIMES, Counting
from klaviyo_assets.reports.facts import READS, Scope, facts
from klaviyo_assets.reports.spec import DateBasis, ReportSpec

_MESSAGES = (
    "recipients", "delivered", "bounced", "failed", "bounced_or_failed", "dropped", "opens", "opens_excl_machine",
    "clicks", "clicks_excl_bot", "unsubscribes", "spam_complaints", "conversions", "conversion_value",
    "conversions_other_currency",
)  # fmt: skip
_UNATTRIBUTED = (
    "conversions_unattributed", "conversion_value_unattributed", "conversions_unattributed_other_currency",
)  # fmt: skip
_VALUES = tuple(metric_value(metric) for metric in VALUED_METRICS)
_LAST_DAY = "DATE(last_event_at, @timezone)"


def _report(
    name: str, counting: Counting, report_statistics: tuple[Statistic, ...], grain: str, description: str,
    questions: tuple[str, ...],
) -> ReportSpec:  # fmt: skip
    return ReportSpec(
        name=name, questions=questions, date_basis=DateBasis.LIFETIME, statistics=report_statistics, reads=READS,
        grain=grain, description=description, key=(), order=counting.grain_names, cluster=("person_id",),
        columns=counting.columns, rows_sql=counting.rows_sql,
    )  # fmt: skip


def person_lifetime() -> ReportSpec:
    """Everything that known people ever did, whether or not a message earned it."""
    kinds = tuple(metric_events(kind.name) for kind in METRIC_KINDS)
    report_statistics = (*statistics("events", *_MESSAGES, *_UNATTRIBUTED), *kinds, *_VALUES)
    counting = Counting(
        facts=facts(Scope.EVERYTHING), condition="person_id IS NOT NULL", statistics=report_statistics,
        spans=EVENT_TIMES, last_day=_LAST_DAY,
        grain=(Column(name="person_id", type=LogicalType.STRING, required=True,
                      description="The person; `person` has what is known about them."),),
    )  # fmt: skip
    return _report(
        "person_lifetime", counting, report_statistics, "One row per person with any event.",
        "What each person received, did and bought over all time. `<metric>_events` and `<metric>_value` include all "
        "events of the person, `conversions` only those that a message earned.",
        ("What did each person receive, do and buy over all time?", "Who are the best customers?"),
    )  # fmt: skip


def person_touch() -> ReportSpec:
    """What each person did with each campaign and flow."""
    kinds = tuple(credited_events(kind.name) for kind in METRIC_KINDS)
    report_statistics = (*statistics(*_MESSAGES), *kinds, *_VALUES)
    counting = Counting(
        facts=facts(Scope.TOUCHES), condition="message_source != 'none'", statistics=report_statistics,
        spans=EVENT_TIMES, last_day=_LAST_DAY,
        grain=(
            Column(name="person_id", type=LogicalType.STRING,
                   description="The person; null: events whose person is unknown."),
            Column(name="campaign_id", type=LogicalType.STRING, description="The campaign; null for flows."),
            Column(name="flow_id", type=LogicalType.STRING, description="The flow; null for campaigns."),
        ),
    )  # fmt: skip
    return _report(
        "person_touch", counting, report_statistics, "One row per person and campaign or flow.",
        "What each person did with each campaign or flow over all time: the message events, and the events on the "
        "site and in the shop that are credited to it.",
        ("Whom did a campaign or flow reach, and what did each of them do?",),
    )  # fmt: skip
