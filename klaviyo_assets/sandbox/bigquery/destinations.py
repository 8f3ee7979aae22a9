"""Putting the rows of a Parquet file into a table: what load jobs and query destinations have in common.

Here: write and create dispositions, day decorators, schema updates, partitioning and clustering of
the destination. Everything happens in the job's own transaction, so a job that fails changed nothing.
"""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Table, count_rows
from klaviyo_assets.sandbox.bigquery.errors import duplicate, invalid, not_found, unsupported
from klaviyo_assets.sandbox.bigquery.names import TableAddress, address_of
from klaviyo_assets.sandbox.bigquery.parquet import value_sql
from klaviyo_assets.sandbox.bigquery.schema import ADDITION, RELAXATION, Column, evolve, find
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import count_of

_MAX_CLUSTER_FIELDS = 4
_MAX_PARTITIONS = 4000
_WRONG_DAY = "Some rows belong to different partitions rather than destination partition"


@dataclass(frozen=True)
class RowFile:
    """A Parquet file on its way into a table.

    Attributes:
        path: The file.
        held_columns: The columns it holds, in BigQuery's types.
        columns: The schema it is written with: the job's own, or else the columns it holds.
    """

    path: Path
    held_columns: list[Column]
    columns: list[Column]


@dataclass(frozen=True)
class Destination:
    """Where a job's rows go, and how.

    Attributes:
        address: The table, or one day of it.
        write: The writeDisposition.
        create: The createDisposition.
        update_options: schemaUpdateOptions.
        partitioning: timePartitioning as sent, None when it was not.
        clustering: clustering as sent, None when it was not.
        properties: destinationTableProperties: description, friendlyName and labels of a new table.
    """

    address: TableAddress
    write: str
    create: str = "CREATE_IF_NEEDED"
    update_options: frozenset[str] = frozenset()
    partitioning: dict[str, Any] | None = None
    clustering: dict[str, Any] | None = None
    properties: dict[str, Any] = field(default_factory=dict)


def read_destination(configuration: dict[str, Any], default_write: str) -> Destination:
    """Read the destination of a load or query configuration.

    Raises:
        ApiError: A combination that BigQuery refuses.
    """
    destination = Destination(
        address_of(configuration["destinationTable"]),
        configuration.get("writeDisposition") or default_write,
        configuration.get("createDisposition") or "CREATE_IF_NEEDED",
        frozenset(configuration.get("schemaUpdateOptions") or ()),
        configuration.get("timePartitioning"),
        configuration.get("clustering"),
        configuration.get("destinationTableProperties") or {},
    )
    _check_update_options(destination)
    return destination


def _check_update_options(destination: Destination) -> None:
    unknown = destination.update_options - {ADDITION, RELAXATION}
    if unknown:
        raise invalid(f"Invalid schemaUpdateOptions {sorted(unknown)}; allowed: {ADDITION}, {RELAXATION}")
    truncates_all = destination.write == "WRITE_TRUNCATE" and destination.address.day is None
    if destination.update_options and (truncates_all or destination.write == "WRITE_EMPTY"):
        raise invalid(
            "Schema update options should only be specified with WRITE_APPEND disposition, with "
            "WRITE_TRUNCATE_DATA, or with WRITE_TRUNCATE disposition on a table partition."
        )


def partition_field(spec: dict[str, Any] | None, columns: Collection[Column]) -> str | None:
    """Return the column of a timePartitioning.

    Raises:
        ApiError: The column does not exist, or its type has no days.
    """
    if spec is None:
        return None
    if not spec.get("field"):
        raise unsupported("partitions by ingestion time: name a field in timePartitioning")
    column = find(columns, spec["field"])
    if column is None:
        raise invalid(f"The field specified for partitioning cannot be found in the schema: {spec['field']}")
    if column["type"] not in ("DATE", "TIMESTAMP", "DATETIME") or column["mode"] == "REPEATED":
        raise invalid(f"The field {column['name']} for time partitioning must be a DATE, TIMESTAMP or DATETIME.")
    return str(column["name"])


def cluster_fields(spec: dict[str, Any] | None, columns: Collection[Column]) -> tuple[str, ...]:
    """Return the columns of a clustering.

    Raises:
        ApiError: More than four, or a column that cannot be clustered by.
    """
    names = tuple((spec or {}).get("fields") or ())
    if len(names) > _MAX_CLUSTER_FIELDS:
        raise invalid(f"Too many clustering fields: {len(names)}; at most {_MAX_CLUSTER_FIELDS} are allowed.")
    for name in names:
        column = find(columns, name)
        if column is None:
            raise invalid(f"The field specified for clustering cannot be found in the schema: {name}")
        if column["mode"] == "REPEATED" or column["type"] in ("RECORD", "JSON", "FLOAT", "TIME", "BYTES"):
            raise invalid(f"Clustering is not supported on the field {name} of type {column['type']}.")
    return names


def write_file(catalog: Catalog, destination: Destination, file: RowFile) -> tuple[Table, int]:
    """Write the rows of a Parquet file to a destination.

    Args:
        catalog: Within the job's transaction.
        destination: The table or day to write to.
        file: The rows; a column of its schema that the file lacks is null.

    Returns:
        The table afterwards and the number of rows written.

    Raises:
        ApiError: The rows or the schema do not fit.
    """
    table = catalog.find_table(destination.address.ref)
    if table is None:
        table = _create(catalog, destination, file.columns)
    else:
        table = _make_room(catalog, destination, table, file.columns)
    if destination.address.day is None:
        _check_partition_count(catalog, table, file)
    rows = _insert(catalog, destination.address, table, file)
    return catalog.replace_table(table), rows


def _create(catalog: Catalog, destination: Destination, columns: list[Column]) -> Table:
    if destination.create == "CREATE_NEVER":
        raise not_found(f"Table {destination.address}")
    if destination.address.day and destination.partitioning is None:
        raise unsupported(f"creating {destination.address} without timePartitioning: create the table first")
    properties = destination.properties
    table = Table(
        destination.address.ref,
        columns,
        partition_field(destination.partitioning, columns),
        cluster_fields(destination.clustering, columns),
        description=properties.get("description"),
        friendly_name=properties.get("friendlyName"),
        labels=properties.get("labels") or {},
    )
    catalog.create_table(table)
    return table


def _make_room(catalog: Catalog, destination: Destination, table: Table, columns: list[Column]) -> Table:
    if table.is_view:
        raise invalid(f"Cannot write to {table}: it is a view.")
    _check_layout(destination, table, columns)
    day = destination.address.day
    if destination.write == "WRITE_EMPTY" and count_rows(catalog.cursor, table, day):
        raise duplicate(f"Table {destination.address}")
    if destination.write == "WRITE_TRUNCATE" and day is None:
        return _replace_whole(catalog, table, columns)
    evolution = evolve(str(table), table.columns, columns, destination.update_options)
    evolved_table = catalog.change_columns(table, evolution)
    if destination.write in ("WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA"):
        _empty(catalog, evolved_table, destination.address)
    return evolved_table


def _check_layout(destination: Destination, table: Table, columns: list[Column]) -> None:
    if destination.address.day:
        # Raises for a table without partitions.
        table.day_sql()
    all_columns = [*table.columns, *columns]
    partition_column = partition_field(destination.partitioning, all_columns)
    if partition_column is not None and partition_column != table.partition_field:
        raise invalid(
            f"Incompatible table partitioning specification of {table}: it has {table.partition_field or 'none'}, "
            f"the job has {partition_column}."
        )
    clusters = cluster_fields(destination.clustering, all_columns)
    if clusters and clusters != table.cluster_fields:
        raise invalid(
            f"Incompatible table clustering specification of {table}: it has {list(table.cluster_fields)}, "
            f"the job has {list(clusters)}."
        )


def _replace_whole(catalog: Catalog, table: Table, columns: list[Column]) -> Table:
    partition_field({"field": table.partition_field} if table.partition_field else None, columns)
    cluster_fields({"fields": table.cluster_fields}, columns)
    return catalog.recreate(dataclasses.replace(table, columns=columns))


def _empty(catalog: Catalog, table: Table, address: TableAddress) -> None:
    if address.day is None:
        catalog.cursor.execute(f"DELETE FROM {table.physical}")
    else:
        catalog.cursor.execute(f"DELETE FROM {table.physical} WHERE {table.day_sql()} = ?", [address.day])


def _check_partition_count(catalog: Catalog, table: Table, file: RowFile) -> None:
    column = find(file.held_columns, table.partition_field or "")
    if column is None:
        return
    sql = f"SELECT count(DISTINCT CAST({quoted_name(column['name'])} AS DATE)) FROM read_parquet(?)"
    days = count_of(catalog.cursor, sql, [str(file.path)])
    if days > _MAX_PARTITIONS:
        raise invalid(
            f"Too many partitions produced by query, allowed {_MAX_PARTITIONS}, "
            f"query modifies at least {days} partitions"
        )


def _insert(catalog: Catalog, address: TableAddress, table: Table, file: RowFile) -> int:
    values = [_value(column, file.held_columns, table, address) for column in table.columns]
    names = ", ".join(quoted_name(column["name"]) for column in table.columns)
    sql = f"INSERT INTO {table.physical} ({names}) SELECT {', '.join(values)} FROM read_parquet(?)"
    try:
        return count_of(catalog.cursor, sql, [str(file.path)])
    except duckdb.ConstraintException as fault:
        raise invalid(f"Error while reading data, error message: Required field cannot be null. {fault}") from fault
    except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as fault:
        raise invalid(_plain(fault)) from fault


def _value(target: Column, held_columns: list[Column], table: Table, address: TableAddress) -> str:
    source = find(held_columns, target["name"])
    value = value_sql(quoted_name(source["name"]) if source else "NULL", source, target)
    if address.day is None or target["name"] != table.partition_field:
        return value
    day = f"CAST({value} AT TIME ZONE 'UTC' AS DATE)" if target["type"] == "TIMESTAMP" else f"CAST({value} AS DATE)"
    # Rows are checked while they are written: the file is read only once, and a failure undoes everything.
    belongs = f"{day} IS NOT DISTINCT FROM DATE '{address.day:%Y-%m-%d}'"
    return f"CASE WHEN {belongs} THEN {value} ELSE error('{_WRONG_DAY} {address}') END"


def _plain(fault: duckdb.Error) -> str:
    """Drop the class name that DuckDB puts in front of a message."""
    return str(fault).partition(": ")[2] or str(fault)
