"""All that sends SQL to BigQuery, done once on small accounts.

Here: loading with and without bad rows, deltas, and everything that reads a loaded account. Not here: any expectation;
`test_statements.py` finds out what is missing here.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.audit.anomalies import rows_of
from klaviyo_assets.audit.klaviyo_comparison.ours import REPORTS as COMPARED
from klaviyo_assets.audit.klaviyo_comparison.ours import Window, conversion_metric_id, names, our_side, window_of
from klaviyo_assets.audit.reconciliation.warehouse import Warehouse
from klaviyo_assets.cli.closing import latest_campaigns
from klaviyo_assets.defs.assets.portfolio import Portfolio
from klaviyo_assets.publishing.mail.findings import quarantined
from klaviyo_assets.publishing.mail.headlines import read_headlines
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.stages import restating as reporting
from klaviyo_assets_tests.integration.deployment import Deployment, environment
from klaviyo_assets_tests.integration.large_tables import LargeTables

# The views that people's pages and mails read.
READ = tuple(name for name in VIEWS if name in {
    "looker_account_by_event_date", "looker_campaign_by_send_date", "looker_flow_by_send_date",
    "looker_deliverability_by_event_date", "looker_list_growth_by_event_date", "looker_freshness",
})  # fmt: skip
# A changed row, and one with a value that cannot be read.
CHANGE = """
    UPDATE {0}.person SET city = 'Paris', _fivetran_synced = %s WHERE id = 'p001';
    INSERT INTO {0}.person VALUES ('zz', 'z@example.com', NULL, NULL, NULL, 'much', false, %s)
"""


def load(account: Deployment) -> None:
    """Load a day with what its reports and views read, and a report again after a late change."""
    day = account.account.today() - timedelta(days=1)
    outcomes = [account.tables("metric", "campaign"), account.days(day, account.account.today()), account.reports()]
    outcomes.append(
        account._execute([dg.AssetKey(["view", name]) for name in READ], partition_key=account.account.name)
    )
    account.raw("UPDATE {0}.event SET _fivetran_synced = now()")
    outcomes += [account.days(day), account._execute([dg.AssetKey(["report", "campaign_by_event_date"])],
                                                     partition_key=account.account.name)]  # fmt: skip
    assert [outcome.failures for outcome in outcomes if not outcome.success] == []


def load_changes(large: Deployment) -> None:
    """Large tables whole, and then what changed of them, notes among it."""
    tables = LargeTables.begin(large)
    tables.load()
    tables.sync(CHANGE)
    readings = {name: (record.mode, record.state and record.state.why) for name, record in tables.load().items()}
    assert {mode for mode, _ in readings.values()} == {"delta"}, readings


def read(account: Deployment, folder: Path) -> None:
    """Whatever reads a loaded account."""
    for command in (["verify"], ["report", "--out", str(folder / "report.html")], ["doctor"]):
        account.command(folder, *command)
    assert account.command(folder, "query", "SELECT * FROM campaign_by_send_date").exit_code == 0
    day = account.account.today() - timedelta(days=1)
    with environment(account.variables):
        dataset = account.dataset
        read_headlines(dataset, account.account, day)
        quarantined(dataset, account.account, datetime(2020, 1, 1, tzinfo=UTC))
        rows_of(dataset, day - timedelta(days=1), day)
        Warehouse.open(dataset, account.account).quarantined_event_days(day, day)
        latest_campaigns(dataset, 3)
        window_of(dataset, account.account, 5)
        conversion_metric_id(dataset, account.account)
        resource = BigQueryProjectResource(project=str(account.variables["BIGQUERY_PROJECT"]))
        portfolio = Portfolio.of(Accounts({account.account.name: account.account}, "a test"), resource)
        portfolio.create(PORTFOLIO_VIEWS["account_by_event_date"])
        restate_in_parts(account)
        for owner in COMPARED:
            our_side(dataset, account.account, owner, Window(day, day))
            names(dataset, owner)


def restate_in_parts(account: Deployment) -> None:
    """Restate a report that has more days than BigQuery lets one statement change."""
    report = REPORTS["campaign_by_event_date"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "MOST_DAYS_AT_ONCE", 1)
        opened = reporting.AccountReports.open(account.account, account.dataset, [report])
        opened.restate(report, "a-test-run", everything=True)
