"""A real HTTP server on loopback that answers as a test's script says, and remembers what it was asked.

Here: the server and the shapes of Fivetran's answers. Not here: the stand-in with a whole API behind it
(`klaviyo_assets.sandbox.fivetran`).
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from klaviyo_assets.resources.fivetran.resource import FivetranResource

KEY, SECRET = "key-of-a-test", "secret-of-a-test"


@dataclass(frozen=True)
class Answer:
    """One answer: a status and a body, or something that goes wrong underway."""

    status: int = 200
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    seconds: float = 0
    cut: bool = False

    @property
    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        code = "Success" if self.status < 400 else "Error"
        return json.dumps({"code": code, "message": f"said by the server {self.status}", "data": self.data}).encode()


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    body: Any
    authorization: str


class ScriptedFivetran:
    """Answers by method and path; the last answer of a script repeats."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._scripts: dict[str, list[Answer]] = {}
        self.requests: list[Asked] = []

    def on(self, request: str, *answers: Answer) -> None:
        """Script the answers to `GET /v1/groups` and the like."""
        self._scripts[request] = list(answers)

    def asked(self, method: str = "") -> list[str]:
        """The requests so far, as `GET /v1/groups`."""
        return [f"{one.method} {one.path}" for one in self.requests if method in ("", one.method)]

    def next_answer(self, asked: Asked) -> Answer:
        self.requests.append(asked)
        for request in (f"{asked.method} {asked.path}?{asked.query}", f"{asked.method} {asked.path}"):
            script = self._scripts.get(request)
            if script:
                return script.pop(0) if len(script) > 1 else script[0]
        return Answer(404)

    def resource(self, **settings: Any) -> FivetranResource:
        """The resource under test, impatient."""
        impatient: dict[str, Any] = {
            "api_key": KEY, "api_secret": SECRET, "api_url": self.url, "first_backoff_seconds": 0.01,
            "read_timeout_seconds": 2, "poll_interval_seconds": 0.01, "sync_timeout_seconds": 2, "max_attempts": 3,
        }  # fmt: skip
        return FivetranResource(**{**impatient, **settings})


@contextmanager
def scripted_fivetran() -> Iterator[ScriptedFivetran]:
    """Run a server for one test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            answer = script.next_answer(Asked(self.command, path, query, body, self.headers.get("Authorization", "")))
            time.sleep(answer.seconds)
            if answer.cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script = ScriptedFivetran(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def connection(connection_id: str = "speak_menial", **changes: Any) -> dict[str, Any]:
    """A connection as Fivetran shows it; members of `status` may be given by name."""
    status = {"setup_state": "connected", "sync_state": "scheduled", "schema_status": "ready",
              "is_historical_sync": False, "rescheduled_for": None, "tasks": [], "warnings": []}  # fmt: skip
    status |= {name: changes.pop(name) for name in list(changes) if name in status}
    return {
        "id": connection_id, "service": "klaviyo", "schema": "klaviyo_acme", "group_id": "sunny_warehouse",
        "paused": False, "succeeded_at": "2026-03-01T04:00:00.000000Z", "failed_at": None, "sync_frequency": 360,
        "schedule_type": "auto", "status": status, **changes,
    }  # fmt: skip


def connection_answer(connection_id: str = "speak_menial", **changes: Any) -> Answer:
    """An answer that shows a connection."""
    return Answer(data=connection(connection_id, **changes))


def page(*items: dict[str, Any], next_cursor: str | None = None) -> Answer:
    """One page of a list."""
    return Answer(data={"items": list(items), **({"next_cursor": next_cursor} if next_cursor else {})})
