"""The views over all accounts on the real stand-in: accounts that come, go, are not loaded yet, or may not be read."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.defs.assets.portfolio import portfolio_key
from klaviyo_assets.defs.automation.portfolio import portfolio_state
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets_tests.integration.deployment import Outcome, Sandbox, environment

CAMPAIGNS = REPORTS["campaign_by_event_date"]
PREFIX = "many"
# Two loaded accounts and thirty views over them take a minute; the statements are tested in unit/reports.
pytestmark = pytest.mark.slow


class Shops:
    """Accounts of one deployment, with reports that a test fills as it likes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.instance = dg.DagsterInstance.ephemeral()
        self.variables = {**sandbox.variables, "BIGQUERY_DATASET_PREFIX": PREFIX,
                          "KLAVIYO_FRAMES_URL": f"{sandbox.folder.frames}/{PREFIX}"}  # fmt: skip
        self.listed: list[Account] = []

    def account(self, name: str, currency: str) -> Account:
        account = replace(self.sandbox.accounts["acme"], name=name, currency=currency)
        self.listed.append(account)
        return account

    @property
    def accounts(self) -> Accounts:
        return Accounts({account.name: account for account in self.listed}, "a test")

    def execute(self, keys: list[dg.AssetKey], **options: Any) -> tuple[Outcome, dg.ExecuteInProcessResult]:
        with environment(self.variables):
            job = build_definitions(accounts=self.accounts).resolve_implicit_global_asset_job_def()
            result = job.execute_in_process(
                instance=self.instance, asset_selection=keys, raise_on_error=False, **options
            )  # fmt: skip
        failures = [
            event.step_failure_data.user_failure_data.description or ""
            for event in result.all_events
            if event.is_step_failure
        ]
        return Outcome(result.success, failures, []), result

    def load(self, account: Account, *sends: tuple[str, str]) -> None:
        """The account's views and all they read, and a row of the campaign report for each (campaign, revenue)."""
        outcome, _ = self.execute([dg.AssetKey(["view", name]) for name in VIEWS], partition_key=account.name)
        assert outcome.success, outcome.failures
        nothing = {column.name: Decimal(0) if column.type is LogicalType.NUMERIC else 0
                   for column in CAMPAIGNS.columns if column.required}  # fmt: skip
        rows = [
            {**nothing, "occurred_on": date(2026, 1, 5), "campaign_id": campaign, "channel": "email",
             "currency": account.currency, "conversion_value": Decimal(revenue),
             "data_through": datetime(2026, 1, 6, tzinfo=UTC), "is_final": False}
            for campaign, revenue in sends
        ]  # fmt: skip
        with environment(self.variables):
            dataset = self.resource.dataset(account)
            for name, report in REPORTS.items():
                dataset.prepare(report)
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(["report", name], partition=account.name)
                )
            dataset.append(CAMPAIGNS.name, CAMPAIGNS.columns, rows, f"test-{account.name}-{len(self.listed)}")

    @property
    def resource(self) -> BigQueryProjectResource:
        return BigQueryProjectResource(project=self.variables["BIGQUERY_PROJECT"])

    def create(self, *names: str) -> tuple[Outcome, dg.ExecuteInProcessResult]:
        return self.execute([portfolio_key(name) for name in names or PORTFOLIO_VIEWS])

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with environment(self.variables):
            return [tuple(row.values()) for row in self.resource.portfolio().query(text)]

    def revenue(self) -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT account, currency, SUM(conversion_value) FROM campaign_by_event_date GROUP BY 1, 2 ORDER BY 1"
        )


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    events = result.asset_materializations_for_node("create_portfolio")
    (event,) = (made for made in events if made.asset_key == portfolio_key(name))
    return {key: value.value for key, value in event.metadata.items()}


@pytest.fixture(scope="module")
def shops(sandbox: Sandbox) -> Shops:
    """Two shops of different currencies, both loaded."""
    two_shops = Shops(sandbox)
    two_shops.load(two_shops.account("north", "EUR"), ("c1", "10.50"), ("c2", "4.50"))
    two_shops.load(two_shops.account("south", "USD"), ("c1", "7.25"))
    return two_shops


def test_every_view_is_made_and_shows_all_accounts_each_in_its_currency(shops):
    outcome, result = shops.create()

    assert outcome.success, outcome.failures
    assert {event.asset_key.path[-1] for event in result.get_asset_materialization_events()} == set(PORTFOLIO_VIEWS)
    assert shops.revenue() == [("north", "EUR", Decimal("15.00")), ("south", "USD", Decimal("7.25"))]
    for name, view in PORTFOLIO_VIEWS.items():
        assert len(shops.query(f"SELECT {', '.join(f'`{column}`' for column in view.column_names)} FROM `{name}`")) >= 0
    view_metadata = metadata(result, "campaign_by_event_date")
    assert view_metadata["accounts"] == ["north", "south"]
    assert view_metadata["left_out"] == {}


def test_made_again_it_is_the_same(shops):
    shops.create("campaign_by_event_date")
    before = shops.revenue()
    assert shops.create("campaign_by_event_date")[0].success
    assert shops.revenue() == before


def test_an_account_that_is_not_loaded_yet_is_left_out_and_named_until_it_is(shops):
    young = shops.account("young", "GBP")
    try:
        outcome, result = shops.create("campaign_by_event_date")
        assert outcome.success, outcome.failures
        assert metadata(result, "campaign_by_event_date")["left_out"] == {"young": "nothing has been loaded yet"}
        assert [row[0] for row in shops.revenue()] == ["north", "south"]
        shops.load(young, ("c9", "1.00"))
        shops.create("campaign_by_event_date")
        assert shops.revenue()[-1] == ("young", "GBP", Decimal("1.00"))
    finally:
        shops.listed.remove(young)


def test_a_removed_account_leaves_the_views_and_keeps_its_data(shops):
    gone = shops.listed.pop()
    try:
        assert shops.create("campaign_by_event_date")[0].success
        assert [row[0] for row in shops.revenue()] == ["north"]
    finally:
        shops.listed.append(gone)
    with environment(shops.variables):
        kept = [
            tuple(row.values()) for row in shops.resource.dataset(gone).query(f"SELECT COUNT(*) FROM {CAMPAIGNS.name}")
        ]
    assert kept == [(1,)]


def test_an_account_that_lacks_one_table_is_left_out_of_that_view_alone(shops):
    with environment(shops.variables):
        south = shops.resource.dataset(shops.listed[1])
        south.client.delete_table(f"{south.qualified}.person_touch")
    outcome, result = shops.create("campaign_by_event_date", "person_touch")
    assert outcome.success, outcome.failures
    assert metadata(result, "person_touch")["left_out"] == {"south": "nothing has been loaded yet into person_touch"}
    assert metadata(result, "campaign_by_event_date")["accounts"] == ["north", "south"]


def refusing(account: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """BigQuery's answer for one account's dataset; the stand-in knows no permissions."""
    ask = BigQueryDataset.query

    def query(self: BigQueryDataset, text: str, *arguments: Any, **options: Any) -> Any:
        if self.dataset.endswith(f"_{account}"):
            raise error
        return ask(self, text, *arguments, **options)

    monkeypatch.setattr(BigQueryDataset, "query", query)


def test_an_account_that_may_not_be_read_breaks_no_view(shops, monkeypatch):
    refusing("south", PermanentError("querying many_south: Access Denied"), monkeypatch)
    outcome, result = shops.create("campaign_by_event_date")
    assert outcome.success, outcome.failures
    assert "Access Denied" in metadata(result, "campaign_by_event_date")["left_out"]["south"]
    assert [row[0] for row in shops.revenue()] == ["north"]


def test_a_passing_fault_leaves_the_views_as_they_were(shops, monkeypatch):
    """Better yesterday's accounts than all but one."""
    assert shops.create("campaign_by_event_date")[0].success
    before = shops.revenue()
    refusing("south", TransientError("querying many_south: 503"), monkeypatch)
    outcome, _ = shops.create("campaign_by_event_date")
    assert not outcome.success
    assert "many_south: 503" in outcome.failures[0]
    assert shops.revenue() == before
    assert len(before) == 2


def test_the_sensor_asks_once_for_each_change(shops):
    def tick(cursor: str | None) -> dg.SensorResult:
        sensor = build_definitions(accounts=shops.accounts).get_repository_def().get_sensor_def("portfolio_views")
        with dg.build_sensor_context(shops.instance, cursor=cursor) as context:
            return sensor(context)

    first = tick(None)
    assert len(first.run_requests) == 1
    assert not tick(first.cursor).run_requests
    young = shops.account("younger", "GBP")
    second = tick(first.cursor)
    assert len(second.run_requests) == 1
    shops.load(young)
    third = tick(second.cursor)
    assert len(third.run_requests) == 1
    assert portfolio_state(shops.accounts, shops.instance)["loaded"] == ["north", "south", "younger"]
    shops.listed.remove(young)
    assert len(tick(third.cursor).run_requests) == 1
