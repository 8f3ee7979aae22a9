"""What is unusual about a day, and what is not."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.audit.anomalies import WEEKS, Anomaly, anomalies
from klaviyo_assets.audit.anomalies.watched import COLUMNS, WATCHED
from klaviyo_assets.reports import REPORTS
from klaviyo_assets_tests.unit.audit.anomalies.days import ACME, LATER, Shop, calm_weeks, changed, judged_day, row

DAY = judged_day()
CALM = calm_weeks()


def by_statistic(rows, day=DAY, account=ACME, **options) -> dict[str, Anomaly]:
    return {one.statistic: one for one in anomalies(rows, day, account, **options)}


def test_a_day_like_the_others_is_not_unusual():
    assert by_statistic(CALM) == {}


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"spam_complaints": 12},
         "Spam complaints on Mon 2026-03-30: 0.29 % of delivered e-mails, usually 0.00 to 0.03 % on Mondays"),
        ({"recipients": 400, "delivered": 396, "opens_excl_machine": 165, "clicks_excl_bot": 8, "unsubscribes": 1},
         "Messages sent on Mon 2026-03-30: 400, usually 4,000 to 4,148 on Mondays"),
        ({"delivered": 3600}, "Delivery on Mon 2026-03-30: 87 % of e-mails sent, usually 99 % on Mondays"),
        ({"opens_excl_machine": 600},
         "Opens without machine opens on Mon 2026-03-30: 15 % of delivered e-mails, usually 39 to 40 % on Mondays"),
        ({"unsubscribes": 60},
         "Unsubscribes on Mon 2026-03-30: 1.46 % of delivered e-mails, usually 0.20 to 0.23 % on Mondays"),
        ({"conversion_value": 40},
         "Attributed revenue on Mon 2026-03-30: 40.00 USD, usually 3,200.00 to 3,207.00 USD on Mondays"),
        ({"conversions": 1, "conversions_unattributed": 2, "conversion_value": 80},
         "Orders on Mon 2026-03-30: 3, usually 120 to 122 on Mondays"),
    ],
)  # fmt: skip
def test_what_is_planted_is_found_and_said(counts, sentence):
    """One number far outside of the usual; the sentence gives number, unit, day, and what is usual."""
    sentences = [one.sentence for one in by_statistic(changed(CALM, DAY, **counts)).values()]

    assert sentence in sentences


def test_a_day_without_sends_and_orders_is_missed_where_every_such_day_had_some():
    nothing = [*(one for one in CALM if one["occurred_on"] != DAY), row(DAY, None)]

    day_anomalies = by_statistic(nothing)

    assert set(day_anomalies) == {"recipients", "conversion_value", "orders"}
    assert day_anomalies["recipients"].sentence == (
        "Messages sent on Mon 2026-03-30: none, usually 4,000 to 4,148 on Mondays (each of the 12 before had some)"
    )
    assert day_anomalies["conversion_value"].value == 0


def test_a_loaded_day_without_any_row_is_a_day_without_events():
    rows = [one for one in CALM if one["occurred_on"] != DAY]

    assert "recipients" in by_statistic(rows, loaded_days={*(one["occurred_on"] for one in rows), DAY})
    assert by_statistic(rows) == {}, "a day that nobody says was loaded is not judged"


def test_a_day_that_is_not_over_is_not_judged():
    """The account's own midnight decides, not that of UTC."""
    rows = changed(CALM, DAY, recipients=10, delivered=10)
    midnight = datetime(2026, 3, 31, 4, tzinfo=UTC)

    assert by_statistic(rows, data_through=midnight - timedelta(seconds=1)) == {}
    assert "recipients" in by_statistic(rows, data_through=midnight)
    unfinished = [one | {"data_through": midnight - timedelta(hours=1)} for one in rows]
    assert by_statistic(unfinished) == {}


def test_too_few_weeks_are_no_yardstick():
    few = 3
    rows = changed(calm_weeks(few), judged_day(few), recipients=10, delivered=10)

    assert by_statistic(rows, judged_day(few)) == {}
    assert "recipients" in by_statistic(
        changed(calm_weeks(4), judged_day(4), recipients=10, delivered=10), judged_day(4)
    )


def test_shares_of_few_e_mails_are_not_judged():
    """Three complaints about a hundred e-mails are bad luck, or a test list."""
    small = [
        {name: value // 40 if name in COLUMNS else value for name, value in one.items()} for one in CALM
    ]  # fmt: skip
    rows = [one | ({"spam_complaints": 3} if one["occurred_on"] == DAY and one["channel"] else {}) for one in small]

    assert by_statistic(rows) == {}


def test_money_of_another_currency_is_not_compared():
    euros = [one | {"currency": "EUR"} if one["occurred_on"] < DAY else one for one in CALM]
    rows = changed(euros, DAY, conversion_value=5)

    assert "conversion_value" not in by_statistic(rows)
    assert by_statistic(changed(CALM, DAY, conversion_value=5))["conversion_value"].unit == "USD"


def test_an_account_whose_conversions_are_no_orders_reads_of_conversions():
    account = replace(ACME, conversion_metric="Submitted Lead Form")
    rows = changed(CALM, DAY, conversions=1, conversions_unattributed=2, conversion_value=80)

    day_anomalies = by_statistic(rows, account=account)

    assert day_anomalies["orders"].label == "Conversions"
    assert day_anomalies["conversion_value"].sentence.startswith("Attributed value on Mon")


def test_one_odd_day_in_the_past_does_not_hide_the_next_one():
    past = DAY - timedelta(weeks=3)
    rows = changed(changed(CALM, past, unsubscribes=60), DAY, unsubscribes=60)

    assert "unsubscribe_rate" in by_statistic(rows)


def test_what_lasts_is_said_every_day():
    rows = CALM
    for ago in range(3):
        rows = changed(rows, DAY - timedelta(days=ago), opens_excl_machine=600)

    for ago in range(3):
        assert "open_rate_excl_machine" in by_statistic(rows, DAY - timedelta(days=ago))


def test_a_campaign_on_another_weekday_than_always_is_no_alarm():
    """Mondays have flows alone, Thursdays a campaign; this week it goes out on Monday."""
    dice = random.Random(7)
    thursdays = list(Shop(5000, frozenset({3}), 20).days(dice, 7 * WEEKS + 1))
    monday, thursday = thursdays[-1], thursdays[-5]
    moved = [one | {"occurred_on": monday[0]["occurred_on"]} for one in thursday]
    rows = [one for day in thursdays[:-1] for one in day] + moved

    assert by_statistic(rows, monday[0]["occurred_on"]) == {}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, len(CALM)), st.sampled_from(["unsubscribes", "opens_excl_machine", "conversion_value"]))
def test_the_order_of_rows_does_not_matter_and_the_value_is_outside_of_what_is_usual(cut, name):
    rows = changed(CALM, DAY, **{name: 60})

    assert by_statistic([*rows[cut:], *reversed(rows[:cut])]) == by_statistic(rows) != {}
    for anomaly in by_statistic(rows).values():
        assert anomaly.low <= anomaly.expected <= anomaly.high
        assert not anomaly.low <= anomaly.value <= anomaly.high
        assert all(on.weekday() == DAY.weekday() and on < DAY for on, _ in anomaly.history)
        assert anomaly.sentence.startswith(f"{anomaly.label} on Mon {DAY}: ")


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_any_rows_can_be_judged(data):
    """Whatever the counts are, there is an answer, and never one about a day that is not over."""
    count = st.integers(0, 10**6)
    rows = [
        row(
            calm_row["occurred_on"],
            calm_row["channel"],
            **{name: data.draw(count) for name in ("recipients", "delivered")},
        )
        for calm_row in CALM[::9]
    ]

    assert isinstance(anomalies(rows, DAY, ACME, loaded_days={DAY}), list)
    assert anomalies(rows, DAY, ACME, data_through=datetime(2026, 3, 30, 12, tzinfo=UTC)) == []


def test_what_is_watched_is_in_the_report():
    report = REPORTS["account_by_event_date"]

    assert set(COLUMNS) <= set(report.column_names)
    assert set(COLUMNS) <= report.additive, (
        f"add up only additive columns of {report.name}, not {set(COLUMNS) - report.additive}"
    )
    assert len({watched.statistic for watched in WATCHED}) == len(WATCHED)


def alarm_days(shop: Shop, days: int, seed: int) -> tuple[int, int]:
    """How many days of a made-up shop are unusual, of how many that can be judged."""
    shop_days = list(shop.days(random.Random(seed), days))
    odd = 0
    for at in range(28, days):
        window = [one for day in shop_days[max(0, at - 7 * WEEKS) : at + 1] for one in day]
        odd += bool(anomalies(window, shop_days[at][0]["occurred_on"], ACME, data_through=LATER))
    return odd, days - 28


@pytest.mark.parametrize("shop", [Shop(300, frozenset({1, 3}), 3), Shop(5000, frozenset({0, 1, 3, 5}), 40)])
def test_a_calm_shop_has_almost_no_alarms(shop):
    odd, judged = alarm_days(shop, 120, seed=1)

    assert odd <= 0.02 * judged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shop", "share"),
    [
        (Shop(300, frozenset({1, 3}), 3), 0.002),
        (Shop(5000, frozenset({0, 1, 3, 5}), 40), 0.002),
        (Shop(200_000, frozenset({1, 4}), 1500), 0.005),
        (Shop(5000, 0.4, 40), 0.02),
        (Shop(3000, 0.5, 30, spread=0.4), 0.01),
    ],
)
def test_the_share_of_days_with_a_false_alarm(shop, share):
    """Over years of simulated days: shops with a calendar, and such that mail whenever they like."""
    counted = [alarm_days(shop, 300, seed) for seed in range(4)]

    assert sum(odd for odd, _ in counted) <= share * sum(judged for _, judged in counted)
