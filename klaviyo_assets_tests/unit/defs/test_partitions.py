"""Partition keys are accounts and days, and back."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.partitions import Partitions, asked_keys
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.stages.keys import day_key, range_tags

ACCOUNTS = Accounts(
    {name: Account(name=name, postgres_schema=name, start_date=start)
     for name, start in (("zoo", date(2026, 1, 2)), ("acme", date(2026, 1, 1)))}, "a test",
)  # fmt: skip
PARTITIONS = Partitions.of(ACCOUNTS)
NOW = datetime(2026, 1, 3, 15, tzinfo=UTC)


def test_accounts_are_partitions():
    assert PARTITIONS.accounts.get_partition_keys() == ["zoo", "acme"]


def test_days_begin_with_the_earliest_account_and_end_with_today():
    """Today is there although it is not over: its events are wanted."""
    with partition_loading_context(effective_dt=NOW):
        keys = PARTITIONS.account_days.get_partition_keys()

    assert {str(key) for key in keys} == {
        f"{account}|2026-01-0{day}" for account in ("zoo", "acme") for day in (1, 2, 3)
    }


@pytest.mark.parametrize(
    ("now", "zone"),
    [
        (datetime(2026, 1, 3, 11, 30, tzinfo=UTC), "Pacific/Auckland"),
        (datetime(2026, 7, 3, 12, 30, tzinfo=UTC), "Pacific/Auckland"),
        (datetime(2026, 1, 3, 10, 30, tzinfo=UTC), "Pacific/Kiritimati"),
        (datetime(2026, 7, 3, 22, 30, tzinfo=UTC), "Europe/London"),
        (datetime(2026, 1, 3, 0, 30, tzinfo=UTC), "America/Los_Angeles"),
    ],
)
def test_today_of_every_account_is_a_partition_before_utc_gets_there(now, zone):
    """In Auckland it is tomorrow for half of UTC's day; a schedule at five there asks for days of that calendar."""
    account = Account("far", "klaviyo_far", timezone=zone, start_date=date(2026, 1, 1))
    west = Account("west", "klaviyo_west", timezone="America/Los_Angeles", start_date=date(2026, 1, 1))
    partitions = Partitions.of(Accounts({"far": account, "west": west}, "a test"))

    with partition_loading_context(effective_dt=now):
        assert partitions.account_days.has_partition_key(day_key("far", now.astimezone(account.zone).date()))


def test_where_no_account_is_ahead_of_utc_no_day_of_the_future_is_a_partition():
    west = Account("west", "klaviyo_west", timezone="America/Los_Angeles", start_date=date(2026, 1, 1))

    with partition_loading_context(effective_dt=NOW):
        keys = Partitions.of(Accounts({"west": west}, "a test")).account_days.get_partition_keys()

    assert max(str(key) for key in keys) == "west|2026-01-03"


def test_a_range_of_one_account_covers_its_days_and_no_other_account():
    tags = range_tags("acme", date(2026, 1, 1), date(2026, 1, 3))
    keys = PARTITIONS.account_days.get_partition_keys_in_range(
        dg.PartitionKeyRange(tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
    )

    assert [str(key) for key in keys] == ["acme|2026-01-01", "acme|2026-01-02", "acme|2026-01-03"]


START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
DAYS = dg.MultiPartitionsDefinition({
    "account": PARTITIONS.accounts, "date": dg.DailyPartitionsDefinition("2026-03-07", end_date="2026-03-11"),
})  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "keys"),
    [
        ({"dagster/partition": "acme|2026-03-08"}, ["acme|2026-03-08"]),
        # As the page launches one key of a job; and the runs of a backfill from a job's page, which all have the tags
        # of one and the same key.
        ({"dagster/partition": "acme|2026-03-08", "dagster/partition/account": "acme",
          "dagster/partition/date": "2026-03-08"}, ["acme|2026-03-08"]),
        ({START: "acme|2026-03-07", END: "acme|2026-03-09", "dagster/partition/account": "acme",
          "dagster/partition/date": "2026-03-07"}, ["acme|2026-03-07", "acme|2026-03-08", "acme|2026-03-09"]),
        ({START: "acme|2026-03-07", END: "acme|2026-03-08", "dagster/partition/account": "zoo",
          "dagster/partition/date": "2026-03-09"}, ["acme|2026-03-07", "acme|2026-03-08"]),
        ({"dagster/partition/account": "zoo", "dagster/partition/date": "2026-03-07"}, ["zoo|2026-03-07"]),
        ({START: "zoo|2026-03-07", END: "acme|2026-03-08"},
         ["zoo|2026-03-07", "zoo|2026-03-08", "acme|2026-03-07", "acme|2026-03-08"]),
    ],
)  # fmt: skip
def test_a_run_is_of_all_that_its_tags_ask_for(tags, keys):
    assert asked_keys(tags, DAYS) == keys


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({}, "asks for nothing, which names no partition"),
        ({"dagster/partition": "gone|2026-03-08"}, "asks for gone|2026-03-08, which is not among the partitions"),
        ({"dagster/partition": "acme|2026-03-20"}, "acme|2026-03-20, which is not among the partitions"),
        ({"dagster/partition": "acme"}, "acme, which is not among the partitions"),
        ({START: "acme|2026-03-09", END: "acme|2026-03-07"}, "acme|2026-03-09 to acme|2026-03-07, which names no"),
        ({START: "acme|2026-03-07"}, "which names no partition"),
    ],
)  # fmt: skip
def test_tags_that_name_no_partition_are_refused(tags, message):
    with pytest.raises(PermanentError) as refused:
        asked_keys(tags, DAYS)
    assert message in str(refused.value)


def test_a_range_that_ends_after_today_is_refused():
    """Dagster lists days that are not there yet."""
    begin, later = datetime.now(UTC).date() - timedelta(days=1), datetime.now(UTC).date() + timedelta(days=9)
    with pytest.raises(PermanentError, match="is not among the partitions"):
        asked_keys(range_tags("acme", begin, later), PARTITIONS.account_days)
