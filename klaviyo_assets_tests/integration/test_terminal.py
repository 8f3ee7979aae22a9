"""What a person at a terminal sees of `run`, what a program reads of it, and what Ctrl-C leaves behind."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.cli.project import instance
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox, environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployment(tmp_path_factory) -> Iterator[Deployment]:
    """An account with two days of events, on servers of its own."""
    account = Sandbox.of_session().copy_account("acme", "terminal", last_days=1)
    with dg.DagsterInstance.ephemeral() as dagster_instance:
        yield Deployment(Sandbox.of_session(), account, dagster_instance, prefix="terminal")


def at_a_terminal(deployment: Deployment, folder, *arguments: str) -> tuple[int, str]:
    """Exit code and everything on the screen, 80 columns wide, of a command with a terminal of its own."""
    deployment.changes["KLAVIYO_ACCOUNTS_FILE"] = str(deployment.accounts_file(folder))
    ours, theirs = pty.openpty()
    told = {name: value for name, value in deployment.variables.items() if value is not None}
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
    code = "from klaviyo_assets.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**kept, **told, "TERM": "xterm-256color", "COLUMNS": "80", "LANG": "C.UTF-8"},
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        # The terminal is gone when the last process that has it is.
        while chunk := _read(ours):
            seen += chunk
        os.close(ours)
    return process.returncode, seen.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def test_on_a_terminal_the_stages_of_a_run_are_seen_growing(deployment, tmp_path):
    code, seen = at_a_terminal(deployment, tmp_path, "run", "--no-sync")

    assert code == 0, seen
    assert "━" in seen
    assert "terminal: events of" in seen
    assert "2/2" in seen
    assert " left" in seen
    assert "Done" in seen


def test_piped_it_is_plain_and_programs_read_a_document(deployment, tmp_path):
    process = deployment.process(tmp_path, "run", "--no-sync", "--json", "--start", str(deployment.account.start_date))
    out, stderr = process.communicate(timeout=200)
    document = json.loads(out)

    assert process.returncode == 0
    assert "\x1b" not in out + stderr
    assert "━" not in stderr
    assert document["ok"]
    (account,) = document["accounts"]
    assert account["days"][0]["first"] == str(deployment.account.start_date)
    by_stage = {stage["stage"]: stage for stage in document["stages"]}
    assert by_stage["bigquery"]["rows"] == by_stage["mapped"]["rows"] > 0


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(deployment, tmp_path):
    process = deployment.process(tmp_path, "run", "--dry-run", "--start", str(deployment.account.start_date))
    out, _ = process.communicate(timeout=200)

    assert process.returncode == 0
    assert out.startswith(f"terminal: would load events of {deployment.account.start_date}")
    assert not (tmp_path / ".dagster" / "runs").exists() or not list((tmp_path / ".dagster" / "runs").iterdir())


def test_ctrl_c_ends_it_with_one_line_and_calls_the_run_canceled(deployment, tmp_path):
    process = deployment.process(tmp_path, "run", "--no-sync", "--start", str(deployment.account.start_date))
    _await_frames(deployment, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)

    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1].startswith("Stopped. What was loaded stays")
    assert "Traceback" not in stderr
    assert _last_run(deployment, tmp_path) == dg.DagsterRunStatus.CANCELED


def _await_frames(deployment: Deployment, process) -> None:
    """Until a day was read, and is to be mapped, archived and loaded."""
    days = Path(deployment.variables["KLAVIYO_FRAMES_URL"]) / "extracted" / deployment.account.name / "event"
    while process.poll() is None and not list(days.glob("20*/record.json")):
        time.sleep(0.01)


def _last_run(deployment: Deployment, folder) -> dg.DagsterRunStatus:
    with environment(deployment.variables), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with instance() as project_instance:
            return project_instance.get_run_records(limit=1)[0].dagster_run.status
