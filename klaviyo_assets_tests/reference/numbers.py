"""Texts of raw cells as numbers and flags, read by hand.

Here: what a text can only mean. Whatever is ambiguous, not finite, too large or no number is None, never a guess.
Not here: which column is a number.
"""

from decimal import ROUND_HALF_UP, Context, Decimal

DIGITS = frozenset("0123456789")
# Signs that group digits by three, and the signs that may then stand before the decimals.
GROUPING = {",": ".", ".": ",", " ": ".,", "'": ".", "\u00a0": ","}
PLACES = Decimal("1e-9")
LIMIT = Decimal(10) ** 29
EXACT = Context(prec=120, rounding=ROUND_HALF_UP)


def money(text: str | None) -> Decimal | None:
    """A number of at most 9 decimals, halves rounded away from zero, and of at most 29 digits before them."""
    number = exact(text)
    if number is None or abs(number) >= LIMIT:
        return None
    rounded = number.quantize(PLACES, context=EXACT)
    return rounded if abs(rounded) < LIMIT else None


def whole(text: str | None) -> int | None:
    """A whole number of 64 bits."""
    number = exact(text)
    if number is None or not -(2**63) <= number < 2**63 or number != int(number):
        return None
    return int(number)


def truth(text: str | None) -> bool:
    """Whether a text says yes; silence and what is unclear say no."""
    return (text or "").strip().lower() in {"true", "t", "yes", "y", "1"}


def exact(text: str | None) -> Decimal | None:
    """The number a text stands for."""
    body = (text or "").strip()
    is_negative = body.startswith("-")
    if body[:1] in {"+", "-"}:
        body = body[1:]
    written = with_exponent(body) if "e" in body.lower() else separated(body)
    if written is None:
        return None
    number = Decimal(written)
    return -number if is_negative else number


def with_exponent(body: str) -> str | None:
    """`1e-05`, `2.5E3`: a plain number, then up to three digits of exponent."""
    plain, _, exponent = body.lower().partition("e")
    digits = exponent[1:] if exponent[:1] in {"+", "-"} else exponent
    if not is_digits(digits) or len(digits) > 3 or point(plain) is None:
        return None
    return f"{plain}e{exponent}"


def separated(body: str) -> str | None:
    """A number without sign and exponent, as Python writes it."""
    signs = [letter for letter in body if letter not in DIGITS]
    if set(signs) <= {"."} and len(signs) <= 1:
        return point(body)
    return decimal_comma(body) if signs == [","] else grouped(body, signs)


def point(body: str) -> str | None:
    """`12`, `12.5`, `12.`, `.5`."""
    return body if is_digits(body.replace(".", "", 1)) else None


def decimal_comma(body: str) -> str | None:
    """`12,5` and `12,3456`; with three digits it may as well be thousands."""
    before, _, after = body.partition(",")
    if not is_digits(before) or not is_digits(after) or len(after) == 3:
        return None
    return f"{before}.{after}"


def grouped(body: str, signs: list[str]) -> str | None:
    """`1.234,50`, `1 234 567`, `1'234.50`: thousands, told by a second sign or by several of the first."""
    thousands = signs[0]
    if thousands not in GROUPING:
        return None
    has_decimals = signs[-1] != thousands
    if has_decimals and signs[-1] not in GROUPING[thousands]:
        return None
    front, decimals = body.rsplit(signs[-1], 1) if has_decimals else (body, "")
    groups = front.split(thousands)
    if (has_decimals and not is_digits(decimals)) or len(groups) < (2 if has_decimals else 3):
        return None
    if not all(map(is_digits, groups)) or not 1 <= len(groups[0]) <= 3 or groups[0].startswith("0"):
        return None
    if any(len(group) != 3 for group in groups[1:]):
        return None
    return f"{''.join(groups)}.{decimals}"


def is_digits(text: str) -> bool:
    """Whether there is nothing but digits, and at least one."""
    return bool(text) and set(text) <= DIGITS
