"""What a plan says: days by kind, reasons by range, and a sentence for each change."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from klaviyo_assets.accounts import DEFAULT_WINDOWS, Account, AttributionSettings
from klaviyo_assets.source.days import ranges
from klaviyo_assets.stages.looks import Look
from klaviyo_assets.stages.planning import DirtyDay, Plan, _setting_changes

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=ahead) for ahead in range(10)]
PLAN = Plan((
    DirtyDay(DAYS[0], ("new rows",)), DirtyDay(DAYS[1], ("changed rows", "pii changed (hash -> keep)")),
    DirtyDay(DAYS[2], ("touches of a changed day",), only_attribution=True),
    DirtyDay(DAYS[3], ("touches of a changed day",), only_attribution=True), DirtyDay(DAYS[5], ("new rows",)),
))  # fmt: skip


def test_days_of_each_kind_are_ranges_of_their_own():
    assert PLAN.ranges(only_attribution=False) == [(DAYS[0], DAYS[1]), (DAYS[5], DAYS[5])]
    assert PLAN.ranges(only_attribution=True) == [(DAYS[2], DAYS[3])]


def test_a_range_says_why_its_days_are_made_again_the_most_frequent_reason_first():
    assert PLAN.reasons(DAYS[0], DAYS[5], only_attribution=False) == [
        "new rows", "changed rows", "pii changed (hash -> keep)",
    ]  # fmt: skip
    assert PLAN.reasons(DAYS[2], DAYS[2], only_attribution=True) == ["touches of a changed day"]


def test_every_set_of_reasons_is_announced_with_its_days():
    assert PLAN.announcements == [
        "new rows: 2 days of events will be loaded",
        "changed rows; pii changed (hash -> keep): 1 day of events will be rebuilt",
        "touches of a changed day: 2 days of attribution will be rebuilt",
    ]
    assert Plan().announcements == []


def test_events_that_days_lost_are_announced_before_anything_is_made():
    assert replace(PLAN, fewer=(8, 1)).announcements[0] == (
        "9 events fewer in Postgres than were loaded, on 2 days: BigQuery will follow"
    )


def test_what_a_look_leaves_for_the_next_one_survives_being_written():
    look = replace(PLAN, through=datetime(2026, 1, 11, tzinfo=UTC)).look

    assert Look.read(json.loads(json.dumps(look.written))) == look
    assert look.of_events == {DAYS[0], DAYS[1], DAYS[5]}
    assert look.days == look.of_events | {DAYS[2], DAYS[3]}
    assert PLAN.look is None, "nothing has ever been synced"


def test_consecutive_days_are_one_range():
    assert ranges([DAYS[2], DAYS[0], DAYS[1], DAYS[1], DAYS[4]]) == [(DAYS[0], DAYS[2]), (DAYS[4], DAYS[4])]


def settings(**changes):
    return Account("acme", "k", **changes).attribution_settings("touch")


@pytest.mark.parametrize(("before", "now", "reasons"), [
    (settings(), settings(attribution=AttributionSettings(windows=dict(DEFAULT_WINDOWS) | {"email_click": 259_200})),
     ["attribution windows changed (email_click 5 days -> 3 days)"]),
    (settings(), settings(attribution=AttributionSettings(windows={"email_click": 90, "sms_open": 7_200})),
     ["attribution windows changed (email_click 5 days -> 90 seconds, email_open 5 days -> none, mobile_push_open "
      "1 day -> none, sms_click 5 days -> none, sms_delivery 12 hours -> none, sms_open 1 day -> 2 hours, "
      "whatsapp_click 5 days -> none, whatsapp_open 12 hours -> none)"]),
    (settings(), settings(timezone="Asia/Tokyo", attribution=AttributionSettings(machine_opens_earn=False)),
     ["timezone changed (UTC -> Asia/Tokyo)", "machine_opens_earn changed (true -> false)"]),
    (settings(), settings(), ["metric names changed"]),
    (None, settings(), ["loaded by a different version of this program"]),
    ({"conversion integration": None}, {"conversion integration": "Shopify"},
     ["conversion integration changed (none -> Shopify)"]),
])  # fmt: skip
def test_a_changed_setting_is_named_with_both_values(before, now, reasons):
    assert list(_setting_changes(SimpleNamespace(details={"settings": before}), now)) == reasons
