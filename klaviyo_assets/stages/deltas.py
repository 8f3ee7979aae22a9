"""Whether a large account table is read whole or only what changed; every run decides this anew from what exists.

Here: what was loaded last, the decision and its reason, and keeping the state of a load. Not here: what changed in
Postgres (`source/changes.py`), the merge (`destinations/bigquery/merge.py`), parts (`destinations/s3/archive.py`).

A delta is used only if it gives the same result as a whole load. The rows that it leaves alone must be the same in
BigQuery as in Postgres: their number and the checksum of keys, sync times and delete marks agree. Changes without a
newer sync time (a row that is gone, a truncated table, an older state) show in this comparison, and the table is read
whole.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from klaviyo_assets.accounts import fingerprint_of
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import NEWEST, PARTITION
from klaviyo_assets.destinations.bigquery.merge import checksum
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.frames.record import FrameRecord, Part, TableState
from klaviyo_assets.frames.store import FrameWriter
from klaviyo_assets.mapping.fingerprints import MAPPING_VERSION
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.privacy import PrivacyResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.source.changes import (
    Changes,
    changed_keys,
    changes_since,
    columns_fingerprint,
    untellable,
    watermark,
)
from klaviyo_assets.source.extraction import AccountSource, extract_table

# Below this size, a whole load takes a second or two, which a delta would hardly beat.
DELTA_FROM_ROWS = 50_000
# The whole table becomes a new base when it has more deltas than this, or when they hold a larger share of its rows.
MOST_PARTS = 30
MOST_SHARE = 0.2
# The largest number of keys in one request to BigQuery, which may have at most 10 MB.
MOST_CHANGED = 100_000
STATE = "state"
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class LoadedState:
    """What the last load of a large table left: its source, and the archived parts that it consists of."""

    watermark: str
    shape: str
    parts: tuple[Part, ...]
    rows_quarantined: int = 0

    @property
    def deltas(self) -> tuple[Part, ...]:
        """The deltas on top of the whole part."""
        return self.parts[1:]


def kept_state(record: FrameRecord) -> dict[str, Any]:
    """What the load of a large table adds to the details of its ledger row."""
    if record.state is None:
        return {}
    parts = [asdict(part) for part in record.parts]
    return {STATE: {"watermark": record.state.watermark, "shape": record.state.shape, "parts": parts}}


def loaded_states(dataset: BigQueryDataset, account: str) -> dict[str, LoadedState]:
    """The state that the newest load of each large table left; none before the first load.

    Raises:
        KlaviyoAssetsError: BigQuery cannot be queried.
    """
    if not dataset.has_table("ledger"):
        return {}
    rows = dataset.query(
        f"SELECT table_name, details, rows_quarantined FROM ledger WHERE {PARTITION} = @account {NEWEST}",
        {"account": ("STRING", account)},
    )
    states = {row.table_name: (json.loads(row.details or "{}").get(STATE), row.rows_quarantined) for row in rows}
    return {name: _state(state, dropped) for name, (state, dropped) in states.items() if state}


def _state(fields: Mapping[str, Any], dropped: int | None) -> LoadedState:
    parts = tuple(Part(**part) for part in fields["parts"])
    return LoadedState(fields["watermark"], fields["shape"], parts, dropped or 0)


class _NotKnownError(Exception):
    """BigQuery or the archive could not be asked. The table is read all the same."""


def _sure_answer(ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except KlaviyoAssetsError as error:
        raise _NotKnownError(str(error)) from error


@dataclass
class TableReading:
    """Reads one account's tables; of large ones only what changed, if that is enough."""

    source: AccountSource
    bigquery: BigQueryProjectResource
    s3: S3ArchiveResource
    privacy: PrivacyResource
    delta_from_rows: int = DELTA_FROM_ROWS
    # Why every table is read whole; empty if it need not be.
    whole_because: str = ""

    def extract(self, spec: TableSpec, writer: FrameWriter) -> FrameRecord:
        """Read a table into a frame: the whole table, or the rows that changed since it was loaded."""
        rows = int(self.source.table_digest(spec).partition(":")[0])
        if rows < self.delta_from_rows:
            return extract_table(self.source, spec, writer)
        now = TableState(
            why="", rows=rows, watermark=watermark(self.source, spec), shape=self._shape(spec), key=spec.key
        )
        try:
            answer = self._changes(spec, now)
        except _NotKnownError as error:
            answer = f"what was loaded is unknown: {error}"
        if isinstance(answer, str):
            return extract_table(self.source, spec, writer, replace(now, why=answer))
        changes, below = answer
        total = changes.standing + changes.changed
        state = replace(now, why=_changes_sentence(changes), rows=total.rows, checksum=str(total), below=below)
        return extract_table(self.source, spec, writer, state, changes.where)

    def _shape(self, spec: TableSpec) -> str:
        """The fingerprint of what decides every row: settings (with the hash key), mapping, spec, and columns."""
        account = self.source.account
        probe = self.privacy.of(account).treat("shape")
        columns = columns_fingerprint(spec, self.source.table(spec))
        return fingerprint_of([MAPPING_VERSION, account.table_fingerprint, probe, columns])

    @cached_property
    def _dataset(self) -> BigQueryDataset:
        return self.bigquery.dataset(self.source.account)

    @cached_property
    def _loaded(self) -> dict[str, LoadedState]:
        return loaded_states(self._dataset, self.source.account.name)

    def _changes(self, spec: TableSpec, now: TableState) -> tuple[Changes, tuple[Part, ...]] | str:
        """What changed and the parts to build on, or why the table has to be read whole."""
        reason = self.whole_because or untellable(spec, self.source.table(spec))
        if reason:
            return reason
        loaded = _sure_answer(lambda: self._loaded).get(spec.name)
        if loaded is None:
            return "nothing is known about an earlier load"
        return _unfit(loaded, now) or self._not_archived(spec, loaded) or self._since(spec, loaded, now)

    def _not_archived(self, spec: TableSpec, loaded: LoadedState) -> str | None:
        manifest = _sure_answer(lambda: self.s3.archive.manifest(self.source.account.name, spec.name, None))
        if manifest is None or manifest.all_parts[: len(loaded.parts)] != loaded.parts:
            return "the archive does not hold what was loaded last"
        return None

    def _since(self, spec: TableSpec, loaded: LoadedState, now: TableState) -> tuple[Changes, tuple[Part, ...]] | str:
        room = int(MOST_SHARE * now.rows) - sum(part.rows for part in loaded.deltas)
        changes = changes_since(self.source, spec, loaded.watermark, min(room, MOST_CHANGED))
        if changes is None:
            return "too many rows changed since the last whole load"
        keys = changed_keys(self.source, spec, changes)
        if keys is None:
            return "a key is missing or occurs twice"
        rows, held = _sure_answer(lambda: checksum(self._dataset, spec, keys))
        if (rows, held) != (changes.standing.rows, changes.standing.checksum):
            return (
                "rows changed or disappeared without a newer sync time: apart from those synced since, Postgres has "
                f"{changes.standing.rows:,} rows and BigQuery {rows:,}, which are not the same"
            )
        return changes, loaded.parts


def _changes_sentence(changes: Changes) -> str:
    return f"{changes.changed.rows:,} rows synced after {changes.after:%Y-%m-%d %H:%M:%S} UTC"


def _unfit(loaded: LoadedState, now: TableState) -> str | None:
    """Why nothing can be built on a load, whatever changed since."""
    if not loaded.watermark or not now.watermark:
        return "no row has a sync time"
    if loaded.shape != now.shape:
        return "settings, mapping, or the columns of the table changed"
    if loaded.rows_quarantined:
        return "rows of the last load are in quarantine"
    if len(loaded.parts) >= MOST_PARTS:
        return f"the archive has {len(loaded.parts)} parts of it, so the whole table becomes a new one"
    return None
