"""Allow-list: DATE, DATETIME, TIMESTAMP functions and intervals. Formats are in `formats`.

TIMESTAMP is TIMESTAMPTZ in a session whose zone is UTC, DATETIME is TIMESTAMP. DuckDB counts weeks from Monday
and lets DATE functions give timestamps; both are corrected here.
"""

from collections.abc import Sequence

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, binds
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require
from klaviyo_assets.sandbox.bigquery.sql.calls import SCALARS, Call, allow, scalar, signature
from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.scopes import Scope
from klaviyo_assets.sandbox.bigquery.sql.types import DATE, DATETIME, INT64, STRING, TIME, TIMESTAMP, Type

_LONG = {"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
_SHORT = {"MICROSECOND": 1, "MILLISECOND": 1_000, "SECOND": 10**6, "MINUTE": 60 * 10**6, "HOUR": 3600 * 10**6}
_EXACT = {**_SHORT, "DAY": 86_400 * 10**6}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
INTERVAL = Type("INTERVAL")

allow("UNIX_SECONDS", signature("bq_floor_div(epoch_us({0}), 1000000)", INT64, TIMESTAMP))
allow("UNIX_MILLIS", signature("bq_floor_div(epoch_us({0}), 1000)", INT64, TIMESTAMP))
allow("UNIX_MICROS", signature("epoch_us({0})", INT64, TIMESTAMP))
allow("UNIX_DATE", signature("CAST(({0} - CAST('1970-01-01' AS DATE)) AS BIGINT)", INT64, DATE))
allow(
    "DATE_FROM_UNIX_DATE",
    signature("bq_checked_date(CAST('1970-01-01' AS DATE) + CAST({0} AS INTEGER))", DATE, INT64),
)
allow("TIMESTAMP_SECONDS", signature("bq_checked_timestamp(make_timestamptz({0} * 1000000))", TIMESTAMP, INT64))
allow("TIMESTAMP_MILLIS", signature("bq_checked_timestamp(make_timestamptz({0} * 1000))", TIMESTAMP, INT64))
allow("TIMESTAMP_MICROS", signature("bq_checked_timestamp(make_timestamptz({0}))", TIMESTAMP, INT64))
allow(
    "DATE",
    signature("{0}", DATE, DATE),
    signature("CAST({0} AS DATE)", DATE, DATETIME),
    signature("CAST(({0} AT TIME ZONE 'UTC') AS DATE)", DATE, TIMESTAMP),
    signature("CAST(bq_local({0}, {1}) AS DATE)", DATE, TIMESTAMP, STRING),
    signature("bq_checked_date(make_date({0}, {1}, {2}))", DATE, INT64, INT64, INT64),
)
allow(
    "DATETIME",
    signature("{0}", DATETIME, DATETIME),
    signature("CAST({0} AS TIMESTAMP)", DATETIME, DATE),
    signature("({0} AT TIME ZONE 'UTC')", DATETIME, TIMESTAMP),
    signature("bq_local({0}, {1})", DATETIME, TIMESTAMP, STRING),
    signature("({0} + {1})", DATETIME, DATE, TIME),
    signature(
        "make_timestamp({0}, {1}, {2}, {3}, {4}, CAST({5} AS DOUBLE))",
        DATETIME,
        *(INT64, INT64, INT64, INT64, INT64, INT64),
    ),
)
allow(
    "TIMESTAMP",
    signature("{0}", TIMESTAMP, TIMESTAMP),
    signature("bq_timestamp({0})", TIMESTAMP, STRING),
    signature("(CAST({0} AS TIMESTAMP) AT TIME ZONE 'UTC')", TIMESTAMP, DATE),
    signature("({0} AT TIME ZONE 'UTC')", TIMESTAMP, DATETIME),
    signature("bq_moment(bq_datetime({0}), {1})", TIMESTAMP, STRING, STRING),
    signature("bq_checked_timestamp(bq_moment(CAST({0} AS TIMESTAMP), {1}))", TIMESTAMP, DATE, STRING),
    signature("bq_checked_timestamp(bq_moment({0}, {1}))", TIMESTAMP, DATETIME, STRING),
)
allow(
    "TIME",
    signature("CAST({0} AS TIME)", TIME, DATETIME),
    signature("CAST(({0} AT TIME ZONE 'UTC') AS TIME)", TIME, TIMESTAMP),
    signature("CAST(bq_local({0}, {1}) AS TIME)", TIME, TIMESTAMP, STRING),
    signature("make_time({0}, {1}, CAST({2} AS DOUBLE))", TIME, INT64, INT64, INT64),
)
allow(
    "CURRENT_TIME",
    signature("CAST((now() AT TIME ZONE 'UTC') AS TIME)", TIME),
    signature("CAST(bq_local(now(), {0}) AS TIME)", TIME, STRING),
)
allow("CURRENT_TIMESTAMP", signature("now()", TIMESTAMP))
allow(
    "CURRENT_DATE",
    signature("CAST((now() AT TIME ZONE 'UTC') AS DATE)", DATE),
    signature("CAST(bq_local(now(), {0}) AS DATE)", DATE, STRING),
)
allow(
    "CURRENT_DATETIME",
    signature("(now() AT TIME ZONE 'UTC')", DATETIME),
    signature("bq_local(now(), {0})", DATETIME, STRING),
)


@binds(exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentDatetime)
def _current(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node)
    word = {exp.CurrentDate: "DATE", exp.CurrentTimestamp: "TIMESTAMP", exp.CurrentDatetime: "DATETIME"}
    name = f"CURRENT_{word[type(node)]}"  # type: ignore[index]
    return SCALARS[name](Call(name, [], binder, scope))


def part_of(node: exp.Expr) -> str:
    """A date part as written: DAY, WEEK, WEEK(MONDAY), ISOWEEK ...; the first day of the week is explicit."""
    if isinstance(node, exp.Anonymous) and node.name.upper() == "WEEK" and len(node.expressions) == 1:
        day = node.expressions[0].name.upper()
        if day not in _WEEKDAYS:
            raise invalid(f"A valid date part is required, not WEEK({day})")
        return f"WEEK({day})"
    if not isinstance(node, exp.Column | exp.Var):
        raise invalid(f"A valid date part is required, not {excerpt(node)}")
    name = node.name.upper()
    return {"WEEK": "WEEK(SUNDAY)", "ISOWEEK": "WEEK(MONDAY)"}.get(name, name)


def interval(binder: Binder, node: exp.Expr, scope: Scope, kind: str) -> Bound:
    """INTERVAL n PART for values of `kind` (DATE, DATETIME, TIMESTAMP), as a DuckDB interval."""
    if not isinstance(node, exp.Interval) or not isinstance(node.args.get("unit"), exp.Var):
        raise unsupported(f"the interval {excerpt(node)}")
    part, amount = node.args["unit"].name.upper(), node.this
    if isinstance(amount, exp.Literal) and amount.is_string:
        amount = exp.Literal.number(amount.this)
    value = require(binder.bind(amount, scope), INT64, "INTERVAL")
    units = {"DATE": _LONG, "DATETIME": _LONG | set(_SHORT), "TIMESTAMP": set(_EXACT), "TIME": set(_SHORT)}[kind]
    if part not in units:
        raise invalid(f"{kind}_ADD and {kind}_SUB do not support the {part} date part")
    if part in _MONTHS:
        return combine(f"to_months(CAST({value.sql} * {_MONTHS[part]} AS INTEGER))", INTERVAL, [value])
    if kind == "TIMESTAMP" or part in _SHORT:
        return combine(f"to_microseconds({value.sql} * {_EXACT[part]})", INTERVAL, [value])
    days = 7 if part == "WEEK" else 1
    return combine(f"to_days(CAST({value.sql} * {days} AS INTEGER))", INTERVAL, [value])


def shift(binder: Binder, left: exp.Expr, right: exp.Expr, sign: str, scope: Scope) -> Bound:
    """`value + INTERVAL ...`, `value - INTERVAL ...`; a DATE becomes a DATETIME."""
    if isinstance(left, exp.Interval):
        left, right = right, left
    value = binder.bind(left, scope)
    if sign not in "+-" or value.type.kind not in ("DATE", "DATETIME", "TIMESTAMP"):
        raise mismatch(f"operator {sign}", [value, Bound("", INTERVAL)])
    kind = TIMESTAMP if value.type == TIMESTAMP else DATETIME
    length = interval(binder, right, scope, kind.kind)
    start = cast_text(value.sql, value.type, kind)
    return combine(f"bq_checked_{kind.kind.lower()}({start} {sign} {length.sql})", kind, [value, length])


def _of_own_type(call: Call, kind: Type) -> Type:
    """The type to work in: that of the first argument, or for a literal, `kind`: the type in the function's name."""
    first = call.bind(0)
    return first.type if first.type.kind in _KINDS and first.literal is None else kind


def _move(call: Call, kind: Type, sign: str) -> Bound:
    call.arity(2)
    kind = _of_own_type(call, kind)
    value = require(call.bind(0), kind, call.name)
    length = interval(call.binder, call.nodes[1], call.scope, kind.kind)
    return combine(f"bq_checked_{kind.kind.lower()}({value.sql} {sign} {length.sql})", kind, [value, length])


_KINDS = {"DATE": DATE, "DATETIME": DATETIME, "TIMESTAMP": TIMESTAMP}
for _word, _kind in _KINDS.items():
    scalar(f"{_word}_ADD")(lambda call, kind=_kind: _move(call, kind, "+"))  # type: ignore[misc]
    scalar(f"{_word}_SUB")(lambda call, kind=_kind: _move(call, kind, "-"))  # type: ignore[misc]


@scalar("TIME_ADD", "TIME_SUB")
def _moved_time(call: Call) -> Bound:
    """Move a TIME; it wraps around at midnight."""
    call.arity(2)
    value = require(call.bind(0), TIME, call.name)
    length = interval(call.binder, call.nodes[1], call.scope, "TIME")
    return combine(f"({value.sql} {'+' if call.name == 'TIME_ADD' else '-'} {length.sql})", TIME, [value, length])


@scalar("DATE_DIFF", "DATETIME_DIFF", "TIMESTAMP_DIFF")
def _diff(call: Call) -> Bound:
    """The *_DIFF functions; each accepts all three types."""
    call.arity(3)
    named_type = _of_own_type(call, _KINDS[call.name.removesuffix("_DIFF")])
    values = [call.bind(place) for place in (0, 1)]
    kind = TIMESTAMP if TIMESTAMP in (named_type, values[1].type) else named_type
    if kind == DATE and values[1].type == DATETIME:
        kind = DATETIME
    later, earlier = (require(value, kind, call.name) for value in values)
    part = part_of(call.nodes[2])
    return _elapsed(later, earlier, part) if kind == TIMESTAMP else _crossed(call, kind, later, earlier, part)


def _elapsed(later: Bound, earlier: Bound, part: str) -> Bound:
    """Whole units between two moments, cut towards zero."""
    if part not in _EXACT:
        raise invalid(f"TIMESTAMP_DIFF does not support the {part} date part")
    sql = f"((epoch_us({later.sql}) - epoch_us({earlier.sql})) // {_EXACT[part]})"
    return combine(sql, INT64, [later, earlier])


def _crossed(call: Call, kind: Type, later: Bound, earlier: Bound, part: str) -> Bound:
    """Boundaries of the part crossed between two dates."""
    parts, values = (_LONG if kind == DATE else _LONG | _SHORT.keys()), [later, earlier]
    if part not in parts and part != "ISOYEAR" and not part.startswith("WEEK("):
        raise invalid(f"{call.name} does not support the {part} date part")
    if part == "ISOYEAR":
        return combine(f"(isoyear({later.sql}) - isoyear({earlier.sql}))", INT64, values)
    if part.startswith("WEEK("):
        start, end = (_week_start(f"CAST({each.sql} AS DATE)", part) for each in (earlier, later))
        return combine(f"(date_diff('day', {start}, {end}) // 7)", INT64, values)
    return combine(f"date_diff('{part.lower()}', {earlier.sql}, {later.sql})", INT64, values)


def _week_start(day: str, part: str) -> str:
    first = _WEEKDAYS.index(part[5:-1])
    return f"({day} - CAST((dayofweek({day}) + {7 - first}) % 7 AS INTEGER))"


def truncated(sql: str, part: str, call: Call, parts: Sequence[str]) -> str:
    """DuckDB text of a TIMESTAMP without zone cut to a part; a TIMESTAMP again."""
    if part.startswith("WEEK("):
        return f"CAST({_week_start(f'CAST({sql} AS DATE)', part)} AS TIMESTAMP)"
    if part == "ISOYEAR":
        return f"CAST({_iso_year_start(f'CAST({sql} AS DATE)')} AS TIMESTAMP)"
    if part not in parts:
        raise invalid(f"{call.name} does not support the {part} date part")
    return f"CAST(date_trunc('{part.lower()}', {sql}) AS TIMESTAMP)"


@scalar("DATE_TRUNC", "DATETIME_TRUNC", "TIMESTAMP_TRUNC")
def _trunc(call: Call) -> Bound:
    """The *_TRUNC functions; each accepts all three types, and a STRING literal has the type in the name."""
    call.arity(2, 3)
    value = call.bind(0)
    if value.type.kind not in _KINDS:
        value = require(value, _KINDS[call.name.removesuffix("_TRUNC")], call.name)
    if value.type == TIMESTAMP:
        return _timestamp_trunc(call, value)
    call.arity(2)
    parts = [*_LONG] if value.type == DATE else [*_LONG, *_SHORT]
    sql = truncated(f"CAST({value.sql} AS TIMESTAMP)", part_of(call.nodes[1]), call, parts)
    return combine(f"bq_checked_{value.type.kind.lower()}({sql})", value.type, [value])


def _timestamp_trunc(call: Call, value: Bound) -> Bound:
    """TIMESTAMP_TRUNC; parts below DAY keep the moment's own offset, so an hour that occurs twice stays correct."""
    zone = require(call.bind(2), STRING, call.name) if len(call.nodes) == 3 else Bound("'UTC'", STRING)
    part = part_of(call.nodes[1])
    local = f"bq_local({value.sql}, {zone.sql})"
    cut = truncated(local, part, call, [*_LONG, *_SHORT])
    sql = f"bq_moment({cut}, {zone.sql})"
    if part in _SHORT:
        sql = f"({value.sql} - ({local} - {cut}))"
    return combine(f"bq_checked_timestamp({sql})", TIMESTAMP, [value, zone])


@scalar("LAST_DAY")
def _last_day(call: Call) -> Bound:
    call.arity(1, 2)
    value = call.bind(0)
    if value.type.kind not in ("DATE", "DATETIME"):
        value = require(value, DATE, call.name)
    part = part_of(call.nodes[1]) if len(call.nodes) == 2 else "MONTH"
    day = f"CAST({value.sql} AS DATE)"
    if part.startswith("WEEK("):
        return combine(f"bq_checked_date({_week_start(day, part)} + 6)", DATE, [value])
    if part == "ISOYEAR":
        return combine(f"bq_checked_date({_iso_year_start(day, 1)} - 1)", DATE, [value])
    if part not in _MONTHS:
        raise invalid(f"LAST_DAY does not support the {part} date part")
    start = f"date_trunc('{part.lower()}', {day})"
    return combine(f"CAST({start} + to_months({_MONTHS[part]}) - to_days(1) AS DATE)", DATE, [value])


def _iso_year_start(day: str, later: int = 0) -> str:
    """DuckDB text of the first day of the ISO year of `day`: the Monday of the week with January 4."""
    return f"CAST(date_trunc('week', make_date(isoyear({day}) + {later}, 1, 4)) AS DATE)"


_EXTRACTS = {
    "YEAR": "year({0})",
    "QUARTER": "quarter({0})",
    "MONTH": "month({0})",
    "DAY": "day({0})",
    "DAYOFYEAR": "dayofyear({0})",
    "DAYOFWEEK": "(dayofweek({0}) + 1)",
    "ISOYEAR": "isoyear({0})",
    # Days before the first such weekday of the year are in week 0.
    **{
        f"WEEK({day})": f"((dayofyear({{0}}) + 6 - (dayofweek({{0}}) + {7 - first}) % 7) // 7)"
        for first, day in enumerate(_WEEKDAYS)
    },
    "ISOWEEK": "week({0})",
    "HOUR": "hour({0})",
    "MINUTE": "minute({0})",
    "SECOND": "second({0})",
    "MILLISECOND": "(epoch_ms({0}) % 1000)",
    "MICROSECOND": "(epoch_us({0}) % 1000000)",
}


@binds(exp.Extract)
def _extract(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    source = node.expression
    zone = Bound("'UTC'", STRING)
    has_zone = isinstance(source, exp.AtTimeZone)
    if has_zone:
        zone = require(binder.bind(source.args["zone"], scope), STRING, "AT TIME ZONE")
        source = source.this
    value = binder.bind(source, scope)
    if value.type.kind not in (*_KINDS, "TIME") or (has_zone and value.type != TIMESTAMP):
        raise mismatch("EXTRACT", [value])
    local = f"bq_local({value.sql}, {zone.sql})" if value.type == TIMESTAMP else value.sql
    sql, kind = _extracted(node.this, local, value.type)
    return combine(sql, kind, [value, zone])


def _extracted(node: exp.Expr, local: str, source: Type) -> tuple[str, Type]:
    part = "ISOWEEK" if node.name.upper() == "ISOWEEK" else part_of(node)
    if part in _PARTS and (source == TIMESTAMP or (source == DATETIME and part != "DATETIME")):
        return f"CAST({local} AS {_PARTS[part].duckdb})", _PARTS[part]
    if part not in _EXTRACTS or (source == DATE and part in _SHORT) or (source == TIME and part not in _SHORT):
        raise invalid(f"EXTRACT does not support {part} from {source}")
    moment = local if source in (DATETIME, TIMESTAMP) else f"(DATE '1970-01-01' + {local})"
    if source == DATE:
        moment = f"CAST({local} AS TIMESTAMP)"
    return _EXTRACTS[part].format(moment), INT64


_PARTS = {"DATE": DATE, "TIME": TIME, "DATETIME": DATETIME}
