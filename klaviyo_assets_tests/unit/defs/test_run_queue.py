"""Runs of one account are told apart in the queue, whoever started them."""

import contextlib
import shutil
from datetime import date

import dagster as dg
import pytest
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.execution.api import create_execution_plan
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.partitions import asked_keys
from klaviyo_assets.defs.run_queue import AccountQueue, ranges_by_account
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.stages.keys import day_key, range_tags
from klaviyo_assets_tests.checkout import ROOT

ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("somewhere"), "__repository__"), "idle")
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.op
def nothing() -> None:
    """An op of a job that is never run."""


@dg.job
def idle() -> None:
    """A job to make runs of."""
    nothing()


@dg.job
def stages() -> None:
    """A job of two steps."""
    nothing.alias("extract")()
    nothing.alias("load")()


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """The instance that the project's dagster.yaml describes; making its databases takes longer than a test."""
    folder = tmp_path_factory.mktemp("instance")
    shutil.copy(ROOT / "dagster.yaml", folder)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.delenv("DAGSTER_HOME", raising=False)
        with instance() as project_instance:
            yield project_instance


def submitted(dagster_instance, tags):
    run = dagster_instance.create_run_for_job(idle, tags=tags, remote_job_origin=ORIGIN)
    queued = dagster_instance.run_coordinator.submit_run(dg.SubmitRunContext(run, None))
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


ACCOUNTS = ("zoo", "acme", "bloom")
DAYS = dg.MultiPartitionsDefinition({
    "account": dg.StaticPartitionsDefinition(ACCOUNTS),
    "date": dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-15"),
})  # fmt: skip
EVERY = [str(key) for key in DAYS.get_partition_keys()]


def cut(keys):
    return [(str(found.start), str(found.end)) for found in ranges_by_account(DefaultPartitionsSubset(set(keys)), DAYS)]


def test_two_days_of_two_accounts_are_cut_by_account():
    """Dagster's own cut is a run per day of both accounts."""
    chosen = [f"{name}|2026-03-0{day}" for name in ("zoo", "acme") for day in (1, 2)]
    assert cut(chosen) == [
        ("zoo|2026-03-01", "zoo|2026-03-02"), ("acme|2026-03-01", "acme|2026-03-02"),
    ]  # fmt: skip


@given(st.sets(st.sampled_from(EVERY), min_size=1))
def test_the_runs_of_a_selection_make_all_of_it_and_nothing_else_each_of_one_account(chosen):
    ranges = cut(chosen)
    keys = [key for first, last in ranges for key in asked_keys({FIRST: first, LAST: last}, DAYS)]
    assert all(first.partition("|")[0] == last.partition("|")[0] for first, last in ranges)
    # In the order of the page's selection: the daemon goes on after the last key that it has submitted.
    assert keys == [key for key in EVERY if key in chosen]


def test_an_account_that_is_gone_since_the_backfill_was_launched_fails_it_by_name():
    with pytest.raises(PermanentError, match="gone: no longer an account of this deployment"):
        cut(["gone|2026-03-01", "acme|2026-03-01"])


def test_other_partitions_are_cut_as_dagster_cuts_them():
    names = dg.StaticPartitionsDefinition(ACCOUNTS)
    (key_range,) = ranges_by_account(DefaultPartitionsSubset({"zoo", "acme"}), names)
    assert (key_range.start, key_range.end) == ("zoo", "acme")


@pytest.mark.parametrize("tag", ["dagster/is_resume_retry", "dagster/is_asset_resume_retry"])
def test_what_is_repeated_from_failure_is_the_whole_run(queue, tag):
    """The step that failed is the last one, for what any step could not do."""
    parent = queue.create_run_for_job(stages, tags={"dagster/partition": "acme"}, remote_job_origin=ORIGIN)
    last_step = create_execution_plan(stages, step_keys_to_execute=["load"])
    again = queue.create_run_for_job(
        stages, last_step, tags={"dagster/partition": "acme", tag: "true"}, remote_job_origin=ORIGIN,
        parent_run_id=parent.run_id, root_run_id=parent.run_id,
    )  # fmt: skip
    assert again.step_keys_to_execute == ["load"]

    queued = queue.run_coordinator.submit_run(dg.SubmitRunContext(again, None))

    assert (queued.step_keys_to_execute, queued.execution_plan_snapshot_id) == (
        parent.step_keys_to_execute, parent.execution_plan_snapshot_id,
    )  # fmt: skip
    assert queued.tags["klaviyo/account"] == "acme"
    assert queued.status == dg.DagsterRunStatus.QUEUED
