"""Names of datasets, tables and partitions: what is legal, and what they are called in DuckDB.

Here: pure functions from the names in a request to checked names. Whether a name exists is the
catalog's business.
"""

import contextlib
import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.sandbox.bigquery.errors import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef

PARTITIONS_SUMMARY = "__PARTITIONS_SUMMARY__"

_PLAIN = re.compile(r"[A-Za-z0-9_]{1,1024}")
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")


@dataclass(frozen=True)
class TableAddress:
    """A table, or one day of it (`event$20240501`)."""

    ref: TableRef
    day: dt.date | None = None

    def __str__(self) -> str:
        """Return the address as BigQuery's messages write it."""
        project, dataset, table = self.ref
        return f"{project}:{dataset}.{table}" + (f"${self.day:%Y%m%d}" if self.day else "")


def dataset_id(text: str) -> str:
    """Check a dataset's name.

    Raises:
        ApiError: It holds anything but letters, digits and underscores.
    """
    if not _PLAIN.fullmatch(text):
        raise invalid(f'Invalid dataset ID "{text}". Dataset IDs must be alphanumeric (plus underscores).')
    return text


def job_id(text: str) -> str:
    """Check a job's name.

    Raises:
        ApiError: It holds anything but letters, digits, underscores and dashes.
    """
    if not _JOB_ID.fullmatch(text):
        raise invalid(f'Invalid job ID "{text}". Job IDs are letters, digits, underscores and dashes.')
    return text


def column_name(text: str) -> str:
    """Check a column's name.

    Raises:
        ApiError: It is not a plain identifier.
    """
    if not _COLUMN.fullmatch(text):
        raise invalid(
            f'Invalid field name "{text}". Fields must contain only letters, numbers, and underscores, '
            "start with a letter or underscore, and be at most 300 characters long."
        )
    return text


def table_address(project: str, dataset: str, table_id: str) -> TableAddress:
    """Read a table id, with or without a day's decorator.

    Raises:
        ApiError: The name or the decorator is not legal.
    """
    table, dollar, decorator = table_id.partition("$")
    if not _PLAIN.fullmatch(table):
        raise unsupported(f'table ID "{table_id}": use letters, digits and underscores')
    ref = (project, dataset_id(dataset), table)
    return TableAddress(ref, _day(decorator) if dollar else None)


def address_of(reference: dict[str, Any]) -> TableAddress:
    """Read a `tableReference` of a request body.

    Raises:
        ApiError: A part is missing or not legal.
    """
    try:
        return table_address(reference["projectId"], reference["datasetId"], reference["tableId"])
    except KeyError as missing:
        raise invalid(f"Required parameter is missing: {missing.args[0]} of a table reference") from missing


def reference(ref: TableRef) -> dict[str, str]:
    """Return the API's form of a table's name."""
    return {"projectId": ref[0], "datasetId": ref[1], "tableId": ref[2]}


def physical_name(ref: TableRef) -> str:
    """Return the DuckDB table that holds a BigQuery table (or one INFORMATION_SCHEMA view).

    A plain identifier, and a different one for each pair of names: the length of the dataset's name is in front,
    since both parts may hold underscores.
    """
    _, dataset, table = ref
    return f"t{len(dataset)}_{dataset}_{table.replace('.', '_')}"


def _day(decorator: str) -> dt.date:
    if re.fullmatch(r"\d{8}", decorator):
        with contextlib.suppress(ValueError):
            return dt.date(int(decorator[:4]), int(decorator[4:6]), int(decorator[6:]))
    raise invalid(
        f'Invalid time partitioning decorator "${decorator}": use the day as $YYYYMMDD; '
        "hours, months, ranges and __NULL__ are not supported by the local stand-in."
    )
