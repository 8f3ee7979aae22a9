"""The Postgres database that Fivetran writes to: read-only, one consistent snapshot at a time.

Here: connecting, snapshots, streaming queries as Arrow. Not here: what is read (`source/sql.py`,
`source/extraction.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pyarrow as pa
from psycopg import sql
from pydantic import Field

from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.connection import Reader
from klaviyo_assets.resources.postgres.errors import Statement
from klaviyo_assets.transport.time_limits import POSTGRES_BATCH, POSTGRES_CLOSE, POSTGRES_CONNECT, POSTGRES_STATEMENT

# How much later than the server's own limit we give up, in case the server cannot report it.
GRACE_SECONDS = 15
_READING = "reading from Postgres"


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Fivetran's Postgres destination. Needs SELECT on the account schemas, nothing else."""

    url: str = Field(description="postgresql://user:password@host:port/database (POSTGRES_URL).", repr=False)
    statement_timeout_seconds: int = Field(
        default=int(POSTGRES_STATEMENT.seconds), description="A statement that runs longer is given up."
    )
    connect_timeout_seconds: int = Field(
        default=int(POSTGRES_CONNECT.seconds), description="How long to wait for the server."
    )
    batch_timeout_seconds: float = Field(
        default=POSTGRES_BATCH.seconds,
        description="How long to wait for the next 16 MB of rows once rows have begun to come.",
    )

    @contextmanager
    def snapshot(self) -> "Iterator[Snapshot]":
        """One read-only REPEATABLE READ transaction: everything that is read in it shows the same moment.

        Raises:
            SettingsError: the address is not a Postgres address.
            TransientError: the server cannot be reached, does not answer in time, or went away.
            PermanentError: it refused the login, a statement or the transaction.
        """
        reader = Reader(PostgresAddress.read(self.url), self.statement_timeout_seconds, self.connect_timeout_seconds)
        reader.open()
        try:
            yield Snapshot(reader, self.batch_timeout_seconds)
        finally:
            reader.close()


class Snapshot:
    """The database at one moment."""

    def __init__(self, reader: Reader, batch_seconds: float = POSTGRES_BATCH.seconds) -> None:
        self._reader, self._batch_seconds = reader, batch_seconds

    def read(self, query: sql.Composable) -> pa.Table:
        """All rows of a query with a small result."""
        with self.stream(query) as batches:
            return pa.Table.from_batches(list(batches), batches.schema)

    @contextmanager
    def stream(self, query: sql.Composable) -> "Iterator[Batches]":
        """Rows of a query in batches of about 16 MB, in bounded memory."""
        statement, cursor = self._reader.statement(_READING), self._reader.cursor()
        try:
            first_seconds = self._reader.statement_seconds + GRACE_SECONDS
            with statement.answered_within(first_seconds):
                cursor.execute(query.as_string(None))
            yield Batches(cursor, statement, first_seconds, self._batch_seconds)
        finally:
            # The remaining rows are not read.
            with statement.ended_within(POSTGRES_CLOSE.seconds):
                cursor.close()


class Batches:
    """The rows of a statement, batch by batch; each is waited for within a limit.

    Args:
        cursor: ADBC's, after `execute`.
        statement: Explains errors.
        first_seconds: How long the first batch may take; the server may have to sort first.
        next_seconds: How long each later batch may take.
    """

    def __init__(self, cursor: Any, statement: Statement, first_seconds: float, next_seconds: float) -> None:
        # The cursor's own reader gives SQLSTATEs; the Arrow reader inside it, which it hands out, gives texts.
        self._reader, self._statement = cursor._results.reader, statement
        self._first_seconds, self._next_seconds = first_seconds, next_seconds

    @property
    def schema(self) -> pa.Schema:
        """Their columns."""
        return self._reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches."""
        seconds = self._first_seconds
        while True:
            try:
                with self._statement.answered_within(seconds):
                    batch = self._reader.read_next_batch()
            except StopIteration:
                return
            yield batch
            seconds = self._next_seconds
