"""From Postgres to BigQuery: the equations of each partition, and the totals of each stage.

Here: comparing what the stages hold. Not here: reading them (`raw.py`, `archive.py`, `warehouse.py`), and reports.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from klaviyo_assets.audit.reconciliation.archive import ArchivedPart
from klaviyo_assets.audit.reconciliation.findings import Equation, Findings, difference, exact_sum, run_command
from klaviyo_assets.audit.reconciliation.raw import RawDay
from klaviyo_assets.audit.reconciliation.warehouse import UNDATED, LedgerRow, LoadedDay, Quarantined
from klaviyo_assets.tables import ACCOUNT_TABLES, DAILY_TABLES, EVENT
from klaviyo_assets.text import plural

LEDGER_ROW = Equation(
    "ledger_row", "Every partition that holds rows has a ledger row.", "partitions with rows", "ledger rows"
)
RAW_ROWS = Equation(
    "raw_rows", "Rows in Postgres = rows loaded + deleted + quarantined.", "Postgres", "ledger: loaded + left out"
)
DELETED_ROWS = Equation(
    "deleted_rows", "Rows deleted in Klaviyo = rows left out of the load as deleted.", "Postgres", "ledger"
)
LEDGER_ROWS = Equation(
    "ledger_rows", "Rows read = rows loaded + deleted + quarantined.", "ledger: read", "ledger: loaded + left out"
)
BIGQUERY_ROWS = Equation("bigquery_rows", "Rows in BigQuery = rows the ledger says were loaded.", "ledger", "BigQuery")
RAW_MONEY = Equation(
    "raw_money", "Money in Postgres = money loaded + money of quarantined rows, in each currency.", "Postgres",
    "BigQuery + quarantine",
)  # fmt: skip
BIGQUERY_MONEY = Equation(
    "bigquery_money", "Money in BigQuery = money the ledger says was loaded.", "ledger", "BigQuery"
)
UNREADABLE = Equation(
    "unreadable_values", "Values in Postgres that are not numbers = notes on them in the quarantine.", "Postgres",
    "quarantine",
)  # fmt: skip
ARCHIVED = Equation("archived", "Every loaded partition is in the archive.", "loaded", "archived")
ARCHIVE_ROWS = Equation("archive_rows", "Rows in the archive = rows loaded.", "ledger", "archive")
ARCHIVE_HASH = Equation("archive_hash", "The archive names the very file that was loaded.", "ledger", "archive")
ARCHIVE_PARTS = Equation(
    "archive_parts", "The archive names the whole part and the deltas that were loaded.", "ledger", "archive"
)
MERGED_ROWS = Equation(
    "merged_rows", "The archived parts merged = rows the manifest says there are.", "manifest", "parts"
)
OBJECT_SIZE = Equation("object_size", "The archived object is as long as its manifest says.", "manifest", "object")
OBJECT_HASH = Equation("object_hash", "The archived object's content is what its name says.", "manifest", "object")
UNDATED_ROWS = Equation(
    "undated_rows", "Rows in Postgres without a usable time = rows quarantined as undated.", "Postgres", "ledger"
)


@dataclass(frozen=True)
class Stages:
    """Everything that the stages hold of an account and a range of days, as read.

    `archive` holds the parts of the partitions that have a ledger row; `quarantined_money` is, per day and currency,
    the raw money of quarantined events minus the part that is loaded all the same. `undated` and `outside` count the
    account's events that belong to no day, whatever the range.
    """

    account: str
    first: date
    last: date
    raw: Mapping[date, RawDay]
    ledger: Mapping[tuple[str, str], LedgerRow]
    daily: Mapping[str, Mapping[date, LoadedDay]]
    archive: Mapping[tuple[str, date | None], ArchivedPart]
    quarantine: Mapping[date, Quarantined] = field(default_factory=dict)
    quarantined_money: Mapping[date, Mapping[str, Decimal]] = field(default_factory=dict)
    undated: int = 0
    raw_tables: Mapping[str, int] = field(default_factory=dict)
    loaded_tables: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)

    @property
    def days(self) -> Iterator[date]:
        """Every day of the range."""
        return (self.first + timedelta(days=ahead) for ahead in range((self.last - self.first).days + 1))

    def ledger_days(self, table: str) -> list[LedgerRow]:
        """The ledger rows of the range's days."""
        rows = (self.ledger.get((table, day.isoformat())) for day in self.days)
        return [row for row in rows if row is not None]


def check_stages(stages: Stages, findings: Findings) -> None:
    """Compare every partition of the range, and the account's whole tables."""
    if not stages.ledger:
        rows = sum(day.rows for day in stages.raw.values()) + sum(stages.raw_tables.values())
        fix = f"Nothing of the account was ever loaded ({rows:,} rows in Postgres): "
        fix += f"{run_command(stages.account, stages.first, stages.last)}."
        findings.compare(LEDGER_ROW, int(rows > 0), 0, fix, subject="every table")
        return
    for day in stages.days:
        for table in DAILY_TABLES:
            _check_partition(stages, findings, table.name, day)
        _check_money(stages, findings, day)
    _check_undated(stages, findings)
    for spec in ACCOUNT_TABLES:
        _check_partition(stages, findings, spec.name, None)


def _check_partition(stages: Stages, findings: Findings, table: str, day: date | None) -> None:
    row = stages.ledger.get((table, day.isoformat() if day else stages.account))
    loaded_rows = _loaded_rows(stages, table, day)
    raw = _raw_rows(stages, table, day)
    reload = _reload(stages, day)
    if row is None:
        # A day without rows need not have been loaded.
        holds = int(bool(raw or loaded_rows))
        findings.compare(
            LEDGER_ROW, holds, 0, f"It was never loaded, or its ledger row is gone ({raw or 0} rows in Postgres, "
            f"{loaded_rows} in BigQuery): {reload}.", day=day, subject=table,
        )  # fmt: skip
        return
    if raw is not None:
        _check_source(stages, findings, row, raw, day)
    fix = f"BigQuery's {table} was changed after the load: {reload} loads it again."
    findings.compare(BIGQUERY_ROWS, row.rows_loaded, loaded_rows, fix, day=day, subject=table)
    if day and row.value is not None and row.knows_its_source:
        total = stages.daily[table].get(day, LoadedDay()).total
        findings.compare(BIGQUERY_MONEY, row.value, total, fix, day=day, subject=f"{table}, all currencies")
    _check_archive(stages, findings, row, day)


def _check_source(stages: Stages, findings: Findings, row: LedgerRow, raw: int, day: date | None) -> None:
    """Rows: what Postgres has now against what the load accounts for."""
    deleted = stages.raw.get(day, RawDay()).deleted if day else 0
    left_out = row.rows_deleted + row.rows_quarantined
    if not row.knows_its_source:
        left_out = deleted + len(stages.quarantine.get(day, Quarantined()).row_ids if day else ())
    accounted = row.rows_loaded + left_out
    findings.compare(RAW_ROWS, raw, accounted, _stale(stages, raw - accounted, day), day=day, subject=row.table)
    if not row.knows_its_source:
        return
    if day:
        findings.compare(
            DELETED_ROWS, deleted, row.rows_deleted,
            f"{_reload(stages, day, sync=True)} leaves out what Klaviyo deleted since.", day=day, subject=row.table,
        )  # fmt: skip
    fix = f"The load lost rows, or the ledger was changed: {_reload(stages, day)}."
    findings.compare(LEDGER_ROWS, row.rows_raw, accounted, fix, day=day, subject=row.table)


def _check_archive(stages: Stages, findings: Findings, row: LedgerRow, day: date | None) -> None:
    if row.sha256 is None:
        return
    part = stages.archive.get((row.table, day))
    again = f"{_reload(stages, day)} archives it again."
    if not findings.compare(ARCHIVED, 1, int(part is not None), again, day=day, subject=row.table) or part is None:
        return
    findings.compare(ARCHIVE_HASH, row.sha256, part.manifest.sha256, again, day=day, subject=row.table)
    findings.compare(ARCHIVE_ROWS, row.rows_loaded, part.manifest.rows, again, day=day, subject=row.table)
    _check_deltas(stages, findings, row, part)
    # Parts are never overwritten, so a damaged part has to be deleted first.
    damaged = _mend_object(part, part.uri, again)
    findings.compare(OBJECT_SIZE, part.manifest.bytes, part.bytes, damaged, day=day, subject=row.table)
    if part.sha256 is not None:
        findings.compare(OBJECT_HASH, part.manifest.sha256, part.sha256, damaged, day=day, subject=row.table)


def _check_deltas(stages: Stages, findings: Findings, row: LedgerRow, part: ArchivedPart) -> None:
    """A large account table can be a whole part with deltas on it."""
    again = f"{_reload(stages, None)} reads the table whole and archives it again."
    loaded_parts = [part_state["sha256"][:12] for part_state in (row.entry.details.get("state") or {}).get("parts", ())]
    if part.below or len(loaded_parts) > 1:
        archived_parts = [archived.sha256[:12] for archived in part.manifest.all_parts]
        findings.compare(ARCHIVE_PARTS, " ".join(loaded_parts), " ".join(archived_parts), again, subject=row.table)
    if part.merged_rows is not None:
        findings.compare(MERGED_ROWS, part.manifest.rows, part.merged_rows, again, subject=row.table)
    for older in part.below:
        damaged = _mend_object(part, older.uri, again)
        findings.compare(OBJECT_SIZE, older.part.bytes, older.bytes, damaged, subject=row.table)
        if older.sha256 is not None:
            findings.compare(OBJECT_HASH, older.part.sha256, older.sha256, damaged, subject=row.table)


def _mend_object(part: ArchivedPart, uri: str, again: str) -> str:
    if not part.below:
        return f"{again} Where {uri} is there and damaged, delete it before."
    manifest = f"{part.uri.rpartition('/')[0]}/_manifest.json"
    return f"Delete {uri} if it is there, and {manifest}: then the table is read whole. {again}"


def _check_money(stages: Stages, findings: Findings, day: date) -> None:
    """Money and values of a day's events, Postgres against BigQuery; days that were never loaded are named already."""
    if (EVENT.name, day.isoformat()) not in stages.ledger and day not in stages.daily[EVENT.name]:
        return
    raw, loaded_day = stages.raw.get(day, RawDay()), stages.daily[EVENT.name].get(day, LoadedDay())
    aside = stages.quarantined_money.get(day, {})
    fix = (
        "An event changed in Postgres after the load, or in BigQuery: "
        f"{_reload(stages, day, sync=True)} rebuilds the day."
    )
    for currency in sorted({*raw.money, *loaded_day.money, *aside}):
        accounted = exact_sum([loaded_day.money.get(currency), aside.get(currency)])
        findings.compare(RAW_MONEY, raw.money.get(currency, Decimal(0)), accounted, fix, day=day, subject=currency)
    noted_values = stages.quarantine.get(day, Quarantined()).unreadable
    findings.compare(UNREADABLE, raw.unreadable, noted_values, fix, day=day, subject="event.value")


def _check_undated(stages: Stages, findings: Findings) -> None:
    row = stages.ledger.get((EVENT.name, UNDATED))
    noted_rows = row.rows_quarantined if row else 0
    fix = f"{_reload(stages, None)} looks for them again."
    findings.compare(UNDATED_ROWS, stages.undated, noted_rows, fix, subject=EVENT.name)


def _raw_rows(stages: Stages, table: str, day: date | None) -> int | None:
    """Rows in Postgres; None for a computed table."""
    if day is None:
        return stages.raw_tables.get(table, 0)
    return stages.raw.get(day, RawDay()).rows if table == EVENT.name else None


def _loaded_rows(stages: Stages, table: str, day: date | None) -> int:
    return stages.daily[table].get(day, LoadedDay()).rows if day else stages.loaded_tables.get(table, 0)


def _stale(stages: Stages, surplus: int, day: date | None) -> str:
    rows = plural(abs(surplus), "row")
    newer = f"{rows} in Postgres {'is' if surplus == 1 else 'are'} newer than the load"
    what = newer if surplus > 0 else f"{rows} left Postgres after the load"
    return f"{what}: {_reload(stages, day, sync=True)}."


def _reload(stages: Stages, day: date | None, *, sync: bool = False) -> str:
    """The command that rebuilds a partition; any run rebuilds account tables."""
    return run_command(stages.account, day or stages.last, day or stages.last, *([] if sync else ["--no-sync"]))


@dataclass(frozen=True)
class StageSum:
    """What one stage holds of the range: rows, and money by currency (None if the stage has no money).

    `""` as the currency: several currencies in one sum, which is a checksum, not an amount.
    """

    stage: str
    rows: int | Decimal | None
    money: Mapping[str, Decimal] | None = None


def stage_sums(stages: Stages) -> list[StageSum]:
    """The stages of events, from Postgres to BigQuery."""
    raw = [day for on, day in stages.raw.items() if stages.first <= on <= stages.last]
    events, ledger_rows = stages.daily[EVENT.name].values(), stages.ledger_days(EVENT.name)
    parts = [part for (table, day), part in stages.archive.items() if table == EVENT.name and day]
    return [
        StageSum("Postgres", sum(day.rows for day in raw), together(day.money for day in raw)),
        StageSum("  of these deleted", sum(day.deleted for day in raw)),
        StageSum("  of these quarantined", sum(row.rows_quarantined for row in ledger_rows),
                 together(stages.quarantined_money.values())),
        *_of_no_day(stages),
        StageSum("ledger", sum(row.rows_loaded for row in ledger_rows),
                 {"": exact_sum(row.value for row in ledger_rows)}),
        StageSum("S3 archive", sum(part.manifest.rows for part in parts)),
        StageSum("BigQuery event", sum(day.rows for day in events), together(day.money for day in events)),
        StageSum("  of these conversions", sum(day.conversions for day in events),
                 together(day.conversion_money for day in events)),
    ]  # fmt: skip


def _of_no_day(stages: Stages) -> Iterator[StageSum]:
    """The account's events that belong to no day, by kind; with the events of the days they are all events."""
    counts = {
        "  besides: before start_date": stages.outside.get("before_start_date", 0),
        "  besides: after today": stages.outside.get("after_today", 0), "  besides: undated": stages.undated,
    }  # fmt: skip
    return (StageSum(name, count) for name, count in counts.items() if count)


def together(amounts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Money by currency, added up exactly."""
    total: dict[str, Decimal] = {}
    for money in amounts:
        for currency, amount in money.items():
            total[currency] = exact_sum([total.get(currency), amount])
    return dict(sorted(total.items()))


def quarantined_money(
    raw: Mapping[date, RawDay], loaded_days: Mapping[date, LoadedDay]
) -> dict[date, dict[str, Decimal]]:
    """Raw money of the events that quarantined rows name, minus the part that is loaded (repeated keys are, once)."""
    return {
        day: {
            currency: Decimal(
                difference(raw_day.money.get(currency, Decimal(0)), loaded_day.money.get(currency, Decimal(0)))
            )
            for currency in {*raw_day.money, *loaded_day.money}
        }
        for day in {*raw, *loaded_days}
        for raw_day, loaded_day in [(raw.get(day, RawDay()), loaded_days.get(day, LoadedDay()))]
    }
