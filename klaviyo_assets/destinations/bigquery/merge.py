"""Merging a delta into a BigQuery table, and the checksum of a table.

Here: the staging load and the MERGE, and the checksum of a table's keys, sync times and delete marks. Not here: when a
table is loaded whole instead, and the same checksum in Postgres (`source/changes.py`).
"""

from collections.abc import Sequence
from pathlib import Path

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset, Loaded
from klaviyo_assets.model.googlesql import column_list, quoted
from klaviyo_assets.model.spec import TableSpec

_JOINED = " || '|' || "


def merge(dataset: BigQueryDataset, spec: TableSpec, path: Path, rows: int, job_id: str) -> Loaded:
    """Replace or add rows of a table by their key, in one statement.

    A crash leaves the table either unchanged or merged, and at most a staging table that the next merge overwrites.

    Args:
        dataset: The account's dataset.
        spec: The table; it must exist.
        path: A mapped Parquet file of the changed rows, each key once.
        rows: How many rows the file has.
        job_id: Id of the staging load.
    """
    target = f"{dataset.qualified}.{spec.name}"
    if not rows:
        return Loaded(target, "nothing to merge", 0)
    staging = f"_staging_{spec.name}"
    try:
        dataset.stage(spec, staging, path, rows, job_id)
        dataset.query(merge_statement(spec, staging))
    finally:
        dataset.drop(staging)
    return Loaded(target, job_id, rows)


def merge_statement(spec: TableSpec, staging: str) -> str:
    """GoogleSQL that replaces or adds the rows of a staging table by their key."""
    names = column_list(spec.column_names)
    same = " AND ".join(f"kept.{name} = fresh.{name}" for name in map(quoted, spec.key))
    assignments = ", ".join(
        f"{quoted(name)} = fresh.{quoted(name)}" for name in spec.column_names if name not in spec.key
    )
    return (
        f"MERGE {quoted(spec.name)} AS kept USING (SELECT {names} FROM {quoted(staging)}) AS fresh ON {same} "
        f"WHEN MATCHED THEN UPDATE SET {assignments} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({names})"
    )


def checksum(dataset: BigQueryDataset, spec: TableSpec, without: Sequence[str] = ()) -> tuple[int, int]:
    """The row count of a table, and the checksum of keys, sync times and delete marks; reads only these columns.

    Args:
        dataset: The account's dataset.
        spec: The table.
        without: Keys to leave out, parts joined with `|`.
    """
    parameters = {"without": ("ARRAY<STRING>", list(without))} if without else None
    (row,) = dataset.query(checksum_statement(spec, leaves_out=bool(without)), parameters)
    return row.n, int(row.total or 0)


def checksum_statement(spec: TableSpec, *, leaves_out: bool) -> str:
    """GoogleSQL that counts and sums up the rows of a table, or those whose key is not in `@without`."""
    key = _JOINED.join(quoted(name) for name in spec.key)
    parts = [key, "COALESCE(CAST(UNIX_MICROS(synced_at) AS STRING), '')"]
    if "is_deleted" in spec.column_names:
        parts.append("CAST(is_deleted AS STRING)")
    bits = f"CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5({_JOINED.join(parts)})), 1, 15)) AS INT64)"
    condition = f" WHERE {key} NOT IN (SELECT one FROM UNNEST(@without) AS one)" if leaves_out else ""
    return f"SELECT COUNT(*) AS n, SUM(CAST({bits} AS NUMERIC)) AS total FROM {quoted(spec.name)}{condition}"
