"""How certain a share is, and whether two shares differ: in numbers, and in words that need no statistics.

Here: Wilson intervals and the two-proportion test. Not here: which shares are compared (`sections/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, erfc, sqrt

# 95 of 100 such intervals contain the true share.
_Z = 1.959964
LEVEL = 0.05
# With fewer, the normal approximation of the test does not hold, and there is no verdict.
_FEWEST_EXPECTED = 5
# For the number of messages that a test takes: it should find a true difference four times out of five.
_POWER_Z = 0.841621


@dataclass(frozen=True)
class Share:
    """A number of hits out of a total, with a name."""

    name: str
    hits: int
    of: int

    @property
    def rate(self) -> float:
        """The share itself; 0 of nothing is 0."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval: it contains the true share 95 times out of 100."""
        if not self.of:
            return 0.0, 1.0
        # There can be more hits than messages if opens in a row belong to a send of a different day.
        rate, square = min(self.rate, 1.0), _Z * _Z
        middle = (rate + square / (2 * self.of)) / (1 + square / self.of)
        half = _Z * sqrt(rate * (1 - rate) / self.of + square / (4 * self.of**2)) / (1 + square / self.of)
        return max(0.0, middle - half), min(1.0, middle + half)


class Outcome(StrEnum):
    """The verdict on two shares."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no clear difference"
    TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class Comparison:
    """Two shares compared.

    Attributes:
        outcome: The first share against the second.
        chance: How often chance alone causes such a difference; None without a verdict.
    """

    outcome: Outcome
    chance: float | None

    @property
    def chance_in_words(self) -> str:
        """The chance as a number of times out of a total."""
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
        share: The share to judge.
        other_share: The share of other messages that it is compared with.
        comparisons: How many comparisons are made side by side: the more there are, the stricter each is (Bonferroni).
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
    """Messages per arm that a test takes to find a difference four times out of five.

    Args:
        rate: The share to start from.
        difference: By how much the second share differs.
    """
    return ceil(2 * rate * (1 - rate) * ((_Z + _POWER_Z) / difference) ** 2)


def verdict(arms: Sequence[Share], act: str) -> str:
    """The result of an A/B test in a sentence.

    Args:
        arms: The variations.
        act: What people did with the messages, such as opened or clicked.
    """
    best, *other_arms = sorted(arms, key=lambda arm: arm.rate, reverse=True)
    against = [compare(best, arm, comparisons=len(other_arms)) for arm in other_arms]
    if any(comparison.outcome is Outcome.TOO_FEW for comparison in against):
        return f"Too few messages were {act} to say which variation is better."
    nearest, comparison = other_arms[0], against[0]
    if comparison.outcome is Outcome.BETTER:
        return (
            f"{best.name} was {act} more often: {best.rate:.1%} against {nearest.rate:.1%}. Chance alone would cause "
            f"such a difference {comparison.chance_in_words}."
        )
    messages_needed = needed(best.rate, max(best.rate / 5, 0.005))
    return (
        f"No clear difference in how often they were {act}: chance alone would cause it "
        f"{comparison.chance_in_words}. To find a difference of a fifth takes about {messages_needed:,} messages "
        "per variation."
    )
