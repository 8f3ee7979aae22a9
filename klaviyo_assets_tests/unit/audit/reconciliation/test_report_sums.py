"""The questions put to BigQuery about reports: legal on the stand-in, and no rate or unique is ever added."""

from datetime import date

import pytest
import sqlglot
from sqlglot import exp

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation.findings import Findings
from klaviyo_assets.audit.reconciliation.report_equations import BY_EVENT_DATE, check_bases, check_books, check_days
from klaviyo_assets.audit.reconciliation.report_sums import pairs
from klaviyo_assets.audit.reconciliation.warehouse import Warehouse
from klaviyo_assets.model.statistics import NOT_ADDITIVE
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import DateBasis
from klaviyo_assets.tables import TABLES

DAY = date(2024, 5, 1)
# Reports by event date whose rows are cut by something that no event and no credit says of all messages.
NOT_BY_DAY = {"deliverability_by_event_date", "list_growth_by_event_date"}


class Asked:
    """A dataset that answers nothing, and keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def query(self, text, parameters=None):
        self.texts.append(text)
        return []


@pytest.fixture(scope="module")
def questions() -> list[exp.Expression]:
    """Every query about reports, as BigQuery's dialect reads it."""
    asked = Asked()
    tables = frozenset({*TABLES, *REPORTS, "ledger"})
    warehouse, findings = Warehouse(asked, Account("acme", "klaviyo_acme"), tables), Findings("acme")
    check_days(warehouse, findings, DAY, DAY, messages=True)
    check_bases(warehouse, findings, DAY, DAY)
    check_books(warehouse, findings, {("event", DAY.isoformat()): None}, DAY)
    warehouse.table_rows(REPORTS)
    for name in REPORTS:
        warehouse.rows(f"SELECT 1 FROM {name}", [name])
    return [sqlglot.parse_one(text, dialect="bigquery") for text in asked.texts]


def test_questions_about_reports_add_up_additive_statistics_only(questions):
    totals = [total for question in questions for total in question.find_all(exp.Sum, exp.Avg)]
    summed = {column.name for total in totals for column in total.find_all(exp.Column)}

    assert {"recipients", "conversion_value", "events"} <= summed
    assert not summed & NOT_ADDITIVE


def test_every_basis_of_campaigns_and_flows_is_compared_with_another():
    compared = {(pair.left.name, pair.right.name) for pair in pairs(REPORTS)}

    for owner in ("campaign", "flow"):
        assert (f"{owner}_by_event_date", f"{owner}_by_send_date") in compared
        assert (f"{owner}_by_event_date", f"{owner}_lifetime") in compared
        assert (f"{owner}_lifetime", "person_touch") in compared


def test_a_pair_compares_every_additive_statistic_that_both_have():
    for pair in pairs(REPORTS):
        assert set(pair.columns) == pair.left.additive & pair.right.additive
        assert {"recipients", "opens"} <= set(pair.columns)
        assert pair.per in pair.left.column_names
        assert pair.per in pair.right.column_names


def test_a_table_that_is_not_there_is_not_asked_for():
    asked = Asked()
    warehouse = Warehouse(asked, Account("acme", "klaviyo_acme"), frozenset({"event"}))

    check_days(warehouse, Findings("acme"), DAY, DAY, messages=False)
    check_bases(warehouse, Findings("acme"), DAY, DAY)
    check_books(warehouse, Findings("acme"), {}, DAY)

    assert asked.texts == []


def test_every_report_by_event_date_is_reconciled_day_by_day():
    """Else a new report's numbers would never be compared, and nobody would notice."""
    forgotten = {name for name, report in REPORTS.items() if report.date_basis is DateBasis.EVENT} - NOT_BY_DAY
    forgotten -= set(BY_EVENT_DATE)

    assert not forgotten, f"{sorted(forgotten)}: add a scope to report_equations.py, or here why it cannot be compared"
    assert set(BY_EVENT_DATE) | NOT_BY_DAY <= set(REPORTS)
