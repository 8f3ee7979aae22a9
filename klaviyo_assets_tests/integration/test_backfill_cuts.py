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
from klaviyo_assets.jobs import LOADING
from klaviyo_assets.partitions import Partitions, asked_keys, monday_of, week_key

ROOT = Path(__file__).parents[2]
TODAY = date.today()
ACCOUNTS = Accounts(
    {
        name: Account(name, f"klaviyo_{name}", start_date=TODAY - timedelta(days=30))
        for name in ("zoo", "acme", "bloom")
    },
    "a test",
)
PARTITIONS = Partitions.of(ACCOUNTS)
LAUNCH = """mutation($p:LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p)
{__typename ... on LaunchBackfillSuccess{backfillId} ... on PythonError{message}}}"""
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

    def errors_of_iteration(self) -> list[str]:
        """Let the daemon look at all backfills once; what went wrong."""
        found = execute_backfill_iteration(self.workspace, logging.getLogger("daemon"))
        return [str(error) for error in found if error]

    def runs_of(self, **parameters: Any) -> list[dg.DagsterRun]:
        """The runs of a backfill with these parameters, as they wait in the queue."""
        backfill_id = self.launch(**parameters)
        assert self.errors_of_iteration() == []
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id})))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("instance")
    shutil.copy(ROOT / "dagster.yaml", folder)
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="klaviyo_assets.definitions")
    origin = InProcessCodeLocationOrigin(target, location_name="klaviyo_assets")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.delenv("DAGSTER_HOME", raising=False)
        # Dagster resolves them when it plans a run; nothing is asked of these systems.
        for name in ("FIVETRAN_API_KEY", "FIVETRAN_API_SECRET", "POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
            patch.setenv(name, "not-asked")
        patch.setattr(definitions, "defs", definitions.build_definitions(accounts=ACCOUNTS))
        with instance() as made:
            assert made.run_coordinator, "the daemon has its queue before it cuts anything"
            with WorkspaceProcessContext(made, InProcessTestWorkspaceLoadTarget(origin)) as workspace:
                yield Daemon(made, workspace)


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
    found = daemon.runs_of(**(of_job("events", keys) if way == "job" else of_assets(keys)))

    asked = [asked_keys(run.tags, PARTITIONS.account_days) for run in found]
    assert len(found) == runs
    assert sorted(key for listed in asked for key in listed) == sorted(keys)
    for run, listed in zip(found, asked, strict=True):
        assert {key.partition("|")[0] for key in listed} == {run.tags["klaviyo/account"]}
        assert run.tags["klaviyo/started_by"] == "backfill"


@pytest.mark.parametrize("job", ["dimensions", "reports"])
def test_accounts_become_a_run_each(daemon: Daemon, job: str) -> None:
    found = daemon.runs_of(**of_job(job, ["zoo", "bloom"]))

    asked = [asked_keys(run.tags, PARTITIONS.accounts) for run in found]
    assert sorted(asked) == [["bloom"], ["zoo"]]
    assert sorted(run.tags["klaviyo/account"] for run in found) == ["bloom", "zoo"]


def test_weeks_become_a_run_per_account(daemon: Daemon) -> None:
    monday = monday_of(TODAY)
    keys = [week_key(name, monday - timedelta(days=7 * ago)) for name in ("zoo", "acme") for ago in (2, 1)]

    found = daemon.runs_of(**of_job("html_report", keys))

    assert len(found) == 2
    assert sorted(key for run in found for key in asked_keys(run.tags, PARTITIONS.account_weeks)) == sorted(keys)


def test_all_partitions_of_a_whole_chain_of_account_tables(daemon: Daemon) -> None:
    chain = [{"path": [stage, "campaign"]} for stage in LOADING]

    found = daemon.runs_of(assetSelection=chain, allPartitions=True)

    assert sorted(run.tags["klaviyo/account"] for run in found) == ["acme", "bloom", "zoo"]
    assert {len(run.asset_selection or ()) for run in found} == {len(LOADING)}


def test_all_days_of_all_accounts_are_a_run_per_account(daemon: Daemon) -> None:
    found = daemon.runs_of(assetSelection=[{"path": path} for path in DAILY], allPartitions=True)

    asked = [asked_keys(run.tags, PARTITIONS.account_days) for run in found]
    assert len(found) == len(ACCOUNTS.names)
    assert sorted(key for listed in asked for key in listed) == sorted(
        map(str, PARTITIONS.account_days.get_partition_keys())
    )


@pytest.mark.parametrize("job", ["events", "reports"])
def test_from_failure_repeats_all_that_has_not_succeeded(daemon: Daemon, job: str) -> None:
    """Dagster's own leaves out what was canceled or never begun and is green, and fails on a range."""
    keys = days(("zoo", "acme", "bloom"), 20, 19) if job == "events" else ["zoo", "acme", "bloom"]
    by_account = {run.tags["klaviyo/account"]: run for run in daemon.runs_of(**of_job(job, keys))}
    daemon.instance.report_run_failed(by_account["zoo"])
    daemon.instance.report_run_canceled(by_account["acme"])
    event = dg.DagsterEvent(DagsterEventType.PIPELINE_SUCCESS.value, job)
    daemon.instance.report_dagster_event(event, by_account["bloom"].run_id)

    again = daemon.runs_of(**of_job(job, keys) | {"fromFailure": True})

    assert sorted(run.tags["klaviyo/account"] for run in again) == ["acme", "zoo"]


def test_an_account_that_is_gone_since_the_launch_fails_the_backfill_by_name(daemon: Daemon) -> None:
    """The last test: the daemon would try this backfill again."""
    backfill_id = daemon.launch(**of_job("events", days(("acme",), 2, 1)))
    launched = daemon.instance.get_backfill(backfill_id)
    assert launched
    assert launched.partition_names
    names = [*launched.partition_names, *days(("gone",), 2, 1)]
    daemon.instance.update_backfill(launched._replace(partition_names=names))

    (error,) = daemon.errors_of_iteration()

    assert "gone: no account of this deployment any more" in error
    assert list(daemon.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id}))) == []
