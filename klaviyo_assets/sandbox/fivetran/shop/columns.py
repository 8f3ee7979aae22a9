"""Small operations on Arrow columns that all tables of the shop share.

Here: joining texts, blanking rows, times, JSON literals. Not here: anything about Klaviyo.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER


def texts(values: Sequence[str | None]) -> Column:
    """A string column."""
    return pa.array(values, type=pa.string())


def pick(choices: Sequence[str | None], indices: Ints) -> Column:
    """The texts at these indices."""
    return texts(choices).take(pa.array(indices))


def constant(value: Any, count: int) -> Column:
    """One value on every row."""
    return pa.repeat(value, count)


def join(*parts: Column | str) -> Column:
    """Texts joined row by row; null if a part is null."""
    return pc.binary_join_element_wise(*(pa.scalar(p) if isinstance(p, str) else p for p in parts), "")


def number_texts(numbers: Ints) -> Column:
    """Whole numbers as texts."""
    return pa.array(numbers).cast(pa.string())


def where(condition: Bools, column: Column) -> Column:
    """The column's value where the condition holds, else null."""
    return pc.if_else(pa.array(condition), column, pa.scalar(None, column.type))


def times(seconds: Ints) -> Column:
    """Epoch seconds as UTC timestamps; NEVER and 0 are null."""
    unknown = (seconds >= NEVER) | (seconds == 0)
    return pa.array(np.where(unknown, 0, seconds), mask=unknown, type=pa.timestamp("s", "UTC"))


def iso_times(seconds: Ints) -> Column:
    """Epoch seconds as ISO 8601 texts."""
    return pc.strftime(pa.array(seconds, type=pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%S+00:00")


def json_literals(column: Column) -> Column:
    """The JSON spelling of each value; null stays null."""
    if pa.types.is_string(column.type):
        words = pc.dictionary_encode(column)
        literals = texts([json.dumps(word, ensure_ascii=False) for word in words.dictionary.to_pylist()])
        return literals.take(words.indices)
    if pa.types.is_floating(column.type):
        return texts([None if value is None else json.dumps(value) for value in column.to_pylist()])
    return column.cast(pa.string())


def json_objects(literals: dict[str, Column]) -> Column:
    """One JSON object per row from columns of JSON literals; null literals are left out."""
    members = [join(f"{json.dumps(name)}: ", column) for name, column in literals.items()]
    inner = pc.binary_join_element_wise(*members, ", ", null_handling="skip")
    return join("{", inner, "}")
