"""What a report is: a table whose rows are computed in BigQuery from mapped tables.

Here: the vocabulary. Not here: any report, and the statements that keep one current (`statement.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.model.statistics import Statistic


class DateBasis(StrEnum):
    """What the days of rows, or of a figure, mean."""

    EVENT = "event date"
    SEND = "send date"
    LIFETIME = "lifetime"
    SNAPSHOT = "snapshot"
    NOW = "as it is now"


@dataclass(frozen=True, kw_only=True)
class ReportSpec(TableSpec):
    """A report: columns like those of any table, and the GoogleSQL that computes them.

    `key` is empty because BigQuery takes a key to have no nulls; `order` is the grain, and its columns may be null.
    The queries name tables without their dataset (`event`, `campaign`, the report's own name); `statement.py` adds it.

    Attributes:
        date_basis: What a row's day means; LIFETIME for rows without a day.
        statistics: The statistics among the columns, with their formulas and whether they may be summed.
        reads: The mapped tables it is computed from.
        rows_sql: The report's rows of the days asked for, columns in the spec's order.
        affected_sql: The days whose rows a change affects: one column, null for the row of the unknown day. Empty for a
            report without days: any change rebuilds all of it.
        names_sql: What else its rows depend on, as rows of a query: when these change, all of it is rebuilt.
        questions: The questions that it answers, in a marketer's words; docs/tables.md lists them.
        keeps_history: Whether rows of earlier days cannot be recomputed: only the current day's rows are replaced.
    """

    date_basis: DateBasis
    statistics: tuple[Statistic, ...]
    reads: tuple[str, ...]
    rows_sql: str
    affected_sql: str = ""
    names_sql: str = ""
    keeps_history: bool = False
    questions: tuple[str, ...] = ()

    @property
    def grain_columns(self) -> tuple[str, ...]:
        """The columns that tell rows apart; null is a value like any other."""
        return self.order

    @property
    def additive(self) -> frozenset[str]:
        """The statistics that may be summed over any rows."""
        return frozenset(statistic.name for statistic in self.statistics if statistic.is_additive)
