"""CSV files of raw tables: finding them, reading their rows, scanning what they hold.

Here: reading. Rows with more or fewer cells than the header are not guessed at: they are reported by line.
Not here: Postgres (`importer`).
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.csv_columns import ColumnScan
from klaviyo_assets.sandbox.raw_tables import KEYS

_LONGEST_NAME = 63


@dataclass(frozen=True)
class RejectedRow:
    """A row that was not loaded: the line that it ends on, and the reason."""

    line: int
    reason: str


@dataclass
class ScannedFile:
    """A raw table's file after one pass: columns by name in the file's order, rows that fit, rows that do not."""

    path: Path
    columns: dict[str, ColumnScan]
    rows: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The raw table: the file's name."""
        return self.path.stem

    @property
    def kept_columns(self) -> dict[str, ColumnScan]:
        """Key columns, and columns with a value in any row: Fivetran creates only these."""
        key = KEYS[self.table]
        return {name: scan for name, scan in self.columns.items() if scan.filled_cells or name in key}


def find_files(directory: Path) -> tuple[list[Path], list[Path]]:
    """The CSV files of raw tables in a folder, and the files that are not named after a raw table.

    Raises:
        PermanentError: there is no file to import.
    """
    if not directory.is_dir():
        raise PermanentError(
            f"cannot import from {directory}: it is not a folder", "Give the folder that has the CSV files."
        )
    files = sorted(path for path in directory.glob("*.csv") if path.is_file())
    raw_files = [path for path in files if path.stem in KEYS]
    if not raw_files:
        names = ", ".join(path.name for path in files) or "none"
        raise PermanentError(
            f"{directory} has no CSV file named after a raw table (names: {names})",
            f"Name the files <table>.csv; the tables are {', '.join(KEYS)}.",
        )
    return raw_files, [path for path in files if path.stem not in KEYS]


def scan_file(path: Path) -> ScannedFile:
    """Read a file once and find out what it holds.

    Raises:
        PermanentError: it is not a UTF-8 CSV file with a header of distinct names.
    """
    rows = _read(path)
    scanned = ScannedFile(path, {name: ColumnScan(name) for name in _header(path, rows)})
    for line, cells in rows:
        reason = _fault(cells, len(scanned.columns))
        if reason:
            scanned.rejected.append(RejectedRow(line, reason))
            continue
        scanned.rows += 1
        for scan, cell in zip(scanned.columns.values(), cells, strict=True):
            scan.see(cell)
    return scanned


def good_rows(scanned: ScannedFile) -> Iterator[list[str | None]]:
    """The rows that fit, with the kept columns only; an empty cell is None."""
    columns = scanned.kept_columns
    positions = [position for position, name in enumerate(scanned.columns) if name in columns]
    rows = _read(scanned.path)
    next(rows)
    for _, cells in rows:
        if not _fault(cells, len(scanned.columns)):
            yield [cells[position] or None for position in positions]


def _header(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    names = next(rows, (0, []))[1]
    wrong = sorted({name for name in names if not name or names.count(name) > 1 or len(name.encode()) > _LONGEST_NAME})
    if not names or wrong:
        raise PermanentError(
            f"the header of {path} is unusable: {wrong or 'it is empty'}",
            f"Column names must be distinct, not empty, and at most {_LONGEST_NAME} bytes long.",
        )
    return names


def _fault(cells: list[str], width: int) -> str:
    if len(cells) != width:
        return f"{len(cells)} cells where the header has {width}"
    return "a NUL character, which Postgres cannot hold" if any("\0" in cell for cell in cells) else ""


def _read(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not blank, each with its last line number."""
    # A cell can hold a whole e-mail template; the default limit is 128 KiB.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PermanentError(f"cannot read {path} as a UTF-8 CSV file: {error}") from error
