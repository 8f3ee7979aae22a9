"""Where frames are kept between stages: Parquet files with a record beside them, locally or in S3.

Here: writing a frame as a whole or not at all, reading, removing. Not here: what is in a frame, its key and its record
(`record.py`), and the archive (`destinations/s3/archive.py`). Frames are scratch: an extracted frame is removed
when its day is loaded, a mapped one when every destination has taken it.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError
from klaviyo_assets.frames.errors import explained
from klaviyo_assets.frames.record import COMPRESSION, ROW_GROUP_ROWS, FrameKey, FrameRecord
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.time_limits import S3_CONNECT, S3_SILENCE


def place_of(url: str, endpoint: str) -> tuple[pa_fs.FileSystem, str]:
    """The file system and the folder that an address of frames stands for.

    Raises:
        SettingsError: there is no such address.
    """
    if "://" in url and "@" in url:
        raise SettingsError(
            "KLAVIYO_FRAMES_URL contains a login",
            "Allowed: a local folder, or s3://bucket/prefix. Frames use the archive's credentials.",
        )
    if url.startswith("s3://"):
        limits = {"connect_timeout": S3_CONNECT.seconds, "request_timeout": S3_SILENCE.seconds}
        options = {"endpoint_override": endpoint} if endpoint else {}
        return pa_fs.S3FileSystem(**limits, **options), url.removeprefix("s3://").rstrip("/")
    if "://" in url:
        raise SettingsError(f"KLAVIYO_FRAMES_URL = {url!r}", "Allowed: a local folder, or s3://bucket/prefix.")
    return pa_fs.LocalFileSystem(), str(Path(url).absolute())


@dataclass(frozen=True)
class FrameStore:
    """The folder or S3 prefix that holds frames between stages.

    Attributes:
        url: A local folder, or s3://bucket/prefix; else KLAVIYO_FRAMES_URL.
        endpoint_url: The S3 endpoint if it is not Amazon's; else S3_ENDPOINT_URL.
        confirm: Called with the account before one of its frames becomes visible. An error that it raises leaves the
            frame as it was.
    """

    url: str = ""
    endpoint_url: str = ""
    confirm: Callable[[str], None] = lambda account: None  # noqa: ARG005  called by this name

    @cached_property
    def _root(self) -> tuple[pa_fs.FileSystem, str]:
        url = optional(self.url, "KLAVIYO_FRAMES_URL", ".dagster/frames")
        return place_of(url, optional(self.endpoint_url, "S3_ENDPOINT_URL"))

    def _path(self, key: FrameKey, name: str = "") -> str:
        return f"{self._root[1]}/{key.folder}" + (f"/{name}" if name else "")

    @contextmanager
    def write(self, key: FrameKey) -> "Iterator[FrameWriter]":
        """Write a frame; it becomes visible, replacing an older one, when the block ends with `finish` called.

        Raises:
            TransientError: the folder is full or cannot be reached, or `confirm` refuses.
            PermanentError: the folder may not be written to.
        """
        with self._explained("writing", key), tempfile.TemporaryDirectory(prefix="klaviyo_assets-") as folder:
            writer = FrameWriter(Path(folder))
            yield writer
            writer.close()
            if writer.record is not None:
                self.confirm(key.account)
                self._publish(key, writer)

    def _explained(self, action: str, key: FrameKey) -> AbstractContextManager[None]:
        return explained(f"{action} the frame {key}", self._root[1])

    def _publish(self, key: FrameKey, writer: "FrameWriter") -> None:
        self.remove(key)
        try:
            self._upload_all(key, writer)
        except OSError:
            # Files without a record are not a frame, and only in the way.
            with suppress(KlaviyoAssetsError):
                self.remove(key)
            raise

    def _upload_all(self, key: FrameKey, writer: "FrameWriter") -> None:
        filesystem, _ = self._root
        filesystem.create_dir(self._path(key), recursive=True)
        for name in writer.files:
            self._upload(writer.folder / name, self._path(key, name))
        record = writer.folder / "record.json"
        record.write_text(json.dumps(asdict(writer.record), sort_keys=True), encoding="utf-8")  # type: ignore[arg-type]
        self._upload(record, self._path(key, "record.json"))

    def _upload(self, source: Path, target: str) -> None:
        filesystem, _ = self._root
        if isinstance(filesystem, pa_fs.LocalFileSystem):
            partial = f"{target}.{os.getpid()}.partial"
            shutil.move(source, partial)
            Path(partial).replace(target)
            return
        with source.open("rb") as content, filesystem.open_output_stream(target) as sink:
            shutil.copyfileobj(content, sink, 1 << 20)

    def record(self, key: FrameKey) -> FrameRecord | None:
        """The record of a frame; None if there is no such frame."""
        filesystem, _ = self._root
        path = self._path(key, "record.json")
        with self._explained("reading", key):
            if filesystem.get_file_info(path).type != pa_fs.FileType.File:
                return None
            with filesystem.open_input_stream(path) as stream:
                return FrameRecord.of(json.loads(stream.readall()))

    def require(self, key: FrameKey) -> FrameRecord:
        """The record of a frame that has to exist.

        Raises:
            PermanentError: it does not exist; the message says which asset creates it.
        """
        record = self.record(key)
        if record is None:
            raise PermanentError(
                f"the frame {key} does not exist: frames are deleted once they are loaded",
                f"Materialize {key.stage}/{key.table} and everything downstream of it together (in the UI: select it "
                "and all downstream).",
            )
        return record

    def open(self, key: FrameKey, name: str = "rows") -> pq.ParquetFile:
        """The Parquet file of a frame, for reading in batches."""
        filesystem, _ = self._root
        with self._explained("reading", key):
            return pq.ParquetFile(filesystem.open_input_file(self._path(key, f"{name}.parquet")))

    @contextmanager
    def local_file(self, key: FrameKey, name: str = "rows") -> Iterator[Path]:
        """The Parquet file as a local path, for clients that upload files."""
        filesystem, _ = self._root
        path = self._path(key, f"{name}.parquet")
        if isinstance(filesystem, pa_fs.LocalFileSystem):
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="klaviyo_assets-") as folder:
            target = Path(folder) / f"{name}.parquet"
            with filesystem.open_input_stream(path) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            yield target

    def note_failure(self, key: FrameKey, run_id: str, cause: Mapping[str, Any]) -> None:
        """Put a note where a frame should be: later stages of the same run leave this partition out.

        If it cannot be written, because the folder is full or read-only, these stages find no frame and say so.
        """
        with suppress(KlaviyoAssetsError), self._explained("noting a failure of", key):
            self.remove(key)
            filesystem, _ = self._root
            filesystem.create_dir(self._path(key), recursive=True)
            with filesystem.open_output_stream(self._path(key, "failed.json")) as stream:
                stream.write(json.dumps({"run_id": run_id, "cause": cause}).encode())

    def failure(self, key: FrameKey, run_id: str) -> dict[str, Any] | None:
        """Why this run could not write a frame; None if it did, or never tried."""
        filesystem, _ = self._root
        path = self._path(key, "failed.json")
        if filesystem.get_file_info(path).type != pa_fs.FileType.File:
            return None
        with filesystem.open_input_stream(path) as stream:
            note = json.loads(stream.readall())
        return dict(note["cause"]) if note["run_id"] == run_id else None

    def mark(self, key: FrameKey, taker: str, takers: Iterable[str]) -> bool:
        """Record that `taker` has taken a mapped frame; return whether all of `takers` have."""
        filesystem, _ = self._root
        with self._explained("marking", key):
            with filesystem.open_output_stream(self._path(key, f"taken_by_{taker}")) as stream:
                stream.write(b"")
            return all(
                filesystem.get_file_info(self._path(key, f"taken_by_{other}")).type == pa_fs.FileType.File
                for other in takers
            )

    def remove(self, key: FrameKey) -> None:
        """Remove a frame, its record first."""
        filesystem, _ = self._root
        folder = self._path(key)
        with self._explained("removing", key):
            if filesystem.get_file_info(folder).type != pa_fs.FileType.Directory:
                return
            record = self._path(key, "record.json")
            if filesystem.get_file_info(record).type == pa_fs.FileType.File:
                filesystem.delete_file(record)
            filesystem.delete_dir(folder)


class FrameWriter:
    """Collects the files of one frame in a local folder until they are published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[str] = []
        self.record: FrameRecord | None = None
        self._open: dict[str, pq.ParquetWriter] = {}
        self._pending: dict[str, list[pa.Table]] = {}

    def append(self, rows: pa.Table | pa.RecordBatch, name: str = "rows") -> None:
        """Add rows to one of the frame's files; row groups are filled before they are written."""
        # Errors are also translated here: the caller streams from Postgres, whose errors may be of the same class.
        with explained("writing a frame", str(self.folder)):
            self._append(pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows, name)

    def _append(self, table: pa.Table, name: str) -> None:
        if name not in self._open:
            path = self.folder / f"{name}.parquet"
            self._open[name] = pq.ParquetWriter(path, table.schema, write_page_index=False, **COMPRESSION)
            self._pending[name] = []
            self.files.append(path.name)
        self._pending[name].append(table)
        if sum(part.num_rows for part in self._pending[name]) >= ROW_GROUP_ROWS:
            self._flush(name)

    def _flush(self, name: str, *, everything: bool = False) -> None:
        pending = self._pending[name]
        if not pending:
            return
        rows = pa.concat_tables(pending)
        whole = rows.num_rows if everything else rows.num_rows - rows.num_rows % ROW_GROUP_ROWS
        if whole or everything:
            self._open[name].write_table(rows.slice(0, whole), row_group_size=ROW_GROUP_ROWS)
        self._pending[name] = [rows.slice(whole)] if whole < rows.num_rows else []

    def close(self) -> None:
        """Write what is pending and close the files."""
        for name, writer in self._open.items():
            self._flush(name, everything=True)
            writer.close()
        self._open = {}

    def finish(self, **fields: Any) -> FrameRecord:
        """Close the files and return the frame's record; its hash, bytes and rows are those of the file `rows`."""
        self.close()
        path = self.folder / "rows.parquet"
        digest = hashlib.sha256()
        with path.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
        rows = pq.ParquetFile(path).metadata.num_rows
        self.record = FrameRecord(rows=rows, bytes=path.stat().st_size, sha256=digest.hexdigest(), **fields)
        return self.record
