"""The names of frames, and what is known about them.

Here: the keys of frames, and the record that is written beside each. Not here: where frames are kept (`store.py`), and
what they contain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# BigQuery reads Parquet best in row groups of 16 MiB or more: about 270,000 rows of these tables.
ROW_GROUP_ROWS = 300_000
COMPRESSION = {"compression": "zstd", "compression_level": 1}


@dataclass(frozen=True)
class FrameKey:
    """The name of one frame: a stage's file of one table for one account, and for one day if the table is daily."""

    stage: str
    account: str
    table: str
    day: str | None = None

    @property
    def folder(self) -> str:
        """The path below the frames folder."""
        return "/".join(part for part in (self.stage, self.account, self.table, self.day) if part)

    def __str__(self) -> str:
        """For messages: `extracted/event of acme for 2026-01-31`."""
        return f"{self.stage}/{self.table} of {self.account}" + (f" for {self.day}" if self.day else "")


@dataclass(frozen=True)
class Part:
    """One file of a table in the archive: its SHA-256, rows and bytes."""

    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class TableState:
    """The state to which a frame brings a large account table: with the whole table, or with a delta on what is loaded.

    Attributes:
        why: Why the table was read whole, or what the delta holds, in words.
        rows: Rows of the source table.
        checksum: Of the source table's keys, sync times and delete marks, if BigQuery must agree; else empty.
        watermark: The newest `_fivetran_synced` of the source table, ISO 8601; empty if there is none.
        shape: Fingerprint of what decides all rows: settings, mapping, spec, columns of the source table.
        key: The mapped key columns.
        below: The archived parts that a delta builds on, in order; empty for a whole table.
    """

    why: str
    rows: int
    checksum: str = ""
    watermark: str = ""
    shape: str = ""
    key: tuple[str, ...] = ()
    below: tuple[Part, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "TableState":
        """From JSON."""
        below = tuple(Part(**part) for part in fields["below"])
        return cls(**{**fields, "key": tuple(fields["key"]), "below": below})


@dataclass(frozen=True)
class FrameRecord:
    """What is known about a frame; the record is written last, so a frame without a record does not exist.

    It has the numbers of rows by outcome (`rows_*`), the SHA-256 of the file, the digest and newest sync of its source,
    and under `details` what the next stage needs to know. All numbers are the frame's own; for a large table, `state`
    describes the whole table.
    """

    rows: int
    bytes: int
    sha256: str
    source_digest: str = ""
    settings_fingerprint: str = ""
    data_through: str | None = None
    rows_raw: int = 0
    rows_deleted: int = 0
    rows_quarantined: int = 0
    warnings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    state: TableState | None = None

    @property
    def is_delta(self) -> bool:
        """Whether the frame holds only the rows that changed."""
        return self.state is not None and bool(self.state.below)

    @property
    def mode(self) -> str:
        """`delta` or `whole`."""
        return "delta" if self.is_delta else "whole"

    @property
    def table_rows(self) -> int:
        """Rows of the table once the frame is in it."""
        return self.state.rows if self.state and self.is_delta else self.rows

    @property
    def parts(self) -> tuple[Part, ...]:
        """The archived parts that the table consists of once the frame is in it; repeating a delta adds none."""
        own, below = Part(self.sha256, self.rows, self.bytes), self.state.below if self.state else ()
        is_new = not below or (self.rows > 0 and own.sha256 != below[-1].sha256)
        return (*below, own) if is_new else below

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "FrameRecord":
        """From JSON."""
        state = fields.get("state")
        return cls(**{**fields, "state": TableState.of(state) if state else None})
