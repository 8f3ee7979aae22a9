"""The interface between each server of the sandbox and the supervisor.

Here: the interface, and the HTTP check that several servers share. Not here: any particular server.
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

# These differ from shell to shell but do not make it a different server.
_AMBIENT = ("PATH", "HOME", "TMPDIR", "USER", "PYTHONPATH")


class NotReadyError(TransientError):
    """A server does not answer yet, or the answer comes from a foreign server."""


@dataclass(frozen=True)
class PortNeed:
    """A port that a server listens on; with a companion, it also uses the port 10000 above."""

    name: str
    with_companion: bool = False


class Server(ABC):
    """One server: how it is started, and how it proves that it is ours."""

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
        """Create what the process needs before it starts."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)

    @abstractmethod
    def launch(self) -> Launch:
        """How to start the process, given the current state."""

    @abstractmethod
    def prove(self) -> None:
        """Send a request that only our server can answer.

        Raises:
            NotReadyError: it does not answer, or is not ours.
        """

    def establish(self) -> None:  # noqa: B027 - most servers need nothing
        """Create what must exist once it runs (databases, buckets); a second call changes nothing."""

    def tidy(self) -> None:  # noqa: B027 - most servers leave nothing
        """Remove what a stopped server leaves outside the folder."""

    @property
    def data(self) -> Path:
        """The folder of the server's data."""
        return self.folder.data(self.name)

    @property
    def address(self) -> str:
        """The address, for people."""
        return f"http://{LOCALHOST}:{self.port()}"

    @property
    def remark(self) -> str:
        """A note for the user of this server; usually empty."""
        return ""

    def fingerprint(self) -> str:
        """A hash of the launch settings: a running process with a different hash is restarted."""
        launch = self.launch()
        program, *arguments = launch.command
        settings = {name: value for name, value in launch.environment.items() if name not in _AMBIENT}
        # Only the folder of the program counts: `python` and `python3` of one environment are the same.
        description = [str(Path(program).parent), arguments, settings, str(launch.folder), launch.user]
        return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours; `-P` keeps the working folder off the import path."""
    return (sys.executable, "-P", "-m", module, *arguments)


def base_environment(**extra: str) -> dict[str, str]:
    """The environment that a server inherits: no setting of the user, such as a real cloud account, reaches it."""
    ambient = {name: os.environ[name] for name in _AMBIENT if name in os.environ}
    return {"PATH": os.defpath, **ambient, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1", **extra}


def ask(url: str, headers: dict[str, str], timeout: float = 5.0) -> bytes:
    """Send a GET with our credential; any status other than 200 means not ready.

    Raises:
        NotReadyError: the server did not answer 200; the message has its answer.
    """
    # No proxy: it would see the credential, and cannot reach 127.0.0.1 anyway.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:  # noqa: S310 - http
            body: bytes = answer.read()
            return body
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotReadyError(f"{url.split('?')[0]}: {error}") from error
