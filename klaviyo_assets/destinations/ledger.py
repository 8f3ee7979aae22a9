"""What a ledger is: a destination's own record of what was loaded into it.

Here: an entry, and what planning asks a ledger. Not here: how a destination keeps one (BigQuery's:
`destinations/bigquery/ledger.py`). Each destination keeps its ledger with its data (docs/decisions/0018).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Entry:
    """The newest entry of one partition in a ledger."""

    table: str
    partition: str
    recorded_at: datetime
    source_digest: str | None
    settings_fingerprint: str | None
    data_through: datetime | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def day(self) -> date | None:
        """The day of a daily table's partition; None for whole tables, and for events without a time."""
        try:
            return date.fromisoformat(self.partition)
        except ValueError:
            return None

    def is_of(self, other: "Entry | None") -> bool:
        """Whether a different entry has the same source rows, mapped with the same settings."""
        return other is not None and (self.source_digest, self.settings_fingerprint) == (
            other.source_digest, other.settings_fingerprint
        )  # fmt: skip


class Ledger(Protocol):
    """One account's ledger in one destination."""

    def entries(self) -> Mapping[tuple[str, str], Entry]:
        """The newest entry of every partition, by table and partition; empty before the first load.

        Raises:
            TransientError: the destination cannot be reached.
            PermanentError: it refuses.
        """
