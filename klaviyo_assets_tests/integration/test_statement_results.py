"""Every SELECT, every view and the source of every MERGE, executed by Google's evaluator and by the stand-in.

Both get the same rows, those of an account that was loaded here, and have to answer with the same cells.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from klaviyo_assets.model.googlesql import quoted
from klaviyo_assets.publishing.html_report.answers import Period
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import PARAMETER_TYPES, Days, affected_parameters, located, restate_parameters
from klaviyo_assets.stages.restating import AccountReports
from klaviyo_assets_tests.googlesql.call_sites import Recording
from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql, Table
from klaviyo_assets_tests.googlesql.product import names_of, parameters_of, spec_statements
from klaviyo_assets_tests.googlesql.values import cell_from
from klaviyo_assets_tests.integration.all_statements import read
from klaviyo_assets_tests.integration.deployment import Deployment

pytestmark = pytest.mark.slow
Parameters = Mapping[str, tuple[str, Any]]


@dataclass(frozen=True)
class Query:
    """A SELECT with the values of its parameters. `is_ordered`: its rows have one order."""

    label: str
    sql: str
    parameters: Parameters = field(default_factory=dict)
    is_ordered: bool = False


@dataclass
class Both:
    """Google's engine and the stand-in, over the same rows."""

    deployment: Deployment
    google: GoogleSql

    @classmethod
    def of(cls, deployment: Deployment) -> "Both":
        """Google's engine gets the rows of every table and view that is there."""
        both = cls(deployment, GoogleSql())
        tables = {
            name: both.stand_in(Query(name, f"SELECT * FROM {quoted(name)}")) for name in deployment.dataset.tables()
        }
        qualified = {f"{deployment.dataset.qualified}.{name}": table for name, table in tables.items()}
        both.google.tables = {**tables, **qualified}
        return both

    def stand_in(self, query: Query) -> Table:
        answer = self.deployment.dataset.query(query.sql, query.parameters)
        columns = [column.to_api_repr() for column in answer.schema]
        return Table(columns, [[cell_from(row[at], column) for at, column in enumerate(columns)] for row in answer])

    def evaluator(self, query: Query) -> Table:
        """A table in a dataset is one name to the evaluator, in one pair of backticks."""
        sql = re.sub(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`", r"`\1.\2.\3`", query.sql)
        read_names = {name for name in _tables_of(sql) if name in self.google.tables}
        answer = self.google.evaluate(sql, parameters_of(query.parameters), sorted(read_names))
        return Table(answer.columns, answer.rows)

    def differences(self, query: Query) -> Iterator[str]:
        """What differs, in sentences that begin with the query's label."""
        mine = self.stand_in(query)
        try:
            theirs = self.evaluator(query)
        except GoogleSqlError as error:
            yield f"{query.label}: {error}"
            return
        if names_of(mine.columns) != names_of(theirs.columns):
            yield f"{query.label}: columns {names_of(mine.columns)}, Google: {names_of(theirs.columns)}"
        rows, wanted = mine.rows, theirs.rows
        if not query.is_ordered:
            rows, wanted = sorted(rows, key=repr), sorted(wanted, key=repr)
        if len(rows) != len(wanted):
            yield f"{query.label}: {len(rows)} rows, Google: {len(wanted)}"
        for row, other in zip(rows, wanted, strict=False):
            for column, cell, expected in zip(mine.columns, row, other, strict=False):
                if cell != expected:
                    yield f"{query.label}: {column['name']} is {cell!r}, Google: {expected!r}"
                if isinstance(expected, list) and {"v": None} in expected:
                    yield f"{query.label}: BigQuery refuses null in the array {column['name']}"


def _tables_of(sql: str) -> set[str]:
    """The tables that a query names: as `project.dataset.table`, or plainly."""
    named = sqlglot.parse_one(sql, dialect="bigquery").find_all(exp.Table)
    return {".".join(part.name for part in table.parts) for table in named}


@pytest.fixture(scope="module")
def driven(deploy, tmp_path_factory) -> tuple[Both, Recording]:
    """Five days of an account through a whole run, and what was asked of them afterwards."""
    account, recording, folder = deploy("executed", last_days=4), Recording(), tmp_path_factory.mktemp("executed")
    run(account, folder)
    with recording.of_everything():
        read(account, folder)
    return Both.of(account), recording


def run(account: Deployment, folder: Path) -> None:
    done = account.command(folder, "run", "--no-sync")
    assert done.exit_code == 0, done.output


def queries_of_reports(account: Deployment) -> Iterator[Query]:
    """The rows of every report: all days, some days, the unknown day; and the days that a change concerns."""
    dataset, qualified = account.dataset, account.dataset.qualified
    reports = AccountReports.open(account.account, dataset, REPORTS.values())
    some_days = [account.account.today() - timedelta(days=ago) for ago in range(3)]
    campaigns = sorted(name for name in reports.campaign_sends if name)[:3]
    for report in REPORTS.values():
        for label, days in {"all": Days.all(), "some": Days.of(some_days), "unknown": Days.of([None])}.items():
            parameters = restate_parameters(account.account, days, reports.data_through)
            yield Query(f"{report.name} {label}", located(report.rows_sql, qualified), _typed(parameters))
        if report.affected_sql:
            parameters = affected_parameters(account.account, some_days, campaigns)
            yield Query(f"{report.name} days", located(report.affected_sql, qualified), _typed(parameters))
        if report.names_sql:
            yield Query(f"{report.name} names", located(report.names_sql, qualified))


def _typed(given: Mapping[str, Any]) -> Parameters:
    return {name: (PARAMETER_TYPES[name], value) for name, value in given.items()}


def queries_of_specs(account: Deployment) -> Iterator[Query]:
    """The query of every view, the source of every MERGE into an account table, every checksum."""
    for statement in spec_statements(account.account, account.dataset.qualified):
        kind, _, _name = statement.label.partition(" ")
        if kind in ("view", "portfolio"):
            yield Query(statement.label, statement.sql.partition(" AS\n")[2])
        elif kind == "merge":
            source = sqlglot.parse_one(statement.sql, dialect="bigquery").args["using"].this
            yield Query(statement.label, source.sql("bigquery").replace("`_staging_", "`"))
        elif kind == "checksum":
            given = {"without": ("ARRAY<STRING>", ["a", "b"])} if statement.parameters else {}
            yield Query(statement.label, statement.sql, given)


def queries_of_questions(last: date) -> Iterator[Query]:
    period = Period(last - timedelta(days=1), last)
    for question in QUESTIONS.values():
        yield Query(question.name, question.sql, period.parameters, is_ordered=True)


def wrong(both: Both, queries: Sequence[Query]) -> list[str]:
    return [sentence for query in queries for sentence in both.differences(query)]


def test_google_gives_the_same_rows_of_every_report(driven):
    both, _ = driven
    queries = list(queries_of_reports(both.deployment))

    assert wrong(both, queries) == []
    assert len(queries) == 3 * len(REPORTS) + 8


def test_google_gives_the_same_rows_of_every_view_and_merge(driven):
    both, _ = driven

    assert wrong(both, list(queries_of_specs(both.deployment))) == []


def test_google_gives_the_same_rows_of_every_question_in_the_same_order(driven):
    both, _ = driven

    assert wrong(both, list(queries_of_questions(both.deployment.account.today()))) == []


def test_google_gives_the_same_rows_of_everything_else_that_was_asked(driven):
    both, recording = driven
    sent = {
        (sent.sql, repr(sent.parameters)): sent for sent in recording.statements
        if sent.sql.lstrip().startswith(("SELECT", "WITH")) and "INFORMATION_SCHEMA" not in sent.sql
    }  # fmt: skip
    queries = [Query(each.sql[:80], each.sql, each.parameters) for each in sent.values()]

    assert len(queries) > 50
    assert wrong(both, queries) == []
