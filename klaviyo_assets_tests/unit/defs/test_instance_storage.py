"""Several processes that are the first in a new project, at the same moment."""

import contextlib
import fcntl
import multiprocessing
import shutil
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from dagster._core.instance import DagsterInstance, InstanceRef

from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.instance_storage import _locked
from klaviyo_assets.errors import TransientError
from klaviyo_assets_tests.checkout import ROOT

PROCESSES, ROUNDS = 3, 4
DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def open_each(folders: list[Path], together: Barrier, as_dagster_dev: bool) -> None:
    """In a process of its own: open the instance of each folder at the same moment as the others."""
    for folder in folders:
        with contextlib.chdir(folder):
            together.wait(timeout=60)
            with _as_dagster_dev(folder) if as_dagster_dev else instance() as opened:
                opened.get_runs_count()


def _as_dagster_dev(folder: Path) -> DagsterInstance:
    home = folder / "temporary"
    home.mkdir()
    return DagsterInstance.from_ref(InstanceRef.from_dir(str(home), config_dir=str(folder)))


def test_first_commands_of_a_project_at_once_leave_one_schema_version(tmp_path):
    folders = [tmp_path / str(number) for number in range(ROUNDS)]
    for folder in folders:
        folder.mkdir()
        shutil.copy(ROOT / "dagster.yaml", folder)
    spawning = multiprocessing.get_context("spawn")
    together = spawning.Barrier(PROCESSES)
    processes = [
        spawning.Process(target=open_each, args=(folders, together, number == 0)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    for database in (folder / ".dagster" / name for folder in folders for name in DATABASES):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert len(connection.execute("SELECT version_num FROM alembic_version").fetchall()) == 1, database


def test_a_lock_that_is_never_released_is_told_and_not_waited_for(tmp_path):
    path = tmp_path / "opening.lock"
    with path.open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match=r"another process has held .*opening\.lock for 0 s. End that process"):
            with _locked(path, seconds=0):
                pass
    with _locked(path, seconds=0):
        pass
