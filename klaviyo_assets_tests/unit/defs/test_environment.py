"""Which of `.env` and the environment a process of Dagster goes by; `e2e/test_environment.py` asks the real ones."""

import json
import os
import subprocess
import sys

import pytest

from klaviyo_assets.defs.environment import check_home, is_dagster
from klaviyo_assets.errors import SettingsError

# Does to the environment what Dagster's commands do, starts the next process of the chain, and prints what it sees.
IMITATION = """
import json, os, subprocess, sys
from dotenv import dotenv_values
os.environ.update({name: value for name, value in dotenv_values(".env").items() if value is not None})
if sys.argv[1:] != ["api", "grpc"]:
    sys.exit(subprocess.run([sys.executable, sys.argv[0], "api", "grpc"]).returncode)
from klaviyo_assets.defs.environment import restore_environment
restore_environment()
print(json.dumps(dict(os.environ)))
"""


def seen(folder, name: str, dotenv: str, exported: dict[str, str]) -> dict[str, str]:
    """The environment at the end of a chain of two processes of that name."""
    (folder / ".env").write_text(dotenv)
    (folder / name).write_text(IMITATION)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, folder / name, "dev"], cwd=folder, env=kept | exported, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_exported_wins_and_dotenv_fills_in_the_rest(tmp_path):
    dotenv = (
        "BIGQUERY_PROJECT=production\nMAIL_TO=all@shop.example\nS3_BUCKET=archive\n"
        "KLAVIYO_FRAMES_URL=s3://${BIGQUERY_PROJECT}/frames\n"
    )
    variables = seen(tmp_path, "dagster", dotenv, {"BIGQUERY_PROJECT": "local", "MAIL_TO": ""})
    assert variables["BIGQUERY_PROJECT"] == "local"
    assert variables["MAIL_TO"] == "", "exported as empty, which is not the same as not exported"
    assert variables["S3_BUCKET"] == "archive"
    assert variables["KLAVIYO_FRAMES_URL"] == "s3://local/frames", "made of a value that the environment sets"


def test_a_program_that_is_not_dagster_keeps_its_environment(tmp_path):
    assert seen(tmp_path, "other", "S3_BUCKET=archive\n", {"S3_BUCKET": "mine"})["S3_BUCKET"] == "archive"


def test_an_instance_that_only_dotenv_names_is_taken_from_there(tmp_path):
    assert seen(tmp_path, "dagster", "DAGSTER_HOME=/srv/dagster\n", {})["DAGSTER_HOME"] == "/srv/dagster"


@pytest.mark.parametrize("exported", ["/elsewhere/dagster", ""])
def test_an_instance_that_dotenv_names_differently_is_refused(tmp_path, exported):
    file = tmp_path / ".env"
    file.write_text("DAGSTER_HOME=/srv/dagster\n")
    with pytest.raises(SettingsError, match=r"sets DAGSTER_HOME=/srv/dagster, but .* Remove DAGSTER_HOME"):
        check_home(file, {"DAGSTER_HOME": exported})
    check_home(file, {"DAGSTER_HOME": "/srv/dagster"})


@pytest.mark.parametrize(
    "command",
    [
        "/venv/bin/python3 /venv/bin/dagster dev --port 3000",
        "/venv/bin/python3.11 /venv/bin/dg dev",
        "/venv/bin/python /venv/bin/dagster-webserver -w workspace.yaml",
        "python -m dagster api grpc --socket /tmp/x",
        "python -m dagster._daemon run",
        "python -X dev -W error -m dagster_webserver",
        "python -u /venv/bin/dagster-daemon run",
        "/Library/Python.app/Contents/MacOS/Python /venv/bin/dagster dev",
        "python -c from_multiprocessing.spawn_import_spawn_main --multiprocessing-fork",
    ],
)
def test_processes_of_dagster_are_known(command):
    assert is_dagster(command.split())


@pytest.mark.parametrize(
    "command",
    [
        "",
        "/bin/zsh",
        "make ui",
        "op run -- dagster dev",
        "uv run dagster dev",
        "python /venv/bin/klaviyo-assets run",
        "python -m pytest klaviyo_assets_tests/dagster",
        "python",
        "python -c print(1) dagster",
    ],
)
def test_who_started_dagster_is_not_dagster(command):
    assert not is_dagster(command.split())
