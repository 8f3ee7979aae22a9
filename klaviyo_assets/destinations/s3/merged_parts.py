"""Merging a table that is archived as a whole part and deltas into one file again.

Here: merging Parquet files by key, the later file winning, in memory bounded by the deltas. Not here: where the files
come from (`archive.py`).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klaviyo_assets.frames.store import FrameWriter

_BATCH_ROWS = 100_000
_KEY, _POSITION = "_key", "_position"


def merge_parts(parts: Sequence[Path], key: Sequence[str], folder: Path) -> Path:
    """Merge the parts of a table, in the order of its key.

    Args:
        parts: A part in order of its key, then deltas, oldest first; all of the same columns.
        key: The columns that name a row; texts that are never null.
        folder: An empty folder for the merged file.

    Returns:
        The merged file.
    """
    base, *deltas = parts
    changes = _latest([pq.read_table(delta) for delta in deltas], key)
    writer = FrameWriter(folder)
    # An empty table also needs a file with columns.
    writer.append(pq.read_schema(base).empty_table())
    for rows in _merge(pq.ParquetFile(base), changes, key):
        writer.append(rows)
    writer.close()
    return folder / "rows.parquet"


def _keys(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray:
    """The key of each row as one text that sorts like its columns in turn; no text holds its separator."""
    columns = [rows.column(name).cast(pa.string()) for name in key]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, "\0")


def _latest(deltas: Sequence[pa.Table], key: Sequence[str]) -> pa.Table:
    """The newest version of every changed row, with its key as text, in key order."""
    rows = pa.concat_tables(deltas)
    rows = rows.append_column(_KEY, _keys(rows, key)).append_column(
        _POSITION, pa.array(range(rows.num_rows), pa.int64())
    )
    newest = rows.group_by(_KEY).aggregate([(_POSITION, "max")])
    order = newest.sort_by(_KEY).column(f"{_POSITION}_max")
    return rows.take(order).drop_columns([_POSITION])


def _merge(base: pq.ParquetFile, changes: pa.Table, key: Sequence[str]) -> Iterator[pa.Table]:
    changed_keys: list[str] = changes.column(_KEY).to_pylist()
    row_count = 0
    for batch in base.iter_batches(batch_size=_BATCH_ROWS):
        rows = pa.Table.from_batches([batch])
        rows = rows.append_column(_KEY, _keys(rows, key))
        until = max(row_count, bisect_right(changed_keys, rows.column(_KEY)[-1].as_py()))
        unchanged_rows = rows.filter(pc.invert(pc.is_in(rows.column(_KEY), changes.column(_KEY))))
        yield _sort([unchanged_rows, changes.slice(row_count, until - row_count)])
        row_count = until
    yield _sort([changes.slice(row_count)])


def _sort(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).sort_by(_KEY).drop_columns([_KEY])
