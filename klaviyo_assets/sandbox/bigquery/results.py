"""Query results, kept as Parquet files while somebody may still page through them.

Here: writing, paging and forgetting results. They survive a restart; only the newest stay, up to a
number of files and bytes. BigQuery keeps results for a day.
"""

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klaviyo_assets.sandbox.bigquery.errors import not_found
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import Cursor, count_of

_FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536"
PAGE_ROWS = 50_000
_PAGE_BYTES = 10_000_000
"""BigQuery's own limit of one answer is 10 MB."""


class ResultFiles:
    """The folder of results, one file per job."""

    def __init__(self, folder: Path, *, files: int = 200, size: int = 2_000_000_000) -> None:
        self._folder, self._files, self._size = folder, files, size
        self._guard = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, job_id: str) -> Path:
        """Return the path of a job's result, whether or not it exists."""
        return self._folder / f"{job_id}.parquet"

    def write(self, cursor: Cursor, job_id: str, names: Sequence[str], select: str, values: dict[str, Any]) -> int:
        """Run a SELECT and store its rows; the oldest results may be deleted.

        Args:
            cursor: The cursor that runs it.
            job_id: The job that the result belongs to.
            names: The names of its columns.
            select: DuckDB SQL with `$name` placeholders.
            values: For the placeholders.

        Returns:
            The number of rows.
        """
        columns = ", ".join(quoted_name(name) for name in names)
        path = str(self.path(job_id)).replace("'", "''")
        sql = f"COPY (SELECT * FROM ({select}) AS result({columns})) TO '{path}' ({_FORMAT})"
        rows = count_of(cursor, sql, values)
        self._forget_old()
        return rows

    def page(self, job_id: str, start: int, count: int | None) -> pa.Table:
        """Read rows of a result.

        Args:
            job_id: The query's.
            start: The first row, from 0.
            count: The most rows to return; None returns as many as fit on a page.

        Returns:
            The rows.

        Raises:
            ApiError: The result is no longer kept.
        """
        try:
            with pq.ParquetFile(self.path(job_id)) as file:
                return _read(file, start, PAGE_ROWS if count is None else min(count, PAGE_ROWS))
        except FileNotFoundError:
            raise not_found(f"the results of job {job_id}: the stand-in keeps the last {self._files}") from None

    def _forget_old(self) -> None:
        with self._guard:
            newest_first = sorted(self._folder.glob("*.parquet"), key=_written_at, reverse=True)
            size = 0
            for place, file in enumerate(newest_first):
                size += file.stat().st_size
                # The result that was just written is kept however large it is.
                if place and (place >= self._files or size > self._size):
                    file.unlink()


def page_of(table: pa.Table) -> pa.Table:
    """Cut rows down to the size of one answer."""
    if table.nbytes <= _PAGE_BYTES or table.num_rows <= 1:
        return table
    return table.slice(0, max(1, int(table.num_rows * _PAGE_BYTES / table.nbytes)))


def _written_at(file: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_mtime
    return 0.0


def _read(file: pq.ParquetFile, start: int, count: int) -> pa.Table:
    first, row_groups, skipped_rows = 0, [], None
    for place in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(place).num_rows
        if first < start + count and first + rows > start:
            skipped_rows = first if skipped_rows is None else skipped_rows
            row_groups.append(place)
        first += rows
    rows_read = file.read_row_groups(row_groups)
    return page_of(rows_read.slice(start - (skipped_rows or 0), count))
