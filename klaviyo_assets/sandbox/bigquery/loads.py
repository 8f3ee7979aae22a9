"""Load jobs: Parquet files that were sent along with the request.

Here: reading a load's configuration, and its run. How rows get into a table is in `destinations`,
what a file holds in `parquet`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed, parquet
from klaviyo_assets.sandbox.bigquery.catalog import Catalog
from klaviyo_assets.sandbox.bigquery.destinations import Destination, RowFile, read_destination, write_file
from klaviyo_assets.sandbox.bigquery.errors import invalid
from klaviyo_assets.sandbox.bigquery.jobs import Outcome, Run
from klaviyo_assets.sandbox.bigquery.locations import check_datasets
from klaviyo_assets.sandbox.bigquery.schema import Column, read_schema
from klaviyo_assets.sandbox.bigquery.sizes import table_bytes
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef


@dataclass(frozen=True)
class Load:
    """A load as configured, before its file has arrived."""

    destination: Destination
    columns: list[Column] | None
    reading: parquet.Options


def read_load(configuration: Any) -> Load:
    """Check a job's `configuration.load`.

    Raises:
        ApiError: It asks for something that BigQuery refuses or the stand-in does not support.
    """
    allowed.check(configuration, allowed.LOAD, "configuration.load")
    if configuration.get("sourceFormat") is None:
        raise invalid("not supported by the local stand-in: a load without sourceFormat PARQUET")
    if configuration.get("destinationTable") is None:
        raise invalid("Required parameter is missing: configuration.load.destinationTable")
    fields = (configuration.get("schema") or {}).get("fields")
    options = configuration.get("parquetOptions") or {}
    reading = parquet.Options(
        bool(options.get("enableListInference")), tuple(configuration.get("decimalTargetTypes") or ())
    )
    columns = read_schema(fields, "configuration.load.schema.fields") if fields else None
    return Load(read_destination(configuration, "WRITE_APPEND"), columns, reading)


@dataclass(frozen=True)
class LoadWork:
    """What a load job does."""

    load: Load
    file: Path
    project: str
    location: str

    def targets(self) -> set[TableRef]:
        """Return the table it writes."""
        return {self.load.destination.address.ref}

    def run(self, run: Run) -> Outcome:
        """Load the file in the job's transaction.

        Raises:
            ApiError: The file does not fit; none of it was stored.
        """
        catalog = Catalog(run.cursor, self.project)
        catalog.dataset(self.load.destination.address.ref[1])
        check_datasets(catalog, [self.load.destination.address.ref[1]], self.location)
        nodes = parquet.read_nodes(run.cursor, self.file)
        in_file = parquet.columns_of_file(nodes, self.load.reading)
        columns = in_file
        if self.load.columns is not None:
            parquet.check_file(str(self.load.destination.address), nodes, in_file, self.load.columns)
            columns = self.load.columns
        rows_in_file = RowFile(self.file, in_file, columns)
        table, rows = write_file(catalog, self.load.destination, rows_in_file)
        statistics = {
            "inputFiles": "1",
            "inputFileBytes": str(self.file.stat().st_size),
            "outputRows": str(rows),
            "outputBytes": str(table_bytes(run.cursor, table, rows)),
            "badRecords": "0",
        }
        return Outcome({"load": statistics})

    def end(self) -> None:
        """Remove the file: it was uploaded for this job only."""
        self.file.unlink(missing_ok=True)
