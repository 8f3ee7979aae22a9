"""Numbers and days as people read them.

Here: text. Not here: which number is shown in which figure. An unknown value is a dash, never a zero.
"""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "BRL": "R$"}
# Currencies without a smaller unit, and those whose smaller unit has three digits (ISO 4217).
_WHOLE = frozenset({"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                    "XOF", "XPF"})  # fmt: skip
_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    DAY = "day"
    COUNT = "count"
    MONEY = "money"
    SHARE = "share"
    RISE = "rise"
    POINTS = "points"


def exact(value: Any) -> str:
    """A value as BigQuery gave it, for programs: no rounding, no separators; empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, date) else str(value)


def text_of(value: Any, kind: Kind, currency: str = "") -> str:
    """A value for people.

    Args:
        value: As BigQuery gave it.
        kind: What it is.
        currency: ISO code, for money.
    """
    if value is None:
        return NOTHING
    if kind is Kind.MONEY:
        return money(value, currency)
    by_kind = {Kind.DAY: day, Kind.COUNT: count, Kind.SHARE: share, Kind.RISE: rise, Kind.POINTS: points}
    return by_kind[kind](value) if kind in by_kind else str(value)


def money(value: Any, currency: str) -> str:
    """An amount, rounded to the currency's smallest unit: $1,234.50, CHF 80.00, ¥1,235."""
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    rounded = _rounded(value, digits)
    sign = _MINUS if rounded < 0 else ""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    return f"{sign}{symbol}{abs(rounded):,.{digits}f}"


def count(value: Any) -> str:
    """A number of things; fractions (an order that several messages share) with two digits."""
    rounded = _rounded(value, 2)
    whole = rounded == int(rounded)
    return f"{rounded:,.{0 if whole else 2}f}".replace("-", _MINUS)


def share(value: Any) -> str:
    """A fraction as a percentage: to a tenth, below 1 % to a hundredth."""
    percent = Decimal(str(value)) * 100
    if not percent:
        return "0%"
    digits = 2 if 0 < abs(percent) < 1 else 1
    return f"{_rounded(percent, digits):,.{digits}f}%".replace("-", _MINUS)


def rise(value: Any) -> str:
    """A relative change with its sign, in percent; tenfold and more as a factor."""
    change = Decimal(str(value))
    if change >= 10:
        return f"{_rounded(change + 1, 0):,}-fold"
    rounded = _rounded(change * 100, 1)
    return "unchanged" if not rounded else f"{_signed(rounded, 1)}%"


def points(value: Any) -> str:
    """A change of a share, in percentage points."""
    change = Decimal(str(value)) * 100
    digits = 2 if abs(change) < 1 else 1
    rounded = _rounded(change, digits)
    return "unchanged" if not rounded else f"{_signed(rounded, digits)} pts"


def day(value: date) -> str:
    """Nov 3, 2026."""
    return f"{value:%b} {value.day}, {value.year}"


def instant(value: datetime) -> str:
    """Nov 3, 2026, 14:05, in the time zone of the value."""
    return f"{day(value)}, {value:%H:%M}"


def days(first: date, last: date) -> str:
    """Nov 2 to Nov 22, 2026, with a dash."""
    if first == last:
        return day(first)
    begin = f"{first:%b} {first.day}" if first.year == last.year else day(first)
    return f"{begin} \N{EN DASH} {day(last)}"


def _rounded(value: Any, digits: int) -> Decimal:
    # Adding zero takes the sign from a zero that was rounded to.
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0


def _signed(value: Decimal, digits: int) -> str:
    return f"{'+' if value > 0 else _MINUS}{abs(value):,.{digits}f}"
