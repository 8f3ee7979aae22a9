"""The sandbox's commands as functions: start, stop, status, environment, reset.

Here: what each does under the folder's lock. Not here: printing and asking (`klaviyo_assets/cli/sandbox.py`).
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
    """What a start has brought up. `dotenv` is the file that was written, None when it was left alone."""

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
    """Bring all servers up (those that are up stay) and write the `.env` file.

    Args:
        folder: the sandbox's folder.
        shop: settings of the simulated shops; None keeps what an earlier start chose.
        report: called with a server's name and what happens to it.
        dotenv: the `.env` file to write; None writes none.
        servers: the servers, replaced in tests.

    Raises:
        KlaviyoAssetsError: a server does not start; those that run stay up.
    """
    with folder.locked(lambda: report("sandbox", "waiting for another sandbox command to end")):
        state = load_or_create(folder)
        chosen = {name: value for name, value in shop.items() if value is not None}
        if any(state.shop.get(name, value) != value for name, value in chosen.items()):
            report("fivetran", "shops that exist keep their settings; `sandbox reset` begins anew")
        state.shop = {**SHOP_DEFAULTS, **state.shop, **chosen}
        folder.frames.mkdir(mode=0o700, exist_ok=True)
        listed = servers(folder, state)
        Supervisor(state, listed, report).start()
        variables = environment.contract(state, folder)
        written = dotenv if dotenv and environment.write_dotenv(dotenv, variables, folder) else None
        if written and str(written) not in state.dotenv_files:
            state.dotenv_files.append(str(written))
            state.save()
        return Started(variables, written, [server.remark for server in listed if server.remark])


def stop(folder: Folder, servers: ServerList = all_servers) -> list[str]:
    """End all servers; gives the names of those that ran."""
    if not folder.root.is_dir():
        return []
    with folder.locked():
        state = State.load(folder.state_file)
        return Supervisor(state, servers(folder, state)).stop() if state else []


def status(folder: Folder, servers: ServerList = all_servers) -> list[ServerStatus]:
    """How every server is; empty when the sandbox was never started."""
    state = State.load(folder.state_file)
    return Supervisor(state, servers(folder, state)).status() if state else []


def variables(folder: Folder) -> dict[str, str]:
    """The environment of a sandbox that was started before.

    Raises:
        SettingsError: it never was.
    """
    return environment.contract(known_state(folder), folder)


def known_state(folder: Folder) -> State:
    """The state of a sandbox that was started before.

    Raises:
        SettingsError: it never was.
    """
    state = State.load(folder.state_file)
    if state is None or not state.ports:
        raise SettingsError(f"no sandbox was started in {folder.root}", "Run `klaviyo-assets sandbox start` first.")
    return state


def reset(folder: Folder, servers: ServerList = all_servers) -> None:
    """End all servers, delete what they keep, and the `.env` files that were written for them."""
    if not folder.root.is_dir():
        return
    with folder.locked():
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
    """The state; an unreadable one must not keep a reset from fixing it."""
    try:
        return State.load(folder.state_file)
    except PermanentError:
        return None


def _recorded_home(state: State | None, folder: Folder) -> list[Path]:
    """Postgres' folder outside of the sandbox's, if it has one (a moved folder keeps the one it was made with)."""
    home = Path(state.postgres_home) if state and state.postgres_home else folder.root
    return [home] if home.name.startswith("klaviyo-sandbox-") else []


def _end_unknown_postgres(folder: Folder) -> None:
    """A server whose record is gone still runs on the data that is about to be deleted."""
    for home in (folder.data("postgres"), *outside_homes(folder)):
        clear_stale_lock(home / "data")
