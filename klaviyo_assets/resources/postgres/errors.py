"""What an error of Postgres means: would a rerun help, and what should be changed?

Here: errors of an open session, by SQLSTATE. Not here: why a session could not be opened
(`refusals.py`).

Only the server's primary message is passed on: DETAIL and CONTEXT quote rows, and drivers add the statement. Where even
the primary message quotes a value (data exceptions), the name of the SQLSTATE stands for it. The driver's error is
not chained, because printing the chain would print all of this.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, TransientError
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.transport.deadlines import Deadline

# Connections; resources; operator intervention; the system around it; rollbacks; a snapshot that is too old.
_TRANSIENT_CLASSES = {"08", "53", "57", "58", "40", "72"}
_TRANSIENT_STATES = {"55P03", "55006", "25P03", "25P04"}
# A configured limit, and a database that is gone.
_PERMANENT_STATES = {"53400", "57P04"}
# Messages of these classes quote row values: data exceptions, constraints, errors that functions raise.
_QUOTING_CLASSES = {"21", "22", "23", "44", "P0"}
_CANCELED = "57014"
_FIXES = {
    "25P03": "The server ended a transaction that was idle for too long. Run this again.",
    "28000": "The server rejects this login: check user, database and sslmode in POSTGRES_URL, and the server's "
    "pg_hba.conf.",
    "28P01": "Check user, password and database in POSTGRES_URL; a password may also have expired, or been changed.",
    "3D000": "Check the database in POSTGRES_URL.",
    "3F000": "Check postgres_schema in accounts.toml.",
    "40001": "Set hot_standby_feedback or raise max_standby_streaming_delay on the standby, or read from the primary.",
    "42P01": "It was dropped or renamed in the meantime. Check what Fivetran did, and run this again.",
    "53100": "The server's disk is full: free space there.",
    "53300": "All connections of the server are in use: end idle ones, or raise max_connections or the login's limit.",
    "53400": "Raise temp_file_limit for this login, or create the recommended indexes (docs/postgres_indexes.md).",
    "55P03": "A different session held a lock on the table for too long, as Fivetran does while it changes columns. "
    "Run this again.",
    "57P01": "An administrator, a restart or a failover ended the connection. Run this again.",
    "57P02": "The server crashed and restarts. Run this again.",
    "57P03": "The server is starting up or shutting down. Run this again.",
    "57P04": "The database was dropped. Check the database in POSTGRES_URL.",
    "57P05": "The server ended a session that was idle for too long. Run this again.",
    "72000": "The rows of the snapshot are gone. Run this again, or raise old_snapshot_threshold.",
}
# Permanent refusals of poolers, by a part of their text: they have one code, 08P01, for everything.
_POOLER_REFUSALS = {
    "unsupported startup parameter": "A pooler (PgBouncer) does not accept this option of POSTGRES_URL. Remove it "
    "there, or add it to the pooler's ignore_startup_parameters.",
    "statement pooling mode": "A pooler (PgBouncer) with pool_mode = statement has no transactions, so no consistent "
    "read is possible. Use pool_mode = transaction or session, or point POSTGRES_URL at Postgres itself.",
    "no such database": "The pooler (PgBouncer) does not know the database. Check the database in POSTGRES_URL.",
    "bouncer config error": "The pooler (PgBouncer) is configured wrongly, or does not know the database. Check the "
    "database in POSTGRES_URL, and the pooler's configuration.",
    "no such user": "The pooler (PgBouncer) does not know the user. Check the user in POSTGRES_URL.",
    "SSL required": "The pooler (PgBouncer) requires TLS. Add ?sslmode=require to POSTGRES_URL.",
}
_LOST = "The server or the network ended the connection. Run this again."


class Statement:
    """One statement, from sending to its last row: its time limit, and the meaning of its errors."""

    def __init__(self, action: str, address: PostgresAddress, deadline: Deadline, seconds: float = 0.0) -> None:
        self._action, self._address, self._deadline, self._seconds = action, address, deadline, seconds
        self._began = time.monotonic()

    @contextmanager
    def answered_within(self, seconds: float) -> Iterator[None]:
        """Wait for the server no longer than this, and raise the driver's errors as ours; other errors pass through.

        Raises:
            TransientError: it did not answer in time, or went away.
            PermanentError: it refused the statement.
        """
        import adbc_driver_manager as driver
        import psycopg

        try:
            with self._deadline.within(seconds):
                yield
        # Arrow's errors are OSErrors.
        except (driver.Error, psycopg.Error, OSError) as error:
            problem = self._explained(error)
        else:
            return
        raise problem from None

    @contextmanager
    def ended_within(self, seconds: float) -> Iterator[None]:
        """End the statement without reading its remaining rows, even if the server is silent."""
        import adbc_driver_manager as driver

        with suppress(driver.Error, OSError), self._deadline.within(seconds):
            yield

    def _explained(self, error: Exception) -> KlaviyoAssetsError:
        if self._deadline.expired_after is not None:
            return given_up(self._action, self._deadline.expired_after)
        state, message = facts(error)
        timed_out = state == _CANCELED and self._seconds and time.monotonic() - self._began >= 0.9 * self._seconds
        if timed_out:
            return PermanentError(
                f"{self._action}: the statement did not end within {self._seconds:g} s, the statement timeout "
                f"[SQLSTATE {state}]",
                "Raise statement_timeout_seconds, or create the recommended indexes (docs/postgres_indexes.md).",
            )
        if state is None and not _is_lost(error):
            return PermanentError(f"{self._action}: {self._address.hidden(message)}")
        return judged(self._action, self._address, state, message)


def given_up(action: str, seconds: float) -> TransientError:
    """The error for a connection that a deadline ended."""
    return TransientError(
        f"{action}: Postgres did not respond for {seconds:g} s, so the connection was given up",
        "Check the server and the network in between, and run this again.",
    )


def judged(action: str, address: PostgresAddress, state: str | None, message: str) -> KlaviyoAssetsError:
    """An error of ours for a SQLSTATE; without one the connection was lost.

    Args:
        action: What was done.
        address: Its secrets are removed from the message.
        state: The SQLSTATE.
        message: The server's primary message.
    """
    # Poolers refuse with one code, 08P01, whatever the reason: only their words tell the reasons apart.
    refusal_fix = next((fix for words, fix in _POOLER_REFUSALS.items() if words in message), None)
    fix = refusal_fix or (_fix(state, address) if state else _LOST)
    code = f" [SQLSTATE {state}]" if state else ""
    what = f"{action}: {_without_values(state, message)}{code}"
    is_transient = refusal_fix is None and (state is None or _is_transient(state))
    kind = TransientError if is_transient else PermanentError
    return kind(address.hidden(what), address.hidden(fix))


def facts(error: Exception) -> tuple[str | None, str]:
    """The SQLSTATE of a driver's error, if the server gave one, and the primary message in one line."""
    diagnosis = getattr(error, "diag", None)
    details: dict[Any, Any] = dict(getattr(error, "details", None) or [])
    primary = getattr(diagnosis, "message_primary", None) or details.get("PG_DIAG_MESSAGE_PRIMARY")
    primary = primary or details.get(b"PG_DIAG_MESSAGE_PRIMARY") or _first_line(str(error))
    text = primary.decode(errors="replace") if isinstance(primary, bytes) else str(primary)
    return getattr(error, "sqlstate", None) or None, " ".join(text.split())


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "no message")
    return re.sub(r"^([A-Z_]+: )?\[libpq\] ", "", line)


def _is_lost(error: Exception) -> bool:
    """Whether an error without SQLSTATE says that the connection is gone: all others are about the call."""
    import adbc_driver_manager as driver
    import psycopg

    status = getattr(error, "status_code", None)
    lost_codes = {driver.AdbcStatusCode.IO, driver.AdbcStatusCode.TIMEOUT, driver.AdbcStatusCode.CANCELLED}
    return status in lost_codes or isinstance(error, OSError | psycopg.OperationalError | psycopg.InterfaceError)


def _is_transient(state: str) -> bool:
    if state in _PERMANENT_STATES:
        return False
    return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES


def _fix(state: str, address: PostgresAddress) -> str:
    if state == "42501":
        from psycopg import sql

        login = sql.Identifier(address.login).as_string(None) if address.login else "<the login of POSTGRES_URL>"
        return (
            f"Run as Fivetran's user, with the account's schema: GRANT USAGE ON SCHEMA <schema> TO {login}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA <schema> TO {login};"
        )
    if state == _CANCELED:
        return "The statement was canceled. Run this again."
    return _FIXES.get(state, "")


def _without_values(state: str | None, message: str) -> str:
    """The message, or the name of its SQLSTATE if the message would quote a row."""
    if not state or state[:2] not in _QUOTING_CLASSES:
        return message.rstrip(".: ")
    import psycopg

    try:
        name = psycopg.errors.lookup(state).__name__
    except KeyError:
        name = "the server refused a value"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
