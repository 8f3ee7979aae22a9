"""From extracted frames to mapped ones, a chunk at a time: map, check, set aside what broke a rule, write.

Here: the frames of the mapped stage and their records. Not here: a table's mapping, its fingerprint, and the rules
(`mapping/`), Dagster (`defs/assets/mapped.py`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Context, Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klaviyo_assets.accounts import Account
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore, FrameWriter
from klaviyo_assets.mapping.attribution import map_attribution, touches_of
from klaviyo_assets.mapping.copied import (
    QUARANTINE_COLUMNS,
    Mapped,
    MappingContext,
    Note,
    bad_row_notes,
    column,
    map_copied,
    notes_frame,
)  # fmt: skip
from klaviyo_assets.mapping.credit import TouchBook
from klaviyo_assets.mapping.event import Receipts, map_event, message_columns
from klaviyo_assets.mapping.fingerprints import UNDATED, attribution_fingerprint, event_fingerprint, event_settings
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.rules import validate
from klaviyo_assets.model.arrow import empty_frame, frame_to_table, mapped_schema
from klaviyo_assets.model.metrics import read_metrics
from klaviyo_assets.model.spec import PACKED, UNLISTED, Partitioning, TableSpec
from klaviyo_assets.stages.graph import EXTRACTED, MAPPED
from klaviyo_assets.tables import ATTRIBUTION, EVENT

CHUNK_ROWS = 200_000
QUARANTINE_SCHEMA = pa.schema(
    [(name, pa.bool_() if name == "is_dropped" else pa.string()) for name in QUARANTINE_COLUMNS]
)
# The sum of a chunk of values below this fits into Arrow's 38 digits.
_PLAIN_SUM = Decimal(10) ** 20
QUARANTINE_SHARE = 0.1
# This few rows never indicate a broken source: anyone can send a quiet shop three bad events in a day.
FEW_ROWS = 10
# More digits than any sum of NUMERIC values has; Python's default context rounds to 28.
_EXACT = Context(prec=60)


class BrokenPartitionError(PermanentError):
    """A partition that must not be passed on: broken columns, lost rows, or too much of it in quarantine."""


@dataclass
class _Outcome:
    """The totals of a partition's chunks."""

    notes: list[Note] = field(default_factory=list)
    schema_errors: list[str] = field(default_factory=list)
    value: Decimal = Decimal(0)
    dropped: int = 0
    # The rows that each field and rule left out.
    broken: Counter[str] = field(default_factory=Counter)

    def add_value(self, rows: pd.DataFrame) -> None:
        """Add up `value` exactly; neither Arrow's nor Python's own sum has room for 38 or more digits."""
        values = column(rows, "value").drop_null()
        if values and pc.max(pc.abs(values)).as_py() < _PLAIN_SUM:
            self.value = _EXACT.add(self.value, pc.sum(values).as_py())
            return
        for value in values.to_pylist():
            self.value = _EXACT.add(self.value, value)

    def check(self, spec: TableSpec, mapped: Mapped, day: date | None = None) -> pd.DataFrame:
        """Keep a chunk's notes, and return its rows that break no rule."""
        self.notes += mapped.notes
        result = validate(mapped.rows, spec, day)
        self.schema_errors += [fault for fault in result.schema_errors if fault not in self.schema_errors]
        if result.bad_rows.empty:
            return mapped.rows
        self.notes += bad_row_notes(spec, mapped.rows, result.bad_rows, spec.key)
        self.dropped += result.bad_rows["row_number"].nunique()
        self.broken.update(f"{name}: {rule}" for name, rule in result.bad_rows[["field", "rule"]].to_numpy())
        return _without(mapped.rows, result.bad_rows)


@dataclass(frozen=True)
class AccountMapping:
    """Maps one account's extracted frames.

    `quarantine_share` is the share of a partition's rows that one rule may leave out before the partition fails:
    if one rule leaves out many rows, the source is broken; if a few rows break one rule each, it is not.
    """

    frames: FrameStore
    account: Account
    privacy: Privacy
    quarantine_share: float = QUARANTINE_SHARE

    def map_table(self, spec: TableSpec) -> FrameRecord:
        """Map an account table: the whole table, or what changed.

        Raises:
            BrokenPartitionError: the partition is broken; the message names the table, the account and the cause.
        """
        source = FrameKey(EXTRACTED, self.account.name, spec.name)
        record = self.frames.require(source)
        context = self._context(record, None)
        outcome = _Outcome()
        with self.frames.write(FrameKey(MAPPED, self.account.name, spec.name)) as writer:
            for raw in self._chunks(source):
                _append(writer, spec, outcome.check(spec, map_copied(spec, raw, context)))
            return self._finish(writer, spec, record, outcome, self.account.name, self.account.table_fingerprint)

    def map_events(self, day: date) -> FrameRecord:
        """Map one day of events."""
        source = FrameKey(EXTRACTED, self.account.name, EVENT.name, day.isoformat())
        record = self.frames.require(source)
        context = self._context(record, day)
        needs_receipts = record.details.get("needs_receipts")
        receipts = self._receipts(source, replace(context, day=None)) if needs_receipts else None
        outcome = _Outcome()
        seen: set[str] = set()
        deleted = 0
        with self.frames.write(FrameKey(MAPPED, self.account.name, EVENT.name, day.isoformat())) as writer:
            for raw in self._chunks(source):
                mapped = map_event(raw, context, receipts)
                deleted += len(raw) - len(mapped.rows)
                rows = outcome.check(EVENT, mapped, day)
                outcome.add_value(rows)
                # The metrics of all raw rows, as planning sees them, including deleted and quarantined ones.
                seen |= set(column(raw, "metric_id").unique().to_pylist())
                _append(writer, EVENT, rows)
            fingerprint = event_fingerprint(self.account, context.metrics, seen)
            metric_ids = sorted(filter(None, seen))
            details: dict[str, Any] = {"settings": event_settings(self.account), "metric_ids": metric_ids}
            if record.details.get("needs_receipts"):
                details["reads"] = record.details.get("reads", {})
            return self._finish(writer, EVENT, record, outcome, day.isoformat(), fingerprint, details, deleted=deleted)

    def map_attribution(self, day: date) -> FrameRecord:
        """Credit one day of events to the touches that were extracted with it."""
        source = FrameKey(EXTRACTED, self.account.name, EVENT.name, day.isoformat())
        record = self.frames.require(source)
        context = self._context(record, day)
        mode = str(record.details["attribution_source"])
        book = self._touch_book(source, context)
        outcome = _Outcome()
        credited: list[pd.DataFrame] = []
        seen = self._touch_metrics(source)
        with self.frames.write(FrameKey(MAPPED, self.account.name, ATTRIBUTION.name, day.isoformat())) as writer:
            for raw in self._chunks(source, without=(UNLISTED, PACKED)):
                events = map_event(raw, context).rows
                seen |= set(column(events, "metric_id").unique().to_pylist())
                # Only events in the event table can be credited: a repeated key is there once.
                events = _without(events, validate(events, EVENT, day).bad_rows)
                mapped = map_attribution(events, book, _recorded_texts(raw), context, mode)
                rows = outcome.check(ATTRIBUTION, mapped, day)
                outcome.add_value(rows)
                credited.append(rows)
            rows = _sorted(credited)
            _append(writer, ATTRIBUTION, rows)
            details: dict[str, Any] = {name: record.details.get(name) for name in ("reads", "missing")}
            details |= {"settings": self.account.attribution_settings(mode), "metric_ids": sorted(filter(None, seen))}
            return self._finish(
                writer, ATTRIBUTION, record, outcome, day.isoformat(),
                attribution_fingerprint(self.account, mode, context.metrics, seen), details,
                rows_raw=len(rows) + outcome.dropped,
            )  # fmt: skip

    def map_undated(self) -> FrameRecord:
        """Record every event without a usable time: it belongs to no day and stays in quarantine."""
        source = FrameKey(EXTRACTED, self.account.name, EVENT.name, UNDATED)
        record = self.frames.require(source)
        notes = [
            Note(EVENT.name, event_id or "", "occurred_at", "undated", "no usable datetime or timestamp",
                 dropped=True)
            for raw in self._chunks(source)
            for event_id in column(raw, "id").to_pylist()
        ]  # fmt: skip
        outcome = _Outcome(notes=notes)
        with self.frames.write(FrameKey(MAPPED, self.account.name, EVENT.name, UNDATED)) as writer:
            kept = {name: record.details.get(name) for name in ("outside", "conversion")}
            return self._finish(
                writer, EVENT, record, outcome, UNDATED, self.account.table_fingerprint, kept, rows_raw=0
            )

    def _context(self, record: FrameRecord, day: date | None) -> MappingContext:
        return MappingContext(self.account, self.account.metrics(read_metrics(record.details)), self.privacy, day)

    def _chunks(self, key: FrameKey, name: str = "rows", without: tuple[str, ...] = ()) -> Iterator[pd.DataFrame]:
        file = self.frames.open(key, name)
        columns = [found for found in file.schema_arrow.names if found not in without]
        for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=columns):
            if batch.num_rows:
                yield batch.to_pandas(types_mapper=pd.ArrowDtype)

    def _receipts(self, source: FrameKey, context: MappingContext) -> Receipts:
        """The sends that each person received, as far as the day's events and touches need them."""
        sends: dict[tuple[str, str], list[tuple[int, str, int]]] = {}
        for raw in self._chunks(source, "touches"):
            received = message_columns(raw, context.metrics).is_receipt
            _gather_receipts(map_event(raw[received.to_numpy(zero_copy_only=False)], context).rows, sends)
        return Receipts(sends)

    def _touch_book(self, source: FrameKey, context: MappingContext) -> TouchBook:
        undated = replace(context, day=None)
        receipts = self._receipts(source, undated)
        attribution = self.account.attribution
        return TouchBook.of(
            (
                touch
                for raw in self._chunks(source, "touches")
                for touch in touches_of(map_event(raw, undated, receipts).rows, _recorded_texts(raw))
            ),
            machine_opens_earn=attribution.machine_opens_earn,
            bot_clicks_earn=attribution.bot_clicks_earn,
        )

    def _touch_metrics(self, source: FrameKey) -> set[str | None]:
        """The metrics of the touches: a renamed metric can start or stop earning credit."""
        touches = self.frames.open(source, "touches")
        return set(touches.read(columns=["metric_id"]).column(0).unique().to_pylist())

    def _finish(
        self, writer: FrameWriter, spec: TableSpec, source: FrameRecord, outcome: _Outcome, partition: str,
        fingerprint: str, details: Mapping[str, Any] | None = None, *, deleted: int = 0, rows_raw: int | None = None,
    ) -> FrameRecord:  # fmt: skip
        if not writer.files:
            _append(writer, spec, None)
        notes = notes_frame(outcome.notes, partition)
        writer.append(pa.Table.from_pandas(notes, QUARANTINE_SCHEMA, preserve_index=False), "quarantine")
        record = writer.finish(
            source_digest=source.source_digest, settings_fingerprint=fingerprint, data_through=source.data_through,
            rows_raw=source.rows if rows_raw is None else rows_raw, rows_deleted=deleted,
            rows_quarantined=outcome.dropped, warnings=source.warnings, state=source.state,
            details={
                "value": str(outcome.value), "notes": len(outcome.notes),
                "rules": _rules(outcome.notes), "attribution_source": source.details.get("attribution_source"),
                "columns": None if spec is ATTRIBUTION else source.details.get("columns"),
                **(details or {}),
            },
        )  # fmt: skip
        self._refuse_broken(spec, partition, record, outcome, writer)
        return record

    def _refuse_broken(
        self, spec: TableSpec, partition: str, record: FrameRecord, outcome: _Outcome, writer: FrameWriter
    ) -> None:
        fault = _fault(spec, record, outcome, self.quarantine_share) or _repeated_keys(spec, writer)
        if fault:
            what, fix = fault
            # Without a record, the frame does not exist: nothing downstream can take it.
            writer.record = None
            raise BrokenPartitionError(f"mapped/{spec.name} of {self.account.name}, {partition}: {what}", fix)


def _fault(spec: TableSpec, record: FrameRecord, outcome: _Outcome, share: float) -> tuple[str, str] | None:
    """The fault of a partition, and how to fix it."""
    if outcome.schema_errors:
        return f"columns differ from the spec: {'; '.join(outcome.schema_errors)}", ""
    accounted = record.rows + record.rows_deleted + record.rows_quarantined
    if accounted != record.rows_raw:
        return (
            f"{record.rows_raw} rows came in, but {record.rows} mapped + {record.rows_deleted} deleted + "
            f"{record.rows_quarantined} quarantined = {accounted}",
            "",
        )
    if record.is_delta and record.rows_quarantined:
        # Its earlier version would stay where it was loaded, but a rebuild would leave the row out.
        return (
            f"{record.rows_quarantined} changed rows broke a rule",
            "Read the table whole: `klaviyo-assets run --whole`.",
        )
    for rule, rows in outcome.broken.most_common(1):
        if spec.partitioning is Partitioning.ACCOUNT and rows == record.rows_raw > 1:
            return f"all {rows} rows broke one rule ({rule})", "Check the source: have Fivetran re-sync the table."
        if rows > max(FEW_ROWS, share * record.rows_raw):
            return (
                f"{rows} of {record.rows_raw} rows broke one rule ({rule}), more than the allowed share of {share:.0%}",
                "Check the source, or raise quarantine_share in the run's configuration.",
            )
    return None


def _repeated_keys(spec: TableSpec, writer: FrameWriter) -> tuple[str, str] | None:
    """Refuse keys that repeat across chunks, because the source lacks its key; within a chunk, they are quarantined."""
    if pq.ParquetFile(writer.folder / "rows.parquet").metadata.num_rows <= CHUNK_ROWS:
        return None
    keys = pq.read_table(writer.folder / "rows.parquet", columns=list(spec.key))
    distinct = keys.group_by(list(spec.key)).aggregate([]).num_rows
    if distinct == keys.num_rows:
        return None
    repeated = keys.num_rows - distinct
    return f"{repeated} rows repeat a key ({', '.join(spec.key)}): the raw table lacks its primary key", ""


def _rules(notes: list[Note]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for note in notes:
        named = f"{note.field}: {note.rule}"
        counted[named] = counted.get(named, 0) + 1
    return dict(sorted(counted.items()))


def _without(rows: pd.DataFrame, bad_rows: pd.DataFrame) -> pd.DataFrame:
    if bad_rows.empty:
        return rows
    bad = set(bad_rows["row_number"])
    return rows[[position not in bad for position in range(len(rows))]]


def _append(writer: FrameWriter, spec: TableSpec, rows: pd.DataFrame | None) -> None:
    if rows is None:
        writer.append(mapped_schema(spec).empty_table())
    else:
        writer.append(frame_to_table(rows, spec))


def _sorted(frames: list[pd.DataFrame]) -> pd.DataFrame:
    if not frames:
        return empty_frame(ATTRIBUTION)
    rows = pd.concat(frames, ignore_index=True)
    return rows.sort_values(["event_id", "touch_rank"], kind="stable", ignore_index=True)


def _recorded_texts(raw: pd.DataFrame) -> dict[str, str]:
    texts = column(raw, "property_attribution")
    rows = pc.indices_nonzero(pc.is_valid(texts))
    return dict(zip(column(raw, "id").take(rows).to_pylist(), texts.take(rows).to_pylist(), strict=True))


def _gather_receipts(receipts: pd.DataFrame, sends: dict[tuple[str, str], list[tuple[int, str, int]]]) -> None:
    rows: Iterator[tuple[str | None, str | None, int | None, str | None, int | None]] = zip(
        column(receipts, "person_id").to_pylist(), column(receipts, "message_id").to_pylist(),
        column(receipts, "occurred_at").cast(pa.int64()).to_pylist(), column(receipts, "event_id").to_pylist(),
        column(receipts, "send_at").cast(pa.int64()).to_pylist(), strict=True,
    )  # fmt: skip
    for person, message, at, event_id, sent in rows:
        if person and message and event_id and at is not None and sent is not None:
            sends.setdefault((person, message), []).append((at, event_id, sent))
