"""What a destination is: a stage that delivers mapped frames, table by table, to a system outside the pipeline.

Here: what a destination has to state and do. Not here: which destinations there are (`stages/destinations.py`), their
assets, which are all built in the same way (`defs/assets/destination.py`), and their place in the graph
(`stages/graph.py`).

A package that is installed alongside this one adds a destination with an entry point of the group
`klaviyo_assets.destinations` (CONTRIBUTING.md, "A destination").
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.ledger import Ledger
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.stages.graph import Stage, destinations


@dataclass(frozen=True)
class AccountRun:
    """One account in one run, as a destination sees it.

    Attributes:
        destination: The destination's name.
        run_id: The Dagster run.
        account: The account.
        frames: Where the mapped frames are.
        tables: The tables that the run takes to the destination.
        resources: What the destination needs, by resource key.
    """

    destination: str
    run_id: str
    account: Account
    frames: FrameStore
    tables: frozenset[str]
    resources: Mapping[str, Any]

    def release(self, mapped: FrameKey) -> None:
        """Release a frame that the destination has taken; it is removed once every destination has taken it."""
        if self.frames.record(mapped) is not None and self.frames.mark(mapped, self.destination, destinations()):
            self.frames.remove(mapped)


@dataclass(frozen=True)
class TakenFrame:
    """A frame that a destination has taken.

    Attributes:
        record: What is known about the frame.
        metadata: What the UI shows about it besides rows, hash, mode and `data_through`.
        page: The address of its page in the system's console; empty if it has none.
    """

    record: FrameRecord
    metadata: Mapping[str, Any] = field(default_factory=dict)
    page: str = ""


@dataclass(frozen=True)
class HeldDay:
    """What a destination holds for one day of `event`: rows, and money by currency.

    Amounts without a currency are in the account's own.
    """

    rows: int = 0
    money: Mapping[str, Decimal] = field(default_factory=dict)


class Loader(Protocol):
    """Takes the frames of one account in one run."""

    def load(self, table: TableSpec, mapped: FrameKey) -> TakenFrame:
        """Take one partition and replace what the destination has of it; doing so again changes nothing.

        Raises:
            TransientError: a rerun may help.
            PermanentError: somebody has to change something first.
        """

    def finish(self) -> Iterable[tuple[FrameKey, KlaviyoAssetsError]]:
        """End the account's loads; return the partitions that are not loaded after all, and why."""


@dataclass(frozen=True)
class Destination:
    """A destination for mapped frames.

    Attributes:
        stage: Its stage; `stages.graph.destination` makes one.
        kinds: What the UI marks its assets with.
        describe: The description of a table's asset.
        open: Begins an account's loads in a run. It contacts no system yet, so that every failure belongs to a
            partition.
        needs: The keys of the resources that it needs.
        waits_for: The destinations that have to take a partition first. A partition counts as loaded when a ledger has
            it, so what has no ledger goes before what has one.
        has_tables: Whether assets are BigQuery tables of the same name.
        takes_deltas: Whether it takes frames that hold only what changed in a large account table. If one destination
            does not, tables are read whole.
        ledger: Opens its ledger of an account. A day that is not in it as BigQuery has it is dirty, so a run brings a
            destination that was added up to date. None if BigQuery's ledger waits for it, as for the archive.
        held: What it holds of an account's events between two days, both included, for `klaviyo-assets verify`. None if
            `audit/reconciliation/` looks at it itself.
    """

    stage: Stage
    kinds: frozenset[str]
    describe: Callable[[TableSpec], str]
    open: Callable[[AccountRun], Loader]
    needs: frozenset[str] = frozenset()
    waits_for: tuple[str, ...] = ()
    has_tables: bool = False
    takes_deltas: bool = False
    ledger: Callable[[Account], Ledger] | None = None
    held: Callable[[Account, date, date], Mapping[date, HeldDay]] | None = None

    @property
    def name(self) -> str:
        """The name of its stage."""
        return self.stage.name
