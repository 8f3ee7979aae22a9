"""A whole part and deltas merged are the rows as a dictionary would have them."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.destinations.s3 import merged_parts
from klaviyo_assets.destinations.s3.merged_parts import merge_parts

SCHEMA = pa.schema([("list_id", pa.string()), ("person_id", pa.string()), ("n", pa.int64())])
KEY = ("list_id", "person_id")
# Texts whose order differs between joined and single columns, and between code points and UTF-16.
texts = st.text(alphabet="a|\x01\u00e9\uffff\U0001f600", min_size=1, max_size=2)
versions = st.dictionaries(st.tuples(texts, texts), st.integers(0, 9), max_size=12)


def write(folder: Path, names: "count[int]", rows: dict) -> Path:
    path = folder / f"{next(names)}.parquet"
    listed = [(*key, rows[key]) for key in sorted(rows)]
    pq.write_table(pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in listed], SCHEMA), path)
    return path


def merged(base: dict, deltas: list[dict]) -> list[tuple]:
    with TemporaryDirectory() as name:
        folder, names = Path(name), count()
        parts = [write(folder, names, rows) for rows in (base, *deltas)]
        (folder / "merged").mkdir()
        table = pq.read_table(merge_parts(parts, KEY, folder / "merged"))
    assert table.schema == SCHEMA
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture(scope="module", autouse=True)
def _many_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merged_parts, "_BATCH_ROWS", 3)
        yield


@settings(deadline=None)
@given(versions, st.lists(versions, min_size=1, max_size=3))
def test_the_latest_version_of_every_row_comes_in_order_of_the_key(base, deltas):
    expected = dict(base)
    for delta in deltas:
        expected |= delta
    assert merged(base, deltas) == [(*key, expected[key]) for key in sorted(expected)]


def test_deltas_on_an_empty_part_are_all_there_is():
    assert merged({}, [{("a", "b"): 1}, {("a", "b"): 2}]) == [("a", "b", 2)]
