"""The columns that each column is computed from, back to the raw fields: read from the specs and the SQL.

Here: the columns that a column's value is computed from, one stage back, and the raw fields at the far end. Not here:
how Dagster shows it (`defs/columns.py`).

Only values are followed: a column in a formula counts; a column that merely decides which rows exist does not. If a
formula counts rows, and so has no column of its own, the columns that decide which rows exist take its place.

The result is kept in `lineage.json`, which `python -m klaviyo_assets.documentation` writes. An entry is used as long as
its query has not changed. The file only saves time: without it, loading takes half a second longer.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.spec import PACKED, PROPERTIES, UNLISTED, TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES

_DIALECT = "bigquery"
FILE = Path(__file__).with_name("lineage.json")
# A table and its column; extracted frames have the names of the raw table.
Column = tuple[str, str]
Columns = frozenset[Column]
_NONE: Columns = frozenset()


def raw_columns(table: TableSpec) -> tuple[str, ...]:
    """The raw columns of a table by their names in extracted frames; columns that the spec does not name come last."""
    named_columns = [column.name for column in table.raw] + [f"property_{field.name}" for field in table.properties]
    unnamed_columns = (UNLISTED, PACKED) if table.custom_fields else (UNLISTED,)
    return (*named_columns, *unnamed_columns) if table.raw else ()


def made_of(spec: TableSpec) -> dict[str, Columns]:
    """The columns that each column of a mapped table, report or view is computed from, one stage back.

    Args:
        spec: A mapped table (computed from raw columns), or a report or view (computed from columns of what it reads).

    Returns:
        For each column of the spec, tables and their columns; none for columns that only settings decide.
    """
    return _of_query(spec.name) if spec.name in REPORTS or spec.name in VIEWS else _of_mapping(spec)


@cache
def raw_fields(table: str, column: str) -> Columns:
    """The raw fields that a column is computed from in the end.

    Args:
        table: A mapped table, report or view.
        column: Its column.
    """
    spec = _spec(table)
    sources = made_of(spec).get(column, _NONE)
    if table in TABLES:
        return sources
    return frozenset(raw for each in sources for raw in raw_fields(*each))


def _spec(name: str) -> TableSpec:
    return TABLES.get(name) or REPORTS.get(name) or VIEWS[name]


def _of_mapping(spec: TableSpec) -> dict[str, Columns]:
    """Attribution has no raw table: it is computed from the columns of mapped events."""
    sources: dict[str, Columns] = {}
    for column in spec.columns:
        if spec is ATTRIBUTION:
            sources[column.name] = frozenset(
                raw for name in column.made_of for raw in _of_mapping(EVENT).get(name, _NONE)
            )
        else:
            unnamed = (UNLISTED, PACKED) if spec.custom_fields else (UNLISTED,)
            own = unnamed if column.name == PROPERTIES.name else (column.raw,) if column.raw else column.made_of
            sources[column.name] = frozenset((spec.name, name) for name in own)
    return sources


def _sql(name: str) -> str:
    return REPORTS[name].rows_sql if name in REPORTS else VIEWS[name].sql


@cache
def _of_query(name: str) -> dict[str, Columns]:
    spec, sql = _spec(name), _sql(name)
    kept_entry = _kept_lineage().get(name, {})
    if kept_entry.get("sql") == _digest(sql):
        return {column: _columns_of(text) for column, text in kept_entry["columns"].items()}
    sources = _Query({}).columns(sqlglot.parse_one(sql, dialect=_DIALECT))
    return {column.name: sources.get(column.name, _NONE) for column in spec.columns}


@cache
def _kept_lineage() -> dict[str, Any]:
    """The stored result: without it, everyone who loads code would wait half a second while all queries are read."""
    return dict(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.is_file() else {}


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()[:16]


def _columns_of(text: str) -> Columns:
    return frozenset((table, column) for table, _, column in (name.partition(".") for name in text.split()))


def written_lineage() -> str:
    """The content of `lineage.json`: the sources of every report's and view's columns, with a hash of the query."""
    lineage = {}
    for name in (*REPORTS, *VIEWS):
        columns = {
            column: " ".join(sorted(".".join(source) for source in sources))
            for column, sources in _of_query(name).items()
        }
        lineage[name] = {"sql": _digest(_sql(name)), "columns": columns}
    return json.dumps(lineage, indent=1) + "\n"


@dataclass(frozen=True)
class _Query:
    """Follows columns through a query; `cte_columns` has the common table expressions before it."""

    cte_columns: Mapping[str, Mapping[str, Columns]]

    def columns(self, query: exp.Expr) -> dict[str, Columns]:
        """The sources of each column of a query's result."""
        if isinstance(query, exp.Subquery):
            return self.columns(query.this)
        inner = self
        for cte in query.ctes if isinstance(query, exp.Query) else ():
            inner = _Query({**inner.cte_columns, cte.alias: inner.columns(cte.this)})
        if isinstance(query, exp.SetOperation):
            first_columns, second_columns = inner.columns(query.left), inner.columns(query.right)
            pairs = zip(first_columns.items(), second_columns.values(), strict=True)
            return {name: first | second for (name, first), second in pairs}
        if isinstance(query, exp.Select):
            return inner._of_select(query)
        raise PermanentError(f"cannot trace the columns of a {type(query).__name__}")

    def _of_select(self, select: exp.Select) -> dict[str, Columns]:
        sources = dict(self._sources(select))
        columns: dict[str, Columns] = {}
        for output in select.expressions:
            if output.is_star:
                columns |= _starred(output, sources)
            else:
                columns[output.alias_or_name] = self._of_expression(output, sources) or _of_rows(
                    output, select, sources
                )
        return columns

    def _sources(self, select: exp.Select) -> Iterator[tuple[str, Mapping[str, Columns]]]:
        joins = [join.this for join in select.args.get("joins") or []]
        source = select.args.get("from_") or select.args.get("from")
        for table in ([source.this] if source else []) + joins:
            yield table.alias_or_name, self._of_source(table)

    def _of_source(self, source: exp.Expr) -> Mapping[str, Columns]:
        if isinstance(source, exp.Table):
            if source.name in self.cte_columns:
                return self.cte_columns[source.name]
            return {name: frozenset({(source.name, name)}) for name in _spec(source.name).column_names}
        if isinstance(source, exp.Subquery):
            return self.columns(source.this)
        # Parameters and literals have no columns.
        return {}

    def _of_expression(self, expression: exp.Expr, sources: Mapping[str, Mapping[str, Columns]]) -> Columns:
        return frozenset(source for column in expression.find_all(exp.Column) for source in _resolved(column, sources))


def _resolved(column: exp.Column, sources: Mapping[str, Mapping[str, Columns]]) -> Columns:
    if column.table:
        return sources.get(column.table, {}).get(column.name, _NONE)
    return next((columns[column.name] for columns in sources.values() if column.name in columns), _NONE)


def _starred(output: exp.Expr, sources: Mapping[str, Mapping[str, Columns]]) -> dict[str, Columns]:
    star = output.this if isinstance(output, exp.Column) else output
    excluded = {name.name for name in star.args.get("except_") or star.args.get("except") or []}
    star_sources = [sources[output.table]] if isinstance(output, exp.Column) else sources.values()
    return {name: origins for columns in star_sources for name, origins in columns.items() if name not in excluded}


def _of_rows(output: exp.Expr, select: exp.Select, sources: Mapping[str, Mapping[str, Columns]]) -> Columns:
    """What takes the place of a count of rows: the columns that decide which rows exist."""
    value = output.unalias()
    while isinstance(value, exp.Cast):
        value = value.this
    counts = value.find(exp.Count) or (isinstance(value, exp.Literal) and value.is_number) or value == exp.true()
    conditions: Iterable[exp.Expr | None] = [
        select.args.get("where"), *(join.args.get("on") for join in select.args.get("joins") or [])
    ]  # fmt: skip
    if not counts:
        return _NONE
    return frozenset(
        source for condition in conditions if condition for column in condition.find_all(exp.Column)
        for source in _resolved(column, sources)
    )  # fmt: skip
