"""Table specs as pandera schemas, and checking a mapped frame against one.

Here: every rule that a mapped row must keep, and the distinction between a broken table (a missing column, a wrong
type) and single bad rows (which go to quarantine). Not here: what happens to bad rows, and Dagster's record of a check.
Messages never quote values of rows: columns may be personal.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from klaviyo_assets.model.arrow import is_required, pandas_dtype
from klaviyo_assets.model.spec import Column, Constraint, LogicalType, TableSpec

DUPLICATE_KEY = "duplicate_key"
NOT_NULL = "not_null"
WRONG_DAY = "wrong_day"
_YEARS = "in the years 1 to 9999"
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_COLUMNS = ("row_number", "field", "rule", "reason")


@dataclass(frozen=True)
class CheckResult:
    """What checking a frame found.

    `schema_errors` mean that the table as a whole is broken; then `bad_rows` is empty, because rules make no sense on
    it. `bad_rows` has one row per row and rule broken: `row_number` (position, from 0), `field` (a column; the key's
    columns joined with a comma for `duplicate_key`), `rule`, and `reason`, which holds no value of the row.
    """

    schema_errors: tuple[str, ...]
    bad_rows: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether nothing at all was found."""
        return not self.schema_errors and self.bad_rows.empty

    @property
    def bad_row_numbers(self) -> pd.Index:
        """Positions of the rows that broke a rule, each once, ascending."""
        return pd.Index(self.bad_rows["row_number"].unique(), dtype="int64").sort_values()

    @property
    def summary(self) -> pd.DataFrame:
        """One row per field and rule broken: `field`, `rule`, `reason` and `rows`, how many broke it."""
        return (
            self.bad_rows.groupby(["field", "rule", "reason"], as_index=False).size().rename(columns={"size": "rows"})
        )


def _is_finite(values: "pd.Series[Any]") -> "pd.Series[bool]":
    return _series(pc.is_finite(pa.array(values)), values)


def _is_in_calendar(values: "pd.Series[Any]") -> "pd.Series[bool]":
    # Postgres has `infinity` and 294276 AD; BigQuery refuses a whole file because of one of them.
    array = pa.array(values)
    first, last = (pa.scalar(bound, pa.timestamp("us", tz="UTC")).cast(array.type) for bound in (_FIRST, _LAST))
    return _series(pc.and_(pc.greater_equal(array, first), pc.less_equal(array, last)), values)


# The rules for every column of a type, whatever its spec says.
_TYPE_RULES: dict[LogicalType, tuple[Constraint, ...]] = {
    LogicalType.STRING: (),
    LogicalType.INTEGER: (),
    LogicalType.FLOAT: (Constraint("finite", "a finite number", _is_finite),),
    LogicalType.NUMERIC: (),
    LogicalType.BOOLEAN: (),
    LogicalType.TIMESTAMP: (Constraint("in_calendar", _YEARS, _is_in_calendar),),
    LogicalType.DATE: (Constraint("in_calendar", _YEARS, _is_in_calendar),),
    LogicalType.JSON: (),
}


def rules(spec: TableSpec, column: Column, daily_day: date | None = None) -> tuple[Constraint, ...]:
    """Everything that must hold for the non-null values of a column: its type's rules, its own, and its day."""
    own = (*_TYPE_RULES[column.type], *column.constraints)
    if daily_day is None or column.name != spec.day_column:
        return own
    wanted = pa.scalar(daily_day, pa.date32())
    same_day = Constraint(
        WRONG_DAY,
        f"the partition's day, {daily_day.isoformat()}",
        lambda values: _series(pc.equal(pa.array(values), wanted), values),
    )
    return (*own, same_day)


def frame_schema(spec: TableSpec, daily_day: date | None = None) -> pandera.DataFrameSchema:
    """The pandera schema of a mapped table: exact columns in order, Arrow-backed dtypes, nulls, rules, unique key.

    Args:
        spec: The table.
        daily_day: The day a daily partition is of; its rows must be of that day.
    """
    return pandera.DataFrameSchema(
        {column.name: _pandera_column(spec, column, daily_day) for column in spec.columns},
        checks=[_check(partial(_is_current, spec.key), DUPLICATE_KEY, _unique_key(spec))],
        strict=True,
        ordered=True,
        unique_column_names=True,
        name=spec.name,
        description=spec.description,
    )


def validate(frame: pd.DataFrame, spec: TableSpec, daily_day: date | None = None) -> CheckResult:
    """Check a mapped frame against its spec.

    Args:
        frame: Mapped rows; the index is ignored.
        spec: The table.
        daily_day: The day of a daily partition; its rows must be of that day.

    Returns:
        What was found. Of rows with the same key, all but the one with the newest `synced_at` are bad; if that does
        not decide, the order of their values does, never the order of rows.
    """
    rows = frame.reset_index(drop=True)
    try:
        frame_schema(spec, daily_day).validate(rows, lazy=True, inplace=True)
    except SchemaErrors as errors:
        broken = tuple(_schema_errors(errors.schema_errors, spec, rows))
        bad_rows = [] if broken else [_bad_rows(error, spec, rows) for error in errors.schema_errors]
        return CheckResult(broken, _in_order(bad_rows))
    return CheckResult((), _in_order([]))


def _pandera_column(spec: TableSpec, column: Column, daily_day: date | None) -> pandera.Column:
    return pandera.Column(
        pandas_dtype(column.type),
        checks=[
            _check(partial(_holds_or_null, rule), rule.name, rule.description)
            for rule in rules(spec, column, daily_day)
        ],
        nullable=not is_required(spec, column),
        description=column.description,
    )


def _check(holds: Callable[..., "pd.Series[bool]"], name: str, description: str) -> pandera.Check:
    # Only one failure case is kept: rows are read from the check's output, and writing out every value takes four
    # seconds per million.
    return pandera.Check(
        holds, name=name, description=description, error=description, ignore_na=False, n_failure_cases=1
    )


def _holds_or_null(rule: Constraint, values: "pd.Series[Any]") -> "pd.Series[bool]":
    holds, cells = pa.array(rule.holds(values)), pa.array(values)
    return _series(pc.or_(pc.fill_null(holds, False), pc.is_null(cells)) if cells.null_count else holds, values)


def _series(flags: pa.Array, like: "pd.Series[Any]") -> "pd.Series[bool]":
    plain = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    return pd.Series(plain, index=like.index)


def _unique_key(spec: TableSpec) -> str:
    return f"the only row, or the one synced last, with its {', '.join(spec.key)}"


def _is_current(key: Sequence[str], rows: pd.DataFrame) -> "pd.Series[bool]":
    """False for rows that a row with the same key replaces; rows without a complete key are left to `not_null`."""
    current = pd.Series(True, index=rows.index)
    if not set(key) <= set(rows.columns):
        return current
    names = list(key)
    keys = pa.table({name: pa.array(rows[name]) for name in names})
    if keys.group_by(names, use_threads=True).aggregate([]).num_rows == len(rows):
        return current
    doubles = rows[rows.duplicated(names, keep=False) & rows[names].notna().all(axis=1)]
    if doubles.empty:
        return current
    replaced = _newest_first(doubles).duplicated(names, keep="first")
    current.loc[replaced.index[replaced]] = False
    return current


def _newest_first(rows: pd.DataFrame) -> pd.DataFrame:
    order = pd.DataFrame({"values": rows.astype("string").fillna("").agg("\n".join, axis=1)}, index=rows.index)
    order["synced_at"] = rows.get("synced_at", pd.NaT)
    ordered = order.sort_values(["synced_at", "values"], ascending=[False, True], na_position="last", kind="stable")
    return rows.loc[ordered.index]


_ROW_LEVEL = {SchemaErrorReason.SERIES_CONTAINS_NULLS, SchemaErrorReason.DATAFRAME_CHECK}


def _schema_errors(errors: Sequence[SchemaError], spec: TableSpec, rows: pd.DataFrame) -> Iterator[str]:
    """One sentence for each fault of the table as a whole, without faults that only follow from others."""
    structural = [error for error in errors if error.reason_code not in _ROW_LEVEL]
    causes = [error for error in structural if error.reason_code is not SchemaErrorReason.CHECK_ERROR]
    yield from dict.fromkeys(_sentence(error, spec, rows) for error in causes or structural)


def _sentence(error: SchemaError, spec: TableSpec, rows: pd.DataFrame) -> str:
    name = error.failure_cases if isinstance(error.failure_cases, str) else None
    match error.reason_code:
        case SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
            return f"the column {name!r} is missing"
        case SchemaErrorReason.COLUMN_NOT_IN_SCHEMA:
            return f"the column {name!r} is not one of the table's"
        case SchemaErrorReason.COLUMN_NOT_ORDERED:
            return f"the column {name!r} is not in its place"
        case SchemaErrorReason.DUPLICATE_COLUMN_LABELS:
            return f"the column {', '.join(map(repr, error.failure_cases))} is there more than once"
        case SchemaErrorReason.WRONG_DATATYPE:
            dtype, spec_dtype = rows[error.schema.name].dtype, pandas_dtype(spec.column(error.schema.name).type)
            return f"the column {error.schema.name!r} is {dtype}, not {spec_dtype}"
        case SchemaErrorReason.CHECK_ERROR:
            return f"the rule {error.check.name!r} of {error.schema.name!r} could not be applied"
        case reason:
            return f"{reason.value.replace('_', ' ')} in {error.schema.name!r}"


def _bad_rows(error: SchemaError, spec: TableSpec, rows: pd.DataFrame) -> pd.DataFrame:
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        field, rule, reason = error.schema.name, NOT_NULL, "must not be null"
        bad = rows[field].isna()
    else:
        field, rule, reason = error.schema.name, error.check.name, f"must be {error.check.description}"
        bad = ~error.check_output
    if rule == DUPLICATE_KEY:
        field = ",".join(spec.key)
    return pd.DataFrame({"row_number": rows.index[bad.to_numpy(dtype=bool)], "field": field, "rule": rule,
                         "reason": reason})  # fmt: skip


def _in_order(bad_rows: list[pd.DataFrame]) -> pd.DataFrame:
    if not bad_rows:
        return pd.DataFrame({name: pd.Series(dtype="int64" if name == "row_number" else object) for name in _COLUMNS})
    return pd.concat(bad_rows).sort_values(["row_number", "field", "rule"], kind="stable", ignore_index=True)
