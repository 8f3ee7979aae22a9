"""The digest's numbers: exact sums, compared with the same time before."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.accounts import Account
from klaviyo_assets.publishing.mail.headlines import COLUMNS, DAYS_DRAWN, HEADLINES, SOURCES, Period, headlines
from klaviyo_assets.publishing.mail.rendering import change, number, tone
from klaviyo_assets.reports import REPORTS

DAY = date(2026, 5, 10)
ACCOUNT = Account("acme", "klaviyo_acme", timezone="America/New_York", currency="USD")
THROUGH = datetime(2026, 5, 11, 9, 0, tzinfo=UTC)


def row(ago, source="campaign", **given):
    return {"occurred_on": DAY - timedelta(days=ago), "message_source": source, **dict.fromkeys(COLUMNS), **given}


def day_headlines(*rows, through=THROUGH):
    return headlines(ACCOUNT, DAY, rows, through)


def figure(account_headlines, label):
    return next(one for one in account_headlines.figures if one.headline.label == label)


def test_a_day_is_compared_with_the_same_weekday_and_a_week_with_the_week_before():
    account_headlines = day_headlines(*(row(ago, delivered=10 ** (ago // 7) * (ago + 1)) for ago in range(14)))
    delivered = figure(account_headlines, "Messages delivered")
    assert (delivered.day.value, delivered.day.before) == (1, 80)
    assert (delivered.week.value, delivered.week.before) == (28, 10 * sum(range(8, 15)))


def test_revenue_is_all_of_it_and_in_it_what_messages_earned():
    account_headlines = day_headlines(
        row(0, "campaign", conversion_value=Decimal("10.10"), conversions=Decimal(1)),
        row(0, "none", conversion_value_unattributed=Decimal("5.05"), conversions_unattributed=Decimal(2)),
    )
    assert figure(account_headlines, "Revenue").day.value == Decimal("15.15")
    assert figure(account_headlines, "of which from messages").day.value == Decimal("10.10")
    assert figure(account_headlines, "Conversions").day.value == 3


@given(st.lists(st.tuples(st.integers(0, 13), st.sampled_from(list(SOURCES)), st.decimals(
    min_value=0, max_value=10**6, places=2)), max_size=30))  # fmt: skip
def test_every_cent_is_in_the_picture_and_in_the_numbers(sales):
    account_headlines = day_headlines(*(row(ago, source, conversion_value=value) for ago, source, value in
                   {(ago, source): (ago, source, value) for ago, source, value in sales}.values()))  # fmt: skip
    drawn = sum((value for _, _, value in account_headlines.revenue), Decimal(0))
    revenue = figure(account_headlines, "Revenue").week
    assert drawn == revenue.value + revenue.before
    assert len(account_headlines.revenue) == DAYS_DRAWN * len(SOURCES)


@pytest.mark.parametrize(("hour", "is_complete"), [(3, False), (4, True)])
def test_a_day_is_complete_when_the_data_reach_to_its_end_in_the_accounts_time_zone(hour, is_complete):
    assert day_headlines(through=datetime(2026, 5, 11, hour, 0, tzinfo=UTC)).is_complete is is_complete


def test_without_any_load_nothing_is_complete():
    assert day_headlines(through=None).is_complete is False


def test_every_column_is_an_additive_one_of_the_report():
    unknown = set(COLUMNS) - REPORTS["account_by_event_date"].additive

    assert unknown == set(), f"a headline is a sum of additive columns of account_by_event_date, which has no {unknown}"
    assert HEADLINES[0].label == "Revenue"


def period(value, before, makers=None, is_money=False):
    counts = makers or (value, before)
    return Period(Decimal(value), Decimal(before), tuple(map(Decimal, counts)), is_money)


@pytest.mark.parametrize(
    ("value", "before", "text"),
    [(112, 100, "+12 %"), (88, 100, "−12 %"), (100, 100, "±0 %"), (5, 0, "new"), (0, 0, "–"), (10**6, 1, "> +999 %")],  # noqa: RUF001
)
def test_a_change_is_said_in_percent(value, before, text):
    assert change(period(value, before)) == text


@pytest.mark.parametrize(
    ("value", "before", "is_more_good", "expected"),
    [
        (1300, 1000, True, "good"), (700, 1000, True, "bad"), (1300, 1000, False, "bad"), (1050, 1000, True, "plain"),
        (8, 2, True, "plain"), (0, 3, False, "plain"), (5, 0, True, "plain"),
    ],
)  # fmt: skip
def test_only_a_change_that_is_more_than_chance_is_good_or_bad_news(value, before, is_more_good, expected):
    assert tone(period(value, before), is_more_good) == expected


def test_money_of_few_orders_changes_by_chance():
    assert tone(period(100, 900, makers=(2, 5), is_money=True)) == "plain"
    assert tone(period(10_000, 90_000, makers=(200, 500), is_money=True)) == "bad"


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [("1234.5", "EUR", "1,234.50 EUR"), ("1234", "", "1,234"), ("2.50", "", "2.5"), ("-0.001", "USD", "0.00 USD"),
     ("0", "", "0"), ("1200", "", "1,200")],
)  # fmt: skip
def test_numbers_are_written_for_people(value, currency, text):
    assert number(Decimal(value), currency) == text
