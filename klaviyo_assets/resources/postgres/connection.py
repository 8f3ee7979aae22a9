"""Opening connections to Postgres within time limits, and checking that a session is as requested.

Here: the session that reads (ADBC) and the one that holds turns (psycopg). Not here: composing the address
(`address.py`), what errors mean (`errors.py`), reading (`resource.py`).

All settings of a session are made inside its transaction: a pooler may drop startup options, and may hand the next
transaction to a different connection of the server, but it keeps one transaction together. The settings are then read
back from the server, because a pooler may still have changed them.
"""

import os
import socket
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.errors import Statement, given_up
from klaviyo_assets.resources.postgres.refusals import refusal
from klaviyo_assets.transport.deadlines import Deadline, duplicate
from klaviyo_assets.transport.time_limits import (
    POSTGRES_ANSWER,
    POSTGRES_CLOSE,
    POSTGRES_CONNECT,
    POSTGRES_IDLE,
    POSTGRES_LOCK,
)

_ISOLATION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SET = (
    "SELECT set_config(w.name, w.value, true) AS value FROM (VALUES {}) AS w (name, value) "
    "JOIN pg_settings AS s USING (name)"
)
# A limit in POSTGRES_URL's own `options` is kept; one of the login, which is meant for short queries, is not.
_UNLESS_GIVEN = " WHERE s.source <> 'client' OR s.setting = '0' OR w.name NOT IN ({})"
_KEPT = {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
_SEEN = "SELECT name, setting, source FROM pg_settings WHERE name IN ({})"
_PROMISED = {"transaction_isolation": "repeatable read", "transaction_read_only": "on", "TimeZone": "UTC"}
# Texts of times and numbers, whatever the login or the database is set to.
_FORMATS = {
    "TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "extra_float_digits": "1",
    "bytea_output": "hex", "client_encoding": "UTF8",
}  # fmt: skip


@dataclass
class Reader:
    """A read-only session with one snapshot, through ADBC."""

    address: PostgresAddress
    statement_seconds: int
    connect_seconds: int = int(POSTGRES_CONNECT.seconds)
    _connection: Any = None
    _sockets: list[socket.socket] = field(default_factory=list)

    def open(self) -> None:
        """Connect, and begin the transaction.

        Raises:
            TransientError: the server cannot be reached, or does not answer in time.
            PermanentError: it refused the login, or the session is not what was asked for.
        """
        import adbc_driver_manager as driver
        import adbc_driver_manager.dbapi
        import adbc_driver_postgresql.dbapi as adbc

        _leave_interrupts_to_python(driver.dbapi)
        action = "connecting to Postgres (POSTGRES_URL)"
        former_sockets = _open_sockets()
        deadline = Deadline(lambda: _new_sockets(former_sockets, self.address))
        seconds = self.address.opening_seconds(self.connect_seconds) + POSTGRES_ANSWER.seconds
        try:
            with deadline.within(seconds):
                self._connection = adbc.connect(self.address.composed(self.connect_seconds))
        except driver.Error:
            # Its text does not state the reason, and may hold secrets.
            pass
        else:
            self._sockets = _new_sockets(former_sockets, self.address)
        if self._connection is None:
            silent = deadline.expired_after
            raise given_up(action, silent) if silent else refusal(self.address, action)
        try:
            self._begin(action)
        except BaseException:
            self.close()
            raise

    def statement(self, action: str) -> Statement:
        """A statement that is about to be sent."""
        return Statement(action, self.address, Deadline(lambda: self._sockets), self.statement_seconds)

    def cursor(self) -> Any:
        """ADBC's cursor; `Statement.answered_within` goes around each of its calls."""
        return self._connection.cursor()

    def close(self) -> None:
        """End the session, even if the server is silent."""
        with suppress(Exception), Deadline(lambda: self._sockets).within(POSTGRES_CLOSE.seconds):
            if self._connection is not None:
                self._connection.close()
        for handle in self._sockets:
            handle.close()
        self._connection, self._sockets = None, []

    def _begin(self, action: str) -> None:
        limits = {
            "statement_timeout": self.statement_seconds,
            "lock_timeout": min(POSTGRES_LOCK.seconds, max(self.statement_seconds // 2, 1)),
            # Postgres cannot clean up rows that a snapshot might still see.
            "idle_in_transaction_session_timeout": POSTGRES_IDLE.seconds,
            "transaction_timeout": 0,
        }
        settings = _FORMATS | {name: f"{seconds:.0f}s" for name, seconds in limits.items()}
        kept_names = ", ".join(map(_quoted_value, sorted(_KEPT)))
        with self.statement(action).answered_within(POSTGRES_ANSWER.seconds), self.cursor() as cursor:
            cursor.execute(_ISOLATION)
            user_settings = _settings(cursor, self.address.session_options)
            cursor.execute(_SET.format(", ".join(map(_literals, settings.items()))) + _UNLESS_GIVEN.format(kept_names))
            cursor.fetch_arrow_table()
            session_settings = _settings(cursor, {*_PROMISED, "statement_timeout"})
        check_options(action, {name for name, row in user_settings.items() if row["source"] != "client"})
        check_session(action, {name: row["setting"] for name, row in session_settings.items()})
        # POSTGRES_URL may have a shorter limit of its own.
        self.statement_seconds = max(int(session_settings["statement_timeout"]["setting"]) // 1000, 1)


def check_session(action: str, settings: Mapping[str, str]) -> None:
    """Check that a session is as requested.

    Args:
        action: What was done.
        settings: Settings as the server has them.

    Raises:
        PermanentError: it is not.
    """
    faults = [
        f"{name} is {settings.get(name)!r}, not {value!r}"
        for name, value in _PROMISED.items()
        if settings.get(name) != value
    ]
    if settings.get("statement_timeout", "0") == "0":
        faults.append("statement_timeout is not set")
    if faults:
        raise PermanentError(
            f"{action}: the session differs from what was requested: {', '.join(faults)}",
            "Something between here and Postgres, such as a pooler (PgBouncer), drops settings or transactions. Use "
            "pool_mode = session or transaction, or point POSTGRES_URL at Postgres itself.",
        )


def check_options(action: str, dropped: Collection[str]) -> None:
    """Check that the options of POSTGRES_URL reached the server.

    Args:
        action: What was done.
        dropped: Those that did not.

    Raises:
        PermanentError: there are any.
    """
    if dropped:
        raise PermanentError(
            f"{action}: the options {', '.join(sorted(dropped))} of POSTGRES_URL did not reach Postgres",
            "A pooler (PgBouncer with ignore_startup_parameters = options) drops them. Set them for the login "
            "instead (ALTER ROLE ... SET ...) and remove them from POSTGRES_URL, or point it at Postgres itself.",
        )


class TurnSession:
    """A session whose transaction stays open, idle, for as long as a run, through psycopg."""

    # Nothing that the server or the login is set to may end it meanwhile, and the server has to notice a machine that
    # went away without a word.
    _PATIENCE = {
        "idle_in_transaction_session_timeout": "0", "transaction_timeout": "0", "idle_session_timeout": "0",
        "statement_timeout": f"{POSTGRES_ANSWER.seconds:.0f}s",
        "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
    }  # fmt: skip

    def __init__(self, address: PostgresAddress, application_name: str, action: str) -> None:
        import psycopg

        self._address = address
        connection: psycopg.Connection[Any] | None = None
        with suppress(psycopg.Error):
            connection = psycopg.connect(address.composed(application_name=application_name), autocommit=True)
        if connection is None:
            raise refusal(address, action)
        self._connection = connection
        self._socket = duplicate(connection.fileno())
        try:
            self.ask(action, "BEGIN")
            self.ask(action, _SET.format(", ".join(map(_literals, self._PATIENCE.items()))))
        except BaseException:
            self.close()
            raise

    def ask(self, action: str, query: str, parameters: "tuple[Any, ...]" = ()) -> Any:
        """The first row of a statement's result, or None.

        Raises:
            TransientError: the server does not answer in time, or went away.
            PermanentError: it refused the statement.
        """
        statement = Statement(action, self._address, Deadline(lambda: [self._socket]), POSTGRES_ANSWER.seconds)
        with statement.answered_within(POSTGRES_ANSWER.seconds):
            # Not a prepared statement: a pooler might send it to a different connection.
            cursor = self._connection.execute(query, parameters or None, prepare=False)
            return cursor.fetchone() if cursor.description else None

    def close(self) -> None:
        """End the session, and the turns with it."""
        with suppress(Exception):
            self._connection.close()
        self._socket.close()


def _settings(cursor: Any, names: Collection[str]) -> dict[str, dict[str, str]]:
    """The server's settings: value and source of each one that it knows."""
    if not names:
        return {}
    cursor.execute(_SEEN.format(", ".join(map(_quoted_value, sorted(names)))))
    return {row["name"]: row for row in cursor.fetch_arrow_table().to_pylist()}


def _literals(setting: tuple[str, str]) -> str:
    return f"({', '.join(map(_quoted_value, setting))})"


def _quoted_value(value: str) -> str:
    from psycopg import sql

    return sql.Literal(value).as_string(None)


def _open_sockets() -> set[tuple[int, int]]:
    """Descriptor and inode of every socket of this process."""
    sockets = set()
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  a descriptor may be gone when a Path would look at it
        with suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                sockets.add((int(name), status.st_ino))
    return sockets


def _new_sockets(former_sockets: set[tuple[int, int]], address: PostgresAddress) -> list[socket.socket]:
    """Handles on the sockets that were opened since then and lead to this server.

    ADBC does not reveal its socket. If a second thread connects to the same server at the same moment, its socket is
    among them too: if this server falls silent, both are closed.
    """
    handles = []
    for descriptor, _ in sorted(_open_sockets() - former_sockets):
        with suppress(OSError):
            handle = duplicate(descriptor)
            if _leads_to(handle, {port for _, port in address.places}):
                handles.append(handle)
            else:
                handle.close()
    return handles


def _leads_to(connection: socket.socket, ports: set[int]) -> bool:
    """Whether a socket's peer is a Postgres at one of the ports, or at any port if none is known."""
    with suppress(OSError):
        peer = connection.getpeername()
        if isinstance(peer, tuple):
            return not ports or peer[1] in ports
        file_name = Path(os.fsdecode(peer)).name
        return file_name.startswith(".s.PGSQL.") and (not ports or int(file_name.rpartition(".")[2]) in ports)
    return False


def _leave_interrupts_to_python(dbapi: Any) -> None:
    """Have Ctrl-C raise in Python while the driver waits, as on Windows.

    Elsewhere the driver takes SIGINT for itself during each call and cancels the statement. An interrupt is then lost,
    looks like a canceled statement that is worth a retry, or never returns, because the cancellation holds Python's
    lock. Without that, a call ends first, and then the interrupt is raised; time limits bound the call.
    """
    dbapi._blocking_call = lambda call, arguments, options, _cancel: call(*arguments, **options)
