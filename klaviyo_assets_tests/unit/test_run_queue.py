"""Runs of one account are told apart in the queue, whoever started them."""

import contextlib
import shutil
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from klaviyo_assets.cli.project import instance
from klaviyo_assets.partitions import day_key, range_tags
from klaviyo_assets.run_queue import AccountQueue

ROOT = Path(__file__).parents[2]
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("somewhere"), "__repository__"), "idle")
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.op
def nothing() -> None:
    """An op of a job that is never run."""


@dg.job
def idle() -> None:
    """A job to make runs of."""
    nothing()


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """The instance that the project's dagster.yaml describes."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    with contextlib.chdir(tmp_path), instance() as made:
        yield made


def submitted(made, tags):
    run = made.create_run_for_job(idle, tags=tags, remote_job_origin=ORIGIN)
    queued = made.run_coordinator.submit_run(dg.SubmitRunContext(run, None))
    assert queued.status == dg.DagsterRunStatus.QUEUED
    return queued.tags.get("klaviyo/account")


def test_the_projects_instance_has_the_queue_and_its_limits(queue):
    assert isinstance(queue.run_coordinator, AccountQueue)
    limits = queue.get_concurrency_config().run_queue_config
    assert limits.max_concurrent_runs == 2
    (limit,) = limits.tag_concurrency_limits
    assert limit == {"key": "klaviyo/account", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/partition": "acme"},
        {"dagster/partition": "acme|2026-01-31"},
        {FIRST: "acme", LAST: "acme"},
        {FIRST: "acme|2026-01-01", LAST: "acme|2026-01-31"},
    ],
)
def test_a_run_that_a_person_or_a_backfill_started_is_tagged_with_its_account(queue, tags):
    assert submitted(queue, tags) == "acme"


@pytest.mark.parametrize("tags", [{}, {FIRST: "acme", LAST: "bloom"}, {FIRST: "a|2026-01-01", LAST: "b|2026-01-01"}])
def test_a_run_of_no_or_several_accounts_is_not(queue, tags):
    assert submitted(queue, tags) is None


def test_the_tag_of_a_schedule_stays(queue):
    assert submitted(queue, {"klaviyo/account": "bloom", "dagster/partition": "bloom"}) == "bloom"


def test_the_keys_are_those_of_the_partitions(queue):
    assert submitted(queue, range_tags("acme", date(2026, 1, 1), date(2026, 1, 9))) == "acme"
    assert submitted(queue, {"dagster/partition": day_key("acme", date(2026, 1, 1))}) == "acme"
