"""Random expressions and queries: the stand-in gives what Google's evaluator gives, or refuses by name.

A failure prints its seed and the statement. `comparison.KNOWN` lists what differs and why.
"""

from random import Random

import pytest

from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.unit.sandbox.bigquery_sql import grammar
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.comparison import Both

pytestmark = pytest.mark.slow

EXPRESSIONS, QUERIES = 300, 150
"""Drawn from each seed."""


@pytest.fixture(scope="module")
def both(google: GoogleSql) -> Both:
    """The two sides."""
    return Both(google)


def compare(both: Both, statements: list[str]) -> None:
    """Compare every statement; most must have a value, and few may differ in a known way."""
    comparisons = [both.compared(statement) for statement in statements]
    assert [each.difference for each in comparisons if each.difference] == []
    assert sum(not each.googles.error for each in comparisons) > len(statements) * 0.8
    assert sum(each.is_known for each in comparisons) < len(statements) * 0.05


@pytest.mark.parametrize("seed", range(5))
def test_expressions_have_googles_values(both: Both, seed: int) -> None:
    """Over literals, to a depth of three."""
    random = Random(seed)
    kinds = [random.choice(grammar.KINDS) for _ in range(EXPRESSIONS)]
    compare(both, [grammar.expression(random, kind, random.choice((1, 2, 3))) for kind in kinds])


@pytest.mark.parametrize("seed", range(5))
def test_queries_have_googles_rows(both: Both, seed: int) -> None:
    """Over a table with NULL, NaN, infinity, empty arrays and broken JSON."""
    random = Random(seed)
    compare(both, [grammar.query(random) for _ in range(QUERIES)])
