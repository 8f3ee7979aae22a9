"""The closed lists: which fields of a request the stand-in understands.

Here: the lists and the walk that refuses everything else by name. A field that is silently ignored
would make a local run pass where BigQuery does something else.
"""

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.sandbox.bigquery.errors import invalid, unsupported

Shape = Mapping[str, Any]
"""Field name -> None (any value), a tuple (the values allowed) or a Shape (a nested object)."""

TABLE_REFERENCE: Shape = {"projectId": None, "datasetId": None, "tableId": None}
DATASET_REFERENCE: Shape = {"projectId": None, "datasetId": None}
TIME_PARTITIONING: Shape = {
    "type": ("DAY",),
    "field": None,
    # The client's TimePartitioning sends its unset options as null.
    "expirationMs": (None,),
    "requirePartitionFilter": (None, False),
}
CLUSTERING: Shape = {"fields": None}
SCHEMA: Shape = {"fields": None}
WRITE = ("WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA", "WRITE_APPEND", "WRITE_EMPTY")
CREATE = ("CREATE_IF_NEEDED", "CREATE_NEVER")

DATASET: Shape = {
    "kind": None,
    "id": None,
    "etag": None,
    "selfLink": None,
    "datasetReference": DATASET_REFERENCE,
    "location": None,
    "description": None,
    "friendlyName": None,
    "labels": None,
    "creationTime": None,
    "lastModifiedTime": None,
    "type": ("DEFAULT",),
}

TABLE: Shape = {
    "kind": None,
    "id": None,
    "etag": None,
    "selfLink": None,
    "tableReference": TABLE_REFERENCE,
    "location": None,
    "description": None,
    "friendlyName": None,
    "labels": None,
    "schema": SCHEMA,
    "timePartitioning": TIME_PARTITIONING,
    "clustering": CLUSTERING,
    "view": {"query": None, "useLegacySql": (False,)},
    "expirationTime": (None,),
    "requirePartitionFilter": (None, False),
    "creationTime": None,
    "lastModifiedTime": None,
    "numRows": None,
    "numBytes": None,
    "numLongTermBytes": None,
    "type": ("TABLE", "VIEW"),
}

LOAD: Shape = {
    "destinationTable": TABLE_REFERENCE,
    "sourceFormat": ("PARQUET",),
    "schema": SCHEMA,
    "writeDisposition": WRITE,
    "createDisposition": CREATE,
    "schemaUpdateOptions": None,
    "timePartitioning": TIME_PARTITIONING,
    "clustering": CLUSTERING,
    "destinationTableProperties": {"description": None, "friendlyName": None, "labels": None},
    "parquetOptions": {"enableListInference": None, "enumAsString": (False,)},
    "decimalTargetTypes": None,
    "autodetect": (None, False),
    "ignoreUnknownValues": (None, False),
    "maxBadRecords": (None, 0),
}

QUERY: Shape = {
    "query": None,
    "useLegacySql": (False,),
    "destinationTable": TABLE_REFERENCE,
    "writeDisposition": WRITE,
    "createDisposition": CREATE,
    "schemaUpdateOptions": None,
    "timePartitioning": TIME_PARTITIONING,
    "clustering": CLUSTERING,
    "parameterMode": ("NAMED",),
    "queryParameters": None,
    "defaultDataset": DATASET_REFERENCE,
    "maximumBytesBilled": None,
    "useQueryCache": None,
    "priority": ("INTERACTIVE", "BATCH"),
}

JOB: Shape = {
    "jobReference": {"projectId": None, "jobId": None, "location": None},
    "configuration": {"load": LOAD, "query": QUERY, "dryRun": None, "labels": None, "jobType": None},
}

QUERY_CALL: Shape = {
    **{name: QUERY[name] for name in ("query", "useLegacySql", "parameterMode", "queryParameters")},
    **{name: QUERY[name] for name in ("defaultDataset", "maximumBytesBilled", "useQueryCache")},
    "kind": None,
    "maxResults": None,
    "timeoutMs": None,
    "dryRun": None,
    "location": None,
    "labels": None,
    "requestId": None,
    "formatOptions": {"useInt64Timestamp": None, "timestampOutputFormat": ("INT64", "FLOAT64")},
    "jobCreationMode": ("JOB_CREATION_REQUIRED", "JOB_CREATION_OPTIONAL", "JOB_CREATION_MODE_UNSPECIFIED"),
}


def check(body: Any, shape: Shape, where: str) -> dict[str, Any]:
    """Refuse the request if it has a field that the stand-in does not understand.

    Args:
        body: A JSON object as received.
        shape: What may be in it.
        where: How messages call the object, like `configuration.load`.

    Returns:
        The same object.

    Raises:
        ApiError: A field or value is outside the subset; the message names it.
    """
    if not isinstance(body, dict):
        raise invalid(f"{where} has to be a JSON object, not {type(body).__name__}")
    for name, value in body.items():
        path = f"{where}.{name}"
        if name not in shape:
            raise unsupported(f"the field {path}")
        _check_value(value, shape[name], path)
    return body


def _check_value(value: Any, rule: Any, path: str) -> None:
    if isinstance(rule, Mapping) and value is not None:
        check(value, rule, path)
    elif isinstance(rule, tuple) and value not in rule:
        choices = ", ".join(str(choice) for choice in rule if choice is not None)
        raise unsupported(f"{path} = {value!r}; supported: {choices}")
