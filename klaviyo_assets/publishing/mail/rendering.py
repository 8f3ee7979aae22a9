"""How mails look: templates as HTML and text, and how numbers are written.

Here: what templates may call. Not here: the content of a mail (`digest.py`, `incidents.py`, the templates).

Mail programs support tables and inline styles and little more; the few rules for narrow and dark screens are a bonus.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_GOOD, _BAD, _PLAIN = "good", "bad", "plain"


def rendered(name: str, **values: Any) -> tuple[str, str]:
    """A mail as HTML and as text.

    Args:
        name: The name of the templates `<name>.html.j2` and `<name>.txt.j2`.
        values: What they show.
    """
    page = _environment(is_html=True).get_template(f"{name}.html.j2").render(**values)
    text = _environment(is_html=False).get_template(f"{name}.txt.j2").render(**values)
    return page, f"{text.strip()}\n"


@cache
def _environment(*, is_html: bool) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        # Plain text must not be escaped.
        loader=FileSystemLoader(_TEMPLATES), autoescape=is_html,  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "change": change, "tone": tone, "moment": moment, "day": day}
    return environment


def number(value: Decimal, currency: str = "") -> str:
    """A number for people: money with two digits, counts without, parts of a count with at most two."""
    if currency:
        return f"{_rounded(value, 2):,} {currency}"
    whole = _rounded(value, 0)
    if whole == value:
        return f"{whole:,}"
    return f"{_rounded(value, 2).normalize():,f}"


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0


def change(period: Any) -> str:
    """The relative change of a number: +12 %; "new" if there was nothing before, a dash if there still is nothing."""
    if period.change is None:
        return "\N{EN DASH}" if not period.value else "new"
    percent = _rounded(100 * period.change, 0)
    if percent > 999:
        return "> +999 %"
    return f"{percent:+,} %".replace("-", "\N{MINUS SIGN}") if percent else "±0 %"


def tone(period: Any, is_more_good: bool = True) -> str:
    """Whether a change is good news, bad news or neither: a small one, or one that may be chance, is neither."""
    if period.change is None or abs(period.change) < Decimal("0.1") or not period.is_telling:
        return _PLAIN
    return _GOOD if (period.change > 0) is is_more_good else _BAD


def moment(at: datetime | float) -> str:
    """A time in UTC."""
    time = datetime.fromtimestamp(at, UTC) if isinstance(at, float | int) else at.astimezone(UTC)
    return f"{time:%b} {time.day}, {time:%H:%M} UTC"


def day(on: date) -> str:
    """A day with its weekday."""
    return f"{on:%A}, {on:%B} {on.day}, {on.year}"
