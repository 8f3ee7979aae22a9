"""The assets of every destination: one step delivers the mapped files of all account tables, one those of events.

Here: the steps, and what the UI shows of a partition. Not here: what a destination does with a file
(`stages/archiving.py`, `stages/loading.py`), and which destinations there are (`stages/destinations.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import DAYS_OF_AN_ACCOUNT, ONE_ACCOUNT, Done, StageRun
from klaviyo_assets.errors import contained
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.stages.destination import AccountRun, Destination, Loader
from klaviyo_assets.stages.graph import BIGQUERY, MAPPED
from klaviyo_assets.stages.keys import key_of, parts_of
from klaviyo_assets.tables import ACCOUNT_TABLES, DAILY_TABLES


def build_destination_assets(
    destination: Destination, accounts: Accounts, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """One step for all account tables, and one for the daily tables."""
    of_accounts, of_days = destination.stage.steps
    return [
        _assets(of_accounts, destination, ACCOUNT_TABLES, accounts, partitions.accounts),
        _assets(of_days, destination, DAILY_TABLES, accounts, partitions.account_days),
    ]


def _assets(
    step: str, destination: Destination, tables: Sequence[TableSpec], accounts: Accounts,
    partitions_def: dg.PartitionsDefinition,
) -> dg.AssetsDefinition:  # fmt: skip
    @dg.multi_asset(
        name=step,
        specs=[
            asset_spec(
                destination.name, table, partitions_def, destination.kinds,
                description=destination.describe(table), is_table=destination.has_tables,
            )
            for table in tables
        ],
        can_subset=True,
        required_resource_keys={"frames", "turns", *destination.needs},
        # If steps take turns, the load into BigQuery comes last: by then, the other destinations have what they need.
        op_tags={} if destination.name == BIGQUERY else {"dagster/priority": "1"},
        backfill_policy=DAYS_OF_AN_ACCOUNT if tables[0].is_daily else ONE_ACCOUNT,
    )  # fmt: skip
    def take(context: dg.AssetExecutionContext) -> Iterator[Any]:
        run = StageRun(context, context.resources.frames, context.resources.turns)
        loaders: dict[str, Loader] = {}
        for table, partition, mapped in _partitions(run, destination, tables):
            if mapped.account not in loaders:
                loaders[mapped.account] = destination.open(_account_run(run, destination, accounts, mapped.account))
            load = partial(_load, loaders[mapped.account], table, mapped)
            frame, before = replace(mapped, stage=destination.name), _before(run, destination, mapped)
            yield from run.work(dg.AssetKey([destination.name, table.name]), partition, frame, load, before)
        for loader in loaders.values():
            yield from _finish(run, destination, loader)
        yield from run.outputs()

    return take


def _partitions(
    run: StageRun, destination: Destination, tables: Sequence[TableSpec]
) -> Iterable[tuple[TableSpec, str, FrameKey]]:
    """The partitions of a run for each selected table, with the mapped frame of each."""
    for partition in run.partition_keys:
        account, day = parts_of(partition)
        for table in tables:
            if run.selects(dg.AssetKey([destination.name, table.name])):
                yield table, partition, FrameKey(MAPPED, account, table.name, day or None)


def _account_run(run: StageRun, destination: Destination, accounts: Accounts, account: str) -> AccountRun:
    tables = frozenset(key.path[-1] for key in run.context.selected_asset_keys)
    resources = {key: getattr(run.context.resources, key) for key in destination.needs}
    return AccountRun(destination.name, run.run_id, accounts[account], run.frames, tables, resources)


def _before(run: StageRun, destination: Destination, mapped: FrameKey) -> FrameKey:
    """The frame that has to exist: the mapped one, or that of a destination that had to take it first but failed.

    A day that counts as loaded is not checked again, so a day that is not archived must not count as loaded.
    """
    earlier = (replace(mapped, stage=name) for name in destination.waits_for)
    return next((frame for frame in earlier if run.frames.failure(frame, run.run_id)), mapped)


def _load(loader: Loader, table: TableSpec, mapped: FrameKey) -> Done:
    taken = loader.load(table, mapped)
    record = taken.record
    return Done({
        "dagster/partition_row_count": record.table_rows,
        **taken.metadata,
        **({"console": dg.MetadataValue.url(taken.page)} if taken.page else {}),
        "sha256": record.sha256,
        "data_through": record.data_through or "never synced",
        "mode": record.mode,
    })  # fmt: skip


def _finish(run: StageRun, destination: Destination, loader: Loader) -> Iterator[Any]:
    """End an account's loads; an error here concerns this account alone."""
    for mapped, error in loader.finish():
        key = dg.AssetKey([destination.name, mapped.table])
        yield from run.fail(key, key_of(mapped.account, mapped.day), contained(error))
