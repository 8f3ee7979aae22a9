"""Addresses of pages in the consoles of Google and Amazon."""

from urllib.parse import quote

_BIGQUERY = "https://console.cloud.google.com/bigquery"
_S3 = "https://console.aws.amazon.com/s3/object"


def bigquery_url(project: str, dataset: str, table: str) -> str:
    """Address of a table in BigQuery's console."""
    p, d, t = (quote(part, safe="") for part in (project, dataset, table))
    return f"{_BIGQUERY}?project={p}&ws=!1m5!1m4!4m3!1s{p}!2s{d}!3s{t}"


def s3_url(uri: str) -> str:
    """Address of an object in S3's console.

    Args:
        uri: `s3://bucket/key`.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return f"{_S3}/{quote(bucket, safe='')}?prefix={quote(key, safe='')}"
