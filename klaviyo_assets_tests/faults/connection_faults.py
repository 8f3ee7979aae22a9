"""A TCP proxy in front of any server, whose connections go wrong as a test asks.

Here: bytes and connections. Not here: requests (`http_faults.py`).

    with ConnectionProxy("127.0.0.1", 5432) as proxy:
        proxy.fault = Fault("silence", after=1000)

A fault may be set and taken away while connections are open. `after` counts the bytes of the server's answers on each
connection since the fault was set.
"""

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Literal, Self

# A name that no resolver knows (RFC 2606).
UNRESOLVABLE = "nowhere.invalid"
_CHUNK = 65_536
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, eq=False)
class Fault:
    """What happens to the bytes of a connection.

    Attributes:
        kind: `silence`: nothing passes in either direction any more, and the connection stays open.
            `reset`: RST. `close`: FIN. `slow`: answers and requests pass at `bytes_per_second`.
        after: How many bytes of the answer pass before it happens.
        bytes_per_second: The speed of `slow`.
    """

    kind: Literal["silence", "reset", "close", "slow"]
    after: int = 0
    bytes_per_second: int = 10_000


def reset(connection: socket.socket) -> None:
    """Close a connection with RST instead of FIN."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_slowly(connection: socket.socket, content: bytes, bytes_per_second: int, ended: Event) -> None:
    """Send bytes in twenty pieces a second, or one byte at a time where that is more than asked for."""
    step = max(bytes_per_second // 20, 1)
    for begin in range(0, len(content), step):
        if ended.is_set():
            return
        connection.sendall(content[begin : begin + step])
        time.sleep(step / bytes_per_second)


class Loopback:
    """An address of 127.0.0.1 that a socket of ours is bound to."""

    _listener: socket.socket

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]


@dataclass
class ConnectionProxy(Loopback):
    """A proxy on a free port of 127.0.0.1; `tls` has it speak TLS to its clients and plain TCP to the server."""

    target_host: str
    target_port: int
    tls: ssl.SSLContext | None = None
    fault: Fault | None = None
    connections: int = 0
    _ended: Event = field(default_factory=Event)
    _open: list[socket.socket] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted."""
        with self._lock:
            for connection in self._open:
                reset(connection)
            self._open.clear()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            server = socket.create_connection((self.target_host, self.target_port))
            with self._lock:
                self._open += [client, server]
            Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            self._pass_on(server, client, True)

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        fault, passed = self.fault, 0
        with suppress(OSError, ValueError):
            while content := self._received(source, is_answer):
                if fault is not self.fault:
                    fault, passed = self.fault, 0
                if not self._passes(content, sink, passed if is_answer else None):
                    return
                passed += len(content)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _received(self, source: socket.socket, is_answer: bool) -> bytes:
        """The next bytes of a side; requests wait unread while the connection is silent from its first byte."""
        while not self._ended.is_set():
            # A thread that blocks in recv would hold the socket open when another one resets it.
            if (is_answer or not self._is_silent) and select.select([source], [], [], _LOOK_SECONDS)[0]:
                return source.recv(_CHUNK)
            if not is_answer and self._is_silent:
                time.sleep(_LOOK_SECONDS)
        return b""

    @property
    def _is_silent(self) -> bool:
        return self.fault is not None and self.fault.kind == "silence" and not self.fault.after

    def _passes(self, content: bytes, sink: socket.socket, passed: int | None) -> bool:
        """Pass bytes on as the fault allows; whether the connection still lives."""
        fault = self.fault
        if fault is None:
            sink.sendall(content)
            return True
        if fault.kind == "slow":
            send_slowly(sink, content, fault.bytes_per_second, self._ended)
            return True
        if passed is None:
            sink.sendall(content)
            return True
        allowed = max(fault.after - passed, 0)
        sink.sendall(content[:allowed])
        if allowed >= len(content):
            return True
        return self._broken(fault, sink, content[allowed:])

    def _broken(self, fault: Fault, sink: socket.socket, rest: bytes) -> bool:
        if fault.kind == "silence":
            while self.fault is fault and not self._ended.is_set():
                time.sleep(_LOOK_SECONDS)
            # The network is back: what was held arrives.
            sink.sendall(rest)
            return True
        if fault.kind == "reset":
            reset(sink)
        else:
            sink.shutdown(socket.SHUT_RDWR)
            sink.close()
        return False


@dataclass
class Blackhole(Loopback):
    """An address of 127.0.0.1 where no connection is ever made: its queue is full, so SYN packets are dropped."""

    _fillers: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (*self._fillers, self._listener):
            opened.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"
