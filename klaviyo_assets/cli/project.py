"""The project in which a command runs: its root, and the Dagster instance that it shares with the UI.

Here: finding both. Not here: what runs on the instance.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance


def project_root() -> Path:
    """The nearest folder upwards that has a dagster.yaml, otherwise the current one."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dagster.yaml").is_file()), here)


@contextmanager
def instance() -> "Iterator[DagsterInstance]":
    """The instance of `DAGSTER_HOME`, else the one under `.dagster/` that `dagster dev` in the root uses."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    if os.environ.get("DAGSTER_HOME"):
        yield dg.DagsterInstance.get()
        return
    root = project_root()
    home = str(root / ".dagster")
    Path(home).mkdir(exist_ok=True)
    overrides = {
        "storage": {
            "custom": {
                "module": "klaviyo_assets.defs.instance_storage", "class": "LockedSqliteStorage",
                "config": {"base_dir": home},
            },
        },
        "local_artifact_storage": {
            "module": "dagster._core.storage.root", "class": "LocalArtifactStorage", "config": {"base_dir": home},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager", "class": "LocalComputeLogManager",
            "config": {"base_dir": f"{home}/compute_logs"},
        },
    }  # fmt: skip
    reference = InstanceRef.from_dir(home, config_dir=str(root), overrides=overrides)
    with dg.DagsterInstance.from_ref(reference) as project_instance:
        yield project_instance
