"""The indexes that make reading increments fast; Fivetran itself creates only primary keys.

Here: the indexes, their columns and purposes, and the statement that creates one. Not here: looking for them
(`diagnosis/postgres.py`), and the measurements (docs/postgres_indexes.md). Everything works without them, but more
slowly.

Only plain columns are indexed, without expressions and conditions: Fivetran may rename, retype or drop any of them, and
Postgres then renames, rebuilds or drops the index too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True)
class RecommendedIndex:
    """An index on one table of an account's schema, and its purpose."""

    name: str
    table: str
    columns: tuple[str, ...]
    method: str
    purpose: str

    def statement(self, schema: str, *, concurrently: bool = False) -> sql.Composed:
        """`CREATE INDEX IF NOT EXISTS`; if concurrent, Fivetran can go on writing meanwhile (not in a transaction)."""
        return sql.SQL("CREATE INDEX {}IF NOT EXISTS {} ON {} USING {} ({})").format(
            sql.SQL("CONCURRENTLY ") if concurrently else sql.SQL(""),
            sql.Identifier(self.name),
            sql.Identifier(schema, self.table),
            sql.SQL("BRIN") if self.method == "brin" else sql.SQL("BTREE"),  # codespell:ignore brin
            sql.SQL(", ").join(map(sql.Identifier, self.columns)),
        )


RECOMMENDED = (
    RecommendedIndex("event_synced", "event", ("_fivetran_synced",), "brin", "finding what a sync changed"),
    RecommendedIndex("event_datetime", "event", ("datetime",), "btree", "reading a day, or the days before it"),
)


def possible(columns: Collection[str], table: str) -> Iterator[RecommendedIndex]:
    """The recommended indexes of a table whose columns all exist."""
    return (index for index in RECOMMENDED if index.table == table and set(index.columns) <= set(columns))
