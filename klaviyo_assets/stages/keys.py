"""Partition keys: `account`, `account|YYYY-MM-DD` for a day, and `account|YYYY-MM-DD` for a week, named by its Monday.

Here: writing and reading keys, and the run tags that hold them. Not here: which keys exist (`defs/partitions.py`).
Dagster joins the parts of a key in the order of their dimensions' names; `account` comes first in both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

_BETWEEN = "|"
_KEY_TAG = "dagster/partition"
_RANGE_TAG = "dagster/asset_partition_range_"


def day_key(account: str, day: date | str) -> str:
    """The daily partition key of an account's day."""
    return f"{account}{_BETWEEN}{day}"


def week_key(account: str, monday: date | str) -> str:
    """The weekly partition key of an account's week."""
    return day_key(account, monday)


def key_of(account: str, day: date | str | None) -> str:
    """The partition key of a table's account, and of its day if the table is daily."""
    return day_key(account, day) if day else account


def parts_of(key: str) -> tuple[str, str]:
    """The account of a partition key, and its day or Monday; empty if it has none."""
    account, _, day = key.partition(_BETWEEN)
    return account, day


def account_days(partition_keys: Iterable[str]) -> dict[str, list[date]]:
    """Daily keys as days per account, in order."""
    days: dict[str, list[date]] = {}
    for account, day in map(parts_of, partition_keys):
        days.setdefault(account, []).append(date.fromisoformat(day))
    return {account: sorted(account_days) for account, account_days in days.items()}


def monday_of(day: date) -> date:
    """The Monday of a day's ISO week."""
    return day - timedelta(days=day.weekday())


def range_tags(account: str, first: date, last: date) -> dict[str, str]:
    """Run tags that make one run cover the days `first` to `last` (inclusive) of one account."""
    return {f"{_RANGE_TAG}start": day_key(account, first), f"{_RANGE_TAG}end": day_key(account, last)}


def range_of(tags: Mapping[str, str]) -> tuple[str, str]:
    """The first and last partition key of a run's range, from its tags; empty if it has no range."""
    return tags.get(f"{_RANGE_TAG}start", ""), tags.get(f"{_RANGE_TAG}end", "")


def account_of(tags: Mapping[str, str]) -> str | None:
    """The only account of a run, from the tags of its partition or range; None if there are several."""
    first, last = _accounts_at_ends(tags)
    return first if first and first == last else None


def accounts_of(tags: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The accounts among `names` that a run covers, in their order: a range can span several accounts."""
    first, last = _accounts_at_ends(tags)
    if first not in names or last not in names:
        return []
    return list(names[names.index(first) : names.index(last) + 1])


def _accounts_at_ends(tags: Mapping[str, str]) -> tuple[str, str]:
    first, last = (parts_of(key or tags.get(_KEY_TAG, ""))[0] for key in range_of(tags))
    return first, last
