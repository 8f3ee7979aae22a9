"""Backfills as the page launches them, through the real daemon: what was selected is made, one run per account.

A project of its own with two accounts. The daemon looks at backfills every half minute, so most are launched at
once, of different days. The parameters are those of the page's dialog (`LaunchAssetChoosePartitionsDialog`).
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

import pytest

from klaviyo_assets.sandbox import lifecycle
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.stages.keys import day_key, monday_of, range_tags, week_key
from klaviyo_assets_tests.e2e.dagster_dev import EVENT_CHAIN, DagsterDev, Run, days_between
from klaviyo_assets_tests.e2e.project import Project, run

SHOP = ("--accounts", "2", "--events-per-day", "20", "--days", "45")
END = "dagster/asset_partition_range_end"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass
class Backfill:
    """A backfill that was launched, and what was selected."""

    id: str
    keys: Sequence[Sequence[str]]
    partitions: Sequence[str]


@dataclass
class Served:
    """A project with two accounts under `dagster dev`, and the backfills that were launched there, by name."""

    project: Project
    dagster: DagsterDev
    backfills: dict[str, Backfill] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The accounts."""
        return self.project.accounts.names

    def days(self, first_ago: int, last_ago: int, accounts: Sequence[str] = ()) -> list[str]:
        """Keys of days of accounts (all by default), account by account, as the page lists them."""
        days = days_between(self.project.day(first_ago), self.project.day(last_ago))
        return [day_key(name, day) for name in accounts or self.names for day in days]

    def launch(self, name: str, what: str, partitions: Sequence[str], *, is_all: bool = False) -> None:
        """Launch a backfill of a job, or of the assets of the job `events` from an asset's page (`assets`)."""
        if what == "assets":
            backfill_id = self.dagster.backfill_of_assets(EVENT_CHAIN, None if is_all else partitions)
            self.backfills[name] = Backfill(backfill_id, EVENT_CHAIN, partitions)
        else:
            backfill_id = self.dagster.backfill_of_job(what, partitions)
            self.backfills[name] = Backfill(backfill_id, self.dagster.assets_of(what), partitions)

    def outcome(self, name: str) -> tuple[str, list[Run], dict[str, list[str]]]:
        """How a backfill ended, its runs, and of each asset what was made and not asked for, or the other way round."""
        backfill = self.backfills[name]
        status, runs = self.dagster.ended_backfill(backfill.id, 500)
        return status, runs, wrongly_made(backfill, self.dagster.made_by(runs))


def wrongly_made(wanted: Backfill, materialized_partitions: Mapping[str, set[str]]) -> dict[str, list[str]]:
    differences = {
        "/".join(key): set(wanted.partitions) ^ materialized_partitions.get("/".join(key), set()) for key in wanted.keys
    }
    return {asset: sorted(partitions) for asset, partitions in differences.items() if partitions}


def accounts_of(runs: Sequence[Run]) -> list[str]:
    """The accounts of runs, each of which is of one, as the queue has tagged it."""
    for ended_run in runs:
        assert len({end.partition("|")[0] for end in ended_run.account_and_days.split("..")}) == 1, ended_run
    return sorted(ended_run.tags["klaviyo/account"] for ended_run in runs)


def overlapping(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Runs of one account that were under way at once."""
    ordered = sorted(runs, key=lambda run: (run.account, run.ended))
    return [
        (before, after)
        for before, after in pairwise(ordered)
        if before.account == after.account and after.ended - after.seconds < before.ended - 0.5
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = Project.begin(tmp_path_factory.mktemp("backfills"), SHOP)
    with ExitStack() as stack:
        stack.callback(project.end)
        dagster = DagsterDev.begin(project)
        stack.callback(dagster.end)
        yield Served(project, dagster)


def clocks_change(project: Project) -> date:
    """A day of the shop's history that is not 24 hours long; a usual one in the months that have none."""
    account = project.account
    bounds = ((day, *account.day_bounds(day)) for day in (project.day(ago) for ago in range(16, 43)))
    return next((day for day, begin, end in bounds if end - begin != timedelta(days=1)), project.day(20))


@pytest.fixture(scope="module")
def at_once(served: Served) -> Served:
    """Backfills of different days, launched at once."""
    one_account = served.names[:1]
    changing = clocks_change(served.project)
    around = [changing + timedelta(days=ahead) for ahead in (-1, 0, 1)]
    served.launch("a job, two days of two accounts", "events", served.days(2, 1))
    served.launch("assets, two days of two accounts", "assets", served.days(4, 3))
    served.launch("a job, three days of one account", "events", served.days(7, 5, one_account))
    served.launch("assets, three days of one account", "assets", served.days(10, 8, one_account))
    served.launch("a job, a day of two accounts", "events", served.days(11, 11))
    served.launch("assets, a day of two accounts", "assets", served.days(12, 12))
    served.launch("a day on which clocks change", "events", [day_key(n, day) for n in served.names for day in around])
    for name in ("the same days at once", "the same days at once, again"):
        served.launch(name, "events", served.days(14, 13))
    served.launch("account tables", "dimensions", served.names)
    return served


OF_BOTH = (
    "a job, two days of two accounts", "assets, two days of two accounts", "a job, a day of two accounts",
    "assets, a day of two accounts", "a day on which clocks change", "the same days at once",
    "the same days at once, again", "account tables",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_BOTH)
def test_what_was_selected_of_both_accounts_is_made_in_a_run_each(at_once: Served, name: str) -> None:
    status, runs, wrong = at_once.outcome(name)

    assert wrong == {}
    assert (status, {run.status for run in runs}) == ("COMPLETED_SUCCESS", {"SUCCESS"})
    assert accounts_of(runs) == sorted(at_once.names)


@pytest.mark.parametrize("name", ["a job, three days of one account", "assets, three days of one account"])
def test_several_days_of_one_account_are_one_run(at_once: Served, name: str) -> None:
    status, runs, wrong = at_once.outcome(name)

    assert wrong == {}
    assert status == "COMPLETED_SUCCESS"
    assert accounts_of(runs) == at_once.names[:1]


def test_runs_of_one_account_waited_for_each_other(at_once: Served) -> None:
    runs = [run for name in OF_BOTH for run in at_once.outcome(name)[1]]

    assert overlapping(runs) == []


def test_reports_of_weeks_and_of_accounts_are_a_run_each(at_once: Served) -> None:
    served = at_once
    # Nothing can be reported before something was loaded.
    served.outcome("account tables")
    monday = monday_of(served.project.day(0)) - timedelta(days=7)
    weeks = [week_key(name, on) for name in served.names for on in (monday - timedelta(days=7), monday)]
    served.launch("reports", "reports", served.names)
    served.launch("weeks", "html_report", weeks)

    for name in ("reports", "weeks"):
        status, runs, wrong = served.outcome(name)
        assert wrong == {}, name
        assert status == "COMPLETED_SUCCESS", name
        assert accounts_of(runs) == sorted(served.names), name


def test_ranges_and_keys_typed_in_the_launchpad_are_made_or_fail(served: Served) -> None:
    first, last = served.names
    days = served.project.day(2), served.project.day(1)
    tags = {
        "both": range_tags(first, days[0], days[0]) | {END: day_key(last, days[1])},
        "one": range_tags(first, *days),
        "key": {"dagster/partition": day_key(last, days[0])},
        "backwards": range_tags(first, days[1], days[0]),
    }

    run_ids = {name: served.dagster.launch("events", given) for name, given in tags.items()}
    runs = served.dagster.ended_runs(lambda run: run.id in run_ids.values(), len(tags))
    by_name = {name: run for name, run_id in run_ids.items() for run in runs if run.id == run_id}

    wanted = {"both": served.days(2, 1), "one": served.days(2, 1, [first]), "key": served.days(2, 2, [last])}
    for name, partitions in wanted.items():
        assert by_name[name].status == "SUCCESS", name
        selected = Backfill("", EVENT_CHAIN, partitions)
        assert wrongly_made(selected, served.dagster.made_by([by_name[name]])) == {}, name
    assert by_name["backwards"].status == "FAILURE"


def test_all_partitions_of_all_accounts_are_made(served: Served) -> None:
    days = days_between(served.project.accounts.first_day, served.project.day(0))
    served.launch("all", "assets", [day_key(name, day) for name in served.names for day in days], is_all=True)

    status, runs, wrong = served.outcome("all")

    # Tomorrow is a partition too, wherever the day began first: up to two days ahead of an account's today.
    ahead = {day_key(name, served.project.day(-offset)) for name in served.names for offset in (1, 2)}
    assert {asset: left for asset, listed in wrong.items() if (left := set(listed) - ahead)} == {}
    assert status == "COMPLETED_SUCCESS"
    assert accounts_of(runs) == sorted(served.names)


def test_what_failed_for_s3_is_named_and_repeated_from_failure(served: Served) -> None:
    """While S3 is down, no day of either account is done; repeated, exactly these are."""
    partitions = served.days(18, 17)
    state = lifecycle.known_state(Folder(served.project.folder / ".sandbox"))
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.processes["s3"].identity.pid, signal.SIGKILL)
    served.launch("without S3", "events", partitions)

    status, runs, wrong = served.outcome("without S3")

    assert status == "COMPLETED_FAILED"
    assert accounts_of(runs) == sorted(served.names)
    assert wrong["bigquery/event"] == sorted(partitions)
    for failed in runs:
        description = served.dagster.failure_of(failed, "load_events")
        assert description.startswith("all 4 partitions failed:")
        own = [key for key in partitions if key.startswith(failed.account)]
        assert all(f"{table} [{key}]" in description for table in ("event", "attribution") for key in own)

    run(served.project.folder, "sandbox", "start")
    again = [served.dagster.repeat_from_failure(failed) for failed in runs]
    ended = served.dagster.ended_runs(lambda run: run.id in again, len(again))
    assert {one.status for one in ended} == {"SUCCESS"}
    assert wrongly_made(Backfill("", EVENT_CHAIN, partitions), served.dagster.made_by(ended)) == {}
