"""All servers together: start them, stop them, report their status.

Here: the order, the retries, and the rule that a server counts as up only once it has proved that it is ours. Not
here: any particular server (`postgres`, `object_store`, `stand_ins`) and how processes work (`processes`).
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, TransientError
from klaviyo_assets.sandbox import ports, processes
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.server import NotReadyError, Server
from klaviyo_assets.sandbox.state import RunningServer, State

ATTEMPTS = 5
# A server that runs but is busy has this long to answer before it is restarted.
_BUSY_SECONDS = 10.0
Report = Callable[[str, str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class ServerStatus:
    """The status of one server. `state` is running, not answering or stopped."""

    name: str
    state: str
    address: str
    pid: int | None
    data: Path
    remark: str


class Supervisor:
    """The servers of one sandbox. All methods except `status` require the folder's lock."""

    def __init__(self, state: State, servers: Sequence[Server], report: Report = lambda _name, _text: None) -> None:
        self._state, self._servers, self._report = state, servers, report
        self._choosing = threading.Lock()

    def start(self) -> None:
        """Start every server; servers that others need come first.

        Raises:
            PermanentError: a server does not start; the message ends with its log.
        """
        self._choose_ports()
        for wave in _waves(self._servers):
            _all_of(wave, self._bring_up)

    def stop(self) -> list[str]:
        """Stop every server; servers that need others come first. Returns the names of those that ran."""
        ran: list[str] = []
        for wave in reversed(_waves(self._servers)):
            ran += [name for name in _all_of(wave, self._take_down) if name]
        return ran

    def status(self) -> list[ServerStatus]:
        """The current status of every server."""
        return _all_of(self._servers, self._status)

    def _bring_up(self, server: Server) -> None:
        running = self._state.processes.get(server.name)
        if running and processes.is_alive(running.identity):
            same = running.launch == server.fingerprint()
            if same and _answers(server, _BUSY_SECONDS, running):
                self._report(server.name, f"already up at {server.address}")
                return
            why = "it does not answer" if same else "its settings have changed"
            self._report(server.name, f"starting again: {why}")
            self._take_down(server)
        self._start_anew(server)

    def _start_anew(self, server: Server) -> None:
        began = time.monotonic()
        self._report(server.name, "starting")
        for attempt in range(ATTEMPTS):
            self._replace_taken_ports(server)
            if self._attempt(server):
                server.establish()
                self._report(server.name, f"up at {server.address} after {time.monotonic() - began:.1f} s")
                return
            # The system releases what a killed server held (shared memory, locks) within moments.
            time.sleep(0.2 * (attempt + 1))
        raise _failure(server, f"ended by itself {ATTEMPTS} times")

    def _attempt(self, server: Server) -> bool:
        """Start the process once; returns False if it ended before it was ready."""
        server.prepare()
        fingerprint = server.fingerprint()

        def remember(identity: processes.Identity) -> None:
            self._state.record(server.name, RunningServer(identity, fingerprint))

        log = server.folder.log(server.name)
        identity = processes.spawn(server.launch(), log, remember)
        if _answers(server, server.patience_seconds, RunningServer(identity, fingerprint)):
            return True
        if not processes.is_alive(identity):
            return False
        self._take_down(server)
        raise _failure(server, f"did not become ready within {server.patience_seconds:.0f} s")

    def _take_down(self, server: Server) -> str:
        running = self._state.processes.get(server.name)
        if running is None:
            return ""
        was_running = processes.end(running.identity, server.stop_signal, server.stop_patience_seconds)
        if processes.is_alive(running.identity):
            raise TransientError(f"{server.name} (process {running.identity.pid}) does not end", "End it by hand.")
        server.tidy()
        self._state.record(server.name, None)
        return server.name if was_running else ""

    def _status(self, server: Server) -> ServerStatus:
        has_ports = all(need.name in self._state.ports for need in server.ports)
        running = self._state.processes.get(server.name)
        if running and not processes.is_alive(running.identity):
            running = None
        state = "stopped" if not running else "running" if _proves(server) else "not answering"
        return ServerStatus(
            server.name,
            state,
            server.address if has_ports else "",
            running.identity.pid if running else None,
            server.data,
            server.remark,
        )

    def _choose_ports(self) -> None:
        """Choose a port for each need that has none yet."""
        for server in self._servers:
            for need in server.ports:
                if need.name not in self._state.ports:
                    taken_ports = set(self._state.ports.values())
                    self._state.ports[need.name] = ports.choose(taken_ports, need.with_companion)
        self._state.save()

    def _replace_taken_ports(self, server: Server) -> None:
        """Choose a new port, and report it, if a different program took a port while the server was down."""
        with self._choosing:
            for need in server.ports:
                old = self._state.ports[need.name]
                if not ports.is_usable(old, need.with_companion):
                    new = ports.choose(set(self._state.ports.values()), need.with_companion)
                    self._state.ports[need.name] = new
                    self._state.save()
                    self._report(server.name, f"port {old} ({need.name}) is taken by another program; using {new}")


def load_or_create(folder: Folder) -> State:
    """The folder's state; the first start creates it.

    Raises:
        PermanentError: the folder holds data whose state (its passwords) is gone.
    """
    state = State.load(folder.state_file)
    if state is None:
        if folder.holds_data():
            raise PermanentError(
                f"{folder.root} has a sandbox's data, but its state.json is gone, and the passwords with it",
                "`klaviyo-assets sandbox reset` deletes the data and allows a fresh start.",
            )
        state = State.new(folder.state_file)
        state.save()
    return state


def _answers(server: Server, seconds: float, running: RunningServer) -> bool:
    """Wait for the proof that a server is ours and that this process answers."""
    deadline = time.monotonic() + seconds
    while not _proves(server):
        if time.monotonic() > deadline or not processes.is_alive(running.identity):
            return False
        time.sleep(0.05)
    return processes.is_alive(running.identity)


def _proves(server: Server) -> bool:
    try:
        server.prove()
    except NotReadyError:
        return False
    return True


def _failure(server: Server, how: str) -> PermanentError:
    log = server.folder.log(server.name)
    return PermanentError(
        f"the sandbox's {server.name} server {how}", f"The end of its log {log}:\n{processes.log_tail(log)}"
    )


def _waves(servers: Sequence[Server]) -> list[list[Server]]:
    """Servers in groups; each server needs only servers of earlier groups."""
    waves: list[list[Server]] = []
    placed: set[str] = set()
    while remaining := [server for server in servers if server.name not in placed]:
        wave = [server for server in remaining if set(server.needs) <= placed]
        if not wave:
            raise PermanentError(f"servers need each other in a circle: {[server.name for server in remaining]}")
        waves.append(wave)
        placed |= {server.name for server in wave}
    return waves


def _all_of(servers: Iterable[Server], act: Callable[[Server], Result]) -> list[Result]:
    """Act on servers at the same time; raise the first fault once all are done."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        futures = [pool.submit(act, server) for server in servers]
    faults = [fault for future in futures if (fault := future.exception())]
    if faults:
        own_faults = [fault for fault in faults if isinstance(fault, KlaviyoAssetsError)]
        raise (own_faults or faults)[0]
    return [future.result() for future in futures]
