"""The supported INFORMATION_SCHEMA views and their columns.

A query's `reads` names such a view as (project, dataset, "INFORMATION_SCHEMA.TABLES"); whoever runs the
statement provides a relation of that name with exactly these columns, in BigQuery's types.
"""

from klaviyo_assets.sandbox.bigquery.sql.model import Field, unsupported

PREFIX = "INFORMATION_SCHEMA."


def _fields(**columns: str) -> tuple[Field, ...]:
    return tuple(Field(name, kind) for name, kind in columns.items())


COLUMNS: dict[str, tuple[Field, ...]] = {
    "INFORMATION_SCHEMA.TABLES": _fields(
        table_catalog="STRING",
        table_schema="STRING",
        table_name="STRING",
        table_type="STRING",
        is_insertable_into="STRING",
        is_typed="STRING",
        creation_time="TIMESTAMP",
        ddl="STRING",
    ),
    "INFORMATION_SCHEMA.COLUMNS": _fields(
        table_catalog="STRING",
        table_schema="STRING",
        table_name="STRING",
        column_name="STRING",
        ordinal_position="INTEGER",
        is_nullable="STRING",
        data_type="STRING",
        is_hidden="STRING",
        is_partitioning_column="STRING",
        clustering_ordinal_position="INTEGER",
    ),
    "INFORMATION_SCHEMA.PARTITIONS": _fields(
        table_catalog="STRING",
        table_schema="STRING",
        table_name="STRING",
        partition_id="STRING",
        total_rows="INTEGER",
        total_logical_bytes="INTEGER",
        last_modified_time="TIMESTAMP",
        storage_tier="STRING",
    ),
    "INFORMATION_SCHEMA.VIEWS": _fields(
        table_catalog="STRING",
        table_schema="STRING",
        table_name="STRING",
        view_definition="STRING",
        check_option="STRING",
        use_standard_sql="STRING",
    ),
}


def columns(view: str) -> tuple[Field, ...]:
    """Columns of a view, named as in `COLUMNS`.

    Raises:
        SqlError: The view is not supported.
    """
    if view not in COLUMNS:
        raise unsupported(f"the view {view}; there are {', '.join(sorted(COLUMNS))}")
    return COLUMNS[view]
