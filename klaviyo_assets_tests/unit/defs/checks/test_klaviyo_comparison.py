"""The check `agrees_with_klaviyo` in the graph: optional, its own job, and nothing where it is not set up."""

from types import SimpleNamespace

import dagster as dg
import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.defs.checks import klaviyo_comparison
from klaviyo_assets.defs.checks.klaviyo_comparison import AGREES, JOB, STEP, comparison_key
from klaviyo_assets.errors import TransientError
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, key_name

ACCOUNTS = Accounts({name: Account(name, f"klaviyo_{name}") for name in ("acme", "bloom")}, "a test")


@pytest.fixture(autouse=True)
def without_keys(monkeypatch):
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_API_KEY_ACME", "KLAVIYO_API_KEY_BLOOM", "KLAVIYO_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BIGQUERY_PROJECT", "local")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")


def execute(accounts=(), **resources):
    job = build_definitions(accounts=ACCOUNTS, resources=resources).resolve_job_def(JOB)
    config = {"ops": {STEP: {"config": {"accounts": list(accounts)}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, run_config=config)
        assert result.success
        log = "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))
        return {(one.asset_key.path[-1], one.partition): one for one in result.get_asset_check_evaluations()}, log


def test_no_other_run_has_the_check_as_a_step():
    project_definitions = build_definitions(accounts=ACCOUNTS)
    jobs = [
        job for job in project_definitions.resolve_all_job_defs() if job.name != JOB and not job.name.startswith("__")
    ]
    assert len(jobs) > 3
    assert all(STEP not in {node.name for node in job.nodes} for job in jobs)


def test_the_schedule_is_off_until_somebody_switches_it_on():
    schedule = build_definitions(accounts=ACCOUNTS).resolve_schedule_def("weekly_klaviyo_comparison")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == JOB


def test_without_a_key_nothing_is_said_of_an_account_but_in_the_log():
    """Not set up is no failure: the check stays absent."""
    evaluations, log = execute()
    assert evaluations == {}
    for name in ACCOUNTS.names:
        assert f"account {name} is not compared with Klaviyo: not set up: {key_name(name)} is not set" in log


def test_without_the_package_the_log_says_how_to_install_it(monkeypatch):
    monkeypatch.setenv("KLAVIYO_API_KEY_ACME", "pk_x")
    monkeypatch.setattr("klaviyo_assets.resources.klaviyo.resource.find_spec", lambda _: None)
    evaluations, log = execute(["acme"])
    assert evaluations == {}
    assert "pip install 'klaviyo-assets[klaviyo]'" in log


def test_a_key_without_a_name_belongs_to_the_only_account(monkeypatch):
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_x")
    resource = KlaviyoResource()
    assert resource.missing("acme", ["acme"]) is None
    assert "KLAVIYO_API_KEY_ACME is not set" in resource.missing("acme", ["acme", "bloom"])
    monkeypatch.setenv("KLAVIYO_API_KEY_ACME", "pk_y")
    assert resource.missing("acme", ["acme", "bloom"]) is None


def test_what_cannot_be_compared_is_a_warning_with_the_reason_and_the_next_account_is_compared(monkeypatch):
    """A fault of BigQuery or Klaviyo fails no run."""
    for name in ACCOUNTS.names:
        monkeypatch.setenv(key_name(name), "pk_secret")

    def broken(_dataset, account, *_):
        raise TransientError(f"no answer for {account.name}")

    monkeypatch.setattr(klaviyo_comparison, "window_of", broken)
    bigquery = dg.ResourceDefinition.hardcoded_resource(SimpleNamespace(dataset=lambda account: account))
    evaluations, log = execute(bigquery=bigquery)
    assert set(evaluations) == {
        (report, name) for report in ("campaign_by_send_date", "flow_by_send_date") for name in ACCOUNTS.names
    }
    for (_, name), evaluation in evaluations.items():
        assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert evaluation.description == f"Account {name} could not be compared: no answer for {name}"
    assert "pk_secret" not in log


def test_the_check_is_on_assets_of_its_own_downstream_of_the_reports():
    graph = build_definitions(accounts=ACCOUNTS).resolve_asset_graph()
    for owner, report in klaviyo_comparison.REPORTS.items():
        node = graph.get(comparison_key(owner))
        assert node.parent_keys == {dg.AssetKey(["report", report])}
        assert dg.AssetCheckKey(comparison_key(owner), AGREES) in graph.asset_check_keys
