"""What was loaded and is gone from Postgres: vanished tables, columns and rows must not count as empty.

Here: comparing the ledger with what Postgres has, and refusing to go on. Not here: what the login may not see
(`source/catalog.py`), and rows that Klaviyo deleted: Fivetran keeps those and marks them.

Why these bounds: docs/decisions/0015-not-visible-is-not-empty.md.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.mapping.fingerprints import UNDATED
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.source.changes import table_rows
from klaviyo_assets.source.days import events_between
from klaviyo_assets.source.digests import row_count
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.spellings import columns_gone, columns_read
from klaviyo_assets.tables import ACCOUNT_TABLES, EVENT, METRIC, TABLES

# A table that has lost more than this share of its rows since they were loaded is being refilled, or was damaged. In a
# small table, people sometimes delete most rows: there, only the loss of all rows counts.
MOST_LOST = 0.5
FEWEST_ROWS = 1_000
COLUMNS = "columns"
_MOST_NAMED = 5


class VanishedError(PermanentError):
    """What was loaded is gone from Postgres; BigQuery must not be emptied because of that."""


@dataclass(frozen=True)
class Loss:
    """Something that was loaded and is gone.

    Attributes:
        subject: `event`, or `event.property_value`: what `--accept-empty` names.
        what: What is gone, in words.
        loaded: Rows that were loaded, or 1 for a column.
        left: How many of them are left, or 0 for a column.
    """

    subject: str
    what: str
    loaded: int
    left: int


def refuse_losses(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], event_rows: int | None = None
) -> None:
    """Refuse to go on if loaded data are gone, unless this was accepted.

    Raises:
        VanishedError: the message names what is gone, and the command that empties it on purpose.
    """
    gone = [loss for loss in losses(source, entries, event_rows) if loss.subject not in source.accepted]
    if gone:
        raise VanishedError(
            f"account {source.account.name!r}: {'; '.join(loss.what for loss in gone)}",
            f"{advice(source.account, gone)}",
        )


def advice(account: Account, gone: Collection[Loss]) -> str:
    """What to do about losses. The command is for this account alone: others may have lost the same table."""
    accepted = " ".join(f"--accept-empty {shlex.quote(loss.subject)}" for loss in gone)
    return (
        "BigQuery keeps what it has. Where Fivetran is filling a table again, wait for the end of that sync; where "
        "something was renamed, rename it back; otherwise have Fivetran re-sync it. To empty it in BigQuery on "
        f"purpose: `klaviyo-assets run --account {account.name} {accepted}` (in the launchpad: accept_empty)."
    )


def losses(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], event_rows: int | None = None
) -> list[Loss]:
    """What was loaded for an account and is gone.

    Args:
        source: The account in one snapshot.
        entries: The ledger's newest entries.
        event_rows: How many events Postgres has on the days that were loaded, if that is already known.
    """
    newest = {spec.name: entries.get((spec.name, source.account.name)) for spec in ACCOUNT_TABLES}
    loaded = {name: row_count(entry.source_digest) if entry else 0 for name, entry in newest.items()}
    left = table_rows(source, [spec for spec in ACCOUNT_TABLES if loaded[spec.name]])
    rows = {name: (count, left.get(name, 0)) for name, count in loaded.items() if count}
    if events := _events(source, entries, event_rows):
        rows[EVENT.name] = events
    row_losses = [_of_rows(source, name, *counts) for name, counts in rows.items()]
    return [*filter(None, row_losses), *_of_columns(source, entries, rows), *_of_conversion(source, entries)]


def loaded_event_days(entries: Mapping[tuple[str, str], Entry]) -> list[Entry]:
    """The days of events that had rows when they were loaded, in order."""
    days = [entry for entry in entries.values() if entry.table == EVENT.name and entry.day]
    return sorted((entry for entry in days if row_count(entry.source_digest)), key=lambda entry: entry.partition)


def _events(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], event_rows: int | None
) -> tuple[int, int] | None:
    """How many events were loaded, and how many Postgres has from their first day to the last; None without any."""
    days = loaded_event_days(entries)
    first, last = (days[0].day, days[-1].day) if days else (None, None)
    if not first or not last:
        return None
    left = events_between(source, first, last) if event_rows is None else event_rows
    return sum(row_count(entry.source_digest) for entry in days), left


def _of_rows(source: AccountSource, name: str, loaded: int, left: int) -> Loss | None:
    place, count = f"{source.account.postgres_schema}.{name}", _rows(loaded)
    if name not in source.tables:
        unread = [other for other in source.tables if other not in TABLES][:_MOST_NAMED]
        beside = f" (the schema also has {', '.join(unread)})" if unread else ""
        return Loss(name, f"Postgres has no table {place} any more{beside}, and {count} loaded", loaded, 0)
    if not left:
        where = " on the days that were loaded" if name == EVENT.name else ""
        return Loss(name, f"{place} has no rows any more{where}, and {count} loaded", loaded, left)
    if loaded >= FEWEST_ROWS and left < loaded * MOST_LOST:
        return Loss(name, f"{place} has {left:,} rows left of {loaded:,} that were loaded", loaded, left)
    return None


def _rows(count: int) -> str:
    return "1 row of it was" if count == 1 else f"{count:,} rows of it were"


def _of_conversion(source: AccountSource, entries: Mapping[tuple[str, str], Entry]) -> Iterator[Loss]:
    """The loss of the conversion metric found at the last load: without it, no event would be a conversion."""
    entry = entries.get((EVENT.name, UNDATED))
    conversion = (entry.details.get("conversion") if entry else None) or {}
    if conversion.get("ids") and conversion["wanted"] == source.conversion["wanted"] and not source.conversion["ids"]:
        ids, place = ", ".join(conversion["ids"]), f"{source.account.postgres_schema}.{METRIC.name}"
        what = f"{place} has no metric {conversion['wanted'][0]!r} any more, and events of it ({ids}) were conversions"
        yield Loss(f"{METRIC.name}.{conversion['ids'][0]}", what, 1, 0)


def _of_columns(
    source: AccountSource, entries: Mapping[tuple[str, str], Entry], rows: Collection[str]
) -> Iterator[Loss]:
    """The lost columns of existing tables; a table that is gone has already been named as a whole."""
    for spec in (EVENT, *ACCOUNT_TABLES):
        if spec.name in rows and spec.name in source.tables:
            for column in columns_gone(spec, loaded_columns(entries, spec), columns_read(spec, source.table(spec))):
                place = f"{source.account.postgres_schema}.{spec.name}"
                what = f"{place} has no column {column} any more, and it was there when the table was loaded"
                yield Loss(f"{spec.name}.{column}", what, 1, 0)


def loaded_columns(entries: Mapping[tuple[str, str], Entry], spec: TableSpec) -> set[str]:
    """The raw columns that the newest loads of a table read; none for loads that did not record them."""
    of_table: Iterable[Entry] = (entry for entry in entries.values() if entry.table == spec.name)
    # A load of the events without a time reads the whole table, and knows every column of it.
    kept = (entry for entry in of_table if row_count(entry.source_digest) or entry.partition == UNDATED)
    return {name for entry in kept for name in entry.details.get(COLUMNS) or ()}
