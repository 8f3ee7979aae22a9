"""Allow-list: FORMAT, which puts values into a text as printf does.

A format is a literal and is parsed here. Each element becomes the text of its value, then grouping, sign and width
go around it. Rare elements (%x, %o, %p, %T of a STRING, * as a width) are refused by name.
"""

import re
from dataclasses import dataclass

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, scalar
from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.types import FLOAT64, NUMERIC, STRING, text

_ELEMENT = re.compile(r"%%|%([-+ 0']*)(\d*)(?:\.(\d+))?([a-zA-Z])")
_KINDS = {
    "d": ("INT64",),
    "i": ("INT64",),
    "f": ("FLOAT64", "NUMERIC"),
    "F": ("FLOAT64", "NUMERIC"),
    "e": ("FLOAT64",),
    "E": ("FLOAT64",),
    "g": ("FLOAT64",),
    "G": ("FLOAT64",),
    "s": ("STRING",),
    "t": ("BOOL", "INT64", "FLOAT64", "NUMERIC", "STRING", "DATE", "DATETIME", "TIMESTAMP", "TIME", "NULL"),
    "T": ("BOOL", "INT64", "FLOAT64", "NUMERIC", "DATE", "DATETIME", "TIMESTAMP", "TIME", "NULL"),
}


@dataclass(frozen=True)
class _Element:
    """The part of a format after a %."""

    flags: str
    width: int
    precision: int | None
    letter: str


@scalar("FORMAT")
def _format(call: Call) -> Bound:
    if not call.nodes:
        raise invalid("Number of arguments does not match for function FORMAT")
    format_text, values = call.literal(0, "format"), call.values()[1:]
    plain, elements = _taken_apart(format_text)
    if len(elements) != len(values):
        amount = "few" if len(elements) > len(values) else "many"
        raise invalid(f"Too {amount} arguments to FORMAT for pattern {format_text!r}")
    pieces = [text(plain[0])]
    for element, value, following in zip(elements, values, plain[1:], strict=True):
        pieces += [_piece(element, value), text(following)]
    return combine(f"({' || '.join(pieces)})", STRING, values)


def _taken_apart(format_text: str) -> tuple[list[str], list[_Element]]:
    """The elements of a format, and the texts around them (one more than there are elements)."""
    plain, elements, end = [""], [], 0
    for match in _ELEMENT.finditer(format_text):
        plain[-1] += _checked(format_text[end : match.start()], format_text)
        end = match.end()
        if match[0] == "%%":
            plain[-1] += "%"
            continue
        precision = None if match[3] is None else int(match[3])
        elements.append(_Element(match[1], int(match[2] or 0), precision, match[4]))
        plain.append("")
    plain[-1] += _checked(format_text[end:], format_text)
    return plain, elements


def _checked(plain: str, format_text: str) -> str:
    if "%" in plain:
        raise unsupported(f"the format {format_text!r} of FORMAT")
    return plain


def _piece(element: _Element, value: Bound) -> str:
    kinds = _KINDS.get(element.letter)
    if kinds is None:
        raise unsupported(f"%{element.letter} in FORMAT; there are {', '.join('%' + letter for letter in _KINDS)}")
    if value.type.kind not in kinds and not (value.type.kind == "NULL" and element.letter != "s"):
        if element.letter in "tT":
            raise unsupported(f"%{element.letter} of {value.type} in FORMAT")
        raise invalid(f"Invalid type for an argument of FORMAT: %{element.letter} of {value.type}")
    return _laid_out(element, _body(element, value))


def _body(element: _Element, value: Bound) -> str:
    """DuckDB text of the bare value."""
    if element.letter in "tT":
        return _readable(element, value)
    if element.letter in "di":
        if element.precision is not None:
            raise unsupported("a precision of %d in FORMAT")
        return f"CAST({value.sql} AS VARCHAR)"
    if element.letter == "s":
        return value.sql if element.precision is None else f"substring({value.sql}, 1, {element.precision})"
    digits = 6 if element.precision is None else element.precision
    if value.type == NUMERIC:
        return f"(CAST(CAST({value.sql} AS DECIMAL(38,{min(digits, 9)})) AS VARCHAR) || {text('0' * (digits - 9))})"
    # BigQuery writes minus zero without its sign.
    return f"printf({text(f'%.{digits}{element.letter}')}, CASE WHEN {value.sql} = 0 THEN 0e0 ELSE {value.sql} END)"


def _readable(element: _Element, value: Bound) -> str:
    """%t writes the value as CAST to STRING does, %T as a literal; NULL becomes a word."""
    if value.type.kind == "NULL":
        return "'NULL'"
    if element.precision is not None:
        raise unsupported(f"a precision of %{element.letter} in FORMAT")
    sql = str(cast_text(value.sql, value.type, STRING))
    if value.type == FLOAT64:
        sql = f"regexp_replace({sql}, '^(-?[0-9]+)$', '\\1.0')"
        if element.letter == "T":
            raise unsupported("%T of FLOAT64 in FORMAT")
    elif element.letter == "T" and value.type.kind not in ("BOOL", "INT64"):
        sql = f"({text(value.type.kind)} || ' \"' || {sql} || '\"')"
    return f"coalesce({sql}, 'NULL')"


def _laid_out(element: _Element, body: str) -> str:
    is_number = element.letter in "difFeEgG"
    if element.flags.strip("-") and not is_number:
        raise unsupported(f"the flags {element.flags!r} of %{element.letter} in FORMAT")
    if "'" in element.flags:
        body = f"bq_grouped({body})"
    sign = "+" if "+" in element.flags else " " if " " in element.flags else ""
    if sign:
        body = f"bq_signed({body}, {text(sign)})"
    if not element.width:
        return body
    side = "right" if "-" in element.flags else "zeros" if "0" in element.flags else "left"
    return f"bq_padded_{side}({body}, {element.width})"
