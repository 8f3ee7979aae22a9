"""The Postgres database that Fivetran writes to: read-only, one consistent snapshot at a time.

Here: connecting, snapshots, streaming queries as Arrow. Not here: what is read (`schemas/sql.py`, `extraction.py`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import dagster as dg
import pyarrow as pa
from psycopg import sql
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError

APPLICATION_NAME = "klaviyo_assets"
# SQLSTATE classes of faults that pass: connections, resources, operator intervention (a standby that cancels).
_PASSING = re.compile(r"SQLSTATE:? ?(08|53|57|58|40)|could not connect|connection|timeout|recovery", re.IGNORECASE)

# libpq gives no SQLSTATE for a refused login.
_REFUSED = re.compile(r"authentication failed|(role|database|user) .* does not exist|pg_hba|no password", re.IGNORECASE)


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Fivetran's Postgres destination. Needs SELECT on the account schemas, nothing else."""

    url: str = Field(description="postgresql://user:password@host:port/database (POSTGRES_URL).")
    statement_timeout_seconds: int = Field(default=900, description="A statement that runs longer is given up.")
    connect_timeout_seconds: int = Field(default=10, description="How long to wait for the server.")

    @contextmanager
    def snapshot(self) -> "Iterator[Snapshot]":
        """One REPEATABLE READ, read-only transaction: everything read in it is of one moment.

        Raises:
            SettingsError: the address is no Postgres address.
            TransientError: the server cannot be reached, or went away.
            PermanentError: it refused the login or a statement.
        """
        connection = self._connect()
        try:
            yield Snapshot(connection)
        finally:
            connection.close()

    def _connect(self) -> Any:
        import adbc_driver_postgresql.dbapi as adbc

        if not self.url.startswith(("postgresql://", "postgres://")):
            raise SettingsError(
                "POSTGRES_URL is no Postgres address; write it as postgresql://user:password@host:5432/database"
            )
        with explained("connecting to Postgres (POSTGRES_URL)"):
            return adbc.connect(self._address())

    def _address(self) -> str:
        options = " ".join(
            f"-c {name}={value}"
            for name, value in {
                "default_transaction_isolation": "repeatable\\ read",
                "default_transaction_read_only": "on",
                "statement_timeout": f"{self.statement_timeout_seconds}s",
                "TimeZone": "UTC",
            }.items()
        )
        separator = "&" if "?" in self.url else "?"
        return (
            f"{self.url}{separator}options={quote(options)}&application_name={APPLICATION_NAME}"
            f"&connect_timeout={self.connect_timeout_seconds}"
        )


class Snapshot:
    """A moment of the database."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def read(self, query: sql.Composable) -> pa.Table:
        """All rows of a query that gives few."""
        with explained("reading from Postgres"), self._connection.cursor() as cursor:
            cursor.execute(query.as_string(None))
            return cursor.fetch_arrow_table()

    @contextmanager
    def stream(self, query: sql.Composable) -> Iterator[pa.RecordBatchReader]:
        """Rows of a query in batches of about 16 MB, in bounded memory."""
        with explained("reading from Postgres"), self._connection.cursor() as cursor:
            cursor.execute(query.as_string(None))
            yield cursor.fetch_record_batch()


@contextmanager
def explained(action: str) -> Iterator[None]:
    """The driver's errors as ours; other errors pass."""
    import adbc_driver_manager as driver

    try:
        yield
    except (driver.Error, OSError) as error:
        raise translated(error, action) from error


def translated(error: Exception, action: str) -> KlaviyoAssetsError:
    """A driver's error as one of ours, without the address (it may hold the password)."""
    text = re.sub(r"postgres(ql)?://\S+", "(address hidden)", str(error)).strip()
    state = getattr(error, "sqlstate", None)
    described = f"{action}: {text}" + (f" [SQLSTATE {state}]" if state and state not in text else "")
    if _REFUSED.search(text):
        return PermanentError(f"{described}. Check user, password and database in POSTGRES_URL.")
    passing = (state or "")[:2] in {"08", "53", "57", "58", "40"} or (not state and _PASSING.search(text))
    if "statement timeout" in text:
        return PermanentError(f"{described}. Raise statement_timeout_seconds, or create the recommended indexes.")
    return TransientError(described) if passing else PermanentError(described)
