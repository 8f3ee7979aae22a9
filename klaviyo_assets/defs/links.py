"""Links from an asset's page to where its data are: the consoles of Google and Amazon.

Here: addresses. Not here: the link to Fivetran (`fivetran.py`) and to Looker Studio (`published.py`). A stand-in of the
sandbox has no console, so that there is no link.
"""

from typing import Any
from urllib.parse import quote

import dagster as dg

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.s3 import S3ArchiveResource

_BIGQUERY = "https://console.cloud.google.com/bigquery"
_S3 = "https://console.aws.amazon.com/s3/object"


def table_links(bigquery: BigQueryProjectResource, dataset: BigQueryDataset, table: str) -> dict[str, Any]:
    """The table's page in Google's console.

    Args:
        bigquery: The project.
        dataset: The account's dataset.
        table: A table or view of it.
    """
    if bigquery.is_stand_in:
        return {}
    return {"console": dg.MetadataValue.url(bigquery_url(bigquery.project, dataset.dataset, table))}


def bigquery_url(project: str, dataset: str, table: str) -> str:
    """Address of a table in BigQuery's console."""
    p, d, t = (quote(part, safe="") for part in (project, dataset, table))
    return f"{_BIGQUERY}?project={p}&ws=!1m5!1m4!4m3!1s{p}!2s{d}!3s{t}"


def object_links(s3: S3ArchiveResource, uri: str) -> dict[str, Any]:
    """The object's page in Amazon's console.

    Args:
        s3: The archive.
        uri: `s3://bucket/key`.
    """
    return {} if s3.is_elsewhere else {"console": dg.MetadataValue.url(s3_url(uri))}


def s3_url(uri: str) -> str:
    """Address of an object in S3's console."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return f"{_S3}/{quote(bucket, safe='')}?prefix={quote(key, safe='')}"
