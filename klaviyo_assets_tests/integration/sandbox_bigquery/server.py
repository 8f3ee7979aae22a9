"""The BigQuery stand-in as a subprocess, and the real client that talks to it, for the tests in this folder.

Every request and answer of `StandIn.client` is compared with Google's discovery document: `problems` collects what
differs, and the fixture `stand_in_is_like_the_api` fails the test on any.
"""

import datetime as dt
import io
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import requests
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from klaviyo_assets_tests.integration.discovery import problems_of_exchange

PROJECT = "local"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class StandIn:
    """One server process on a data folder."""

    data: Path
    switches: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    problems: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the base of its addresses."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it and return the seconds until it answered."""
        began = time.monotonic()
        command = [sys.executable, "-m", "klaviyo_assets.sandbox.bigquery", "--port", str(self.port)]
        command += ["--data", str(self.data), "--project", PROJECT, *self.switches]
        environment = {**os.environ, "KLAVIYO_SANDBOX_BIGQUERY_TOKEN": self.token}
        self.process = subprocess.Popen(command, env=environment)
        while not self._answers():
            assert self.process.poll() is None, "the stand-in ended while it started"
            assert time.monotonic() - began < 60, "the stand-in does not answer"
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=120)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=120)

    def client(self) -> bigquery.Client:
        """Return a real client whose exchanges are checked."""
        session = AuthorizedSession(Credentials(self.token))
        session.hooks["response"].append(self._check)
        return bigquery.Client(project=PROJECT, _http=session, client_options={"api_endpoint": self.url})

    def request(self, verb: str, path: str, **options: Any) -> requests.Response:
        """Send a plain request with the token, not checked: for what the client would never send."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return requests.request(verb, f"{self.url}{path}", headers=headers, timeout=60, **options)

    def _check(self, response: requests.Response, **_: Any) -> None:
        self.problems += problems_of_exchange(response)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


@contextmanager
def running(data: Path, *switches: str) -> Iterator[StandIn]:
    """Hold a running server on a data folder."""
    server = StandIn(data, switches)
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            assert server.stop() == 0


EVENT = (
    bigquery.SchemaField("event_id", "STRING", "REQUIRED", description="Klaviyo's id"),
    bigquery.SchemaField("occurred_on", "DATE", "REQUIRED"),
    bigquery.SchemaField("occurred_at", "TIMESTAMP"),
    bigquery.SchemaField("value", "NUMERIC"),
    bigquery.SchemaField("tags", "STRING", "REPEATED"),
)
"""The columns of the table most tests load."""

REPORT = [
    bigquery.SchemaField("day", "DATE"),
    bigquery.SchemaField("events", "INTEGER"),
    bigquery.SchemaField("value", "NUMERIC"),
]
"""The columns of the table that queries fill."""

MAY_1, MAY_2 = dt.date(2024, 5, 1), dt.date(2024, 5, 2)


def event_rows(day: dt.date, count: int, prefix: str = "e") -> pa.Table:
    """Return rows for a table with the columns `EVENT`, all of one day."""
    moment = dt.datetime.combine(day, dt.time(12), dt.UTC)
    return pa.table(
        {
            "event_id": pa.array([f"{prefix}{place}" for place in range(count)], pa.string()),
            "occurred_on": pa.array([day] * count, pa.date32()),
            "occurred_at": pa.array([moment] * count, pa.timestamp("us", "UTC")),
            "value": pa.array([Decimal("1.25")] * count, pa.decimal128(38, 9)),
            "tags": pa.array([["a", "b"]] * count, pa.list_(pa.string())),
        }
    )


def parquet(rows: pa.Table) -> io.BytesIO:
    """Return rows as the bytes of a Parquet file."""
    file = io.BytesIO()
    pq.write_table(rows, file, compression="zstd")
    file.seek(0)
    return file


def load_config(schema: Sequence[bigquery.SchemaField] | None = EVENT, **settings: Any) -> bigquery.LoadJobConfig:
    """Return a load configuration for Parquet as the product sends it."""
    options = bigquery.ParquetOptions()
    options.enable_list_inference = True
    config = bigquery.LoadJobConfig(source_format="PARQUET", parquet_options=options, **settings)
    if schema is not None:
        config.schema = schema
    return config


def load(
    client: bigquery.Client,
    rows: pa.Table,
    table: str,
    config: bigquery.LoadJobConfig | None = None,
    **options: Any,
) -> bigquery.LoadJob:
    """Load rows into a table and wait for the end."""
    file = parquet(rows)
    settings = {"size": file.getbuffer().nbytes, **options}
    job = client.load_table_from_file(file, table, job_config=config or load_config(), **settings)
    return job.result()


def event_table(client: bigquery.Client, dataset: str, name: str = "event") -> str:
    """Create the partitioned table of events and return its id."""
    client.create_dataset(dataset, exists_ok=True)
    table = bigquery.Table(f"{PROJECT}.{dataset}.{name}", schema=EVENT)
    table.time_partitioning = bigquery.TimePartitioning(field="occurred_on")
    table.clustering_fields = ["event_id"]
    client.create_table(table)
    return f"{PROJECT}.{dataset}.{name}"


def count(client: bigquery.Client, table: str) -> int:
    """Return a table's number of rows."""
    return client.get_table(table).num_rows


def rows_of(client, sql, **settings):
    """Run a query and return its rows as tuples."""
    return [tuple(row) for row in client.query(sql, job_config=bigquery.QueryJobConfig(**settings)).result()]
