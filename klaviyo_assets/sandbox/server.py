"""What every server of the sandbox answers to its supervisor.

Here: the interface, and the HTTP proof that several share. Not here: any one server.
"""

import hashlib
import http.client
import json
import os
import signal
import sys
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.errors import TransientError
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.ports import LOCALHOST
from klaviyo_assets.sandbox.processes import Launch
from klaviyo_assets.sandbox.state import State

# Differs from shell to shell without meaning another server.
_AMBIENT = ("PATH", "HOME", "TMPDIR", "USER", "PYTHONPATH")


class NotReadyError(TransientError):
    """A server does not answer yet, or what answers is not ours."""


@dataclass(frozen=True)
class PortNeed:
    """A port a server listens on; with a companion it also takes the one 10000 above."""

    name: str
    with_companion: bool = False


class Server(ABC):
    """One server: how it is started and how it proves to be ours."""

    name: str
    ports: tuple[PortNeed, ...]
    needs: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    # Of a busy machine. A process that ended by itself is noticed at once.
    patience_seconds: float = 120.0
    stop_patience_seconds: float = 15.0

    def __init__(self, folder: Folder, state: State) -> None:
        self.folder, self.state = folder, state

    def port(self, name: str | None = None) -> int:
        """The chosen port of that name (default: the server's own)."""
        return self.state.ports[name or self.ports[0].name]

    def prepare(self) -> None:
        """Make what has to be there before the process starts."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)

    @abstractmethod
    def launch(self) -> Launch:
        """How the process is started, by the state as it is now."""

    @abstractmethod
    def prove(self) -> None:
        """Ask the server something only ours can answer.

        Raises:
            NotReadyError: it does not answer, or is not ours.
        """

    def establish(self) -> None:  # noqa: B027 - most servers need nothing
        """Make what has to be there once it runs (databases, buckets); done twice it changes nothing."""

    def tidy(self) -> None:  # noqa: B027 - most servers leave nothing
        """Remove what a server that has ended leaves lying around outside of the folder."""

    @property
    def data(self) -> Path:
        """Where the server keeps its data."""
        return self.folder.data(self.name)

    @property
    def address(self) -> str:
        """Where it answers, for people."""
        return f"http://{LOCALHOST}:{self.port()}"

    @property
    def remark(self) -> str:
        """What a user of this server has to know; empty mostly."""
        return ""

    def fingerprint(self) -> str:
        """A hash of what the process is started with: a running one with another hash is started again."""
        launch = self.launch()
        program, *arguments = launch.command
        chosen = {name: value for name, value in launch.environment.items() if name not in _AMBIENT}
        # Of the program only the folder: `python` and `python3` of one environment are the same.
        described = [str(Path(program).parent), arguments, chosen, str(launch.folder), launch.user]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours; `-P` keeps the working folder off the import path."""
    return (sys.executable, "-P", "-m", module, *arguments)


def base_environment(**more: str) -> dict[str, str]:
    """What a server inherits: no setting of the user's (a real cloud account, say) reaches it."""
    kept = {name: os.environ[name] for name in _AMBIENT if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1", **more}


def ask(url: str, headers: dict[str, str], timeout: float = 5.0) -> bytes:
    """GET with our credential; anything but a 200 is not ready.

    Raises:
        NotReadyError: with what was answered instead.
    """
    # No proxy: it would send the credential elsewhere and cannot reach 127.0.0.1 anyway.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:  # noqa: S310 - http
            body: bytes = answer.read()
            return body
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotReadyError(f"{url.split('?')[0]}: {error}") from error
