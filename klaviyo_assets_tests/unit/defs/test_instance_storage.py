"""Several processes that are the first in a new project at the same moment, and connections that are kept."""

import contextlib
import fcntl
import multiprocessing
import shutil
import sqlite3
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import DagsterInstance, InstanceRef
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.instance_storage import _ENGINES, OPEN_FILES, LockedSqliteStorage, _locked
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


@dg.asset
def loaded_table() -> None:
    """An asset whose runs write a few events."""


def _materialize(folder: Path) -> str:
    with contextlib.chdir(folder), instance() as opened:
        return dg.materialize([loaded_table], instance=opened).run_id


@contextlib.contextmanager
def _listening(opened_files: list[object]) -> Iterator[None]:
    def note(connection: object, _record: object) -> None:
        opened_files.append(connection)

    event.listen(Engine, "connect", note)
    try:
        yield
    finally:
        event.remove(Engine, "connect", note)


def test_the_events_of_a_run_share_few_connections(tmp_path):
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    opened_files: list[object] = []
    with contextlib.chdir(tmp_path), instance() as opened:
        dg.materialize([loaded_table], instance=opened)
        with _listening(opened_files):
            dg.materialize([loaded_table], instance=opened)
    # The new run's own file; two threads may use a file at once. Dagster's own storage opens one for each statement.
    assert 1 <= len(opened_files) <= 4


def test_dagsters_own_storage_reads_what_was_written(tmp_path):
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    run_ids = {_materialize(tmp_path) for _ in range(2)}
    storage = DagsterSqliteStorage(str(tmp_path / ".dagster"))
    assert {run.run_id for run in storage.run_storage.get_runs()} == run_ids
    for run_id in run_ids:
        kinds = {record.dagster_event_type for record in storage.event_log_storage.get_logs_for_run(run_id)}
        assert {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.RUN_SUCCESS} <= kinds


def test_few_files_stay_open_and_a_wiped_log_takes_new_runs(tmp_path):
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    with contextlib.chdir(tmp_path), instance() as opened:
        run_ids = [dg.materialize([loaded_table], instance=opened).run_id for _ in range(OPEN_FILES + 2)]
        for run_id in run_ids:
            assert opened.all_logs(run_id), "the log of a run whose file was closed is opened again"
        assert len(_ENGINES.addresses) == OPEN_FILES

        opened.wipe()
        run_id = dg.materialize([loaded_table], instance=opened).run_id
        assert [run.run_id for run in opened.get_runs()] == [run_id]
        assert opened.all_logs(run_id)


def test_the_disk_is_synced_at_checkpoints(tmp_path):
    storage = LockedSqliteStorage(str(tmp_path))
    with storage.event_log_storage.index_connection() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    storage.dispose()
