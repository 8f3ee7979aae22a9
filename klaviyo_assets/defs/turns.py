"""One writer per account at a time: a run takes the account's turn before it writes anything.

Here: the lock behind a turn, waiting for it, and who has it. Not here: when a run takes a turn and confirms it
(`defs/stage_run.py`), and what keeps a waiting run from occupying a place in Dagster's queue (`defs/run_queue.py`).

A turn is an advisory lock in Fivetran's Postgres, held by an open transaction of the run's process. It works for every
run, whoever started it and on whichever machine, and the server releases it when the process dies, however it dies. A
read-only login can take it.
"""

import hashlib
import time
from collections.abc import Callable
from functools import cached_property

import dagster as dg
from pydantic import Field

from klaviyo_assets.defs.failure_metadata import Cause
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, TransientError
from klaviyo_assets.resources.postgres.address import APPLICATION_NAME, PostgresAddress
from klaviyo_assets.resources.postgres.connection import TurnSession
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.time_limits import POSTGRES_TURN

_POLL_SECONDS = 0.25
_TAKE = "SELECT pg_try_advisory_xact_lock(%s, %s)"
_LOCK = """locktype = 'advisory' AND granted AND objsubid = 2
  AND classid = %s::bigint::oid AND objid = %s::bigint::oid"""
_HELD = f"SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND {_LOCK}"
_HOLDER = f"""SELECT activity.application_name, to_char(activity.backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS "UTC"')
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid) WHERE {_LOCK}"""


class AccountBusyError(TransientError):
    """Another run is writing the account; a rerun helps once that one has ended."""


class AccountTurns(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The turns of a run, and the accounts that it leaves alone because it has no turn.

    Turns end with the run (`teardown_after_execution`), or with its process.
    """

    postgres_url: str = Field(default="", description="Where turns are taken (POSTGRES_URL).", repr=False)
    turn_timeout_seconds: float = Field(
        default=POSTGRES_TURN.seconds, description="How long to wait for an account's turn."
    )

    def take(self, account: str, run_id: str, *, say: Callable[[str], None]) -> None:
        """Make this run the account's writer, or verify that it still is, which takes no time.

        Args:
            account: The account.
            run_id: The run, as other runs will see it.
            say: Called with a sentence if the run has to wait for another one.

        Raises:
            AccountBusyError: another run has the turn, and did not end in time.
            TransientError: Postgres cannot be reached.
            SettingsError: POSTGRES_URL is missing.
        """
        self._turns.take(account, run_id, self.turn_timeout_seconds, say)

    def confirm(self, account: str) -> None:
        """Verify that a turn that was taken has not been lost since.

        Raises:
            TransientError: it was lost, so another run may be writing the account.
        """
        if self.has(account):
            self._turns.confirm(account)

    def has(self, account: str) -> bool:
        """Whether this run is the account's writer, as far as it knows."""
        return "_turns" in self.__dict__ and account in self._turns.held

    def give_up(self, account: str, cause: Cause) -> None:
        """Record that this run leaves the account alone from now on, because it failed before it had the turn."""
        self._given_up.setdefault(account, cause)

    def given_up(self, account: str) -> Cause | None:
        """Why this run leaves the account alone; None if it does not."""
        return self._given_up.get(account)

    @cached_property
    def _turns(self) -> "Turns":
        return Turns(optional(self.postgres_url, "POSTGRES_URL"), deployment())

    @cached_property
    def _given_up(self) -> dict[str, Cause]:
        return {}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  Dagster's signature
        """End this run's turns."""
        self.end()

    def end(self) -> None:
        """Let other runs write the accounts of this run."""
        if "_turns" in self.__dict__:
            self._turns.end()


class Turns:
    """The turns of one run, all on one connection."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url, self._namespace = url, namespace
        self.held: set[str] = set()
        self._session: TurnSession | None = None

    def take(self, account: str, run_id: str, timeout_seconds: float, say: Callable[[str], None]) -> None:
        """Take an account's turn; asking again for a held turn proves that the connection still exists."""
        deadline = time.monotonic() + timeout_seconds
        has_said = False
        while not self._try(account, run_id):
            who = self._holder(account)
            if time.monotonic() + _POLL_SECONDS > deadline:
                raise AccountBusyError(
                    f"account {account!r} is being written by {who}, which had not ended after {timeout_seconds:g} s",
                    "Only one run at a time writes an account. Run this again when that one has ended, or end it "
                    "first.",
                )
            if not has_said:
                say(f"account {account} is being written by {who}; waiting up to {timeout_seconds:g} s for it to end")
                has_said = True
            time.sleep(_POLL_SECONDS)

    def confirm(self, account: str) -> None:
        """Verify that a turn has not been lost since it was taken.

        Raises:
            TransientError: it was, or the server does not say.
        """
        key = tuple(number % 2**32 for number in self._key(account))
        problem = "its lock is gone"
        try:
            if self._session and self._session.ask(self._action(account), _HELD, key):
                return
        except KlaviyoAssetsError as error:
            problem = str(error)
        self.end()
        raise TransientError(
            f"this run lost its turn on account {account!r}, so nothing was written: {problem}", "Run this again."
        )

    def end(self) -> None:
        """End them all."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self.held.clear()

    def _try(self, account: str, run_id: str) -> bool:
        """Ask for the lock; ask once more on a new connection if the one that held it is lost."""
        is_new = self._session is None
        try:
            row = self._connected(account, run_id).ask(self._action(account), _TAKE, self._key(account))
        except KlaviyoAssetsError as error:
            self.end()
            if is_new or not isinstance(error, TransientError):
                raise
            row = self._connected(account, run_id).ask(self._action(account), _TAKE, self._key(account))
        self.held |= {account} if row and row[0] else set()
        return account in self.held

    def _connected(self, account: str, run_id: str) -> TurnSession:
        if self._session is None:
            if not self._url:
                raise SettingsError(
                    "POSTGRES_URL must be set: it keeps two runs from writing one account at the same time",
                    "Set it in .env.",
                )
            address = PostgresAddress.read(self._url)
            self._session = TurnSession(address, f"{APPLICATION_NAME} run {run_id[:8]}", self._action(account))
        return self._session

    def _action(self, account: str) -> str:
        return f"taking the turn of account {account!r} in Postgres"

    def _holder(self, account: str) -> str:
        """Who has the turn: a run, and since when; other logins' names may be hidden from ours."""
        key = [number % 2**32 for number in self._key(account)]
        row = self._session.ask(self._action(account), _HOLDER, tuple(key)) if self._session else None
        if row is None or not str(row[0]).startswith(APPLICATION_NAME):
            return "another run"
        # POSTGRES_URL's own application name follows after the run.
        return f"{str(row[0]).removeprefix(APPLICATION_NAME).partition('(')[0].strip()} (since {row[1]})"

    def _key(self, account: str) -> tuple[int, int]:
        return _number(self._namespace), _number(account)


def deployment() -> str:
    """What distinguishes deployments that read the same Postgres: where they load to."""
    return "/".join((optional("", "BIGQUERY_PROJECT"), optional("", "BIGQUERY_DATASET_PREFIX", "klaviyo")))


def _number(text: str) -> int:
    """32 bits of a hash, signed as Postgres expects them."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big", signed=True)
