"""Which Postgres type the cells of a CSV column allow.

Here: the inference, cell by cell, in one pass. It is conservative: a column gets a type only if every
non-empty cell fits; mixed columns are text, as they end up in Fivetran too. Not here: reading files (`csv_files`).
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from klaviyo_assets.sandbox.raw_tables import may_be_number, stated_type

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,300})(\.\d+)?([eE][+-]?\d{1,3})?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?))?", re.ASCII | re.IGNORECASE
)


def is_boolean(cell: str) -> bool:
    """Whether a cell is true or false."""
    return cell.lower() in {"true", "false"}


def is_whole_number(cell: str) -> bool:
    """Whether a cell is an integer that survives parsing unchanged (no leading zeros, at most 18 digits)."""
    return cell.isascii() and bool(_WHOLE.fullmatch(cell)) and cell != "-0"


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number that a double can hold (`inf` and `n.a.` are not)."""
    if not (cell.isascii() and _NUMBER.fullmatch(cell)):
        return False
    value = float(cell)
    vanishes = value == 0 and bool(re.search(r"[1-9]", re.split("[eE]", cell)[0]))
    return math.isfinite(value) and not vanishes


def is_time(cell: str) -> bool:
    """Whether a cell is a day with a time of day; one without a zone is UTC."""
    return parse_time(cell) is not None


def is_json(cell: str) -> bool:
    """Whether a cell is a JSON object or list that `json` can hold and SQL can look into."""
    if not cell.lstrip().startswith(("{", "[")) or "\\u0000" in cell or "NaN" in cell or "Infinity" in cell:
        return False
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    # Postgres refuses half a surrogate pair, which Python lets pass.
    return not re.search(r"\\u[dD][89a-fA-F]", cell)


def parse_time(cell: str) -> datetime | None:
    """A cell's time in UTC, to the second; None when it is no time."""
    match = _TIME.fullmatch(cell)
    if not match:
        return None
    day, clock, zone = match.groups()
    offset = "+00:00" if not zone or zone.upper() in {"Z", "UTC"} else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_FITS: dict[str, Callable[[str], bool]] = {
    "boolean": is_boolean,
    "bigint": is_whole_number,
    "double precision": is_number,
    "timestamptz": is_time,
    "json": is_json,
}
"""Types in order of preference, and whether a cell can be one."""


@dataclass
class ColumnScan:
    """The types that the cells of one column have allowed so far."""

    name: str
    filled_cells: int = 0
    earliest: datetime | None = None
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        schema_type = stated_type(self.name)
        inferable = [kind for kind in _FITS if may_be_number(self.name) or kind not in {"bigint", "double precision"}]
        self._open = inferable if schema_type is None else [schema_type] if schema_type != "text" else []

    def see(self, cell: str) -> None:
        """Take one cell into account; an empty cell changes nothing."""
        if not cell:
            return
        self.filled_cells += 1
        if self._open:
            self._open = [kind for kind in self._open if _FITS[kind](cell)]
        if self.name in {"datetime", "timestamp"}:
            at = parse_time(cell)
            self.earliest = min(filter(None, (self.earliest, at)), default=None)

    @property
    def type(self) -> str:
        """The Postgres type; text for a column without a value, whatever the schema states."""
        if self._open and (self.filled_cells or stated_type(self.name)):
            return self._open[0]
        return "text"

    @property
    def fell_back(self) -> bool:
        """Whether the raw schema states a different type from the one the cells allow."""
        return self.type == "text" and stated_type(self.name) not in {None, "text"}
