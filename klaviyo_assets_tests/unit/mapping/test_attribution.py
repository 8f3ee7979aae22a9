"""The attribution table: rows of credit from a day's events."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.attribution import is_message_event, map_attribution, touches_of
from klaviyo_assets.mapping.copied import MappingContext
from klaviyo_assets.mapping.credit import TouchBook
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.rules import validate
from klaviyo_assets.model.metrics import AccountMetrics
from klaviyo_assets.tables import ATTRIBUTION, EVENT
from klaviyo_assets_tests.factories import NOON, mapped_frame

DAY = date(2024, 1, 31)
CONTEXT = MappingContext(
    Account(name="acme", postgres_schema="k"), AccountMetrics(), Privacy("hash", b"0123456789abcdef"), DAY
)
CLICK = {
    "event_id": "click", "person_id": "ann", "occurred_at": NOON - timedelta(hours=1), "metric": "Clicked Email",
    "channel": "email", "campaign_id": "c1", "flow_id": None, "message_id": "m1", "variation_id": "v1",
    "send_at": NOON - timedelta(days=1), "send_on": date(2024, 1, 30),
}  # fmt: skip
ORDER = {
    "event_id": "order", "person_id": "ann", "occurred_at": NOON, "metric": "Placed Order", "channel": None,
    "campaign_id": None, "flow_id": None, "message_id": None, "variation_id": None, "value": Decimal("49.99"),
    "send_at": None, "send_on": None,
}  # fmt: skip


def book(*touches, attributions=None):
    return TouchBook.of(touches_of(mapped_frame(EVENT, *touches), attributions or {}))


def credited(*events, touches=(CLICK,), attributions=None, source="touch"):
    return map_attribution(mapped_frame(EVENT, *events), book(*touches), attributions or {}, CONTEXT, source)


def test_a_row_holds_the_touch_and_never_the_event_it_is_credited_with():
    result = credited(ORDER)

    (row,) = result.rows.to_dict("records")
    assert row == {
        "event_id": "order", "occurred_on": DAY, "touch_rank": 1, "weight": Decimal(1), "value": Decimal("49.99"),
        "attribution_source": "last_touch", "touch_event_id": "click", "touch_metric": "Clicked Email",
        "touch_at": NOON - timedelta(hours=1), "touch_channel": "email", "campaign_id": "c1", "flow_id": row["flow_id"],
        "message_id": "m1", "variation_id": "v1", "send_at": NOON - timedelta(days=1), "send_on": date(2024, 1, 30),
    }  # fmt: skip
    assert result.rows["flow_id"].isna().all()
    assert validate(result.rows, ATTRIBUTION, DAY).ok


def test_linear_attribution_is_one_row_per_touch_and_the_shares_sum_exactly():
    names = ["t1", "t2", "t3"]
    text = "[" + ",".join(f'{{"$attributed_event_id": "{name}"}}' for name in names) + "]"

    rows = credited(
        ORDER | {"value": Decimal("0.000000001")}, touches=[CLICK | {"event_id": name} for name in names],
        attributions={"order": text}, source="native",
    ).rows  # fmt: skip

    assert rows["touch_rank"].tolist() == [1, 2, 3]
    assert rows["touch_event_id"].tolist() == names
    assert sum(rows["weight"]) == 1
    assert sum(rows["value"]) == Decimal("0.000000001")
    assert validate(rows, ATTRIBUTION, DAY).ok


def test_the_largest_amount_is_shared_exactly():
    value = Decimal("99999999999999999999999999999.999999999")

    assert credited(ORDER | {"value": value}).rows["value"].tolist() == [value]


@pytest.mark.parametrize("metric", ["Opened Email", "Received SMS", "Bounced Email", "Marked Email as Spam",
                                    "Unsubscribed from Email Marketing"])  # fmt: skip
def test_events_of_messages_earn_credit_and_are_never_credited(metric):
    assert len(credited(ORDER | {"metric": metric, "campaign_id": "c9"}).rows) == 0


@pytest.mark.parametrize("metric", ["Viewed Product", "Signed My Guestbook", None, "Subscribed to List"])
def test_everything_else_a_person_does_is_credited_not_only_conversions(metric):
    assert len(credited(ORDER | {"metric": metric, "value": None}).rows) == 1


def test_an_event_without_a_value_has_credit_without_a_value():
    rows = credited(ORDER | {"value": None}).rows

    assert rows["value"].isna().all()
    assert rows["weight"].tolist() == [Decimal(1)]


def test_an_event_nothing_led_to_has_no_row():
    rows = credited(ORDER | {"person_id": "bob"}).rows

    assert len(rows) == 0
    assert list(rows.columns) == list(ATTRIBUTION.column_names)


def test_a_recorded_id_that_leads_nowhere_is_noted():
    result = credited(ORDER, attributions={"order": '{"$attributed_event_id": "gone"}'}, source="native")

    assert len(result.rows) == 0
    assert [(note.row_id, note.rule, note.value, note.dropped) for note in result.notes] == [
        ("order", "dangling_attribution", "gone", False)
    ]


def test_rows_are_in_order_of_event_and_rank_whatever_order_events_come_in():
    rows = credited(ORDER | {"event_id": "z"}, ORDER | {"event_id": "a"}).rows

    assert rows["event_id"].tolist() == ["a", "z"]


def test_no_events_are_no_rows():
    empty = mapped_frame(EVENT).iloc[:0]

    assert len(map_attribution(empty, book(CLICK), {}, CONTEXT, "touch").rows) == 0
    assert is_message_event(empty).to_pylist() == []


def test_credit_without_a_touch_says_nothing_of_a_touch_but_stands_on_its_message():
    receipt = CLICK | {"event_id": "receipt", "metric": "Received Email"}

    (row,) = credited(ORDER | {"campaign_id": "c1"}, touches=[receipt]).rows.to_dict("records")

    assert (row["attribution_source"], row["message_id"], row["variation_id"]) == ("own", "m1", "v1")
    assert (row["touch_channel"], row["send_at"]) == ("email", NOON - timedelta(days=1))
    assert all(row[name] is None or row[name] != row[name] or str(row[name]) in {"<NA>", "NaT"}
               for name in ("touch_event_id", "touch_metric", "touch_at"))  # fmt: skip


@pytest.mark.parametrize("flag", ["is_machine_open", "is_bot_click"])
def test_a_touch_says_whether_a_machine_may_have_made_it(flag):
    assert [touch.is_machine for touch in touches_of(mapped_frame(EVENT, CLICK | {flag: True}, CLICK), {})] == [
        True, False,
    ]  # fmt: skip


def test_events_without_a_time_are_no_touches():
    assert list(touches_of(mapped_frame(EVENT, CLICK | {"occurred_at": None}), {})) == []


def test_a_touch_carries_what_klaviyo_recorded_on_it():
    (touch,) = touches_of(mapped_frame(EVENT, CLICK), {"click": "text"})

    assert (touch.event_id, touch.attribution, touch.send_on) == ("click", "text", date(2024, 1, 30))
