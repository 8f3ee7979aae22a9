"""A bound expression: DuckDB text, GoogleSQL type, and what the rules of GROUP BY need.

Here: the class, how parts combine, and implicit coercion. Not here: where names come from (`scopes`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.model import SqlError, invalid
from klaviyo_assets.sandbox.bigquery.sql.types import NULL, Type, promoted, text

ColumnUse = tuple[int, str]
"""Number of the scope that owns the column, and the column's name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression after binding.

    Attributes:
        sql: DuckDB text, complete in itself (bracketed where it must be).
        type: GoogleSQL type.
        literal: The value of a literal ("" for a query parameter); None for anything else. Literals
            and parameters coerce more freely than other expressions.
        is_parameter: The expression is a query parameter.
        ungrouped: Columns used outside of an aggregate.
        has_aggregate: An aggregate of the query at hand is inside.
        has_window: An analytic function of the query at hand is inside.
    """

    sql: str
    type: Type
    literal: str | None = None
    is_parameter: bool = False
    ungrouped: frozenset[ColumnUse] = frozenset()
    has_aggregate: bool = False
    has_window: bool = False

    def as_type(self, sql: str, kind: Type) -> "Bound":
        """The same expression with a different text and type, no longer a literal."""
        return replace(self, sql=sql, type=kind, literal=None, is_parameter=False)


def combine(sql: str, kind: Type, parts: Iterable[Bound]) -> Bound:
    """An expression made of `parts`."""
    bound_parts = list(parts)
    return Bound(
        sql,
        kind,
        ungrouped=frozenset().union(*(part.ungrouped for part in bound_parts)),
        has_aggregate=any(part.has_aggregate for part in bound_parts),
        has_window=any(part.has_window for part in bound_parts),
    )


_TEXT_LIKE = ("DATE", "DATETIME", "TIMESTAMP", "TIME")


def coerce(value: Bound, target: Type) -> Bound | None:
    """`value` coerced to `target`, or None if GoogleSQL has no such coercion."""
    source = value.type
    if source == target:
        return value
    if source == NULL or (source.kind == "ARRAY" == target.kind and source.element == NULL):
        return value.as_type(f"CAST({value.sql} AS {target.duckdb})", target)
    if value.literal is not None:
        return _coerce_literal(value, target)
    if (source.is_numeric or source.kind == "DATE") and promoted([source, target]) == target:
        return _cast(value, target)
    if source.kind == target.kind == "STRUCT" and promoted([target, source]) == target:
        return _cast(value, target)
    return None


def _cast(value: Bound, target: Type) -> Bound | None:
    sql = cast_text(value.sql, value.type, target)
    return None if sql is None else value.as_type(sql, target)


def _coerce_literal(value: Bound, target: Type) -> Bound | None:
    source = value.type
    if source.kind == "STRING" and target.kind in _TEXT_LIKE:
        return _cast(value, target)
    if source.kind == "FLOAT64" and target.kind == "NUMERIC" and not value.is_parameter:
        return value.as_type(f"CAST({text(value.literal or '')} AS {target.duckdb})", target)
    if source.is_numeric and promoted([source, target]) == target:
        return _cast(value, target)
    return None


def require(value: Bound, target: Type, where: str) -> Bound:
    """`value` coerced to `target`; the error for a mismatch names `where`."""
    coerced = coerce(value, target)
    if coerced is None:
        raise invalid(f"{where}: expected {target}, found {value.type}")
    return coerced


def common_type(values: Sequence[Bound], where: str) -> Type:
    """The type that all `values` coerce to; literals adapt to the others if they can.

    Raises:
        SqlError: There is no such type.
    """
    fixed = [value.type for value in values if value.literal is None]
    kind = promoted(fixed)
    if kind is not None and kind != NULL and all(coerce(value, kind) for value in values):
        return kind
    kind = promoted([value.type for value in values])
    if kind is None:
        kind = _from_literals(values)
    if kind is None:
        raise mismatch(where, values)
    return kind


def _from_literals(values: Sequence[Bound]) -> Type | None:
    for value in values:
        if value.literal is None or value.type.kind != "STRING":
            continue
        common = promoted([other.type for other in values if other.type != value.type])
        if common is not None and all(coerce(each, common) for each in values):
            return common
    return None


def unify(values: Sequence[Bound], where: str) -> tuple[list[Bound], Type]:
    """All `values` coerced to their common type."""
    kind = common_type(values, where)
    return [require(value, kind, where) for value in values], kind


def mismatch(where: str, values: Sequence[Bound]) -> SqlError:
    """BigQuery's complaint about argument types."""
    type_list = ", ".join(str(value.type) for value in values)
    return invalid(f"No matching signature for {where} for argument types: {type_list}")
