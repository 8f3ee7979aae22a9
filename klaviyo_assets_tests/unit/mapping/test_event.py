"""Raw events become mapped ones, each column for its reason."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.copied import MappingContext, column
from klaviyo_assets.mapping.event import Receipts, map_event
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.rules import validate
from klaviyo_assets.model.metrics import Metric, resolve_metrics
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.factories import NOON, raw_frame
from klaviyo_assets_tests.strategies import raw_frames

NEW_YORK = Account(name="acme", postgres_schema="k", timezone="America/New_York")
METRICS = resolve_metrics(
    [Metric("ord", "Placed Order"), Metric("rec", "Received Email"), Metric("ope", "Opened Email"),
     Metric("cli", "Clicked SMS"), Metric("own", "Signed My Guestbook")], "Placed Order",
)  # fmt: skip
PRIVACY = Privacy("hash", b"0123456789abcdef")
CONTEXT = MappingContext(NEW_YORK, METRICS, PRIVACY)
MICROSECONDS = 1_000_000


def mapped(*rows, receipts=None, day=None):
    context = MappingContext(NEW_YORK, METRICS, PRIVACY, day)
    blank = {"flow_message_id": None, "metric_id": "ope", "_fivetran_deleted": None}
    return map_event(raw_frame(EVENT, *(blank | row for row in rows)), context, receipts)


def event(row, **options):
    """The one mapped event of a raw row."""
    rows = mapped(row, **options).rows
    assert len(rows) == 1
    return {name: column(rows, name).to_pylist()[0] for name in rows.columns}


def test_a_sound_event_passes_every_check():
    result = mapped({"property_value": "49.990000", "property_currency_code": "usd"}, {})

    assert result.notes == []
    assert validate(result.rows, EVENT).ok


def test_deleted_events_are_left_out():
    result = mapped({"id": "a"}, {"id": "b", "_fivetran_deleted": True}, {"id": "c", "_fivetran_deleted": False})

    assert result.rows["event_id"].tolist() == ["a", "c"]
    assert len(mapped({"_fivetran_deleted": True}).rows) == 0


@pytest.mark.parametrize(("metric_id", "written", "metric", "channel", "converts"), [
    ("ord", "Placed Order", "Placed Order", None, True),
    ("cli", "Clicked SMS", "Clicked Text Message", "sms", False),
    ("ope", "something else", "Opened Email", "email", False),
    ("gone", "Received SMS", "Received Text Message", "sms", False),
    ("gone", "Placed Order", "Placed Order", None, False),
    (None, "opened email", "Opened Email", "email", False),
    ("own", None, "Signed My Guestbook", None, False),
    ("gone", None, None, None, False), (None, None, None, None, False),
])  # fmt: skip
def test_the_metric_is_the_ids_else_the_written_one(metric_id, written, metric, channel, converts):
    """An event of another integration's Placed Order is no conversion, though it is called the same."""
    row = event({"metric_id": metric_id, "type": written})

    assert (row["metric"], row["channel"], row["is_conversion"]) == (metric, channel, converts)


@pytest.mark.parametrize(("raw", "at", "on"), [
    ({"datetime": datetime(2026, 1, 31, 4, 59, 59, tzinfo=UTC)}, datetime(2026, 1, 31, 4, 59, 59, tzinfo=UTC),
     date(2026, 1, 30)),
    ({"datetime": datetime(2026, 1, 31, 5, tzinfo=UTC)}, datetime(2026, 1, 31, 5, tzinfo=UTC), date(2026, 1, 31)),
    ({"datetime": None, "timestamp": datetime(2026, 7, 1, 4, tzinfo=UTC)}, datetime(2026, 7, 1, 4, tzinfo=UTC),
     date(2026, 7, 1)),
    ({"datetime": "2026-01-31 05:00:00", "timestamp": None}, datetime(2026, 1, 31, 5, tzinfo=UTC), date(2026, 1, 31)),
])  # fmt: skip
def test_the_day_is_the_accounts(raw, at, on):
    row = event(raw)

    assert (row["occurred_at"], row["occurred_on"]) == (at, on)


def test_a_daily_partition_is_one_day():
    assert event({}, day=date(2024, 1, 31))["occurred_on"] == date(2024, 1, 31)


@pytest.mark.parametrize(("text", "value", "noted"), [
    ("49.990000", Decimal("49.99"), []), ("-12.5", Decimal("-12.5"), []), ("1e-05", Decimal("0.00001"), []),
    ("1.234,50", Decimal("1234.50"), []), ("n.a.", None, ["parse_numeric"]), ("inf", None, ["parse_numeric"]),
    ("", None, []), (None, None, []), ("0", Decimal(0), []),
])  # fmt: skip
def test_a_value_is_exact_or_null_and_noted(text, value, noted):
    result = mapped({"property_value": text})

    assert column(result.rows, "value").to_pylist() == [value]
    assert [note.rule for note in result.notes] == noted


@pytest.mark.parametrize(("text", "currency", "noted"), [
    ("usd", "USD", False), (" EUR ", "EUR", False), (None, None, False), ("", None, False), ("euro", None, True),
])  # fmt: skip
def test_a_currency_is_a_code_or_null_and_noted(text, currency, noted):
    result = mapped({"property_currency_code": text})

    assert event({"property_currency_code": text})["currency"] == currency
    assert [note.rule for note in result.notes] == (["currency_code"] if noted else [])


@pytest.mark.parametrize(("raw", "message"), [
    ({"flow_message_id": "flow", "property_cohort_message_send_cohort": "1586116963:cohort"}, "flow"),
    ({"property_cohort_message_send_cohort": "1586116963:cohort", "property_message": "prop"}, "cohort"),
    ({"flow_message_id": "", "property_message": "prop"}, "prop"), ({}, None),
])  # fmt: skip
def test_the_message_is_the_flows_else_the_cohorts_else_the_propertys(raw, message):
    assert event(raw)["message_id"] == message


def test_the_send_is_the_cohorts():
    row = event({"property_cohort_message_send_cohort": "1586116963:m"})

    assert row["send_at"] == datetime(2020, 4, 5, 20, 2, 43, tzinfo=UTC)
    assert row["send_on"] == date(2020, 4, 5)


def test_a_receipt_without_a_cohort_is_its_own_send():
    row = event({"metric_id": "rec"})

    assert row["send_at"] == row["occurred_at"]


def test_other_events_of_a_message_find_the_latest_earlier_receipt_of_the_same_person():
    noon = int(NOON.timestamp()) * MICROSECONDS
    receipts = Receipts({
        ("ann", "m"): [(noon - ago * MICROSECONDS, f"r{ago}", noon - sent * MICROSECONDS)
                       for ago, sent in ((9, 9), (5, 8), (-1, 1))],
        ("bob", "m"): [(noon - MICROSECONDS, "r", noon - MICROSECONDS)],
    })  # fmt: skip
    raw = {"person_id": "ann", "flow_message_id": "m", "datetime": NOON}

    # It was sent three seconds before it was received.
    assert (NOON - event(raw, receipts=receipts)["send_at"]).total_seconds() == 8
    assert event(raw | {"person_id": None}, receipts=receipts)["send_at"] is None
    assert event(raw | {"metric_id": "ord"}, receipts=receipts)["send_at"] is None


@pytest.mark.parametrize("cohort", ["LyZ7re", "123:m", "soon:m", "1586116963:"])
def test_a_cohort_that_is_none_is_noted(cohort):
    result = mapped({"property_cohort_message_send_cohort": cohort})

    assert result.rows["send_at"].isna().all()
    assert [(note.field, note.rule, note.value) for note in result.notes] == [("send_at", "send_cohort", cohort)]


@pytest.mark.parametrize(
    ("metric_id", "machine", "bot"), [("ope", True, False), ("cli", False, True), ("ord", False, False)]
)
def test_machine_opens_are_opens_and_bot_clicks_are_clicks(metric_id, machine, bot):
    row = event({"metric_id": metric_id, "property_apple_privacy_open": "true", "property_bot_click": "true"})

    assert (row["is_machine_open"], row["is_bot_click"]) == (machine, bot)


def test_the_first_recorded_event_is_kept_and_the_whole_stays_in_properties():
    text = '[{"$attributed_event_id": "e1"}, {"$attributed_event_id": "e2"}]'

    assert event({"property_attribution": text})["attributed_event_id"] == "e1"
    assert event({"property_attribution": "{broken"})["attributed_event_id"] is None


@pytest.mark.parametrize(("raw", "list_id", "list_name"), [
    ({"property_list_id": "Y6nRLr", "property_list": "Newsletter"}, "Y6nRLr", "Newsletter"),
    ({"property_list": "Newsletter"}, None, "Newsletter"), ({"property_list_id": "Y6nRLr"}, "Y6nRLr", None),
    ({"property_list_id": " ", "property_list": ""}, None, None),
])  # fmt: skip
def test_a_list_is_as_the_event_states_it(raw, list_id, list_name):
    row = event(raw)

    assert (row["list_id"], row["list_name"]) == (list_id, list_name)


@pytest.mark.parametrize(("text", "number", "noted"), [
    ("3", Decimal(3), False), ("0.0125", Decimal("0.0125"), False), ("0", Decimal(0), False), (None, None, False),
    ("three", None, True),
])  # fmt: skip
def test_credits_and_spend_are_exact_or_null(text, number, noted):
    raw = {"property_text_message_credit_usage_amount": text, "property_text_message_spend": text}

    row = event(raw)

    assert (row["credit_usage"], row["spend"]) == (number, number)
    assert [note.field for note in mapped(raw).notes] == (["credit_usage", "spend"] if noted else [])


def test_blank_ids_are_no_ids():
    row = event({"campaign_id": "", "flow_id": " ", "person_id": ""})

    assert (row["campaign_id"], row["flow_id"], row["person_id"]) == (None, None, None)


def test_personal_values_are_hashed_wherever_they_stand():
    raw = {"property_to_number": "+15165555555", "property_Client IP": "10.0.0.1",
           "property_note": "x nobody@example.com",
           "property_color": "green"}  # fmt: skip

    properties = event(raw)["properties"]

    assert not any(secret in properties for secret in ("5165555555", "10.0.0.1", "nobody@"))
    assert json.loads(properties)["color"] == "green"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw_frames(EVENT))
def test_junk_never_breaks_the_table(raw):
    result = map_event(raw, CONTEXT)

    assert validate(result.rows, EVENT).schema_errors == ()
    assert len(result.rows) <= len(raw)
