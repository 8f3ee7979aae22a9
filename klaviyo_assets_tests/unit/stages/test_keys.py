"""Partition keys, which are written without Dagster, are those that Dagster writes and reads."""

from datetime import date

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.stages.keys import (
    account_days,
    account_of,
    day_key,
    key_of,
    parts_of,
    range_of,
    range_tags,
    week_key,
)

_NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,20}\Z")


@given(_NAMES, st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_a_key_is_the_one_that_dagster_makes_of_its_parts(name: str, day: date) -> None:
    assert day_key(name, day) == str(dg.MultiPartitionKey({"account": name, "date": day.isoformat()}))
    assert week_key(name, day) == str(dg.MultiPartitionKey({"account": name, "week": day.isoformat()}))
    assert parts_of(day_key(name, day)) == (name, day.isoformat())
    assert account_days([day_key(name, day)]) == {name: [day]}


def test_keys_are_partitions_of_the_graph() -> None:
    zoo = Account(name="zoo", postgres_schema="zoo", start_date=date(2026, 1, 1))
    partitions = Partitions.of(Accounts({"zoo": zoo}, "a test"))
    day = date(2026, 1, 5)

    assert partitions.account_days.has_partition_key(day_key("zoo", day))
    assert partitions.account_weeks.has_partition_key(week_key("zoo", day))
    assert partitions.accounts.has_partition_key(key_of("zoo", None))


def test_keys_become_days_per_account_in_order() -> None:
    keys = ["zoo|2026-01-02", "acme|2026-01-03", "acme|2026-01-01"]

    assert account_days(keys) == {"zoo": [date(2026, 1, 2)], "acme": [date(2026, 1, 1), date(2026, 1, 3)]}


@pytest.mark.parametrize("day", [None, ""])
def test_a_table_that_is_not_daily_is_one_partition_of_its_account(day: str | None) -> None:
    assert key_of("zoo", day) == "zoo"
    assert parts_of("zoo") == ("zoo", "")


def test_a_range_is_of_the_account_at_both_its_ends() -> None:
    tags = range_tags("zoo", date(2026, 1, 1), date(2026, 1, 31))

    assert range_of(tags) == ("zoo|2026-01-01", "zoo|2026-01-31")
    assert account_of(tags) == "zoo"
    assert account_of({"dagster/partition": "zoo"}) == "zoo"
    assert account_of({}) is None
