"""What the reports promise: columns, formulas, date bases, and numbers worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.statement import Days
from klaviyo_assets.statistics import NOT_ADDITIVE, STATISTICS, Kind
from klaviyo_assets_tests.reference import Mapped, Row, Standing
from klaviyo_assets_tests.unit.reports.warehouse import Warehouse

SENT = datetime(2024, 5, 6, 8, tzinfo=UTC)
STANDING = Standing("Europe/Berlin", "EUR", timedelta(days=5), datetime(2024, 5, 20, tzinfo=UTC))
BY_SEND, BY_EVENT = REPORTS["campaign_by_send_date"], REPORTS["campaign_by_event_date"]


def event(event_id: str, metric: str, person: str | None = "ann", after: timedelta = timedelta(), **other: Any) -> Row:
    """An email's event in UTC, `after` the send; other columns as named."""
    at = SENT + after
    return {
        "event_id": event_id, "occurred_at": at, "occurred_on": at.date(), "metric": metric, "channel": "email",
        "person_id": person, "campaign_id": "spring", "flow_id": None, "message_id": "m", "variation_id": None,
        "value": None, "currency": None, "is_conversion": False, "is_machine_open": False, "is_bot_click": False,
        "segment_count": None, "send_at": SENT, "send_on": SENT.date(), **other,
    }  # fmt: skip


def order(event_id: str, value: str, person: str | None = "ann", currency: str | None = None) -> Row:
    """An order a day after the send."""
    unsent = {"channel": None, "campaign_id": None, "message_id": None, "send_at": None, "send_on": None}
    return event(event_id, "Placed Order", person, timedelta(days=1), is_conversion=True, value=Decimal(value),
                 currency=currency, **unsent)  # fmt: skip


def credit(ordered: Row, weight: str = "1", rank: int = 1, **other: Any) -> Row:
    """The campaign's credit for an order."""
    return {
        "event_id": ordered["event_id"], "occurred_on": ordered["occurred_on"], "touch_rank": rank,
        "weight": Decimal(weight), "value": ordered["value"] * Decimal(weight), "attribution_source": "recorded",
        "touch_channel": "email", "campaign_id": "spring", "flow_id": None, "message_id": "m", "variation_id": None,
        "send_at": SENT, "send_on": SENT.date(), **other,
    }  # fmt: skip


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    return Warehouse()


def rows(warehouse: Warehouse, report: ReportSpec, mapped: Mapped, standing: Standing = STANDING) -> list[Row]:
    """A full rebuild, rows by day; the unknown day last."""
    warehouse.load(mapped)
    warehouse.restate(report, standing, Days.all())
    return sorted(warehouse.rows(report), key=lambda row: row[report.day] or date.max)


def pick(row: Row, *names: str) -> list[Any]:
    return [row[name] for name in names]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_column_is_described_and_statistics_tell_their_formula(report):
    assert all(column.description for column in report.columns)
    for statistic in report.statistics:
        assert "Formula: " in report.column(statistic.name).description
    assert report.date_basis in report.description
    assert {"currency", "data_through", "is_final"} <= set(report.column_names)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_rate_stands_beside_its_numerator_and_denominator(report):
    for statistic in report.statistics:
        if statistic.kind is Kind.RATE:
            assert {statistic.numerator, statistic.denominator} <= set(report.column_names)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_additive_columns_are_the_statistics_that_may_be_summed(report):
    assert report.additive == {s.name for s in report.statistics} - NOT_ADDITIVE


@pytest.mark.parametrize("name", ["campaign_by_event_date", "flow_by_event_date"])
def test_an_event_date_report_has_no_rates_and_says_why(name):
    assert not [s for s in REPORTS[name].statistics if s.kind is Kind.RATE]
    assert "There are no rates" in REPORTS[name].description


def test_a_send_date_report_has_all_of_klaviyos_statistics_but_those_its_data_lack():
    missing = {s.name for s in STATISTICS.values() if s.is_klaviyos} - set(BY_SEND.column_names)
    assert missing == {"text_message_credit_usage_amount", "text_message_spend", "text_message_roi"}


def test_the_two_date_bases_put_the_same_events_on_different_days(warehouse):
    mapped = Mapped(events=[
        event("1", "Received Email"), event("2", "Received Email", "bob"),
        event("3", "Opened Email", after=timedelta(days=2)), event("4", "Opened Email", after=timedelta(days=2)),
    ])  # fmt: skip
    (sent,) = rows(warehouse, BY_SEND, mapped)
    assert pick(sent, "send_on", "delivered", "opens", "opens_unique", "sends_opened", "open_rate") == [
        SENT.date(), 2, 2, 1, 1, 0.5,
    ]  # fmt: skip
    first, second = rows(warehouse, BY_EVENT, mapped)
    assert pick(first, "occurred_on", "delivered", "opens") == [date(2024, 5, 6), 2, 0]
    assert pick(second, "occurred_on", "delivered", "opens", "opens_unique") == [date(2024, 5, 8), 0, 2, 1]


def test_recipients_are_attempts_and_delivered_is_what_arrived(warehouse):
    metrics = ["Received Email"] * 7 + ["Bounced Email"] * 2 + ["Failed to Deliver WhatsApp", "Dropped Email"]
    (row,) = rows(warehouse, BY_SEND, Mapped([event(str(n), metric) for n, metric in enumerate(metrics)]))
    assert pick(row, "recipients", "delivered", "bounced", "failed", "bounced_or_failed", "dropped") == [
        10,
        7,
        2,
        1,
        3,
        1,
    ]
    assert pick(row, "delivery_rate", "bounce_rate", "failed_rate", "bounced_or_failed_rate") == [0.7, 0.2, 0.1, 0.3]


def test_anonymous_events_count_in_events_and_money_but_not_in_people(warehouse):
    ordered = order("2", "10.00", person=None)
    mapped = Mapped([event("1", "Opened Email", None), ordered], [credit(ordered)])
    (row,) = rows(warehouse, BY_SEND, mapped)
    assert pick(row, "opens", "opens_unique", "sends_opened") == [1, 0, 0]
    assert pick(row, "conversions", "conversion_uniques", "sends_converted", "conversion_value") == [1, 0, 0, 10]


def test_amounts_of_another_currency_are_counted_apart_and_never_added(warehouse):
    own, unstated, other = order("1", "10.00", "ann", "EUR"), order("2", "5.50", "bob"), order("3", "99", "cy", "USD")
    mapped = Mapped([own, unstated, other], [credit(own), credit(unstated), credit(other)])
    (row,) = rows(warehouse, BY_SEND, mapped)
    assert pick(row, "conversions", "conversion_uniques", "conversion_value", "conversions_other_currency") == [
        2, 2, Decimal("15.5"), 1,
    ]  # fmt: skip
    assert row["average_order_value"] == Decimal("7.75")


def test_shares_of_a_conversion_add_up_to_the_conversion(warehouse):
    ordered = order("1", "30.00")
    shares = ("0.333333333", "0.333333333", "0.333333334")
    shared = [
        credit(ordered, share, rank, variation_id=variation)
        for rank, (share, variation) in enumerate(zip(shares, "aab", strict=True), start=1)
    ]
    found = rows(warehouse, BY_SEND, Mapped([ordered], shared))
    assert sorted(row["conversions"] for row in found) == [Decimal("0.333333334"), Decimal("0.666666666")]
    assert sum(row["conversions"] for row in found) == 1
    assert sum(row["conversion_value"] for row in found) == 30


def test_an_act_of_unsubscribing_counts_once_though_klaviyo_writes_it_several_times(warehouse):
    names = ("Unsubscribed from Email Marketing", "Unsubscribed from List", "Unsubscribed from List")
    acts = [event(str(n), name) for n, name in enumerate(names)]
    acts[0] |= {"campaign_id": None, "message_id": None}
    later = event("9", "Unsubscribed from List", after=timedelta(seconds=1))
    (row,) = rows(warehouse, BY_SEND, Mapped([*acts, later]))
    assert pick(row, "unsubscribes", "unsubscribe_uniques") == [2, 1]


def test_an_event_without_a_send_takes_its_campaigns_in_the_accounts_time_zone(warehouse):
    unstated = event("1", "Opened Email", after=timedelta(days=3), send_at=None, send_on=None)
    campaigns = [{"campaign_id": "spring", "send_at": datetime(2024, 5, 6, 22, 30, tzinfo=UTC)}]
    (row,) = rows(warehouse, BY_SEND, Mapped([unstated], campaigns=campaigns))
    assert row["send_on"] == date(2024, 5, 7)


def test_what_has_no_send_day_is_a_row_of_its_own_that_is_never_final(warehouse):
    unstated = event("1", "Opened Email", send_at=None, send_on=None)
    impossible = event("2", "Opened Email", "bob", send_on=SENT.date() + timedelta(days=2))
    (row,) = rows(warehouse, BY_SEND, Mapped([unstated, impossible]))
    assert pick(row, "send_on", "opens", "is_final", "data_through") == [None, 2, False, STANDING.data_through]
    assert rows(warehouse, BY_SEND, Mapped()) == []


def test_opens_of_two_sends_are_two_sends_of_one_person(warehouse):
    again = {"send_at": SENT + timedelta(hours=2)}
    mapped = Mapped([event("1", "Opened Email"), event("2", "Opened Email"), event("3", "Opened Email", **again)])
    (row,) = rows(warehouse, BY_SEND, mapped)
    assert pick(row, "opens", "opens_unique", "sends_opened") == [3, 1, 2]


@pytest.mark.parametrize(("reached", "is_final"), [(timedelta(), True), (timedelta(seconds=-1), False)])
@pytest.mark.parametrize("report", [BY_SEND, BY_EVENT], ids=lambda report: report.name)
def test_a_row_is_final_once_the_window_after_its_day_has_passed(warehouse, report, reached, is_final):
    """The day of May 6 ends at 22:00 UTC in Berlin; the window is five days."""
    final_at = datetime(2024, 5, 11, 22, tzinfo=UTC)
    standing = Standing("Europe/Berlin", "EUR", timedelta(days=5), final_at + reached)
    (row,) = rows(warehouse, report, Mapped([event("1", "Opened Email")]), standing)
    assert pick(row, "is_final", "data_through") == [is_final, final_at + reached]


def test_a_final_row_does_not_change_by_time_passing(warehouse):
    mapped = Mapped([event("1", "Opened Email")])
    later = Standing("Europe/Berlin", "EUR", timedelta(days=5), datetime(2030, 1, 1, tzinfo=UTC))
    assert rows(warehouse, BY_SEND, mapped) == rows(warehouse, BY_SEND, mapped, later)


def test_a_conversion_that_no_message_earned_is_in_no_message_report(warehouse):
    assert rows(warehouse, BY_SEND, Mapped([order("1", "10.00")])) == []
