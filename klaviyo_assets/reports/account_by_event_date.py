"""The account day by day: everything that happened, and which conversions messages did and did not earn."""

from klaviyo_assets.model.spec import Column, LogicalType, one_of
from klaviyo_assets.model.statistics import statistics
from klaviyo_assets.reports.counting import Counting, event_days_affected
from klaviyo_assets.reports.facts import READS, Scope, facts
from klaviyo_assets.reports.messages import COUNTS, EVENT_DATE
from klaviyo_assets.reports.spec import ReportSpec

_NAME = "account_by_event_date"
_STATISTICS = statistics(
    "events", *COUNTS, "conversions_unattributed", "conversion_value_unattributed",
    "conversions_unattributed_other_currency",
)  # fmt: skip
_COUNTING = Counting(
    facts=facts(Scope.EVERYTHING), condition="TRUE", statistics=_STATISTICS, day="occurred_on", last_day="occurred_on",
    grain=(
        EVENT_DATE.day_column,
        Column(name="message_source", type=LogicalType.STRING, required=True,
               constraints=(one_of("campaign", "flow", "none"),),
               description="campaign or flow: the source of the message that the event belongs to, or that earned "
               "the conversion; none: no message of either."),
        Column(name="channel", type=LogicalType.STRING,
               description="email, sms, mobile_push or whatsapp; null for events that belong to no message."),
    ),
)  # fmt: skip

SPEC = ReportSpec(
    name=_NAME, date_basis=EVENT_DATE.basis, statistics=_STATISTICS, reads=READS,
    questions=(
        "How much revenue did campaigns and flows earn on each day, and how much came without a message?",
        "What happened in the whole account on each day?",
    ),
    grain="One row per event date (day), source of the message (campaign, flow or none) and channel.",
    description="Everything that happened in the account, by event date. Sums over a day are complete: `events` "
    "adds up to the rows of `event`, and the four columns of conversions to all conversion events. There are no rates: "
    "on one day people also open and buy from messages of other days.",
    key=(), order=_COUNTING.grain_names, day_column="occurred_on", cluster=("message_source", "channel"),
    columns=_COUNTING.columns, rows_sql=_COUNTING.rows_sql, affected_sql=event_days_affected(_NAME),
)  # fmt: skip
