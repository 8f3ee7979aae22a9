"""Figures as the page's template takes them: scorecards, tables, charts, and the sections they belong to.

Here: what a figure holds, and how rows of a statement become one. Not here: which figures there are (`sections/`), and
how they look (`page.html.j2`).

A cell with a `column` shows that column of a row of the figure's statement; `value` is the same number for programs, to
the last digit. The page contains both, with the statement's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from klaviyo_assets.publishing import charts
from klaviyo_assets.publishing.html_report.formatting import Kind, exact, text_of
from klaviyo_assets.publishing.html_report.question import Question

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
_NUMBERS = frozenset({Kind.COUNT, Kind.MONEY, Kind.SHARE, Kind.RISE, Kind.POINTS})
# A chart is drawn for both widths of the page; the page shows the one that fits.
WIDE, NARROW = 1030, 290


@dataclass(frozen=True)
class Interval:
    """A share and how certain it is, as a mark on a scale; all in percent of the scale's width."""

    low: float
    high: float
    at: float


@dataclass(frozen=True)
class Cell:
    """The content of one place.

    Attributes:
        text: What people read.
        value: What programs read and sorting uses.
        column: The statement's column; empty if the text is not from the statement.
        is_number: Whether it is aligned to the right.
        is_day: Whether it stays on one line.
        bar: A bar behind the number, as a share of the cell's width.
        interval: A mark beside the text.
        below: A second, smaller line.
        below_column: The statement's column that the second line is.
        below_value: The second line for programs.
        tone: `good`, `bad` or empty.
    """

    text: str
    value: str = ""
    column: str = ""
    is_number: bool = False
    is_day: bool = False
    bar: float | None = None
    interval: Interval | None = None
    below: str = ""
    below_column: str = ""
    below_value: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table: which row of the statement, and its cells; the first is its heading."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes:
        column: The statement's.
        heading: What people read above it.
        kind: What the values are.
        below: The statement's column for a second, smaller line.
        below_kind: What its values are.
        below_words: The words after them.
        has_bar: Whether each number has a bar; the longest is the largest of the column.
        names: Words for the values that BigQuery has.
    """

    column: str
    heading: str
    kind: Kind = Kind.COUNT
    below: str = ""
    below_kind: Kind = Kind.TEXT
    below_words: str = ""
    has_bar: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in _NUMBERS


@dataclass(frozen=True)
class Figure:
    """What any figure has.

    Attributes:
        question: The statement of its numbers.
        title: What it shows.
        note: What a reader has to know to understand it correctly.
    """

    question: Question
    title: str
    note: str = ""

    @property
    def template(self) -> str:
        """The template's macro for it."""
        return type(self).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class Table(Figure):
    """A table.

    Attributes:
        columns: Its columns, the first of which names the rows.
        lines: Its rows.
        is_searchable: Whether there is a search field.
        empty: The text that replaces a table without rows.
    """

    columns: Sequence[TableColumn]
    lines: Sequence[Line]
    is_searchable: bool = False
    empty: str = "Nothing in these days."


@dataclass(frozen=True, kw_only=True)
class Card:
    """One headline number, with its change since the period before."""

    question: Question
    label: str
    number: Cell
    change: Cell | None
    note: str
    details: Sequence[tuple[str, Cell]] = ()


@dataclass(frozen=True, kw_only=True)
class Cards(Figure):
    """The headline numbers; each names its statement itself."""

    cards: Sequence[Card]


@dataclass(frozen=True, kw_only=True)
class Chart(Figure):
    """A chart of the numbers of a table, which is folded away below it."""

    pictures: Mapping[str, str]
    table: Table


@dataclass(frozen=True)
class Section:
    """A part of an account's page."""

    name: str
    title: str
    lead: str
    figures: Sequence[Figure]


def cell(row: Row, column: str, kind: Kind, currency: str = "", *, text: str = "", tone: str = "") -> Cell:
    """A number or name of a row.

    Args:
        row: The statement's row.
        column: Which of its columns.
        kind: What it is.
        currency: Of money.
        text: What people read, if it differs from the value's own text.
        tone: As in `Cell`.
    """
    value = row[column]
    content = text or text_of(value, kind, currency)
    return Cell(content, exact(value), column, is_number=kind in _NUMBERS, tone=tone)


def lines(rows: Sequence[Row], columns: Sequence[TableColumn], currency: str) -> list[Line]:
    """All rows of a statement as rows of a table."""
    widest = {
        column.column: max((abs(float(row[column.column] or 0)) for row in rows), default=0)
        for column in columns if column.has_bar
    }  # fmt: skip
    return [
        Line(number, [_cell(row, column, currency, widest) for column in columns]) for number, row in enumerate(rows)
    ]


def _cell(row: Row, column: TableColumn, currency: str, widest: Mapping[str, float]) -> Cell:
    value = row[column.column]
    text = column.names.get(str(value)) or text_of(value, column.kind, currency)
    largest = widest.get(column.column)
    below = row[column.below] if column.below else None
    has_below = below is not None and column.names.get(str(below)) != ""
    return Cell(
        text, exact(value), column.column, is_number=column.is_number, is_day=column.kind is Kind.DAY,
        bar=abs(float(value or 0)) / largest if largest else None,
        below=f"{column.names.get(str(below)) or text_of(below, column.below_kind, currency)}{column.below_words}"
        if has_below else "",
        below_column=column.below if has_below else "", below_value=exact(below) if has_below else "",
    )  # fmt: skip


def chart_pictures(kind: str, rows: "pd.DataFrame", *, title: str, unit: str, **options: Any) -> dict[str, str]:
    """A chart as SVG, for wide and narrow pages.

    Args:
        kind: The function of `charts`.
        rows: Its rows.
        title: What it shows.
        unit: Of the values.
        options: Further arguments of the function.
    """
    make = getattr(charts, kind)
    return {
        name: charts.svg(make(rows, title=title, unit=unit, width=width, is_titled=False, **options))
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    }
