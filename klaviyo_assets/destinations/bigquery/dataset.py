"""BigQuery: one dataset per account, mapped partitions loaded unchanged, and the ledger of what was loaded.

Here: the type map, table schemas, loads, and small bookkeeping tables. Not here: report SQL (`reports/`), and which
partition is loaded when.

A day is replaced by one load job into `table$YYYYMMDD` with WRITE_TRUNCATE: atomic, free and idempotent.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from klaviyo_assets.destinations.bigquery.errors import explained as explained
from klaviyo_assets.destinations.bigquery.pace import GOOGLE, Pace
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.frames.record import COMPRESSION
from klaviyo_assets.model.arrow import arrow_type
from klaviyo_assets.model.spec import Column, LogicalType, TableSpec
from klaviyo_assets.transport.time_limits import BIGQUERY_EARLIER_JOBS, BIGQUERY_JOB, BIGQUERY_PATIENCE

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.bigquery import Client, LoadJob, LoadJobConfig, SchemaField, Table

TYPES: Mapping[LogicalType, str] = {
    LogicalType.STRING: "STRING",
    LogicalType.JSON: "STRING",  # Parquet cannot be loaded into JSON columns
    LogicalType.INTEGER: "INTEGER",
    LogicalType.FLOAT: "FLOAT",
    LogicalType.NUMERIC: "NUMERIC",
    LogicalType.BOOLEAN: "BOOLEAN",
    LogicalType.TIMESTAMP: "TIMESTAMP",
    LogicalType.DATE: "DATE",
}
# How often an upload is repeated; Google's client offers no time limit for that.
_UPLOAD_REPETITIONS = 2
# The status codes for a job that already exists, and for an upload session that is gone.
_PERHAPS_SENT = {404, 409, 410}


@dataclass(frozen=True)
class Loaded:
    """The outcome of loading a partition."""

    table: str
    job_id: str
    rows: int


def schema_fields(columns: Sequence[Column]) -> "list[SchemaField]":
    """Columns as BigQuery declares them, with their descriptions."""
    from google.cloud.bigquery import SchemaField

    return [
        SchemaField(
            column.name, TYPES[column.type], "REQUIRED" if column.required else "NULLABLE",
            description=column.description[:1024],
        )
        for column in columns
    ]  # fmt: skip


@dataclass(frozen=True)
class BigQueryDataset:
    """One account's dataset.

    `resources/bigquery.py` sets the limits of the client's connections; the limits on retries and jobs are here.
    """

    client: "Client"
    dataset: str
    location: str = "US"
    patience_seconds: float = BIGQUERY_PATIENCE.seconds
    job_seconds: float = BIGQUERY_JOB.seconds
    pace: Pace = GOOGLE

    @property
    def retry(self) -> "Retry":
        """How long a call is retried after a transient error; the client's own ten minutes would hold up everything."""
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.patience_seconds)

    @property
    def qualified(self) -> str:
        """`project.dataset`."""
        return f"{self.project}.{self.dataset}"

    @property
    def project(self) -> str:
        """The Google Cloud project that the dataset is in."""
        return str(self.client.project)

    def ensure(self, description: str = "") -> None:
        """Create the dataset if it does not exist."""
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Dataset

        dataset = Dataset(self.qualified)
        dataset.location, dataset.description = self.location, description
        with explained(f"creating the dataset {self.qualified}"):
            try:
                # Reading does not count towards the rate limit on changes of datasets.
                self.client.get_dataset(self.qualified, retry=self.retry)
            except NotFound:
                self.client.create_dataset(dataset, exists_ok=True, retry=self.retry)

    def ensure_table(
        self, name: str, columns: Sequence[Column], *, description: str = "", day_column: str | None = None,
        cluster: Sequence[str] = (),
    ) -> "Table":  # fmt: skip
        """Create a table, or add the columns it lacks; no column is ever dropped.

        Raises:
            PermanentError: a column exists with a different type; the message says how to fix it.
        """
        with explained(f"preparing the table {self.qualified}.{name}"):
            table = self._existing(name)
            if table is None:
                self.pace.wait(f"{self.qualified}.{name}")
                stored_table = self._table(name, columns, description, day_column, cluster)
                table = self.client.create_table(stored_table, exists_ok=True, retry=self.retry)
            return self._with_columns(table, columns)

    def _existing(self, name: str) -> "Table | None":
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_table(f"{self.qualified}.{name}", retry=self.retry)
        except NotFound:
            return None

    def _table(
        self, name: str, columns: Sequence[Column], description: str, day_column: str | None, cluster: Sequence[str]
    ) -> "Table":
        from google.cloud.bigquery import Table, TimePartitioning

        table = Table(f"{self.qualified}.{name}", schema=schema_fields(columns))
        table.description = description
        if day_column:
            table.time_partitioning = TimePartitioning(field=day_column)
        if cluster:
            table.clustering_fields = list(cluster)
        return table

    def _with_columns(self, table: "Table", columns: Sequence[Column]) -> "Table":
        present = {field.name: field for field in table.schema}
        for column in columns:
            stored_field = present.get(column.name)
            if stored_field is not None and _api_type(stored_field.field_type) != TYPES[column.type]:
                raise PermanentError(
                    f"column {column.name!r} of {self.qualified}.{table.table_id} is {stored_field.field_type}, but "
                    f"this version writes {TYPES[column.type]}",
                    "Rename the table, then materialize its bigquery asset for every partition; the archive has "
                    "them all.",
                )
        missing = [column for column in columns if column.name not in present]
        if not missing:
            return table
        # A column that is added later cannot be REQUIRED: existing rows do not have it.
        table.schema = [*table.schema, *(_nullable(field) for field in schema_fields(missing))]
        self.pace.wait(f"{self.qualified}.{table.table_id}")
        return self.client.update_table(table, ["schema"], retry=self.retry)

    def prepare(self, spec: TableSpec) -> "Table":
        """The table of a spec, created or widened if needed."""
        return self.ensure_table(
            spec.name,
            spec.columns,
            description=f"{spec.grain} {spec.description}",
            day_column=spec.day_column,
            cluster=spec.cluster,
        )

    def stored_location(self) -> str | None:
        """Where BigQuery keeps the dataset, such as EU; None when there is no dataset."""
        from google.api_core.exceptions import NotFound

        with explained(f"looking at the dataset {self.qualified}"):
            try:
                return str(self.client.get_dataset(self.qualified, retry=self.retry).location or "US")
            except NotFound:
                return None

    def delete(self) -> None:
        """Delete the dataset and all its tables, if it is there."""
        with explained(f"deleting the dataset {self.qualified}"):
            self.client.delete_dataset(self.qualified, delete_contents=True, not_found_ok=True, retry=self.retry)

    def tables(self) -> dict[str, dict[str, str]]:
        """The labels of every table and view, by name; empty if there is no dataset."""
        from google.api_core.exceptions import NotFound

        with explained(f"listing the tables of {self.qualified}"):
            try:
                tables = self.client.list_tables(self.dataset, retry=self.retry)
                return {table.table_id: dict(table.labels) for table in tables}
            except NotFound:
                return {}

    def has_table(self, name: str) -> bool:
        """Whether a table exists. Much quicker than a query to learn that BigQuery is down."""
        with explained(f"looking for {self.qualified}.{name}"):
            return self._existing(name) is not None

    def row_count(self, name: str) -> int:
        """How many rows a table has, from its metadata."""
        with explained(f"looking at the table {self.qualified}.{name}"):
            return int(self.client.get_table(f"{self.qualified}.{name}", retry=self.retry).num_rows or 0)

    def load(self, spec: TableSpec, table: "Table", path: Path, rows: int, day: date | None, job_id: str) -> Loaded:
        """Replace one partition (or the whole table) with the rows of a mapped Parquet file.

        Args:
            spec: The table.
            table: The table in BigQuery, from `prepare`.
            path: The mapped file.
            rows: How many rows it has; loading a different number is an error.
            day: The day of a daily table; None replaces the table.
            job_id: Identifies run, step, partition and attempt; the same id never loads twice.

        Raises:
            TransientError: BigQuery could not be reached or gave up for a transient reason.
            PermanentError: it refused the rows.
        """
        target = f"{self.qualified}.{spec.name}" + (f"${day:%Y%m%d}" if day else "")
        return self._load(path, target, self._load_config(spec, table, day), rows, job_id)

    def stage(self, spec: TableSpec, name: str, path: Path, rows: int, job_id: str) -> Loaded:
        """Load a mapped Parquet file into a separate table, replacing its content."""
        from google.cloud.bigquery import LoadJobConfig

        config = LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_TRUNCATE", schema=schema_fields(spec.columns)
        )
        return self._load(path, f"{self.qualified}.{name}", config, rows, job_id)

    def _load(self, path: Path, target: str, config: "LoadJobConfig", rows: int, job_id: str) -> Loaded:
        with explained(f"loading {target}"):
            job = self.pace.send(target, job_id, lambda attempt: self._run_load(path, target, config, attempt))
        if job.output_rows != rows:
            raise PermanentError(
                f"loading {target}: the file has {rows} rows, but BigQuery reports {job.output_rows} (job "
                f"{job.job_id})",
                "Materialize the partition again.",
            )
        return Loaded(target, job.job_id, rows)

    def _load_config(self, spec: TableSpec, table: "Table", day: date | None) -> "LoadJobConfig":
        from google.cloud.bigquery import LoadJobConfig, TimePartitioning

        # The table's own modes win: a column that was added later is NULLABLE there.
        modes = {field.name: field for field in table.schema}
        config = LoadJobConfig(
            source_format="PARQUET",
            write_disposition="WRITE_TRUNCATE",
            schema=[modes[field.name] for field in schema_fields(spec.columns)],
        )
        if spec.cluster:
            config.clustering_fields = list(spec.cluster)
        if spec.day_column:
            config.time_partitioning = TimePartitioning(field=spec.day_column)
        if day is not None and len(table.schema) > len(spec.columns):
            config.schema = list(table.schema)
        return config

    def _run_load(self, path: Path, target: str, config: "LoadJobConfig", job_id: str) -> "LoadJob":
        with path.open("rb") as content:
            return self._send(content, path.stat().st_size, target, config, job_id)

    def _send(self, content: IO[bytes], size: int, target: str, config: "LoadJobConfig", job_id: str) -> "LoadJob":
        """Upload a file and wait for its job, which loads once, however often it is sent."""
        job = self._upload(content, size, target, config, job_id)
        job.result(timeout=self.job_seconds, retry=self.retry)
        return job

    def _upload(self, content: IO[bytes], size: int, target: str, config: "LoadJobConfig", job_id: str) -> "LoadJob":
        from google.api_core.exceptions import ClientError, NotFound

        try:
            return self.client.load_table_from_file(
                content, target, job_id=job_id, job_config=config, size=size, num_retries=_UPLOAD_REPETITIONS
            )
        except ClientError as error:
            if error.code not in _PERHAPS_SENT:
                raise
            # This very job was sent before and its answer was lost: its outcome counts. An upload session is gone when
            # its last chunk is sent a second time.
            try:
                return self.client.get_job(job_id, location=self.client.location, retry=self.retry)  # type: ignore[return-value]
            except NotFound:
                raise error from None

    def await_running(self, prefix: str, timeout_seconds: float = BIGQUERY_EARLIER_JOBS.seconds) -> None:
        """Wait for jobs of an earlier attempt at the same partitions: a late one must not overwrite a newer one.

        Raises:
            TransientError: a job still runs after `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        with explained("looking for running jobs"):
            for state in ("pending", "running"):
                for job in self.client.list_jobs(state_filter=state, max_results=1000, retry=self.retry):
                    if job.job_id.startswith(prefix):
                        job.result(timeout=max(1.0, deadline - time.monotonic()), retry=self.retry)

    def append(self, name: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], job_id: str) -> None:
        """Append a few rows to a bookkeeping table, all or none."""
        from google.cloud.bigquery import LoadJobConfig

        if not rows:
            return
        self.ensure_table(name, columns)
        config = LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_APPEND", schema=schema_fields(columns)
        )  # fmt: skip
        content, target = _parquet(columns, rows), f"{self.qualified}.{name}"

        def send(attempt: str) -> "LoadJob":
            content.seek(0)
            return self._send(content, content.getbuffer().nbytes, target, config, attempt)

        with explained(f"appending to {target}"):
            self.pace.send(target, job_id, send)

    def drop(self, name: str) -> None:
        """Delete a table if it exists."""
        with explained(f"deleting the table {self.qualified}.{name}"):
            self.client.delete_table(f"{self.qualified}.{name}", not_found_ok=True, retry=self.retry)

    def query(self, text: str, parameters: Mapping[str, tuple[str, Any]] | None = None, **options: Any) -> Any:
        """Run GoogleSQL and wait for it.

        Args:
            text: One statement or a script.
            parameters: Name -> (BigQuery type such as DATE or ARRAY<DATE>, value).
            options: Further fields of QueryJobConfig, such as `destination`.

        Returns:
            The client's row iterator.
        """
        from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

        query_parameters = []
        for name, (kind, value) in (parameters or {}).items():
            inner = re.fullmatch(r"ARRAY<(\w+)>", kind)
            query_parameters.append(
                ArrayQueryParameter(name, inner[1], value) if inner else ScalarQueryParameter(name, kind, value)
            )
        config = QueryJobConfig(query_parameters=query_parameters, default_dataset=self.qualified, **options)
        with explained(f"querying {self.qualified}"):
            # The client's own `job_retry` would try a server that is gone for ten minutes; the stages retry instead.
            job = self.client.query(text, job_config=config, retry=self.retry, job_retry=None)
            rows = job.result(timeout=self.job_seconds, retry=self.retry)
        _explain_pages(rows, f"reading rows from {self.qualified}")
        return rows

    def statement_kind(self, text: str) -> str | None:
        """BigQuery's type of a statement, such as SELECT or SCRIPT, from a dry run, which runs nothing."""
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(default_dataset=self.qualified, dry_run=True, use_query_cache=False)
        with explained(f"asking {self.qualified} what the statement is"):
            job = self.client.query(text, job_config=config, retry=self.retry, job_retry=None)
        kind: str | None = job.statement_type
        return kind


def _explain_pages(rows: Any, action: str) -> None:
    """Explain the errors of later pages too, which are fetched while the rows are read."""
    ask = getattr(rows, "api_request", None)
    if ask is None:
        return

    def explaining(*arguments: Any, **options: Any) -> Any:
        with explained(action):
            return ask(*arguments, **options)

    rows.api_request = explaining


def _api_type(name: str) -> str:
    return {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}.get(name, name)


def _nullable(field: "SchemaField") -> "SchemaField":
    from google.cloud.bigquery import SchemaField

    return SchemaField(field.name, field.field_type, "NULLABLE", description=field.description)


def _parquet(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> BytesIO:
    all_rows = list(rows)
    schema = pa.schema([(column.name, arrow_type(column.type)) for column in columns])
    table = pa.table(
        [pa.array([row.get(column.name) for row in all_rows], arrow_type(column.type)) for column in columns],
        schema=schema,
    )
    content = BytesIO()
    pq.write_table(table, content, **COMPRESSION)
    content.seek(0)
    return content
