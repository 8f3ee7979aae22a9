"""Text that several packages write in the same way: a plural, one line, a Markdown table.

Here: what knows nothing about the product. Not here: how the HTML report writes money and days
(`publishing/html_report/formatting.py`), and whole sentences.
"""

from collections.abc import Iterable, Sequence

_RIGHT = "---:"


def plural(count: int, noun: str) -> str:
    """1 row, 2 rows, 1,000 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def one_line(text: object) -> str:
    """A text, or the text of an error, with single spaces and no line breaks."""
    return " ".join(str(text).split())


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """A Markdown table; the cells may hold any text.

    Args:
        head: The headings.
        rows: A cell for each heading.
        numbers: How many of the last columns are right-aligned.
    """
    aligned = ["---"] * (len(head) - numbers) + [_RIGHT] * numbers
    lines = (f"| {' | '.join(map(_cell, row))} |" for row in rows)
    return "\n".join((f"| {' | '.join(head)} |", f"|{'|'.join(aligned)}|", *lines))


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
