"""Why a session with Postgres could not be opened.

Here: connecting once more in a way that shows the reason. Not here: errors of an open session
(`errors.py`).

For a connection that failed, libpq gives a text and no SQLSTATE: the text is the server's message in the server's
language. So after a failure we connect once more step by step, with the verbosity that puts the SQLSTATE into the text.
If there is still none, the fault is between here and the server, and name resolution and a plain TCP connection show
where.
"""

import ctypes
import re
import select
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, TransientError
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.errors import judged

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

ASK_SECONDS = 5
_VERBOSE = 2
_STATE = re.compile(r"\w+:  (?P<state>[0-9A-Z]{5}): (?P<message>[^\n]*)")
# libpq's own conditions have no code, only a text; these are transient. The last two are those of a standby that is
# not yet promoted.
_TRANSIENT = re.compile(
    r"closed the connection|SYSCALL|unexpected eof|reset by peer|could not (receive|send) data|timeout expired|"
    r"session is (not )?read-only|server is (not )?in hot standby mode"
)
_TLS = re.compile(r"SSL|certificate|TLS|GSSAPI")


def refusal(address: PostgresAddress, action: str) -> KlaviyoAssetsError:
    """Find out why connecting failed."""
    text = _ask_server(address)
    if text is None:
        return TransientError(
            f"{action}: the connection was refused, but a second attempt succeeded", "Run this again."
        )
    state_match = _STATE.search(text)
    if state_match:
        return judged(action, address, state_match["state"], state_match["message"])
    reason = address.hidden(" ".join(text.splitlines()[-1].split() if text.strip() else ["no answer"]))
    return _between(address, action) or _by_libpq(action, address.hidden(text), reason)


def _ask_server(address: PostgresAddress) -> str | None:
    """What libpq says when connecting, with a SQLSTATE if the server answered; None if it succeeds."""
    from psycopg import pq

    connection = pq.PGconn.connect_start(address.composed(ASK_SECONDS).encode())
    try:
        _show_states(connection)
        return None if _polled(connection) else connection.get_error_message()
    except TimeoutError:
        return f"timeout expired: no answer within {ASK_SECONDS} s"
    finally:
        connection.finish()


def _polled(connection: "PGconn") -> bool:
    from psycopg.pq import ConnStatus, PollingStatus

    deadline = time.monotonic() + ASK_SECONDS
    while connection.status != ConnStatus.BAD:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        state = connection.connect_poll()
        if state == PollingStatus.OK:
            return True
        if state == PollingStatus.FAILED:
            return False
        sockets = [connection.socket]
        select.select(*((sockets, []) if state == PollingStatus.READING else ([], sockets)), [], left)
    return False


def _show_states(connection: "PGconn") -> None:
    """Make libpq put SQLSTATEs into its texts; psycopg has no method for this, but its module has the function."""
    module = sys.modules[type(connection).__module__]
    with suppress(OSError, AttributeError, TypeError):
        pointer: int = getattr(connection, "pgconn_ptr")  # noqa: B009  the protocol does not name it, every PGconn has it
        ctypes.CDLL(module.__file__).PQsetErrorVerbosity(ctypes.c_void_p(pointer), _VERBOSE)


def _between(address: PostgresAddress, action: str) -> KlaviyoAssetsError | None:
    """Why no server can be reached: an unknown name, a closed port, silence. None where TCP works, or is not used."""
    problems = []
    for host, port in address.places:
        problem = None if not host or host[0] in "/@" else _unreached(host, port, action)
        if problem is None:
            return None
        problems.append(problem)
    return problems[0] if problems else None


def _unreached(host: str, port: int, action: str) -> KlaviyoAssetsError | None:
    at = f"{action}: {host}:{port}"
    try:
        socket.create_connection((host, port), ASK_SECONDS).close()
    except socket.gaierror:
        return TransientError(
            f"{action}: the host name {host!r} is unknown", "Check the host in POSTGRES_URL, and DNS."
        )
    except ConnectionRefusedError:
        return TransientError(
            f"{at} refused the connection: nothing listens there",
            "Start Postgres (the local servers: `klaviyo-assets sandbox start`), or correct host and port in "
            "POSTGRES_URL.",
        )
    except OSError as error:
        reason = error.strerror or "no answer"
        return TransientError(f"{at} cannot be reached: {reason}", "Check host, port, network and firewall.")
    return None


def _by_libpq(action: str, text: str, reason: str) -> KlaviyoAssetsError:
    if _TRANSIENT.search(text):
        return TransientError(
            f"{action}: no connection was established: {reason}", "Check the server, and run this again."
        )
    if _TLS.search(text):
        return PermanentError(
            f"{action}: {reason}",
            "Check sslmode and sslrootcert in POSTGRES_URL, the server's certificate, and this machine's clock.",
        )
    return PermanentError(f"{action}: {reason}", "Check POSTGRES_URL: its options, and that Postgres listens there.")
