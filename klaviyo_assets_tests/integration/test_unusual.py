"""The check `unusual` through a run: silent on a calm account, a warning with sentence and plot on a planted day."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.audit.anomalies import REPORT, find_anomalies
from klaviyo_assets.defs.checks import unusual as check
from klaviyo_assets.defs.checks.unusual import DAYS, UNUSUAL
from klaviyo_assets.destinations.bigquery.ledger import LEDGER
from klaviyo_assets.errors import TransientError
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.reports import REPORTS
from klaviyo_assets_tests.integration.conftest import Deploy
from klaviyo_assets_tests.integration.deployment import Deployment

KEY = dg.AssetCheckKey(dg.AssetKey(["report", REPORT]), UNUSUAL)
WEEKS = 6
pytestmark = pytest.mark.slow
_OLD = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def account(deploy: Deploy) -> Deployment:
    """Three loaded days of a real shop, and weeks before them that are written straight into the report."""
    deployment = deploy("watched", last_days=DAYS)
    deployment.tables("metric", "campaign")
    deployment.all_days()
    deployment.reports()
    return deployment


def verdict(account: Deployment) -> dg.AssetCheckEvaluation:
    records = account.instance.event_log_storage.get_asset_check_execution_history(KEY, limit=1)
    evaluation = records[0].event.dagster_event.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def plant(account: Deployment, day: Any, recipients: int) -> None:
    """A day of e-mails in the report, and its line in the ledger, older than what reports were restated for."""
    row = {column.name: 0 for column in REPORTS[REPORT].columns if column.type in {
        LogicalType.INTEGER, LogicalType.NUMERIC}}  # fmt: skip
    row |= {
        "occurred_on": day, "message_source": "campaign", "channel": "email", "currency": account.account.currency,
        "recipients": recipients, "delivered": recipients, "data_through": datetime.now(UTC), "is_final": True,
    }  # fmt: skip
    name = f"planted-{day}-{time.time_ns()}"
    account.dataset.append(REPORT, REPORTS[REPORT].columns, [row], name)
    booked = {"recorded_at": _OLD, "table_name": "event", "partition": day.isoformat(), "run_id": name}
    account.dataset.append("ledger", LEDGER, [booked], f"ledger-{name}")


def test_without_weeks_to_compare_with_the_check_passes_and_says_which_days_it_saw(account):
    today = account.account.today()

    evaluation = verdict(account)

    assert evaluation.passed
    assert evaluation.partition == "watched"
    assert evaluation.metadata["days"].value == f"{today - timedelta(days=DAYS)} to {today - timedelta(days=1)}"
    assert "plots" not in evaluation.metadata


def test_a_planted_anomaly_is_a_warning_with_a_sentence_and_a_plot_and_fails_nothing(account):
    yesterday = account.account.today() - timedelta(days=1)
    for week in range(1, WEEKS + 1):
        plant(account, yesterday - timedelta(weeks=week), 90_000 + 100 * week)

    done = account.reports()

    assert done.success, done.failures
    evaluation = verdict(account)
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert f"Messages sent on {yesterday:%a} {yesterday}: " in evaluation.description
    assert f"usually 90,100 to 90,600 on {yesterday:%A}s" in evaluation.description
    assert evaluation.description in evaluation.metadata["unusual"].value
    assert "(data:image/png;base64,iVBOR" in evaluation.metadata["plots"].value
    assert len(evaluation.metadata["plots"].value) < 40_000, "it stays in the event log"
    anomalies = find_anomalies(account.dataset, account.account, [yesterday])
    assert [one.sentence for one in anomalies] == [evaluation.description]


def test_a_day_that_is_not_over_is_not_judged(account):
    today = account.account.today()

    assert find_anomalies(account.dataset, account.account, [today]) == []
    assert find_anomalies(account.dataset, account.account, [today + timedelta(days=1)]) == []


def test_where_bigquery_cannot_be_asked_the_check_says_so(account, monkeypatch):
    """The reports are right, and stay done."""

    def refused(*_: Any) -> None:
        raise TransientError("BigQuery does not answer")

    monkeypatch.setattr(check, "anomalies_of", refused)

    result = check.unusual(account.dataset, account.account, {}, datetime.now(UTC))

    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.description
    assert result.description.endswith("could not be checked: BigQuery does not answer")


def test_an_account_without_reports_has_no_anomalies(deploy):
    empty = deploy("never_loaded", last_days=1)

    assert find_anomalies(empty.dataset, empty.account, [empty.account.today() - timedelta(days=1)]) == []
