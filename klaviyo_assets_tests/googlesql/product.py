"""The product's tables as Google's engine takes them, and the statements that are made from specs.

Here: a catalog of every table, report, view and bookkeeping table, by their specs; every statement of every spec. Not
here: statements that only a run of the product sends (`call_sites.py` records these).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import TYPES
from klaviyo_assets.destinations.bigquery.ledger import LEDGER, QUARANTINE
from klaviyo_assets.destinations.bigquery.merge import checksum_statement, merge_statement
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.publishing.html_report.answers import Period
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import PARAMETER_TYPES, affected, located, restate
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS, Member, create_portfolio_view
from klaviyo_assets.reports.views.statement import create_view
from klaviyo_assets.tables import ACCOUNT_TABLES, TABLES
from klaviyo_assets_tests.googlesql.google import Parameter, Table
from klaviyo_assets_tests.googlesql.values import api_name, cell_from

Names = list[tuple[str, str]]
"""Names and types of a result's columns, in order."""
# As Google documents the view.
_INFORMATION_SCHEMA = Table(
    [
        {"name": name, "type": "INTEGER" if name.endswith("ordinal_position") else "STRING"}
        for name in (
            "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "is_nullable",
            "data_type", "is_generated", "generation_expression", "is_stored", "is_hidden", "is_updatable",
            "is_system_defined", "is_partitioning_column", "clustering_ordinal_position", "collation_name",
            "column_default", "rounding_mode", "policy_tags",
        )
    ]
)  # fmt: skip
_SPECS: Mapping[str, Sequence[Column]] = {
    **{name: spec.columns for name, spec in (*TABLES.items(), *REPORTS.items(), *VIEWS.items())},
    **{f"_staging_{spec.name}": spec.columns for spec in ACCOUNT_TABLES},
    "ledger": LEDGER,
    "quarantine": QUARANTINE,
}


def declared(columns: Sequence[Column]) -> Names:
    """What a spec promises of its columns."""
    return [(column.name, TYPES[column.type]) for column in columns]


def names_of(columns: Sequence[Mapping[str, Any]]) -> Names:
    """The same of a result."""
    return [(column["name"], api_name(column["type"])) for column in columns]


def table_of(columns: Sequence[Column]) -> Table:
    """A table of a spec's columns, without rows."""
    return Table([{"name": name, "type": kind} for name, kind in declared(columns)])


def account_tables(dataset: str) -> dict[str, Table]:
    """Everything an account's dataset may hold, by full name, and by plain name as a default dataset has it."""
    tables = {name: table_of(columns) for name, columns in _SPECS.items()}
    qualified = {f"{dataset}.{name}": table for name, table in tables.items()}
    return {**tables, **qualified, f"{dataset}.INFORMATION_SCHEMA.COLUMNS": _INFORMATION_SCHEMA}


def staging_tables(statements: Sequence[str]) -> dict[str, Table]:
    """The staging tables of the quarantine that statements name: each load has its own."""
    named = {name for sql in statements for name in re.findall(r"`(_staging_klaviyo_assets_\w+)`", sql)}
    return {name: table_of(QUARANTINE) for name in named}


@dataclass(frozen=True)
class Statement:
    """A statement of a spec.

    Attributes:
        label: What it is, for people.
        sql: GoogleSQL.
        parameters: As the product types them.
        columns: What the spec declares of the result, or of what a MERGE takes; None where it declares nothing.
    """

    label: str
    sql: str
    parameters: Sequence[Parameter] = ()
    columns: Names | None = None


def parameters_of(given: Mapping[str, tuple[str, Any]]) -> list[Parameter]:
    """Parameters as `BigQueryDataset.query` takes them."""
    return [_parameter(name, kind, value) for name, (kind, value) in given.items()]


def _parameter(name: str, kind: str, value: Any) -> Parameter:
    item = re.fullmatch(r"ARRAY<(\w+)>", kind)
    field = {"name": name, "type": item[1], "mode": "REPEATED"} if item else {"name": name, "type": kind}
    return Parameter(name, field, cell_from(value, field))


_OF_REPORTS = parameters_of({name: (kind, None) for name, kind in PARAMETER_TYPES.items()})


def spec_statements(account: Account, dataset: str) -> Iterator[Statement]:
    """Every statement that is made from a spec: reports, views, portfolio, questions, merges, checksums."""
    for report in REPORTS.values():
        yield Statement(f"restate {report.name}", restate(report, dataset), _OF_REPORTS, declared(report.columns))
        if report.affected_sql:
            days = [(report.day_column or "", "DATE")]
            yield Statement(f"days of {report.name}", affected(report, dataset), _OF_REPORTS, days)
        if report.names_sql:
            yield Statement(f"names of {report.name}", located(report.names_sql, dataset))
    for view in VIEWS.values():
        yield Statement(f"view {view.name}", create_view(view, dataset, account), (), declared(view.columns))
    yield from _portfolio(account, dataset)
    given = Period(account.start_date, account.start_date).parameters
    for question in QUESTIONS.values():
        yield Statement(f"question {question.name}", question.sql, parameters_of(given))
    without = parameters_of({"without": ("ARRAY<STRING>", ["a"])})
    for spec in ACCOUNT_TABLES:
        text = merge_statement(spec, f"_staging_{spec.name}")
        yield Statement(f"merge {spec.name}", text, (), declared(spec.columns))
        # A table whose key is no text is never loaded by what changed (`table_changes.untellable`).
        is_text = all(spec.column(name).type is LogicalType.STRING for name in spec.key)
        for leaves_out in (False, True) if is_text else ():
            sums = [("n", "INTEGER"), ("total", "NUMERIC")]
            text = checksum_statement(spec, leaves_out=leaves_out)
            yield Statement(f"checksum {spec.name}", text, without if leaves_out else (), sums)


def _portfolio(account: Account, dataset: str) -> Iterator[Statement]:
    """Each view over two accounts of which one lacks a column, and over none."""
    for view in PORTFOLIO_VIEWS.values():
        whole = Member(account.name, dataset, frozenset(view.column_names))
        older = replace(whole, account="older", columns=whole.columns - {view.column_names[-1]})
        for members in ([whole, older], []):
            sql, _label = create_portfolio_view(view, members, f"{dataset.rpartition('.')[0]}.klaviyo_portfolio")
            yield Statement(f"portfolio {view.name} of {len(members)}", sql, (), declared(view.columns))
