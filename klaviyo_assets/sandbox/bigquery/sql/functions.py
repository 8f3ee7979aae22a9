"""Allow-list: numbers, conditions, STRUCT and other functions that belong to no larger family."""

from klaviyo_assets.sandbox.bigquery.sql.arithmetic import combine_numbers, divide
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require, unify
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, allow, pick, scalar, signature
from klaviyo_assets.sandbox.bigquery.sql.names import struct
from klaviyo_assets.sandbox.bigquery.sql.operators import compared
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
_same_kind(
    "SIGN",
    "CAST(sign({0}) AS BIGINT)",
    f"CAST(sign({{0}}) AS {_DECIMAL})",
    "CASE WHEN isnan({0}) THEN {0} ELSE CAST(sign({0}) AS DOUBLE) END",
)


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
        scale = f"CAST(pow(10, least(abs({digits.sql}), 18)) AS {_DECIMAL})"
        if digits.literal:
            scale = f"CAST({10 ** min(abs(int(digits.literal)), 18)} AS {_DECIMAL})"
        return combine(_round_numeric(name, value.sql, digits.sql, scale), kind, [value, digits])
    return combine(f"{name}({value.sql}, CAST({digits.sql} AS INTEGER))", kind, [value, digits])


def _round_numeric(name: str, value: str, digits: str, scale: str) -> str:
    """Round to a number of digits, which DuckDB would turn into the scale of the type."""
    right = f"CAST({name}({value} * CAST({scale} AS DECIMAL(19,0))) AS {_DECIMAL})"
    left = f"CAST({name}({divide(value, scale)}) AS {_DECIMAL})"
    return (
        f"CASE WHEN {digits} >= 9 THEN {value} WHEN {digits} < -29 THEN CAST(0 AS {_DECIMAL}) WHEN {digits} < -18"
        f" THEN CAST('not supported by the local stand-in: ROUND of a NUMERIC to ' || {digits} AS {_DECIMAL})"
        f" WHEN {digits} >= 0 THEN {divide(right, scale)}"
        f" ELSE CAST({left} * CAST({scale} AS DECIMAL(19,0)) AS {_DECIMAL}) END"
    )


def _whole_division(name: str, whole: str, decimal: str) -> None:
    """Division of two INT64, or with a NUMERIC; a FLOAT64 literal is only allowed beside a NUMERIC."""
    overloads = signature(whole, INT64, INT64, INT64), signature(decimal, NUMERIC, NUMERIC, NUMERIC)

    @scalar(name)
    def handler(call: Call) -> Bound:
        values = call.values()
        if all(value.type != NUMERIC for value in values) and any(value.type == FLOAT64 for value in values):
            raise mismatch(f"function {name}", values)
        return pick(name, overloads, values)


_whole_division("MOD", "({0} % {1})", "({0} % {1})")
_whole_division("DIV", "({0} // {1})", "bq_numeric_div({0}, {1})")


def _of_floats(name: str, *templates: str) -> None:
    """A function of FLOAT64 that returns NUMERIC for NUMERIC; one template per number of arguments."""
    overloads = []
    for template in templates:
        count = 1 + ("{1}" in template)
        inner = template.replace("{0}", "CAST({0} AS DOUBLE)").replace("{1}", "CAST({1} AS DOUBLE)")
        overloads.append(signature(template, FLOAT64, *[FLOAT64] * count))
        overloads.append(signature(f"bq_numeric_of_float({inner})", NUMERIC, *[NUMERIC] * count))
    allow(name, *overloads)


for _name in ("POW", "POWER"):
    _of_floats(_name, "bq_float_pow({0}, {1})")
_of_floats("EXP", "bq_float_exp({0})")
_of_floats("SQRT", "sqrt({0})")
_of_floats("LN", "ln({0})")
_of_floats("LOG10", "log10({0})")
_of_floats("LOG", "ln({0})", "(ln({0}) / ln({1}))")
for _name in ("IS_NAN", "IS_INF"):
    allow(_name, signature(f"{_name.lower().replace('_', '')}({{0}})", BOOL, FLOAT64))
allow("IEEE_DIVIDE", signature("bq_ieee_divide({0}, {1})", FLOAT64, FLOAT64, FLOAT64))
allow("RAND", signature("random()", FLOAT64))
allow("GENERATE_UUID", signature("CAST(uuid() AS VARCHAR)", STRING))


@scalar("SAFE_DIVIDE")
def _safe_divide(call: Call) -> Bound:
    call.arity(2)
    left, right = call.values()
    divisor = Bound(f"nullif({right.sql}, 0)", right.type, right.literal, right.is_parameter)
    if right.literal:
        divisor = right if float(right.literal) else Bound("NULL", NULL)
    quotient = combine_numbers("/", left, divisor)
    kind = combine_numbers("/", left, right).type
    sql = f"CAST({quotient.sql} AS {kind.duckdb})"
    if FLOAT64 in (left.type, right.type):
        sql = f"TRY({sql})"
    return combine(sql, kind, [left, right])


@scalar("SAFE_ADD", "SAFE_SUBTRACT", "SAFE_MULTIPLY")
def _safe_arithmetic(call: Call) -> Bound:
    call.arity(2)
    sign = {"SAFE_ADD": "+", "SAFE_SUBTRACT": "-", "SAFE_MULTIPLY": "*"}[call.name]
    value = combine_numbers(sign, call.bind(0), call.bind(1))
    return value.as_type(f"TRY({value.sql})", value.type)


@scalar("SAFE_NEGATE")
def _safe_negate(call: Call) -> Bound:
    call.arity(1)
    value = call.bind(0)
    if not value.type.is_numeric:
        raise mismatch("function SAFE_NEGATE", [value])
    negative = f"(0 - {value.sql})" if value.type == INT64 else f"(-{value.sql})"
    return combine(f"TRY({negative})", value.type, [value])


@scalar("COALESCE", "IFNULL")
def _coalesce(call: Call) -> Bound:
    call.arity(*((2, 2) if call.name == "IFNULL" else (1, 10_000)))
    values, kind = unify(call.values(), f"function {call.name}")
    return combine(f"coalesce({', '.join(value.sql for value in values)})", kind, values)


@scalar("NULLIF")
def _nullif(call: Call) -> Bound:
    call.arity(2)
    values, kind = unify(call.values(), "function NULLIF")
    if kind.kind in ("ARRAY", "JSON", "STRUCT"):
        raise mismatch("function NULLIF", values)
    if kind == FLOAT64:
        same = compared(values[0], "=", values[1])
        return combine(f"CASE WHEN {same.sql} THEN NULL ELSE {values[0].sql} END", kind, values)
    return combine(f"nullif({values[0].sql}, {values[1].sql})", kind, values)


@scalar("GREATEST", "LEAST")
def _extreme(call: Call) -> Bound:
    """GREATEST and LEAST; NULL if any argument is NULL, unlike in DuckDB."""
    call.arity(1, 10_000)
    values, kind = unify(call.values(), f"function {call.name}")
    if kind.kind in ("ARRAY", "JSON", "STRUCT"):
        raise mismatch(f"function {call.name}", values)
    if kind == NULL:
        return Bound("NULL", NULL)
    empty = " OR ".join(f"{value.sql} IS NULL" for value in values)
    argument_list = ", ".join(value.sql for value in values)
    extreme = f"{call.name.lower()}({argument_list})"
    if kind == FLOAT64:
        nan = " OR ".join(f"isnan({value.sql})" for value in values)
        extreme = f"CASE WHEN {nan} THEN CAST('nan' AS DOUBLE) ELSE {extreme} END"
    sql = f"CASE WHEN {empty} THEN NULL ELSE {extreme} END"
    return combine(sql, kind, values)


@scalar("STRUCT")
def _struct(call: Call) -> Bound:
    return struct(call.binder, list(call.nodes), call.scope)


@scalar("ERROR")
def _error(call: Call) -> Bound:
    call.arity(1)
    message = require(call.bind(0), STRING, "ERROR")
    return combine(f"CAST(error({message.sql}) AS BIGINT)", NULL, [message])
