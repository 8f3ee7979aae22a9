"""The rows of a query for people and programs: a table, CSV or JSON.

Here: exact texts of values, and layouts. Not here: running a query (`cli/query.py`).

Rows are BigQuery's: an iterable of mappings with `schema` (fields with `name`, `field_type`, `mode`).
"""

import csv
import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from klaviyo_assets.text import plural

TABLE_ROWS = 200
_NUMBERS = {"INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"}
# A text column may be folded down to this many characters before rows are shown as lists of their values.
_LEAST_TEXT = 16
_GAP = 2


def cell(value: Any) -> str:
    """A value as text: numbers with all digits, times in ISO 8601, null as an empty text."""
    if value is None:
        return ""
    if isinstance(value, Mapping | list):
        return json.dumps(json_value(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(json_value(value))


def json_value(value: Any) -> Any:
    """A value in JSON. Exact decimals are text, because readers of JSON turn its numbers into doubles."""
    if isinstance(value, Mapping):
        return {name: json_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [json_value(inner) for inner in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int) else str(value)


def write_csv(rows: Any, sink: TextIO) -> None:
    """CSV with a header, lines ended by a line feed; nothing for a statement without columns."""
    names = _names(rows)
    if not names:
        return
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell(value) for value in row.values()] for row in rows)


def write_json(rows: Any, sink: TextIO) -> None:
    """A JSON list of objects, one row per line."""
    sink.write("[")
    separator = "\n"
    for row in rows:
        sink.write(separator + json.dumps(json_value(dict(row.items())), ensure_ascii=False))
        separator = ",\n"
    sink.write("\n]\n" if separator != "\n" else "]\n")


def print_table(rows: Any, console: Console) -> None:
    """A table no wider than the console; with too many columns, each row as a list of its values."""
    names = _names(rows)
    if not names:
        console.print("Done; the statement returned no rows.")
        return
    iterator: Iterator[Any] = iter(rows)
    text_rows = [[cell(value) for value in row.values()] for row in islice(iterator, TABLE_ROWS)]
    if _least_width(rows.schema, text_rows) <= console.width:
        console.print(_across(rows.schema, text_rows))
    else:
        _print_down(names, text_rows, console)
    console.print(_counted(len(text_rows), rows.total_rows))


def _names(rows: Any) -> list[str]:
    return [field.name for field in rows.schema or ()]


def _is_number(field: Any) -> bool:
    return field.field_type in _NUMBERS and field.mode != "REPEATED"


def _least_width(schema: Sequence[Any], text_rows: list[list[str]]) -> int:
    """The width below which a number or header would be cut, or text would become unreadable."""
    width = -_GAP
    for position, field in enumerate(schema):
        longest = max((len(row[position]) for row in text_rows), default=0)
        width += _GAP + max(len(field.name), longest if _is_number(field) else min(longest, _LEAST_TEXT))
    return width


def _across(schema: Sequence[Any], text_rows: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for field in schema:
        number = _is_number(field)
        table.add_column(
            Text(field.name), justify="right" if number else "left", no_wrap=number, overflow="fold",
            min_width=len(field.name),
        )  # fmt: skip
    for row in text_rows:
        table.add_row(*(Text(value) for value in row))
    return table


def _print_down(names: list[str], text_rows: list[list[str]], console: Console) -> None:
    for number, row in enumerate(text_rows, start=1):
        console.print(Text(f"row {number}", style="bold"))
        record = Table(box=None, pad_edge=False, show_header=False, padding=(0, _GAP, 0, 0))
        record.add_column(no_wrap=True, style="dim")
        record.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            record.add_row(Text(name), Text(value))
        console.print(record)


def _counted(row_count: int, total: int | None) -> Text:
    if total is not None and total > row_count:
        return Text(f"first {row_count:,} of {total:,} rows; --format csv prints all", style="dim")
    return Text(plural(row_count, "row"), style="dim")
