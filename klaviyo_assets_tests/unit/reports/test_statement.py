"""The statements that keep a report current: GoogleSQL that parses, names what it should, and touches no other day."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import klaviyo_assets
from klaviyo_assets.accounts import Account
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.statistics import NOT_ADDITIVE, STATISTICS, Kind
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import DateBasis
from klaviyo_assets.reports.statement import (
    PARAMETER_TYPES,
    Days,
    affected,
    affected_parameters,
    located,
    restate,
    restate_parameters,
)
from klaviyo_assets_tests.reference import Mapped
from klaviyo_assets_tests.unit.reports.test_reports import SENT, STANDING, event
from klaviyo_assets_tests.unit.reports.warehouse import LOCATION, Warehouse

ACCOUNT = Account("acme", "acme", timezone="Europe/Berlin", currency="EUR")
NOW = datetime(2024, 5, 20, tzinfo=UTC)
BY_SEND = REPORTS["campaign_by_send_date"]
STATEMENTS = [
    *(restate(report, LOCATION) for report in REPORTS.values()),
    *(affected(report, LOCATION) for report in REPORTS.values() if report.affected_sql),
    *(located(report.names_sql, LOCATION) for report in REPORTS.values() if report.names_sql),
]


def summed(statement: exp.Expr) -> set[str]:
    """Statistics that may not be added up and yet stand inside of SUM or AVG."""
    totals = [*statement.find_all(exp.Sum), *statement.find_all(exp.Avg)]
    return {column.name for total in totals for column in total.find_all(exp.Column)} & NOT_ADDITIVE


@pytest.mark.parametrize("sql", STATEMENTS, ids=range(len(STATEMENTS)))
def test_a_statement_parses_as_googlesql_and_sums_no_rate_and_no_unique(sql):
    (statement,) = sqlglot.parse(sql, dialect="bigquery")
    assert statement is not None
    assert not summed(statement)


def test_no_sql_text_of_the_product_sums_a_rate_or_a_unique():
    """Also in texts that are no report: views, digests, checks."""
    pattern = rf"\b(SUM|AVG)\s*\([^)]*\b({'|'.join(sorted(NOT_ADDITIVE))})\b"
    sources = Path(klaviyo_assets.__file__).parent.rglob("*.py")
    file_names = {path.name for path in sources if re.search(pattern, path.read_text(encoding="utf-8"), re.IGNORECASE)}
    assert not file_names


def test_the_lint_finds_what_it_is_for():
    for sql in ("SELECT SUM(open_rate) FROM t", "SELECT AVG(IF(a, t.opens_unique, 0)) FROM t"):
        assert summed(sqlglot.parse_one(sql, dialect="bigquery"))
    assert not summed(sqlglot.parse_one("SELECT SUM(sends_opened), MAX(open_rate) FROM t", dialect="bigquery"))


@pytest.mark.parametrize("sql", STATEMENTS, ids=range(len(STATEMENTS)))
def test_every_table_is_named_with_project_and_dataset(sql):
    statement = sqlglot.parse_one(sql, dialect="bigquery")
    inner = {cte.alias for cte in statement.find_all(exp.CTE)}
    places = {f"{table.catalog}.{table.db}" for table in statement.find_all(exp.Table) if table.name not in inner}
    assert places == {LOCATION}


@pytest.mark.parametrize("sql", STATEMENTS, ids=range(len(STATEMENTS)))
def test_a_statement_asks_for_no_parameter_that_is_not_listed(sql):
    asked = {parameter.name for parameter in sqlglot.parse_one(sql, dialect="bigquery").find_all(exp.Parameter)}
    given = {*restate_parameters(ACCOUNT, Days.all(), NOW), *affected_parameters(ACCOUNT, [])}
    assert asked <= given == set(PARAMETER_TYPES)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_column_is_described_with_its_formula_and_every_row_says_how_far_it_reaches(report):
    assert all(len(column.description) > 8 for column in report.columns)
    for statistic in report.statistics:
        assert f"Formula: {statistic.formula}." in report.column(statistic.name).description
    standing = {"data_through"} if report.keeps_history else {"currency", "data_through", "is_final"}
    assert standing <= set(report.column_names)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_rates_stand_only_where_all_of_a_row_speaks_of_the_same_sends(report):
    rates = {statistic.name for statistic in report.statistics if statistic.kind is Kind.RATE}
    of_sends = report.date_basis is DateBasis.SEND or report.name in {"campaign_lifetime", "flow_lifetime"}
    assert bool(rates) is of_sends
    for rate in rates:
        assert {STATISTICS[rate].numerator, STATISTICS[rate].denominator} <= set(report.column_names)


@pytest.mark.parametrize("dataset", ["klaviyo_acme", ".klaviyo_acme", "project."])
def test_a_dataset_without_a_project_is_refused(dataset):
    with pytest.raises(PermanentError, match=r"Write the dataset as `project\.dataset`"):
        restate(BY_SEND, dataset)


def test_days_take_null_for_the_unknown_day_and_are_false_when_there_are_none():
    assert Days.of([date(2024, 5, 6), None]) == Days(frozenset({date(2024, 5, 6)}), unknown=True)
    assert not Days.of([])
    assert Days.of([None])
    assert Days.all()


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (Days.of([date(2024, 5, 6), date(2024, 5, 9)]), date(2024, 5, 5)),
        (Days.of([date(2024, 5, 6), None]), date(1, 1, 1)),
        (Days.of([date(1, 1, 1)]), date(1, 1, 1)),
        (Days.all(), date(1, 1, 1)),
    ],
)
def test_only_partitions_that_can_hold_events_of_the_days_are_read(days, first):
    parameters = restate_parameters(ACCOUNT, days, NOW)
    assert parameters["first_event_on"] == first
    assert parameters["window_seconds"] == 432_000


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    return Warehouse()


def test_restating_a_day_leaves_the_others_as_they_are(warehouse):
    """Rows of days that were not asked for stay, even where they would come out differently now."""
    days = [{"send_on": SENT.date() + timedelta(days=n), "after": timedelta(days=n)} for n in range(2)]
    warehouse.load(Mapped([event(str(n), "Opened Email", **day) for n, day in enumerate(days)]))
    warehouse.restate(BY_SEND, STANDING, Days.all())
    warehouse.load(Mapped())
    warehouse.restate(BY_SEND, STANDING, Days.of([SENT.date(), None]))
    assert [row["send_on"] for row in warehouse.rows(BY_SEND)] == [SENT.date() + timedelta(days=1)]


def test_the_rows_of_unknown_day_are_replaced_too(warehouse):
    warehouse.load(Mapped([event("1", "Opened Email", send_at=None, send_on=None)]))
    warehouse.restate(BY_SEND, STANDING, Days.all())
    warehouse.load(Mapped())
    warehouse.restate(BY_SEND, STANDING, Days.of([None]))
    assert warehouse.rows(BY_SEND) == []


def test_a_final_send_day_is_restated_when_one_of_its_late_events_is_gone(warehouse):
    """The changed day no longer tells which sends it was about; the report's own rows do."""
    late = [event(str(n), "Opened Email", after=timedelta(days=n)) for n in (0, 3, 5)]
    warehouse.load(Mapped(late))
    warehouse.restate(BY_SEND, STANDING, Days.all())
    warehouse.load(Mapped([late[0], late[2]]))
    changed = [SENT.date() + timedelta(days=3)]
    assert warehouse.affected(BY_SEND, STANDING, changed, []) == Days.of([SENT.date()])
    assert not warehouse.affected(BY_SEND, STANDING, [SENT.date() + timedelta(days=9)], [])


def test_rows_that_are_not_final_are_restated_whatever_changed(warehouse):
    for report in (BY_SEND, REPORTS["campaign_by_event_date"]):
        warehouse.load(Mapped([event("1", "Opened Email")]))
        standing = type(STANDING)("UTC", "EUR", STANDING.window, SENT + timedelta(days=1))
        warehouse.restate(report, standing, Days.all())
        assert warehouse.affected(report, standing, [], []) == Days.of([SENT.date()])


def test_a_rescheduled_campaign_concerns_its_old_and_its_new_day(warehouse):
    unstated = event("1", "Opened Email", after=timedelta(days=3), send_at=None, send_on=None)
    for shift in (0, 1):
        campaign = {"campaign_id": "spring", "send_at": SENT + timedelta(days=shift)}
        warehouse.load(Mapped([unstated], campaigns=[campaign]))
        if shift == 0:
            warehouse.restate(BY_SEND, STANDING, Days.all())
    old, new = SENT.date(), SENT.date() + timedelta(days=1)
    assert warehouse.affected(BY_SEND, STANDING, [], ["spring"]) == Days.of([old, new])


def test_days_are_cut_into_parts_that_together_are_the_same_days():
    days = Days.of([date(2024, 5, day) for day in range(1, 8)] + [None])

    parts = days.slices(3)

    assert [sorted(day.day for day in part.dates) for part in parts] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [part.unknown for part in parts] == [False, False, True]
    assert days.slices(7) == [days]
    assert Days.of([None]).slices(3) == [Days.of([None])]
