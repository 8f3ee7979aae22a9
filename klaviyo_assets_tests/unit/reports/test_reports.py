"""What the reports promise: statistics, date bases, grains, and numbers worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from klaviyo_assets.model.statistics import NOT_ADDITIVE, STATISTICS, Kind
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.statement import Days
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
        "segment_count": None, "send_at": SENT, "send_on": SENT.date(), "email_domain": None, "bounce_type": None,
        "list_id": None, "list_name": None, "credit_usage": None, "spend": None, **other,
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
    return sorted(warehouse.rows(report), key=lambda row: row.get(report.day_column) or date.max)


def pick(row: Row, *names: str) -> list[Any]:
    return [row[name] for name in names]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_additive_columns_are_the_statistics_that_may_be_summed(report):
    assert report.additive == {s.name for s in report.statistics} - NOT_ADDITIVE


@pytest.mark.parametrize("name", ["campaign_by_event_date", "flow_by_event_date", "account_by_event_date"])
def test_an_event_date_report_has_no_rates_and_says_why(name):
    assert not [s for s in REPORTS[name].statistics if s.kind is Kind.RATE]
    assert "There are no rates" in REPORTS[name].description


@pytest.mark.parametrize("name", ["campaign_by_send_date", "flow_by_send_date", "campaign_lifetime", "flow_lifetime"])
def test_a_report_of_sends_has_all_31_of_klaviyos_statistics(name):
    wanted = {s.name for s in STATISTICS.values() if s.is_klaviyos}
    assert len(wanted) == 31
    assert wanted <= set(REPORTS[name].column_names)


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
    report_rows = rows(warehouse, BY_SEND, Mapped([ordered], shared))
    assert sorted(row["conversions"] for row in report_rows) == [Decimal("0.333333334"), Decimal("0.666666666")]
    assert sum(row["conversions"] for row in report_rows) == 1
    assert sum(row["conversion_value"] for row in report_rows) == 30


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


def test_what_has_no_send_day_is_a_row_of_its_own_that_waits_for_its_last_event(warehouse):
    unstated = event("1", "Opened Email", send_at=None, send_on=None)
    impossible = event("2", "Opened Email", "bob", send_on=SENT.date() + timedelta(days=2))
    late = event("3", "Opened Email", "cy", after=timedelta(days=10), send_at=None, send_on=None)
    for opens, is_final in (([unstated, impossible], True), ([unstated, late], False)):
        (row,) = rows(warehouse, BY_SEND, Mapped(opens))
        assert pick(row, "send_on", "opens", "is_final") == [None, 2, is_final]
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


def test_a_conversion_that_no_message_earned_is_in_no_message_report_but_in_the_accounts(warehouse):
    mapped = Mapped([order("1", "10.00"), order("2", "7.00", currency="USD")])
    assert rows(warehouse, BY_SEND, mapped) == []
    (row,) = rows(warehouse, REPORTS["account_by_event_date"], mapped)
    assert pick(row, "message_source", "channel", "events", "conversions") == ["none", None, 2, 0]
    assert pick(row, "conversions_unattributed", "conversion_value_unattributed") == [1, 10]
    assert row["conversions_unattributed_other_currency"] == 1


def test_machine_opens_and_bot_clicks_count_and_are_also_left_out(warehouse):
    machine, bot = {"is_machine_open": True}, {"is_bot_click": True}
    mapped = Mapped([
        event("1", "Received Email"), event("2", "Opened Email", **machine), event("3", "Opened Email", "bob"),
        event("4", "Clicked Email", **bot), event("5", "Clicked Email"), event("6", "Clicked Email", "cy", **bot),
    ])  # fmt: skip
    (row,) = rows(warehouse, BY_SEND, mapped)
    assert pick(row, "opens", "opens_excl_machine", "opens_unique", "opens_unique_excl_machine") == [2, 1, 2, 1]
    assert pick(row, "clicks", "clicks_excl_bot", "clicks_unique_excl_bot", "sends_clicked_excl_bot") == [3, 1, 1, 1]
    assert pick(row, "click_rate", "click_rate_excl_bot", "click_to_open_rate_excl_machine") == [2, 1, 1]


def test_a_rate_above_one_is_shown_as_it_is(warehouse):
    people = [event(str(n), "Clicked Email", person) for n, person in enumerate(("ann", "bob", "cy"))]
    (row,) = rows(warehouse, BY_SEND, Mapped([*people, event("9", "Received Email"), event("8", "Opened Email")]))
    assert pick(row, "click_rate", "click_to_open_rate", "open_rate") == [3, 3, 1]


def test_credits_and_spend_of_text_messages_are_null_where_no_message_states_them(warehouse):
    silent = event("1", "Received Text Message", channel="sms", flow_id="f", campaign_id=None)
    stating = {**silent, "event_id": "2", "segment_count": 2, "credit_usage": Decimal("1.5"), "spend": Decimal("0.04")}
    ordered = order("3", "10.00")
    earned = credit(ordered, campaign_id=None, flow_id="f", touch_channel="sms")
    names = ("message_segment_count_sum", "text_message_credit_usage_amount", "text_message_spend", "text_message_roi")
    for received, wanted in (([silent], [None] * 4), ([silent, stating], [2, Decimal("1.5"), Decimal("0.04"), 250])):
        (row,) = rows(warehouse, REPORTS["flow_by_send_date"], Mapped([*received, ordered], [earned]))
        assert pick(row, *names) == wanted


def test_a_lifetime_holds_what_a_message_earned_conversion_or_not(warehouse):
    ordered = order("1", "10.00")
    viewed = {**order("2", "3.00"), "is_conversion": False, "metric": "Viewed Product"}
    refunded = {**order("3", "-4.00", currency="USD"), "is_conversion": False, "metric": "Refunded Order"}
    mapped = Mapped([event("0", "Received Email"), ordered, viewed, refunded],
                    [credit(ordered, "0.5", value=Decimal(5)), credit(viewed), credit(refunded)])  # fmt: skip
    (row,) = rows(warehouse, REPORTS["campaign_lifetime"], mapped)
    assert pick(row, "conversions", "placed_order_events", "placed_order_value", "placed_order_people") == [
        Decimal("0.5"), Decimal("0.5"), 5, 1,
    ]  # fmt: skip
    assert pick(row, "viewed_product_events", "viewed_product_people", "refunded_order_events") == [1, 1, 1]
    assert pick(row, "refunded_order_value", "delivered", "delivered_uniques") == [0, 1, 1]
    assert pick(row, "first_event_at", "last_event_at") == [SENT, SENT + timedelta(days=1)]
    assert pick(row, "first_send_on", "last_send_on") == [SENT.date(), SENT.date()]


def test_a_person_and_the_messages_that_reached_them(warehouse):
    ordered, unearned = order("2", "10.00"), order("3", "2.50")
    mapped = Mapped([event("1", "Opened Email"), ordered, unearned, event("4", "Opened Email", None)],
                    [credit(ordered)])  # fmt: skip
    (ann,) = rows(warehouse, REPORTS["person_lifetime"], mapped)
    assert pick(ann, "person_id", "events", "opened_email_events", "placed_order_events") == ["ann", 3, 1, 2]
    assert pick(ann, "placed_order_value", "conversion_value", "conversion_value_unattributed") == [
        Decimal("12.5"), 10, Decimal("2.5"),
    ]  # fmt: skip
    touches = {row["person_id"]: row for row in rows(warehouse, REPORTS["person_touch"], mapped)}
    assert pick(touches["ann"], "campaign_id", "opens", "placed_order_value") == ["spring", 1, 10]
    assert pick(touches[None], "opens", "conversions") == [1, 0]


def test_deliverability_is_by_domain_and_bounce_type_whatever_their_case(warehouse):
    mapped = Mapped([
        event("1", "Received Email", email_domain="GMX.de"), event("2", "Bounced Email", email_domain="gmx.DE"),
        event("3", "Bounced Email", email_domain="gmx.de", bounce_type="Hard"),
        event("4", "Opened Email", email_domain="gmx.de", bounce_type="Hard"),
        event("5", "Received Push", channel="mobile_push", email_domain="gmx.de"),
    ])  # fmt: skip
    report_rows = rows(warehouse, REPORTS["deliverability_by_event_date"], mapped)
    counted = {row["bounce_type"]: pick(row, "email_domain", "recipients", "bounced", "opens") for row in report_rows}
    assert counted == {None: ["gmx.de", 2, 1, 1], "hard": ["gmx.de", 1, 1, 0]}


def test_lists_grow_by_acts_and_a_name_stands_for_the_only_list_that_bears_it(warehouse):
    lists = [{"list_id": key, "name": name, "is_deleted": key == "gone"}
             for key, name in (("news", "News"), ("gone", "News"), ("a", "Twice"), ("b", "Twice"))]  # fmt: skip
    joined = [event(str(n), "Subscribed to List", list_name=name) for n, name in enumerate(("News", "News", "Twice"))]
    anonymous = [event(str(n), "Subscribed to List", None, list_name="News") for n in (3, 4)]
    left = event("5", "Unsubscribed from List", list_id="other", list_name="News")
    mapped = Mapped([*joined, *anonymous, left], lists=lists)
    report_rows = rows(warehouse, REPORTS["list_growth_by_event_date"], mapped)
    names = ("list_id", "list_name", "subscribes", "subscribe_uniques", "unsubscribes", "net_growth")
    assert sorted((pick(row, *names) for row in report_rows), key=str) == sorted(
        [["news", "News", 3, 1, 0, 3], [None, "Twice", 1, 1, 0, 1], ["other", "News", 0, 0, 1, -1]], key=str
    )  # fmt: skip


def test_snapshots_count_members_and_consent_on_the_day_of_the_data(warehouse):
    consents = {"ann": "SUBSCRIBED", "bob": "SUBSCRIBED", "cy": None, "dan": None}
    people = [{"person_id": name, "can_receive_email_marketing": name != "cy", "email_marketing_consent": consent,
               "is_deleted": name == "dan"} for name, consent in consents.items()]  # fmt: skip
    members = [{"list_id": "l", "person_id": name, "is_deleted": name == "bob"} for name in ("ann", "bob", "cy")]
    lists = [{"list_id": "l", "is_deleted": False}, {"list_id": "empty"}, {"list_id": "gone", "is_deleted": True}]
    warehouse.load_rows({"person": people, "list": lists, "list_person": members})
    for name in ("membership_snapshot", "consent_snapshot"):
        warehouse.restate(REPORTS[name], STANDING, Days.of([date(2024, 5, 20)]))
    snapshot_rows = warehouse.rows(REPORTS["membership_snapshot"])
    counted = {
        row["group_id"]: pick(row, "snapshot_on", "members", "members_with_email_consent") for row in snapshot_rows
    }
    assert counted == {"l": [date(2024, 5, 20), 2, 1], "empty": [date(2024, 5, 20), 0, 0]}
    snapshot_rows = warehouse.rows(REPORTS["consent_snapshot"])
    counted = {row["consent"]: row["people"] for row in snapshot_rows if row["channel"] == "email"}
    assert counted == {"SUBSCRIBED": 2, None: 1}
