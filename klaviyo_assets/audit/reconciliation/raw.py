"""What Postgres holds now: rows, deleted rows and money by currency, per account day.

Here: queries on one snapshot, counted by Postgres, their money parsed as the mapping parses it. Not here: comparing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from klaviyo_assets.audit.reconciliation.findings import EXACT
from klaviyo_assets.mapping.values import parse
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.source.changes import table_rows
from klaviyo_assets.source.extraction import AccountSource, during
from klaviyo_assets.source.sql import RawTable, event_time, select
from klaviyo_assets.tables import ACCOUNT_TABLES, EVENT


@dataclass
class RawDay:
    """One day of raw events.

    Attributes:
        rows: All rows, deleted ones included.
        deleted: Rows that Klaviyo deleted.
        unreadable: Rows that are not deleted and whose value is not a number, or could be two numbers.
        money: Currency -> sum of the values of the rows that are not deleted.
    """

    rows: int = 0
    deleted: int = 0
    unreadable: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)

    def add(self, rows: int, value: Decimal | None, currency: str, *, deleted: bool, unreadable: bool) -> None:
        """Count rows with the same value."""
        self.rows += rows
        if deleted:
            self.deleted += rows
            return
        self.unreadable += rows if unreadable else 0
        if value is not None:
            self.money[currency] = EXACT.add(self.money.get(currency, Decimal(0)), EXACT.multiply(value, Decimal(rows)))


def raw_days(
    source: AccountSource, first: date, last: date, event_ids: Iterable[str] | None = None
) -> dict[date, RawDay]:
    """Every day from `first` to `last` (inclusive, account days) that has raw events.

    Args:
        source: The account in one snapshot.
        first: First day.
        last: Last day.
        event_ids: Count only events with these ids, as the quarantine writes them.
    """
    table = source.table(EVENT)
    if not table.columns:
        return {}
    condition = during(table, source.account.day_bounds(first)[0], source.account.day_bounds(last)[1])
    inner = sql.SQL("{} WHERE {}").format(select(EVENT, table, properties=False), condition)
    # Postgres counts equal rows together: in these columns, most of a million events are equal.
    query = sql.SQL(
        "SELECT (({time}) AT TIME ZONE {zone})::date AS day, t._fivetran_deleted::text AS deleted, "
        "t.property_value::text AS value, t.property_currency_code::text AS currency, count(*) AS rows "
        "FROM ({inner}) AS t {chosen} GROUP BY 1, 2, 3, 4"
    ).format(
        time=event_time(_selected_columns(table)), zone=sql.Literal(source.account.timezone), inner=inner,
        chosen=_id_condition(event_ids),
    )  # fmt: skip
    days: dict[date, RawDay] = {}
    with source.snapshot.stream(query) as batches:
        for batch in batches:
            _count(batch, source.account.currency, days)
    return days


def _selected_columns(table: RawTable) -> RawTable:
    """The table as `select` returns it: times as times or as text."""
    times = {name: table.columns[name] for name in ("datetime", "timestamp") if name in table.columns}
    return RawTable(
        table.schema, table.name,
        {name: "timestamptz" if kind in {"timestamptz", "timestamp"} else "text" for name, kind in times.items()},
    )  # fmt: skip


def _id_condition(event_ids: Iterable[str] | None) -> sql.Composable:
    if event_ids is None:
        return sql.SQL("")
    # A blank id counts as missing and is written as the empty text.
    condition = sql.SQL(r"WHERE CASE WHEN t.id ~ '\S' THEN t.id ELSE '' END = ANY({})")
    return condition.format(sql.Literal(sorted(event_ids)))


def _count(batch: pa.RecordBatch, own_currency: str, days: dict[date, RawDay]) -> None:
    values = parse(batch.column("value"), LogicalType.NUMERIC)
    deleted = pc.fill_null(parse(batch.column("deleted"), LogicalType.BOOLEAN).values, False)
    rows = zip(
        batch.column("day").to_pylist(), batch.column("rows").to_pylist(), values.values.to_pylist(),
        _currencies(batch.column("currency"), own_currency).to_pylist(), deleted.to_pylist(), strict=True,
    )  # fmt: skip
    for position, (day, count, value, currency, is_deleted) in enumerate(rows):
        unreadable = position in values.reasons
        days.setdefault(day, RawDay()).add(count, value, currency, deleted=is_deleted, unreadable=unreadable)


def _currencies(texts: pa.Array, own: str) -> pa.Array:
    """As the mapping reads them; a value without a currency is in the account's own."""
    codes = pc.utf8_upper(pc.utf8_trim_whitespace(texts.cast(pa.string())))
    sound = pc.fill_null(pc.match_substring_regex(codes, "^[A-Z]{3}$"), False)
    return pc.if_else(sound, codes, pa.scalar(own, pa.string()))


def undated_rows(source: AccountSource) -> int:
    """The number of raw events without a usable time, which therefore belong to no day."""
    table = source.table(EVENT)
    if not table.columns:
        return 0
    query = sql.SQL("SELECT count(*) AS rows FROM {} AS t WHERE {} IS NULL")
    return int(source.snapshot.read(query.format(table.identifier, event_time(table))).column("rows").to_pylist()[0])


def account_table_rows(source: AccountSource) -> Mapping[str, int]:
    """Rows of each raw account table; 0 if Fivetran has not created it."""
    return table_rows(source, ACCOUNT_TABLES)
