"""The matrix of network faults and systems: which faults there are, and what was seen of each.

Here: the names of faults and systems, one cell, and the table in docs/reliability.md. Not here: how a fault is made for
a system (`klaviyo_assets_tests/integration/faults/test_<system>_faults.py`).

A test of a system calls `measured` for each of its faults; `KLAVIYO_FAULTS_TABLE=<folder>` has the cells kept as
files, and `python -m klaviyo_assets_tests.faults.matrix` writes the table from them.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError
from klaviyo_assets_tests.checkout import DOCS

FAULTS = (
    "silent on connect", "silent mid-answer", "reset mid-body", "10 kB/s", "429", "500", "503 bursts",
    "403 with a reason", "expired credentials", "DNS failure", "TLS mismatch", "clock skew",
)  # fmt: skip
SYSTEMS = ("Fivetran", "Postgres", "S3", "BigQuery", "mail")
DOCUMENT = DOCS / "reliability.md"
BEGIN, END = "<!-- fault matrix -->", "<!-- end of the fault matrix -->"
_FOLDER = "KLAVIYO_FAULTS_TABLE"


@dataclass
class Cell:
    """What one system did about one fault.

    Attributes:
        system: One of SYSTEMS.
        fault: One of FAULTS.
        limit_seconds: The limit that the test set; the wait has to end within it.
        outcome: `done`, `permanent` or `transient`.
        seconds: How long it took.
        message: What was said.
    """

    system: str
    fault: str
    limit_seconds: float
    outcome: str = ""
    seconds: float = 0.0
    message: str = ""

    def __post_init__(self) -> None:
        assert self.system in SYSTEMS
        assert self.fault in FAULTS

    def expect(self, outcome: str, words: str) -> None:
        """The outcome is this, and what was said has these words (a pattern)."""
        assert (self.outcome, bool(re.search(words, self.message))) == (outcome, True), self


@contextmanager
def measured(system: str, fault: str, limit_seconds: float) -> Iterator[Cell]:
    """Do something under a fault; it ends, or fails with an error of ours, within the limit.

    Args:
        system: One of SYSTEMS.
        fault: One of FAULTS.
        limit_seconds: What the limits that the test set allow in the worst case.
    """
    cell = Cell(system, fault, limit_seconds)
    began = time.monotonic()
    try:
        yield cell
        cell.outcome = "done"
    except KlaviyoAssetsError as error:
        cell.outcome = "permanent" if isinstance(error, PermanentError) else "transient"
        cell.message = str(error)
    cell.seconds = time.monotonic() - began
    assert cell.seconds <= limit_seconds, f"{system}, {fault}: {cell.seconds:.1f} s, the limit is {limit_seconds} s"
    keep(cell)


def keep(cell: Cell) -> None:
    """Keep a cell for the table, where a folder for it is named."""
    if folder := os.environ.get(_FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"{cell.system}-{FAULTS.index(cell.fault):02}.json"
        (Path(folder) / name).write_text(json.dumps(asdict(cell)))


CellTexts = dict[tuple[str, str], str]


def table(texts: CellTexts) -> str:
    """The matrix as Markdown, from what is shown for each fault and system."""
    head = [f"| fault | {' | '.join(SYSTEMS)} |", f"|---|{'---|' * len(SYSTEMS)}"]
    rows = [f"| {fault} | {' | '.join(texts.get((fault, system), '') for system in SYSTEMS)} |" for fault in FAULTS]
    return "\n".join([*head, *rows])


def shown_cell(cell: Cell) -> str:
    """A cell in the table: what came of it, and how much of the limit it took."""
    return f"{cell.outcome}, {cell.seconds:.1f} of {cell.limit_seconds:g} s"


def read_table(text: str) -> CellTexts:
    """What a table shows."""
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return {(fault, system): cell for fault, *cells in rows for system, cell in zip(SYSTEMS, cells, strict=True)}


def write(folder: Path) -> None:
    """Write the cells in a folder into the table of docs/reliability.md; the others stay as they are."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    earlier, _, after = rest.partition(END)
    cells = [Cell(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    texts = read_table(earlier) | {(cell.fault, cell.system): shown_cell(cell) for cell in cells}
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(texts)}\n\n{END}{after}")


if __name__ == "__main__":
    write(Path(os.environ[_FOLDER]))
