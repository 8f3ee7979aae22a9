"""One writer per account at a time: a run takes the account's turn before it touches anything of it.

Here: the lock behind a turn, waiting for it, and who has it. Not here: when a run takes a turn (`assets/stage.py`), and
what keeps a waiting run from occupying a place in Dagster's queue (`run_queue.py`).

A turn is an advisory lock in Fivetran's Postgres, held by an open transaction of the run's process: it holds whoever
started the run and on whatever machine, and the server takes it back when the process dies, however it dies. A login
that may only read can take it.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, TransientError
from klaviyo_assets.failure_metadata import Cause
from klaviyo_assets.frames import FrameStore
from klaviyo_assets.resources.environment import optional
from klaviyo_assets.resources.postgres import APPLICATION_NAME, translated

if TYPE_CHECKING:
    import psycopg

_POLL_SECONDS = 0.25
# An hour of mapping says nothing on this connection: the server must not end it for that, and must notice a machine
# that went away without a word.
_PATIENT = ("BEGIN", "SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL tcp_keepalives_idle = 30")
_HOLDER = """SELECT activity.application_name, to_char(activity.backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS "UTC"')
FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
  AND held.classid = %s::bigint::oid AND held.objid = %s::bigint::oid"""


class AccountBusyError(TransientError):
    """Another run is writing the account; a rerun helps once that one has ended."""


class GuardedFrames(FrameStore):
    """The frames of a deployment where several runs may be under way: only a run that has the turn writes an account's.

    Turns end with the run (`teardown_after_execution`), or with its process.
    """

    postgres_url: str = Field(default="", description="Where turns are taken (POSTGRES_URL).")
    turn_timeout_seconds: float = Field(default=900, description="How long to wait for an account's turn.")

    def take_turn(self, account: str, run_id: str, *, say: Callable[[str], None]) -> None:
        """Make this run the account's writer, or see that it still is; at once where it is.

        Args:
            account: The account.
            run_id: The run, as others will see it named.
            say: Where to say that the run waits, and for whom.

        Raises:
            AccountBusyError: another run has the turn, and did not end in time.
            TransientError: Postgres cannot be reached.
            SettingsError: POSTGRES_URL is missing.
        """
        self._turns.take(account, run_id, self.turn_timeout_seconds, say)

    def has_turn(self, account: str) -> bool:
        """Whether this run is the account's writer, as far as it knows."""
        return "_turns" in self.__dict__ and account in self._turns.held

    def give_up(self, account: str, cause: Cause) -> None:
        """Note that this run leaves the account alone from now on: it failed before it had the turn."""
        self._given_up.setdefault(account, cause)

    def given_up(self, account: str) -> Cause | None:
        """Why this run leaves the account alone; None where it does not."""
        return self._given_up.get(account)

    @cached_property
    def _turns(self) -> "Turns":
        return Turns(optional(self.postgres_url, "POSTGRES_URL"), deployment())

    @cached_property
    def _given_up(self) -> dict[str, Cause]:
        return {}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  Dagster's signature
        """End this run's turns."""
        self.end_turns()

    def end_turns(self) -> None:
        """Let others write the accounts of this run."""
        if "_turns" in self.__dict__:
            self._turns.end()


class Turns:
    """The turns of one run, all on one connection."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url, self._namespace = url, namespace
        self.held: set[str] = set()
        self._connection: psycopg.Connection[Any] | None = None

    def take(self, account: str, run_id: str, timeout_seconds: float, say: Callable[[str], None]) -> None:
        """Take an account's turn; asking again for one that is held proves that the connection still is."""
        deadline = time.monotonic() + timeout_seconds
        told = False
        while not self._try(account, run_id):
            who = self._holder(account)
            if time.monotonic() + _POLL_SECONDS > deadline:
                raise AccountBusyError(
                    f"account {account!r} is being written by {who}, which had not ended after {timeout_seconds:g} s; "
                    "one run at a time writes an account. Run this again when that one has ended, or end it first."
                )
            if not told:
                say(f"account {account} is being written by {who}; waiting up to {timeout_seconds:g} s for its end")
                told = True
            time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """End them all."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self.held.clear()

    def _try(self, account: str, run_id: str) -> bool:
        """Ask for the lock; once more on a new connection where the server ended the one that held it."""
        for last in (False, True):
            try:
                found = self._connected(run_id).execute("SELECT pg_try_advisory_xact_lock(%s, %s)", self._key(account))
                self.held |= {account} if (found.fetchone() or [False])[0] else set()
                return account in self.held
            except KlaviyoAssetsError:
                raise
            except Exception as error:
                self._drop()
                if last or not is_lost(error):
                    raise translated(error, f"taking the turn of account {account!r} in Postgres") from error
        raise AssertionError("the last attempt either answers or raises")

    def _connected(self, run_id: str) -> "psycopg.Connection[Any]":
        import psycopg

        if self._connection is None:
            if not self._url:
                raise SettingsError("POSTGRES_URL must be set: one run at a time writes an account, which it sees to.")
            made = psycopg.connect(
                self._url, application_name=f"{APPLICATION_NAME} run {run_id[:8]}", connect_timeout=10, autocommit=True
            )
            for statement in _PATIENT:
                made.execute(statement)
            self._connection = made
        return self._connection

    def _drop(self) -> None:
        with suppress(Exception):
            self.end()
        self._connection = None
        self.held.clear()

    def _holder(self, account: str) -> str:
        """Who has the turn: a run, and since when; other logins' names may be hidden from ours."""
        key = [number % 2**32 for number in self._key(account)]
        found = self._connection.execute(_HOLDER, key).fetchone() if self._connection else None
        if found is None or not str(found[0]).startswith(APPLICATION_NAME):
            return "another run"
        return f"{str(found[0]).removeprefix(APPLICATION_NAME).strip()} (since {found[1]})"

    def _key(self, account: str) -> tuple[int, int]:
        return _number(self._namespace), _number(account)


def deployment() -> str:
    """What tells deployments apart that read one Postgres: where they load to."""
    return "/".join((optional("", "BIGQUERY_PROJECT"), optional("", "BIGQUERY_DATASET_PREFIX", "klaviyo")))


def is_lost(error: Exception) -> bool:
    """Whether the server ended a connection, as when it restarts; a new one may work."""
    import psycopg

    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def _number(text: str) -> int:
    """32 bits of a hash, signed as Postgres wants them."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big", signed=True)
