"""The indexes that make reading increments quick; Fivetran itself makes primary keys only.

Here: which, on what, why, and the statement that makes one. Not here: looking for them (`diagnosis/postgres.py`), and
the measurements (docs/postgres_indexes.md). Everything works without them, more slowly.

Only plain columns are indexed, without expressions and conditions: Fivetran may rename, retype or drop any of them, and
Postgres renames, rebuilds or drops such an index with it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True)
class RecommendedIndex:
    """An index on one table of an account's schema, and what it is for."""

    name: str
    table: str
    columns: tuple[str, ...]
    method: str
    purpose: str

    def statement(self, schema: str, *, concurrently: bool = False) -> sql.Composed:
        """`CREATE INDEX IF NOT EXISTS`; concurrently, Fivetran can go on writing meanwhile (not in a transaction)."""
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
    """The recommended indexes of a table whose columns are all there."""
    return (index for index in RECOMMENDED if index.table == table and set(index.columns) <= set(columns))
