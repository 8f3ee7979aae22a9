"""Allow-list: numbers, conditions, STRUCT and other functions that belong to no larger family."""

from klaviyo_assets.sandbox.bigquery.sql.arithmetic import combine_numbers, divide
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require, unify
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, allow, scalar, signature
from klaviyo_assets.sandbox.bigquery.sql.names import struct
from klaviyo_assets.sandbox.bigquery.sql.types import BOOL, FLOAT64, INT64, NULL, NUMERIC, STRING

_DECIMAL = "DECIMAL(38,9)"


def _same_kind(name: str, whole: str, decimal: str, floating: str) -> None:
    """A function with one overload per numeric type, each giving its own type."""
    allow(
        name,
        signature(whole, INT64, INT64),
        signature(decimal, NUMERIC, NUMERIC),
        signature(floating, FLOAT64, FLOAT64),
    )


_same_kind("ABS", "abs({0})", "abs({0})", "abs({0})")
_same_kind("SIGN", "CAST(sign({0}) AS BIGINT)", f"CAST(sign({{0}}) AS {_DECIMAL})", "CAST(sign({0}) AS DOUBLE)")


def _rounding(duckdb: str, *names: str) -> None:
    """A rounding function: INT64 gives FLOAT64."""
    for name in names:
        allow(
            name,
            signature(f"CAST({duckdb}({{0}}) AS DOUBLE)", FLOAT64, INT64),
            signature(f"CAST({duckdb}({{0}}) AS {_DECIMAL})", NUMERIC, NUMERIC),
            signature(f"{duckdb}({{0}})", FLOAT64, FLOAT64),
        )


_rounding("ceil", "CEIL", "CEILING")
_rounding("floor", "FLOOR")


@scalar("ROUND", "TRUNC")
def _round(call: Call) -> Bound:
    call.arity(1, 2)
    value = call.bind(0)
    kind = NUMERIC if value.type == NUMERIC else FLOAT64
    value = require(value, kind, call.name)
    name = call.name.lower()
    if len(call.nodes) == 1:
        return combine(f"CAST({name}({value.sql}) AS {kind.duckdb})", kind, [value])
    digits = require(call.bind(1), INT64, call.name)
    if kind == NUMERIC:
        scale = f"CAST(pow(10, abs({digits.sql})) AS {_DECIMAL})"
        if digits.literal:
            scale = f"CAST({10 ** abs(int(digits.literal))} AS {_DECIMAL})"
        return combine(_round_numeric(name, value.sql, digits.sql, scale), kind, [value, digits])
    return combine(f"{name}({value.sql}, CAST({digits.sql} AS INTEGER))", kind, [value, digits])


def _round_numeric(name: str, value: str, digits: str, scale: str) -> str:
    """Rounding to a place that DuckDB would turn into the scale of the type."""
    right = f"CAST({name}({value} * CAST({scale} AS DECIMAL(19,0))) AS {_DECIMAL})"
    left = f"CAST({name}({divide(value, scale)}) AS {_DECIMAL})"
    return (
        f"CASE WHEN {digits} >= 9 THEN {value} WHEN {digits} >= 0 THEN {divide(right, scale)}"
        f" ELSE CAST({left} * CAST({scale} AS DECIMAL(19,0)) AS {_DECIMAL}) END"
    )


allow("MOD", signature("({0} % {1})", INT64, INT64, INT64), signature("({0} % {1})", NUMERIC, NUMERIC, NUMERIC))
allow("DIV", signature("({0} // {1})", INT64, INT64, INT64))
for _name in ("POW", "POWER"):
    allow(_name, signature("pow({0}, {1})", FLOAT64, FLOAT64, FLOAT64))
for _name in ("SQRT", "LN", "EXP"):
    allow(_name, signature(f"{_name.lower()}({{0}})", FLOAT64, FLOAT64))
allow("LOG10", signature("log10({0})", FLOAT64, FLOAT64))
allow("LOG", signature("ln({0})", FLOAT64, FLOAT64), signature("(ln({0}) / ln({1}))", FLOAT64, FLOAT64, FLOAT64))
for _name in ("IS_NAN", "IS_INF"):
    allow(_name, signature(f"{_name.lower().replace('_', '')}({{0}})", BOOL, FLOAT64))
allow("GENERATE_UUID", signature("CAST(uuid() AS VARCHAR)", STRING))


@scalar("SAFE_DIVIDE")
def _safe_divide(call: Call) -> Bound:
    call.arity(2)
    left, right = call.bound()
    divisor = Bound(f"nullif({right.sql}, 0)", right.type, right.literal, right.is_parameter)
    if right.literal:
        divisor = right if float(right.literal) else Bound("NULL", NULL)
    quotient = combine_numbers("/", left, divisor)
    kind = combine_numbers("/", left, right).type
    return combine(f"CAST({quotient.sql} AS {kind.duckdb})", kind, [left, right])


@scalar("SAFE_ADD", "SAFE_SUBTRACT", "SAFE_MULTIPLY")
def _safe_arithmetic(call: Call) -> Bound:
    call.arity(2)
    sign = {"SAFE_ADD": "+", "SAFE_SUBTRACT": "-", "SAFE_MULTIPLY": "*"}[call.name]
    value = combine_numbers(sign, call.bind(0), call.bind(1))
    return value.typed(f"TRY({value.sql})", value.type)


@scalar("SAFE_NEGATE")
def _safe_negate(call: Call) -> Bound:
    call.arity(1)
    value = call.bind(0)
    if not value.type.is_numeric:
        raise mismatch("function SAFE_NEGATE", [value])
    return combine(f"TRY(-{value.sql})", value.type, [value])


@scalar("COALESCE", "IFNULL")
def _coalesce(call: Call) -> Bound:
    call.arity(*((2, 2) if call.name == "IFNULL" else (1, 10_000)))
    values, kind = unify(call.bound(), f"function {call.name}")
    return combine(f"coalesce({', '.join(value.sql for value in values)})", kind, values)


@scalar("NULLIF")
def _nullif(call: Call) -> Bound:
    call.arity(2)
    values, kind = unify(call.bound(), "function NULLIF")
    if kind.kind in ("ARRAY", "JSON", "STRUCT"):
        raise mismatch("function NULLIF", values)
    return combine(f"nullif({values[0].sql}, {values[1].sql})", kind, values)


@scalar("GREATEST", "LEAST")
def _extreme(call: Call) -> Bound:
    """NULL when any argument is, unlike DuckDB's."""
    call.arity(1, 10_000)
    values, kind = unify(call.bound(), f"function {call.name}")
    if kind.kind in ("ARRAY", "JSON", "STRUCT"):
        raise mismatch(f"function {call.name}", values)
    if kind == NULL:
        return Bound("NULL", NULL)
    empty = " OR ".join(f"{value.sql} IS NULL" for value in values)
    listed = ", ".join(value.sql for value in values)
    sql = f"CASE WHEN {empty} THEN NULL ELSE {call.name.lower()}({listed}) END"
    return combine(sql, kind, values)


@scalar("STRUCT")
def _struct(call: Call) -> Bound:
    return struct(call.binder, list(call.nodes), call.scope)


@scalar("ERROR")
def _error(call: Call) -> Bound:
    call.arity(1)
    message = require(call.bind(0), STRING, "ERROR")
    return combine(f"CAST(error({message.sql}) AS BIGINT)", NULL, [message])
