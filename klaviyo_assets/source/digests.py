"""Digests of rows, which show that a set of rows differs from the one that was loaded.

Here: the digest as SQL, and what it states itself. Not here: which rows (`source/extraction.py`, `source/days.py`),
and comparing digests (`stages/planning.py`).
"""

from collections.abc import Iterable

from psycopg import sql

from klaviyo_assets.source.sql import RawTable

EVENT_DIGEST_COLUMNS = ("id", "datetime", "timestamp", "person_id", "metric_id", "_fivetran_deleted",
                        "_fivetran_synced")  # fmt: skip
NO_ROWS = "0:0"


def digest_expression(table: RawTable, columns: Iterable[str]) -> sql.Composed:
    """A digest of a set of rows that does not depend on their order: count and sum of 64-bit hashes."""
    present = [name for name in columns if name in table.columns]
    texts = sql.SQL(", ").join(sql.SQL("coalesce(t.{}::text, '')").format(sql.Identifier(name)) for name in present)
    row = sql.SQL("hashtextextended(concat_ws('|', {}), 0)").format(texts)
    return sql.SQL("count(*)::text || ':' || coalesce(sum({}::numeric), 0)::text").format(row)


def row_count(digest: str | None) -> int:
    """The number of rows that a digest states; 0 if it states none."""
    count = (digest or NO_ROWS).partition(":")[0]
    return int(count) if count.isdigit() else 0
