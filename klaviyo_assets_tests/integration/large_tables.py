"""A person table of an account on the sandbox that syncs write to, and its stages called one by one.

Here: the raw table, syncs, the product's own stages without Dagster around them (a load takes half a second instead of
three), stopping between any two of them. Not here: any expectation of what a sync may do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq

from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.copied import QUARANTINE_COLUMNS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.resources.privacy import PrivacyResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.source.extraction import AccountSource, extract_table
from klaviyo_assets.stages.archiving import Archiving
from klaviyo_assets.stages.deltas import TableReading
from klaviyo_assets.stages.destination import AccountRun
from klaviyo_assets.stages.graph import BIGQUERY, S3_ARCHIVE
from klaviyo_assets.stages.loading import AccountLoad
from klaviyo_assets.stages.mapping import AccountMapping
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.integration.deployment import Deployment, environment

PEOPLE = 300
NAMES = ("person", "list_person")
CREATE = """
    DROP TABLE IF EXISTS {0}.person; DROP TABLE IF EXISTS {0}.list_person;
    CREATE TABLE {0}.person (id text PRIMARY KEY, email text, city text, updated timestamptz, custom_shoe text,
        predictive_analytics_total_clv text, _fivetran_deleted boolean, _fivetran_synced timestamptz);
    CREATE TABLE {0}.list_person (list_id text, person_id text, joined_group_at timestamptz,
        _fivetran_deleted boolean, _fivetran_synced timestamptz, PRIMARY KEY (list_id, person_id));
    INSERT INTO {0}.person SELECT 'p' || lpad(i::text, 3, '0'), 'p' || i || '@example.com', 'Berlin', NULL,
        '4' || mod(i, 10), '1.5', false, %s::timestamptz FROM generate_series(0, 299) AS i;
    INSERT INTO {0}.list_person SELECT 'l' || mod(i, 3), 'p' || lpad(i::text, 3, '0'), '2026-01-01'::timestamptz, false,
        %s::timestamptz FROM generate_series(0, 299) AS i
"""
FIRST_SYNC = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass
class LargeTables:
    """Person and list_person of one account, as large as makes them worth a delta; syncs are half a day apart."""

    deployment: Deployment
    shop: Any = field(default_factory=lambda: SimpleNamespace(syncs=0))
    changes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, deployment: Deployment) -> "LargeTables":
        """Both tables with a first sync in them; nothing is loaded."""
        large_tables = cls(deployment)
        large_tables.sync(CREATE)
        return large_tables

    def sync(self, statements: str) -> None:
        """Statements of one sync; `%s` is its time."""
        at = FIRST_SYNC + timedelta(hours=12 * self.shop.syncs)
        self.shop.syncs += 1
        for statement in filter(str.strip, statements.split(";")):
            self.deployment.raw(statement, [at] if "%s" in statement else [])

    @contextmanager
    def _resources(self) -> Iterator[dict[str, Any]]:
        variables = self.deployment.variables
        with environment(variables):
            yield {
                "bigquery": BigQueryProjectResource(project=str(variables["BIGQUERY_PROJECT"])),
                "s3": S3ArchiveResource(bucket=str(variables["S3_BUCKET"])), "privacy": PrivacyResource(),
            }  # fmt: skip

    @contextmanager
    def _source(self) -> Iterator[AccountSource]:
        with PostgresResource(url=str(self.deployment.variables["POSTGRES_URL"])).snapshot() as snapshot:
            yield AccountSource.open(self.deployment.account, snapshot)

    def extract(self, names: tuple[str, ...] = NAMES, **options: Any) -> dict[str, FrameRecord]:
        """The extracted and mapped stages; the records of the mapped frames."""
        frames, account, records = self.deployment.frames, self.deployment.account, {}
        with self._resources() as resources, self._source() as source:
            reading = TableReading(source, **resources, **{"delta_from_rows": 10, **self.changes, **options})
            mapping = AccountMapping(frames, account, resources["privacy"].of(account))
            for name in names:
                with frames.write(FrameKey("extracted", account.name, name)) as writer:
                    reading.extract(TABLES[name], writer)
                records[name] = mapping.map_table(TABLES[name])
        return records

    def archive(self, names: tuple[str, ...] = NAMES) -> None:
        """The archive stage."""
        with self._resources() as resources:
            for name in names:
                Archiving(self._run(S3_ARCHIVE, resources)).load(TABLES[name], self._mapped(name))

    def bring(self, names: tuple[str, ...] = NAMES, *, book: bool = True) -> None:
        """The BigQuery stage; unless `book`, it dies before the ledger is written."""
        with self._resources() as resources:
            load = AccountLoad(self._run(BIGQUERY, resources))
            for name in names:
                load.load(TABLES[name], self._mapped(name))
            if book:
                load.flush()

    def _run(self, destination: str, resources: dict[str, Any]) -> AccountRun:
        account, frames = self.deployment.account, self.deployment.frames
        return AccountRun(destination, "a-test-run", account, frames, frozenset(), resources)

    def load(self, names: tuple[str, ...] = NAMES, **options: Any) -> dict[str, FrameRecord]:
        """All stages."""
        records = self.extract(names, **options)
        self.archive(names)
        self.bring(names)
        return records

    def _mapped(self, name: str) -> FrameKey:
        return FrameKey("mapped", self.deployment.account.name, name)

    def check(self) -> None:
        """BigQuery, its quarantine and the archive are what reading the whole table now gives."""
        for name in NAMES:
            expected, notes = self._rebuilt(name)
            spec = TABLES[name]
            key = spec.key[-1] if len(spec.key) == 1 else f"{spec.key[0]}, {spec.key[1]}"
            held = self.deployment.dataset.query(
                f"SELECT {', '.join(spec.column_names)} FROM {name} ORDER BY {key}"
            )  # fmt: skip
            assert [dict(row.items()) for row in held] == expected
            assert self.archived(name) == expected
            assert [note for note in self.deployment.noted() if note[0] == name] == notes

    def archived(self, name: str) -> list[dict[str, Any]]:
        """The rows that the archive gives back."""
        archive, account = self.deployment.archive, self.deployment.account.name
        manifest = archive.manifest(account, name, None)
        assert manifest is not None
        with TemporaryDirectory() as folder:
            archive.fetch(manifest, Path(folder) / "rows.parquet")
            rows: list[dict[str, Any]] = pq.read_table(Path(folder) / "rows.parquet").to_pylist()
        assert len(rows) == manifest.rows
        return rows

    def _rebuilt(self, name: str) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
        """Rows and notes of the whole table, mapped by the product in a folder of its own."""
        account = self.deployment.account
        with TemporaryDirectory() as folder, self._resources() as resources, self._source() as source:
            frames = FrameStore(url=folder)
            with frames.write(FrameKey("extracted", account.name, name)) as writer:
                extract_table(source, TABLES[name], writer)
            AccountMapping(frames, account, resources["privacy"].of(account)).map_table(TABLES[name])
            rows = frames.open(self._mapped(name)).read().to_pylist()
            notes = frames.open(self._mapped(name), "quarantine").read().to_pylist()
        column_names = [name for name in QUARANTINE_COLUMNS if name != "reason"]
        return rows, sorted(tuple(note[name] for name in column_names) for note in notes)

    def elsewhere(self, prefix: str) -> "LargeTables":
        """The same tables, loaded to other places."""
        return replace(self, deployment=self.deployment.elsewhere(prefix))
