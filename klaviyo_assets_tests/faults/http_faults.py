"""An HTTP proxy in front of any server, that answers chosen requests itself or spoils their answers.

Here: rules by method and path. Not here: faults of whole connections (`connection_faults.py`).

    with HttpProxy("http://127.0.0.1:8333") as proxy:
        proxy.answer("PUT", r"/part-", 503, times=2)
        proxy.spoil("GET", r"/part-", Fault("reset", after=100))
        proxy.lose("POST", r"/upload/")

The newest rule that fits a request is used. A request that no rule fits passes, with its headers as they are:
signatures stay right.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import urlsplit

from klaviyo_assets_tests.faults.connection_faults import Fault, reset, send_slowly


@dataclass
class Rule:
    """What happens to a request whose method and path match, `times` times (None: always)."""

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: Fault | None = None
    # Whether the server gets the request, too.
    reaches_server: bool = False
    times: int | None = None

    def takes(self, method: str, path: str) -> bool:
        """Whether it is for this request; it then counts as used once more."""
        if self.times == 0 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.times = None if self.times is None else self.times - 1
        return True


@dataclass
class HttpProxy:
    """A proxy on a free port of 127.0.0.1 for the server at `target`; `tls` has it speak TLS to its clients."""

    target: str
    tls: ssl.SSLContext | None = None
    rules: list[Rule] = field(default_factory=list)
    # Method and path of every request, in order.
    requests: list[tuple[str, str]] = field(default_factory=list)
    _ended: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        # Clients that give up are what this is for.
        self._server.handle_error = lambda *_: None
        self._server.block_on_close = False
        if self.tls:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def answer(
        self, method: str, path: str, status: int, body: bytes | str | Mapping[str, Any] = b"", *,
        headers: Mapping[str, str] | None = None, times: int | None = None, reaches_server: bool = False,
        fault: Fault | None = None,
    ) -> None:  # fmt: skip
        """Answer requests without the server, with a fault in the answer's bytes if asked for; a mapping is JSON."""
        is_json = isinstance(body, Mapping)
        content = json.dumps(body) if is_json else body
        given = {**({"Content-Type": "application/json"} if is_json else {}), **(headers or {})}
        encoded = content.encode() if isinstance(content, str) else bytes(content)
        self.rules.append(Rule(method, path, status, given, encoded, fault, reaches_server, times))

    def spoil(self, method: str, path: str, fault: Fault, *, times: int | None = None) -> None:
        """Pass requests on, and have a fault in their answers; bytes count from the first of the status line."""
        self.rules.append(Rule(method, path, fault=fault, reaches_server=True, times=times))

    def lose(self, method: str, path: str, *, times: int | None = 1) -> None:
        """Pass requests on, and reset the connection instead of answering."""
        self.spoil(method, path, Fault("reset"), times=times)

    def silence(self, method: str, path: str, *, times: int | None = None) -> None:
        """Take requests, and never answer."""
        self.rules.append(Rule(method, path, fault=Fault("silence"), times=times))

    def clear(self) -> None:
        """Forget all rules and requests."""
        self.rules.clear()
        self.requests.clear()

    def rule_of(self, method: str, path: str) -> Rule | None:
        """The rule for a request, used once more."""
        with self._lock:
            self.requests.append((method, path))
            return next((rule for rule in reversed(self.rules) if rule.takes(method, path)), None)

    @property
    def ended(self) -> Event:
        """Set once the proxy is closed."""
        return self._ended


def _handler(proxy: HttpProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._pass_on
            raise AttributeError(name)

        def _pass_on(self) -> None:
            # Read whole before anything is answered: a client that still writes would see a reset instead.
            body = self._body()
            rule = proxy.rule_of(self.command, self.path)
            answer = _own(rule) if rule and not rule.reaches_server else self._of_server(body)
            if rule and rule.status is not None:
                answer = _own(rule)
            self._send(answer, rule.fault if rule else None)

        def _body(self) -> bytes:
            """The body as it came over the wire, chunks included."""
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            taken = b""
            while True:
                line = self.rfile.readline()
                content = self.rfile.read(int(line.split(b";")[0], 16) + 2)
                taken += line + content
                if content == b"\r\n":
                    return taken

        def _of_server(self, body: bytes) -> bytes:
            target = urlsplit(proxy.target)
            lines = [f"{self.command} {self.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() != "expect"]
            with socket.create_connection((target.hostname, target.port)) as server:
                server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                answer = HTTPResponse(server, method=self.command)
                answer.begin()
                content = answer.read()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_ONE_HOP]
            if self.command != "HEAD" and answer.status not in {204, 304}:
                headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
                headers.append(("Content-Length", str(len(content))))
            return _wire(answer.status, answer.reason, headers, content)

        def _send(self, answer: bytes, fault: Fault | None) -> None:
            if fault is None:
                self.wfile.write(answer)
                return
            if fault.kind == "slow":
                self.wfile.write(answer[: fault.after])
                send_slowly(self.connection, answer[fault.after :], fault.bytes_per_second, proxy.ended)
                return
            self.wfile.write(answer[: fault.after])
            self.close_connection = True
            if fault.kind == "silence":
                while not proxy.ended.is_set():
                    time.sleep(0.02)
            if fault.kind == "reset":
                # The client has to read what was sent before the reset overtakes it.
                time.sleep(0.05)
                reset(self.connection)

    return Handler


_OF_ONE_HOP = {"transfer-encoding", "connection", "keep-alive"}


def _own(rule: Rule | None) -> bytes:
    if rule is None or rule.status is None:
        return b""
    return _wire(rule.status, "Fault", [*rule.headers.items(), ("Content-Length", str(len(rule.body)))], rule.body)


def _wire(status: int, reason: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
