"""`klaviyo-assets sync`: start Fivetran syncs, and wait for their end.

Here: options, which connections are meant, progress. Not here: the API (`resources/fivetran.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from klaviyo_assets.cli.console import FAILED, Verbose, console, errors, notes
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, UnknownNameError

if TYPE_CHECKING:
    from klaviyo_assets.resources.fivetran import FivetranResource, StartedSync
    from klaviyo_assets.resources.fivetran_models import Connection, Group

POLL_SECONDS = 2.0
_USAGE = (
    "these options do not go together. Give --account (once or more), or --group with --connector, or none for all."
)


@dataclass(frozen=True)
class Target:
    """A connection to sync, and how it is called in output."""

    name: str
    connection_id: str


def sync(
    account: Annotated[
        list[str] | None, typer.Option("--account", "-a", help="Account of accounts.toml; may repeat. Default: all.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Fivetran group, by id or name; with --connector.")] = None,
    connector: Annotated[str | None, typer.Option(help="Fivetran connection, by id or schema; with --group.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at most.")] = 3600,
    verbose: Verbose = False,
) -> None:
    """Start a Fivetran sync and wait for its end. Exit code 0: it succeeded; 1: it did not.

    Example: klaviyo-assets sync --account acme --no-wait
    """
    with errors(verbose=verbose):
        if (group is None) != (connector is None) or (account and group):
            raise SettingsError(_USAGE)
        from klaviyo_assets.resources.fivetran import fivetran_from_environment

        fivetran = fivetran_from_environment()
        targets = [_named(fivetran, group, connector)] if group and connector else _of_accounts(account)
        failed = _sync_all(fivetran, targets, timeout if wait else None)
        if failed:
            raise typer.Exit(FAILED)


def _of_accounts(names: list[str] | None) -> list[Target]:
    from klaviyo_assets.accounts import load_accounts
    from klaviyo_assets.assets.fivetran import connection_id_of

    accounts = load_accounts()
    return [Target(name, connection_id_of(accounts[name])) for name in names or accounts.names]


def _named(fivetran: "FivetranResource", group: str, connector: str) -> Target:
    """The connection that a group (id or name) and a connector (id or schema) mean.

    Raises:
        UnknownNameError: there is no such group or connection; the message lists those there are.
    """
    groups = fivetran.groups()
    chosen = next((one for one in groups if group in {one.id, one.name}), None)
    if chosen is None:
        raise UnknownNameError("Fivetran group", group, [_listed_group(one) for one in groups])
    connections = fivetran.connections(chosen.id)
    found = next((one for one in connections if connector in {one.id, one.schema}), None)
    if found is None:
        known = [f"{one.id} ({one.schema})" for one in connections]
        raise UnknownNameError(f"connection in group {chosen.name or chosen.id}", connector, known)
    return Target(found.schema or found.id, found.id)


def _listed_group(group: "Group") -> str:
    return f"{group.id} ({group.name})" if group.name else group.id


def _sync_all(fivetran: "FivetranResource", targets: list[Target], timeout: float | None) -> int:
    """Start all, then wait for each; how many failed. One that fails does not stop the others."""
    started: list[tuple[Target, StartedSync]] = []
    failed = 0
    for target in targets:
        with _counted(target, len(targets)) as faults:
            begun = fivetran.sync(target.connection_id)
            started.append((target, begun))
            doing = "is running already" if begun.was_running else "started"
            console().print(f"{target.name}: sync {doing}, {begun.before.url}")
        failed += len(faults)
    for target, begun in started if timeout is not None else []:
        with _counted(target, len(targets)) as faults:
            ended = _waited_for(fivetran, target, begun, timeout or 0)
            console().print(f"{target.name}: sync succeeded at {ended.succeeded_at:%Y-%m-%d %H:%M:%S} UTC")
        failed += len(faults)
    return failed


@contextmanager
def _counted(target: Target, targets: int) -> Iterator[list[Exception]]:
    """Note a fault and go on with the other targets; of a single target, let it out to set the exit code."""
    faults: list[Exception] = []
    try:
        yield faults
    except KlaviyoAssetsError as error:
        if targets == 1:
            raise
        faults.append(error)
        notes().print(f"[red]{target.name}:[/red]", end=" ")
        notes().print(str(error), markup=False, soft_wrap=True)


def _waited_for(fivetran: "FivetranResource", target: Target, begun: "StartedSync", timeout: float) -> "Connection":
    with _progress(target) as report:
        return fivetran.wait(
            target.connection_id,
            begun.since,
            timeout_seconds=timeout,
            interval_seconds=POLL_SECONDS,
            on_progress=report,
        )


@contextmanager
def _progress(target: Target) -> Iterator["Callable[[Connection], None]"]:
    """A spinner with the state on a terminal; nothing when piped, where it would only be noise."""
    shown: Console = notes()
    if not shown.is_terminal:
        yield lambda _: None
        return
    with shown.status(f"{target.name}: waiting for Fivetran") as status:
        yield lambda connection: status.update(f"{target.name}: {connection.state}")
