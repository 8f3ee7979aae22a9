"""How lists grow: who subscribed and unsubscribed, by list and channel.

Here: growth from events. Not here: how many members a list has (`snapshots.py`).
"""

from klaviyo_assets.model.metrics import Role
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import metrics_of, statistics, text_literals
from klaviyo_assets.reports.counting import Counting, event_days_affected
from klaviyo_assets.reports.messages import EVENT_DATE
from klaviyo_assets.reports.spec import ReportSpec

_NAME = "list_growth_by_event_date"
_STATISTICS = statistics("subscribes", "subscribe_uniques", "unsubscribes", "unsubscribe_uniques", "net_growth")

# An event names its list by id or only by name. A name identifies a list if exactly one list has it.
_NAMED = """
SELECT name AS list_name, MIN(list_id) AS list_id
FROM list
WHERE name IS NOT NULL AND NOT COALESCE(is_deleted, FALSE)
GROUP BY name
HAVING COUNT(*) = 1
"""
_ACTS = f"""
SELECT TRUE AS is_event, event.event_id, event.occurred_on, event.occurred_at, event.channel, event.person_id,
  COALESCE(event.list_id, named.list_id) AS list_id, event.list_name,
  IF(event.metric IN ({text_literals(metrics_of(Role.SUBSCRIBED))}),
     {text_literals([Role.SUBSCRIBED])}, {text_literals([Role.UNSUBSCRIBED])}) AS fact
FROM event
LEFT JOIN named ON named.list_name = event.list_name
WHERE event.metric IN ({text_literals(metrics_of(Role.SUBSCRIBED, Role.UNSUBSCRIBED))})
  AND event.occurred_on >= @first_event_on
"""
# Klaviyo writes one act as several events in the same second: for the channel and for the list.
_FACTS = f"""
named AS ({_NAMED}),
acts AS ({_ACTS}),
facts AS (
  SELECT *
  FROM acts
  QUALIFY person_id IS NULL OR ROW_NUMBER() OVER (
    PARTITION BY person_id, channel, fact, list_id, list_name, TIMESTAMP_TRUNC(occurred_at, SECOND) ORDER BY event_id
  ) = 1
)
"""
_COUNTING = Counting(
    facts=_FACTS, condition="TRUE", statistics=_STATISTICS, day="occurred_on", last_day="occurred_on",
    grain=(
        EVENT_DATE.day_column,
        Column(name="list_id", type=LogicalType.STRING, description="The list that the event states, or the only list "
               "with the stated name; null: consent to the channel itself, or a name that several lists or none have."),
        Column(name="list_name", type=LogicalType.STRING,
               description="The list's name as the event states it; its current name is in `list`."),
        Column(name="channel", type=LogicalType.STRING, description="email or sms."),
    ),
)  # fmt: skip

SPEC = ReportSpec(
    name=_NAME, date_basis=EVENT_DATE.basis, statistics=_STATISTICS, reads=("event", "list"),
    questions=("How many people joined and left each list on each day?",),
    grain="One row per event date (day), list and channel.",
    description="Subscribes and unsubscribes by list and channel, on the day they happened. Klaviyo writes one act as "
    "several events: those of the same person, channel, list and second count once. Rows without a list are about "
    "consent to the channel itself; do not add them to the rows of lists.",
    key=(), order=_COUNTING.grain_names, day_column="occurred_on", cluster=("list_id",),
    columns=_COUNTING.columns, rows_sql=_COUNTING.rows_sql, affected_sql=event_days_affected(_NAME),
    names_sql="SELECT list_id, name FROM list WHERE NOT COALESCE(is_deleted, FALSE)",
)  # fmt: skip
