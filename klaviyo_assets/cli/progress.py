"""How long work is displayed: on a terminal as bars with rows, bytes and the time left; in a pipe as a line per task.

Here: the display. Not here: the work, and how the time left is estimated (`pace.py`).

The bars are drawn on standard error, four times a second. They disappear when the task has ended, and one line stays.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from klaviyo_assets.cli.pace import Pace

_REDRAWN_PER_SECOND = 4
_BAR = 20
# Rows come in millions and bytes in gigabytes: columns this wide do not jump about, and everything fits into 80.
_WIDTHS = {"name": 12, "pieces": 11, "rows": 15, "bytes": 8}


@dataclass
class Part:
    """One line of a task: how many of its pieces are done, with how many rows and bytes."""

    total: int
    done: int = 0
    rows: int = 0
    bytes: int = 0

    @property
    def remaining(self) -> int:
        """The pieces that are left."""
        return max(0, self.total - self.done)


@dataclass
class Task:
    """A piece of work that takes a while. Without parts, its size is unknown."""

    name: str
    parts: dict[str, Part] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    doing: str = ""
    began: float = field(default_factory=time.monotonic)
    _moved: float = field(default_factory=time.monotonic)
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def begin(self) -> None:
        """Begin a step; the time before it was preparation and does not count towards the pace."""
        self.doing, self._moved = "", time.monotonic()

    def advance(self, part: str, *, rows: int = 0, size: int = 0) -> None:
        """Record that one more piece of a part is done, with its rows and bytes."""
        counts, now = self.parts.setdefault(part, Part(0)), time.monotonic()
        self.pace.learn(part, now - self._moved)
        self._moved = now
        counts.done, counts.rows, counts.bytes = counts.done + 1, counts.rows + rows, counts.bytes + size

    def step(self, doing: str) -> None:
        """Begin the next piece of the only part, with a description; the previous piece is done."""
        if self.doing:
            (part,) = self.parts
            self.advance(part)
        self.doing = doing

    def grow(self, rows: int, size: int) -> None:
        """Add rows and bytes to the current piece of the only part."""
        (part,) = self.parts.values()
        part.rows, part.bytes = part.rows + rows, part.bytes + size

    def complete(self, part: str) -> None:
        """End a part early, because the rest of it did not change."""
        if part in self.parts:
            self.parts[part].total = self.parts[part].done
            self._moved = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float | None:
        """The seconds until the end; None if they cannot be estimated."""
        seconds = self.pace.left({name: part.remaining for name, part in self.parts.items()})
        # The current piece is already under way.
        return None if seconds is None else max(0.0, seconds - (time.monotonic() - self._moved))

    @property
    def summary(self) -> str:
        """The line that stays on the screen."""
        return f"{self.name}{self._amounts()} ({duration(self.seconds)})"

    def _amounts(self) -> str:
        # Every part handles the same rows; the last part that counted any has them all.
        rows = next((part.rows for part in reversed(self.parts.values()) if part.rows), 0)
        size = max((part.bytes for part in self.parts.values()), default=0)
        told = [f"{rows:,} rows"] if rows else []
        told += [decimal(size)] if size else []
        return f": {', '.join(told)}" if told else ""

    def __rich__(self) -> Group | Spinner:
        """The display: a headline, and a bar per part."""
        if not self.parts:
            self._spinner.update(text=self._headline())
            return self._spinner
        bars = Table.grid(padding=(0, 2, 0, 0))
        for column, width in (("name", "left"), ("bar", "left"), ("pieces", "right"), ("rows", "right"),
                              ("bytes", "right")):  # fmt: skip
            bars.add_column(width=_WIDTHS.get(column, _BAR), justify=width, no_wrap=True)  # type: ignore[arg-type]
        for name, part in self.parts.items():
            bars.add_row(*_line(name, part))
        return Group(self._headline(), bars)

    def _headline(self) -> Text:
        left = self.left if self.parts else None
        told = duration(self.seconds) if left is None else f"{duration(self.seconds)}, about {duration(left)} left"
        doing = f": {self.doing}" if self.doing else ""
        return Text.assemble((self.name, "bold"), f"{doing}  ", (told, "dim"), no_wrap=True, overflow="ellipsis")


def _line(name: str, part: Part) -> Iterator[Text | ProgressBar]:
    # An empty part counts as done.
    total, done = (part.total, part.done) if part.total else (1, 1)
    yield Text(f"  {name}")
    # Rich's own color for unfinished bars is the color of errors.
    yield ProgressBar(
        total=total, completed=min(done, total), width=_BAR, complete_style="cyan", finished_style="green"
    )
    yield Text(f"{part.done:,}/{part.total:,}")
    yield Text(f"{part.rows:,} rows" if part.rows else "")
    yield Text(decimal(part.bytes) if part.bytes else "")


def duration(seconds: float) -> str:
    """A duration for people: 4.2 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Tasks one after another: bars on a terminal, plain lines in a pipe.

    Tasks of the same kind share what was learned about their pace.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._paces: dict[str, Pace] = {}

    def note(self, text: str) -> None:
        """Print a line between the bars."""
        self._console.print(text, style="yellow", markup=False, soft_wrap=not self._console.is_interactive)

    @contextmanager
    def task(
        self, name: str, parts: Mapping[str, int] | None = None, *, kind: str = "",
        usual: Mapping[str, float] | None = None, stays: bool = True, doing: str = "",
    ) -> Iterator[Task]:  # fmt: skip
        """Show that something is running, and at the end how much was done and how long it took.

        Args:
            name: What it is.
            parts: How many pieces each part has; without parts, the size is unknown.
            kind: The kind of task; tasks of one kind share a pace.
            usual: How long a piece of each part takes compared with the others'.
            stays: Whether a line stays when it is done.
            doing: The description of the first piece.
        """
        pace = self._paces.setdefault(kind or name, Pace(usual or {}))
        task = Task(name, {part: Part(total) for part, total in (parts or {}).items()}, pace, doing)
        if self._console.is_interactive:
            with Live(
                task, console=self._console, transient=True, refresh_per_second=_REDRAWN_PER_SECOND,
                redirect_stdout=False, redirect_stderr=False,
            ):  # fmt: skip
                yield task
        else:
            yield task
        if stays:
            self._console.print(Text(task.summary), soft_wrap=True)
