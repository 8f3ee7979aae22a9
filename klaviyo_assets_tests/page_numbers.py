"""Reading a report's page as a person and a program do: every number, with the statement that it names.

Here: the reader. Not here: any expectation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser

_VOID = frozenset({"meta", "input", "br", "link", "img", "hr"})
_NUMBER = re.compile(r"[\d,]+(?:\.\d+)?")


@dataclass
class Number:
    """One number or name of a page: where it is from, for programs, and for people."""

    account: str
    statement: str
    row: int
    column: str
    value: str
    text: str

    @property
    def read(self) -> tuple[Decimal, Decimal] | None:
        """What a person reads as a number, and the smallest step of what is written; None where it is no number."""
        match = _NUMBER.search(self.text)
        if match is None or not re.match(r"^[+\-\N{MINUS SIGN}]?\D{0,4}\d", self.text):
            return None
        digits = match[0].replace(",", "")
        number, step = Decimal(digits), Decimal(1).scaleb(-len(digits.partition(".")[2]))
        if self.text.startswith("\N{MINUS SIGN}"):
            number = -number
        if "%" in self.text or "pts" in self.text:
            return number / 100, step / 100
        return (number - 1, step) if self.text.endswith("-fold") else (number, step)


@dataclass
class _Open:
    tag: str
    attributes: dict[str, str]
    number: Number | None = None


@dataclass
class Page(HTMLParser):
    """A parsed page."""

    html: str
    numbers: list[Number] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()

    def __hash__(self) -> int:
        return id(self)

    def of(self, statement: str, column: str, account: str | None = None) -> list[Number]:
        """The numbers of one column of a statement."""
        return [
            each for each in self.numbers
            if (each.statement, each.column) == (statement, column) and account in (None, each.account)
        ]  # fmt: skip

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag in _VOID:
            return
        opened = _Open(tag, given)
        self._stack.append(opened)
        if "data-column" in given:
            opened.number = Number(
                self._nearest("data-account"), self._nearest("data-sql"), int(self._nearest("data-row")),
                given["data-column"], given["data-value"], "",
            )  # fmt: skip
            self.numbers.append(opened.number)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._stack and self._stack.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for opened in reversed(self._stack):
            if opened.number is not None:
                opened.number.text = f"{opened.number.text} {data}".strip()
                return
            if opened.tag == "small" and opened.number is None:
                return

    def _nearest(self, attribute: str) -> str:
        values: Iterator[str] = (
            opened.attributes[attribute] for opened in reversed(self._stack) if attribute in opened.attributes
        )
        return next(values)
