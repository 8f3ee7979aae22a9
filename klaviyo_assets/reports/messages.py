"""Reports of messages: the same statistics at one grain (day x owner x message x channel x variation), by either date.

Here: the grain, the two date bases, and the columns and GoogleSQL that follow from them. Not here: the events that
count (`facts.py`), formulas (`statistics.py`), and the single reports, one file each.
"""

from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.reports.facts import FACTS, READS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.spec import CURRENCY_CODE, Column, LogicalType
from klaviyo_assets.statistics import Kind, Statistic, statistics

_S, _T, _D = LogicalType.STRING, LogicalType.TIMESTAMP, LogicalType.DATE

# Counts that mean the same by event date and by send date.
COUNTS = (
    "recipients", "delivered", "bounced", "failed", "bounced_or_failed", "dropped", "opens", "opens_unique",
    "clicks", "clicks_unique", "unsubscribes", "unsubscribe_uniques", "spam_complaints", "conversions",
    "conversion_uniques", "conversion_value", "conversions_other_currency", "message_segment_count_sum",
)  # fmt: skip
# Counts of sends, and rates: only where all of a row speaks of the same sends.
OF_SENDS = (
    "sends_opened", "sends_clicked", "sends_converted", "delivery_rate", "bounce_rate", "failed_rate",
    "bounced_or_failed_rate", "open_rate", "click_rate", "click_to_open_rate", "unsubscribe_rate",
    "spam_complaint_rate", "conversion_rate", "average_order_value", "revenue_per_recipient",
)  # fmt: skip


class Owner(StrEnum):
    """What messages belong to."""

    CAMPAIGN = "campaign"
    FLOW = "flow"

    @property
    def id_column(self) -> str:
        """The column of `event` and `attribution` that names it."""
        return f"{self}_id"


@dataclass(frozen=True)
class DateBasis:
    """What a row's day is the day of.

    Attributes:
        day: The day's column, in facts and in the report.
        label: For humans and for `ReportSpec.date_basis`.
        explanation: For the report's description.
        statistics: The statistics that make sense on this basis.
        is_late: A row also changes through events of later days, and through its campaign's send time.
    """

    day: str
    label: str
    explanation: str
    statistics: tuple[Statistic, ...]
    is_late: bool

    @property
    def day_column(self) -> Column:
        """The day as a report's column; null where the day is unknown."""
        unknown = "; null: the send is unknown (kept as a row, so that sums are whole)" if self.is_late else ""
        meaning = "the message was sent" if self.is_late else "the events happened"
        description = f"The calendar day {meaning}, in the account's time zone{unknown}."
        return Column(name=self.day, type=_D, description=description, required=not self.is_late)


EVENT_DATE = DateBasis(
    "occurred_on", "event date",
    "Each event counts on the day it happened, whenever its message was sent. There are no rates: on one day people "
    "open and buy from messages of other days, so a quotient of two counts of a row says nothing.",
    statistics(*COUNTS), is_late=False,
)  # fmt: skip
SEND_DATE = DateBasis(
    "send_on", "send date",
    "Each event counts on the day its message was sent, whenever it happened: as in Klaviyo's own pages and Reporting "
    "API. Rows keep growing while people open, click and buy.",
    statistics(*COUNTS, *OF_SENDS), is_late=True,
)  # fmt: skip

_EVENT_DAYS = (
    Column(name="first_event_on", type=_D, required=True,
           description="Day of the row's first event, in the account's time zone."),
    Column(name="last_event_on", type=_D, required=True,
           description="Day of the row's last event, in the account's time zone."),
)  # fmt: skip
_STANDING = (
    Column(name="currency", type=_S, required=True, constraints=(CURRENCY_CODE,),
           description="The account's currency, in which all money of the row is."),
    Column(name="data_through", type=_T, required=True,
           description="The row takes in everything that happened up to here (UTC): how far the account's data reach, "
           "but no further than the instant the row becomes final."),
    Column(name="is_final", type=LogicalType.BOOLEAN, required=True,
           description="Whether the account's data reach past the end of the row's day by the longest attribution "
           "window. Late data still change a final row, the passing of time does not. A row of unknown day never is."),
)  # fmt: skip


def message_report(name: str, owner: Owner, basis: DateBasis) -> ReportSpec:
    """A report of the messages of campaigns or of flows.

    Args:
        name: The report's and the table's.
        owner: Whose messages.
        basis: Which day an event counts on.
    """
    ids = (
        Column(name=owner.id_column, type=_S, required=True, description=f"The {owner}; its name stands in `{owner}`."),
        Column(name="message_id", type=_S, description="The message; null where the event names none."),
        Column(name="channel", type=_S,
               description="email, sms, mobile_push or whatsapp; null where a credit names no touch."),
        Column(name="variation_id", type=_S, description="The A/B variation; null for messages without variations."),
    )  # fmt: skip
    grain = (basis.day, *(column.name for column in ids))
    counted = tuple(statistic.column for statistic in basis.statistics)
    return ReportSpec(
        name=name, date_basis=basis.label, statistics=basis.statistics, reads=READS,
        grain=f"One row per {basis.label} (day), {owner}, message, channel and variation.",
        description=f"Statistics of {owner} messages by {basis.label}. {basis.explanation}",
        key=(), order=grain, day_column=basis.day, cluster=(owner.id_column, "message_id"),
        columns=(basis.day_column, *ids, *counted, *(_EVENT_DAYS if basis.is_late else ()), *_STANDING),
        rows_sql=_rows(grain, owner, basis), affected_sql=_affected(name, owner, basis),
    )  # fmt: skip


def _rows(grain_columns: tuple[str, ...], owner: Owner, basis: DateBasis) -> str:
    grain = ", ".join(grain_columns)
    counted = [f"{s.expression} AS {s.name}" for s in basis.statistics if s.kind is not Kind.RATE]
    shown = [f"{s.expression} AS {s.name}" if s.kind is Kind.RATE else s.name for s in basis.statistics]
    if basis.is_late:
        counted.append("MIN(occurred_on) AS first_event_on, MAX(occurred_on) AS last_event_on")
        shown.append("first_event_on, last_event_on")
    return f"""
WITH {FACTS},
asked AS (
  SELECT * FROM facts
  WHERE {owner.id_column} IS NOT NULL
    AND (@everything OR {basis.day} IN UNNEST(@days) OR (@unknown_day AND {basis.day} IS NULL))
),
counted AS (SELECT {grain}, {", ".join(counted)} FROM asked GROUP BY {grain}),
dated AS (
  SELECT *, TIMESTAMP_ADD(
    TIMESTAMP(DATE_ADD({basis.day}, INTERVAL 1 DAY), @timezone), INTERVAL @window_seconds SECOND
  ) AS final_at
  FROM counted
)
SELECT {grain}, {", ".join(shown)}, @currency AS currency,
  LEAST(@data_through, COALESCE(final_at, @data_through)) AS data_through,
  COALESCE(final_at <= @data_through, FALSE) AS is_final
FROM dated
"""


def _affected(name: str, owner: Owner, basis: DateBasis) -> str:
    """The days that have to be restated; rows that are not final move on with the account's data in any case."""
    if not basis.is_late:
        return f"""
SELECT {basis.day} FROM UNNEST(@event_days) AS {basis.day}
UNION DISTINCT SELECT report.{basis.day} FROM {name} AS report WHERE NOT report.is_final
"""
    # What a changed day held before is gone from `event`; the report's own rows still tell which sends it was about.
    rescheduled = f" OR {owner.id_column} IN UNNEST(@campaign_ids)" if owner is Owner.CAMPAIGN else ""
    return f"""
WITH {FACTS}
SELECT {basis.day} FROM facts
WHERE {owner.id_column} IS NOT NULL AND (occurred_on IN UNNEST(@event_days){rescheduled})
UNION DISTINCT SELECT {basis.day} FROM {name} WHERE NOT is_final{rescheduled}
UNION DISTINCT SELECT report.{basis.day} FROM {name} AS report CROSS JOIN UNNEST(@event_days) AS changed
WHERE changed BETWEEN report.first_event_on AND report.last_event_on
"""
