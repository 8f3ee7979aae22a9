"""Noticing runs whose process is gone, which Dagster's own launcher of local runs never checks.

Here: the run launcher that `dagster.yaml` names. Not here: the queue (`defs/run_queue.py`), and how soon Dagster looks
and marks a run as failed (`run_monitoring` in `dagster.yaml`).

When a machine goes down, or `dagster dev` is ended by `kill -9`, its runs would stay "in progress" for ever. As only
one run at a time writes an account, no run of that account would leave the queue again.
"""

import os
import socket

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

# The process of a run that no code server executes, as `host:pid`.
PROCESS_TAG = "klaviyo/process"


def this_process() -> str:
    """This process, in the form of `PROCESS_TAG`."""
    return f"{socket.gethostname()}:{os.getpid()}"


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs in the code server, and checks whether they are still being executed there.

    A run counts as gone only if that is certain: its code server can no longer be reached at its address or does not
    know the run, or its process on this machine has ended.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask: it may."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run that is in progress still exists."""
        if PROCESS_TAG in run.tags:
            return _of_process(run.tags[PROCESS_TAG])
        if GRPC_INFO_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "nothing is known about its process")
        return self._of_server(run)

    def _of_server(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        from dagster._core.errors import DagsterUserCodeUnreachableError
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return CheckRunHealthResult(WorkerStatus.SUCCESS, "it has ended")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10)
        except DagsterUserCodeUnreachableError as error:
            code = getattr(error.__cause__, "code", lambda: None)()
            if getattr(code, "name", None) == "UNAVAILABLE":
                return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that executed it is gone")
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"its code server is slow to answer: {error}")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server does not execute it any more")


def _of_process(place: str) -> CheckRunHealthResult:
    host, _, number = place.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"its process runs on {host}")
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {number} is gone")
    except PermissionError:
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"its process {number} is another user's")
    return CheckRunHealthResult(WorkerStatus.RUNNING)
