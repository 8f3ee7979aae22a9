"""What BigQuery has of the mapped tables, and what the ledger says about them.

Here: queries on one account's dataset that read few columns and return one row per day. They never write: a missing
table counts as empty. Not here: reports (`report_sums.py`), comparing.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation.findings import exact_sum
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import ENTRY_COLUMNS, NEWEST, PARTITION
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.model.googlesql import column_list, literal, quoted
from klaviyo_assets.tables import ACCOUNT_TABLES, ATTRIBUTION, DAILY_TABLES, EVENT

UNDATED = "undated"
_OF_RANGE = f"{PARTITION} BETWEEN CAST(@first AS STRING) AND CAST(@last AS STRING)"
# A query takes a second however little it reads; this many run at the same time.
_AT_ONCE = 4


def at_once(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """The results of several calls, in their order, made at the same time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda call: call(), calls))


@dataclass(frozen=True)
class LedgerRow:
    """The newest ledger row of one partition; its numbers are those of the load. `entry`: what planning reads."""

    entry: Entry
    rows_raw: int
    rows_deleted: int
    rows_quarantined: int
    rows_loaded: int
    value: Decimal | None
    sha256: str | None
    bytes: int | None

    @property
    def table(self) -> str:
        """The mapped table or report."""
        return self.entry.table

    @property
    def knows_its_source(self) -> bool:
        """Whether it was loaded from Postgres; a load from the archive alone knows no raw rows."""
        return self.rows_raw >= self.rows_loaded


@dataclass
class LoadedDay:
    """One day of `event` in BigQuery: rows, money and conversions by currency."""

    rows: int = 0
    conversions: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)
    conversion_money: dict[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """The sum over all currencies, as the ledger has it."""
        return exact_sum(self.money.values())


@dataclass(frozen=True)
class Quarantined:
    """What the quarantine says about a day of `event`: rows left out, and values that could not be read."""

    row_ids: frozenset[str] = frozenset()
    unreadable: int = 0


@dataclass(frozen=True)
class Warehouse:
    """One account's dataset, for reading."""

    dataset: BigQueryDataset
    account: Account
    tables: frozenset[str]

    @classmethod
    def open(cls, dataset: BigQueryDataset, account: Account) -> "Warehouse":
        """List the tables; none if there is no dataset."""
        return cls(dataset, account, frozenset(dataset.tables()))

    def rows(self, text: str, needs: Iterable[str], first: date | None = None, last: date | None = None) -> list[Any]:
        """Rows of a query; none if one of the tables it needs is missing.

        Args:
            text: GoogleSQL with the parameters first, last and currency.
            needs: The tables it reads.
            first: First day.
            last: Last day.
        """
        if not set(needs) <= self.tables:
            return []
        parameters = {"currency": ("STRING", self.account.currency), "first": ("DATE", first), "last": ("DATE", last)}
        return list(
            self.dataset.query(text, {name: parameter for name, parameter in parameters.items() if f"@{name}" in text})
        )

    def ledger(self) -> dict[tuple[str, str], LedgerRow]:
        """The newest ledger row of every partition, by table and partition."""
        counts = "rows_raw, rows_deleted, rows_quarantined, rows_loaded, value, sha256, bytes"
        rows = self.rows(f"SELECT {column_list(ENTRY_COLUMNS)}, {counts} FROM ledger {NEWEST}", ["ledger"])
        return {(row.table_name, row.partition): _ledger_row(row) for row in rows}

    def event_days(self, first: date, last: date) -> dict[date, LoadedDay]:
        """Rows and money of `event` per day; a value without a currency is in the account's own."""
        rows = self.rows(
            "SELECT occurred_on, COALESCE(event.currency, @currency) AS of_currency, COUNT(*) AS n, "
            "SUM(value) AS money, COUNTIF(is_conversion) AS conversions, "
            "SUM(IF(is_conversion, value, NULL)) AS conversion_money "
            "FROM event WHERE occurred_on BETWEEN @first AND @last GROUP BY 1, 2",
            [EVENT.name], first, last,
        )  # fmt: skip
        days: dict[date, LoadedDay] = {}
        for row in rows:
            day = days.setdefault(row.occurred_on, LoadedDay())
            day.rows += row.n
            day.conversions += row.conversions
            if row.money is not None:
                day.money[row.of_currency] = row.money
            if row.conversion_money is not None:
                day.conversion_money[row.of_currency] = row.conversion_money
        return days

    def attribution_days(self, first: date, last: date) -> dict[date, LoadedDay]:
        """Rows and credited money of `attribution` per day, all currencies together."""
        rows = self.rows(
            "SELECT occurred_on, COUNT(*) AS n, SUM(value) AS money FROM attribution "
            "WHERE occurred_on BETWEEN @first AND @last GROUP BY 1",
            [ATTRIBUTION.name], first, last,
        )  # fmt: skip
        return {row.occurred_on: LoadedDay(row.n, money={"": row.money or Decimal(0)}) for row in rows}

    def daily(self, first: date, last: date) -> dict[str, dict[date, LoadedDay]]:
        """Every daily table's days, by table."""
        readers = {EVENT.name: self.event_days, ATTRIBUTION.name: self.attribution_days}
        names = [table.name for table in DAILY_TABLES]
        days = at_once(partial(readers[name], first, last) for name in names)
        return dict(zip(names, days, strict=True))

    def quarantine_days(self, first: date, last: date) -> dict[date, Quarantined]:
        """What the quarantine says about `event` per day."""
        rows = self.rows(
            f"SELECT {PARTITION}, IF(is_dropped, row_id, NULL) AS row_id, "
            "COUNTIF(field = 'value' AND rule = 'parse_numeric') AS unreadable FROM quarantine "
            "WHERE table_name = 'event' AND (is_dropped OR (field = 'value' AND rule = 'parse_numeric')) "
            f"AND {_OF_RANGE} GROUP BY 1, 2",
            ["quarantine"], first, last,
        )  # fmt: skip
        days: dict[date, Quarantined] = {}
        for row in rows:
            if row.partition == UNDATED:
                continue
            day = date.fromisoformat(row.partition)
            quarantined = days.get(day, Quarantined())
            ids = quarantined.row_ids | ({row.row_id} if row.row_id is not None else set())
            days[day] = Quarantined(frozenset(ids), quarantined.unreadable + row.unreadable)
        return days

    def quarantined_event_days(self, first: date, last: date) -> dict[date, LoadedDay]:
        """Rows and money per day of loaded events whose id is also in quarantine: repeated keys."""
        rows = self.rows(
            "SELECT occurred_on, COALESCE(event.currency, @currency) AS of_currency, COUNT(*) AS n, "
            "SUM(value) AS money FROM event WHERE occurred_on BETWEEN @first AND @last AND event_id IN "
            f"(SELECT row_id FROM quarantine WHERE table_name = 'event' AND is_dropped AND {_OF_RANGE}) GROUP BY 1, 2",
            [EVENT.name, "quarantine"], first, last,
        )  # fmt: skip
        days: dict[date, LoadedDay] = {}
        for row in rows:
            day = days.setdefault(row.occurred_on, LoadedDay())
            day.rows += row.n
            day.money[row.of_currency] = row.money or Decimal(0)
        return days

    def table_rows(self, names: Iterable[str]) -> Mapping[str, int]:
        """Rows of each existing table."""
        present = [name for name in names if name in self.tables]
        if not present:
            return {}
        counts = " UNION ALL ".join(
            f"SELECT {literal(name)} AS name, COUNT(*) AS n FROM {quoted(name)}" for name in present
        )
        return {row.name: row.n for row in self.rows(counts, present)}

    def account_table_rows(self) -> Mapping[str, int]:
        """Rows of each existing account table."""
        return self.table_rows(spec.name for spec in ACCOUNT_TABLES)


def _ledger_row(row: Any) -> LedgerRow:
    entry = Entry(
        row.table_name, row.partition, row.recorded_at, row.source_digest, row.settings_fingerprint, row.data_through,
        json.loads(row.details or "{}"),
    )  # fmt: skip
    return LedgerRow(
        entry, row.rows_raw or 0, row.rows_deleted or 0, row.rows_quarantined or 0, row.rows_loaded or 0, row.value,
        row.sha256, row.bytes,
    )  # fmt: skip
