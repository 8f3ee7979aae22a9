"""How many bytes a table holds, as an estimate.

Here: the figure behind numBytes, totalBytesProcessed and maximumBytesBilled. BigQuery counts exactly,
and bills only the columns and partitions a query touches; the stand-in measures a sample of rows and counts whole
tables, so its figure is an upper bound of a plausible size, not a bill.
"""

from klaviyo_assets.sandbox.bigquery.catalog import Table, count_rows
from klaviyo_assets.sandbox.bigquery.schema import Column
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name
from klaviyo_assets.sandbox.bigquery.store import Cursor, fetch_row

_FIXED = {
    "INTEGER": 8,
    "FLOAT": 8,
    "NUMERIC": 16,
    "BOOLEAN": 1,
    "TIMESTAMP": 8,
    "DATETIME": 8,
    "DATE": 8,
    "TIME": 8,
}
_SAMPLE_ROWS = 1000
_MOST_KNOWN = 2000
_known_row_bytes: dict[str, float] = {}
"""By the table's etag, which every write changes."""


def table_bytes(cursor: Cursor, table: Table, rows: int | None = None) -> int:
    """Estimate the logical bytes of a table, or of `rows` rows of it."""
    row_count = count_rows(cursor, table) if rows is None else rows
    return round(row_count * _row_bytes(cursor, table)) if row_count else 0


def _row_bytes(cursor: Cursor, table: Table) -> float:
    row_bytes = _known_row_bytes.get(table.etag)
    if row_bytes is None:
        if len(_known_row_bytes) >= _MOST_KNOWN:
            _known_row_bytes.clear()
        row_bytes = _known_row_bytes[table.etag] = _measured_row_bytes(cursor, table)
    return row_bytes


def _measured_row_bytes(cursor: Cursor, table: Table) -> float:
    fixed = sum(_FIXED[column["type"]] for column in table.columns if _is_fixed(column))
    # 2 bytes and the text is what BigQuery counts for a STRING; nested values count as their text.
    widths = [f"coalesce(avg({_width(column)}), 0)" for column in table.columns if not _is_fixed(column)]
    if not widths:
        return float(fixed)
    sample = f"(SELECT * FROM {table.physical} LIMIT {_SAMPLE_ROWS})"
    row = fetch_row(cursor, f"SELECT {' + '.join(widths)} FROM {sample}")
    return fixed + float(row[0] if row else 0)


def _is_fixed(column: Column) -> bool:
    return column["type"] in _FIXED and column["mode"] != "REPEATED"


def _width(column: Column) -> str:
    name = quoted_name(column["name"])
    if column["type"] == "BYTES" and column["mode"] != "REPEATED":
        return f"2 + octet_length({name})"
    return f"2 + strlen(CAST({name} AS VARCHAR))"
