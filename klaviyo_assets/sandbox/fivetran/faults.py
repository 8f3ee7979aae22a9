"""Faults on demand, and a record of every request, between the socket and the endpoints.

Here: wrong answers of the kinds that real servers give. Not here: authentication and right answers.
"""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from klaviyo_assets.errors import UnknownNameError

Kind = Literal["rate_limit", "error", "slow", "cut", "malformed"]
KINDS = ("rate_limit", "error", "slow", "cut", "malformed")

HOURLY_LIMIT = 20_000
_REMEMBERED = 20_000
_UNTOUCHED = ("/health", "/sandbox")
_WORDS = {
    403: ("Forbidden", "The user has no permission to do this"),
    404: ("NotFound", "There is no such path"),
    409: ("Conflict", "Something is in progress that excludes this"),
    503: ("ServiceUnavailable", "The service is not available"),
}


@dataclass
class Fault:
    """The next requests that match go wrong.

    Attributes:
        kind: `rate_limit` (429), `error` (`status`), `slow` (`seconds`, then the right answer), `cut` (the connection
            ends inside the answer), `malformed` (200 with broken JSON).
        times: How many more requests it hits.
        path: A part of the paths hit; all when empty.
        method: Only this HTTP method; all when empty.
        retry_after: `rate_limit`: "seconds", "date", or "none" for no header.
        seconds: `rate_limit`: what Retry-After says; `slow`: how long.
        status: `error`: 500, 503, or any other.
        carried_out: The request takes effect; only its answer is lost.
    """

    kind: str
    times: int = 1
    path: str = ""
    method: str = ""
    retry_after: str = "seconds"
    seconds: float = 1.0
    status: int = 500
    carried_out: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("fault", self.kind, KINDS)
        if self.retry_after not in ("seconds", "date", "none"):
            raise UnknownNameError("form of retry_after", self.retry_after, ("seconds", "date", "none"))

    def hits(self, scope: Scope) -> bool:
        """Whether this fault applies to the request."""
        fits = self.path in scope["path"] and self.method.upper() in ("", scope["method"])
        return fits and self.times > 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that was answered."""

    method: str
    path: str
    query: str
    status: int | None
    fault: str | None
    at: str


class Faults:
    """ASGI middleware: records requests, and spoils those that a fault applies to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._planned_faults: list[Fault] = []
        self.requests: deque[Seen] = deque(maxlen=_REMEMBERED)

    def answer_with(self, app: ASGIApp) -> None:
        """Set the application behind the faults, which is built after them."""
        self._app = app

    def plan(self, fault: Fault) -> None:
        """Spoil coming requests; faults planned earlier come first."""
        with self._lock:
            self._planned_faults.append(fault)

    def planned_faults(self) -> list[Fault]:
        """The faults that are not used up."""
        with self._lock:
            return [fault for fault in self._planned_faults if fault.times > 0]

    def clear(self) -> None:
        """Plan no faults any more."""
        with self._lock:
            self._planned_faults.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with or without a fault, and record it."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTOUCHED):
            await self._app(scope, receive, send)
            return
        fault = self._take(scope)
        statuses: list[int] = []

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message["headers"] = [*message["headers"], *self._limits()]
            await send(message)

        try:
            await self._answer(fault, scope, receive, watched)
        finally:
            self._remember(scope, statuses[0] if statuses else None, fault)

    async def _answer(self, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is None:
            await self._app(scope, receive, send)
            return
        answer = await self._carried_out(scope, receive) if fault.carried_out else None
        if fault.kind == "cut":
            await _cut(send)
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._late(answer, scope, receive, send)
        else:
            await _wrong(fault)(scope, receive, send)

    async def _carried_out(self, scope: Scope, receive: Receive) -> list[Message]:
        """Let the request take effect, but withhold its answer."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages

    async def _late(self, answer: list[Message] | None, scope: Scope, receive: Receive, send: Send) -> None:
        if answer is None:
            await self._app(scope, receive, send)
            return
        for message in answer:
            await send(message)

    def _take(self, scope: Scope) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._planned_faults if fault.hits(scope)), None)
            if fault is not None:
                fault.times -= 1
            return fault

    def _remember(self, scope: Scope, status: int | None, fault: Fault | None) -> None:
        query = scope["query_string"].decode()
        at = datetime.now(UTC).isoformat()
        self.requests.append(Seen(scope["method"], scope["path"], query, status, fault.kind if fault else None, at))

    def _limits(self) -> list[tuple[bytes, bytes]]:
        remaining = max(0, HOURLY_LIMIT - len(self.requests))
        return [
            (b"x-rate-limit", str(HOURLY_LIMIT).encode()),
            (b"x-rate-limit-remaining", str(remaining).encode()),
        ]


def _wrong(fault: Fault) -> Response:
    if fault.kind == "malformed":
        return Response('{"code": "Success", "data": {"items": [', 200, media_type="application/json")
    if fault.kind == "rate_limit":
        body = {"code": "TooManyRequests", "message": "The rate limit for your account has been exceeded"}
        return JSONResponse(body, 429, headers=_retry_after(fault))
    code, message = _WORDS.get(fault.status, ("InternalError", "Something went wrong"))
    return JSONResponse({"code": code, "message": message}, fault.status)


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after == "none":
        return {}
    if fault.retry_after == "date":
        when = datetime.now(UTC) + timedelta(seconds=fault.seconds)
        return {"Retry-After": format_datetime(when, usegmt=True)}
    return {"Retry-After": f"{fault.seconds:g}"}


async def _cut(send: Send) -> None:
    """Promise more than is sent: the server closes the connection when the endpoint returns early."""
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"code": "Succ', "more_body": True})
