"""The raw rows of one table or day as a CSV or Parquet file: complete or not written at all, mode 0600.

Here: the query and the writers. Not here: options and progress (`cli/extract.py`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from klaviyo_assets.errors import PermanentError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg import sql

    from klaviyo_assets.model.spec import TableSpec
    from klaviyo_assets.source.extraction import AccountSource


class FileFormat(StrEnum):
    """The kinds of files, by their file name extensions."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Written:
    """One file; `day` is None for a table without days."""

    account: str
    table: str
    day: date | None
    path: Path
    rows: int
    bytes: int


def write(
    source: "AccountSource", spec: "TableSpec", day: date | None, path: Path, file_format: FileFormat, *,
    limit: int | None = None, watch: Callable[[int, int], Any] = lambda *_: None,
) -> Written:  # fmt: skip
    """Write a table that exists in Postgres, or one account day of it, in the table's total order.

    In CSV, null is an empty field and the empty text is "". An existing file is replaced once the new one is complete.

    Args:
        source: The account.
        spec: The table.
        day: The day, in the account's time zone; None: all rows.
        path: The file.
        file_format: Its kind.
        limit: The largest number of rows.
        watch: Called with rows and bytes as they are written.

    Raises:
        PermanentError: the file cannot be written; the message names it.
    """
    rows = told = 0
    with _whole_file(path) as sink, source.snapshot.stream(_query(source, spec, day, limit)) as batches:
        with _writer(sink, batches.schema, file_format) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
                watch(batch.num_rows, sink.tell() - told)
                told = sink.tell()
    watch(0, path.stat().st_size - told)
    return Written(source.account.name, spec.name, day, path, rows, path.stat().st_size)


def _query(source: "AccountSource", spec: "TableSpec", day: date | None, limit: int | None) -> "sql.Composable":
    from psycopg import sql

    from klaviyo_assets.source.extraction import during
    from klaviyo_assets.source.sql import order_by, select

    table = source.table(spec)
    of_day = sql.SQL("WHERE {}").format(during(table, *source.account.day_bounds(day))) if day else sql.SQL("")
    most = sql.SQL("LIMIT {}").format(sql.Literal(limit)) if limit else sql.SQL("")
    return sql.SQL("{} {} {} {}").format(select(spec, table), of_day, order_by(spec, table), most)


def _writer(sink: BinaryIO, schema: "pa.Schema", file_format: FileFormat) -> Any:
    if file_format is FileFormat.CSV:
        from pyarrow.csv import CSVWriter

        return CSVWriter(sink, schema)
    from pyarrow.parquet import ParquetWriter

    from klaviyo_assets.frames.record import COMPRESSION

    return ParquetWriter(sink, schema, **COMPRESSION)


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner can read at any time; it gets its name once it is complete."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            yield sink
        partial.replace(path)
    except OSError as error:
        if error.errno is None:
            # Arrow raises this for a broken stream from Postgres, too: it is not about this file.
            raise
        raise PermanentError(
            f"cannot write {path}: {error.strerror or error}", "Choose a writable folder with --out."
        ) from error
    finally:
        # Usually the file no longer exists, and it may never have existed.
        with suppress(OSError):
            partial.unlink()
