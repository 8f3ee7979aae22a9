"""Aggregate functions, called plainly or with OVER.

GoogleSQL's modifiers (DISTINCT, IGNORE NULLS, HAVING MAX, ORDER BY, LIMIT) are separated here; a modifier that a
function does not accept is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.arithmetic import divide
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, aggregate
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.ordering import ordered_by
from klaviyo_assets.sandbox.bigquery.sql.types import (
    BOOL,
    FLOAT64,
    INT64,
    NULL,
    NUMERIC,
    STRING,
    Type,
    array_of,
    text,
)


@dataclass
class Arguments:
    """An aggregate call, split into arguments and modifiers."""

    values: list[Bound]
    distinct: str = ""
    nulls: str = ""
    having: exp.Expr | None = None
    order: str = ""
    limit: int | None = None
    order_keys: tuple[Bound, ...] = ()


def arguments(call: Call, *modifiers: str) -> Arguments:
    """Take a call apart; modifiers not in `allowed` (distinct, nulls, having, order, limit) are refused."""
    parts = Arguments([])
    nodes = [_unwrapped(call, node, parts) for node in call.nodes]
    nodes = [inner for node in nodes for inner in (node.expressions if isinstance(node, exp.Distinct) else [node])]
    for name in ("distinct", "nulls", "having", "order", "limit"):
        if getattr(parts, name) not in ("", None) and name not in modifiers:
            raise unsupported(f"{name.upper()} in {call.name}")
    parts.values = [call.binder.bind(node, call.scope) for node in nodes]
    for value in (*parts.values, *parts.order_keys):
        if value.has_window or (value.has_aggregate and call.over is None):
            raise invalid("Aggregations of aggregations are not allowed")
    return parts


def _unwrapped(call: Call, node: exp.Expr, parts: Arguments) -> exp.Expr:
    """Strip the modifiers around an argument, noting them; DISTINCT stays for the caller to spread."""
    if isinstance(node, exp.Limit):
        spelling = node.expression.name
        if not isinstance(node.expression, exp.Literal) or not spelling.isdigit():
            raise unsupported(f"a LIMIT in {call.name} that is not a literal")
        parts.limit = int(spelling)
    elif isinstance(node, exp.Order):
        _note_order(call, node, parts)
    elif isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        parts.nulls = "IGNORE" if isinstance(node, exp.IgnoreNulls) else "RESPECT"
    elif isinstance(node, exp.HavingMax):
        parts.having = node
    elif isinstance(node, exp.Distinct):
        parts.distinct = "DISTINCT "
        return node
    else:
        return node
    return _unwrapped(call, node.this, parts)


def _note_order(call: Call, node: exp.Order, parts: Arguments) -> None:
    keys = [call.binder.bind(each.this, call.scope) for each in node.expressions]
    pairs = zip(keys, node.expressions, strict=True)
    parts.order = " ORDER BY " + ", ".join(ordered_by(key.sql, key.type, each) for key, each in pairs)
    parts.order_keys = tuple(keys)


def result(call: Call, sql: str, kind: Type, parts: Sequence[Bound]) -> Bound:
    """The call's value: columns inside no longer count as ungrouped, unless it is an analytic call."""
    value = combine(sql, kind, parts)
    if call.over is not None:
        return Bound(sql, kind, ungrouped=value.ungrouped, has_aggregate=value.has_aggregate, has_window=True)
    outside = frozenset(use for use in value.ungrouped if use[0] != call.scope.number)
    return Bound(sql, kind, ungrouped=outside, has_aggregate=True)


def only_argument(call: Call, *modifiers: str) -> tuple[Bound, Arguments]:
    """The single argument of a call."""
    parts = arguments(call, *modifiers)
    if len(parts.values) != 1:
        raise invalid(f"Number of arguments does not match for function {call.name}")
    return parts.values[0], parts


@aggregate("COUNT")
def _count(call: Call) -> Bound:
    over = call.over or ""
    if len(call.nodes) == 1 and isinstance(call.nodes[0], exp.Star):
        return result(call, f"count(*){over}", INT64, [])
    value, parts = only_argument(call, "distinct")
    if parts.distinct and value.type.kind in ("ARRAY", "STRUCT", "JSON"):
        raise invalid(f"Aggregate functions with DISTINCT cannot be used with arguments of type {value.type}")
    return result(call, f"count({parts.distinct}{value.sql}){over}", INT64, [value])


@aggregate("COUNTIF")
def _count_if(call: Call) -> Bound:
    value = require(only_argument(call)[0], BOOL, "COUNTIF")
    return result(call, f"count(CASE WHEN {value.sql} THEN 1 END){call.over or ''}", INT64, [value])


@aggregate("SUM")
def _sum(call: Call) -> Bound:
    value, parts = only_argument(call, "distinct")
    value = _number(call, value)
    sql = f"sum({parts.distinct}{value.sql}){call.over or ''}"
    if value.type == INT64:
        sql = f"CAST({sql} AS BIGINT)"
    return result(call, sql, value.type, [value])


def _number(call: Call, value: Bound) -> Bound:
    if value.type == NULL:
        return value.as_type("CAST(NULL AS BIGINT)", INT64)
    if not value.type.is_numeric:
        raise mismatch(f"aggregate function {call.name}", [value])
    return value


@aggregate("AVG")
def _average(call: Call) -> Bound:
    value, parts = only_argument(call, "distinct")
    value, over = _number(call, value), call.over or ""
    if value.type != NUMERIC:
        value = require(value, FLOAT64, "AVG")
        return result(call, f"avg({parts.distinct}{value.sql}){over}", FLOAT64, [value])
    total = f"sum({parts.distinct}{value.sql}){over}"
    count = f"CAST(nullif(count({parts.distinct}{value.sql}){over}, 0) AS DECIMAL(38,9))"
    return result(call, divide(total, count), NUMERIC, [value])


@aggregate("MIN", "MAX")
def _extreme(call: Call) -> Bound:
    value, _ = only_argument(call, "distinct")
    if value.type.kind in ("ARRAY", "STRUCT", "JSON"):
        raise mismatch(f"aggregate function {call.name}", [value])
    kind = INT64 if value.type == NULL else value.type
    sql = f"{call.name.lower()}({value.sql}){call.over or ''}"
    if kind == FLOAT64:
        # Either extreme of values with a NaN is NaN.
        sql = f"CASE WHEN {_has_nan(call, value)} THEN CAST('nan' AS DOUBLE) ELSE {sql} END"
    return result(call, sql, kind, [value])


def _has_nan(call: Call, value: Bound) -> str:
    return f"bool_or(isnan({value.sql})){call.over or ''}"


def refuse_nan(call: Call, value: Bound) -> str:
    """DuckDB text of the values of a quantile: a NaN, which DuckDB would sort last, is an error."""
    if value.type != FLOAT64:
        return value.sql
    message = text(f"not supported by the local stand-in: {call.name} of values with a NaN")
    return f"CASE WHEN isnan({value.sql}) THEN CAST(error({message}) AS DOUBLE) ELSE {value.sql} END"


@aggregate("LOGICAL_OR", "LOGICAL_AND")
def _logical(call: Call) -> Bound:
    value = require(only_argument(call)[0], BOOL, call.name)
    name = {"LOGICAL_OR": "bool_or", "LOGICAL_AND": "bool_and"}[call.name]
    return result(call, f"{name}({value.sql}){call.over or ''}", BOOL, [value])


@aggregate("ANY_VALUE")
def _any_value(call: Call) -> Bound:
    value, parts = only_argument(call, "having")
    if parts.having is None:
        return result(call, f"any_value({value.sql}){call.over or ''}", value.type, [value])
    key = call.binder.bind(parts.having.expression, call.scope)
    return _extreme_by(call, value, key, bool(parts.having.args.get("max")))


@aggregate("MAX_BY", "MIN_BY")
def _by(call: Call) -> Bound:
    parts = arguments(call)
    if len(parts.values) != 2:
        raise invalid(f"Number of arguments does not match for function {call.name}")
    return _extreme_by(call, parts.values[0], parts.values[1], call.name == "MAX_BY")


def _extreme_by(call: Call, value: Bound, key: Bound, largest: bool) -> Bound:
    """The value where `key` is extreme; of several, one that is not NULL."""
    if call.over is not None:
        raise unsupported(f"{call.name} by a key with OVER")
    name, preferred = ("arg_max", "IS NOT NULL") if largest else ("arg_min", "IS NULL")
    ranked = f"struct_pack(k := {key.sql}, n := {value.sql} {preferred})"
    extreme_sql = f"{name}(struct_pack(v := {value.sql}), {ranked}) FILTER (WHERE {key.sql} IS NOT NULL)"
    return result(call, f"struct_extract({extreme_sql}, 'v')", value.type, [value, key])


@aggregate("ARRAY_AGG")
def _array_agg(call: Call) -> Bound:
    value, parts = only_argument(call, "distinct", "nulls", "order", "limit")
    kind = array_of(INT64 if value.type == NULL else value.type)
    _check_distinct_order(call, value, parts)
    list_sql = _list_sql(call, value, parts, parts.nulls == "IGNORE")
    return result(call, list_sql, kind, [value, *parts.order_keys])


def _check_distinct_order(call: Call, value: Bound, parts: Arguments) -> None:
    if parts.distinct and any(key.sql != value.sql for key in parts.order_keys):
        raise invalid(f"{call.name} with DISTINCT can only ORDER BY its argument")


def _list_sql(call: Call, value: Bound, parts: Arguments, drop_nulls: bool) -> str:
    filter_sql = f" FILTER (WHERE {value.sql} IS NOT NULL)" if drop_nulls else ""
    if call.over is not None and (parts.order or parts.distinct or parts.limit is not None):
        raise unsupported(f"{call.name} with DISTINCT, ORDER BY or LIMIT and OVER")
    sql = f"list({parts.distinct}{value.sql}{parts.order}){filter_sql}{call.over or ''}"
    return sql if parts.limit is None else f"list_slice({sql}, 1, {parts.limit})"


@aggregate("STRING_AGG")
def _string_agg(call: Call) -> Bound:
    parts = arguments(call, "distinct", "order", "limit")
    if not 1 <= len(parts.values) <= 2:
        raise invalid("Number of arguments does not match for function STRING_AGG")
    value = require(parts.values[0], STRING, "STRING_AGG")
    separator = "','"
    if len(parts.values) == 2:
        separator_value = require(parts.values[1], STRING, "STRING_AGG")
        if separator_value.literal is None:
            raise invalid("STRING_AGG: the delimiter must be a literal or query parameter")
        separator = separator_value.sql
    _check_distinct_order(call, value, parts)
    list_sql = _list_sql(call, value, parts, drop_nulls=True)
    return result(call, f"array_to_string({list_sql}, {separator})", STRING, [value, *parts.order_keys])


@aggregate("ARRAY_CONCAT_AGG")
def _array_concat_agg(call: Call) -> Bound:
    value, parts = only_argument(call, "order", "limit")
    if value.type.kind != "ARRAY":
        raise mismatch("aggregate function ARRAY_CONCAT_AGG", [value])
    list_sql = _list_sql(call, value, parts, drop_nulls=True)
    return result(call, f"flatten({list_sql})", value.type, [value, *parts.order_keys])


@aggregate("APPROX_COUNT_DISTINCT")
def _approximate_count(call: Call) -> Bound:
    value, _ = only_argument(call)
    return result(call, f"count(DISTINCT {value.sql}){call.over or ''}", INT64, [value])


@aggregate("APPROX_QUANTILES")
def _quantiles(call: Call) -> Bound:
    """Exact quantiles: within what an approximation may answer, and stable."""
    quantile_parts = arguments(call, "distinct", "nulls")
    if len(quantile_parts.values) != 2 or quantile_parts.nulls == "RESPECT" or call.over is not None:
        raise unsupported("this form of APPROX_QUANTILES")
    value, parts = quantile_parts.values[0], quantile_parts.values[1].literal
    if not parts or not parts.isdigit() or int(parts) < 1:
        raise unsupported("APPROX_QUANTILES with a number that is not a positive literal")
    places = ", ".join(repr(step / int(parts)) for step in range(int(parts) + 1))
    sql = f"quantile_disc({quantile_parts.distinct}{refuse_nan(call, value)}, [{places}])"
    return result(call, sql, array_of(value.type), [value])


def _statistic(name: str, arity: int) -> Callable[[Call], Bound]:
    def handler(call: Call) -> Bound:
        parts = arguments(call)
        if len(parts.values) != arity:
            raise invalid(f"Number of arguments does not match for function {call.name}")
        values = [require(value, FLOAT64, call.name) for value in parts.values]
        argument_list = ", ".join(value.sql for value in values)
        sql = f"{name}({argument_list}){call.over or ''}"
        if call.name == "CORR":
            sql = f"CASE WHEN regr_count({argument_list}){call.over or ''} > 1 THEN {sql} END"
        return result(call, sql, FLOAT64, values)

    return handler


_STATISTICS = {
    "STDDEV": "stddev_samp",
    "STDDEV_SAMP": "stddev_samp",
    "STDDEV_POP": "stddev_pop",
    "VARIANCE": "var_samp",
    "VAR_SAMP": "var_samp",
    "VAR_POP": "var_pop",
}
for _name, _duckdb in _STATISTICS.items():
    aggregate(_name)(_statistic(_duckdb, 1))
for _name in ("CORR", "COVAR_POP", "COVAR_SAMP"):
    aggregate(_name)(_statistic(_name.lower(), 2))


@aggregate("GROUPING")
def _grouping(call: Call) -> Bound:
    value, _ = only_argument(call)
    return result(call, f"grouping({value.sql})", INT64, [value])
