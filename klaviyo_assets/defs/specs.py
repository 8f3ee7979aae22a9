"""The spec of a table's, report's or view's asset: what follows from its stage and its kind, stated once.

Here: keys, dependencies, descriptions, tags and metadata of definitions. Not here: what a step does with an asset
(`defs/assets/`), and the columns (`defs/columns.py`).
"""

from collections.abc import Mapping, Set
from typing import Any

import dagster as dg

from klaviyo_assets.defs.columns import asset_tags, column_metadata, raw_column_metadata, stage_of
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views.spec import ViewSpec
from klaviyo_assets.stages.graph import BIGQUERY, EXTRACTED, FIVETRAN, MAPPED, PORTFOLIO, VIEW
from klaviyo_assets.tables import ATTRIBUTION, EVENT

_RAW = (FIVETRAN, EXTRACTED)


def asset_spec(
    stage: str, spec: TableSpec, partitions_def: dg.PartitionsDefinition | None, kinds: Set[str], *,
    description: str = "", is_table: bool = False, metadata: Mapping[str, Any] | None = None,
) -> dg.AssetSpec:  # fmt: skip
    """The spec of an asset.

    Args:
        stage: Its stage.
        spec: Its table, report or view.
        partitions_def: Its partitions; None if it has none.
        kinds: The kinds that the UI shows.
        description: Its description; by default what a row is, and what the spec says about it.
        is_table: Whether it is a table or view of the same name in BigQuery.
        metadata: Further metadata.
    """
    columns = raw_column_metadata if stage in _RAW else column_metadata
    return dg.AssetSpec(
        [stage, spec.name],
        deps=_deps(stage, spec),
        group_name=stage,
        kinds={*kinds},
        description=description or f"{spec.grain} {spec.description}",
        partitions_def=partitions_def,
        tags={} if stage in (VIEW, PORTFOLIO) else asset_tags(spec),
        metadata=columns(spec, stage) | ({"dagster/table_name": spec.name} if is_table else {}) | dict(metadata or {}),
        skippable=True,
    )


def _deps(stage: str, spec: TableSpec) -> list[list[str]]:
    """The assets that an asset is built from."""
    if stage == FIVETRAN:
        return []
    if stage == EXTRACTED:
        return [[FIVETRAN, spec.name]]
    if stage == MAPPED:
        # Attribution is built from a day's events and the touches that were read with them.
        return [[EXTRACTED, EVENT.name if spec is ATTRIBUTION else spec.name]]
    if stage == PORTFOLIO:
        return [[stage_of(spec.name), spec.name]]
    if isinstance(spec, ViewSpec):
        return [[stage_of(name), name] for name in spec.reads]
    return [[BIGQUERY, name] for name in spec.reads] if isinstance(spec, ReportSpec) else [[MAPPED, spec.name]]
