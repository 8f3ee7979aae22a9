"""The sandbox's commands as functions: start, stop, status, environment, reset.

Here: the work of each command, under the lock. Not here: prompts and output (`klaviyo_assets/cli/sandbox.py`).
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.sandbox import environment
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.object_store import object_store
from klaviyo_assets.sandbox.postgres import Postgres, clear_stale_lock
from klaviyo_assets.sandbox.postgres_place import outside_homes
from klaviyo_assets.sandbox.server import Server
from klaviyo_assets.sandbox.stand_ins import BigQuery, Fivetran, Mail
from klaviyo_assets.sandbox.state import State
from klaviyo_assets.sandbox.supervisor import Report, ServerStatus, Supervisor, load_or_create

SHOP_DEFAULTS = {"accounts": 2, "events_per_day": 400, "days": 45, "seed": 7}
ServerList = Callable[[Folder, State], Sequence[Server]]


@dataclass(frozen=True)
class Started:
    """The outcome of a start. `dotenv` is the file that was written; None if none was."""

    variables: Mapping[str, str]
    dotenv: Path | None
    remarks: Sequence[str]


def all_servers(folder: Folder, state: State) -> list[Server]:
    """Every server of the sandbox."""
    kinds: tuple[type[Server], ...] = (BigQuery, Fivetran, Mail)
    return [Postgres(folder, state), object_store(folder, state), *(kind(folder, state) for kind in kinds)]


def start(
    folder: Folder,
    shop: Mapping[str, int | None],
    report: Report,
    dotenv: Path | None,
    servers: ServerList = all_servers,
) -> Started:
    """Start all servers that are not running, and write the `.env` file.

    Args:
        folder: the sandbox's folder.
        shop: settings of the simulated shops; None keeps what an earlier start chose.
        report: called with a server's name and what happens to it.
        dotenv: the `.env` file to write; None writes none.
        servers: builds the servers; tests replace it.

    Raises:
        KlaviyoAssetsError: a server does not start; the others keep running.
    """
    with folder.lock(lambda: report("sandbox", "waiting for another sandbox command to end")):
        state = load_or_create(folder)
        new_settings = {name: value for name, value in shop.items() if value is not None}
        if any(state.shop.get(name, value) != value for name, value in new_settings.items()):
            report("fivetran", "existing shops keep their settings; `sandbox reset` starts afresh")
        state.shop = {**SHOP_DEFAULTS, **state.shop, **new_settings}
        folder.frames.mkdir(mode=0o700, exist_ok=True)
        server_list = servers(folder, state)
        Supervisor(state, server_list, report).start()
        variables = environment.contract(state, folder)
        dotenv_file = dotenv if dotenv and environment.write_dotenv(dotenv, variables, folder) else None
        if dotenv_file and str(dotenv_file) not in state.dotenv_files:
            state.dotenv_files.append(str(dotenv_file))
            state.save()
        return Started(variables, dotenv_file, [server.remark for server in server_list if server.remark])


def stop(folder: Folder, servers: ServerList = all_servers) -> list[str]:
    """Stop all servers; returns the names of those that ran."""
    if not folder.root.is_dir():
        return []
    with folder.lock():
        state = State.load(folder.state_file)
        return Supervisor(state, servers(folder, state)).stop() if state else []


def status(folder: Folder, servers: ServerList = all_servers) -> list[ServerStatus]:
    """The status of every server; empty if the sandbox was never started."""
    state = State.load(folder.state_file)
    return Supervisor(state, servers(folder, state)).status() if state else []


def variables(folder: Folder) -> dict[str, str]:
    """The environment of a sandbox that was started before.

    Raises:
        SettingsError: it was never started.
    """
    return environment.contract(known_state(folder), folder)


def known_state(folder: Folder) -> State:
    """The state of a sandbox that was started before.

    Raises:
        SettingsError: it was never started.
    """
    state = State.load(folder.state_file)
    if state is None or not state.ports:
        raise SettingsError(f"no sandbox was started in {folder.root}", "Run `klaviyo-assets sandbox start` first.")
    return state


def reset(folder: Folder, servers: ServerList = all_servers) -> None:
    """Stop all servers, and delete their data and the `.env` files that were written for them."""
    if not folder.root.is_dir():
        return
    with folder.lock():
        state = _readable_state(folder)
        if state:
            Supervisor(state, servers(folder, state)).stop()
            for path in state.dotenv_files:
                environment.remove_dotenv(Path(path), folder)
        _end_unknown_postgres(folder)
        for home in {*outside_homes(folder), *_recorded_home(state, folder)}:
            shutil.rmtree(home, ignore_errors=True)
        folder.clear()
        folder.remove()


def _readable_state(folder: Folder) -> State | None:
    """The state, or None if it is unreadable: a reset must work then too."""
    try:
        return State.load(folder.state_file)
    except PermanentError:
        return None


def _recorded_home(state: State | None, folder: Folder) -> list[Path]:
    """Postgres' folder outside the sandbox, if it has one (a sandbox that was moved keeps its first one)."""
    home = Path(state.postgres_home) if state and state.postgres_home else folder.root
    return [home] if home.name.startswith("klaviyo-sandbox-") else []


def _end_unknown_postgres(folder: Folder) -> None:
    """Stop a Postgres that has no record but still runs on the data that is about to be deleted."""
    for home in (folder.data("postgres"), *outside_homes(folder)):
        clear_stale_lock(home / "data")
