"""Intervals and tests, against figures of textbooks, and what is said where nothing can be."""

import pytest

from klaviyo_assets.publishing.html_report.confidence import Outcome, Share, compare, needed, verdict


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718), (81, 263, 0.2553, 0.3662),
     (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_wilson_intervals_are_those_of_newcombe(hits, of, low, high):
    """R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3; the last by symmetry of the second."""
    interval = Share("", hits, of).interval

    assert interval == pytest.approx((low, high), abs=6e-5)


def test_nothing_is_known_of_no_messages():
    assert Share("", 0, 0).interval == (0.0, 1.0)
    assert compare(Share("a", 0, 0), Share("b", 1, 10)).outcome is Outcome.TOO_FEW


def test_more_hits_than_messages_do_not_break_it():
    low, high = Share("", 12, 10).interval

    assert 0 < low < high <= 1


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [((200, 1000), (150, 1000), Outcome.BETTER), ((150, 1000), (200, 1000), Outcome.WORSE),
     ((155, 1000), (150, 1000), Outcome.NO_DIFFERENCE), ((3, 40), (1, 40), Outcome.TOO_FEW),
     ((39, 40), (40, 40), Outcome.TOO_FEW)],
)  # fmt: skip
def test_two_shares(first, second, outcome):
    assert compare(Share("a", *first), Share("b", *second)).outcome is outcome


def test_the_chance_is_that_of_the_two_proportion_test():
    """With z = 0.05 / sqrt(0.175 * 0.825 * (2 / 1000)) = 2.942, two-sided p = 0.00326."""
    comparison = compare(Share("a", 200, 1000), Share("b", 150, 1000))

    assert comparison.chance == pytest.approx(0.00326, abs=5e-5)
    assert comparison.chance_in_words == "4 times in 1,000"


def test_the_more_is_compared_the_more_it_takes():
    """0.035 is clear for one comparison, and not for two."""
    first, second = Share("a", 185, 1000), Share("b", 150, 1000)

    assert compare(first, second).outcome is Outcome.BETTER
    assert compare(first, second, comparisons=2).outcome is Outcome.NO_DIFFERENCE


def test_a_sample_size_is_that_of_the_formula():
    """16 p (1 - p) / d^2 is the rule of thumb for 4 of 5 at 95 of 100."""
    assert needed(0.2, 0.04) == pytest.approx(16 * 0.2 * 0.8 / 0.04**2, rel=0.02)


@pytest.mark.parametrize(
    ("arms", "beginning"),
    [([(300, 1000), (200, 1000)], "Variation A was opened more often: 30.0% against 20.0%"),
     ([(201, 1000), (200, 1000)], "No clear difference in how often they were opened"),
     ([(2, 30), (1, 30)], "Too few messages were opened to say"),
     ([(300, 1000), (290, 1000), (100, 1000)], "No clear difference")],
)  # fmt: skip
def test_verdicts_are_sentences(arms, beginning):
    shares = [Share(f"Variation {name}", *counts) for name, counts in zip("ABC", arms, strict=False)]

    assert verdict(shares, "opened").startswith(beginning)
