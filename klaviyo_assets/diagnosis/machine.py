"""This machine: is there room for frames, can they be written, and does Dagster's instance open?

What belongs here: the folder or prefix of frames, disk space, the instance. What does not: their content.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow.fs as pa_fs

from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.frames.store import place_of

if TYPE_CHECKING:
    from dagster import DagsterInstance

MACHINE = "machine"
GIGABYTE = 1_000_000_000
_FAIL_BYTES, _WARN_BYTES = GIGABYTE, 5 * GIGABYTE
OpenInstance = Callable[[], "AbstractContextManager[DagsterInstance]"]


def check_frames(url: str, endpoint: str) -> Iterator[DoctorFinding]:
    """Check that frames can be written, read and deleted where they are kept between stages."""
    scope = Scope(MACHINE)
    name = f"doctor-{uuid4().hex}"
    try:
        filesystem, root = place_of(url, endpoint)
        if isinstance(filesystem, pa_fs.LocalFileSystem):
            filesystem.create_dir(root, recursive=True)
        path = f"{root}/{name}"
        with filesystem.open_output_stream(path) as stream:
            stream.write(b"probe")
        with filesystem.open_input_stream(path) as stream:
            stream.readall()
        filesystem.delete_file(path)
    except OSError as error:
        yield scope.fail(
            f"frames cannot be written to {url}: {' '.join(str(error).split())[:200]}",
            "Set KLAVIYO_FRAMES_URL to a folder that this user can write to, or to s3://bucket/prefix.",
        )
        return
    yield scope.ok(f"frames can be written to {url}")
    if isinstance(filesystem, pa_fs.LocalFileSystem):
        yield judged_space(root, shutil.disk_usage(root).free)


def judged_space(folder: str, free: int) -> DoctorFinding:
    """Judge the `free` bytes in the folder of frames."""
    scope = Scope(MACHINE)
    what = f"{free / GIGABYTE:,.1f} GB are free in {folder}"
    if free >= _WARN_BYTES:
        return scope.ok(what)
    finding = scope.warn if free >= _FAIL_BYTES else scope.fail
    return finding(
        what, f"Free some space, or move frames (KLAVIYO_FRAMES_URL): a full load needs {_WARN_BYTES // GIGABYTE} GB."
    )


def check_instance(open_instance: OpenInstance) -> Iterator[DoctorFinding]:
    """Check that Dagster's instance opens and can be read."""
    scope = Scope(MACHINE)
    try:
        with open_instance() as instance:
            instance.get_run_records(limit=1)
    except Exception as error:  # noqa: BLE001  whatever Dagster and its storage raise
        yield scope.fail(
            f"Dagster's instance does not open: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            "Check DAGSTER_HOME and its dagster.yaml; without DAGSTER_HOME the instance is .dagster/ in this project.",
        )
    else:
        yield scope.ok("Dagster's instance opens")
