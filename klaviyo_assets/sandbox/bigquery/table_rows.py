"""The endpoint tabledata.list: a table's rows in stored order, page by page."""

from typing import Any

import pyarrow as pa

from klaviyo_assets.sandbox.bigquery.calls import Call, Reply, Server, page_start
from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Table, count_rows, partitions
from klaviyo_assets.sandbox.bigquery.cells import rows_of
from klaviyo_assets.sandbox.bigquery.errors import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.names import PARTITIONS_SUMMARY, TableAddress, table_address
from klaviyo_assets.sandbox.bigquery.results import PAGE_ROWS, page_of
from klaviyo_assets.sandbox.bigquery.schema import Column, fields_of, find
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import Cursor
from klaviyo_assets.sandbox.bigquery.tables import SUMMARY_COLUMNS, address


def list_rows(server: Server, call: Call) -> Reply:
    """Return rows of a table or of one of its days, in the order they are stored."""
    if call.path["table"].endswith(f"${PARTITIONS_SUMMARY}"):
        return _list_partitions(server, call)
    where = address(server, call)
    with server.store.snapshot() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(where.ref[1])
        table = catalog.get_table(where.ref)
        if table.is_view:
            raise invalid(f"Cannot list a table of type VIEW: {table}")
        columns = _selected_columns(table.columns, call)
        start = _start(call, table)
        rows = page_of(_read(cursor, table, where, columns, start, call))
        total = count_rows(cursor, table, where.day)
    return _reply(call, columns, rows, total, start, table.etag)


def _list_partitions(server: Server, call: Call) -> Reply:
    name = call.path["table"].partition("$")[0]
    where = table_address(server.project, call.path["dataset"], name)
    with server.store.snapshot() as cursor:
        table = Catalog(cursor, server.project).get_table(where.ref)
        summaries = [_summary(table, identifier) for identifier, _ in partitions(cursor, table)]
    columns = _selected_columns(SUMMARY_COLUMNS, call)
    start = _start(call, table)
    count = call.number("maxResults")
    page_summaries = summaries[start : start + count] if count is not None else summaries[start:]
    kinds = {"STRING": pa.string(), "INTEGER": pa.int64()}
    schema = pa.schema([pa.field(column["name"], kinds[column["type"]]) for column in columns])
    return _reply(call, columns, pa.Table.from_pylist(page_summaries, schema=schema), len(summaries), start, table.etag)


def _summary(table: Table, identifier: str) -> dict[str, Any]:
    project, dataset, name = table.ref
    return {
        "project_id": project,
        "dataset_id": dataset,
        "table_id": name,
        "partition_id": identifier,
        "creation_time": table.created,
        "last_modified_time": table.modified,
    }


def _selected_columns(columns: list[Column], call: Call) -> list[Column]:
    names = [name for name in call.query.get("selectedFields", "").split(",") if name]
    if not names:
        return columns
    if any("." in name for name in names):
        raise unsupported("members of a RECORD in selectedFields: name the whole column")
    for name in names:
        if find(columns, name) is None:
            raise invalid(f"Invalid field name {name!r} in selectedFields")
    selected_names = {name.lower() for name in names}
    # In the table's order, whatever order was requested, as in BigQuery.
    return [column for column in columns if column["name"].lower() in selected_names]


def _start(call: Call, table: Table) -> int:
    token = call.query.get("pageToken")
    if not token:
        return page_start(call)
    etag, _, place = token.partition(".")
    if etag != table.etag or not place.isdecimal():
        # BigQuery goes on reading the old rows; the stand-in would mix old and new ones.
        raise invalid(f"Invalid page token: table {table} was changed while it was being read. Start again.")
    return int(place)


def _read(cursor: Cursor, table: Table, where: TableAddress, columns: list[Column], start: int, call: Call) -> pa.Table:
    limit = call.number("maxResults")
    count = PAGE_ROWS if limit is None else min(limit, PAGE_ROWS)
    names = ", ".join(quoted_name(column["name"]) for column in columns)
    condition = f" WHERE {table.day_sql()} = $day" if where.day else ""
    values = {"count": count, "start": start} | ({"day": where.day} if where.day else {})
    sql = f"SELECT {names} FROM {table.physical}{condition} LIMIT $count OFFSET $start"
    return cursor.sql(sql, params=values).to_arrow_table()


def _reply(call: Call, columns: list[Column], rows: pa.Table, total: int, start: int, etag: str) -> Reply:
    int64 = call.switch("formatOptions.useInt64Timestamp")
    body: dict[str, Any] = {
        "kind": "bigquery#tableDataList",
        "etag": etag,
        "totalRows": str(total),
        "rows": rows_of(rows, fields_of(columns), int64_timestamps=int64),
    }
    end = start + rows.num_rows
    return Reply(body | ({"pageToken": f"{etag}.{end}"} if rows.num_rows and end < total else {}))
