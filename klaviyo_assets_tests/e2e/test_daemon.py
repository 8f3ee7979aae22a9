"""The real daemon and syncs that somebody else starts: noticed in time, done once, and whole after every kill.

A project of its own: its account is loaded first, so that all that runs is what a sync changed. Changes come from
the simulated shop, by way of the sandbox's Fivetran. Not here: what planning finds (`test_planning.py`).
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from klaviyo_assets.defs.automation.sensors import INTERVAL_SECONDS
from klaviyo_assets.sandbox.fivetran.shop import KINDS
from klaviyo_assets_tests.e2e.dagster_dev import DagsterDev, Run, days_between, wait
from klaviyo_assets_tests.e2e.project import Project, run

SENSOR = "fivetran_syncs"
# A run is first seen by the daemon's own loop, and a loaded machine is slower than that.
PATIENCE = 4 * INTERVAL_SECONDS
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass
class Watched:
    """A project under the daemon, everything of it loaded and the sensor on."""

    project: Project
    dagster: DagsterDev

    def syncs(self, *incidents: tuple[str, int], mode: str = "incremental") -> datetime:
        """Incidents befall the shop, and somebody else syncs; when the sync had ended."""
        for kind, count in incidents:
            self._tell("POST", "/incidents", {"kind": kind, "count": count, "days": 20})
        if mode != "incremental":
            self._tell("PATCH", "", {"mode": mode})
        run(self.project.folder, "sync", seconds=600)
        return datetime.now(UTC)

    def _tell(self, method: str, path: str, wanted: dict[str, Any]) -> None:
        """Turn a switch of the account's connection in the sandbox."""
        settings = self.project.settings
        api = settings["FIVETRAN_API_URL"].partition("/v1")[0]
        answer = httpx.request(
            method, f"{api}/sandbox/connections/{self.project.account.fivetran_connection_id}{path}", json=wanted,
            auth=(settings["FIVETRAN_API_KEY"], settings["FIVETRAN_API_SECRET"]), timeout=30,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text

    def wrong_tables(self) -> list[str]:
        """The tables that are not as they are once every day has been made again from Postgres."""
        kept, first = self.project.table_hashes(), self.project.account.start_date.isoformat()
        run(self.project.folder, "run", "--no-sync", "--start", first, seconds=600)
        again = self.project.table_hashes()
        return sorted(name for name in kept | again if kept.get(name) != again.get(name))

    def written(self) -> set[date]:
        """The days of the events that the newest sync wrote."""
        account = self.project.account
        query = sql.SQL(
            "SELECT DISTINCT (datetime AT TIME ZONE {zone})::date FROM {table} WHERE _fivetran_synced = "
            "(SELECT max(_fivetran_synced) FROM {table})"
        ).format(zone=sql.Literal(account.timezone), table=sql.Identifier(account.postgres_schema, "event"))
        with psycopg.connect(self.project.settings["POSTGRES_URL"]) as connection:
            return {day for (day,) in connection.execute(query)}

    def ticks(self) -> list[dict[str, Any]]:
        """The sensor's ticks, the newest first."""
        return self.dagster.sensor_ticks(SENSOR)

    def await_tick(self, after: float, *, with_runs: bool = False) -> dict[str, Any]:
        """The first tick that began after a moment (and started runs)."""
        ticks: list[dict[str, Any]] = []

        def is_there() -> bool:
            ticks[:] = [
                tick for tick in self.ticks() if tick["timestamp"] > after and (tick["runIds"] or not with_runs)
            ]
            return bool(ticks)

        wait(is_there, PATIENCE, "a tick of the sensor")
        return ticks[-1]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    project = Project.begin(tmp_path_factory.mktemp("daemon"))
    with ExitStack() as stack:
        stack.callback(project.end)
        run(project.folder, "run", "--no-sync", seconds=600)
        watched_daemon = Watched(project, DagsterDev.begin(project))
        # The one that runs at the end: some are killed on the way.
        stack.callback(lambda: watched_daemon.dagster.end())
        watched_daemon.dagster.start_sensor(SENSOR)
        watched_daemon.await_tick(0)
        watched_daemon.dagster.settle()
        yield watched_daemon


def requested(runs: list[Run]) -> dict[str, set[date]]:
    """The days that runs of the sensor are of: `events`, and `attribution` where only credits are made again."""
    days: dict[str, set[date]] = {"events": set(), "attribution": set()}
    for sensor_run in runs:
        if sensor_run.job == "events":
            first, last = (
                date.fromisoformat(key.rpartition("|")[2]) for key in sensor_run.account_and_days.split("..")
            )
            only = sensor_run.tags["klaviyo/reason"] in {
                "touches of a changed day",
                "receipts of the day's people arrived late",
            }
            days["attribution" if only else "events"] |= set(days_between(first, last))
    return days


def of_sensor(run: Run) -> bool:
    return run.tags.get("klaviyo/started_by") == SENSOR


def test_what_is_loaded_already_starts_nothing(watched: Watched) -> None:
    assert [one for one in watched.dagster.runs() if of_sensor(one)] == []


def test_a_sync_of_somebody_else_is_noticed_within_an_interval_and_runs_what_it_changed(watched: Watched) -> None:
    ended = watched.syncs(("late_events", 4), ("edit_events", 2))

    noticed = watched.await_tick(ended.timestamp() - 1, with_runs=True)
    assert noticed["timestamp"] - ended.timestamp() <= INTERVAL_SECONDS + 15, "an interval, and the daemon's own loop"
    watched.dagster.settle(900)

    runs = [one for one in watched.dagster.runs() if one.id in noticed["runIds"]]
    days = requested(runs)
    assert days["events"] == watched.written()
    reach = watched.project.account.attribution.longest_window.days
    assert all(any(0 < (day - changed).days <= reach + 40 for changed in days["events"]) for day in days["attribution"])
    assert {one.status for one in runs} == {"SUCCESS"}


def test_the_next_ticks_do_nothing(watched: Watched) -> None:
    before = [one.id for one in watched.dagster.runs()]

    watched.await_tick(watched.await_tick(time.time())["timestamp"])

    assert [one.id for one in watched.dagster.runs()] == before


@pytest.mark.parametrize("seconds", [0, 4, 10])
def test_killed_between_any_two_steps_it_loses_and_doubles_nothing(watched: Watched, seconds: float) -> None:
    """After the next sync everything is as if all had been made anew."""
    ended = watched.syncs(("late_events", 6), ("delete_events", 1), ("merge_persons", 1))
    watched.await_tick(ended.timestamp() - 1, with_runs=True)
    time.sleep(seconds)
    watched.dagster.kill()

    watched.dagster = DagsterDev.begin(watched.project)
    again = watched.syncs(("late_events", 1))
    watched.await_tick(again.timestamp() - 1, with_runs=True)
    watched.dagster.settle(900)

    assert watched.wrong_tables() == []


@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_of_syncs_leaves_what_a_rebuild_gives(watched: Watched, seed: int) -> None:
    """As `properties/test_incremental.py`, through the real servers and the daemon; compared after each sync."""
    dice = random.Random(seed)
    for mode in ("incremental", dice.choice(("incremental", "resync", "reload")), "incremental"):
        befallen = [(kind, dice.randint(1, 5)) for kind in dice.sample(KINDS, 4)]
        ended = watched.syncs(("late_events", 1), *befallen, mode=mode)
        watched.await_tick(ended.timestamp() - 1, with_runs=True)
        watched.dagster.settle(900)
        assert watched.wrong_tables() == [], (mode, befallen)
