"""Table specs as Arrow: the types of columns, and the exact way between frames and Arrow tables.

Here: the one map from logical types to Arrow, and casts that refuse to change a value. Not here: parsing raw cells
(`mapping/values.py`), rules about values (`mapping/rules.py`), and files.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyarrow as pa

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.spec import Column, LogicalType, TableSpec

_ARROW_TYPES: dict[LogicalType, pa.DataType] = {
    LogicalType.STRING: pa.string(),
    LogicalType.INTEGER: pa.int64(),
    LogicalType.FLOAT: pa.float64(),
    LogicalType.NUMERIC: pa.decimal128(38, 9),
    LogicalType.BOOLEAN: pa.bool_(),
    LogicalType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    LogicalType.DATE: pa.date32(),
    LogicalType.JSON: pa.string(),
}


def arrow_type(logical: LogicalType) -> pa.DataType:
    """The Arrow type that holds values of a logical type."""
    return _ARROW_TYPES[logical]


def pandas_dtype(logical: LogicalType) -> pd.ArrowDtype:
    """The Arrow-backed pandas dtype that holds values of a logical type."""
    return pd.ArrowDtype(arrow_type(logical))


def mapped_schema(spec: TableSpec) -> pa.Schema:
    """Schema of a mapped table: the spec's columns in order; key and required columns are not nullable."""
    return pa.schema([_arrow_field(spec, column) for column in spec.columns])


def is_required(spec: TableSpec, column: Column) -> bool:
    """Whether a column may never be null: stated by the spec, or part of the key."""
    return column.required or column.name in spec.key


def empty_frame(spec: TableSpec) -> pd.DataFrame:
    """A mapped frame without rows, with every column and type of the spec."""
    return table_to_frame(mapped_schema(spec).empty_table())


def table_to_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as an Arrow-backed frame: no value changes, nulls stay nulls."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def frame_to_table(frame: pd.DataFrame, spec: TableSpec) -> pa.Table:
    """A mapped frame as an Arrow table of exactly the spec's schema.

    Args:
        frame: Has the spec's columns, in any order, and no other. The index is ignored.
        spec: Says the order and type of columns.

    Raises:
        PermanentError: a column is missing, unknown, would have to change a value to get its type, or is required
            and has nulls; the message names the column.
    """
    _same_columns(spec, frame.columns)
    schema = mapped_schema(spec)
    table = pa.Table.from_arrays([_exact(frame[item.name], item, spec) for item in schema], schema=schema)
    for item in schema:
        if not item.nullable and table[item.name].null_count:
            raise PermanentError(
                f"table {spec.name!r}: the required column {item.name!r} is null in {table[item.name].null_count} of "
                f"{table.num_rows} rows",
                "Such rows belong in quarantine before the table is written.",
            )
    return table


def _arrow_field(spec: TableSpec, column: Column) -> pa.Field:
    return pa.field(column.name, arrow_type(column.type), nullable=not is_required(spec, column))


def _same_columns(spec: TableSpec, names: Iterable[str]) -> None:
    frame_names, spec_names = list(names), list(spec.column_names)
    missing = [name for name in spec_names if name not in frame_names]
    unknown = [name for name in frame_names if name not in spec_names]
    if missing or unknown or len(frame_names) != len(spec_names):
        raise PermanentError(
            f"table {spec.name!r}: missing columns {missing}, unexpected columns {unknown}",
            f"The frame must have each of these columns once, and no other: {', '.join(spec_names)}.",
        )


def _exact(values: "pd.Series[Any]", wanted: pa.Field, spec: TableSpec) -> pa.ChunkedArray:
    try:
        chunks = _as_chunked(values, wanted.type)
        cast = chunks.cast(wanted.type, safe=True) if _keeps_values(chunks.type, wanted.type) else None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        cast = None
    if cast is None:
        # Arrow's own error is left out on purpose: it quotes the cell, and the column may be personal.
        raise PermanentError(
            f"table {spec.name!r}: column {wanted.name!r} is {values.dtype}, which cannot become {wanted.type} "
            "without changing a value",
            f"Its mapping must return {pd.ArrowDtype(wanted.type)}.",
        )
    return cast


def _as_chunked(values: "pd.Series[Any]", wanted: pa.DataType) -> pa.ChunkedArray:
    # Decimals in an object column would get the scale of the first rows: state the type.
    stated = wanted if values.dtype == object and pa.types.is_decimal(wanted) else None
    array = pa.array(values, type=stated, from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _keeps_values(source_type: pa.DataType, target_type: pa.DataType) -> bool:
    """Whether a safe cast either keeps every value or fails: Arrow's own `safe` rounds floats and parses texts."""
    if pa.types.is_dictionary(source_type):
        return _keeps_values(source_type.value_type, target_type)
    if source_type == target_type or pa.types.is_null(source_type):
        return True
    if pa.types.is_timestamp(target_type):
        return bool(pa.types.is_timestamp(source_type) and source_type.tz is not None)
    return any(
        is_kind(source_type) and is_kind(target_type)
        for is_kind in (_is_text, pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
