"""Allow-list: ARRAY functions."""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require, unify
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, scalar
from klaviyo_assets.sandbox.bigquery.sql.dates import interval
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.operators import array_subquery
from klaviyo_assets.sandbox.bigquery.sql.types import DATE, INT64, NULL, STRING, TIMESTAMP, array_of


def _array(call: Call, place: int = 0) -> Bound:
    value = call.bind(place)
    if value.type.element is None:
        raise mismatch(f"function {call.name}", [value])
    return value


@scalar("ARRAY")
def _from_query(call: Call) -> Bound:
    call.arity(1)
    node = call.nodes[0]
    if not isinstance(node, exp.Query):
        raise invalid("ARRAY(...) takes a subquery; a list of values goes in [ ]")
    return array_subquery(call.binder, node, call.scope)


@scalar("ARRAY_LENGTH")
def _length(call: Call) -> Bound:
    call.arity(1)
    value = _array(call)
    return combine(f"len({value.sql})", INT64, [value])


@scalar("ARRAY_REVERSE")
def _reverse(call: Call) -> Bound:
    call.arity(1)
    value = _array(call)
    return combine(f"list_reverse({value.sql})", value.type, [value])


@scalar("ARRAY_FIRST", "ARRAY_LAST")
def _end(call: Call) -> Bound:
    call.arity(1)
    value = _array(call)
    kind = value.type.element
    assert kind is not None  # noqa: S101 - an ARRAY has one
    place = "1" if call.name == "ARRAY_FIRST" else "-1"
    failure = f"CAST(error('{call.name} cannot get the element of an empty array') AS {kind.duckdb})"
    sql = f"CASE WHEN len({value.sql}) = 0 THEN {failure} ELSE {value.sql}[{place}] END"
    return combine(sql, kind, [value])


@scalar("ARRAY_CONCAT")
def _concat(call: Call) -> Bound:
    call.arity(1, 10_000)
    values, kind = unify(call.values(), "function ARRAY_CONCAT")
    if kind.kind != "ARRAY":
        raise mismatch("function ARRAY_CONCAT", values)
    empty = " OR ".join(f"{value.sql} IS NULL" for value in values)
    sql = " || ".join(value.sql for value in values)
    return combine(f"CASE WHEN {empty} THEN NULL ELSE {sql} END", kind, values)


@scalar("ARRAY_TO_STRING")
def _to_string(call: Call) -> Bound:
    call.arity(2, 3)
    value, separators = _array(call), [require(each, STRING, call.name) for each in call.values()[1:]]
    if value.type.element not in (STRING, NULL):
        raise mismatch("function ARRAY_TO_STRING", [value])
    list_sql = value.sql
    if len(separators) == 2:
        list_sql = f"list_transform({list_sql}, lambda each: coalesce(each, {separators[1].sql}))"
    sql = (
        f"CASE WHEN len({list_sql}) = 0 THEN '' ELSE coalesce(array_to_string({list_sql}, {separators[0].sql}), '') END"
    )
    guard = f"CASE WHEN {value.sql} IS NULL OR {separators[0].sql} IS NULL THEN NULL ELSE {sql} END"
    return combine(guard, STRING, [value, *separators])


@scalar("GENERATE_ARRAY")
def _generate(call: Call) -> Bound:
    call.arity(2, 3)
    values, kind = unify(call.values(), call.name)
    if kind != INT64:
        raise unsupported(f"GENERATE_ARRAY of {kind}: only INT64")
    step = f"bq_step({values[2].sql})" if len(values) == 3 else "CAST(1 AS BIGINT)"
    sql = f"generate_series({values[0].sql}, {values[1].sql}, {step})"
    return combine(sql, array_of(INT64), values)


@scalar("GENERATE_DATE_ARRAY")
def _generate_dates(call: Call) -> Bound:
    call.arity(2, 3)
    values = [require(call.bind(place), DATE, call.name) for place in (0, 1)]
    step = "to_days(1)"
    if len(call.nodes) == 3:
        length = interval(call.binder, call.nodes[2], call.scope, "DATE")
        step, values = length.sql, [*values, length]
    start, end = (f"CAST({value.sql} AS TIMESTAMP)" for value in values[:2])
    sql = f"CAST(generate_series({start}, {end}, {step}) AS DATE[])"
    if "to_months" in step:
        sql = f"CASE WHEN day({values[0].sql}) > 28 THEN {_LATE_START} ELSE {sql} END"
    return combine(sql, array_of(DATE), values)


_LATE_START = (
    "CAST(error('not supported by the local stand-in: GENERATE_DATE_ARRAY by months"
    " from a day after the 28th') AS DATE[])"
)


@scalar("GENERATE_TIMESTAMP_ARRAY")
def _generate_timestamps(call: Call) -> Bound:
    call.arity(3)
    values = [require(call.bind(place), TIMESTAMP, call.name) for place in (0, 1)]
    length = interval(call.binder, call.nodes[2], call.scope, "TIMESTAMP")
    sql = f"generate_series({values[0].sql}, {values[1].sql}, {length.sql})"
    return combine(sql, array_of(TIMESTAMP), [*values, length])
