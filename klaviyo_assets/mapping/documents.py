"""JSON documents that are read, changed and written back, with every number spelled as before.

Here: reading and writing. Not here: what is changed (`mapping/privacy.py`, `mapping/copied.py`). Python's own reader
turns a number that is not whole into a binary fraction: it would keep seventeen digits of `12345678901234567890.10`.
"""

import json
import re
from typing import Any
from uuid import uuid4

# No text of a document can contain it: it is created anew in each process.
_MARK = f"number-{uuid4().hex}:"
# Escaped backslashes and whole pairs are matched first, so that what is left is half a pair.
_SURROGATES = re.compile(
    r"(?P<kept>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


class NumberText(str):
    """A number of a document, marked until the document is written again."""

    __slots__ = ()

    @property
    def spelled(self) -> str:
        """The number as the document spells it."""
        return self.removeprefix(_MARK)


def sound(text: str) -> str:
    """A document with U+FFFD for every escaped half of a surrogate pair that stands alone: no text can hold one."""
    return _SURROGATES.sub(lambda match: match.group("kept") or r"\ufffd", text) if r"\u" in text else text


def read(text: str) -> Any:
    """A document with its numbers as `NumberText`; it is made `sound` first.

    Raises:
        ValueError: it is not JSON; NaN and Infinity are not JSON either.
        RecursionError: it is nested deeper than any real document.
    """
    return json.loads(sound(text), parse_float=_number, parse_int=_number, parse_constant=_refuse)


def write(document: Any) -> str:
    """The text of a document, without spaces between its parts."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _MARKED.sub(r"\1", written) if _MARK in written else written


def _number(text: str) -> NumberText:
    return NumberText(_MARK + text)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def repeats_a_key(text: str) -> bool:
    """Whether an object of the document has a key twice; `read` returns only the last value."""
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated |= len({key for key, _ in pairs}) < len(pairs)

    json.loads(sound(text), object_pairs_hook=look, parse_int=str)
    return repeated
