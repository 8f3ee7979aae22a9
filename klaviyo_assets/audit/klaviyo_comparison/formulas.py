"""Which formula gives Klaviyo's rates: quotients of its own counts are tried until one equals the rate.

Here: the search. Not here: whether counts differ (`comparing.py`). Klaviyo's pages do not always state the
denominator of a rate, and it has changed before; Klaviyo's own numbers reveal it.
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
# A count and its unique variant: either can be the numerator.
NUMERATORS: Mapping[str, tuple[str, ...]] = {
    "opens_unique": ("opens_unique", "opens"),
    "clicks_unique": ("clicks_unique", "clicks"),
    "unsubscribe_uniques": ("unsubscribe_uniques", "unsubscribes"),
    "conversion_uniques": ("conversion_uniques", "conversions"),
}


@dataclass(frozen=True)
class Formula:
    """A formula that gives Klaviyo's rate in every message with that rate.

    Attributes:
        statistic: The rate.
        numerator: The numerator; empty if no formula fits.
        denominator: The denominator; likewise.
        messages: The number of messages it was tried on: those whose rate is not 0.
        alternatives: Further formulas with the same results in all of them.
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
    """The formula of each rate that Klaviyo states for some message. Ours comes first if several fit."""
    formulas_found = []
    for name in RATES:
        telling = [_numbers(comparison, key) for key in comparison.klaviyo if comparison.klaviyo[key].get(name)]
        if telling:
            fitting = [pair for pair in _candidates(name) if all(_gives(numbers, name, *pair) for numbers in telling)]
            best = fitting[0] if fitting else ("", "")
            formulas_found.append(Formula(name, *best, messages=len(telling), alternatives=tuple(fitting[1:])))
    return tuple(formulas_found)


def _numbers(comparison: Comparison, key: object) -> Values:
    """Klaviyo's numbers of a message, and our numbers that Klaviyo does not have."""
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
