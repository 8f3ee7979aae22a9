"""Which formula gives Klaviyo's rates, and that it is told in words."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.klaviyo_comparison.comparing import compare
from klaviyo_assets.audit.klaviyo_comparison.formulas import formulas
from klaviyo_assets.audit.klaviyo_comparison.numbers import RATES, MessageKey
from klaviyo_assets.audit.klaviyo_comparison.sentences import remarks
from klaviyo_assets_tests.unit.audit.klaviyo_comparison.sides import NEWS, SALE, numbers, sides

OTHER = numbers(recipients=333, delivered=320, opens_unique=77, clicks_unique=31, conversion_uniques=9)


def formulas_by_statistic(side):
    return {one.statistic: one for one in formulas(compare(side, side))}


@given(sides())
def test_our_own_formulas_are_found_for_our_own_numbers(side):
    assert all(one.is_ours for one in formulas(compare(side, side)))


@given(sides(), st.sampled_from(RATES))
def test_a_formula_is_told_only_where_it_gives_the_rate_in_every_message(side, name):
    formula = formulas_by_statistic(side).get(name)
    if formula is not None:
        for values in compare(side, side).klaviyo.values():
            if values[name]:
                assert abs(values[formula.numerator] / values[formula.denominator] - values[name]) < Decimal("0.00005")


@pytest.mark.parametrize(
    ("name", "numerator", "denominator"),
    [
        ("conversion_rate", "conversion_uniques", "recipients"),
        ("open_rate", "opens", "delivered"),
        ("open_rate", "opens_unique", "delivered_uniques"),
        ("revenue_per_recipient", "conversion_value", "recipients"),
        ("unsubscribe_rate", "unsubscribes", "recipients"),
    ],
)
def test_another_denominator_or_numerator_is_found_and_named(name, numerator, denominator):
    ours = {SALE: numbers(unsubscribes=2), NEWS: {**OTHER, "unsubscribes": Decimal(5)}}
    rates = {key: round(values[numerator] / values[denominator], 6) for key, values in ours.items()}
    theirs = {key: {**values, name: rates[key]} for key, values in ours.items()}
    compared = compare(theirs, ours)
    formula = next(formula for formula in formulas(compared) if formula.statistic == name)
    assert (formula.numerator, formula.denominator, formula.messages) == (numerator, denominator, 2)
    assert f"- {name}: Klaviyo's is {numerator} / {denominator}" in remarks(compared, (formula,))


def test_a_rate_that_nothing_gives_is_told_to_be_so():
    ours = {SALE: numbers()}
    compared = compare({SALE: {**numbers(), "open_rate": Decimal("0.123456")}}, ours)
    formula = next(formula for formula in formulas(compared) if formula.statistic == "open_rate")
    assert (formula.numerator, formula.alternatives) == ("", ())
    assert remarks(compared, (formula,)) == (
        "- open_rate: none of the formulas tried gives Klaviyo's rate in the message that has one; here it is "
        "opens_unique / delivered."
    )


def test_formulas_that_cannot_be_told_apart_are_all_named():
    """Where nothing bounced, delivered and recipients are the same number."""
    side = {SALE: numbers(recipients=96, bounced=0, bounced_or_failed=0)}
    formula = formulas_by_statistic(side)["open_rate"]
    assert formula.is_ours
    assert ("opens_unique", "recipients") in formula.alternatives


def test_a_rate_that_is_0_everywhere_tells_nothing():
    quiet = numbers(clicks=0, clicks_unique=0)
    assert "click_rate" not in formulas_by_statistic({SALE: quiet, MessageKey("C3", "M3"): quiet})
