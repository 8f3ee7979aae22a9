"""Loading into BigQuery: each mapped file unchanged, with its quarantine and its ledger row.

Here: the destination `bigquery`, and the order of data, quarantine and ledger: a partition counts as loaded once the
ledger has it. Not here: load jobs and table schemas (`destinations/bigquery/dataset.py`), columns of the ledger
(`destinations/bigquery/ledger.py`).
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset, Loaded
from klaviyo_assets.destinations.bigquery.ledger import LEDGER, PARTITION, PLANNING_DETAILS, QUARANTINE
from klaviyo_assets.destinations.bigquery.merge import checksum, merge
from klaviyo_assets.destinations.consoles import bigquery_url
from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, contained
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.mapping.fingerprints import UNDATED, UNDATED_WITH
from klaviyo_assets.model.googlesql import column_list, quoted
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.stages.deltas import kept_state, loaded_states
from klaviyo_assets.stages.destination import AccountRun, Destination, TakenFrame
from klaviyo_assets.stages.graph import BIGQUERY, EXTRACTED, MAPPED, S3_ARCHIVE, stages
from klaviyo_assets.tables import ATTRIBUTION, EVENT

# A crash between two flushes leaves at most this many loaded days without a ledger row; they are loaded again.
FLUSH_EVERY = 50
_NUMERIC_LIMIT = Decimal(10) ** 29
_NOTE_COLUMNS = column_list(column.name for column in QUARANTINE)


@dataclass
class AccountLoad:
    """The loads of one account in one run: prepares each table once, and writes quarantine and ledger in batches."""

    run: AccountRun
    _dataset: BigQueryDataset | None = None
    _tables: dict[str, Any] = field(default_factory=dict)
    _ledger: list[dict[str, Any]] = field(default_factory=list)
    _notes: list[dict[str, Any]] = field(default_factory=list)
    _noted: set[tuple[str, str]] = field(default_factory=set)
    _done: list[FrameKey] = field(default_factory=list)

    @property
    def dataset(self) -> BigQueryDataset:
        """The account's dataset, created on first use."""
        if self._dataset is None:
            dataset: BigQueryDataset = self._bigquery.dataset(self.run.account)
            dataset.ensure(f"Klaviyo reporting of the account {self.account}.")
            dataset.await_running(f"klaviyo_assets-{self.account}-")
            self._dataset = dataset
        return self._dataset

    @property
    def account(self) -> str:
        """The account's name."""
        return self.run.account.name

    @property
    def _bigquery(self) -> BigQueryProjectResource:
        resource: BigQueryProjectResource = self.run.resources["bigquery"]
        return resource

    def job_id(self, name: str) -> str:
        """A job id of this run; every attempt has its own."""
        return job_id(self.account, name, self.run.run_id)

    def load(self, table: TableSpec, mapped: FrameKey) -> TakenFrame:
        """Load one partition and record it for the ledger.

        A full batch is written before the load, not after, so that a retried load is recorded once.
        """
        if len(self._ledger) >= FLUSH_EVERY:
            self.flush()
        if table.name not in self._tables:
            self._tables[table.name] = self.dataset.prepare(table)
        partition = mapped.day or self.account
        with self._mapped_file(mapped) as (path, record):
            send = self._merge if record.is_delta else self._replace
            loaded = send(table, path, record, mapped.day, self.job_id(f"{table.name}-{partition}"))
        noted = len(self._ledger), len(self._notes)
        try:
            self._note(table, partition, mapped, record, loaded.job_id)
        except BaseException:
            # Half an entry would make the partition count as loaded.
            del self._ledger[noted[0] :], self._notes[noted[1] :]
            self._noted -= {(table.name, partition)}
            raise
        changed = {"rows_changed": record.rows} if record.is_delta else {}
        return TakenFrame(
            record, {"table": loaded.table, "job_id": loaded.job_id, **changed}, self._page(table.name)
        )  # fmt: skip

    def _page(self, table: str) -> str:
        """The table's page in Google's console; the sandbox's stand-in has none."""
        bigquery = self._bigquery
        return "" if bigquery.is_stand_in else bigquery_url(bigquery.project, self.dataset.dataset, table)

    def _replace(self, table: TableSpec, path: Path, record: FrameRecord, day: str | None, job_id: str) -> Loaded:
        on = date.fromisoformat(day) if day else None
        return self.dataset.load(table, self._tables[table.name], path, record.rows, on, job_id)

    def _merge(self, table: TableSpec, path: Path, record: FrameRecord, _: str | None, job_id: str) -> Loaded:
        """Merge changed rows into the table state that they were read for, and verify that it agrees with Postgres."""
        state = record.state
        loaded = loaded_states(self.dataset, self.account).get(table.name)
        if state is None or loaded is None or loaded.parts not in (state.below, record.parts):
            raise PermanentError(
                f"another run loaded {table.name} of {self.account} after its changed rows were read",
                f"Materialize extracted/{table.name} and everything downstream of it together.",
            )
        merged = merge(self.dataset, table, path, record.rows, job_id)
        rows, held = checksum(self.dataset, table)
        if f"{rows}:{held}" != state.checksum:
            raise PermanentError(
                f"{merged.table} differs from Postgres after its changed rows were merged: row count and checksum are "
                f"{rows}:{held}, but should be {state.checksum}",
                f"Materialize extracted/{table.name} and everything downstream of it together, with whole = true "
                "in the configuration of extract_tables.",
            )
        return merged

    @contextmanager
    def _mapped_file(self, mapped: FrameKey) -> Iterator[tuple[Path, FrameRecord]]:
        """The mapped frame, or the archive's part if the frame is gone because it was archived and loaded."""
        record = self.run.frames.record(mapped)
        if record is not None:
            with self.run.frames.local_file(mapped) as path:
                yield path, record
            return
        archive: S3Archive = self.run.resources["s3"].archive
        manifest = archive.manifest(mapped.account, mapped.table, mapped.day)
        if manifest is None:
            self.run.frames.require(mapped)
            return
        with tempfile.TemporaryDirectory(prefix="klaviyo_assets-") as folder:
            path = Path(folder) / manifest.part
            archive.fetch(manifest, path)
            # The bytes are those of the newest part, as in the ledger.
            yield path, FrameRecord(
                rows=manifest.rows, bytes=manifest.bytes, sha256=manifest.sha256,
                source_digest=manifest.source_digest, settings_fingerprint=manifest.settings_fingerprint,
            )  # fmt: skip

    def _note(self, table: TableSpec, partition: str, mapped: FrameKey, record: FrameRecord, job_id: str) -> None:
        newest, details = record.parts[-1], {name: record.details.get(name) for name in PLANNING_DETAILS}
        self._ledger.append({
            **self._entry(table.name, partition, record), "job_id": job_id,
            "rows_raw": record.table_rows if record.is_delta else record.rows_raw,
            "rows_deleted": record.rows_deleted, "rows_quarantined": record.rows_quarantined,
            "rows_loaded": record.table_rows, "value": ledger_value(record.details.get("value", "0")),
            "sha256": newest.sha256, "bytes": newest.bytes, "source_digest": record.source_digest,
            "settings_fingerprint": record.settings_fingerprint, "details": json.dumps(details | kept_state(record)),
        })  # fmt: skip
        self._take_notes(table.name, partition, mapped)
        if record.is_delta:
            self._keep_notes(table, partition, mapped)
        if table is UNDATED_WITH:
            self._note_undated()
        self._done.append(mapped)

    def _note_undated(self) -> None:
        """Record events that belong to no day: all of them are in quarantine, and the ledger counts them."""
        mapped = FrameKey(MAPPED, self.account, EVENT.name, UNDATED)
        record = self.run.frames.record(mapped)
        if record is None:
            return
        count = int(record.details["notes"])
        counted = {
            "rows_raw": count, "rows_deleted": 0, "rows_quarantined": count, "rows_loaded": 0,
            "source_digest": record.source_digest,
            "details": json.dumps({name: record.details.get(name) for name in ("columns", "outside", "conversion")}),
        }  # fmt: skip
        self._ledger.append({**self._entry(EVENT.name, UNDATED, record), **counted})
        self._take_notes(EVENT.name, UNDATED, mapped)

    def _entry(self, table: str, partition: str, record: FrameRecord) -> dict[str, Any]:
        return {
            "recorded_at": datetime.now(UTC), "table_name": table, "partition": partition,
            "run_id": self.run.run_id, "code_version": version("klaviyo-assets"),
            "data_through": datetime.fromisoformat(record.data_through) if record.data_through else None,
        }  # fmt: skip

    def _take_notes(self, table: str, partition: str, mapped: FrameKey) -> None:
        if self.run.frames.record(mapped) is not None:
            self._noted.add((table, partition))
            self._notes += self.run.frames.open(mapped, "quarantine").read().to_pylist()

    def _keep_notes(self, table: TableSpec, partition: str, mapped: FrameKey) -> None:
        """The notes on rows that a delta leaves alone stay as they are."""
        keys = self.run.frames.open(mapped).read(columns=list(table.key))
        changed = ["|".join(key) for key in zip(*(values.to_pylist() for values in keys.columns), strict=True)]
        self.dataset.ensure_table("quarantine", QUARANTINE)
        kept = self.dataset.query(
            f"SELECT {_NOTE_COLUMNS} FROM quarantine WHERE table_name = @table "
            f"AND {PARTITION} = @partition AND row_id NOT IN (SELECT one FROM UNNEST(@changed) AS one)",
            {"table": ("STRING", table.name), "partition": ("STRING", partition),
             "changed": ("ARRAY<STRING>", changed)},
        )  # fmt: skip
        self._notes += [dict(row.items()) for row in kept]

    def finish(self) -> Iterator[tuple[FrameKey, KlaviyoAssetsError]]:
        """Write the remaining entries; a partition without an entry does not count as loaded."""
        pending = list(self._done)
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001  the books of one account do not concern the other accounts
            for mapped in pending:
                yield mapped, contained(error)

    def flush(self) -> None:
        """Write the quarantine, then the ledger, and then release the frames."""
        if not self._ledger:
            return
        dataset = self.dataset
        replace_quarantine(dataset, sorted(self._noted), self._notes, self.job_id("quarantine"))
        dataset.append("ledger", LEDGER, self._ledger, self.job_id("ledger"))
        for mapped in self._done:
            self._release(mapped)
        self._ledger, self._notes, self._noted, self._done = [], [], set(), []

    def _release(self, mapped: FrameKey) -> None:
        """Remove the frames that nobody needs any more: extracted ones hold untreated personal data."""
        frames = self.run.frames
        self.run.release(mapped)
        source = EVENT.name if mapped.table == ATTRIBUTION.name else mapped.table
        last = ATTRIBUTION.name if source == EVENT.name and ATTRIBUTION.name in self.run.tables else source
        if mapped.table == last:
            frames.remove(FrameKey(EXTRACTED, self.account, source, mapped.day))
        if mapped.table == UNDATED_WITH.name:
            for stage in (EXTRACTED, MAPPED):
                frames.remove(FrameKey(stage, self.account, EVENT.name, UNDATED))


def replace_quarantine(
    dataset: BigQueryDataset, partitions: Sequence[tuple[str, str]], notes: Sequence[dict[str, Any]], job_id: str
) -> None:
    """Replace the quarantine rows of some partitions, in one statement.

    Args:
        dataset: The account's dataset.
        partitions: Table and partition of each.
        notes: All their rows.
        job_id: Id of the load job, and name of the staging table.
    """
    dataset.ensure_table("quarantine", QUARANTINE, description="What could not be right, row by row and why.")
    named = ("ARRAY<STRING>", [f"{table}/{partition}" for table, partition in partitions])
    of_these = f"CONCAT(kept.table_name, '/', kept.{PARTITION}) IN UNNEST(@partitions)"
    if not notes:
        dataset.query(f"DELETE FROM quarantine AS kept WHERE {of_these}", {"partitions": named})
        return
    staging = "_staging_" + job_id.replace("-", "_")
    dataset.append(staging, QUARANTINE, notes, job_id)
    try:
        dataset.query(
            f"MERGE quarantine AS kept USING (SELECT {_NOTE_COLUMNS} FROM {quoted(staging)}) AS fresh ON FALSE "
            f"WHEN NOT MATCHED BY SOURCE AND {of_these} THEN DELETE "
            f"WHEN NOT MATCHED THEN INSERT ({_NOTE_COLUMNS}) VALUES ({_NOTE_COLUMNS})",
            {"partitions": named},
        )
    finally:
        dataset.drop(staging)


def ledger_value(total: str) -> Decimal | None:
    """A partition's sum as the ledger's NUMERIC; null if it has more digits than that type holds."""
    exact = Decimal(total)
    return exact.quantize(Decimal("1e-9"), context=Context(prec=60)) if abs(exact) < _NUMERIC_LIMIT else None


def job_id(account: str, name: str, run_id: str) -> str:
    """A BigQuery job id that shows whose job it is: account, table and partition, run, and the time of the attempt.

    A job that failed keeps its id for ever, so every attempt has its own.
    """
    return f"klaviyo_assets-{account}-{name}-{run_id[:8]}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"


WAREHOUSE = Destination(
    stages()[BIGQUERY],
    kinds=frozenset({"bigquery"}),
    describe=lambda table: f"{table.grain} {table.description}",
    open=AccountLoad,
    needs=frozenset({"s3", "bigquery"}),
    waits_for=(S3_ARCHIVE,),
    has_tables=True,
    takes_deltas=True,
)
