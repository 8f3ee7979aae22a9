"""What BigQuery alone shows of an account: its reports against `event`, `attribution` and the ledger.

Here: the part of a reconciliation that is cheap enough for an asset check after every run of the reports. Not
here: Postgres and the archive (`reconciling.py`), Dagster.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation.findings import EXACT, Discrepancy, Findings, run_command
from klaviyo_assets.audit.reconciliation.report_equations import BY_EVENT_DATE, all_days, check_days
from klaviyo_assets.audit.reconciliation.stages import BIGQUERY_ROWS, StageSum
from klaviyo_assets.audit.reconciliation.warehouse import LoadedDay, Warehouse
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.tables import EVENT


@dataclass(frozen=True)
class Conservation:
    """What BigQuery alone shows of one account, for an asset check.

    Attributes:
        findings: What does not hold.
        metadata: Numbers of both sides, plain values: rows and conversions as numbers, money as text.
    """

    findings: list[Discrepancy]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every equation holds."""
        return not self.findings


def report_conservation(
    dataset: BigQueryDataset, account: Account, first: date | None = None, last: date | None = None,
    reports: Collection[str] = BY_EVENT_DATE,
) -> Conservation:  # fmt: skip
    """Whether the reports by event date contain exactly the events, conversions and money of `event` and `attribution`.

    It reads nine columns of the requested days, and the ledger, in at most six queries.

    Args:
        dataset: The account's dataset; it is only read.
        account: The account.
        first: First day; by default, the first with data.
        last: Last day, inclusive; by default, the last with data.
        reports: The reports that are up to date now; the others cannot be judged.
    """
    begin, end = all_days()
    days = (first or begin, last or end)
    warehouse, findings = Warehouse.open(dataset, account), Findings(account.name)
    event_days, ledger_days = warehouse.event_days(*days), _ledger_days(warehouse, *days)
    for day in sorted({*event_days, *ledger_days}):
        fix = f"{run_command(account.name, day, day, '--no-sync')} loads the day again."
        rows = event_days.get(day, LoadedDay()).rows
        findings.compare(BIGQUERY_ROWS, ledger_days.get(day, 0), rows, fix, day=day, subject=EVENT.name)
    sums = check_days(warehouse, findings, *days, messages=False, reports=reports)
    metadata: dict[str, Any] = {
        "equations": findings.compared, "days": len(event_days), "ledger_rows": sum(ledger_days.values()),
        "event_rows": sum(day.rows for day in event_days.values()),
    }  # fmt: skip
    return Conservation(
        findings.discrepancies, metadata | {stage_sum.stage.strip(): _rows_and_money(stage_sum) for stage_sum in sums}
    )


def _ledger_days(warehouse: Warehouse, first: date, last: date) -> dict[date, int]:
    """Rows of `event` per day, according to the ledger."""
    rows = (row for (table, _), row in warehouse.ledger().items() if table == EVENT.name)
    return {row.entry.day: row.rows_loaded for row in rows if row.entry.day and first <= row.entry.day <= last}


def _rows_and_money(stage_sum: StageSum) -> str:
    """A number of rows, and their money."""
    rows = f"{Decimal(stage_sum.rows or 0).normalize(EXACT):,f}"
    money = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in (stage_sum.money or {}).items())
    return f"{rows}: {money}" if money else rows
