"""What a report is: a table whose rows are computed in BigQuery from mapped tables.

Here: the vocabulary. Not here: any report, and the statements that keep it current (`statement.py`).
"""

from dataclasses import dataclass

from klaviyo_assets.spec import TableSpec
from klaviyo_assets.statistics import Statistic


@dataclass(frozen=True, kw_only=True)
class ReportSpec(TableSpec):
    """A report: its columns as any table's, and the GoogleSQL that computes them.

    `key` is empty, for BigQuery reads a key as columns without nulls; `order` is the grain, whose parts may be null.
    Both queries name tables plainly (`event`, `campaign`, the report's own name); `statement.py` puts the dataset in.

    Attributes:
        date_basis: What a row's day is the day of.
        statistics: The statistics among the columns, with their formulas and whether they may be added up.
        reads: The mapped tables it is computed from.
        rows_sql: The report's rows of the days asked for, columns in the spec's order.
        affected_sql: The days whose rows a change concerns: one column, null for the row of unknown day.
    """

    date_basis: str
    statistics: tuple[Statistic, ...]
    reads: tuple[str, ...]
    rows_sql: str
    affected_sql: str

    @property
    def day(self) -> str:
        """The column that holds a row's day; rows are replaced day by day."""
        if self.day_column is None:
            raise ValueError(f"report {self.name!r} has no day_column")
        return self.day_column

    @property
    def grain_columns(self) -> tuple[str, ...]:
        """The columns that tell rows apart; null is a value like any other."""
        return self.order

    @property
    def additive(self) -> frozenset[str]:
        """The statistics that may be summed over any rows."""
        return frozenset(statistic.name for statistic in self.statistics if statistic.is_additive)
