"""One account from raw Postgres to the reports: reading every stage and comparing them.

Here: the order of things. Not here: reading one stage, and the equations (the modules beside this one).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from klaviyo_assets.audit.reconciliation.archive import archived_parts
from klaviyo_assets.audit.reconciliation.destinations import check_destinations, destination_sums, held_days
from klaviyo_assets.audit.reconciliation.findings import Discrepancy, Equation, Findings, Severity, run_command
from klaviyo_assets.audit.reconciliation.raw import account_table_rows, raw_days, undated_rows
from klaviyo_assets.audit.reconciliation.report_equations import (
    check_bases,
    check_books,
    check_days,
    older_reports,
)
from klaviyo_assets.audit.reconciliation.stages import (
    Stages,
    StageSum,
    check_stages,
    quarantined_money,
    stage_sums,
)
from klaviyo_assets.audit.reconciliation.warehouse import LedgerRow, Warehouse, at_once
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.source.extraction import AccountSource, outside_warnings
from klaviyo_assets.stages.planning import dirty_days
from klaviyo_assets.stages.vanished import advice, losses
from klaviyo_assets.tables import EVENT, TABLES

UP_TO_DATE = Equation(
    "up_to_date", "No day waits to be rebuilt.", "days whose rows, settings or touches changed since", "none"
)
STILL_THERE = Equation("still_there", "What was loaded is still in Postgres.", "loaded", "Postgres")
IN_RANGE = Equation("in_range", "Every event is between the start date and today.", "events outside", "none")
REPORTS_UP_TO_DATE = Equation(
    "reports_up_to_date", "No report is older than what it reads.", "reports built before the newest load", "none"
)


@dataclass(frozen=True)
class Reconciliation:
    """The result of reconciling one account.

    Attributes:
        account: The account's name.
        first: First day that was checked.
        last: Last day.
        stages: Rows and money of each stage over these days.
        findings: What does not hold, errors and warnings.
        compared: How many equations were checked.
    """

    account: str
    first: date
    last: date
    stages: list[StageSum]
    findings: list[Discrepancy]
    compared: int

    @property
    def holds(self) -> bool:
        """Whether rows and money are conserved; warnings are allowed."""
        return all(finding.severity is Severity.WARN for finding in self.findings)


def reconcile(
    source: AccountSource, archive: S3Archive, dataset: BigQueryDataset, first: date, last: date, *,
    deep: bool = False, say: Callable[[str], Any] = lambda _: None,
) -> Reconciliation:  # fmt: skip
    """Follow rows and money of some days of an account from Postgres to the reports.

    The account's whole tables, and the sums of reports over all time, are always checked.

    Args:
        source: The account in one Postgres snapshot.
        archive: The S3 archive.
        dataset: The account's BigQuery dataset; it is only read.
        first: First day, of the account's time zone.
        last: Last day, inclusive.
        deep: Whether to read every archived object of these days and hash it.
        say: Called with each step.

    Raises:
        TransientError: a system cannot be reached.
        PermanentError: a system refuses.
    """
    account = source.account
    findings = Findings(account.name)
    warehouse = Warehouse.open(dataset, account)
    stages = read_stages(source, archive, warehouse, first, last, deep=deep, say=say)
    _check_losses(source, findings, stages)
    _check_outside(source, findings, stages)
    check_stages(stages, findings)
    held = held_days(account, first, last)
    check_destinations(stages, held, findings)
    say("comparing reports")
    sums = check_days(warehouse, findings, first, last, messages=True)
    check_bases(warehouse, findings, first, last)
    check_books(warehouse, findings, stages.ledger, last)
    _check_waiting(source, warehouse, findings, stages)
    return Reconciliation(
        account.name,
        first,
        last,
        [*stage_sums(stages), *destination_sums(held), *sums],
        findings.by_weight,
        findings.compared,
    )


def _check_losses(source: AccountSource, findings: Findings, stages: Stages) -> None:
    """What was loaded and has disappeared from Postgres: BigQuery is right, and no run deletes its rows."""
    known_losses = losses(source, {key: row.entry for key, row in stages.ledger.items()})
    for loss in known_losses:
        severity = Severity.WARN if loss.subject in source.accepted else Severity.ERROR
        fix = f"{loss.what}. {advice(source.account, [loss])}"
        findings.compare(STILL_THERE, loss.loaded, loss.left, fix, subject=loss.subject, severity=severity)
    if not known_losses:
        findings.compare(STILL_THERE, "", "", "")


def _check_outside(source: AccountSource, findings: Findings, stages: Stages) -> None:
    """Events in Postgres that belong to no day: no number is wrong, but they are worth a look."""
    sentences = " ".join(outside_warnings(source.account, stages.outside))
    findings.compare(IN_RANGE, sum(stages.outside.values()), 0, sentences, subject=EVENT.name, severity=Severity.WARN)


def read_stages(
    source: AccountSource, archive: S3Archive, warehouse: Warehouse, first: date, last: date, *, deep: bool,
    say: Callable[[str], Any],
) -> Stages:  # fmt: skip
    """Read what every stage up to BigQuery has for some days, and for the account's whole tables."""
    say("counting in Postgres")
    raw = raw_days(source, first, last)
    say("counting in BigQuery")
    ledger, daily, quarantine, tables = at_once(
        [warehouse.ledger, partial(warehouse.daily, first, last), partial(warehouse.quarantine_days, first, last),
         warehouse.account_table_rows]
    )  # fmt: skip
    dropped = {row_id for day in quarantine.values() for row_id in day.row_ids}
    aside = {}
    if dropped:
        loaded_days = warehouse.quarantined_event_days(first, last)
        aside = quarantined_money(raw_days(source, first, last, dropped), loaded_days)
    say("reading the archive's content" if deep else "looking into the archive")
    partitions = _partitions(ledger, source.account.name, first, last)
    return Stages(
        source.account.name, first, last, raw, ledger, daily,
        archived_parts(archive, source.account.name, partitions, deep=deep), quarantine, aside,
        undated_rows(source), account_table_rows(source), tables, source.events_outside(source.account.today()),
    )  # fmt: skip


def _partitions(
    ledger: dict[tuple[str, str], LedgerRow], account: str, first: date, last: date
) -> list[tuple[str, date | None]]:
    """The partitions of the range, and the account's whole tables, that were loaded."""
    partitions: list[tuple[str, date | None]] = []
    for (table, partition), row in ledger.items():
        if table not in TABLES or row.sha256 is None:
            continue
        day = None if partition == account else date.fromisoformat(partition)
        if day is None or first <= day <= last:
            partitions.append((table, day))
    return partitions


def _check_waiting(source: AccountSource, warehouse: Warehouse, findings: Findings, stages: Stages) -> None:
    """What the next run will do: a warning if no number is wrong yet."""
    if "ledger" not in warehouse.tables:
        return
    days_with_errors = {finding.day for finding in findings.errors}
    entries = {key: row.entry for key, row in stages.ledger.items()}
    dirty = dirty_days(source, entries, stages.first, stages.last)
    waiting = [day for day in dirty if day not in days_with_errors]
    findings.compare(
        UP_TO_DATE, len(waiting), 0, f"{run_command(stages.account, waiting[0], waiting[-1])} rebuilds them."
        if waiting else "", severity=Severity.WARN,
    )  # fmt: skip
    older = older_reports(stages.ledger)
    findings.compare(
        REPORTS_UP_TO_DATE, len(older), 0, f"`klaviyo-assets run --account {stages.account}` restates them.",
        subject=", ".join(older), severity=Severity.WARN,
    )  # fmt: skip
