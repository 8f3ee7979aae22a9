"""Hypothesis strategies built from specs: rows as real data may hold them, junk included.

Here: raw rows, raw frames and mapped frames of any spec. Not here: fixed rows (`factories.py`).
"""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from klaviyo_assets.model.arrow import is_required, mapped_schema, table_to_frame
from klaviyo_assets.model.spec import LogicalType, TableSpec
from klaviyo_assets_tests.factories import extracted

# What real columns hold where a number, a time or a flag should stand.
JUNK = (
    "", " ", "n.a.", "null", "NaN", "inf", "-Infinity", "49.990000", "-12.5", "1e-05", "1.234,50", "1,234", "9" * 40,
    "0000-00-00", "infinity", "2024-02-30", "2023-07-18 12:43:52 UTC", "{", "[]", '{"a": null}', "TRUE", "maybe",
    "\u202egnp", "😀", "nobody@example.com", "+15165555555", "'; DROP TABLE person; --",
)  # fmt: skip
# Postgres holds any text but NUL, and no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
IDS = st.text("ABCDEFGHJKMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz0123456789", min_size=6, max_size=11)
INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
AMOUNTS = st.decimals(-(10**12), 10**12, places=9, allow_nan=False, allow_infinity=False)
JSON_TEXTS = st.sampled_from(("{}", "[]", '{"a":1}', '{"a":{"b":[1,"x",null]}}', '"text"', "1.5", "null"))

_VALUES: dict[LogicalType, st.SearchStrategy[Any]] = {
    LogicalType.STRING: st.one_of(IDS, TEXTS),
    LogicalType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    LogicalType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    LogicalType.NUMERIC: AMOUNTS,
    LogicalType.BOOLEAN: st.booleans(),
    LogicalType.TIMESTAMP: INSTANTS,
    LogicalType.DATE: st.dates(date(2010, 1, 1), date(2035, 1, 1)),
    LogicalType.JSON: JSON_TEXTS,
}


def values(logical: LogicalType) -> st.SearchStrategy[Any]:
    """Sound values of a logical type, never null."""
    return _VALUES[logical]


@st.composite
def raw_rows_of(
    draw: st.DrawFn, spec: TableSpec, *, min_size: int = 0, max_size: int = 6, junk: bool = True
) -> list[dict[str, Any]]:
    """Raw rows of a spec, keys unique, any other cell null, sound, or (with `junk`) text that is no such value.

    Columns may be absent, properties come as text, and there is a custom field that no spec lists.
    """
    keys = {column.raw for name in spec.key for column in [spec.column(name)] if column.raw}
    optional = {raw.name: _cell(raw.type, junk=junk) for raw in spec.raw if raw.name not in keys}
    optional |= {f"property_{field.name}": _cell(LogicalType.STRING, junk=junk) for field in spec.properties}
    optional |= {f"{spec.custom_fields.prefix if spec.custom_fields else ''}never_heard_of": TEXTS}
    present = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
    stated = {raw.name: IDS if raw.type is LogicalType.STRING else values(raw.type) for raw in spec.raw
              if raw.name in keys}  # fmt: skip
    row = st.fixed_dictionaries(stated | {name: optional[name] for name in present})
    return draw(
        st.lists(row, min_size=min_size, max_size=max_size, unique_by=lambda cells: tuple(cells[k] for k in keys))
    )


def raw_frames(
    spec: TableSpec, *, min_size: int = 0, max_size: int = 6, junk: bool = True
) -> st.SearchStrategy[pd.DataFrame]:
    """`raw_rows_of` as extraction reads them: columns with junk come as text."""
    rows = raw_rows_of(spec, min_size=min_size, max_size=max_size, junk=junk)
    return rows.map(lambda drawn: extracted(spec, drawn))


@st.composite
def mapped_frames(draw: st.DrawFn, spec: TableSpec, *, max_size: int = 6) -> pd.DataFrame:
    """Frames of a mapped table's columns and types; nulls where allowed; the spec's further rules may be broken."""
    row = st.fixed_dictionaries({
        column.name: values(column.type) if is_required(spec, column) else st.none() | values(column.type)
        for column in spec.columns
    })  # fmt: skip
    rows = draw(st.lists(row, max_size=max_size))
    return table_to_frame(pa.Table.from_pylist(rows, schema=mapped_schema(spec)))


def _cell(logical: LogicalType, *, junk: bool) -> st.SearchStrategy[Any]:
    sound = st.none() | values(logical)
    return sound | st.sampled_from(JUNK) if junk else sound
