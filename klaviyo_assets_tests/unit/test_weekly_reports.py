"""Weeks: partitions from Monday to Sunday, and the schedule that asks for the one that is over."""

from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.stages.keys import monday_of, week_key

ACME = Account(name="acme", postgres_schema="acme", start_date=date(2026, 1, 1), timezone="Pacific/Auckland")
ACCOUNTS = Accounts({"acme": ACME, "zoo": replace(ACME, name="zoo", timezone="America/New_York")}, "a test")
DEFINITIONS = build_definitions(accounts=ACCOUNTS)


def test_weeks_begin_with_the_one_of_the_first_day_and_end_with_the_running_one():
    """January 1, 2026 is a Thursday; the 14th a Wednesday."""
    with partition_loading_context(effective_dt=datetime(2026, 1, 14, 12, tzinfo=UTC)):
        keys = [str(key) for key in Partitions.of(ACCOUNTS).account_weeks.get_partition_keys()]

    mondays = ("2025-12-29", "2026-01-05", "2026-01-12")
    assert sorted(keys) == [f"{account}|{monday}" for account in ("acme", "zoo") for monday in mondays]
    assert week_key("acme", date(2026, 1, 5)) in keys


@pytest.mark.parametrize(("day", "monday"), [(date(2026, 1, 5),) * 2, (date(2026, 1, 11), date(2026, 1, 5))])
def test_a_week_is_named_by_its_monday(day, monday):
    assert monday_of(day) == monday


@pytest.mark.parametrize(
    ("account", "now", "key"),
    [("acme", datetime(2026, 1, 11, 17, tzinfo=UTC), "acme|2026-01-05"),
     ("zoo", datetime(2026, 1, 12, 11, tzinfo=UTC), "zoo|2026-01-05")],
)  # fmt: skip
def test_on_monday_morning_of_the_account_the_week_that_is_over_is_asked_for(account, now, key):
    """In Auckland that is Sunday of UTC; the week is a partition by then."""
    schedule = DEFINITIONS.resolve_schedule_def(f"weekly_html_report_{account}")
    context = dg.build_schedule_context(scheduled_execution_time=now)
    with partition_loading_context(effective_dt=now):
        (request,) = schedule(context)
        keys = [str(each) for each in Partitions.of(ACCOUNTS).account_weeks.get_partition_keys()]

    assert schedule.cron_schedule == "0 6 * * 1"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert str(request.partition_key) == key
    assert key in keys
    assert request.tags["klaviyo/account"] == account
