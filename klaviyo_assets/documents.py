"""JSON documents that are read, changed and written again, with every number spelled as it was.

Here: reading and writing. Not here: what is changed (`privacy.py`, `mapping.py`). Python's own reader makes a number
that is not whole a binary fraction: of `12345678901234567890.10` it would keep seventeen digits.
"""

import json
import re
from typing import Any
from uuid import uuid4

# No text of a document can hold it: it is made anew in each process.
_MARK = f"number-{uuid4().hex}:"
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


class NumberText(str):
    """A number of a document, marked, until the document is written again."""

    __slots__ = ()

    @property
    def spelled(self) -> str:
        """The number as the document spells it."""
        return self.removeprefix(_MARK)


def read(text: str) -> Any:
    """A document with its numbers as `NumberText`.

    Raises:
        ValueError: it is no JSON; NaN and Infinity are none.
        RecursionError: it is nested deeper than anything meant.
    """
    return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse)


def write(document: Any) -> str:
    """The text of a document, without blanks between its parts."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _MARKED.sub(r"\1", written) if _MARK in written else written


def _number(text: str) -> NumberText:
    return NumberText(_MARK + text)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
