"""The comparison as people read it."""

from datetime import date
from decimal import Decimal

import pytest

from klaviyo_assets.audit.klaviyo_comparison.comparing import compare
from klaviyo_assets.audit.klaviyo_comparison.formulas import formulas
from klaviyo_assets.audit.klaviyo_comparison.ours import Window
from klaviyo_assets.audit.klaviyo_comparison.sentences import differences_table, headline, remarks
from klaviyo_assets_tests.unit.audit.klaviyo_comparison.sides import NEWS, SALE, numbers

NAMES = {"C1": "Winter | sale", "C2": "News"}
WINDOW = Window(date(2026, 10, 1), date(2026, 10, 30))


def test_agreement_is_one_sentence():
    compared = compare({SALE: numbers()}, {SALE: numbers()})
    assert headline(compared, "campaign", WINDOW, NAMES) == (
        f"Klaviyo and these reports agree on all {compared.numbers} numbers of 1 campaign message sent 2026-10-01 to "
        "2026-10-30."
    )


def test_the_largest_difference_is_named_with_its_message():
    compared = compare({SALE: numbers(opens=80), NEWS: numbers()}, {SALE: numbers(), NEWS: numbers()})
    assert headline(compared, "campaign", WINDOW, NAMES) == (
        f"1 of {compared.numbers} numbers differ, in 1 of 2 campaign messages sent 2026-10-01 to 2026-10-30; "
        'the largest: opens of "Winter | sale" (M1) is 80 in Klaviyo and 70 here (-12.50%).'
    )


def test_messages_of_one_side_are_named():
    compared = compare({SALE: numbers()}, {SALE: numbers(), NEWS: numbers()})
    sentence = headline(compared, "flow", WINDOW, NAMES)
    assert sentence.startswith(f"All {compared.numbers} numbers of 1 flow message sent")
    assert sentence.endswith('1 message only these reports have: "News" (M2) with 100 recipients.')


def test_the_table_holds_both_numbers_and_both_sizes():
    """Names with a bar do not break it."""
    theirs = {SALE: numbers(opens=80, spam_complaints=0, conversion_value="1249.97")}
    lines = differences_table(compare(theirs, {SALE: numbers(spam_complaints=2)}), NAMES).splitlines()
    assert lines[0] == "| message | statistic | Klaviyo | here | difference | relative |"
    rows = {line.split(" | ")[1]: line for line in lines[2:]}
    message = '| "Winter \\| sale" (M1)'
    assert rows["conversion_value"] == f"{message} | conversion_value | 1,249.97 | 149.97 | -1,100.00 | -88.00% |"
    assert "| spam_complaints | 0 | 2 | +2 |  |" in lines[2]
    assert any("| opens | 80 | 70 | -10 | -12.50% |" in line for line in lines)


def test_a_long_table_says_how_much_it_leaves_out():
    keys = [type(SALE)(f"C{number}", "M") for number in range(25)]
    ours = {key: numbers() for key in keys}
    text = differences_table(compare({key: {**numbers(), "opens": Decimal(1)} for key in keys}, ours), NAMES)
    assert text.count("| opens |") == 20
    assert text.endswith("and 5 more.")


def test_what_explains_a_difference_is_told():
    ours = {SALE: numbers(text_message_spend=None)}
    theirs = {SALE: {**numbers(), "opens_unique": Decimal(50), "text_message_spend": Decimal(3)}}
    compared = compare(theirs, ours)
    text = remarks(compared, formulas(compared))
    assert "- opens_unique: Klaviyo's number is our sends_opened in every message; it counts distinct sends" in text
    assert "- text_message_spend: Klaviyo states it for 1 message, the raw data do not have it." in text
    assert "- Klaviyo's own counts give its rates by the formulas used here: delivery_rate = delivered" in text


@pytest.mark.parametrize(
    ("here", "beginning"),
    [
        (
            {"opens": 69, "clicks": 11},
            "- Every count that differs is larger in Klaviyo, as if events have not arrived",
        ),
        ({"opens": 71, "clicks": 13}, "- Every count that differs is larger here, as if Klaviyo has deleted events"),
        ({"opens": 71, "clicks": 11}, "- Klaviyo's own counts give"),
    ],
)
def test_counts_that_are_all_off_to_one_side_say_what_to_do(here, beginning):
    compared = compare({SALE: numbers()}, {SALE: numbers(**here)})
    assert remarks(compared, formulas(compared)).startswith(beginning)
