"""The endpoints of datasets: insert, get, list, patch, update, delete."""

import dataclasses
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed
from klaviyo_assets.sandbox.bigquery.calls import Call, Reply, Server, page
from klaviyo_assets.sandbox.bigquery.catalog import Catalog, Dataset
from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, precondition_failed, unsupported
from klaviyo_assets.sandbox.bigquery.names import dataset_id
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef

_TEXTS = {"description": "description", "friendlyName": "friendly_name"}


def insert(server: Server, call: Call) -> Reply:
    """Create a dataset."""
    body = allowed.check(call.body, allowed.DATASET, "dataset")
    name = dataset_id((body.get("datasetReference") or {}).get("datasetId") or "")
    dataset = with_changes(Dataset(name, body.get("location") or server.location), body)
    with server.locks.hold([lock_of(server, name)]), server.store.transaction() as cursor:
        Catalog(cursor, server.project).add_dataset(dataset)
    return Reply(_resource(server, dataset))


def get(server: Server, call: Call) -> Reply:
    """Return one dataset."""
    with server.store.snapshot() as cursor:
        return Reply(_resource(server, Catalog(cursor, server.project).dataset(call.path["dataset"])))


def list_all(server: Server, call: Call) -> Reply:
    """List the datasets."""
    if call.query.get("filter"):
        raise unsupported("the query parameter filter of datasets.list")
    with server.store.snapshot() as cursor:
        page_datasets, token = page(Catalog(cursor, server.project).datasets(), call)
    body: dict[str, Any] = {
        "kind": "bigquery#datasetList",
        "datasets": [_list_entry(server, one) for one in page_datasets],
    }
    return Reply(body | ({"nextPageToken": token} if token else {}))


def patch(server: Server, call: Call) -> Reply:
    """Change the fields that were sent."""
    return _change(server, call, keep=True)


def update(server: Server, call: Call) -> Reply:
    """Set all fields: what was not sent is emptied."""
    return _change(server, call, keep=False)


def delete(server: Server, call: Call) -> Reply:
    """Delete a dataset, and its tables if deleteContents is set."""
    name = call.path["dataset"]
    with server.store.snapshot() as cursor:
        inside = [table.ref for table in Catalog(cursor, server.project).tables(name)]
    with server.locks.hold([lock_of(server, name), *inside]), server.store.transaction() as cursor:
        catalog = Catalog(cursor, server.project)
        catalog.dataset(name)
        tables = catalog.tables(name)
        if tables and not call.switch("deleteContents"):
            raise ApiError(400, "resourceInUse", f"Dataset {server.project}:{name} is still in use")
        if not {table.ref for table in tables} <= set(inside):
            raise ApiError(400, "resourceInUse", f"Dataset {server.project}:{name} got a new table; delete it again")
        for table in tables:
            catalog.drop_table(table)
        catalog.remove_dataset(name)
    return Reply(status=204)


def lock_of(server: Server, name: str) -> TableRef:
    """Return the lock of a dataset."""
    return (server.project, name, "")


def labels_after(old_labels: dict[str, str], patch: dict[str, str | None] | None) -> dict[str, str]:
    """Apply a patch to labels: a null removes one."""
    labels = {**old_labels, **(patch or {})}
    return {name: value for name, value in labels.items() if value is not None}


def check_etag(call: Call, etag: str) -> None:
    """Compare the If-Match header with the resource's state.

    Raises:
        ApiError: 412 when the caller's state is older.
    """
    expected_etag = call.headers.get("if-match")
    if expected_etag not in (None, "*", etag):
        raise precondition_failed()


def with_changes(dataset: Dataset, body: dict[str, Any]) -> Dataset:
    """Return the dataset with the fields that were sent."""
    texts = {field: body[name] for name, field in _TEXTS.items() if name in body}
    return dataclasses.replace(dataset, **texts, labels=labels_after(dataset.labels, body.get("labels")))


def _change(server: Server, call: Call, *, keep: bool) -> Reply:
    body = allowed.check(call.body, allowed.DATASET, "dataset")
    name = call.path["dataset"]
    with server.locks.hold([lock_of(server, name)]), server.store.transaction() as cursor:
        catalog = Catalog(cursor, server.project)
        dataset = catalog.dataset(name)
        check_etag(call, dataset.etag)
        if body.get("location") not in (None, dataset.location):
            raise invalid(f"Cannot change the location of dataset {name} from {dataset.location}")
        base = dataset if keep else Dataset(name, dataset.location, created=dataset.created)
        return Reply(_resource(server, catalog.replace_dataset(with_changes(base, body))))


def _list_entry(server: Server, dataset: Dataset) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": "bigquery#dataset",
        "id": f"{server.project}:{dataset.name}",
        "datasetReference": {"projectId": server.project, "datasetId": dataset.name},
        "labels": dataset.labels,
        "location": dataset.location,
    }
    return entry | ({"friendlyName": dataset.friendly_name} if dataset.friendly_name is not None else {})


def _resource(server: Server, dataset: Dataset) -> dict[str, Any]:
    resource = _list_entry(server, dataset) | {
        "etag": dataset.etag,
        "selfLink": f"{server.root}/projects/{server.project}/datasets/{dataset.name}",
        "creationTime": str(dataset.created),
        "lastModifiedTime": str(dataset.modified),
        "type": "DEFAULT",
    }
    return resource | ({"description": dataset.description} if dataset.description is not None else {})
