"""Dagster's SQLite storage, created by one process at a time.

Here: the storage that `dagster.yaml` names. Not here: where it is kept (`dagster.yaml`, `cli/project.py`).

Dagster creates the tables of a new folder without checking whether another process is doing the same. Two first
commands at once, or a command alongside the first `dagster dev`, left two rows with its schema's version, and every
later start failed.
"""

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from klaviyo_assets.errors import TransientError

LOCK_SECONDS = 60.0


class LockedSqliteStorage(DagsterSqliteStorage):
    """The same storage, but opening it waits until no other process is opening it."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "LockedSqliteStorage":
        """Called by Dagster with the block of `dagster.yaml`.

        Raises:
            TransientError: another process has held the lock for a minute.
        """
        folder = Path(config_value["base_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "opening.lock"):
            return cls(str(folder), inst_data)


@contextmanager
def _locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"opening Dagster's instance: another process has held {path} for {seconds:.0f} s",
                        "End that process, then run the command again.",
                    ) from None
                time.sleep(0.02)
        # The lock is also released when the process ends, however it ends.
        yield
