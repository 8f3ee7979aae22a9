"""HTTP requests to Fivetran's API: authenticated, retried, bounded, and never repeated blindly.

Here: one request and its retries, paging, the meaning of each status code, the hourly budget of requests. Not here:
what the answers hold (`models.py`), and which requests are made (`resource.py`).

A GET is repeated after a 429, a 5xx, a time-out, a cut connection or an answer that is not JSON. A POST is repeated
only where Fivetran certainly did not act on it (429, connection never made). No other 4xx is repeated.
"""

import functools
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from threading import Lock
from typing import Any

import httpx
import tenacity

from klaviyo_assets.errors import KlaviyoAssetsError, NotFoundError, PermanentError, SettingsError
from klaviyo_assets.resources.fivetran.errors import ConflictError, RateLimitedError, UnansweredError
from klaviyo_assets.transport.limited_http import (
    HttpLimits,
    limit_httpx_client,
    network_problem,
    no_longer_than,
    retry_after,
    without_login,
)

Json = Mapping[str, Any]
_HOUR = 3600.0
_PAGE = 1000
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class TransportSettings:
    """The API's address, the key, and how patient retries are. Durations are seconds."""

    api_url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    connect_timeout: float
    read_timeout: float
    exchange_timeout: float
    call_timeout: float
    max_attempts: int
    first_backoff: float
    longest_pause: float
    hourly_budget: int


class Transport:
    """Requests to one API with one key."""

    def __init__(self, settings: TransportSettings) -> None:
        self.settings = settings
        host = _host(settings.api_url)
        self._budget = _budget(settings.api_url, settings.api_key, settings.hourly_budget)
        self._client = httpx.Client(
            base_url=settings.api_url.rstrip("/"),
            auth=(settings.api_key, settings.api_secret),
            headers={
                "Accept": "application/json;version=2",
                "User-Agent": f"klaviyo-assets/{version('klaviyo-assets')}",
            },
            timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
            # A proxy for the outside world cannot reach a server on this machine.
            trust_env=host not in _LOCAL,
        )
        limit_httpx_client(
            self._client, HttpLimits(settings.connect_timeout, settings.read_timeout, settings.exchange_timeout)
        )

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Json:
        """The `data` of an answer."""
        return self._patiently(self._request, "GET", path, retry=_passes, params=parameters)

    def pages(self, path: str) -> Iterator[Json]:
        """The items of a list, over all its pages."""
        cursor: str | None = None
        while True:
            data = self.get(path, limit=_PAGE, **({"cursor": cursor} if cursor else {}))
            yield from data.get("items") or ()
            following = data.get("next_cursor") or data.get("nextCursor")
            if not following or following == cursor:
                return
            cursor = following

    def post(self, path: str, body: Json) -> Json:
        """The `data` of an answer.

        Raises:
            UnansweredError: there was no answer, but the request may have taken effect: check before posting again.
        """
        return self._patiently(self._request, "POST", path, retry=_certainly_not_done, json=body)

    def attempts(self) -> tenacity.Retrying:
        """Attempts at something that may end in an `UnansweredError`, with growing pauses between them."""
        return self._retrying(lambda error: isinstance(error, UnansweredError))

    def _patiently(self, request: Any, *arguments: Any, retry: Any, **options: Any) -> Json:
        with no_longer_than(self.settings.call_timeout):
            return self._retrying(retry)(request, *arguments, **options)

    def _retrying(self, retry: Any) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.settings.max_attempts),
                tenacity.stop_before_delay(self.settings.call_timeout),
            ),
            wait=self._pause,
            retry=tenacity.retry_if_exception(lambda error: self._is_soon(error) and retry(error)),
            reraise=True,
        )

    def _is_soon(self, error: BaseException) -> bool:
        """Whether the pause that Fivetran asked for, if any, is short enough to sleep through."""
        return (getattr(error, "retry_after", None) or 0) <= self.settings.longest_pause

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """The pause that Fivetran asked for, or an exponential one; jitter keeps clients from returning together."""
        settings = self.settings
        jitter = random.uniform(0, settings.first_backoff)  # noqa: S311  a pause is not a secret
        error = state.outcome.exception() if state.outcome else None
        retry_after_seconds: float | None = getattr(error, "retry_after", None)
        if retry_after_seconds is not None:
            return retry_after_seconds + jitter
        growing: float = settings.first_backoff * 2 ** (state.attempt_number - 1)
        return min(growing, settings.longest_pause) + jitter

    def _request(self, method: str, path: str, **options: Any) -> Json:
        self._budget.spend()
        action = f"{method} {path}"
        try:
            with no_longer_than(self.settings.exchange_timeout):
                answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unanswered(action, error) from error
        if answer.is_success:
            return _data(answer, action)
        raise self._hidden(_refusal(answer, action, self.settings))

    def _unanswered(self, action: str, error: httpx.HTTPError) -> KlaviyoAssetsError:
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return _no_address(self.settings.api_url)
        address = without_login(self.settings.api_url)
        if network_problem(error).is_permanent:
            return PermanentError(
                f"cannot call Fivetran at {address} for {action}: {_in_words(error, self.settings)}",
                "Check FIVETRAN_API_URL, any proxy or firewall in between, and the clock of this machine.",
            )
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        return UnansweredError(
            f"no answer from Fivetran at {address} to {action}: {_in_words(error, self.settings)}",
            "Check the network and FIVETRAN_API_URL, or run it again later.",
            may_have_arrived=not never_sent,
        )

    def _hidden(self, error: KlaviyoAssetsError) -> KlaviyoAssetsError:
        """The error without the credentials, in case an answer echoed them."""
        return error.hide(self.settings.api_secret, self.settings.api_key)


def _host(api_url: str) -> str:
    try:
        return httpx.URL(api_url).host
    except httpx.InvalidURL as error:
        raise _no_address(api_url) from error


def _no_address(api_url: str) -> SettingsError:
    return SettingsError(
        f"{without_login(api_url)!r} is not the address of an API",
        "Set FIVETRAN_API_URL to https://api.fivetran.com, or leave it out.",
    )


def _passes(error: BaseException) -> bool:
    return isinstance(error, UnansweredError | RateLimitedError) and not isinstance(error, BudgetSpentError)


def _certainly_not_done(error: BaseException) -> bool:
    return _passes(error) and not getattr(error, "may_have_arrived", False)


def _in_words(error: httpx.HTTPError, settings: TransportSettings) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {settings.connect_timeout:g} s"
    if isinstance(error, httpx.TimeoutException):
        return str(error) or f"nothing came within {settings.read_timeout:g} s"
    return network_problem(error).words


def _data(answer: httpx.Response, action: str) -> Json:
    try:
        content = answer.json()
    except ValueError as error:
        raise _unreadable(action) from error
    data = (content.get("data") or {}) if isinstance(content, Mapping) else None
    if not isinstance(data, Mapping):
        raise _unreadable(action)
    return data


def _unreadable(action: str) -> UnansweredError:
    return UnansweredError(
        f"Fivetran's answer to {action} is not the expected JSON",
        "Does FIVETRAN_API_URL point to Fivetran's API, and is no proxy in between?",
    )


def _refusal(answer: httpx.Response, action: str, settings: TransportSettings) -> KlaviyoAssetsError:
    """The error that a status code other than 2xx stands for."""
    status, message = answer.status_code, _message(answer)
    seconds = retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
    if status == 429 or (status >= 500 and (seconds or 0) > settings.longest_pause):
        pause = f"for {seconds:.0f} s" if seconds is not None else "for an unknown time"
        return RateLimitedError(
            f"Fivetran accepts no more requests {pause} ({action}: {status}{message})",
            "Run it again after that, and less often: all programs that use this Fivetran account share its limit.",
            retry_after=seconds,
        )
    if status >= 500 or status == 408:
        return UnansweredError(
            f"Fivetran cannot answer {action} ({status}{message})", "Run it again later.", retry_after=seconds
        )
    return _permanent(status, action, message)


def _permanent(status: int, action: str, message: str) -> KlaviyoAssetsError:
    if status == 401:
        return SettingsError(
            f"Fivetran refuses the API key (401{message})",
            "Check FIVETRAN_API_KEY and FIVETRAN_API_SECRET, or create a new pair under Account Settings, API key.",
        )
    if status == 403:
        return PermanentError(
            f"Fivetran does not allow {action} with this API key (403{message})",
            "Give its user a role that may read and sync the connection, or use a different key.",
        )
    if status == 404:
        return NotFoundError(f"Fivetran found nothing for {action} (404{message})")
    if status == 409:
        return ConflictError(
            f"Fivetran cannot do {action} now (409{message})", "Run it again when the running sync has ended."
        )
    return PermanentError(f"Fivetran refuses {action} ({status}{message})", "Is FIVETRAN_API_URL right?")


def _message(answer: httpx.Response) -> str:
    """Fivetran's own error message, shortened: `, NotFound: ...`."""
    try:
        content = answer.json()
    except ValueError:
        return ""
    if not isinstance(content, Mapping):
        return ""
    words = ": ".join(str(content[key]) for key in ("code", "message") if content.get(key))
    return f", {words[:300].rstrip('.')}" if words else ""


class BudgetSpentError(RateLimitedError):
    """This process has used up its requests for the hour."""


class HourlyBudget:
    """At most `limit` requests in any hour; safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._request_times: deque[float] = deque()
        self._lock = Lock()

    def spend(self) -> None:
        """Count one request.

        Raises:
            BudgetSpentError: the budget is spent; `retry_after` says when the next request may be made.
        """
        now = time.monotonic()
        with self._lock:
            while self._request_times and self._request_times[0] <= now - _HOUR:
                self._request_times.popleft()
            if len(self._request_times) >= self._limit:
                pause = self._request_times[0] + _HOUR - now if self._request_times else _HOUR
                raise BudgetSpentError(
                    f"this process has made {self._limit} requests to Fivetran within an hour, its budget; the "
                    f"next one is allowed in {pause:.0f} s",
                    "Raise hourly_budget, or poll less often.",
                    retry_after=pause,
                )
            self._request_times.append(now)


@functools.cache
def _budget(api_url: str, api_key: str, limit: int) -> HourlyBudget:  # noqa: ARG001  the key tells budgets apart
    """One budget per process, API and key: Dagster makes a new resource for every run and tick."""
    return HourlyBudget(limit)
