"""What people type into `query`: the stand-in answers as Google's evaluator does, asked at the time of the test.

The statements are in `cases/`. Random ones are in `test_google_fuzz`.
"""

from pathlib import Path

import pytest

from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.comparison import Both, Comparison

CASES = Path(__file__).parent / "cases"
TOGETHER = 50
"""Expressions in one SELECT: a call costs more than an expression."""


def expressions(name: str) -> list[str]:
    """The lines of a file of cases."""
    return [line for line in (CASES / name).read_text().splitlines() if line and not line.startswith("#")]


def queries() -> list[str]:
    """The paragraphs of the file of queries."""
    return (CASES / "queries.sql").read_text().strip().split("\n\n")[1:]


@pytest.fixture(scope="module")
def both(google: GoogleSql) -> Both:
    """The two sides."""
    return Both(google)


@pytest.mark.parametrize("start", range(0, len(expressions("expressions.txt")), TOGETHER))
def test_expressions_have_googles_type_and_value(both: Both, start: int) -> None:
    """Many in one SELECT; where they differ each is asked for alone."""
    listed = expressions("expressions.txt")[start : start + TOGETHER]
    select = ", ".join(f"{expression} AS x{place}" for place, expression in enumerate(listed))
    whole = both.compared(f"SELECT {select}")
    if whole.difference or whole.ours.error or whole.googles.error:
        comparisons = [both.compared(expression) for expression in listed]
        assert [each.difference for each in comparisons if each.difference] == []
        assert [each.sql for each in comparisons if each.googles.error] == []
        pytest.fail(f"each is right alone, but not together: {whole.ours.error or whole.difference}")


def test_what_google_refuses_is_refused(both: Both) -> None:
    """Or fails, where Google's evaluator fails on the values."""
    comparisons = [both.compared(expression) for expression in expressions("refused.txt")]
    assert [each.sql for each in comparisons if not (each.ours.error and each.googles.error)] == []


def _is_explained(comparison: Comparison) -> bool:
    return comparison.is_known or comparison.ours.is_by_name


def test_what_differs_is_refused_by_name_or_explained(both: Both) -> None:
    """A line that no longer differs belongs into another file."""
    comparisons = [both.compared(expression) for expression in expressions("different.txt")]
    assert [each.sql for each in comparisons if not _is_explained(each)] == []


@pytest.mark.parametrize("sql", queries())
def test_a_query_has_googles_rows(both: Both, sql: str) -> None:
    """Columns, types and rows."""
    assert both.compared(sql).difference == ""
