"""Numbers as people read them: exact to what is written, and unknown is never zero."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from klaviyo_assets.publishing.html_report.formatting import (
    Kind,
    count,
    days,
    exact,
    instant,
    money,
    points,
    rise,
    share,
    text_of,
)

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (Decimal("1234.5"), "USD", "$1,234.50"),
        (Decimal("-0.05"), "EUR", f"{MINUS}\N{EURO SIGN}0.05"),
        (Decimal("1234.5"), "JPY", "\N{YEN SIGN}1,235"),
        (Decimal("1.2345"), "KWD", "KWD 1.235"),
        (Decimal(80), "CHF", "CHF 80.00"),
        (Decimal("0.005"), "USD", "$0.01"),
        (Decimal("-0.001"), "USD", "$0.00"),
        (0, "USD", "$0.00"),
    ],
)
def test_money_is_in_the_smallest_unit_of_its_currency(value, currency, text):
    assert money(value, currency) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (0.0, "0%"), (1, "100.0%"), (0.12345, "12.3%"), (0.0012, "0.12%"), (0.00999, "1.00%"), (1.5, "150.0%"),
     (-0.5, f"{MINUS}50.0%")],
)  # fmt: skip
def test_shares_are_percent_and_small_ones_to_a_hundredth(value, text):
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "unchanged"), (Decimal("0.123"), "+12.3%"), (-0.04, f"{MINUS}4.0%"), (-1, f"{MINUS}100.0%"), (0.0001,
     "unchanged"), (9.99, "+999.0%"), (11, "12-fold")],
)  # fmt: skip
def test_changes_have_a_sign(value, text):
    assert rise(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "unchanged"), (0.031, "+3.1 pts"), (-0.0018, f"{MINUS}0.18 pts"), (0.000001, "unchanged")],
)
def test_changes_of_shares_are_in_points(value, text):
    assert points(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (Decimal("2.5"), "2.50"), (Decimal("3.000"), "3"), (-2, f"{MINUS}2")],
)
def test_counts_have_parts_only_where_there_are_parts(value, text):
    assert count(value) == text


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_unknown_is_a_dash_and_never_zero(kind):
    assert text_of(None, kind, "USD") == DASH


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (Decimal("1234.500000000"), "1234.5"), (Decimal(100), "100"), (Decimal("0E-9"), "0"), (True, "true"),
     (0.1, "0.1"), (7, "7"), (date(2026, 1, 2), "2026-01-02"), ("a <b>", "a <b>")],
)  # fmt: skip
def test_the_exact_value_is_as_bigquery_gave_it(value, text):
    assert exact(value) == text


def test_days_and_instants():
    assert days(date(2026, 1, 1), date(2026, 1, 1)) == "Jan 1, 2026"
    assert days(date(2026, 1, 1), date(2026, 1, 31)) == f"Jan 1 {DASH} Jan 31, 2026"
    assert days(date(2025, 12, 30), date(2026, 1, 2)) == f"Dec 30, 2025 {DASH} Jan 2, 2026"
    assert instant(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "Jan 2, 2026, 03:04"
