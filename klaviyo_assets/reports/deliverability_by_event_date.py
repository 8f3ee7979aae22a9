"""How email is received, by the domain of the recipient and by the type of bounce."""

from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import statistics
from klaviyo_assets.reports.counting import Counting, event_days_affected
from klaviyo_assets.reports.facts import READS, Scope, facts
from klaviyo_assets.reports.messages import EVENT_DATE
from klaviyo_assets.reports.spec import ReportSpec

_NAME = "deliverability_by_event_date"
_STATISTICS = statistics(
    "recipients", "delivered", "bounced", "dropped", "opens", "opens_excl_machine", "clicks", "clicks_excl_bot",
    "unsubscribes", "spam_complaints",
)  # fmt: skip
_COUNTING = Counting(
    facts=facts(Scope.MESSAGES), condition="is_event AND channel = 'email' AND fact IS NOT NULL",
    statistics=_STATISTICS, day="occurred_on", last_day="occurred_on",
    grain=(
        EVENT_DATE.day_column,
        Column(name="email_domain", type=LogicalType.STRING,
               description="Domain of the recipient's address in lower case; null if the event does not state it."),
        Column(name="bounce_type", type=LogicalType.STRING,
               description="hard or soft, for bounces; null for other events and for bounces without a stated type."),
    ),
)  # fmt: skip

SPEC = ReportSpec(
    name=_NAME, date_basis=EVENT_DATE.basis, statistics=_STATISTICS, reads=READS,
    questions=("At which mailbox providers does email bounce or draw spam complaints?",),
    grain="One row per event date (day), email domain and type of bounce.",
    description="Deliverability of email by the recipient's domain and the type of bounce, on the day it happened. For "
    "a rate, add up the rows of a domain and then divide: bounced / recipients, spam_complaints / delivered.",
    key=(), order=_COUNTING.grain_names, day_column="occurred_on", cluster=("email_domain",),
    columns=_COUNTING.columns, rows_sql=_COUNTING.rows_sql, affected_sql=event_days_affected(_NAME),
)  # fmt: skip
