"""How assets are divided into partitions, and the partitions that a run asks for.

Here: the partitions definitions of the graph. Not here: how keys are written (`stages/keys.py`), and which partition
needs work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.stages.keys import monday_of, range_of

# The dimension with which daily and weekly keys begin.
ACCOUNT = "account"
# The beginning of the tags that name a key's part in each dimension.
_DIMENSION = "dagster/partition/"


@dataclass(frozen=True)
class Partitions:
    """The graph's partitions definitions: per account, and per account and calendar day or week of its time zone.

    Daily keys are named `account` and `date`. The last day is today in the zone where the day begins first: an account
    east of UTC can already be in tomorrow while UTC is not, so if there is one, UTC's tomorrow is a partition.

    Weekly keys are named `account` and `week`; a week is named by its Monday and ends on its Sunday. The last one is
    the current week.
    """

    accounts: dg.StaticPartitionsDefinition
    account_days: dg.MultiPartitionsDefinition
    account_weeks: dg.MultiPartitionsDefinition

    @classmethod
    def of(cls, accounts: Accounts) -> "Partitions":
        """The partitions for these accounts: days begin with the earliest start date of any account."""
        by_account = dg.StaticPartitionsDefinition(accounts.names)
        ahead = 2 if any(is_ahead_of_utc(account.zone) for account in accounts.by_name.values()) else 1
        by_day = dg.DailyPartitionsDefinition(start_date=accounts.first_day.isoformat(), end_offset=ahead)
        # Dagster counts the days of a week from Sunday.
        first_week = monday_of(accounts.first_day).isoformat()
        by_week = dg.WeeklyPartitionsDefinition(start_date=first_week, day_offset=1, end_offset=1)
        return cls(
            by_account,
            dg.MultiPartitionsDefinition({ACCOUNT: by_account, "date": by_day}),
            dg.MultiPartitionsDefinition({ACCOUNT: by_account, "week": by_week}),
        )


def is_ahead_of_utc(zone: ZoneInfo) -> bool:
    """Whether a zone's clock is ever ahead of UTC, in this year's winter or summer."""
    year = datetime.now(UTC).year
    offsets = (datetime(year, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in (1, 7))
    return any(offset > timedelta() for offset in offsets)


def asked_keys(tags: Mapping[str, str], partitions_def: dg.PartitionsDefinition[Any] | None) -> list[str]:
    """The partition keys that a run was asked for, in the order of the definition.

    This replaces Dagster's `context.partition_keys`: besides the range of each of its runs, a backfill from a job's
    page leaves the tags of one key, which may be another run's, and Dagster then sees that key alone. The range is what
    was asked for.

    Raises:
        PermanentError: the tags name no partition, or one that does not exist.
    """
    if partitions_def is None:
        raise PermanentError("these assets are not partitioned")
    ends = range_of(tags)
    if not any(ends):
        ends = (_single_key(tags),) * 2
    if all(ends) and not all(_is_partition(end, partitions_def) for end in ends):
        raise PermanentError(
            f"the run asks for {_range_text(ends)}, which is not among the partitions",
            "Its account may no longer be in accounts.toml, or its day has not come yet. Launch the run again and "
            "pick from the list.",
        )
    found_keys = partitions_def.get_partition_keys_in_range(dg.PartitionKeyRange(*ends)) if all(ends) else []
    keys = [str(key) for key in found_keys]
    if not keys:
        raise PermanentError(
            f"the run asks for {_range_text(ends)}, which names no partition",
            "Its tags must name one partition (dagster/partition), or both ends of a range with the earlier one "
            "first (dagster/asset_partition_range_start and _end).",
        )
    return keys


def _is_partition(key: str, partitions_def: dg.PartitionsDefinition[Any]) -> bool:
    try:
        return partitions_def.has_partition_key(key)
    except Exception:  # noqa: BLE001  Dagster has no one error for a key that is none
        return False


def _single_key(tags: Mapping[str, str]) -> str:
    """The one key in the tags of a run without a range; empty if they name none."""
    dimensions = {name.removeprefix(_DIMENSION): key for name, key in tags.items() if name.startswith(_DIMENSION)}
    return tags.get("dagster/partition") or (str(dg.MultiPartitionKey(dimensions)) if dimensions else "")


def _range_text(ends: tuple[str, str]) -> str:
    return " to ".join(dict.fromkeys(end or "nothing" for end in ends))
