"""The extracted stage: rows from Postgres to Parquet as read, in one consistent snapshot per account and run.

Here: the assets. Not here: which rows are read (`source/extraction.py`) and how columns are selected (`source/sql.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from functools import cached_property, partial
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import DAYS_OF_AN_ACCOUNT, ONE_ACCOUNT, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.destinations.bigquery.ledger import loaded_entries
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.fingerprints import UNDATED, UNDATED_WITH
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.resources.privacy import PrivacyResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.source.extraction import AccountSource, extract_day, extract_undated
from klaviyo_assets.stages.deltas import DELTA_FROM_ROWS, TableReading
from klaviyo_assets.stages.destinations import whole_because
from klaviyo_assets.stages.graph import EXTRACTED
from klaviyo_assets.stages.keys import account_days, day_key
from klaviyo_assets.stages.vanished import refuse_losses
from klaviyo_assets.tables import ACCOUNT_TABLES, EVENT

_KINDS = {"postgres", "parquet"}
ACCEPT_EMPTY = (
    "Tables, or columns as table.column, to treat as empty this once if they are hidden or gone from Postgres. They "
    "are then emptied in BigQuery too."
)


class ReadingConfig(dg.Config):
    """Launchpad settings for reading account tables."""

    delta_from_rows: int = Field(
        default=DELTA_FROM_ROWS,
        description="Tables with fewer rows are always read whole; of larger ones, only what changed.",
    )
    whole: bool = Field(default=False, description="Read every table whole this once; use it if you suspect a fault.")
    accept_empty: list[str] = Field(default=[], description=ACCEPT_EMPTY)


class EventReadingConfig(dg.Config):
    """Launchpad settings for reading events."""

    accept_empty: list[str] = Field(default=[], description=ACCEPT_EMPTY)


def build_extracted_assets(accounts: Accounts, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """One step for all account tables, and one for events; each reads in one snapshot per account."""

    @dg.multi_asset(
        name="extract_tables",
        specs=[
            asset_spec(EXTRACTED, table, partitions.accounts, _KINDS, description=_description(table))
            for table in ACCOUNT_TABLES
        ],
        can_subset=True,
        backfill_policy=ONE_ACCOUNT,
    )
    def extract_tables(
        context: dg.AssetExecutionContext, config: ReadingConfig, postgres: PostgresResource,
        frames: dg.ResourceParam[FrameStore], turns: AccountTurns,
        bigquery: BigQueryProjectResource, s3: S3ArchiveResource, privacy: PrivacyResource,
    ) -> Iterator[Any]:  # fmt: skip
        run = StageRun(context, frames, turns)
        reading = partial(
            TableReading, bigquery=bigquery, s3=s3, privacy=privacy, delta_from_rows=config.delta_from_rows,
            whole_because=whole_because(asked=config.whole),
        )  # fmt: skip
        for name in run.partition_keys:
            source = LazySource(postgres, accounts[name], bigquery, config.accept_empty)
            yield from _extract_account(run, source, accounts[name], reading)
        yield from run.outputs()

    @dg.multi_asset(
        name="extract_events",
        specs=[asset_spec(EXTRACTED, EVENT, partitions.account_days, _KINDS, description=_description(EVENT))],
        can_subset=True,
        backfill_policy=DAYS_OF_AN_ACCOUNT,
    )
    def extract_events(
        context: dg.AssetExecutionContext, config: EventReadingConfig, postgres: PostgresResource,
        frames: dg.ResourceParam[FrameStore], turns: AccountTurns,
        bigquery: BigQueryProjectResource,
    ) -> Iterator[Any]:  # fmt: skip
        run = StageRun(context, frames, turns)
        for name, days in account_days(run.partition_keys).items():
            source = LazySource(postgres, accounts[name], bigquery, config.accept_empty)
            yield from _extract_days(run, source, accounts[name], days)
        yield from run.outputs()

    return [extract_tables, extract_events]


def _description(table: TableSpec) -> str:
    return f"`{table.name}` as Fivetran wrote it, read in one snapshot. {table.description}"


class LazySource:
    """Opens an account's snapshot on first use, so that a failure belongs to each partition and not to the step.

    First, what was loaded is compared with what Postgres has: if anything is hidden or gone, every partition stops.
    """

    def __init__(
        self, postgres: PostgresResource, account: Account, bigquery: BigQueryProjectResource,
        accept_empty: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._postgres, self._account, self._bigquery, self._accepted = postgres, account, bigquery, accept_empty
        self._context: Any = None
        self._source: AccountSource | None = None
        self._refusal: PermanentError | None = None

    def __call__(self) -> AccountSource:
        """The account's source, which shows one moment until an error ends the snapshot.

        Raises:
            PermanentError: it must not be read; for the next partition, the same error is raised at once.
        """
        if self._refusal:
            raise self._refusal
        if self._source is None:
            try:
                self._source = self._opened()
            except PermanentError as error:
                self._refusal = error
                raise
        return self._source

    def _opened(self) -> AccountSource:
        self._context = self._postgres.snapshot()
        source = AccountSource.open(self._account, self._context.__enter__(), self._accepted)
        refuse_losses(source, self._entries)
        return source

    @cached_property
    def _entries(self) -> dict[tuple[str, str], Entry]:
        return loaded_entries(self._bigquery.dataset(self._account))

    @contextmanager
    def renewed_on_failure(self) -> Iterator[AccountSource]:
        """The source; a failed statement ends its transaction, so the next attempt gets a new transaction."""
        try:
            yield self()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the snapshot; what has been read stays valid, however the connection ends."""
        context, self._context, self._source = self._context, None, None
        if context is not None:
            with suppress(Exception):
                context.__exit__(None, None, None)


def _extract_account(
    run: StageRun, source: LazySource, account: Account, reading: Callable[[AccountSource], TableReading]
) -> Iterator[Any]:
    def extract(table: TableSpec, frame: FrameKey) -> Done:
        with source.renewed_on_failure() as opened:
            with run.frames.write(frame) as writer:
                record = reading(opened).extract(table, writer)
            if table is UNDATED_WITH:
                with run.frames.write(FrameKey(EXTRACTED, account.name, EVENT.name, UNDATED)) as writer:
                    undated = extract_undated(opened, writer)
                record = replace(record, warnings=[*record.warnings, *undated.warnings])
                return Done(metadata_of(record, run) | reading_metadata(record) | _outside_metadata(undated))
        return Done(metadata_of(record, run) | reading_metadata(record))

    try:
        for table in ACCOUNT_TABLES:
            key, frame = dg.AssetKey([EXTRACTED, table.name]), FrameKey(EXTRACTED, account.name, table.name)
            if run.selects(key):
                yield from run.work(key, account.name, frame, partial(extract, table, frame))
    finally:
        source.close()


def _extract_days(run: StageRun, source: LazySource, account: Account, days: list[date]) -> Iterator[Any]:
    def extract(day: date, frame: FrameKey) -> Done:
        with source.renewed_on_failure() as opened, run.frames.write(frame) as writer:
            record = extract_day(opened, day, writer)
        return Done(metadata_of(record, run))

    try:
        for day in days:
            frame = FrameKey(EXTRACTED, account.name, EVENT.name, day.isoformat())
            key, partition = dg.AssetKey([EXTRACTED, EVENT.name]), day_key(account.name, day)
            yield from run.work(key, partition, frame, partial(extract, day, frame))
    finally:
        source.close()


def reading_metadata(record: FrameRecord) -> dict[str, Any]:
    """What the UI shows about how an account table was read or passed on: whole or only changed rows, and why."""
    if record.state is None:
        return {"mode": "whole", "why": "a small table"}
    return {
        "mode": record.mode,
        "why": record.state.why,
        "rows_changed": record.rows,
        "rows_of_table": record.state.rows,
    }


def _outside_metadata(undated: FrameRecord) -> dict[str, Any]:
    """Events that belong to no day: those without a time, and those outside the account's days."""
    outside = {f"events_{name}": count for name, count in undated.details["outside"].items()}
    return {"events_undated": undated.rows, **outside}


def metadata_of(record: FrameRecord, run: StageRun) -> dict[str, Any]:
    """What the UI shows about an extracted partition; warnings also go to the log."""
    for warning in record.warnings:
        run.context.log.warning(warning)
    return {
        "dagster/partition_row_count": record.rows,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "source_digest": record.source_digest,
        "data_through": record.data_through or "never synced",
        "warnings": dg.MetadataValue.md("\n".join(f"- {warning}" for warning in record.warnings) or "none"),
    }
