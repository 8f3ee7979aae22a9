"""What every destination of mapped days can do, as the conformance suite sees it: one small adapter each.

Here: writing a day, reading a day back, and taking the destination out of reach. Not here: what must hold.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from uuid import uuid4

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.frames.record import FrameRecord
from klaviyo_assets.frames.store import FrameWriter
from klaviyo_assets.model.arrow import frame_to_table, mapped_schema
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.factories import mapped_frame
from klaviyo_assets_tests.integration.deployment import Deployment

NOWHERE = "http://127.0.0.1:1"
Row = dict[str, Any]


class Destination(Protocol):
    """A place that holds days of mapped events."""

    def write(self, file: Path, record: FrameRecord, day: date) -> None:
        """Replace a day."""

    def read(self, day: date) -> list[Row]:
        """The rows of a day, in order of event id."""

    def state(self) -> object:
        """Everything there is, so that a refused or repeated write can be seen to have changed nothing."""

    def out_of_reach(self) -> "Destination":
        """The same on a server that does not answer."""

    def refused(self) -> "Destination":
        """The same with a place or a login that does not exist."""


@dataclass
class Archive:
    """The S3 archive."""

    archive: S3Archive
    account: str = field(default_factory=lambda: f"contract_{uuid4().hex[:8]}")

    def write(self, file: Path, record: FrameRecord, day: date) -> None:
        self.archive.archive(file, record, self.account, EVENT.name, day.isoformat())

    def read(self, day: date) -> list[Row]:
        manifest = self.archive.manifest(self.account, EVENT.name, day.isoformat())
        if manifest is None:
            return []
        with TemporaryDirectory() as folder:
            target = Path(folder) / "part.parquet"
            self.archive.fetch(manifest, target)
            rows = pq.read_table(target).to_pylist()
        assert len(rows) == manifest.rows
        return sorted(rows, key=lambda row: str(row["event_id"]))

    def state(self) -> object:
        listed = self.archive.client.list_objects_v2(
            Bucket=self.archive.bucket, Prefix=f"{self.archive.prefix}/{self.account}/"
        )
        return {found["Key"]: (found["ETag"], found["LastModified"]) for found in listed.get("Contents", [])}

    def out_of_reach(self) -> "Archive":
        quick = Config(retries={"max_attempts": 1}, connect_timeout=2)
        client = boto3.client(
            "s3", endpoint_url=NOWHERE, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1",
            config=quick,
        )  # fmt: skip
        return replace(self, archive=replace(self.archive, client=client))

    def refused(self) -> "Archive":
        return replace(self, archive=replace(self.archive, bucket="no-such-bucket"))


@dataclass
class Dataset:
    """A BigQuery dataset."""

    dataset: BigQueryDataset

    @classmethod
    def beside(cls, other: BigQueryDataset) -> "Dataset":
        return cls(replace(other, dataset=f"contract_{uuid4().hex[:8]}"))

    def write(self, file: Path, record: FrameRecord, day: date) -> None:
        self.dataset.ensure()
        table = self.dataset.prepare(EVENT)
        self.dataset.load(EVENT, table, file, record.rows, day, f"contract-{uuid4().hex}")

    def read(self, day: date) -> list[Row]:
        rows = self.dataset.query(
            "SELECT * FROM event WHERE occurred_on = @day ORDER BY event_id", {"day": ("DATE", day)}
        )
        return [dict(row.items()) for row in rows]

    def state(self) -> object:
        return sorted(map(repr, self.dataset.query("SELECT * FROM event")))

    def out_of_reach(self) -> "Dataset":
        return self._with(NOWHERE, "any")

    def refused(self) -> "Dataset":
        return self._with(self.dataset.client._connection.API_BASE_URL, "wrong")

    def _with(self, endpoint: str, token: str) -> "Dataset":
        from google.cloud.bigquery import Client
        from google.oauth2.credentials import Credentials

        client = Client(
            project=self.dataset.client.project, location=self.dataset.location, credentials=Credentials(token),
            client_options={"api_endpoint": endpoint},
        )  # fmt: skip
        return Dataset(replace(self.dataset, client=client, patience_seconds=1.0))


def destinations(deployment: Deployment) -> dict[str, Destination]:
    """Every destination, each in a place of its own."""
    return {"s3_archive": Archive(deployment.archive), "bigquery": Dataset.beside(deployment.dataset)}


@contextmanager
def mapped_day(day: date, ids: Sequence[str], folder: Path, *, of: date | None = None) -> Iterator[tuple[Path, Any]]:
    """A mapped file of events with these ids, and its record; `of` is the day its rows say they are of."""
    target = folder / uuid4().hex
    target.mkdir()
    writer = FrameWriter(target)
    writer.append(_rows(of or day, ids))
    record = writer.finish(source_digest=f"{len(ids)}:1", settings_fingerprint="f")
    yield target / "rows.parquet", record


def _rows(day: date, ids: Sequence[str]) -> pa.Table:
    if not ids:
        return mapped_schema(EVENT).empty_table()
    at = datetime.combine(day, time(12), UTC)
    rows = [{"event_id": event_id, "occurred_at": at, "occurred_on": day} for event_id in sorted(ids)]
    return frame_to_table(mapped_frame(EVENT, *rows), EVENT)
