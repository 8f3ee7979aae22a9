"""What changed in a large account table since it was last loaded, according to Postgres.

Here: the tables whose changes can be detected, their rows by age with checksums, and the changed keys. Not here: what
BigQuery and the archive hold, and the decision (`stages/deltas.py`).

The checksum is of keys, sync times and delete marks, the same whatever the order of rows, and the same as
`destinations/bigquery/merge.py` has BigQuery compute.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from klaviyo_assets.accounts import fingerprint_of
from klaviyo_assets.model.spec import LogicalType, TableSpec
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.sql import RawTable, in_calendar, sync_time

# Rows of a sync that was under way when the table was read may have times up to this much before the newest one read.
MARGIN = timedelta(hours=1)
_SYNCED, _DELETED = "_fivetran_synced", "_fivetran_deleted"
_OLD, _RECENT, _NEW = 0, 1, 2


@dataclass(frozen=True)
class Sum:
    """A set of rows: their number and their checksum."""

    rows: int = 0
    checksum: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        """Both sets together."""
        return Sum(self.rows + other.rows, self.checksum + other.checksum)

    def __str__(self) -> str:
        """The text that is kept and compared."""
        return f"{self.rows}:{self.checksum}"


@dataclass(frozen=True)
class Changes:
    """A table's rows: those that may have changed since a watermark, and those that cannot have.

    `after`: a row may have changed if it was synced later than this.
    """

    after: datetime
    standing: Sum
    changed: Sum

    @property
    def where(self) -> sql.Composed:
        """The condition of the changed rows."""
        return sql.SQL("t._fivetran_synced > {}").format(sql.Literal(self.after))


def untellable(spec: TableSpec, table: RawTable) -> str | None:
    """Why a table's changes cannot be detected by its sync times; None if they can."""
    if table.columns.get(_SYNCED) != "timestamptz":
        return f"the table has no {_SYNCED} to tell changes by"
    if table.columns.get(_DELETED, "bool") != "bool":
        return f"{_DELETED} is not a boolean"
    if any(raw not in table.columns for raw in _keys(spec)):
        return "the table lacks a key column"
    if not _only_keys_can_fail(spec):
        return "a changed row could break a rule"
    return None


def _keys(spec: TableSpec) -> list[str]:
    return [spec.column(name).raw or "" for name in spec.key]


def _only_keys_can_fail(spec: TableSpec) -> bool:
    """Whether rows can be quarantined only for their key, and the key is text: this is visible without mapping them."""
    others = [column for column in spec.columns if column.name not in spec.key]
    return (
        spec.total_order == spec.key
        and all(spec.column(name).type is LogicalType.STRING for name in spec.key)
        and not any(column.required or column.constraints for column in others)
    )


def table_rows(source: AccountSource, specs: Collection[TableSpec]) -> dict[str, int]:
    """The number of rows in each of these account tables; 0 if Fivetran has not created it."""
    present = [spec for spec in specs if source.table(spec).columns]
    counted = dict.fromkeys((spec.name for spec in specs), 0)
    if not present:
        return counted
    counts = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}::text AS name, count(*) AS rows FROM {} AS t").format(
            sql.Literal(spec.name), source.table(spec).identifier
        )
        for spec in present
    )
    return counted | {row["name"]: row["rows"] for row in source.snapshot.read(counts).to_pylist()}


def columns_fingerprint(spec: TableSpec, table: RawTable) -> str:
    """The fingerprint of the existing columns and of how the spec uses them."""
    columns = [[column.name, column.type, column.raw, column.required, column.personal] for column in spec.columns]
    read = [[raw.name, raw.type, raw.older_names] for raw in spec.raw]
    return fingerprint_of([columns, read, spec.key, spec.personal_properties, sorted(table.columns.items())])


def watermark(source: AccountSource, spec: TableSpec) -> str:
    """The newest sync time of a table's rows, ISO 8601; empty if no row has one."""
    table = source.table(spec)
    if table.columns.get(_SYNCED) != "timestamptz":
        return ""
    query = sql.SQL("SELECT max(t._fivetran_synced) AS at FROM {} AS t WHERE {}")
    synced = sync_time(sql.SQL("t._fivetran_synced"))
    newest = source.snapshot.read(query.format(table.identifier, synced)).to_pylist()[0]["at"]
    return newest.isoformat() if newest else ""


def changes_since(source: AccountSource, spec: TableSpec, mark: str, most: int) -> Changes | None:
    """A table's rows by whether they may have changed since a watermark; one pass over the table.

    Args:
        source: The account in one snapshot.
        spec: A table that is not `untellable`.
        mark: The watermark of the last load.
        most: The largest number of changed rows for a delta. If the rows of the margin exceed it, they are left out.

    Returns:
        None if more rows have changed.
    """
    table, newest = source.table(spec), datetime.fromisoformat(mark)
    age = sql.SQL("CASE WHEN t._fivetran_synced > {} THEN {} WHEN t._fivetran_synced > {} THEN {} ELSE {} END").format(
        sql.Literal(newest), _NEW, sql.Literal(newest - MARGIN), _RECENT, _OLD
    )
    query = sql.SQL("SELECT {} AS age, count(*) AS rows, sum({})::text AS checksum FROM {} AS t GROUP BY 1").format(
        age, _row_checksum(spec, table), table.identifier
    )
    sums = {row["age"]: Sum(row["rows"], int(row["checksum"])) for row in source.snapshot.read(query).to_pylist()}
    old, recent, new = (sums.get(each, Sum()) for each in (_OLD, _RECENT, _NEW))
    if recent.rows + new.rows <= most:
        return Changes(newest - MARGIN, old, recent + new)
    return Changes(newest, old + recent, new) if new.rows <= most else None


def _row_checksum(spec: TableSpec, table: RawTable) -> sql.Composed:
    """60 bits of the MD5 of a row's key, sync time in microseconds and delete mark."""
    keys = [sql.SQL("coalesce(t.{}::text, '')").format(sql.Identifier(name)) for name in _keys(spec)]
    synced = sql.SQL("coalesce((extract(epoch FROM t._fivetran_synced) * 1000000)::bigint::text, '')")
    kept = in_calendar(sql.SQL("t._fivetran_synced"))
    time = sql.SQL("CASE WHEN {} THEN {} ELSE '' END").format(kept, synced)
    deleted = sql.SQL("coalesce(t._fivetran_deleted, false)::text" if _DELETED in table.columns else "'false'")
    text = sql.SQL(" || '|' || ").join([*keys, time, *([deleted] if _has_deletes(spec) else [])])
    return sql.SQL("('x' || substr(md5({}), 1, 15))::bit(60)::bigint").format(text)


def _has_deletes(spec: TableSpec) -> bool:
    return any(column.raw == _DELETED for column in spec.columns)


def changed_keys(source: AccountSource, spec: TableSpec, changes: Changes) -> list[str] | None:
    """The keys of the changed rows, parts joined with `|`; None if one is empty, missing, or repeated."""
    table = source.table(spec)
    columns = sql.SQL(", ").join(sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in _keys(spec))
    query = sql.SQL("SELECT {} FROM {} AS t WHERE {}").format(columns, table.identifier, changes.where)
    keys: list[tuple[Any, ...]] = list(
        zip(*(values.to_pylist() for values in source.snapshot.read(query).columns), strict=True)
    )
    if any(not (part or "").strip() for key in keys for part in key) or len(set(keys)) < len(keys):
        return None
    return ["|".join(key) for key in keys]
