"""The endpoints of tables and views: insert, get, list, patch, update, delete."""

import dataclasses
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed
from klaviyo_assets.sandbox.bigquery.calls import Call, Reply, Server, page
from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Table, count_rows
from klaviyo_assets.sandbox.bigquery.datasets import check_etag, labels_after
from klaviyo_assets.sandbox.bigquery.destinations import cluster_fields, partition_field
from klaviyo_assets.sandbox.bigquery.errors import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.names import PARTITIONS_SUMMARY, TableAddress, address_of, reference, table_address
from klaviyo_assets.sandbox.bigquery.queries import Query, plan
from klaviyo_assets.sandbox.bigquery.schema import (
    ADDITION,
    RELAXATION,
    Column,
    columns_of,
    evolve,
    find,
    mismatch,
    read_schema,
)
from klaviyo_assets.sandbox.bigquery.sizes import table_bytes

SUMMARY_COLUMNS: list[Column] = [
    {"name": name, "type": kind, "mode": "NULLABLE"}
    for name, kind in (
        ("project_id", "STRING"),
        ("dataset_id", "STRING"),
        ("table_id", "STRING"),
        ("partition_id", "STRING"),
        ("creation_time", "INTEGER"),
        ("last_modified_time", "INTEGER"),
    )
]
"""The columns of the meta table `t$__PARTITIONS_SUMMARY__`."""

_TEXTS = {"description": "description", "friendlyName": "friendly_name"}


def address(server: Server, call: Call) -> TableAddress:
    """Return the table or day that a request's path names."""
    return table_address(server.project, call.path["dataset"], call.path["table"])


def insert(server: Server, call: Call) -> Reply:
    """Create a table or a view."""
    body = allowed.check(call.body, allowed.TABLE, "table")
    where = address_of({**(body.get("tableReference") or {}), **_path_reference(server, call)})
    if where.day:
        raise invalid(f"Invalid table ID {where}: a partition decorator cannot be created")
    with server.locks.writing([where.ref], lambda _: False), server.store.transaction() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(where.ref[1])
        catalog.create_table(_new_table(catalog, where, body))
        return Reply(_resource(server, catalog, catalog.get_table(where.ref), where))


def get(server: Server, call: Call) -> Reply:
    """Return a table, a view, one day of a table, or the description of its list of partitions."""
    name, _, decorator = call.path["table"].partition("$")
    summary = decorator == PARTITIONS_SUMMARY
    where = table_address(server.project, call.path["dataset"], name if summary else call.path["table"])
    with server.store.snapshot() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(where.ref[1])
        table = catalog.get_table(where.ref)
        resource = _resource(server, catalog, table, where)
    if summary:
        table.day_sql()
        resource |= {
            "schema": {"fields": SUMMARY_COLUMNS},
            "tableReference": {**reference(where.ref), "tableId": call.path["table"]},
        }
    return Reply(resource)


def list_all(server: Server, call: Call) -> Reply:
    """List a dataset's tables and views."""
    with server.store.snapshot() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(call.path["dataset"])
        tables = catalog.tables(call.path["dataset"])
    page_tables, token = page(tables, call)
    body: dict[str, Any] = {
        "kind": "bigquery#tableList",
        "totalItems": len(tables),
        "tables": [_list_entry(table) for table in page_tables],
    }
    return Reply(body | ({"nextPageToken": token} if token else {}))


def patch(server: Server, call: Call) -> Reply:
    """Change the fields that were sent."""
    return _change(server, call, keep=True)


def update(server: Server, call: Call) -> Reply:
    """Set all fields: what was not sent is emptied."""
    return _change(server, call, keep=False)


def delete(server: Server, call: Call) -> Reply:
    """Delete a table or view, or the rows of one day."""
    where = address(server, call)
    with server.locks.hold([where.ref]), server.store.transaction() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(where.ref[1])
        table = catalog.get_table(where.ref)
        if where.day is None:
            catalog.drop_table(table)
        else:
            cursor.execute(f"DELETE FROM {table.physical} WHERE {table.day_sql()} = ?", [where.day])
            catalog.replace_table(table)
    return Reply(status=204)


def _path_reference(server: Server, call: Call) -> dict[str, str]:
    return {"projectId": server.project, "datasetId": call.path["dataset"]}


def _new_table(catalog: Catalog, where: TableAddress, body: dict[str, Any]) -> Table:
    view = (body.get("view") or {}).get("query")
    if body.get("view") and not view:
        raise invalid("Required parameter is missing: view.query")
    if view:
        columns = _view_columns(catalog, view, where.ref[1])
    else:
        columns = read_schema((body.get("schema") or {}).get("fields") or [])
        if not columns:
            raise unsupported(f"a table without columns ({where}): send its schema")
    table = Table(
        where.ref,
        columns,
        partition_field(body.get("timePartitioning"), columns),
        cluster_fields(body.get("clustering"), columns),
        view,
    )
    return _with_description(table, body)


def _view_columns(catalog: Catalog, query: str, dataset: str) -> list[Column]:
    location = catalog.dataset(dataset).location
    statements = plan(Query(query), catalog, location).statements
    if len(statements) != 1 or statements[0].kind != "SELECT":
        raise invalid("A view's query has to be one SELECT statement")
    return columns_of(statements[0].schema)


def _with_description(table: Table, body: dict[str, Any]) -> Table:
    texts = {field: body[name] for name, field in _TEXTS.items() if name in body}
    return dataclasses.replace(table, **texts, labels=labels_after(table.labels, body.get("labels")))


def _change(server: Server, call: Call, *, keep: bool) -> Reply:
    body = allowed.check(call.body, allowed.TABLE, "table")
    where = address(server, call)
    if where.day:
        raise invalid(f"Cannot change the metadata of the partition {where}")
    with server.locks.hold([where.ref]), server.store.transaction() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(where.ref[1])
        table = catalog.get_table(where.ref)
        check_etag(call, table.etag)
        _check_layout(table, body)
        base = table if keep else dataclasses.replace(table, description=None, friendly_name=None, labels={})
        fresh = catalog.replace_table(_with_description(_reshaped(catalog, base, body), body))
        return Reply(_resource(server, catalog, fresh, where))


def _check_layout(table: Table, body: dict[str, Any]) -> None:
    """Refuse a change of partitioning or clustering, which would have to move rows."""
    spec = body.get("timePartitioning")
    if spec is not None and partition_field(spec, table.columns) != table.partition_field:
        raise invalid(f"Cannot change the partitioning of table {table}: it has {table.partition_field or 'none'}")
    clustering = body.get("clustering")
    if clustering is not None and cluster_fields(clustering, table.columns) != table.cluster_fields:
        raise unsupported(f"changing the clustering of table {table} from {list(table.cluster_fields)}")


def _reshaped(catalog: Catalog, table: Table, body: dict[str, Any]) -> Table:
    if table.is_view:
        query = (body.get("view") or {}).get("query")
        if query is None or query == table.view_query:
            return table
        return dataclasses.replace(table, view_query=query, columns=_view_columns(catalog, query, table.ref[1]))
    sent_fields = (body.get("schema") or {}).get("fields")
    if sent_fields is None:
        return table
    columns = read_schema(sent_fields)
    for column in table.columns:
        if find(columns, column["name"]) is None:
            raise mismatch(str(table), f"Field {column['name']} is missing in new schema")
    evolution = evolve(str(table), table.columns, columns, {ADDITION, RELAXATION})
    evolved_table = catalog.change_columns(table, evolution)
    # The order is the table's, descriptions are the new ones.
    described_columns = [find(columns, column["name"]) or column for column in evolved_table.columns]
    return dataclasses.replace(evolved_table, columns=described_columns)


def _list_entry(table: Table) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": "bigquery#table",
        "id": str(table),
        "tableReference": reference(table.ref),
        "type": "VIEW" if table.is_view else "TABLE",
        "labels": table.labels,
        "creationTime": str(table.created),
    }
    if table.partition_field:
        entry["timePartitioning"] = {"type": "DAY", "field": table.partition_field}
    if table.cluster_fields:
        entry["clustering"] = {"fields": list(table.cluster_fields)}
    if table.is_view:
        entry["view"] = {"useLegacySql": False}
    return entry | ({"friendlyName": table.friendly_name} if table.friendly_name is not None else {})


def _resource(server: Server, catalog: Catalog, table: Table, where: TableAddress) -> dict[str, Any]:
    rows = count_rows(catalog.cursor, table, where.day)
    project, dataset, name = table.ref
    resource = _list_entry(table) | {
        "etag": table.etag,
        "selfLink": f"{server.root}/projects/{project}/datasets/{dataset}/tables/{name}",
        "schema": {"fields": table.columns},
        "numRows": str(rows),
        "numBytes": str(table_bytes(catalog.cursor, table, rows)),
        "numLongTermBytes": "0",
        "lastModifiedTime": str(table.modified),
        "location": catalog.dataset(dataset).location,
    }
    if table.is_view:
        resource["view"] = {"query": table.view_query, "useLegacySql": False}
    return resource | ({"description": table.description} if table.description is not None else {})
