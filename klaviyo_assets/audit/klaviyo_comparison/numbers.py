"""Numbers of messages, the same way for both sides: one mapping of statistics per message and variation.

Here: the keys, reading Klaviyo's answer, adding variations up, when two numbers are the same. Not here: where ours come
from (`ours.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.model.statistics import ADDITIVE_TWINS, STATISTICS, Kind, Unit
from klaviyo_assets.reports.messages import COUNTS, OF_SENDS

# What both sides have: Klaviyo's statistics among those of our reports by send date.
COMPARED: tuple[str, ...] = tuple(name for name in (*COUNTS, *OF_SENDS) if STATISTICS[name].is_klaviyos)
RATES: tuple[str, ...] = tuple(name for name in COMPARED if STATISTICS[name].kind is Kind.RATE)
COUNTED: tuple[str, ...] = tuple(name for name in COMPARED if name not in RATES)
# Other ways to count the same, which our reports have too: one of them may be what Klaviyo counts.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "opens": ("opens_excl_machine",),
    "opens_unique": ("sends_opened", "opens_unique_excl_machine", "sends_opened_excl_machine"),
    "clicks": ("clicks_excl_bot",),
    "clicks_unique": ("sends_clicked", "clicks_unique_excl_bot", "sends_clicked_excl_bot"),
    "unsubscribe_uniques": (ADDITIVE_TWINS["unsubscribe_uniques"],),
    "conversion_uniques": (ADDITIVE_TWINS["conversion_uniques"],),
}
# What Klaviyo writes with two digits after the point.
MONEY = frozenset(name for name in COMPARED if STATISTICS[name].unit in (Unit.MONEY, Unit.MULTIPLE))
_HALF_A_CENT, _HALF_A_DIGIT = Decimal("0.005"), Decimal("0.00005")
_IDS = {"campaign": ("campaign_id", "campaign_message_id"), "flow": ("flow_id", "flow_message_id")}

Values = Mapping[str, Decimal | None]
Side = Mapping["MessageKey", Values]


@dataclass(frozen=True, order=True)
class MessageKey:
    """A message of a campaign or flow, and its variation; empty texts where there is none."""

    owner_id: str
    message_id: str
    variation_id: str = ""


def klaviyos_side(owner: str, results: Iterable[Mapping[str, Any]]) -> dict[MessageKey, Values]:
    """Klaviyo's numbers by message, from the results of a values report.

    Args:
        owner: `campaign` or `flow`.
        results: `groupings` and `statistics` each.
    """
    owner_name, message_name = _IDS[owner]
    listed: dict[MessageKey, Values] = {}
    for result in results:
        named = result["groupings"]
        key = MessageKey(*(str(named.get(name) or "") for name in (owner_name, message_name, "variation")))
        values = {name: decimal(result["statistics"].get(name)) for name in COMPARED}
        # A message has one channel; should it be listed under several, they are its parts.
        listed[key] = added([listed[key], values]) if key in listed else values
    return listed


def decimal(number: Any) -> Decimal | None:
    """A number exactly as it was written; None for none."""
    return None if number is None else Decimal(str(number))


def added(parts: Iterable[Values]) -> dict[str, Decimal | None]:
    """The numbers of several variations together: counts are added, rates computed anew.

    A person gets one variation, so people may be added here.
    """
    several = list(parts)
    if len(several) == 1:
        return dict(several[0])
    total: dict[str, Decimal | None] = {}
    for name in {name for part in several for name in part if name not in RATES}:
        numbers = [value for part in several if (value := part.get(name)) is not None]
        total[name] = sum(numbers, Decimal(0)) if numbers else None
    return total | {name: rate(total, STATISTICS[name].numerator, STATISTICS[name].denominator) for name in RATES}


def rate(values: Values, numerator: str, denominator: str) -> Decimal | None:
    """One number divided by another; None where that cannot be."""
    above, below = values.get(numerator), values.get(denominator)
    return above / below if above is not None and below else None


def tolerance(statistic: str, ours: Decimal) -> Decimal:
    """How far apart two numbers of a statistic may be for rounding alone: counts not at all.

    Klaviyo writes rates with four digits or more, money with two. Conversions that several touches share are no whole
    numbers.
    """
    if statistic in MONEY:
        return _HALF_A_CENT
    if statistic in RATES:
        return _HALF_A_DIGIT
    is_whole = ours == ours.to_integral_value()
    return Decimal(0) if STATISTICS[statistic].type is LogicalType.INTEGER or is_whole else _HALF_A_CENT


def same(statistic: str, klaviyo: Decimal, ours: Decimal) -> bool:
    """Whether two numbers are the same but for rounding."""
    return abs(klaviyo - ours) <= tolerance(statistic, ours)
