"""The mapped stage: frames are normalized, personal data are treated, and pandera checks the rows.

Here: the assets, their checks and what the UI shows. Not here: mapping (`stages/mapping.py`, `tables/`), the rules
(`mapping/rules.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
from pydantic import Field

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import DAYS_OF_AN_ACCOUNT, ONE_ACCOUNT, Check, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.fingerprints import UNDATED_WITH
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.privacy import PrivacyResource
from klaviyo_assets.stages.graph import EXTRACTED, MAPPED
from klaviyo_assets.stages.keys import account_days, day_key
from klaviyo_assets.stages.mapping import QUARANTINE_SHARE, AccountMapping
from klaviyo_assets.tables import ACCOUNT_TABLES, ATTRIBUTION, EVENT
from klaviyo_assets.text import markdown_table

_KINDS = {"pandas", "parquet"}
PREVIEW_ROWS = 5
_SHOWN_REASONS = 10


class MappingConfig(dg.Config):
    """Launchpad settings of the mapped stage."""

    quarantine_share: float = Field(
        default=QUARANTINE_SHARE,
        description="A partition fails if one rule leaves out a larger share of its rows; 0.1 is 10 %.",
    )


def build_mapped_assets(accounts: Accounts, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """One step for all account tables, and one for `event` and `attribution`."""

    @dg.multi_asset(
        name="map_tables",
        specs=[asset_spec(MAPPED, table, partitions.accounts, _KINDS) for table in ACCOUNT_TABLES],
        check_specs=[check for table in ACCOUNT_TABLES for check in check_specs(table, partitions.accounts)],
        can_subset=True,
        backfill_policy=ONE_ACCOUNT,
    )
    def map_tables(
        context: dg.AssetExecutionContext,
        config: MappingConfig,
        frames: dg.ResourceParam[FrameStore],
        turns: AccountTurns,
        privacy: PrivacyResource,
    ) -> Iterator[Any]:
        run = StageRun(context, frames, turns)
        for name in run.partition_keys:
            yield from _map_account(run, name, partial(_mapping, accounts[name], run.frames, privacy, config))
        yield from run.outputs()

    @dg.multi_asset(
        name="map_events",
        specs=[asset_spec(MAPPED, table, partitions.account_days, _KINDS) for table in (EVENT, ATTRIBUTION)],
        check_specs=[check for table in (EVENT, ATTRIBUTION) for check in check_specs(table, partitions.account_days)],
        can_subset=True,
        backfill_policy=DAYS_OF_AN_ACCOUNT,
    )
    def map_events(
        context: dg.AssetExecutionContext,
        config: MappingConfig,
        frames: dg.ResourceParam[FrameStore],
        turns: AccountTurns,
        privacy: PrivacyResource,
    ) -> Iterator[Any]:
        run = StageRun(context, frames, turns)
        for name, days in account_days(run.partition_keys).items():
            yield from _map_days(run, name, days, partial(_mapping, accounts[name], run.frames, privacy, config))
        yield from run.outputs()

    return [map_tables, map_events]


def _mapping(account: Account, frames: FrameStore, privacy: PrivacyResource, config: MappingConfig) -> AccountMapping:
    return AccountMapping(frames, account, privacy.of(account), config.quarantine_share)


def check_specs(table: TableSpec, partitions_def: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """The check of every mapped partition. There is only one: each costs three events per partition in the log."""
    return [
        dg.AssetCheckSpec(
            "schema", asset=dg.AssetKey([MAPPED, table.name]), partitions_def=partitions_def,
            description="pandera: columns, types and rules of the spec hold, and every raw row is mapped, deleted in "
            "Klaviyo, or in quarantine. Values and rows that broke a rule are in quarantine and cause a warning; "
            "broken columns, "
            "lost rows, or too large a share in quarantine fail the partition.",
        )
    ]  # fmt: skip


def _map_account(run: StageRun, account: str, mapping: Callable[[], AccountMapping]) -> Iterator[Any]:
    def map_table(table: TableSpec, frame: FrameKey) -> Done:
        done = _done(run, table, frame, mapping().map_table(table))
        if table is not UNDATED_WITH:
            return done
        undated = mapping().map_undated()
        return replace(done, metadata={**done.metadata, "events_without_a_time": undated.details["notes"]})

    for table in ACCOUNT_TABLES:
        key, frame = dg.AssetKey([MAPPED, table.name]), FrameKey(MAPPED, account, table.name)
        if run.selects(key):
            before = FrameKey(EXTRACTED, account, table.name)
            yield from run.work(key, account, frame, partial(map_table, table, frame), before)


def _map_days(run: StageRun, account: str, days: list[date], mapping: Callable[[], AccountMapping]) -> Iterator[Any]:
    def map_day(table: TableSpec, day: date, frame: FrameKey) -> Done:
        record = mapping().map_events(day) if table is EVENT else mapping().map_attribution(day)
        return _done(run, table, frame, record)

    for day in days:
        before = FrameKey(EXTRACTED, account, EVENT.name, day.isoformat())
        for table in (EVENT, ATTRIBUTION):
            key, frame = dg.AssetKey([MAPPED, table.name]), FrameKey(MAPPED, account, table.name, day.isoformat())
            if run.selects(key):
                yield from run.work(key, day_key(account, day), frame, partial(map_day, table, day, frame), before)


def _done(run: StageRun, table: TableSpec, frame: FrameKey, record: FrameRecord) -> Done:
    rules = record.details["rules"]
    notes = int(record.details["notes"])
    metadata = {
        "dagster/partition_row_count": record.rows,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "mode": record.mode,
        "rows_raw": record.rows_raw,
        "rows_deleted": record.rows_deleted,
        "rows_quarantined": record.rows_quarantined,
        "notes": notes,
        "source_digest": record.source_digest,
        "settings_fingerprint": record.settings_fingerprint,
        "data_through": record.data_through or "never synced",
        "preview": dg.MetadataValue.md(preview(run.frames, frame, table)),
    }
    reasons = why_noted(run.frames.open(frame, "quarantine")) if notes else []
    schema = Check(
        "schema", passed=notes == 0, severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "notes": notes, "rules": dg.MetadataValue.json(rules), "raw": record.rows_raw, "mapped": record.rows,
            "deleted": record.rows_deleted, "quarantined": record.rows_quarantined,
            **({"reasons": dg.MetadataValue.md(_as_table(reasons))} if reasons else {}),
        },
        description=_quarantine_sentence(notes, reasons) if reasons else None,
    )  # fmt: skip
    return Done(metadata, (schema,))


def why_noted(quarantine: pq.ParquetFile) -> list[tuple[int, str, str, bool]]:
    """Why values and rows are in quarantine, the most frequent reason first; no value or row is quoted.

    Returns:
        The count, the column, the reason in words, and whether whole rows were left out.
    """
    columns = quarantine.read(columns=["field", "reason", "is_dropped"]).to_pydict()
    counted = Counter(zip(columns["field"], columns["reason"], columns["is_dropped"], strict=True))
    return [(count, *why) for why, count in counted.most_common()]


def _quarantine_sentence(notes: int, reasons: Sequence[tuple[int, str, str, bool]]) -> str:
    count, column, reason, _ = reasons[0]
    return f"{notes} value(s) or row(s) are in quarantine, most often ({count}) {column}: {reason}"


def _as_table(reasons: Sequence[tuple[int, str, str, bool]]) -> str:
    rows = (
        (str(count), column, _cell(reason), "row left out" if dropped else "value left empty")
        for count, column, reason, dropped in reasons[:_SHOWN_REASONS]
    )
    rest = len(reasons) - _SHOWN_REASONS
    more = f"\n\nand {rest} more; all of them are in the BigQuery table `quarantine`" if rest > 0 else ""
    return markdown_table(("how many", "column", "reason", "what was done"), rows) + more


def preview(frames: FrameStore, frame: FrameKey, table: TableSpec) -> str:
    """The first rows as a Markdown table, with the columns that the spec allows to be previewed."""
    names = [column.name for column in table.columns if column.is_previewed]
    rows = _first_rows(frames.open(frame), names)
    if not rows:
        return "no rows"
    return markdown_table(names, ([_cell(row[name]) for name in names] for row in rows))


def _first_rows(file: pq.ParquetFile, columns: list[str]) -> list[dict[str, Any]]:
    batch = next(file.iter_batches(batch_size=PREVIEW_ROWS, columns=columns), None)
    return batch.to_pylist() if batch is not None else []


def _cell(value: Any) -> str:
    plain = f"{value.normalize():f}" if isinstance(value, Decimal) else value
    return "" if value is None else str(plain).removesuffix("+00:00")[:40]
