"""What the UI shows about an asset's columns: names, types, meaning, and origin, back to the raw field.

Here: the standard metadata `dagster/column_schema` and `dagster/column_lineage`, on definitions: on materializations
they would be in the log of every partition. Not here: finding out what a column is built from (`reports/lineage.py`).

The open-source UI draws no graph of columns, so a column's description names and links what it is built from; readers
of `dagster/column_lineage` (Dagster+, the GraphQL API) find the same there.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.model.spec import PACKED, UNLISTED, Column, TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.lineage import Columns, made_of, raw_columns, raw_fields
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.stages.destinations import registered_destinations
from klaviyo_assets.stages.graph import BIGQUERY, EXTRACTED, FIVETRAN, MAPPED, PORTFOLIO, REPORT, VIEW, destinations
from klaviyo_assets.tables import TABLES

_SHOWN_RAW = 8
_UNNAMED = {
    UNLISTED: "Every raw column that has no name of its own here, as one JSON document.",
    "_fivetran_deleted": "Whether the row was deleted in Klaviyo.",
    PACKED: "The custom fields that Fivetran packs into one JSON column.",
}


def column_metadata(spec: TableSpec, stage: str) -> dict[str, Any]:
    """The schema and lineage of an asset whose columns a spec describes.

    Args:
        spec: A mapped table, report or view.
        stage: The asset's stage, such as `mapped` or `portfolio`.
    """
    back = _one_stage_back(spec, stage)
    columns = [_table_column(column, back.get(column.name, {}), _raw_of(spec, column.name)) for column in spec.columns]
    return _metadata(columns, back) | code_references(spec, stage)


def raw_column_metadata(table: TableSpec, stage: str) -> dict[str, Any]:
    """The schema and lineage of a raw table, and of the same table as extracted.

    Args:
        table: The table, with raw columns.
        stage: `fivetran` or `extracted`.
    """
    types = {column.name: column.type.value for column in table.raw}
    personal = {column.raw for column in table.columns if column.personal}
    becomes: dict[str, list[str]] = defaultdict(list)
    for name, sources in made_of(table).items():
        for _, raw in sources:
            becomes[raw].append(name)
    back: dict[str, Mapping[str, list[str]]] = {}
    columns = []
    for name in raw_columns(table):
        back[name] = {} if stage == FIVETRAN else {f"{FIVETRAN}/{table.name}": [name]}
        sentences = [
            _UNNAMED.get(name, ""),
            f"Becomes {_listed(becomes[name])} of {_link(f'{MAPPED}/{table.name}')}." if becomes[name] else "",
            f"From {_by_asset_listed(back[name])}." if back[name] else "",
        ]
        columns.append(
            dg.TableColumn(
                name, types.get(name, "STRING"), " ".join(filter(None, sentences)) or None,
                tags={"personal": ""} if name in personal else {},
            )
        )  # fmt: skip
    return _metadata(columns, back) | code_references(table, stage)


def _one_stage_back(spec: TableSpec, stage: str) -> dict[str, Mapping[str, list[str]]]:
    """For each column, the assets it is built from, with their columns."""
    if stage in destinations():
        return {column.name: {f"{MAPPED}/{spec.name}": [column.name]} for column in spec.columns}
    if stage == PORTFOLIO:
        return {column.name: {f"{stage_of(spec.name)}/{spec.name}": [column.name]} for column in spec.columns}
    return {name: _by_asset(sources, mapped=stage == MAPPED) for name, sources in made_of(spec).items()}


def _by_asset(sources: Columns, *, mapped: bool) -> dict[str, list[str]]:
    columns_by_asset: dict[str, list[str]] = defaultdict(list)
    for table, column in sorted(sources):
        columns_by_asset[f"{EXTRACTED if mapped else stage_of(table)}/{table}"].append(column)
    return columns_by_asset


def stage_of(name: str) -> str:
    """The stage that creates a table, report or view in BigQuery."""
    return VIEW if name in VIEWS else REPORT if name in REPORTS else BIGQUERY


def _raw_of(spec: TableSpec, column: str) -> Columns:
    is_of_the_graph = spec.name in REPORTS or spec.name in VIEWS or spec.name in TABLES
    return raw_fields(spec.name, column) if is_of_the_graph else frozenset()


def _table_column(column: Column, back: Mapping[str, list[str]], raw: Columns) -> dg.TableColumn:
    return dg.TableColumn(
        column.name, column.type.value, f"{column.description}{_origin(back, raw)}",
        constraints=dg.TableColumnConstraints(
            nullable=not column.required, other=[rule.description for rule in column.constraints]
        ),
        tags={"personal": ""} if column.personal else {},
    )  # fmt: skip


def _origin(back: Mapping[str, list[str]], raw: Columns) -> str:
    """A paragraph with links to the columns one stage back, and to the raw fields at the far end."""
    if not back:
        return "\n\nFrom the account's settings and the time of its last sync."
    sentences = f"\n\nFrom {_by_asset_listed(back)}."
    if raw and not all(asset.startswith(f"{EXTRACTED}/") for asset in back):
        sentences += f" Raw: {_by_asset_listed(_raw_by_asset(raw))}."
    return sentences


def _raw_by_asset(raw: Columns) -> dict[str, list[str]]:
    columns_by_asset: dict[str, list[str]] = defaultdict(list)
    for table, column in sorted(raw):
        columns_by_asset[f"{FIVETRAN}/{table}"].append(column)
    return columns_by_asset


def _by_asset_listed(columns: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{_link(asset)} {_listed(names)}" for asset, names in columns.items())


def _listed(names: Iterable[str]) -> str:
    quoted_names = list(names)
    text = ", ".join(f"`{name}`" for name in quoted_names[:_SHOWN_RAW])
    return f"{text} and {len(quoted_names) - _SHOWN_RAW} more" if len(quoted_names) > _SHOWN_RAW else text


def _link(asset: str) -> str:
    return f"[{asset}](/assets/{asset})"


def asset_tags(spec: TableSpec) -> dict[str, str]:
    """Tags for finding assets in the catalog: the date basis of a report, and whether columns hold personal data."""
    tags = {"klaviyo/personal_data": ""} if any(column.personal for column in spec.columns) else {}
    if isinstance(spec, ReportSpec):
        tags["klaviyo/date_basis"] = spec.date_basis.replace(" ", "_")
    return tags


def code_references(spec: TableSpec, stage: str) -> dict[str, Any]:
    """Links to the source code, for the UI on this machine: what the table means, and what its stage does.

    Args:
        spec: The asset's table, report or view.
        stage: The asset's stage.
    """
    package = Path(__file__).parents[1]
    folders = (package / "tables", package / "reports", package / "reports" / "views")
    declaration = next((path for folder in folders if (path := folder / f"{spec.name}.py").is_file()), None)
    files = {f"the stage {stage}": _stage_file(stage), f"the table {spec.name}": declaration}
    references = [
        dg.LocalFileCodeReference(file_path=str(path), line_number=1, label=label)
        for label, path in files.items() if path
    ]  # fmt: skip
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=references)}


def _stage_file(stage: str) -> Path:
    """The source file of a stage's work; a destination's may be in a package of its own."""
    if stage in destinations():
        return Path(inspect.getfile(registered_destinations()[stage].open))
    return Path(__file__).parent / "assets" / f"{stage}.py"


def _metadata(columns: list[dg.TableColumn], back: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
    lineage = {
        name: [
            dg.TableColumnDep(asset_key=dg.AssetKey(asset.split("/")), column_name=column)
            for asset, of_asset in assets.items() for column in of_asset
        ]
        for name, assets in back.items() if assets
    }  # fmt: skip
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        **({"dagster/column_lineage": dg.TableColumnLineage(lineage)} if lineage else {}),
    }
