"""`dagster dev` as `make ui` starts it: webserver and daemon, and questions to them in GraphQL.

Here: the processes, starting work, waiting for it. Not here: clicking (`pages.py`), and the project it serves
(`project.py`).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import httpx
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)  # fmt: skip

from klaviyo_assets.cli.project import instance
from klaviyo_assets.stages.keys import day_key
from klaviyo_assets_tests.e2e.project import BIN, Project, bare_environment

LOCATION = "klaviyo_assets"
REPOSITORY = "__repository__"
# What the page adds to everything it launches.
_UI_TAGS = [{"key": "dagster/from_ui", "value": "true"}]
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
EVENT_CHAIN = (
    ("extracted", "event"), ("mapped", "event"), ("mapped", "attribution"), ("s3_archive", "event"),
    ("s3_archive", "attribution"), ("bigquery", "event"), ("bigquery", "attribution"),
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run as the UI lists it."""

    id: str
    job: str
    status: str
    tags: dict[str, str]
    seconds: float
    ended: float

    @property
    def account(self) -> str:
        """The account it is of."""
        return self.account_and_days.partition("|")[0]

    @property
    def account_and_days(self) -> str:
        """What it was started for, as its tags say."""
        first = self.tags.get("dagster/asset_partition_range_start")
        return f"{first}..{self.tags['dagster/asset_partition_range_end']}" if first else self.tags["dagster/partition"]


@dataclass
class DagsterDev:
    """The running processes, and what can be asked of them."""

    url: str
    process: subprocess.Popen[bytes]

    @classmethod
    def begin(
        cls, project: Project, exported: Mapping[str, str] | None = None, program: str = "dagster"
    ) -> "DagsterDev":
        """Start in the project's folder; returns when the code location is served.

        Args:
            project: Its folder is what counts.
            exported: What the shell exports beyond the ordinary.
            program: `dagster`, or `dg`.
        """
        port = _free_port()
        with (project.folder / "dagster_dev.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / program, "dev", "--host", "127.0.0.1", "--port", str(port)],
                cwd=project.folder, env=bare_environment() | dict(exported or {}), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        started = cls(f"http://127.0.0.1:{port}", process)
        wait(started._serves_the_location, 120, "the webserver to serve the code location")
        return started

    def end(self) -> None:
        """End all its processes; what does not go by itself is killed."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=20)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The `data` of a GraphQL answer."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def _serves_the_location(self) -> bool:
        assert self.process.poll() is None, "dagster dev ended while it started; see dagster_dev.log"
        try:
            answer = self.ask("{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}")
        except httpx.TransportError:
            return False
        return any(node["location"]["name"] == LOCATION for node in answer["repositoriesOrError"].get("nodes", []))

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        nodes = self.ask(
            "{runsOrError(limit:200){... on Runs{results{runId jobName status startTime endTime tags{key value}}}}}"
        )["runsOrError"]["results"]
        return [
            Run(
                node["runId"], node["jobName"], node["status"], {tag["key"]: tag["value"] for tag in node["tags"]},
                (node["endTime"] or 0) - (node["startTime"] or 0), node["endTime"] or 0,
            )
            for node in nodes
        ]  # fmt: skip

    def ended_runs(self, which: Callable[[Run], bool], at_least: int, seconds: float = 120) -> list[Run]:
        """Wait until so many runs of a kind are there and all of them have ended.

        Args:
            which: The kind.
            at_least: How many.
            seconds: How long to wait at most.
        """
        runs: list[Run] = []

        def all_ended() -> bool:
            runs[:] = [one for one in self.runs() if which(one)]
            return len(runs) >= at_least and all(one.status in ENDED for one in runs)

        wait(all_ended, seconds, f"{at_least} run(s) to end")
        return runs

    def settle(self, seconds: float = 240) -> None:
        """Wait until all runs have ended, and each account's last load has its run of reports, by the sensor."""

        def is_settled() -> bool:
            runs = self.runs()
            reported = {run.tags.get("dagster/run_key") for run in runs if run.job == "reports"}
            # The command line restates reports itself, in runs of no job.
            loads = [run for run in runs if run.job in {"events", "dimensions", "__ASSET_JOB"} and not _of_cli(run)]
            last = {run.account: run for run in sorted(loads, key=lambda run: run.ended)}
            wanted = {f"after-{run.id}-{account}" for account, run in last.items()}
            return wanted <= reported and all(run.status in ENDED for run in runs)

        wait(is_settled, seconds, "all runs and their reports to end")

    def launch(self, job: str, tags: dict[str, str]) -> str:
        """Launch a job for the partition or range that tags name, as the launchpad does; the run's id."""
        mutation = (
            "mutation($p:ExecutionParams!){launchPipelineExecution(executionParams:$p)"
            "{__typename ... on LaunchRunSuccess{run{runId}} ... on PythonError{message}}}"
        )
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": metadata}
        answer = self.ask(mutation, p=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def backfill(self, keys: Iterable[Sequence[str]], account: str, first: date, last: date) -> str:
        """Launch a backfill of some assets for a range of an account's days; its id."""
        days = {"range": {"start": day_key(account, first), "end": day_key(account, last)}}
        chosen = [{"assetKey": {"path": list(key)}, "partitions": days} for key in keys]
        return self._launch_backfill({"partitionsByAssets": chosen})

    def backfill_of_assets(self, keys: Iterable[Sequence[str]], partitions: Sequence[str] | None) -> str:
        """Launch a backfill as the dialog of an asset's page does, for some partitions or (None) for all; its id."""
        chosen = {"assetSelection": [{"path": list(key)} for key in keys], "tags": _UI_TAGS}
        every = {"allPartitions": True}
        return self._launch_backfill(
            chosen | ({"partitionNames": list(partitions), "fromFailure": False} if partitions else every)
        )

    def backfill_of_job(self, job: str, partitions: Sequence[str]) -> str:
        """Launch a backfill as the dialog of a job's page does; its id."""
        repository = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}
        return self._launch_backfill({
            "selector": {"partitionSetName": f"{job}_partition_set", "repositorySelector": repository},
            "assetSelection": [{"path": path} for path in self.assets_of(job)],
            "partitionNames": list(partitions), "fromFailure": False, "tags": _UI_TAGS,
        })  # fmt: skip

    def assets_of(self, job: str) -> list[list[str]]:
        """The keys of a job's assets."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "pipelineName": job}
        query = "query($p:PipelineSelector!){assetNodes(pipeline:$p){assetKey{path} isMaterializable}}"
        nodes = self.ask(query, p=selector)["assetNodes"]
        return [node["assetKey"]["path"] for node in nodes if node["isMaterializable"]]

    def _launch_backfill(self, parameters: Mapping[str, Any]) -> str:
        mutation = (
            "mutation($p:LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p)"
            "{__typename ... on LaunchBackfillSuccess{backfillId} ... on PythonError{message}}}"
        )
        answer = self.ask(mutation, p=parameters)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def ended_backfill(self, backfill_id: str, seconds: float = 240) -> tuple[str, list[Run]]:
        """Wait until a backfill and its runs have ended; how it ended, and its runs."""
        wait(
            lambda: self.backfill_status(backfill_id) not in {"REQUESTED", "CANCELING", "FAILING"}, seconds,
            f"the backfill {backfill_id} to end",
        )  # fmt: skip
        runs = self.ended_runs(lambda run: run.tags.get("dagster/backfill") == backfill_id, 1, seconds)
        return self.backfill_status(backfill_id), runs

    def made_by(self, runs: Iterable[Run]) -> dict[str, set[str]]:
        """The partitions of each asset that runs have materialized."""
        query = "query($r:ID!){runOrError(runId:$r){... on Run{assetMaterializations{assetKey{path} partition}}}}"
        partitions: dict[str, set[str]] = {}
        for run in runs:
            for materialization in self.ask(query, r=run.id)["runOrError"]["assetMaterializations"]:
                partitions.setdefault("/".join(materialization["assetKey"]["path"]), set()).add(
                    materialization["partition"]
                )
        return partitions

    def failure_of(self, run: Run, step: str) -> str:
        """What a step of a run says of its failure."""
        query = (
            "query($r:ID!){logsForRun(runId:$r,limit:1000){... on EventConnection{events{... on "
            "ExecutionStepFailureEvent{stepKey failureMetadata{description}}}}}}"
        )
        events = self.ask(query, r=run.id)["logsForRun"]["events"]
        (description,) = [one["failureMetadata"]["description"] for one in events if one.get("stepKey") == step]
        return str(description)

    def repeat_from_failure(self, run: Run) -> str:
        """Re-execute a run from failure, as the button on its page does; the new run's id."""
        mutation = (
            "mutation($p:ReexecutionParams){launchRunReexecution(reexecutionParams:$p)"
            "{__typename ... on LaunchRunSuccess{run{runId}} ... on PythonError{message}}}"
        )
        params = {"parentRunId": run.id, "strategy": "FROM_FAILURE"}
        answer = self.ask(mutation, p=params)["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def backfill_status(self, backfill_id: str) -> str:
        """As the UI shows it: REQUESTED, COMPLETED_SUCCESS, ..."""
        query = "query($id:String!){partitionBackfillOrError(backfillId:$id){... on PartitionBackfill{status}}}"
        return str(self.ask(query, id=backfill_id)["partitionBackfillOrError"]["status"])

    def materialized_days(self, key: Sequence[str]) -> set[date]:
        """The days of a daily asset that are materialized, of the one account there is."""
        query = (
            "query($k:AssetKeyInput!){assetNodeOrError(assetKey:$k){... on AssetNode{assetPartitionStatuses{"
            "... on MultiPartitionStatuses{ranges{primaryDimStartKey primaryDimEndKey "
            "secondaryDim{... on DefaultPartitionStatuses{materializedPartitions}}}}}}}}"
        )
        spans = self.ask(query, k={"path": list(key)})["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
        return {day for span in spans if span["secondaryDim"]["materializedPartitions"] for day in _days_of(span)}

    def check_verdicts(self, key: Sequence[str], check: str) -> dict[str, str]:
        """The newest verdict of a check by partition."""
        query = (
            "query($k:AssetKeyInput!,$c:String!){assetCheckExecutions(assetKey:$k,checkName:$c,limit:500)"
            "{status evaluation{partition}}}"
        )
        executions = self.ask(query, k={"path": list(key)}, c=check)["assetCheckExecutions"]
        return {one["evaluation"]["partition"]: one["status"] for one in reversed(executions) if one["evaluation"]}

    def start_sensor(self, name: str) -> None:
        """Turn a sensor on, as its switch in the UI does."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "sensorName": name}
        mutation = "mutation($s:SensorSelector!){startSensor(sensorSelector:$s){__typename}}"
        assert self.ask(mutation, s=selector)["startSensor"]["__typename"] == "Sensor"

    def ticks(self, schedule: str) -> list[dict[str, Any]]:
        """A schedule's ticks, the newest first: status, and the runs it started."""
        query = (
            "query($s:ScheduleSelector!){scheduleOrError(scheduleSelector:$s){... on Schedule{"
            "scheduleState{status ticks{status runIds timestamp error{message}}}}}}"
        )
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "scheduleName": schedule}
        ticks: list[dict[str, Any]] = self.ask(query, s=selector)["scheduleOrError"]["scheduleState"]["ticks"]
        return ticks

    def sensor_ticks(self, sensor: str) -> list[dict[str, Any]]:
        """A sensor's ticks, the newest first: status, and the runs it started."""
        query = (
            "query($s:SensorSelector!){sensorOrError(sensorSelector:$s){... on Sensor{"
            "sensorState{ticks(limit:50){status runIds timestamp error{message}}}}}}"
        )
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "sensorName": sensor}
        ticks: list[dict[str, Any]] = self.ask(query, s=selector)["sensorOrError"]["sensorState"]["ticks"]
        return ticks

    def kill(self) -> None:
        """Webserver, daemon, code server and runs end at once, in the middle of whatever they do."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)


def _of_cli(run: Run) -> bool:
    return run.tags.get("klaviyo/started_by") == "cli"


def turn_on_schedules(project: Project, schedules: Iterable[dg.ScheduleDefinition], since: datetime) -> None:
    """Leave a project's Dagster instance as if these schedules were turned on at a past moment and the daemon was down.

    The daemon then finds the ticks that they missed, so that no test waits for five in the morning.
    """
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    # The instance belongs to the folder that a command is run in.
    with contextlib.chdir(project.folder), instance() as project_instance:
        for schedule in schedules:
            data = ScheduleInstigatorData(schedule.cron_schedule, since.timestamp())
            schedule_origin = origin.get_instigator_origin(schedule.name)
            project_instance.add_instigator_state(
                InstigatorState(schedule_origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
            )


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last, inclusive."""
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


def wait(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask every half second until it is done; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.5)


def _days_of(span: Mapping[str, Any]) -> set[date]:
    """The days from its first to its last; time is the first dimension of Dagster's statuses."""
    return set(days_between(*(date.fromisoformat(span[f"primaryDim{end}Key"]) for end in ("Start", "End"))))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
