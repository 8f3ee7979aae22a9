"""Counting facts at a grain: the columns and the GoogleSQL that every report shares.

Here: `Counting`, from which a report's spec is built, and the columns that say how far a row can be trusted.
Not here: what counts (`facts.py`, `model/statistics.py`), and the grains (one file per report, or family of reports).
"""

from dataclasses import dataclass

from klaviyo_assets.model.spec import CURRENCY_CODE, Column, LogicalType
from klaviyo_assets.model.statistics import Statistic

_S, _T, _D = LogicalType.STRING, LogicalType.TIMESTAMP, LogicalType.DATE

STANDING = (
    Column(name="currency", type=_S, required=True, constraints=(CURRENCY_CODE,),
           description="The account's currency. All amounts in the row are in it."),
    Column(name="data_through", type=_T, required=True,
           description="The row is complete up to this moment (UTC): how far the account's data reach, but not later "
           "than the moment when the row becomes final."),
    Column(name="is_final", type=LogicalType.BOOLEAN, required=True,
           description="Whether the longest attribution window after the row's last day is over. Late data and further "
           "events can still change a final row; the passing of time cannot."),
)  # fmt: skip


@dataclass(frozen=True)
class Spanned:
    """A column that says what a row spans, such as its first and last event: an aggregate that is not a statistic."""

    column: Column
    expression: str


EVENT_DAYS = (
    Spanned(Column(name="first_event_on", type=_D, required=True,
                   description="Day of the row's first event, in the account's time zone."), "MIN(occurred_on)"),
    Spanned(Column(name="last_event_on", type=_D, required=True,
                   description="Day of the row's last event, in the account's time zone."), "MAX(occurred_on)"),
)  # fmt: skip
EVENT_TIMES = (
    Spanned(Column(name="first_event_at", type=_T, required=True, description="When the row's first event happened "
                   "(UTC); a credited event counts when it happened, not when the touch did."), "MIN(occurred_at)"),
    Spanned(Column(name="last_event_at", type=_T, required=True,
                   description="When the row's last event happened (UTC)."), "MAX(occurred_at)"),
)  # fmt: skip
SEND_DAYS = (
    Spanned(Column(name="first_send_on", type=_D, description="Day of the first send, in the account's time zone; "
                   "null if no send is known."), "MIN(send_on)"),
    Spanned(Column(name="last_send_on", type=_D, description="Day of the last send, in the account's time zone; null "
                   "if no send is known."), "MAX(send_on)"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Statistics of facts at a grain.

    Attributes:
        facts: Common table expressions that end in `facts`.
        condition: GoogleSQL: which facts make rows.
        grain: The columns of `facts` that tell rows apart.
        statistics: What is counted.
        spans: Further columns about the facts of a row.
        day: The column of the grain that is a row's day; empty for lifetime rows, which are all recomputed each time.
        last_day: GoogleSQL over a row: the last day whose attribution window has to pass.
    """

    facts: str
    condition: str
    grain: tuple[Column, ...]
    statistics: tuple[Statistic, ...]
    spans: tuple[Spanned, ...] = ()
    day: str = ""
    last_day: str

    @property
    def columns(self) -> tuple[Column, ...]:
        """The report's columns."""
        numbers = (statistic.column for statistic in self.statistics)
        return (*self.grain, *numbers, *(span.column for span in self.spans), *STANDING)

    @property
    def grain_names(self) -> tuple[str, ...]:
        """Names of the grain's columns."""
        return tuple(column.name for column in self.grain)

    @property
    def rows_sql(self) -> str:
        """GoogleSQL for the rows of the days asked for."""
        grain = ", ".join(self.grain_names)
        aggregates = [f"{s.expression} AS {s.name}" for s in self.statistics if not s.is_computed]
        aggregates += [f"{span.expression} AS {span.column.name}" for span in self.spans]
        outputs = [f"{s.expression} AS {s.name}" if s.is_computed else s.name for s in self.statistics]
        outputs += [span.column.name for span in self.spans]
        condition = f" AND (@everything OR {self.day} IN UNNEST(@days) OR (@unknown_day AND {self.day} IS NULL))"
        return f"""
WITH {self.facts},
asked AS (SELECT * FROM facts WHERE {self.condition}{condition if self.day else ""}),
counted AS (SELECT {grain}, {", ".join(aggregates)} FROM asked GROUP BY {grain}),
dated AS (
  SELECT *, TIMESTAMP_ADD(
    TIMESTAMP(DATE_ADD({self.last_day}, INTERVAL 1 DAY), @timezone), INTERVAL @window_seconds SECOND
  ) AS final_at
  FROM counted
)
SELECT {grain}, {", ".join(outputs)}, @currency AS currency, LEAST(@data_through, final_at) AS data_through,
  final_at <= @data_through AS is_final
FROM dated
"""


def event_days_affected(name: str) -> str:
    """GoogleSQL for the days of a report by event date that a change affects: the changed days themselves.

    Rows that are not final are always among them: they move on with the account's data.
    """
    return f"""
SELECT occurred_on FROM UNNEST(@event_days) AS occurred_on
UNION DISTINCT SELECT report.occurred_on FROM {name} AS report WHERE NOT report.is_final
"""
