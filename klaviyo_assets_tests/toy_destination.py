"""A destination as another package adds it: a folder of Parquet files with its own ledger beside them.

Here: the whole of it, as CONTRIBUTING.md describes. Not here: its tests (`integration/test_toy_destination.py`).
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.stages.destination import AccountRun, Destination, HeldDay, TakenFrame
from klaviyo_assets.stages.graph import destination

FOLDER = "TOY_FOLDER"


@dataclass(frozen=True)
class ToyLedger:
    """The folder of one account, and a line of JSON per load in its ledger."""

    account: Account

    @property
    def folder(self) -> Path:
        return Path(os.environ[FOLDER]) / self.account.name

    @property
    def _file(self) -> Path:
        return self.folder / "ledger.jsonl"

    def entries(self) -> Mapping[tuple[str, str], Entry]:
        return {(entry.table, entry.partition): entry for entry in self._loads()}

    def _loads(self) -> Iterator[Entry]:
        for line in self._file.read_text().splitlines() if self._file.is_file() else ():
            table, partition, at, digest, settings = json.loads(line)
            yield Entry(table, partition, datetime.fromisoformat(at), digest, settings, None)

    def record(self, mapped: FrameKey, record: FrameRecord) -> None:
        load = (mapped.table, mapped.day or mapped.account, datetime.now(UTC).isoformat(), record.source_digest,
                record.settings_fingerprint)  # fmt: skip
        with self._file.open("a") as lines:
            lines.write(json.dumps(load) + "\n")


@dataclass(frozen=True)
class ToyLoader:
    """Copies the frames of one account."""

    run: AccountRun

    def load(self, table: TableSpec, mapped: FrameKey) -> TakenFrame:
        ledger, record = ToyLedger(self.run.account), self.run.frames.require(mapped)
        target = ledger.folder / table.name / f"{mapped.day or 'all'}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.run.frames.local_file(mapped) as path:
            try:
                shutil.copyfile(path, target)
            except OSError as error:
                raise PermanentError(
                    f"{target.name} cannot be written: {error.strerror}", "Clear the folder."
                ) from error
        ledger.record(mapped, record)
        self.run.release(mapped)
        return TakenFrame(record, {"path": str(target)}, page=f"https://example.com/{table.name}")

    def finish(self) -> Iterable[tuple[FrameKey, KlaviyoAssetsError]]:
        return ()


def held(account: Account, first: date, last: date) -> Mapping[date, HeldDay]:
    """Rows and money per day, read from the files."""
    files = (ToyLedger(account).folder / "event").glob("*.parquet")
    return {
        date.fromisoformat(path.stem): _held_day(path, account)
        for path in files
        if path.is_file() and first <= date.fromisoformat(path.stem) <= last
    }


def _held_day(path: Path, account: Account) -> HeldDay:
    rows = pq.read_table(path, columns=["value", "currency"]).to_pylist()
    money: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["value"] is not None:
            money[row["currency"] or account.currency] += row["value"]
    return HeldDay(len(rows), money)


TOY = Destination(
    destination("toy", "copy"),
    kinds=frozenset({"parquet"}),
    describe=lambda table: f"`{table.name}` as a Parquet file in a folder.",
    open=ToyLoader,
    ledger=ToyLedger,
    held=held,
)
