"""The rows of the INFORMATION_SCHEMA views, made from the catalog when a query reads one.

Here: the rows. Which views and columns there are is in `sql.information_schema`.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Table, count_rows, partitions
from klaviyo_assets.sandbox.bigquery.schema import Column
from klaviyo_assets.sandbox.bigquery.sizes import table_bytes
from klaviyo_assets.sandbox.bigquery.sql.information_schema import COLUMNS
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef

Values = dict[str, Any]

_ARROW = {"STRING": pa.string(), "INTEGER": pa.int64(), "TIMESTAMP": pa.timestamp("us", "UTC")}
_SQL_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


def rows_of_view(catalog: Catalog, ref: TableRef) -> pa.Table:
    """Return all rows of one dataset's view, typed as BigQuery types them."""
    _, dataset, view = ref
    catalog.dataset(dataset)
    schema = pa.schema([pa.field(field.name, _ARROW[field.type]) for field in COLUMNS[view]])
    rows = [
        {**_name_values(table), **values} for table in catalog.tables(dataset) for values in _ROWS[view](catalog, table)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _name_values(table: Table) -> Values:
    project, dataset, name = table.ref
    return {"table_catalog": project, "table_schema": dataset, "table_name": name}


def _table_rows(_: Catalog, table: Table) -> Iterator[Values]:
    yield {
        "table_type": "VIEW" if table.is_view else "BASE TABLE",
        "is_insertable_into": "NO" if table.is_view else "YES",
        "is_typed": "NO",
        "creation_time": _moment(table.created),
    }


def _column_rows(_: Catalog, table: Table) -> Iterator[Values]:
    for place, column in enumerate(table.columns, start=1):
        name = column["name"]
        clustered = table.cluster_fields.index(name) + 1 if name in table.cluster_fields else None
        yield {
            "column_name": name,
            "ordinal_position": place,
            "is_nullable": "YES" if column["mode"] == "NULLABLE" else "NO",
            "data_type": sql_type(column),
            "is_hidden": "NO",
            "is_partitioning_column": "YES" if name == table.partition_field else "NO",
            "clustering_ordinal_position": clustered,
        }


def _partition_rows(catalog: Catalog, table: Table) -> Iterator[Values]:
    if table.is_view:
        return
    whole = [(None, count_rows(catalog.cursor, table))]
    for identifier, rows in partitions(catalog.cursor, table) if table.partition_field else whole:
        yield {
            "partition_id": identifier,
            "total_rows": rows,
            "total_logical_bytes": table_bytes(catalog.cursor, table, rows),
            "last_modified_time": _moment(table.modified),
            "storage_tier": "ACTIVE",
        }


def _view_rows(_: Catalog, table: Table) -> Iterator[Values]:
    if table.is_view:
        yield {"view_definition": table.view_query, "use_standard_sql": "YES"}


_ROWS: dict[str, Callable[[Catalog, Table], Iterator[Values]]] = {
    "INFORMATION_SCHEMA.TABLES": _table_rows,
    "INFORMATION_SCHEMA.COLUMNS": _column_rows,
    "INFORMATION_SCHEMA.PARTITIONS": _partition_rows,
    "INFORMATION_SCHEMA.VIEWS": _view_rows,
}


def sql_type(column: Column) -> str:
    """Return a column's type as GoogleSQL spells it, such as ARRAY<STRUCT<a INT64>>."""
    name: str = _SQL_NAMES.get(column["type"]) or column["type"]
    if column["type"] == "RECORD":
        name += "<" + ", ".join(f"{member['name']} {sql_type(member)}" for member in column["fields"]) + ">"
    return f"ARRAY<{name}>" if column["mode"] == "REPEATED" else name


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC)
