"""How sure a share is, and whether two shares differ: in numbers, and in words that need no statistics.

Here: Wilson intervals and the two-proportion test. Not here: which shares are compared (`sections/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, erfc, sqrt

# 95 of 100 such intervals hold the true share.
_Z = 1.959964
LEVEL = 0.05
# Below that the normal approximation of the test does not hold, and nothing is said.
_FEWEST_EXPECTED = 5
# The difference that a test of about equal arms should be able to find, to say how many messages it takes.
_POWER_Z = 0.841621


@dataclass(frozen=True)
class Share:
    """So many of so many, under a name."""

    name: str
    hits: int
    of: int

    @property
    def rate(self) -> float:
        """The share itself; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval: where the true share lies, 95 times of 100."""
        if not self.of:
            return 0.0, 1.0
        # More hits than messages can be where a row's opens belong to a send of another day.
        rate, square = min(self.rate, 1.0), _Z * _Z
        middle = (rate + square / (2 * self.of)) / (1 + square / self.of)
        half = _Z * sqrt(rate * (1 - rate) / self.of + square / (4 * self.of**2)) / (1 + square / self.of)
        return max(0.0, middle - half), min(1.0, middle + half)


class Outcome(StrEnum):
    """What may be said of two shares."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no clear difference"
    TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class Comparison:
    """Two shares compared.

    Attributes:
        outcome: Of the first against the second.
        chance: How often so large a difference comes by chance alone; None where nothing can be said.
    """

    outcome: Outcome
    chance: float | None

    @property
    def chance_in_words(self) -> str:
        """The chance as so many of so many."""
        if self.chance is None:
            return ""
        if self.chance < 0.001:
            return "less than once in 1,000 times"
        if self.chance < 0.01:
            return f"{ceil(self.chance * 1000)} times in 1,000"
        return f"{ceil(self.chance * 100)} times in 100"


def compare(share: Share, other_share: Share, *, comparisons: int = 1) -> Comparison:
    """The two-proportion z-test.

    Args:
        share: The share that is spoken of.
        other_share: What it is compared with; of other messages.
        comparisons: How many are made side by side: the more, the less each may rest on chance (Bonferroni).
    """
    if not (share.of and other_share.of):
        return Comparison(Outcome.TOO_FEW, None)
    pooled = min(1.0, (share.hits + other_share.hits) / (share.of + other_share.of))
    if min(pooled, 1 - pooled) * min(share.of, other_share.of) < _FEWEST_EXPECTED:
        return Comparison(Outcome.TOO_FEW, None)
    error = sqrt(pooled * (1 - pooled) * (1 / share.of + 1 / other_share.of))
    chance = erfc(abs(share.rate - other_share.rate) / error / sqrt(2))
    if chance * comparisons >= LEVEL:
        return Comparison(Outcome.NO_DIFFERENCE, chance)
    return Comparison(Outcome.BETTER if share.rate > other_share.rate else Outcome.WORSE, chance)


def needed(rate: float, difference: float) -> int:
    """Messages per arm that a test takes to find a difference four times of five.

    Args:
        rate: The share to start from.
        difference: By how much the other differs, as a share of all.
    """
    return ceil(2 * rate * (1 - rate) * ((_Z + _POWER_Z) / difference) ** 2)


def verdict(arms: Sequence[Share], act: str) -> str:
    """What an A/B test says, in a sentence.

    Args:
        arms: The variations.
        act: What was done with the messages, such as opened or clicked.
    """
    best, *other_arms = sorted(arms, key=lambda arm: arm.rate, reverse=True)
    against = [compare(best, arm, comparisons=len(other_arms)) for arm in other_arms]
    if any(comparison.outcome is Outcome.TOO_FEW for comparison in against):
        return f"Too few were {act} to say which is better."
    nearest, comparison = other_arms[0], against[0]
    if comparison.outcome is Outcome.BETTER:
        return (
            f"{best.name} was {act} more: {best.rate:.1%} against {nearest.rate:.1%}. Chance alone would give such a "
            f"difference {comparison.chance_in_words}."
        )
    messages_needed = needed(best.rate, max(best.rate / 5, 0.005))
    return (
        f"No clear difference in what was {act}: chance alone would give this one {comparison.chance_in_words}. To "
        f"find a difference of a fifth takes about {messages_needed:,} messages per variation."
    )
