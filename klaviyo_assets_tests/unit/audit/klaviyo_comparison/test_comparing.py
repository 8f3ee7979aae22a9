"""What differs between Klaviyo's numbers and ours, and by how much."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.audit.klaviyo_comparison.comparing import compare
from klaviyo_assets.audit.klaviyo_comparison.numbers import (
    COMPARED,
    COUNTED,
    MONEY,
    MessageKey,
    added,
    klaviyos_side,
    same,
)
from klaviyo_assets_tests.unit.audit.klaviyo_comparison.sides import NEWS, SALE, numbers, sides


def test_all_of_klaviyos_statistics_are_compared():
    """The Reporting API has 31, and the reports by send date have them all."""
    assert len(COMPARED) == len(set(COMPARED)) == 31


@given(sides())
def test_a_side_agrees_with_itself(side):
    compared = compare(side, side)
    assert compared.agrees
    assert not compared.not_stated


@given(sides().filter(bool), st.data())
def test_one_changed_count_is_found_and_nothing_else_that_counts(side, data):
    """By its name, its message and its exact size; rates made of it may follow."""
    key = data.draw(st.sampled_from(sorted(side)))
    name = data.draw(st.sampled_from([one for one in COUNTED if side[key][one] is not None and one not in MONEY]))
    by = data.draw(st.integers(1, 10))
    ours = side | {key: {**side[key], name: side[key][name] + by}}
    differences = [one for one in compare(side, ours).differences if one.statistic in COUNTED]
    if any(side[key].get(one) for one in COMPARED):
        assert [(one.key, one.statistic, one.absolute) for one in differences] == [(key, name, by)]
        assert differences[0].relative == (by / side[key][name] if side[key][name] else None)


@given(sides(), sides())
def test_the_sides_may_be_exchanged(klaviyo, ours):
    there, back = compare(klaviyo, ours), compare(ours, klaviyo)
    assert set(there.only_klaviyo) == set(back.only_ours)
    counts = [
        {(one.key, one.statistic, abs(one.absolute)) for one in way.differences if one.statistic in COUNTED}
        for way in (there, back)
    ]
    assert counts[0] == counts[1]


def test_rounding_alone_is_no_difference():
    """Klaviyo writes rates with four digits, money with two; counts are exact."""
    ours = numbers(delivered=97, recipients=97, conversion_value="149.971")
    klaviyo = {**ours, "open_rate": Decimal("0.4948"), "conversion_value": Decimal("149.97")}
    assert compare({SALE: klaviyo}, {SALE: ours}).agrees
    assert not same("open_rate", Decimal("0.4950"), ours["open_rate"])
    assert not same("opens", Decimal(70), Decimal(71))
    assert not same("conversion_value", Decimal("149.96"), Decimal("149.97"))
    assert same("conversions", Decimal("0.3333"), Decimal("0.333333333"))


def test_a_message_of_one_side_is_named_unless_all_of_it_is_0():
    nothing = dict.fromkeys(COMPARED, Decimal(0))
    extra = MessageKey("C9", "M9")
    compared = compare({SALE: numbers(), extra: nothing}, {SALE: numbers(), NEWS: numbers()})
    assert set(compared.only_ours) == {NEWS}
    assert not compared.only_klaviyo
    assert not compared.agrees


def test_what_the_raw_data_do_not_state_is_no_difference_but_is_told():
    klaviyo, ours = numbers(text_message_spend="1.5"), numbers(text_message_spend=None)
    compared = compare({SALE: {**klaviyo, "text_message_roi": Decimal(0)}}, {SALE: ours})
    assert compared.agrees
    assert compared.not_stated == {"text_message_spend": 1}


def test_variations_with_other_ids_are_compared_as_a_whole():
    """People get one variation, so all counts of the parts may be added, and rates computed anew."""
    theirs = {MessageKey("C1", "M1", name): numbers() for name in ("A", "B")}
    ours = {MessageKey("C1", "M1", name): numbers() for name in ("x", "y")}
    compared = compare(theirs, ours)
    assert compared.agrees
    assert compared.added_up == (("C1", "M1"),)
    assert compared.ours[SALE]["opens_unique"] == 96
    assert compared.ours[SALE]["open_rate"] == Decimal("0.5")


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_added_variations_are_the_message(opened):
    parts = [numbers(opens_unique=count, delivered=100) for count in opened]
    whole = added(parts)
    assert whole["opens_unique"] == sum(opened)
    assert whole["open_rate"] == Decimal(sum(opened)) / (100 * len(opened))


@pytest.mark.parametrize(("variant", "klaviyo"), [("sends_opened", 50), ("opens_unique_excl_machine", 20)])
def test_the_variant_that_klaviyo_counts_is_named(variant, klaviyo):
    """Only where it is Klaviyo's number in every message."""
    ours = {SALE: numbers(), NEWS: numbers(opens_unique=50)}
    theirs = {key: {**values, "opens_unique": Decimal(klaviyo)} for key, values in ours.items()}
    assert compare(theirs, ours).variants == {"opens_unique": variant}
    assert compare(theirs | {NEWS: ours[NEWS] | {"opens_unique": Decimal(31)}}, ours).variants == {}


def test_counts_come_before_the_rates_made_of_them_and_the_largest_share_first():
    ours = {SALE: numbers(), NEWS: numbers()}
    theirs = {SALE: numbers(opens=7), NEWS: numbers(clicks_unique=4, conversion_uniques=0)}
    order = [one.statistic for one in compare(theirs, ours).differences]
    assert order[:3] == ["conversion_uniques", "opens", "clicks_unique"]
    assert {"click_rate", "click_to_open_rate", "conversion_rate"} == set(order[3:])


def test_klaviyos_answer_is_read_as_it_is_written():
    """Ids by either owner's names; a missing variation is none; parts by channel are one message."""
    groupings = {"campaign_id": "C1", "campaign_message_id": "M1", "variation": None}
    results = [
        {"groupings": {**groupings, "send_channel": channel}, "statistics": {"delivered": 40, "opens_unique": 10.0}}
        for channel in ("email", "sms")
    ]
    side = klaviyos_side("campaign", results)
    assert side == {SALE: dict.fromkeys(COMPARED) | side[SALE]}
    assert (side[SALE]["delivered"], side[SALE]["open_rate"]) == (80, Decimal("0.25"))
    of_flow = {"groupings": {"flow_id": "F", "flow_message_id": "M", "variation": "A"}, "statistics": {"opens": 0.1}}
    assert klaviyos_side("flow", [of_flow])[MessageKey("F", "M", "A")]["opens"] == Decimal("0.1")
