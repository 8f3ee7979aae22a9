"""How assets are cut into partitions, and partition keys as accounts and days.

Here: the two partitions definitions of the graph, and translating their keys. Not here: which partition needs work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import dagster as dg

from klaviyo_assets.accounts import Accounts


@dataclass(frozen=True)
class Partitions:
    """The graph's two partitions definitions: per account, and per account and calendar day of its time zone.

    Daily keys are named `account` and `date`, the day before today's last one of UTC included; whose day it is
    depends on the account.
    """

    accounts: dg.StaticPartitionsDefinition
    account_days: dg.MultiPartitionsDefinition

    @classmethod
    def of(cls, accounts: Accounts) -> "Partitions":
        """Partitions for these accounts: days begin with the earliest start date of any."""
        by_account = dg.StaticPartitionsDefinition(accounts.names)
        by_day = dg.DailyPartitionsDefinition(start_date=accounts.first_day.isoformat(), end_offset=1)
        return cls(by_account, dg.MultiPartitionsDefinition({"account": by_account, "date": by_day}))


def account_days(partition_keys: Iterable[str]) -> dict[str, list[date]]:
    """Keys `account|YYYY-MM-DD` as days per account, in order."""
    days: dict[str, list[date]] = {}
    for key in partition_keys:
        account, _, day = key.rpartition("|")
        days.setdefault(account, []).append(date.fromisoformat(day))
    return {account: sorted(listed) for account, listed in days.items()}


def day_key(account: str, day: date) -> str:
    """The daily partition key of an account's day."""
    return str(dg.MultiPartitionKey({"account": account, "date": day.isoformat()}))


def range_tags(account: str, first: date, last: date) -> dict[str, str]:
    """Run tags that make one run cover the days `first` to `last` (inclusive) of one account."""
    return {
        "dagster/asset_partition_range_start": day_key(account, first),
        "dagster/asset_partition_range_end": day_key(account, last),
    }
