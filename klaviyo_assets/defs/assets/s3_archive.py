"""The archive stage: each mapped file to S3 as it is, byte for byte, and a manifest.

Here: the assets. Not here: keys and conditional writes (`destinations/s3/archive.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg

from klaviyo_assets.defs.columns import asset_tags, column_metadata
from klaviyo_assets.defs.links import object_links
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.stage_run import DAYS_OF_AN_ACCOUNT, ONE_ACCOUNT, Done, StageRun
from klaviyo_assets.frames.store import FrameKey, FrameStore
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.stages.graph import MAPPED, S3_ARCHIVE, destinations
from klaviyo_assets.tables import ACCOUNT_TABLES, DAILY_TABLES


def build_archived_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """One step for all account tables, one for the daily ones."""
    return [
        _assets("archive_tables", ACCOUNT_TABLES, partitions.accounts),
        _assets("archive_events", DAILY_TABLES, partitions.account_days),
    ]


def _assets(
    name: str,
    tables: Sequence[TableSpec],
    partitions_def: dg.PartitionsDefinition,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[_spec(table, partitions_def) for table in tables],
        can_subset=True,
        # Before the load where steps take turns: what could not be archived is not loaded, and stays dirty.
        op_tags={"dagster/priority": "1"},
        backfill_policy=DAYS_OF_AN_ACCOUNT if tables[0].is_daily else ONE_ACCOUNT,
    )
    def archive(context: dg.AssetExecutionContext, frames: FrameStore, s3: S3ArchiveResource) -> Iterator[Any]:
        run = StageRun(context, frames)
        for table, partition, before in stage_partitions(run, S3_ARCHIVE, tables):
            key = dg.AssetKey([S3_ARCHIVE, table.name])
            frame = FrameKey(S3_ARCHIVE, before.account, before.table, before.day)
            yield from run.work(key, partition, frame, partial(_archive, frames, s3, before), before)
        yield from run.outputs()

    return archive


def stage_partitions(
    run: StageRun, stage: str, tables: Sequence[TableSpec]
) -> Iterable[tuple[TableSpec, str, FrameKey]]:
    """The partitions of a run for each selected table, with the mapped frame of each."""
    for partition in run.partition_keys:
        account, _, day = partition.rpartition("|") if tables[0].is_daily else (partition, "", "")
        for table in tables:
            if run.selects(dg.AssetKey([stage, table.name])):
                yield table, partition, FrameKey(MAPPED, account, table.name, day or None)


def _spec(table: TableSpec, partitions_def: dg.PartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        [S3_ARCHIVE, table.name],
        deps=[[MAPPED, table.name]],
        group_name=S3_ARCHIVE,
        kinds={"s3", "parquet"},
        description=f"Every version of mapped `{table.name}`, immutable; the manifest names the current part.",
        partitions_def=partitions_def,
        tags=asset_tags(table),
        metadata=column_metadata(table, S3_ARCHIVE),
        skippable=True,
    )


def _archive(frames: FrameStore, s3: S3ArchiveResource, mapped: FrameKey) -> Done:
    record = frames.require(mapped)
    with frames.local_file(mapped) as path:
        archived = s3.archive.archive(path, record, mapped.account, mapped.table, mapped.day)
    if frames.mark(mapped, S3_ARCHIVE, destinations()):
        frames.remove(mapped)
    return Done({
        "dagster/partition_row_count": record.table_rows,
        "dagster/uri": archived.uri,
        **object_links(s3, archived.uri),
        "bytes": record.bytes,
        "sha256": record.sha256,
        "data_through": record.data_through or "never synced",
        "mode": record.mode,
        "parts": len(record.parts),
        "written": "a new part" if archived.part_written else "nothing: the archive had this very part",
    })  # fmt: skip
