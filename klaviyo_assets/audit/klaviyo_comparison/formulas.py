"""Which formula gives Klaviyo's rates: its own counts divided by one another, until the result is its rate.

Here: the search. Not here: whether counts differ (`comparing.py`). Klaviyo's pages do not always say what a rate is
divided by, and it has changed before; its own numbers tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from klaviyo_assets.audit.klaviyo_comparison.comparing import Comparison
from klaviyo_assets.audit.klaviyo_comparison.numbers import COUNTED, RATES, Values, rate, same
from klaviyo_assets.model.statistics import STATISTICS

# What a rate may be divided by; `delivered_uniques` is a number of our own, the others are Klaviyo's.
DENOMINATORS = (
    "delivered", "recipients", "delivered_uniques", "opens_unique", "opens", "clicks_unique", "conversions",
    "conversion_uniques", "text_message_spend",
)  # fmt: skip
# A count and its unique variant: either may stand above the line.
NUMERATORS: Mapping[str, tuple[str, ...]] = {
    "opens_unique": ("opens_unique", "opens"),
    "clicks_unique": ("clicks_unique", "clicks"),
    "unsubscribe_uniques": ("unsubscribe_uniques", "unsubscribes"),
    "conversion_uniques": ("conversion_uniques", "conversions"),
}


@dataclass(frozen=True)
class Formula:
    """A formula that gives Klaviyo's rate in every message that tells.

    Attributes:
        statistic: The rate.
        numerator: What stands above the line; empty where no formula fits.
        denominator: What stands below.
        messages: In how many messages it was tried: those where the rate is not 0.
        alternatives: Further formulas that give the same in all of them.
    """

    statistic: str
    numerator: str
    denominator: str
    messages: int
    alternatives: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is the formula of our reports."""
        ours = STATISTICS[self.statistic]
        return (self.numerator, self.denominator) == (ours.numerator, ours.denominator)


def formulas(comparison: Comparison) -> tuple[Formula, ...]:
    """The formula of each rate that Klaviyo gives for some message. Ours comes first where several fit."""
    formulas_found = []
    for name in RATES:
        telling = [_numbers(comparison, key) for key in comparison.klaviyo if comparison.klaviyo[key].get(name)]
        if telling:
            fitting = [pair for pair in _candidates(name) if all(_gives(numbers, name, *pair) for numbers in telling)]
            best = fitting[0] if fitting else ("", "")
            formulas_found.append(Formula(name, *best, messages=len(telling), alternatives=tuple(fitting[1:])))
    return tuple(formulas_found)


def _numbers(comparison: Comparison, key: object) -> Values:
    """Klaviyo's numbers of a message, and those of ours that it does not have."""
    klaviyo, ours = comparison.klaviyo[key], comparison.ours[key]  # type: ignore[index]  # a key of both
    return {**{name: ours.get(name) for name in DENOMINATORS if name not in COUNTED}, **klaviyo}


def _candidates(name: str) -> list[tuple[str, str]]:
    ours = STATISTICS[name]
    own = (ours.numerator, ours.denominator)
    above = NUMERATORS.get(ours.numerator, (ours.numerator,))
    alternatives = [(numerator, below) for numerator in above for below in DENOMINATORS if numerator != below]
    return [own, *(pair for pair in alternatives if pair != own)]


def _gives(numbers: Values, name: str, numerator: str, denominator: str) -> bool:
    our_rate, klaviyo = rate(numbers, numerator, denominator), numbers.get(name)
    return our_rate is not None and same(name, klaviyo or Decimal(0), our_rate)
