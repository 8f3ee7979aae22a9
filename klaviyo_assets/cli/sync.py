"""`klaviyo-assets sync`: start Fivetran syncs and wait for them to end.

Here: options, the choice of connections, progress. Not here: the API (`resources/fivetran/resource.py`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes
from klaviyo_assets.cli.options import AccountNames
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, UnknownNameError

if TYPE_CHECKING:
    from klaviyo_assets.resources.fivetran.models import Group
    from klaviyo_assets.resources.fivetran.resource import FivetranResource, StartedSync

POLL_SECONDS = 2.0
_USAGE = (
    "these options do not go together",
    "Give --account (once or more), or --group with --connector, or none for all accounts.",
)


@dataclass(frozen=True)
class Target:
    """A connection to sync, and its name in output."""

    name: str
    connection_id: str


@dataclass
class Outcome:
    """The result for a target: `state` is started, running (it already was), succeeded or failed; times are UTC."""

    target: Target
    state: str = "failed"
    url: str | None = None
    succeeded_at: datetime | None = None
    error: KlaviyoAssetsError | None = None
    begun: "StartedSync | None" = None

    @property
    def document(self) -> dict[str, Any]:
        """The JSON that `--json` prints; docs/command_line.md describes it."""
        return {
            "name": self.target.name, "connection_id": self.target.connection_id, "state": self.state, "url": self.url,
            "succeeded_at": self.succeeded_at.isoformat() if self.succeeded_at else None,
            "error": str(self.error) if self.error else None,
        }  # fmt: skip


def sync(
    account: AccountNames = None,
    group: Annotated[str | None, typer.Option(help="Fivetran group, by id or name; with --connector.")] = None,
    connector: Annotated[str | None, typer.Option(help="Fivetran connection, by id or schema; with --group.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the sync has ended.")] = True,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="How long to wait at most.")] = 3600,
    poll_interval: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help=f"Time between two status requests. Default: {POLL_SECONDS:g}."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Start a Fivetran sync and wait until it has ended. Exit code 0: it succeeded; 1: it failed.

    Example: klaviyo-assets sync --account acme --no-wait
    """
    with errors(verbose=verbose, stopped="Syncs that were started continue at Fivetran."):
        if (group is None) != (connector is None) or (account and group):
            raise SettingsError(*_USAGE)
        from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment

        fivetran = fivetran_from_environment()
        targets = [_named(fivetran, group, connector)] if group and connector else _of_accounts(account)
        syncing = _Syncing(fivetran, timeout, poll_interval or POLL_SECONDS, _silent if as_json else _say)
        outcomes = syncing.all(targets, wait=wait)
        if as_json:
            console().print_json(json.dumps([one.document for one in outcomes]))
        _conclude(outcomes)


def _conclude(outcomes: list[Outcome]) -> None:
    """Show what failed; a single target raises its error, which decides the exit code."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed and len(outcomes) == 1:
        raise failed[0].error  # type: ignore[misc]
    for outcome in failed:
        notes().print(Text.assemble((f"{outcome.target.name}: ", "red"), str(outcome.error)), soft_wrap=True)
    if failed:
        raise typer.Exit(FAILED)


def _of_accounts(names: list[str] | None) -> list[Target]:
    from klaviyo_assets.accounts import load_accounts
    from klaviyo_assets.defs.assets.fivetran import connection_id_of

    accounts = load_accounts()
    return [Target(name, connection_id_of(accounts[name])) for name in dict.fromkeys(names or accounts.names)]


def _named(fivetran: "FivetranResource", group: str, connector: str) -> Target:
    """The connection that a group (id or name) and a connector (id or schema) mean.

    Raises:
        UnknownNameError: there is no such group or connection; the message lists all.
    """
    groups = fivetran.groups()
    chosen = next((one for one in groups if group in {one.id, one.name}), None)
    if chosen is None:
        raise UnknownNameError("Fivetran group", group, [_listed_group(one) for one in groups])
    connections = fivetran.connections(chosen.id)
    connection = next((one for one in connections if connector in {one.id, one.schema}), None)
    if connection is None:
        connection_names = [f"{one.id} ({one.schema})" for one in connections]
        raise UnknownNameError(f"connection in group {chosen.name or chosen.id}", connector, connection_names)
    return Target(connection.schema or connection.id, connection.id)


def _listed_group(group: "Group") -> str:
    return f"{group.id} ({group.name})" if group.name else group.id


@dataclass(frozen=True)
class _Syncing:
    """Start all syncs, then wait for each. One that fails does not stop the others."""

    fivetran: "FivetranResource"
    timeout: float
    poll_interval: float
    say: Callable[[str], None]

    def all(self, targets: list[Target], *, wait: bool) -> list[Outcome]:
        outcomes = [Outcome(target) for target in targets]
        for outcome in outcomes:
            self._noting(outcome, self._start)
        for outcome in outcomes if wait else []:
            if outcome.error is None:
                self._noting(outcome, self._wait)
        return outcomes

    def _noting(self, outcome: Outcome, do: Callable[[Outcome], None]) -> None:
        try:
            do(outcome)
        except KlaviyoAssetsError as error:
            outcome.state, outcome.error = "failed", error

    def _start(self, outcome: Outcome) -> None:
        begun = outcome.begun = self.fivetran.sync(outcome.target.connection_id)
        outcome.state, outcome.url = "running" if begun.was_running else "started", begun.previous.url
        doing = "is already running" if begun.was_running else "started"
        self.say(f"{outcome.target.name}: sync {doing}, {outcome.url}")

    def _wait(self, outcome: Outcome) -> None:
        name, begun = outcome.target.name, outcome.begun
        if begun is None:
            return
        with Progress(notes()).task(f"{name}: Fivetran sync", stays=False) as task:
            ended = self.fivetran.wait(
                outcome.target.connection_id, begun.since, timeout_seconds=self.timeout,
                interval_seconds=self.poll_interval, on_progress=lambda now: setattr(task, "doing", now.state),
            )  # fmt: skip
        outcome.state, outcome.succeeded_at = "succeeded", ended.succeeded_at
        self.say(f"{name}: sync succeeded at {ended.succeeded_at:%Y-%m-%d %H:%M:%S} UTC")


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def _silent(_: str) -> None:
    """Programs read only the document."""
