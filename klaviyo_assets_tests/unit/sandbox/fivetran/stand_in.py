"""Runs the Fivetran stand-in as the process it is, for tests that speak HTTP with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

KEY, SECRET = "test-key", "test-secret"
_PATIENCE = 120


@dataclass
class StandIn:
    """A running stand-in and a client that knows its credentials."""

    process: subprocess.Popen
    http: httpx.Client
    url: str

    def get(self, path: str, /, **params: Any) -> dict[str, Any]:
        """The data of a successful GET."""
        return _data(self.http.get(path, params=params))

    def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        """The data of a successful POST."""
        return _data(self.http.post(path, json=body))

    def patch(self, path: str, /, **body: Any) -> dict[str, Any]:
        """The data of a successful PATCH."""
        return _data(self.http.patch(path, json=body))

    def sync(self, connection_id: str, **body: Any) -> dict[str, Any]:
        """Trigger a sync and give the connection when it has ended."""
        self.post(f"/v1/connections/{connection_id}/sync", **body)
        return self.ended(connection_id)

    def ended(self, connection_id: str) -> dict[str, Any]:
        """The connection once no sync is running."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            connection = self.get(f"/v1/connections/{connection_id}")
            if connection["status"]["sync_state"] != "syncing":
                return connection
            time.sleep(0.03)
        raise AssertionError(f"{connection_id} still syncs after {_PATIENCE} s")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and wait until it is gone."""
        self.http.close()
        self.process.send_signal(how)
        self.process.wait(timeout=_PATIENCE)


def start_stand_in(postgres_url: str, state: Path, *options: str) -> StandIn:
    """Start the process and wait until it answers."""
    port = _free_port()
    arguments = ["--port", port, "--state", state, "--sync-seconds", 0.1, "--days", 8, "--events-per-day", 40, *options]
    environment = {
        **os.environ,
        "KLAVIYO_SANDBOX_POSTGRES_URL": postgres_url,
        "FIVETRAN_API_KEY": KEY,
        "FIVETRAN_API_SECRET": SECRET,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "klaviyo_assets.sandbox.fivetran", *map(str, arguments)], env=environment
    )
    url = f"http://127.0.0.1:{port}"
    http = httpx.Client(base_url=url, auth=(KEY, SECRET), timeout=_PATIENCE, trust_env=False)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http.get("/health").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return StandIn(process, http, url)
    process.kill()
    raise AssertionError(f"the stand-in did not start within {_PATIENCE} s (exit code {process.poll()})")


def moment(text: str) -> datetime:
    """An API time as a datetime."""
    return datetime.fromisoformat(text)


def _data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json().get("data", {})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
