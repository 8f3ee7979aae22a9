"""An account is as fresh as its data: by stage, by account, and never by the time of a run."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.defs.checks.freshness import (
    LATE_AFTER,
    SAID_AGAIN_AFTER,
    STALE_AFTER,
    ages,
    check_of,
    freshness_key,
)
from klaviyo_assets.stages.graph import dated_stages
from klaviyo_assets.stages.keys import day_key

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
ACCOUNTS = Accounts({name: Account(name, f"klaviyo_{name}") for name in ("acme", "bloom")}, "a test")


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral_instance:
        yield ephemeral_instance


def materialize(instance, key, partition, **metadata):
    instance.report_runless_asset_event(dg.AssetMaterialization(list(key), partition=partition, metadata=metadata))


def synced(instance, account, moment):
    materialize(instance, ("fivetran", "person"), account, sync_completed_at=dg.MetadataValue.timestamp(moment))


def verdicts(instance, now=NOW, accounts=ACCOUNTS):
    return {(age.stage, age.account): age.verdict for age in ages(accounts, instance, now)}


def test_what_was_never_loaded_is_unknown_at_every_stage(instance):
    assert verdicts(instance) == {(stage, name): "unknown" for stage in dated_stages() for name in ACCOUNTS.names}


@pytest.mark.parametrize(
    ("age", "verdict"),
    [(HOUR, "fresh"), (LATE_AFTER, "fresh"), (LATE_AFTER + HOUR, "late"), (STALE_AFTER + HOUR, "stale")],
)
def test_the_age_is_that_of_the_data(instance, age, verdict):
    synced(instance, "acme", NOW - age)
    assert verdicts(instance)["fivetran", "acme"] == verdict


def test_a_run_over_old_data_does_not_look_fresh(instance):
    """It was materialized this very moment; its rows are of a sync three days ago, for the one since was skipped."""
    old = (NOW - timedelta(days=3)).isoformat()
    for stage in ("extracted", "mapped", "s3_archive", "bigquery"):
        materialize(instance, (stage, "person"), "acme", data_through=old)
    materialize(instance, ("report", "account_by_event_date"), "acme", data_through=old)
    stage_verdicts = verdicts(instance)
    assert {stage for stage in dated_stages() if stage_verdicts[stage, "acme"] == "stale"} == set(dated_stages()) - {
        "fivetran"
    }


def test_one_account_does_not_make_another_look_fresh(instance):
    synced(instance, "bloom", NOW - HOUR)
    synced(instance, "acme", NOW - timedelta(days=9))
    stage_verdicts = verdicts(instance)
    assert (stage_verdicts["fivetran", "acme"], stage_verdicts["fivetran", "bloom"]) == ("stale", "fresh")


def test_the_newest_of_people_and_recent_days_counts(instance):
    """A shop where nobody changed still had events; a day that is made again with older rows takes nothing away."""
    today = ACCOUNTS["acme"].today()
    materialize(instance, ("bigquery", "person"), "acme", data_through=(NOW - timedelta(days=4)).isoformat())
    materialize(instance, ("bigquery", "event"), day_key("acme", today), data_through=(NOW - HOUR).isoformat())
    old = (NOW - timedelta(days=30)).isoformat()
    materialize(instance, ("bigquery", "event"), day_key("acme", today - timedelta(days=3)), data_through=old)
    assert verdicts(instance)["bigquery", "acme"] == "fresh"


def test_a_table_that_was_never_synced_states_no_time(instance):
    materialize(instance, ("extracted", "person"), "acme", data_through="never synced")
    assert verdicts(instance)["extracted", "acme"] == "unknown"


def test_the_verdict_names_the_account_and_how_far_its_data_reach(instance):
    synced(instance, "acme", NOW - timedelta(hours=60))
    (age,) = [age for age in ages(ACCOUNTS, instance, NOW) if (age.stage, age.account) == ("fivetran", "acme")]
    evaluation = age.evaluation
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert evaluation.check_name == "fresh_acme"
    reach = f"{NOW - timedelta(hours=60):%Y-%m-%d %H:%M} UTC, 60 h ago"
    assert evaluation.description == f"the data of account acme reach to {reach}"


def test_the_check_can_be_executed_for_all_accounts(instance):
    synced(instance, "acme", NOW - HOUR)
    keys = [
        dg.AssetCheckKey(freshness_key(stage), check_of(name)) for stage in dated_stages() for name in ACCOUNTS.names
    ]
    job = dg.define_asset_job("look", selection=dg.AssetSelection.checks(*keys))
    project_definitions = dg.Definitions.merge(build_definitions(accounts=ACCOUNTS), dg.Definitions(jobs=[job]))

    result = project_definitions.resolve_job_def("look").execute_in_process(instance=instance, raise_on_error=False)

    assert result.success
    outcomes = {
        (evaluation.asset_key.path[-1], evaluation.check_name.removeprefix("fresh_")): evaluation.passed
        for evaluation in result.get_asset_check_evaluations()
    }
    assert outcomes == {
        (stage, name): (stage, name) == ("fivetran", "acme") for stage in dated_stages() for name in ACCOUNTS.names
    }


def test_no_run_has_the_check_as_a_step(instance):
    """It would cost every run a step, and look at all accounts for one."""
    project_definitions = build_definitions(accounts=ACCOUNTS)
    for name in ("dimensions", "events", "reports", "portfolio"):
        assert "freshness" not in {node.name for node in project_definitions.resolve_job_def(name).nodes}


def test_the_sensor_says_what_changed_and_all_of_it_now_and_then(instance, monkeypatch):
    sensor = build_definitions(accounts=ACCOUNTS).get_repository_def().get_sensor_def("freshness")

    def tick(cursor):
        with dg.build_sensor_context(instance, cursor=cursor) as context:
            return sensor(context)

    first = tick(None)
    assert len(first.asset_events) == len(dated_stages()) * len(ACCOUNTS.names)
    assert not tick(first.cursor).asset_events
    synced(instance, "acme", NOW)
    second = tick(first.cursor)
    assert [(one.check_name, one.passed) for one in second.asset_events] == [("fresh_acme", True)]
    for result in (first, second):
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
    (latest,) = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(freshness_key("fivetran"), "fresh_acme"), limit=1
    )
    assert latest.event.asset_check_evaluation.passed, "a later verdict takes the place of an earlier one"
    monkeypatch.setattr("klaviyo_assets.defs.checks.freshness.SAID_AGAIN_AFTER", -SAID_AGAIN_AFTER)
    assert len(tick(second.cursor).asset_events) == len(dated_stages()) * len(ACCOUNTS.names)
