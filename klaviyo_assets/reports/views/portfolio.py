"""The portfolio: one view per report over all accounts, with the account as its first column.

Here: which tables, reports and views are joined, and the statement that creates such a view. Not here: which accounts
are in it (`defs/assets/portfolio.py`), and what they show.

Numbers of different accounts are never summed here: their currencies and days differ. An amount has its currency beside
it, and a day is a day of the row's account.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from klaviyo_assets.model.googlesql import DIALECT, literal, quoted, table_of
from klaviyo_assets.model.spec import Column, LogicalType, TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.looker import ACCOUNT, PREFIX
from klaviyo_assets.reports.views.statement import LABEL


@dataclass(frozen=True)
class Member:
    """An account that takes part in a view: where its rows are, and the columns they have there."""

    account: str
    dataset: str
    columns: frozenset[str]


def portfolio_view(source: TableSpec) -> TableSpec:
    """The view over all accounts of one report or view."""
    columns = (
        replace(column, raw=None, required=False, constraints=()) for column in source.columns if column != ACCOUNT
    )
    order = (name for name in source.order if name != ACCOUNT.name)
    return TableSpec(
        name=source.name,
        grain=f"Per account: {source.grain[:1].lower()}{source.grain[1:]}",
        description=f"`{source.name}` of every account. {source.description}",
        key=(), columns=(ACCOUNT, *columns), order=(ACCOUNT.name, *order),
    )  # fmt: skip


# Every report, events with what earned them, the reports with names, and what Looker Studio reads. Details of single
# people stay in the dataset of their account.
PORTFOLIO_VIEWS: dict[str, TableSpec] = {
    source.name: portfolio_view(source)
    for source in (*REPORTS.values(), *VIEWS.values())
    if source.name in REPORTS
    or source.name == "event_with_attribution"
    or source.name.endswith("_named")
    or source.name.startswith(PREFIX)
}


def create_portfolio_view(view: TableSpec, members: Sequence[Member], dataset: str) -> tuple[str, str]:
    """GoogleSQL that creates a view over the accounts or brings it up to date.

    Args:
        view: The view.
        members: The accounts that take part; without any, the view exists and has no rows. A column that an account
            does not have yet is null for it.
        dataset: `project.dataset` of the portfolio.

    Returns:
        A CREATE OR REPLACE VIEW without parameters, and the label that marks the view as made by this statement: if the
        view has the label already, running the statement would change nothing.
    """
    columns = ", ".join(f"{quoted(column.name)} {_options(column.description)}" for column in view.columns)
    rows = "\nUNION ALL\n".join(_rows(view, member) for member in members) or f"{_select_clause(view, None)}\nLIMIT 0"
    grain = f"{view.grain} {view.description}"
    label = hashlib.sha256(repr((columns, grain, rows)).encode()).hexdigest()[:16]
    options = _options(grain, f", labels=[('{LABEL}', '{label}')]")
    return f"CREATE OR REPLACE VIEW {table_of(dataset, view.name)} ({columns}) {options} AS\n{rows}", label


def _rows(view: TableSpec, member: Member) -> str:
    return f"{_select_clause(view, member)}\nFROM {table_of(member.dataset, view.name)} AS of_account"


def _select_clause(view: TableSpec, member: Member | None) -> str:
    values = [literal(member.account) if member else _null(ACCOUNT)]
    values += [_value(column, member) for column in view.columns[1:]]
    outputs = (
        f"{value} AS {quoted(column.name)}" for value, column in zip(values, view.columns, strict=True)
    )  # fmt: skip
    return "SELECT " + ", ".join(outputs)


def _value(column: Column, member: Member | None) -> str:
    if member is None or column.name not in member.columns:
        return _null(column)
    return f"of_account.{quoted(column.name)}"


def _null(column: Column) -> str:
    # JSON text lands as STRING; LogicalType's other names are BigQuery's own.
    kind = LogicalType.STRING if column.type is LogicalType.JSON else column.type
    return f"CAST(NULL AS {exp.DataType.build(kind, dialect=DIALECT).sql(DIALECT)})"


def _options(text: str, more_options: str = "") -> str:
    return f"OPTIONS(description={literal(text)}{more_options})"
