"""The list of destinations, and what they all hold.

Here: the list, and questions to all of them. Not here: what a destination is (`destination.py`).
"""

from collections.abc import Mapping
from functools import cache

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.stages.archiving import ARCHIVE
from klaviyo_assets.stages.destination import Destination
from klaviyo_assets.stages.graph import registered
from klaviyo_assets.stages.loading import WAREHOUSE
from klaviyo_assets.tables import TABLES


@cache
def registered_destinations() -> dict[str, Destination]:
    """Every destination by the name of its stage; BigQuery is the last, because reports follow its loads."""
    return {each.name: each for each in (ARCHIVE, *registered(), WAREHOUSE)}


def held_everywhere(entries: Mapping[tuple[str, str], Entry], account: Account) -> dict[tuple[str, str], Entry]:
    """The entries of BigQuery's ledger, without partitions that another ledger lacks or has differently.

    Planning then finds those partitions dirty. Reports and events without a time are in BigQuery's ledger alone.

    Args:
        entries: The newest entries of BigQuery's ledger, by table and partition.
        account: Their account.

    Raises:
        TransientError: a destination cannot be reached.
        PermanentError: it refuses.
    """
    held = dict(entries)
    for destination in registered_destinations().values():
        if destination.ledger is None:
            continue
        others = destination.ledger(account).entries()
        held = {
            key: entry for key, entry in held.items() if entry.is_of(others.get(key)) or not _is_taken(entry, account)
        }
    return held


def _is_taken(entry: Entry, account: Account) -> bool:
    return entry.table in TABLES and (entry.day is not None or entry.partition == account.name)


def whole_because(*, asked: bool) -> str:
    """Why large account tables are read whole, whatever is known about their changes; empty if they need not be."""
    wholes = [each.name for each in registered_destinations().values() if not each.takes_deltas]
    return "it was asked for" if asked else f"{', '.join(wholes)} takes whole tables only" if wholes else ""
