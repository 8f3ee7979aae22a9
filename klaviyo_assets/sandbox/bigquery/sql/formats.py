"""Allow-list: FORMAT_DATE, PARSE_DATE and their kin, STRING(timestamp).

A format is a literal and is parsed here: elements that DuckDB's strftime knows go to it; each other element becomes
a piece of SQL or is refused.
"""

import re

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, scalar
from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.documents import string_of_json
from klaviyo_assets.sandbox.bigquery.sql.model import unsupported
from klaviyo_assets.sandbox.bigquery.sql.types import DATE, DATETIME, STRING, TIME, TIMESTAMP, Type, text

_SAME = dict.fromkeys("aAbBdHIjmMpSUuVGwWyY", "")
_SHORTHANDS = {
    **{letter: f"%{letter}" for letter in _SAME},
    "%": "%%",
    "h": "%b",
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
    "n": "\n",
    "t": "\t",
    "E4Y": "%Y",
    "E3S": "%S.%g",
    "E6S": "%S.%f",
}
_PIECES = {
    "e": "lpad(strftime({0}, '%-d'), 2, ' ')",
    "k": "lpad(strftime({0}, '%-H'), 2, ' ')",
    "l": "lpad(strftime({0}, '%-I'), 2, ' ')",
    "P": "lower(strftime({0}, '%p'))",
    "Q": "CAST(quarter({0}) AS VARCHAR)",
    "s": "CAST(bq_floor_div(epoch_us({0}), 1000000) AS VARCHAR)",
    "E*S": "substring(bq_datetime_text({0}), 18)",
}
_OFFSETS = {
    "z": "bq_offset_hours({0}) || bq_offset_minutes({0})",
    "Ez": "bq_offset_hours({0}) || ':' || bq_offset_minutes({0})",
}
_CLOCK = {"X", "H", "I", "M", "p", "P", "S", "T", "R", "k", "l", "s", "E3S", "E6S", "E*S"}
_ELEMENT = re.compile(r"%(E\*S|E\d?[SYz]|.)", re.DOTALL)


def format_sql(call: Call, form: str, value: str, offset: str, is_utc: bool) -> str:
    """DuckDB text that writes `value`, a TIMESTAMP without zone and `offset` minutes off UTC, in a GoogleSQL format."""
    pieces: list[str] = []
    plain = ""
    for plain_text, element in _elements(form):
        plain += plain_text.replace("%", "%%")
        if element in _PIECES:
            pieces += [*_strftime(value, plain), _PIECES[element].format(value)]
            plain = ""
        elif element in _SHORTHANDS:
            plain += _SHORTHANDS[element]
        elif element in _OFFSETS and offset:
            pieces += [*_strftime(value, plain), _OFFSETS[element].format(offset)]
            plain = ""
        elif element == "Z" and is_utc:
            plain += "UTC"
        elif element:
            raise unsupported(f"%{element} in {call.name}")
    pieces += _strftime(value, plain)
    if not pieces:
        raise unsupported(f"an empty format in {call.name}")
    return f"({' || '.join(pieces)})"


def _strftime(value: str, form: str) -> list[str]:
    return [f"strftime({value}, {text(form)})"] if form else []


def _elements(form: str) -> list[tuple[str, str]]:
    """Pairs of plain text and the element after it; the last element is empty."""
    elements, end = [], 0
    for match in _ELEMENT.finditer(form):
        elements.append((form[end : match.start()], match[1]))
        end = match.end()
    return [*elements, (form[end:], "")]


@scalar("FORMAT_DATE", "FORMAT_DATETIME", "FORMAT_TIME", "FORMAT_TIMESTAMP")
def _format(call: Call) -> Bound:
    kind = {"FORMAT_DATE": DATE, "FORMAT_DATETIME": DATETIME, "FORMAT_TIME": TIME}.get(call.name, TIMESTAMP)
    call.arity(2, 3 if kind == TIMESTAMP else 2)
    form, value = call.literal(0, "format"), require(call.bind(1), kind, call.name)
    zone = require(call.bind(2), STRING, call.name) if len(call.nodes) == 3 else None
    _check_parts(call, form, kind)
    local, offset = f"CAST({value.sql} AS TIMESTAMP)", ""
    if kind == TIME:
        local = f"(DATE '1970-01-01' + {value.sql})"
    if kind == TIMESTAMP:
        place = zone.sql if zone is not None else text("UTC")
        local, offset = f"bq_local({value.sql}, {place})", f"bq_offset_of({value.sql}, {place})"
    sql = format_sql(call, form, local, offset, kind == TIMESTAMP and (zone is None or zone.literal == "UTC"))
    return combine(sql, STRING, [value, *([zone] if zone is not None else [])])


def _check_parts(call: Call, form: str, kind: Type) -> None:
    clock = [element for _, element in _elements(form) if element in _CLOCK]
    foreign_elements = [element for _, element in _elements(form) if element and element not in {*_CLOCK, "%"}]
    if kind == TIME and foreign_elements:
        raise unsupported(f"%{foreign_elements[0]} in {call.name}: a TIME has no day")
    if kind == DATE and clock:
        raise unsupported(f"%{clock[0]} in {call.name}: a DATE has no time of day")
    if kind != DATE and "s" in clock and len(call.nodes) == 3:
        raise unsupported(f"%s in {call.name} with a time zone")


_READ = {
    **{letter: f"%{letter}" for letter in "aAbBdHIjmMpSyY"},
    **{name: _SHORTHANDS[name] for name in ("%", "h", "F", "T", "R", "D", "E4Y")},
    "e": "%d",
    "k": "%H",
    "l": "%I",
    "z": "%z",
    "Ez": "%z",
}
_YEARS = {"Y", "y", "F", "D", "E4Y"}


def _read_formats(call: Call, form: str, kind: Type) -> tuple[str, bool]:
    """DuckDB's parse formats as the text of a list, and whether they read an offset."""
    elements = [element for _, element in _elements(form) if element]
    if not _YEARS & set(elements):
        raise unsupported(f"{call.name} with a format without a year")
    if kind == DATE and any(element in _CLOCK for element in elements):
        raise unsupported(f"{call.name} with a time of day in the format")
    has_offset = "z" in elements or "Ez" in elements
    if has_offset and kind != TIMESTAMP:
        raise unsupported(f"%z in {call.name}")
    variants = [("%S.%f", "%S.%f"), ("%S", "%S")] if {"E*S", "E3S", "E6S"} & set(elements) else [("", "")]
    return ", ".join(text(_read_format(call, form, seconds)) for seconds, _ in variants), has_offset


def _read_format(call: Call, form: str, seconds: str) -> str:
    pieces = []
    for plain_text, element in _elements(form):
        pieces.append(plain_text.replace("%", "%%"))
        if element in ("E*S", "E3S", "E6S"):
            pieces.append(seconds)
        elif element in _READ:
            pieces.append(_READ[element])
        elif element:
            raise unsupported(f"%{element} in {call.name}")
    return "".join(pieces)


@scalar("PARSE_DATE", "PARSE_DATETIME", "PARSE_TIMESTAMP")
def _parse(call: Call) -> Bound:
    kind = {"PARSE_DATE": DATE, "PARSE_DATETIME": DATETIME}.get(call.name, TIMESTAMP)
    call.arity(2, 3 if kind == TIMESTAMP else 2)
    value = require(call.bind(1), STRING, call.name)
    zone = require(call.bind(2), STRING, call.name) if len(call.nodes) == 3 else Bound("'UTC'", STRING)
    forms, has_offset = _read_formats(call, call.literal(0, "format"), kind)
    sql = f"strptime({value.sql}, [{forms}])" if "," in forms else f"strptime({value.sql}, {forms})"
    if kind == TIMESTAMP and not has_offset:
        sql = f"bq_moment({sql}, {zone.sql})"
    return combine(f"CAST({sql} AS {kind.duckdb})", kind, [value, zone])


@scalar("STRING")
def _string(call: Call) -> Bound:
    """STRING(date or timestamp), STRING(timestamp, zone), STRING(json)."""
    call.arity(1, 2)
    value = call.bind(0)
    if len(call.nodes) == 2:
        zone = require(call.bind(1), STRING, "STRING")
        value = require(value, TIMESTAMP, "STRING")
        local = f"bq_local({value.sql}, {zone.sql})"
        offset = f"bq_offset_text(bq_offset_of({value.sql}, {zone.sql}))"
        return combine(f"(bq_datetime_text({local}) || {offset})", STRING, [value, zone])
    if value.type.kind == "JSON":
        return string_of_json(value)
    if value.type.kind not in ("DATE", "DATETIME", "TIME", "TIMESTAMP"):
        raise mismatch("function STRING", [value])
    return combine(str(cast_text(value.sql, value.type, STRING)), STRING, [value])
