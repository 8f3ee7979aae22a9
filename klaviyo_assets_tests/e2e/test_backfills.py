"""Backfills as the page launches them, through the real daemon: what was selected is made, one run per account.

A project of its own with two accounts. Nothing is loaded before, so that what is made is what a backfill made. The
parameters are those of the page's dialogs (`LaunchAssetChoosePartitionsDialog` in dagster-webserver).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import pytest

from klaviyo_assets.partitions import day_key, monday_of, range_tags, week_key
from klaviyo_assets_tests.e2e.dagster_dev import EVENT_CHAIN, DagsterDev, Run, days_between
from klaviyo_assets_tests.e2e.project import Project

SHOP = ("--accounts", "2", "--events-per-day", "20", "--days", "45")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass
class Served:
    """A project with two accounts under `dagster dev`."""

    project: Project
    dagster: DagsterDev

    @property
    def names(self) -> list[str]:
        return self.project.accounts.names

    def days(self, first_ago: int, last_ago: int, accounts: Sequence[str] = ()) -> list[str]:
        """Keys of days of accounts, account by account, as the page lists them."""
        days = days_between(self.project.day(first_ago), self.project.day(last_ago))
        return [day_key(name, day) for name in accounts or self.names for day in days]

    def missing(self, keys: Sequence[Sequence[str]], partitions: Sequence[str], since: float) -> dict[str, list[str]]:
        """Of each asset, the partitions that were not materialized since a moment, and those nobody asked for."""
        wrong = {
            "/".join(key): sorted(set(partitions) ^ self.dagster.materialized_since(key, since)) for key in keys
        }  # fmt: skip
        return {key: listed for key, listed in wrong.items() if listed}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = Project.begin(tmp_path_factory.mktemp("backfills"), SHOP)
    with ExitStack() as stack:
        stack.callback(project.end)
        dagster = DagsterDev.begin(project)
        stack.callback(dagster.end)
        yield Served(project, dagster)


def accounts_of(runs: Sequence[Run]) -> list[str]:
    """The accounts of runs, each of which is of one, as the queue has tagged it."""
    for run in runs:
        ends = run.account_and_days.split("..")
        assert len({end.partition("|")[0] for end in ends}) == 1, run
    return sorted(run.tags["klaviyo/account"] for run in runs)


def overlapping(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Runs of one account that were under way at once."""
    ordered = sorted(runs, key=lambda run: (run.account, run.ended))
    return [
        (before, after)
        for before, after in pairwise(ordered)
        if before.account == after.account and after.ended - after.seconds < before.ended - 0.5
    ]


@pytest.mark.parametrize("way", ["job", "assets"])
@pytest.mark.parametrize(("first", "last"), [(2, 1), (4, 2), (3, 3)])
def test_every_day_of_both_accounts_is_made_in_one_run_each(served: Served, way: str, first: int, last: int) -> None:
    partitions, began = served.days(first, last), time.time()

    backfill = (
        served.dagster.backfill_of_job("events", partitions)
        if way == "job"
        else served.dagster.backfill_of_assets(EVENT_CHAIN, partitions)
    )
    status, runs = served.dagster.ended_backfill(backfill)

    assert (status, {run.status for run in runs}) == ("COMPLETED_SUCCESS", {"SUCCESS"})
    assert served.missing(EVENT_CHAIN, partitions, began) == {}
    assert accounts_of(runs) == sorted(served.names)


@pytest.mark.parametrize("way", ["job", "assets"])
def test_several_days_of_one_account_are_one_run(served: Served, way: str) -> None:
    partitions, began = served.days(5, 3, served.names[:1]), time.time()

    backfill = (
        served.dagster.backfill_of_job("events", partitions)
        if way == "job"
        else served.dagster.backfill_of_assets(EVENT_CHAIN, partitions)
    )
    status, runs = served.dagster.ended_backfill(backfill)

    assert status == "COMPLETED_SUCCESS"
    assert served.missing(EVENT_CHAIN, partitions, began) == {}
    assert accounts_of(runs) == served.names[:1]


@pytest.mark.parametrize("job", ["dimensions", "reports"])
def test_account_tables_and_reports_of_both_accounts_are_a_run_each(served: Served, job: str) -> None:
    began, keys = time.time(), served.dagster.assets_of(job)

    status, runs = served.dagster.ended_backfill(served.dagster.backfill_of_job(job, served.names))

    assert status == "COMPLETED_SUCCESS"
    assert served.missing(keys, served.names, began) == {}
    assert accounts_of(runs) == sorted(served.names)


def test_weekly_reports_of_both_accounts_are_all_made(served: Served) -> None:
    monday = monday_of(served.project.day(0)) - timedelta(days=7)
    partitions = [week_key(name, on) for name in served.names for on in (monday - timedelta(days=7), monday)]
    began = time.time()

    status, runs = served.dagster.ended_backfill(served.dagster.backfill_of_job("html_report", partitions))

    assert status == "COMPLETED_SUCCESS"
    assert served.missing([("html_report", "weekly")], partitions, began) == {}
    assert accounts_of(runs) == sorted(served.names)


def test_a_day_on_which_clocks_change_is_a_day(served: Served) -> None:
    account = served.project.account
    changing = next(
        day
        for day in (served.project.day(ago) for ago in range(44))
        if account.day_bounds(day)[1] - account.day_bounds(day)[0] != timedelta(days=1)
    )
    days = [changing + timedelta(days=offset) for offset in (-1, 0, 1)]
    partitions = [day_key(name, day) for name in served.names for day in days]
    began = time.time()

    status, _ = served.dagster.ended_backfill(served.dagster.backfill_of_job("events", partitions))

    assert status == "COMPLETED_SUCCESS"
    assert served.missing(EVENT_CHAIN, partitions, began) == {}


def test_a_range_over_both_accounts_typed_in_the_launchpad_makes_all_of_it(served: Served) -> None:
    first, last = served.names
    began, days = time.time(), (served.project.day(2), served.project.day(1))

    run_id = served.dagster.launch("events", _range(first, last, *days))
    (run,) = served.dagster.ended_runs(lambda run: run.id == run_id, 1)

    assert run.status == "SUCCESS"
    assert served.missing(EVENT_CHAIN, served.days(2, 1), began) == {}


def _range(first: str, last: str, first_day: date, last_day: date) -> dict[str, str]:
    start = "dagster/asset_partition_range_start"
    end = "dagster/asset_partition_range_end"
    return {start: day_key(first, first_day), end: day_key(last, last_day)}


def test_two_backfills_of_the_same_days_at_once_wait_for_each_other(served: Served) -> None:
    partitions, began = served.days(3, 2), time.time()

    backfills = [served.dagster.backfill_of_job("events", partitions) for _ in range(2)]
    ended = [served.dagster.ended_backfill(backfill) for backfill in backfills]

    assert {status for status, _ in ended} == {"COMPLETED_SUCCESS"}
    assert served.missing(EVENT_CHAIN, partitions, began) == {}
    assert overlapping([run for _, runs in ended for run in runs]) == []


def test_all_partitions_of_all_accounts_are_made(served: Served) -> None:
    every = [
        day_key(name, day)
        for name in served.names
        for day in days_between(served.project.accounts.first_day, served.project.day(0))
    ]
    began = time.time()

    status, runs = served.dagster.ended_backfill(served.dagster.backfill_of_assets(EVENT_CHAIN, None), 500)

    assert status == "COMPLETED_SUCCESS"
    made = served.dagster.materialized_since(("bigquery", "event"), began)
    assert set(every) <= made
    assert accounts_of(runs) == sorted(served.names)


def test_a_schedules_run_is_of_one_account_and_its_days(served: Served) -> None:
    name = served.names[0]
    began, days = time.time(), (served.project.day(3), served.project.day(1))

    run_id = served.dagster.launch("events", range_tags(name, *days))
    (run,) = served.dagster.ended_runs(lambda run: run.id == run_id, 1)

    assert (run.status, accounts_of([run])) == ("SUCCESS", [name])
    assert served.missing(EVENT_CHAIN, served.days(3, 1, [name]), began) == {}
