"""The page: every number is its row's, names can do no harm, and what is not there is said."""

import re
from decimal import Decimal

import pytest

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.publishing.html_report.answers import Answers, Period
from klaviyo_assets.publishing.html_report.formatting import exact
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.publishing.html_report.sections.headline import headline
from klaviyo_assets.publishing.html_report.sections.revenue import revenue
from klaviyo_assets.publishing.html_report.sections.standing import warnings
from klaviyo_assets_tests.page_numbers import Page
from klaviyo_assets_tests.unit.publishing.html_report import answered
from klaviyo_assets_tests.unit.publishing.html_report.answered import HOSTILE, PERIOD, answers, euro, report


@pytest.fixture(scope="module")
def page() -> Page:
    """Two accounts of different currencies."""
    return Page(report(answers(), euro()).html)


def test_every_number_is_that_of_the_row_it_names(page):
    rows = {"acme": answers().rows, "bloom": euro().rows}

    wrong = [
        each for each in page.numbers
        if each.value != exact(rows[each.account][each.statement][each.row][each.column])
    ]  # fmt: skip
    assert wrong == []
    assert len(page.numbers) > 500


def test_every_statement_is_on_the_page_and_behind_a_number(page):
    assert {each.statement for each in page.numbers} == set(QUESTIONS)
    assert {f"sql-{name}" for name in QUESTIONS} <= {given.get("id") for _, given in page.tags}


def test_what_people_read_is_what_programs_read(page):
    """To the last digit that is written."""
    for each in page.numbers:
        if each.read and re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", each.value):
            number, step = each.read
            assert abs(number - Decimal(each.value)) <= step / 2, each


def test_each_accounts_money_is_in_its_own_currency(page):
    values = page.of("headline", "conversion_value")

    assert {(each.account, each.text) for each in values} == {
        ("acme", "$12,345.68"), ("bloom", "\N{EURO SIGN}12,345.68")
    }  # fmt: skip
    assert "It is neither converted nor summed" in page.html


def test_the_date_basis_stands_at_every_figure(page):
    figures = page.html.split("<figure ")[1:]

    assert len(figures) > 20
    assert all('class="base"' in each.split("</figure>")[0] for each in figures)


def test_hostile_names_are_text(page):
    """Nothing of a name becomes an element, an attribute or a template; all of it can be read."""
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(name.startswith("on") for _, given in page.tags for name in given)
    for column in ("campaign_name", "subject"):
        names = page.of("campaigns", column, "acme")
        assert {each.value for each in names} == set(HOSTILE)
        assert {each.text for each in names} == set(HOSTILE)


def test_nothing_is_loaded_from_anywhere(page):
    """No address but that of anchors, and a policy that forbids all but the page's own script."""
    addresses = [given[name] for _, given in page.tags for name in ("src", "href", "action", "data") if name in given]

    assert all(address.startswith("#") for address in addresses)
    assert "url(" not in page.html.split("<body>")[0]
    policies = [given["content"] for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in policies[0]


def test_none_before_is_no_change_in_percent(page):
    """61 orders after none: there is no percentage."""
    (change,) = {each.text for each in page.of("headline", "conversions_change", "acme")}

    assert change == "none before"


def test_without_a_whole_period_before_no_change_is_shown():
    rows = answered.rows()
    rows["coverage"] = [answered.coverage(first_occurred_on=PERIOD.start)]
    told = answers(rows=rows)
    section = headline(told)

    assert section.lead.startswith("No changes are shown: data begin on Jan 8, 2026")
    assert {card.change for figure in section.figures for card in figure.cards} == {None}
    assert not [shown for shown in revenue(told).figures[1].columns if shown.column.endswith("_change")]


def test_days_that_are_not_complete_are_said():
    rows = answered.rows()
    rows["coverage"] = [answered.coverage(data_through=answered.coverage()["data_through"].replace(day=14))]

    assert any("the last days are missing some events" in said for said in warnings(answers(rows=rows)))
    assert not any("the last days are missing some events" in said for said in warnings(answers()))


def test_a_reconciliation_that_failed_is_said_twice():
    """Before the numbers and at their foot, with what to do."""
    rows = {name: [] for name in QUESTIONS} | {"coverage": [answered.coverage()], "headline": [answered.headline()]}
    html_report = report(answers(rows=rows | {"rates": [answered.rates()]}, conservation=answered.broken()))

    assert html_report.broken == ["acme"]
    assert "The reports do not add up to the loaded events" in html_report.html
    assert "1 equation of 42 do not hold" in html_report.html
    assert "2026-01-09: Money is whole. event 2, report 1. Load it again." in html_report.html


def test_an_account_without_data_says_what_to_do():
    html_report = report(Answers(answered.ACCOUNT, PERIOD))

    assert html_report.empty == ["acme"]
    assert "Side by side" not in html_report.html
    assert "Nothing has been loaded for acme yet" in html_report.html
    assert "klaviyo-assets run --account acme" in html_report.html


def test_a_period_without_events_says_where_there_are_some():
    html_report = report(Answers(answered.ACCOUNT, PERIOD, {"coverage": [answered.coverage(events=None)]}))

    assert (
        "Nothing happened in acme in these days. Its data reach from Jun 1, 2025 to Jan 20, 2026." in html_report.html
    )


def test_a_period_with_events_but_without_messages_is_a_page():
    """Orders come all the time; nothing was sent."""
    rows = {name: [] for name in QUESTIONS}
    rows |= {name: answered.rows()[name] for name in ("coverage", "headline", "rates")}
    html_report = report(answers(rows=rows))

    assert "Nothing was sent in these days." in html_report.html
    assert "There was no A/B test in these days." in html_report.html


def test_a_period_has_the_days_before_it():
    assert (PERIOD.length, PERIOD.before) == (7, PERIOD.start.replace(day=1))


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(SettingsError, match="Give the earlier day first"):
        Period(PERIOD.end, PERIOD.start)
