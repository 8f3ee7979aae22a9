"""Turning raw cells into typed values, or into a reason why not: never into a wrong number, and never stopping a run.

Here: one parser per logical type, over whole Arrow columns. A cell that cannot be right becomes null and its
reason is kept. Not here: which column has which type (specs), and what happens to the reasons (`mapping/copied.py`).
"""

import json
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.mapping import documents
from klaviyo_assets.model.arrow import arrow_type
from klaviyo_assets.model.spec import END_OF_EVENTS, FIRST_INSTANT, INSTANT_TEXT, LAST_INSTANT, LogicalType

NUMERIC = arrow_type(LogicalType.NUMERIC)
TIMESTAMP = arrow_type(LogicalType.TIMESTAMP)
_PLAIN_NUMBER = r"^-?[0-9]{1,28}(\.[0-9]{1,9})?$"
_NO_CALENDAR = "a time outside the years 1 to 9999"
_NO_TIME = "not a time such as 2024-01-31 12:00:00+00"
# Thousands separators besides comma and point: spaces (plain, no-break, narrow no-break, thin) and apostrophes.
_GAPS = " \u00a0\u202f\u2009'\u2019"
_SEPARATORS = ((",", "."), (".", ","), *((gap, decimal) for gap in _GAPS for decimal in ".,"))
_AMOUNT = rf"[+-]?[\d.,{_GAPS}]*\d[\d.,{_GAPS}]*"
_WITH_CODE = re.compile(rf"[A-Za-z]{{3}}\s*{_AMOUNT}|{_AMOUNT}[A-Za-z]{{3}}")
_TRUE, _FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}
# NUMERIC has 38 digits; the longest way to write them has separators, a sign, spaces and an exponent.
_LONGEST = 400
_SCALE = Decimal("1e-9")
_NUMERIC_LIMIT = Decimal(10) ** 29
# NUMERIC has 38 digits; Python's default context would round to 28.
_EXACT = Context(prec=40, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Parsed:
    """A parsed column: its values, and the reason for each row that could not be parsed (row number -> reason)."""

    values: pa.Array
    reasons: dict[int, str]


class NotANumberError(ValueError):
    """A text is not a number, or could be two different ones; the message says which."""


def parse(cells: pa.Array, wanted: LogicalType) -> Parsed:
    """Parse one raw column into a logical type.

    Args:
        cells: Values as read from Postgres: already of the wanted type, or text, or another number type.
        wanted: The type the spec gives the column.

    Returns:
        Values of the type `model.arrow.arrow_type(wanted)`; null if the cell was null, blank, or wrong.
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    target = arrow_type(wanted)
    if cells.type == target and not pa.types.is_string(target):
        return _CHECKS[wanted](cells) if wanted in _CHECKS else Parsed(cells, {})
    if pa.types.is_null(cells.type):
        return Parsed(pa.nulls(len(cells), target), {})
    if wanted is LogicalType.TIMESTAMP and pa.types.is_timestamp(cells.type):
        return _in_calendar(cells.cast(TIMESTAMP))
    texts = cells if pa.types.is_string(cells.type) else cells.cast(pa.string())
    if wanted is LogicalType.STRING:
        # A text keeps its outer spaces: they may be intended.
        return Parsed(_blank_to_null(texts, texts), {})
    return _PARSERS[wanted](_blank_to_null(texts))


def having_a_day(parsed: Parsed) -> Parsed:
    """Parsed instants; null if they have no calendar day in some time zone, because BigQuery would fail the report."""
    late = pc.greater_equal(parsed.values, pa.scalar(END_OF_EVENTS, TIMESTAMP))
    rest = _without(parsed.values, late, "a time on the last day of the year 9999")
    return Parsed(rest.values, parsed.reasons | rest.reasons)


def parse_number(text: str) -> Decimal:
    """The number a text stands for, at most 9 decimals (rounded half away from zero).

    Understands a sign in front, decimals, an exponent, and thousands separators (comma, point, any blank, either
    apostrophe) where the text can only mean one number: `1.234,50` and `1,234.50` are 1234.50, `12,50` is 12.50. Digits
    of any script are digits. A currency sign or code beside the number is refused: the amount would count as one in the
    event's currency, which the text may contradict. Trailing signs and amounts in parentheses are refused too.

    Raises:
        NotANumberError: no number, not finite, out of NUMERIC's range, or ambiguous (`1,234` may be 1234 or 1.234).
    """
    number = _exact_number(text)
    rounded = number.quantize(_SCALE, context=_EXACT) if number.copy_abs() < _NUMERIC_LIMIT else None
    if rounded is None or rounded.copy_abs() >= _NUMERIC_LIMIT:
        raise NotANumberError("out of range: more than 29 digits before the point")
    return rounded


def _exact_number(text: str) -> Decimal:
    return Decimal(_unseparated(text.strip()))


def _unseparated(text: str) -> str:
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text):
        return text
    if re.fullmatch(r"[+-]?(inf(inity)?|nan)", text, re.IGNORECASE):
        raise NotANumberError("not finite")
    for thousands, decimal in _SEPARATORS:
        group = rf"(?:{re.escape(thousands)}\d{{3}})"
        # Nobody groups the digits of a number that begins with 0: `0.123,45` is a slip, not 123.45.
        if re.fullmatch(rf"[+-]?[1-9]\d{{,2}}(?:{group}+{re.escape(decimal)}\d+|{group}{{2,}})", text):
            return text.replace(thousands, "").replace(decimal, ".")
    if re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", text):
        return text.replace(",", ".")
    if re.fullmatch(rf"[+-]?\d{{1,3}}[,{_GAPS}]\d{{3}}", text):
        raise NotANumberError("ambiguous: the separator may be for thousands or for decimals")
    if _WITH_CODE.fullmatch(text) or any(unicodedata.category(character) == "Sc" for character in text):
        raise NotANumberError("not a number alone: it comes with a currency, which may not be the event's")
    raise NotANumberError("not a number")


@lru_cache(maxsize=65_536)
def _number_or_reason(text: str) -> Decimal | str:
    try:
        return parse_number(text)
    except NotANumberError as error:
        return str(error)


def _numbers(texts: pa.Array) -> Parsed:
    plain = pc.fill_null(pc.match_substring_regex(texts, _PLAIN_NUMBER), True)
    values = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(NUMERIC)
    return _rest_by_hand(texts, plain, values, _number_or_reason)


def _integers(texts: pa.Array) -> Parsed:
    plain = pc.fill_null(pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$"), True)
    values = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.int64())

    def by_hand(text: str) -> int | str:
        try:
            number = _exact_number(text)
        except NotANumberError as error:
            return str(error)
        # Sizes are compared first: 1e999 is a number of a thousand digits.
        if not -(2**63) <= number < 2**63 or number != int(number):
            return "not a whole number of 64 bits"
        return int(number)

    return _rest_by_hand(texts, plain, values, by_hand)


def _floats(texts: pa.Array) -> Parsed:
    plain = pc.fill_null(pc.match_substring_regex(texts, r"^-?[0-9]{1,100}(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$"), True)
    values = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.float64())

    def by_hand(text: str) -> float | str:
        try:
            number = float(_exact_number(text))
        except NotANumberError as error:
            return str(error)
        return number if math.isfinite(number) else "out of range"

    return _rest_by_hand(texts, plain, values, by_hand)


def _finite(cells: pa.Array) -> Parsed:
    return _without(cells, pc.invert(pc.is_finite(cells)), "not finite")


def _in_calendar(cells: pa.Array) -> Parsed:
    early, late = (pc.less(cells, _bound(FIRST_INSTANT, cells)), pc.greater(cells, _bound(LAST_INSTANT, cells)))
    return _without(cells, pc.or_(early, late), _NO_CALENDAR)


def _bound(instant: datetime, like: pa.Array) -> pa.Scalar:
    return pa.scalar(instant, TIMESTAMP).cast(like.type, safe=False)


def _without(cells: pa.Array, wrong: pa.Array, reason: str) -> Parsed:
    """The cells, with null for wrong ones."""
    wrong = pc.fill_null(wrong, False)
    if not pc.any(wrong).as_py():
        return Parsed(cells, {})
    rows = pc.indices_nonzero(wrong).to_pylist()
    return Parsed(pc.if_else(wrong, pa.scalar(None, cells.type), cells), dict.fromkeys(rows, reason))


def _booleans(texts: pa.Array) -> Parsed:
    lowered = pc.utf8_lower(texts)
    truth = pc.is_in(lowered, pa.array(sorted(_TRUE)))
    is_boolean = pc.or_(truth, pc.is_in(lowered, pa.array(sorted(_FALSE))))
    values = pc.if_else(pc.and_(is_boolean, pc.is_valid(texts)), truth, pa.scalar(None, pa.bool_()))
    wrong = pc.and_(pc.is_valid(texts), pc.invert(is_boolean))
    rows = pc.indices_nonzero(wrong).to_pylist()
    return Parsed(values, dict.fromkeys(rows, "not true or false"))


def _timestamps(texts: pa.Array) -> Parsed:
    nothing = pc.is_null(texts)
    return _rest_by_hand(texts, nothing, pa.nulls(len(texts), TIMESTAMP), _instant_or_reason)


@lru_cache(maxsize=65_536)
def _instant_or_reason(text: str) -> datetime | str:
    """Instants without an offset are UTC, as Fivetran writes them."""
    try:
        if not re.fullmatch(INSTANT_TEXT, text):
            return _NO_TIME
        instant = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "+00:00", text))
        instant = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return _NO_TIME
    return instant if FIRST_INSTANT <= instant <= LAST_INSTANT else _NO_CALENDAR


def _dates(texts: pa.Array) -> Parsed:
    instants = _timestamps(texts)
    return Parsed(instants.values.cast(pa.date32(), safe=False), instants.reasons)


def _json_texts(texts: pa.Array) -> Parsed:
    def by_hand(text: str) -> str:
        try:
            documents.read(text)
        except (ValueError, RecursionError):
            return json.dumps(text, ensure_ascii=False)
        return documents.sound(text)

    values = [None if text is None else by_hand(text) for text in texts.to_pylist()]
    return Parsed(pa.array(values, pa.string()), {})


def _rest_by_hand(texts: pa.Array, done: pa.Array, values: pa.Array, parse: Callable[[str], object]) -> Parsed:
    """Parse one by one the rows that the vectorized rule left over; a `str` is a reason, anything else a value."""
    rows = pc.indices_nonzero(pc.invert(done)).to_pylist()
    if not rows:
        return Parsed(values, {})
    reasons: dict[int, str] = {}
    parsed_values: list[object] = []
    for row, text in zip(rows, texts.take(pa.array(rows)).to_pylist(), strict=True):
        # Searching a text for numbers takes quadratic time, and the texts are cached.
        answer = parse(text) if len(text) <= _LONGEST else "too long for a value of this type"
        if isinstance(answer, str):
            reasons[row] = answer
        parsed_values.append(None if isinstance(answer, str) else answer)
    replaced = pc.replace_with_mask(values, pc.invert(done), pa.array(parsed_values, values.type))
    return Parsed(replaced, reasons)


def _blank_to_null(texts: pa.Array, kept: pa.Array | None = None) -> pa.Array:
    """Null if a text is blank, else `kept`: by default the text without outer spaces."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed if kept is None else kept)


_PARSERS: dict[LogicalType, Callable[[pa.Array], Parsed]] = {
    LogicalType.JSON: _json_texts,
    LogicalType.INTEGER: _integers,
    LogicalType.FLOAT: _floats,
    LogicalType.NUMERIC: _numbers,
    LogicalType.BOOLEAN: _booleans,
    LogicalType.TIMESTAMP: _timestamps,
    LogicalType.DATE: _dates,
}

# Whether a value that already has its type exists in BigQuery.
_CHECKS: dict[LogicalType, Callable[[pa.Array], Parsed]] = {
    LogicalType.FLOAT: _finite,
    LogicalType.TIMESTAMP: _in_calendar,
    LogicalType.DATE: _in_calendar,
}
