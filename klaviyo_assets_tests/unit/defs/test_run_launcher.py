"""A run in progress whose process is gone is told from one that goes on."""

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from contextlib import chdir

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.run_launcher import PROCESS_TAG, LocalRunLauncher, this_process
from klaviyo_assets_tests.checkout import ROOT


@dg.job
def idle() -> None:
    """A job to make runs of."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The instance that the project's dagster.yaml describes."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    with chdir(tmp_path), instance() as project_instance:
        yield project_instance


def in_progress(dagster_instance, tags):
    return dagster_instance.create_run_for_job(idle, tags=tags, status=dg.DagsterRunStatus.STARTED)


def health(dagster_instance, tags):
    assert isinstance(dagster_instance.run_launcher, LocalRunLauncher)
    return dagster_instance.run_launcher.check_run_worker_health(in_progress(dagster_instance, tags)).status


def process_that_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"{socket.gethostname()}:{ended.pid}"


def server_that_is_gone():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return json.dumps({"host": "127.0.0.1", "port": free.getsockname()[1]})


def test_a_process_that_ended_is_gone_and_this_one_is_not(project):
    assert health(project, {PROCESS_TAG: process_that_ended()}) is WorkerStatus.FAILED
    assert health(project, {PROCESS_TAG: this_process()}) is WorkerStatus.RUNNING


def test_what_cannot_be_known_is_left_alone(project):
    assert health(project, {PROCESS_TAG: f"another-machine:{os.getpid()}"}) is WorkerStatus.RUNNING
    assert health(project, {}) is WorkerStatus.RUNNING


def test_a_code_server_that_cannot_be_reached_executes_nothing(project):
    assert health(project, {GRPC_INFO_TAG: server_that_is_gone()}) is WorkerStatus.FAILED


def test_the_daemon_marks_such_a_run_as_failed_and_leaves_the_others(project):
    gone = in_progress(project, {GRPC_INFO_TAG: server_that_is_gone()})
    killed = in_progress(project, {PROCESS_TAG: process_that_ended()})
    alive = in_progress(project, {PROCESS_TAG: this_process()})

    class Context:
        """What run monitoring asks for besides the workspace, which it does not need here."""

        instance = project

        def create_request_context(self):
            return None

    list(execute_run_monitoring_iteration(Context(), logging.getLogger("test")))

    statuses = [project.get_run_by_id(run.run_id).status.value for run in (gone, killed, alive)]
    assert statuses == ["FAILURE", "FAILURE", "STARTED"]
