"""Random expressions and queries: the stand-in gives what Google's evaluator gives, or refuses by name.

A failure prints its seed and the statement. `comparison.KNOWN_DIFFERENCES` lists what differs and why.
"""

from random import Random

import pytest

from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.unit.sandbox.bigquery_sql import grammar
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.comparison import Both, Comparison

pytestmark = pytest.mark.slow

EXPRESSIONS, QUERIES = 800, 150
"""Drawn from each seed."""

TOGETHER = 8
"""Expressions in one SELECT; where it differs, or fails, each is asked for alone."""


@pytest.fixture(scope="module")
def both(google: GoogleSql) -> Both:
    """The two sides."""
    return Both(google)


def compare(comparisons: list[Comparison]) -> None:
    """Most statements must have a value, and few may differ in a known way."""
    assert [each.difference for each in comparisons if each.difference] == []
    assert sum(not each.googles.error for each in comparisons) > len(comparisons) * 0.8
    assert sum(each.is_known for each in comparisons) < len(comparisons) * 0.05


def together(both: Both, drawn: list[str]) -> list[Comparison]:
    """Compare expressions in one SELECT where they all have values."""
    whole = both.compared("SELECT " + ", ".join(f"{each} AS x{place}" for place, each in enumerate(drawn)))
    if whole.difference or whole.is_known or whole.googles.error:
        return [both.compared(each) for each in drawn]
    return [whole] * len(drawn)


@pytest.mark.parametrize("seed", range(5))
def test_expressions_have_googles_values(both: Both, seed: int) -> None:
    """Over literals, to a depth of three."""
    random = Random(seed)
    kinds = [random.choice(grammar.KINDS) for _ in range(EXPRESSIONS)]
    drawn = [grammar.expression(random, kind, random.choice((1, 2, 3))) for kind in kinds]
    compare([each for start in range(0, EXPRESSIONS, TOGETHER) for each in together(both, drawn[start:][:TOGETHER])])


@pytest.mark.parametrize("seed", range(5))
def test_queries_have_googles_rows(both: Both, seed: int) -> None:
    """Over a table with NULL, NaN, infinity, empty arrays and broken JSON."""
    random = Random(seed)
    compare([both.compared(grammar.query(random)) for _ in range(QUERIES)])
