"""HTTP with limits on connecting, on silence and on a whole exchange, for every client that this package uses.

Here: limits at the level of connections, for urllib3 (Google's, Amazon's and Klaviyo's clients) and for httpcore
(httpx, for Fivetran), what a network's error means in words, and how long a server asks to wait. Not here: the
length of the limits (`transport/time_limits.py`), and what a status code means (each system's own module).

A client's own time-outs bound each read. An answer that trickles, a byte now and then, keeps every one of them and
never ends; so does an upload that nobody reads. Here a clock runs over the exchange, from the first byte of the request
to the last of the answer, and `no_longer_than` puts one over several exchanges.
"""

import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    import requests
    from urllib3 import PoolManager

# Large enough for speed, small enough that each piece is sent well within any limit on silence.
_PIECE = 16_384
# The longest pause that a server may ask for.
_LONGEST_PAUSE = 86_400.0
_ENDS_AT: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@dataclass(frozen=True)
class HttpLimits:
    """Limits in seconds.

    Attributes:
        connect: Until there is a connection, TLS included.
        silence: Until the next byte passes.
        exchange: From the first byte of a request to the last of its answer.
    """

    connect: float
    silence: float
    exchange: float


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Inside the block, every exchange of this thread ends at most so many seconds from now."""
    token = _ENDS_AT.set(min(_ENDS_AT.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ENDS_AT.reset(token)


class LimitReachedError(TimeoutError):
    """One of our limits was reached; the message says which."""


class Clock:
    """The time left for the next read or write of a connection."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._ends_at = math.inf

    def begin(self) -> None:
        """Begin an exchange."""
        self._ends_at = time.monotonic() + self.limits.exchange

    def to_connect(self) -> float:
        """The seconds left for connecting."""
        return self._within(self.limits.connect)

    def to_pass(self) -> float:
        """The seconds left until a byte has to pass."""
        return self._within(min(self.limits.silence, self._ends_at - time.monotonic()))

    def _within(self, seconds: float) -> float:
        left = min(seconds, _ENDS_AT.get() - time.monotonic())
        if left <= 0:
            raise self.over()
        return left

    def over(self) -> LimitReachedError:
        """The limit that was reached, in words: on the exchange, on all exchanges, or on silence."""
        now = time.monotonic()
        if now >= self._ends_at:
            return LimitReachedError(f"the answer was not complete after {self.limits.exchange:g} s")
        if now >= _ENDS_AT.get():
            return LimitReachedError("the time for the call is over")
        return LimitReachedError(f"nothing came within {self.limits.silence:g} s")


class _TimedReads(io.RawIOBase):
    """The bytes of a socket; each read may take the time that the clock has left."""

    def __init__(self, raw_socket: socket.socket, clock: Clock) -> None:
        self._socket, self._clock = raw_socket, clock
        # The socket counts its users, and stays open for this one when the connection releases it.
        self._reads: Any = raw_socket.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._clock.to_pass())
        try:
            return self._reads.readinto(buffer) or 0
        except TimeoutError as error:
            raise self._clock.over() from error

    def close(self) -> None:
        if not self.closed:
            self._reads.close()
        super().close()


class _TimedSocket:
    """A socket, plain or TLS, whose reads and writes obey a clock, whatever time-out its user sets."""

    def __init__(self, raw_socket: socket.socket, clock: Clock) -> None:
        self._socket, self._clock = raw_socket, clock

    def makefile(self, mode: str, buffering: int = -1) -> Any:  # noqa: ARG002  a socket's signature; always "rb"
        reads = _TimedReads(self._socket, self._clock)
        return io.BufferedReader(reads) if buffering else reads

    def sendall(self, content: Any) -> None:
        remaining = memoryview(content).cast("B")
        for begin in range(0, len(remaining), _PIECE):
            self._socket.settimeout(self._clock.to_pass())
            try:
                self._socket.sendall(remaining[begin : begin + _PIECE])
            except TimeoutError as error:
                raise self._clock.over() from error

    def settimeout(self, _: float | None) -> None:
        """Do nothing: the clock decides."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def limit_pools(manager: "PoolManager", limits: HttpLimits) -> None:
    """Apply limits to every connection of a urllib3 pool manager."""
    manager.pool_classes_by_scheme = limited_pools(manager.pool_classes_by_scheme, limits)
    manager.clear()


def limited_pools(classes: dict[str, Any], limits: HttpLimits) -> dict[str, Any]:
    """Pool classes by scheme, with limits on their connections."""
    return {
        scheme: type(
            f"Limited{pool.__name__}", (pool,), {"ConnectionCls": _limited_connection(pool.ConnectionCls, limits)}
        )
        for scheme, pool in classes.items()
    }


def _limited_connection(base: Any, limits: HttpLimits) -> Any:
    class Limited(base):  # type: ignore[misc]
        sock: Any

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._clock = Clock(limits)

        def connect(self) -> None:
            self.timeout = self._clock.to_connect()
            super().connect()
            self.sock = _TimedSocket(self.sock, self._clock)

        def putrequest(self, *arguments: Any, **options: Any) -> None:
            self._clock.begin()
            super().putrequest(*arguments, **options)

    return Limited


def limit_session(session: "requests.Session", limits: HttpLimits) -> None:
    """Apply limits to every connection of a requests session, also through proxies."""
    from requests.adapters import HTTPAdapter

    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            limit_pools(adapter.poolmanager, limits)
            adapter.proxy_manager_for = _limited_proxies(adapter, limits)  # type: ignore[method-assign]


def _limited_proxies(adapter: Any, limits: HttpLimits) -> Callable[..., Any]:
    of_adapter = adapter.proxy_manager_for

    def limited_proxy(proxy: str, **options: Any) -> Any:
        is_new = proxy not in adapter.proxy_manager
        manager = of_adapter(proxy, **options)
        if is_new:
            limit_pools(manager, limits)
        return manager

    return limited_proxy


def limit_aws_client(client: Any, limits: HttpLimits) -> None:
    """Apply limits to every connection of a boto3 client, also through proxies.

    botocore's own settings bound only connecting and each read, and only the creator of the client, dagster-aws, can
    set them. A test checks that the limits reach the connections.
    """
    session = client._endpoint.http_session
    classes = limited_pools(session._pool_classes_by_scheme, limits)
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = classes


def limit_httpx_client(client: "httpx.Client", limits: HttpLimits) -> None:
    """Apply limits to every connection of an httpx client; each exchange is inside `no_longer_than`."""
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _TimedBackend(pool._network_backend, limits)


class _TimedBackend:
    """httpcore's way to the network, with a clock on each connection."""

    def __init__(self, backend: Any, limits: HttpLimits) -> None:
        self._backend, self._limits = backend, limits

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:  # noqa: ARG002
        clock = Clock(self._limits)
        return _TimedStream(self._backend.connect_tcp(host, port, timeout=clock.to_connect(), **options), clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _TimedStream:
    """A connection of httpcore, with a clock."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  httpcore's signature
        with self._in_words():
            return self._stream.read(max_bytes, self._clock.to_pass())  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  httpcore's signature
        with self._in_words():
            self._stream.write(buffer, self._clock.to_pass())

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None) -> Any:  # noqa: ARG002
        stream = self._stream.start_tls(ssl_context, server_hostname, self._clock.to_connect())
        return _TimedStream(stream, self._clock)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        import httpcore

        try:
            yield
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except (httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
            raise type(error)(str(self._clock.over())) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def without_login(url: str) -> str:
    """An address that messages may show: without user and password, whatever characters they contain."""
    scheme, mark, remainder = url.partition("://")
    return f"{scheme}{mark}{remainder.rpartition('@')[2]}" if mark else url.rpartition("@")[2]


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds in a Retry-After header, which holds seconds or an HTTP date; None if it is unusable.

    At most a day: a pause is kept between runs, and a mistyped one must not block an account for years.
    """
    text = (value or "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max((moment - now).total_seconds(), 0.0), _LONGEST_PAUSE)


@dataclass(frozen=True)
class NetworkProblem:
    """What went wrong on the way to a server.

    Attributes:
        words: The problem as half a sentence, without addresses, which may hold credentials.
        is_permanent: Whether somebody has to change something before it can succeed.
    """

    words: str
    is_permanent: bool = False


def network_problem(error: BaseException) -> NetworkProblem:
    """The network problem behind a client's error; each client wraps it in its own way."""
    chain = list(_chain(error))
    for kind, problem in _PROBLEMS:
        for cause in chain:
            if isinstance(cause, kind):
                return problem(cause)
    return NetworkProblem(f"the connection failed ({type(chain[-1]).__name__})")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all its causes."""
    seen_ids: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen_ids:
            continue
        seen_ids.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), getattr(cause, "cause", None)]
        waiting += [found for found in (*inner, *cause.args) if isinstance(found, BaseException)]


# OpenSSL's names for having no common TLS version or cipher: a retry cannot help.
_NO_COMMON_TLS = {
    "WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
}  # fmt: skip


def _certificate(error: ssl.SSLCertVerificationError) -> NetworkProblem:
    return NetworkProblem(f"its certificate is not accepted: {error.verify_message}", is_permanent=True)


def _tls(error: ssl.SSLError) -> NetworkProblem:
    return NetworkProblem(f"TLS failed ({error.reason or 'cut off'})", is_permanent=error.reason in _NO_COMMON_TLS)


def _always(words: str) -> Callable[[Any], NetworkProblem]:
    return lambda _: NetworkProblem(words)


_PROBLEMS: tuple[tuple[type[BaseException], Callable[[Any], NetworkProblem]], ...] = (
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (socket.gaierror, _always("its name is not known to the DNS")),
    (ConnectionRefusedError, _always("nobody accepts connections there")),
    (LimitReachedError, lambda error: NetworkProblem(str(error))),
    (TimeoutError, _always("there was no connection in time")),
    (http.client.RemoteDisconnected, _always("the connection was closed without an answer")),
    (ConnectionError, _always("the connection was reset")),
    (http.client.IncompleteRead, _always("the answer was cut off")),
    (http.client.HTTPException, _always("the answer is not HTTP")),
)
