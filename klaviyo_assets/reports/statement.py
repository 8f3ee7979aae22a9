"""The statements that find the days of a report that a change affects, and restate those days.

Here: GoogleSQL text and the values of its parameters; identifiers go in through sqlglot. Not here: what a report
computes (its own file), and running anything (`destinations/bigquery/dataset.py`, `defs/assets/report.py`).

A report is kept current in two steps: `affected` lists days, `restate` replaces the rows of days in one atomic
statement. Both can be repeated after a crash at any point: the tables themselves say what has to be done.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

from klaviyo_assets.accounts import Account
from klaviyo_assets.model.googlesql import DIALECT, parts_of
from klaviyo_assets.reports.spec import ReportSpec

# Writing a statement takes a tenth of a second, and the same statements are needed again and again.
_CACHED = 256
_FIRST_DAY = date(1, 1, 1)
# GoogleSQL types of the parameters; days and ids are arrays.
PARAMETER_TYPES: dict[str, str] = {
    "days": "ARRAY<DATE>",
    "unknown_day": "BOOL",
    "everything": "BOOL",
    "event_days": "ARRAY<DATE>",
    "campaign_ids": "ARRAY<STRING>",
    "first_event_on": "DATE",
    "timezone": "STRING",
    "currency": "STRING",
    "window_seconds": "INT64",
    "data_through": "TIMESTAMP",
}


@dataclass(frozen=True)
class Days:
    """Days of a report whose rows are to be restated.

    Attributes:
        dates: Calendar days of the account's time zone, of the report's own date basis.
        unknown: Whether rows with an unknown day are among them.
        everything: Whether all rows are: the full rebuild.
    """

    dates: frozenset[date] = frozenset()
    unknown: bool = False
    everything: bool = False

    @classmethod
    def of(cls, days: Collection[date | None]) -> "Days":
        """Days as the query of `affected` returns them: null is the unknown day."""
        return cls(frozenset(day for day in days if day is not None), None in days)

    @classmethod
    def all(cls) -> "Days":
        """Every row of the report."""
        return cls(everything=True)

    def slices(self, size: int) -> "list[Days]":
        """The days in parts of at most `size` known days, the oldest first; the unknown day is in the last part."""
        dates = sorted(self.dates)
        starts = range(0, len(dates), size)
        parts = [Days(frozenset(dates[start : start + size])) for start in starts] or [Days()]
        return [*parts[:-1], replace(parts[-1], unknown=self.unknown, everything=self.everything)]

    def __bool__(self) -> bool:
        """Whether there is anything to restate."""
        return bool(self.dates) or self.unknown or self.everything


@lru_cache(_CACHED)
def restate(report: ReportSpec, dataset: str) -> str:
    """GoogleSQL that replaces the rows of some days with freshly computed rows, in one atomic statement.

    Args:
        report: The report.
        dataset: `project.dataset` that holds the report and what it reads.

    Returns:
        A MERGE with the parameters of `restate_parameters`.
    """
    names = [exp.to_identifier(name, quoted=True) for name in report.column_names]
    columns = exp.Tuple(expressions=[exp.column(name) for name in names])
    fresh = exp.TableAlias(this=exp.to_identifier("fresh"))
    day = f"report.{report.day_column}"
    condition = f"@everything OR {day} IN UNNEST(@days) OR (@unknown_day AND {day} IS NULL)"
    outdated = sqlglot.parse_one(condition if report.day_column else "TRUE", dialect=DIALECT)
    merge = exp.merge(
        exp.When(matched=False, source=True, condition=exp.paren(outdated), then=exp.var("DELETE")),
        exp.When(matched=False, source=False, then=exp.Insert(this=columns, expression=columns.copy())),
        into=exp.alias_(_table(report.name, dataset), "report", table=True),
        using=exp.Subquery(this=_with_dataset(report.rows_sql, dataset), alias=fresh),
        on=exp.false(),
    )
    return _text(merge)


def restate_parameters(account: Account, days: Days, data_through: datetime) -> dict[str, Any]:
    """Values of the parameters of `restate`, by name; `PARAMETER_TYPES` has their types.

    Args:
        account: The account of the dataset.
        days: The days to restate.
        data_through: Up to when the account's data are complete (UTC, aware).
    """
    # No event of a send is more than a day older than the send, so older partitions need not be read.
    first_day = min(days.dates, default=_FIRST_DAY)
    reads_all = days.everything or days.unknown or first_day <= _FIRST_DAY + timedelta(days=1)
    return {
        "days": sorted(days.dates),
        "unknown_day": days.unknown,
        "everything": days.everything,
        "first_event_on": _FIRST_DAY if reads_all else first_day - timedelta(days=1),
        "timezone": account.timezone,
        "currency": account.currency,
        "window_seconds": int(account.attribution.longest_window.total_seconds()),
        "data_through": data_through,
    }


@lru_cache(_CACHED)
def affected(report: ReportSpec, dataset: str) -> str:
    """GoogleSQL for the days of a report that a change affects: one column, null for the unknown day.

    Run it after the change is loaded and before `restate`, which takes its rows as `Days.of`.

    Args:
        report: The report.
        dataset: `project.dataset` that holds the report and what it reads.

    Returns:
        A SELECT with the parameters of `affected_parameters`.
    """
    return located(report.affected_sql, dataset)


def affected_parameters(
    account: Account, event_days: Collection[date], campaign_ids: Collection[str] = ()
) -> dict[str, Any]:
    """Values of the parameters of `affected`, by name.

    Args:
        account: Whose dataset it is.
        event_days: Days whose partition of `event` or `attribution` was replaced since the report was last restated.
        campaign_ids: Campaigns that were added, removed or rescheduled since then.
    """
    return {
        "event_days": sorted(event_days),
        "campaign_ids": sorted(campaign_ids),
        "first_event_on": _FIRST_DAY if campaign_ids else min(event_days, default=date.max),
        "timezone": account.timezone,
        "currency": account.currency,
    }


@lru_cache(_CACHED)
def located(sql: str, dataset: str) -> str:
    """GoogleSQL with `project.dataset` before every table that it names, except its own common table expressions."""
    return _text(_with_dataset(sql, dataset))


def _table(name: str, dataset: str) -> exp.Table:
    project, schema = parts_of(dataset)
    return exp.table_(name, db=schema, catalog=project, quoted=True)


def _with_dataset(sql: str, dataset: str) -> exp.Expr:
    """The query, with the dataset before every table that it names; common table expressions stay as they are."""
    query = sqlglot.parse_one(sql, dialect=DIALECT)
    inner = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in list(query.find_all(exp.Table)):
        if table.name not in inner:
            table.replace(exp.alias_(_table(table.name, dataset), table.alias_or_name, table=True))
    return query


def _text(statement: exp.Expr) -> str:
    for sum_of_days in statement.find_all(exp.DateAdd):
        # sqlglot would write INTERVAL '1' DAY; BigQuery documents an INT64 there.
        if sum_of_days.expression.is_string:
            sum_of_days.set("expression", exp.Literal.number(sum_of_days.expression.name))
    return statement.sql(DIALECT, pretty=True)
