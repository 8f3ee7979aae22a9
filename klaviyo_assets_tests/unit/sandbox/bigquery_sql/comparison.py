"""One query on the stand-in's translation and on Google's evaluator: what each gives, and what is known to differ.

Here: the tables both read, running both, comparing cells. Not here: the queries (`test_google`, `grammar`).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from klaviyo_assets.sandbox.bigquery.cells import rows_of
from klaviyo_assets.sandbox.bigquery.sql import Field, SqlError
from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql, Table
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import DATASET, PROJECT, physical_name, shop

FACT = (
    Field("i", "INTEGER"),
    Field("n", "NUMERIC"),
    Field("f", "FLOAT"),
    Field("s", "STRING"),
    Field("b", "BOOLEAN"),
    Field("d", "DATE"),
    Field("t", "TIMESTAMP"),
    Field("c", "DATETIME"),
    Field("j", "STRING"),
    Field("k", "STRING"),
    Field("a", "INTEGER", "REPEATED"),
)
FACTS = """
(1, 1.5, 0.5, 'abc', true, '2024-01-31', '2024-01-31 23:59:59.5+00', '2024-01-31 12:00:00',
 '{"a": 1, "b": {"c": [1, 2]}}', 'x', [1, 2]),
(2, -2.25, 'nan', '', false, '2024-03-10', '2024-03-10 07:30:00+00', '2024-03-10 00:00:00', '{"a": "x"}', 'x', []),
(3, NULL, 'inf', 'ÄÖ ü', NULL, NULL, NULL, NULL, 'nope', 'y', [3]),
(NULL, 100, '-0.0', NULL, true, '1999-12-31', '1999-12-31 00:00:00+00', NULL, NULL, NULL, []),
(-5, 0.000000001, -1.25, 'Zz% _', false, '2024-02-29', '2024-02-29 12:00:00.123456+00',
 '2024-02-29 23:59:59.999999', '[]', 'y', [7, 7, 8])
"""

BY_NAME = "not supported by the local stand-in"


@dataclass(frozen=True)
class Outcome:
    """What one side made of a query: types and rows, or why there are none.

    Attributes:
        is_refused: Before it ran; otherwise a failure came from the values.
    """

    types: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    error: str = ""
    is_refused: bool = False

    @property
    def is_by_name(self) -> bool:
        """Whether the stand-in says that it does not offer something."""
        return BY_NAME in self.error


class Both:
    """The stand-in and Google with the same tables: `fact`, `event`, `campaign`."""

    def __init__(self, google: GoogleSql) -> None:
        self.google, self.engine = google, shop()
        self.engine.add("fact", FACT, FACTS)
        tables = {ref[2]: self._table(ref[2]) for ref in self.engine.tables}
        google.tables = tables
        self.names = list(tables)

    def compared(self, expression: str) -> "Comparison":
        """Run an expression, or a query, on both sides."""
        sql = query_of(expression)
        return Comparison(sql, self.by_google(sql), self.stand_in(sql))

    def stand_in(self, sql: str) -> Outcome:
        """What the stand-in gives."""
        try:
            statement = self.engine.translate(sql)[-1]
        except SqlError as error:
            return Outcome(error=error.message, is_refused=True)
        try:
            rows = rows_of(
                self.engine.connection.sql(statement.duckdb_sql).to_arrow_table(),
                statement.schema,
                int64_timestamps=True,
            )
        except duckdb.Error as error:
            return Outcome(error=str(error))
        types = [_type_of(_as_api(column)) for column in statement.schema]
        return Outcome(types, [[cell["v"] for cell in row["f"]] for row in rows])

    def by_google(self, sql: str) -> Outcome:
        """What Google's evaluator gives."""
        names = [name for name in self.names if re.search(rf"\b{name}\b", sql)]
        try:
            answer = self.google.evaluate(sql, names=names)
        except GoogleSqlError as error:
            # An error of the analyzer names a place in the text, one of the evaluator does not.
            return Outcome(error=str(error), is_refused="[at " in str(error))
        return Outcome([_type_of(column) for column in answer.columns], answer.rows)

    def _table(self, name: str) -> Table:
        fields = self.engine.tables[(PROJECT, DATASET, name)]
        stored = self.engine.connection.table(physical_name((PROJECT, DATASET, name)))
        rows = rows_of(stored.to_arrow_table(), fields, int64_timestamps=True)
        return Table([_as_api(column) for column in fields], [[cell["v"] for cell in row["f"]] for row in rows])


def _as_api(column: Field) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "mode": column.mode,
        "fields": [_as_api(part) for part in column.fields],
    }


def _type_of(column: dict[str, Any]) -> str:
    inner = ", ".join(_type_of(part) for part in column.get("fields") or ())
    mode = "REPEATED " if column.get("mode") == "REPEATED" else ""
    return f"{mode}{column['type']}{f'<{inner}>' if inner else ''}"


def query_of(expression: str) -> str:
    """A query for an expression; a query stays as it is."""
    return expression if re.match(r"\(?(SELECT|WITH)\b", expression) else f"SELECT {expression} AS x"


@dataclass(frozen=True)
class Comparison:
    """What both sides made of one query."""

    sql: str
    googles: Outcome
    ours: Outcome

    @property
    def is_known(self) -> bool:
        """Whether they differ in a way that `KNOWN_DIFFERENCES` explains."""
        return not self._agrees() and any(is_it(self) for _, is_it in KNOWN_DIFFERENCES)

    @property
    def difference(self) -> str:
        """In what way they differ; empty when they agree, both give nothing, or the difference is known."""
        if self._agrees() or self.is_known:
            return ""
        sides = (outcome.error or f"{outcome.types} {outcome.rows}" for outcome in (self.googles, self.ours))
        return "{}\n  Google:   {}\n  stand-in: {}".format(self.sql, *sides)

    def _agrees(self) -> bool:
        if self.ours.error or self.googles.error:
            return bool(self.ours.error and self.googles.error)
        is_ordered = bool(re.search(r"ORDER BY[^)]*$", self.sql))
        left, right = (_spelled(outcome.rows, is_ordered) for outcome in (self.ours, self.googles))
        return self.ours.types == self.googles.types and left == right


def _is_by_name(comparison: Comparison) -> bool:
    return comparison.ours.is_by_name


def _is_needless_failure(comparison: Comparison) -> bool:
    cells = [cell for row in comparison.ours.rows for cell in row]
    return bool(comparison.googles.error) and not comparison.googles.is_refused and cells.count(None) > 0


def _is_failure_of_a_branch(comparison: Comparison) -> bool:
    has_branches = re.search(r"\b(IF|CASE|COALESCE|IFNULL|NULLIF|AND|OR|GREATEST|LEAST)\b", comparison.sql)
    return bool(comparison.ours.error) and not comparison.ours.is_refused and has_branches is not None


def _is_missing_from_the_open_engine(comparison: Comparison) -> bool:
    return re.search(r"Unsupported built-in function|Function not found", comparison.googles.error) is not None


def _is_null_in_an_array(comparison: Comparison) -> bool:
    return "Array cannot have a null element" in comparison.ours.error


def _is_misread_by_the_open_engine(comparison: Comparison) -> bool:
    return (
        "Failed to parse input string" in comparison.googles.error and re.search(r"%[FT]", comparison.sql) is not None
    )


def _is_half_an_hour(comparison: Comparison) -> bool:
    return "Australia/Lord_Howe" in comparison.sql


def _is_hexadecimal_float(comparison: Comparison) -> bool:
    return "'0x1p3' AS FLOAT64" in comparison.sql


def _is_mean_of_infinity(comparison: Comparison) -> bool:
    return (
        "AVG(" in comparison.sql and "Infinity" in str(comparison.ours.rows) and "NaN" in str(comparison.googles.rows)
    )


KNOWN_DIFFERENCES: list[tuple[str, Callable[[Comparison], bool]]] = [
    ("The stand-in refuses by name what it does not offer.", _is_by_name),
    (
        "Google fails on an operand although the whole is NULL whatever it is; DuckDB does not compute it.",
        _is_needless_failure,
    ),
    (
        "DuckDB works out constants, and all columns, of branches that are never taken, and fails on them.",
        _is_failure_of_a_branch,
    ),
    ("APPROX_*, MAX_BY and MIN_BY are BigQuery's; the published engine has none.", _is_missing_from_the_open_engine),
    (
        "BigQuery refuses an array with NULL that leaves a query; the published evaluator shows it.",
        _is_null_in_an_array,
    ),
    ("The published engine, built for WebAssembly, cannot read %F and %T.", _is_misread_by_the_open_engine),
    ("Where clocks move by half an hour the stand-in takes the second of two equal times.", _is_half_an_hour),
    ("The stand-in does not read hexadecimal fractions.", _is_hexadecimal_float),
    ("The published evaluator keeps a running mean, which infinity makes NaN.", _is_mean_of_infinity),
]
"""What differs, why, and how it is told."""


def _spelled(rows: list[list[Any]], is_ordered: bool) -> list[str]:
    texts = [repr([_rounded(cell) for cell in row]) for row in rows]
    return texts if is_ordered else sorted(texts)


def _rounded(cell: Any) -> Any:
    """FLOAT64 to 12 digits: the last ones of EXP, LN, STDDEV depend on the library, those of sums on the order."""
    if isinstance(cell, list):
        return [_rounded(item["v"]) for item in cell]
    if isinstance(cell, dict):
        return [_rounded(item["v"]) for item in cell["f"]]
    if cell == "-0.0":
        # Which of two equal zeros comes first, or is the least, is left to the engine.
        return "0.0"
    if isinstance(cell, str) and re.fullmatch(r"-?\d+\.\d+(e[+-]\d+)?|-?\d+e[+-]\d+", cell) and len(cell) > 12:
        return f"{float(cell):.12g}" if math.isfinite(float(cell)) else cell
    return cell
