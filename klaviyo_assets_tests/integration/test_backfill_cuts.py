"""What the daemon makes of a backfill that the page launches: runs that together are the selection, one per account.

The real GraphQL and the daemon's own iteration, in this process and on the project's own instance; runs wait in the
queue and are not executed (`e2e/test_backfills.py` does that).
"""

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql

from klaviyo_assets import definitions
from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.partitions import Partitions, asked_keys
from klaviyo_assets.stages.graph import loading
from klaviyo_assets.stages.keys import monday_of, week_key
from klaviyo_assets_tests.checkout import ROOT

TODAY = date.today()
# Their clocks go forward and back on days of their own.
ZONES = {"zoo": "Europe/Berlin", "acme": "America/New_York", "bloom": "Australia/Lord_Howe"}


def accounts_since(first_day: date) -> Accounts:
    return Accounts(
        {name: Account(name, f"klaviyo_{name}", timezone=zone, start_date=first_day) for name, zone in ZONES.items()},
        "a test",
    )


ACCOUNTS = accounts_since(TODAY - timedelta(days=30))
PARTITIONS = Partitions.of(ACCOUNTS)
LAUNCH = """mutation($p:LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p)
{__typename ... on LaunchBackfillSuccess{backfillId} ... on PythonError{message}}}"""
CANCEL = """mutation($id:String!){cancelPartitionBackfill(backfillId:$id){__typename}}"""
DAILY = [["bigquery", "event"], ["bigquery", "attribution"]]


@dataclass
class Daemon:
    """The project's instance and its code location, in this process."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext

    def launch(self, **parameters: Any) -> str:
        """Launch a backfill as the page does; its id."""
        context = self.workspace.create_request_context()
        answer = execute_dagster_graphql(context, LAUNCH, {"p": parameters}).data["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def cancel(self, backfill_id: str) -> None:
        """Cancel a backfill as the page does, and let the daemon end it."""
        context = self.workspace.create_request_context()
        answer = execute_dagster_graphql(context, CANCEL, {"id": backfill_id}).data["cancelPartitionBackfill"]
        assert answer["__typename"] == "CancelBackfillSuccess", answer
        while not self.status(backfill_id).endswith("CANCELED"):
            assert self.errors_of_iteration() == []

    def status(self, backfill_id: str) -> str:
        """Of a backfill."""
        backfill = self.instance.get_backfill(backfill_id)
        assert backfill
        return backfill.status.value

    def succeed(self, run: dg.DagsterRun) -> None:
        """Let a run that waits have succeeded."""
        event = dg.DagsterEvent(DagsterEventType.PIPELINE_SUCCESS.value, run.job_name)
        self.instance.report_dagster_event(event, run.run_id)

    def errors_of_iteration(self) -> list[str]:
        """Let the daemon look at all backfills once; what went wrong."""
        errors = execute_backfill_iteration(self.workspace, logging.getLogger("daemon"))
        return [str(error) for error in errors if error]

    def runs_of(self, **parameters: Any) -> list[dg.DagsterRun]:
        """The runs of a backfill with these parameters, as they wait in the queue."""
        backfill_id = self.launch(**parameters)
        assert self.errors_of_iteration() == []
        return self.runs(backfill_id)

    def runs(self, backfill_id: str) -> list[dg.DagsterRun]:
        """The runs of a backfill."""
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id})))


@contextlib.contextmanager
def daemon_of(accounts: Accounts, folder: Path) -> Iterator[Daemon]:
    shutil.copy(ROOT / "dagster.yaml", folder)
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="klaviyo_assets.definitions")
    origin = InProcessCodeLocationOrigin(target, location_name="klaviyo_assets")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.delenv("DAGSTER_HOME", raising=False)
        # Dagster resolves them when it plans a run; nothing is asked of these systems.
        for name in ("FIVETRAN_API_KEY", "FIVETRAN_API_SECRET", "POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
            patch.setenv(name, "not-asked")
        patch.setattr(definitions, "defs", definitions.build_definitions(accounts=accounts))
        with instance() as project_instance:
            assert project_instance.run_coordinator, "the daemon has its queue before it cuts anything"
            with WorkspaceProcessContext(project_instance, InProcessTestWorkspaceLoadTarget(origin)) as workspace:
                yield Daemon(project_instance, workspace)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon_of(ACCOUNTS, tmp_path_factory.mktemp("instance")) as new_daemon:
        yield new_daemon


def of_job(name: str, keys: list[str]) -> dict[str, Any]:
    repository = {"repositoryLocationName": "klaviyo_assets", "repositoryName": "__repository__"}
    selector = {"partitionSetName": f"{name}_partition_set", "repositorySelector": repository}
    return {"selector": selector, "partitionNames": keys, "fromFailure": False}


def of_assets(keys: list[str]) -> dict[str, Any]:
    return {"assetSelection": [{"path": path} for path in DAILY], "partitionNames": keys, "fromFailure": False}


def days(names: tuple[str, ...], *ago: int) -> list[str]:
    return [f"{name}|{TODAY - timedelta(days=each)}" for name in names for each in ago]


@pytest.mark.parametrize("way", ["job", "assets"])
@pytest.mark.parametrize(
    ("keys", "runs"),
    [
        (days(("zoo", "acme"), 2, 1), 2),
        (days(("zoo", "acme", "bloom"), 4), 3),
        (days(("acme",), 7, 6, 5), 1),
        (days(("zoo", "bloom"), *range(9, 0, -1)), 2),
        # Of one account only some days: a run for each gap-free range.
        (days(("zoo",), 9, 8) + days(("bloom",), 9, 7), 3),
    ],
    ids=["2x2", "3x1", "1x3", "2x9", "gaps"],
)
def test_days_become_a_run_per_account(daemon: Daemon, way: str, keys: list[str], runs: int) -> None:
    daemon_runs = daemon.runs_of(**(of_job("events", keys) if way == "job" else of_assets(keys)))

    run_keys = [asked_keys(run.tags, PARTITIONS.account_days) for run in daemon_runs]
    assert len(daemon_runs) == runs
    assert sorted(key for listed in run_keys for key in listed) == sorted(keys)
    for run, listed in zip(daemon_runs, run_keys, strict=True):
        assert {key.partition("|")[0] for key in listed} == {run.tags["klaviyo/account"]}
        assert run.tags["klaviyo/started_by"] == "backfill"


def odd_days(account: Account) -> list[date]:
    """The days of an account before yesterday that are not 24 hours long."""
    days = [account.start_date + timedelta(days=number) for number in range(1, (TODAY - account.start_date).days - 1)]
    bounds = [(day, *account.day_bounds(day)) for day in days]
    return [day for day, begin, end in bounds if end - begin != timedelta(days=1)]


def test_days_around_a_change_of_clocks_are_one_run(tmp_path: Path) -> None:
    """A year and more has both changes of every account, whatever the date is."""
    accounts = accounts_since(TODAY - timedelta(days=380))
    changes = [(name, day) for name, account in accounts.by_name.items() for day in odd_days(account)[-2:]]
    keys = [f"{name}|{day + timedelta(days=ahead)}" for name, day in changes for ahead in (-1, 0, 1)]
    with daemon_of(accounts, tmp_path) as daemon:
        run_lists = [daemon.runs_of(**parameters) for parameters in (of_job("events", keys), of_assets(keys))]

    assert len(changes) == 2 * len(ZONES)
    for runs in run_lists:
        run_keys = [asked_keys(run.tags, Partitions.of(accounts).account_days) for run in runs]
        assert len(runs) == len(changes)
        assert sorted(key for listed in run_keys for key in listed) == sorted(keys)


@pytest.mark.parametrize("job", ["dimensions", "reports"])
def test_accounts_become_a_run_each(daemon: Daemon, job: str) -> None:
    runs = daemon.runs_of(**of_job(job, ["zoo", "bloom"]))

    run_keys = [asked_keys(run.tags, PARTITIONS.accounts) for run in runs]
    assert sorted(run_keys) == [["bloom"], ["zoo"]]
    assert sorted(run.tags["klaviyo/account"] for run in runs) == ["bloom", "zoo"]


def test_weeks_become_a_run_per_account(daemon: Daemon) -> None:
    monday = monday_of(TODAY)
    keys = [week_key(name, monday - timedelta(days=7 * ago)) for name in ("zoo", "acme") for ago in (2, 1)]

    runs = daemon.runs_of(**of_job("html_report", keys))

    assert len(runs) == 2
    assert sorted(key for run in runs for key in asked_keys(run.tags, PARTITIONS.account_weeks)) == sorted(keys)


def test_all_partitions_of_a_whole_chain_of_account_tables(daemon: Daemon) -> None:
    chain = [{"path": [stage, "campaign"]} for stage in loading()]

    runs = daemon.runs_of(assetSelection=chain, allPartitions=True)

    assert sorted(run.tags["klaviyo/account"] for run in runs) == ["acme", "bloom", "zoo"]
    assert {len(run.asset_selection or ()) for run in runs} == {len(loading())}


def test_all_days_of_all_accounts_are_a_run_per_account(daemon: Daemon) -> None:
    runs = daemon.runs_of(assetSelection=[{"path": path} for path in DAILY], allPartitions=True)

    run_keys = [asked_keys(run.tags, PARTITIONS.account_days) for run in runs]
    assert len(runs) == len(ACCOUNTS.names)
    assert sorted(key for listed in run_keys for key in listed) == sorted(
        map(str, PARTITIONS.account_days.get_partition_keys())
    )


@pytest.mark.parametrize("job", ["events", "reports"])
def test_from_failure_repeats_all_that_has_not_succeeded(daemon: Daemon, job: str) -> None:
    """Dagster's own leaves out what was canceled or never begun and is green, and fails on a range."""
    keys = days(("zoo", "acme", "bloom"), 20, 19) if job == "events" else ["zoo", "acme", "bloom"]
    by_account = {run.tags["klaviyo/account"]: run for run in daemon.runs_of(**of_job(job, keys))}
    daemon.instance.report_run_failed(by_account["zoo"])
    daemon.instance.report_run_canceled(by_account["acme"])
    daemon.succeed(by_account["bloom"])

    again = daemon.runs_of(**of_job(job, keys) | {"fromFailure": True})

    assert sorted(run.tags["klaviyo/account"] for run in again) == ["acme", "zoo"]


@pytest.mark.parametrize("way", ["job", "assets"])
def test_of_a_backfill_canceled_half_way_what_waits_is_ended_and_what_is_done_stays(daemon: Daemon, way: str) -> None:
    keys = days(("zoo", "acme", "bloom"), 23, 22)
    waiting = daemon.runs_of(**(of_job("events", keys) if way == "job" else of_assets(keys)))
    backfill_id = waiting[0].tags["dagster/backfill"]
    daemon.succeed(waiting[0])

    daemon.cancel(backfill_id)

    status = {run.run_id: run.status for run in daemon.runs(backfill_id)}
    assert status.pop(waiting[0].run_id) is dg.DagsterRunStatus.SUCCESS
    assert list(status.values()) == [dg.DagsterRunStatus.CANCELED] * 2


@pytest.mark.parametrize("has_runs", [True, False], ids=["with runs", "before any run"])
def test_from_failure_repeats_what_was_canceled_until_all_is_done(daemon: Daemon, has_runs: bool) -> None:
    keys = days(("zoo", "acme", "bloom"), 26, 25) if has_runs else days(("zoo", "acme", "bloom"), 29, 28)
    backfill_id = daemon.launch(**of_job("events", keys))
    if has_runs:
        assert daemon.errors_of_iteration() == []
        done = next(run for run in daemon.runs(backfill_id) if run.tags["klaviyo/account"] == "bloom")
        daemon.succeed(done)
    daemon.cancel(backfill_id)

    again = daemon.runs_of(**of_job("events", keys) | {"fromFailure": True})
    for run in again:
        daemon.succeed(run)
    last = daemon.launch(**of_job("events", keys) | {"fromFailure": True})
    for _ in range(2):
        assert daemon.errors_of_iteration() == []

    assert sorted(run.tags["klaviyo/account"] for run in again) == ["acme", *([] if has_runs else ["bloom"]), "zoo"]
    assert daemon.status(last) == "COMPLETED_SUCCESS"
    assert daemon.runs(last) == []


def test_an_account_that_is_gone_since_the_launch_fails_the_backfill_by_name(daemon: Daemon) -> None:
    """The last test: the daemon would try this backfill again."""
    backfill_id = daemon.launch(**of_job("events", days(("acme",), 2, 1)))
    launched = daemon.instance.get_backfill(backfill_id)
    assert launched
    assert launched.partition_names
    names = [*launched.partition_names, *days(("gone",), 2, 1)]
    daemon.instance.update_backfill(launched._replace(partition_names=names))

    (error,) = daemon.errors_of_iteration()

    assert "gone: no longer an account of this deployment" in error
    assert daemon.runs(backfill_id) == []
