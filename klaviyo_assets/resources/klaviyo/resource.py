"""Klaviyo's Reporting API, through Klaviyo's own package: the numbers that its pages show for campaigns and flows.

Here: settings, one request at a time within the quota, paging, and what each refusal means. Not here: the quota's
arithmetic (`quota.py`), and comparing anything (`audit/klaviyo_comparison/`).

The package's own retries are off: they would use up quota without being counted, and wait as long as Klaviyo asks
for, which can be hours. docs/decisions/0013 says why the package is used at all.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

import dagster as dg
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.klaviyo.quota import Quota, Spending
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.limited_http import HttpLimits, limit_pools, network_problem, retry_after, without_login
from klaviyo_assets.transport.time_limits import KLAVIYO_CONNECT, KLAVIYO_EXCHANGE, KLAVIYO_PAUSE, KLAVIYO_SILENCE

if TYPE_CHECKING:
    from klaviyo_api import KlaviyoAPI  # type: ignore[import-untyped]

KEY, URL = "KLAVIYO_API_KEY", "KLAVIYO_API_URL"
API_URL = "https://a.klaviyo.com"
# The longest range the Reporting API takes.
LONGEST = timedelta(days=365)
_PAGES = 50

Json = Mapping[str, Any]
Say = Callable[[str], None]


class Memory(Protocol):
    """Storage that keeps the spending between runs, such as Dagster's instance."""

    def get_cursor_values(self, keys: set[str]) -> Mapping[str, str]:
        """The texts that are stored under these keys."""

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None:
        """Store texts under keys."""


class QuotaSpentError(TransientError):
    """Klaviyo's quota allows no request for longer than a run should wait."""


@dataclass(frozen=True)
class Answer:
    """One answer of Klaviyo: status, headers and JSON (None if the body is not JSON)."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class ReportRequest:
    """A request to the Reporting API.

    Attributes:
        owner: `campaign` or `flow`.
        statistics: Klaviyo's names of statistics.
        first: First send day, of the Klaviyo account's time zone.
        last: Last send day.
        conversion_metric_id: The metric that counts as conversion.
    """

    owner: str
    statistics: Sequence[str]
    first: date
    last: date
    conversion_metric_id: str

    @property
    def body(self) -> dict[str, Any]:
        """The request as JSON:API. Klaviyo reads the times in the account's time zone, whatever offset they state."""
        return {
            "data": {
                "type": f"{self.owner}-values-report",
                "attributes": {
                    "statistics": list(self.statistics),
                    "timeframe": {
                        "start": f"{self.first.isoformat()}T00:00:00+00:00",
                        "end": f"{self.last.isoformat()}T23:59:59+00:00",
                    },
                    "conversion_metric_id": self.conversion_metric_id,
                    "group_by": [
                        f"{self.owner}_id", f"{self.owner}_message_id", "send_channel", "variation",
                    ],
                },
            }
        }  # fmt: skip


class KlaviyoResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Private API keys by account: `KLAVIYO_API_KEY_<ACCOUNT>`, or `KLAVIYO_API_KEY` if there is only one account."""

    api_url: str = Field(default="", description=f"Address of the API ({URL}); Klaviyo's own by default.")
    per_second: int = Field(default=1, description="Requests in a second that an account's quota allows.")
    per_minute: int = Field(default=2, description="Requests in a minute that an account's quota allows.")
    per_day: int = Field(default=225, description="Requests in a day that an account's quota allows.")
    longest_wait_seconds: float = Field(
        default=KLAVIYO_PAUSE.seconds,
        description="A longer pause is not waited for: the comparison says until when it has to wait.",
    )

    connect_timeout_seconds: float = Field(
        default=KLAVIYO_CONNECT.seconds, description="How long to wait for a connection."
    )
    silence_timeout_seconds: float = Field(
        default=KLAVIYO_SILENCE.seconds, description="How long to wait for the next byte."
    )
    exchange_timeout_seconds: float = Field(
        default=KLAVIYO_EXCHANGE.seconds, description="How long a request and its answer may take in all."
    )

    @property
    def quota(self) -> Quota:
        """What Klaviyo allows an account."""
        return Quota(self.per_second, self.per_minute, self.per_day)

    def missing(self, account: str, accounts: Sequence[str]) -> str | None:
        """The set-up that is missing before the account can be compared, as a sentence; None if nothing is missing."""
        if not self._key(account, accounts):
            alone = f" or {KEY}" if len(accounts) == 1 else ""
            return f"not set up: {key_name(account)}{alone} is not set (a private API key; see .env.example)"
        if find_spec("klaviyo_api") is None:
            return "not set up: the package klaviyo-api is not installed; run `pip install 'klaviyo-assets[klaviyo]'`"
        return None

    def reports(self, account: str, accounts: Sequence[str], memory: Memory, say: Say) -> "KlaviyoReports":
        """The Reporting API of one account.

        Args:
            account: Whose key is used.
            accounts: All accounts of the deployment; a key without a name belongs to the only one.
            memory: Where the spending is kept between runs.
            say: Called with a sentence when a request has to wait.
        """
        limits = HttpLimits(self.connect_timeout_seconds, self.silence_timeout_seconds, self.exchange_timeout_seconds)
        client = _client(optional(self.api_url, URL, API_URL), self._key(account, accounts), limits)
        return KlaviyoReports(account, client, self.quota, memory, say, self.longest_wait_seconds)

    @staticmethod
    def _key(account: str, accounts: Sequence[str]) -> str:
        alone = os.environ.get(KEY, "") if list(accounts) == [account] else ""
        return os.environ.get(key_name(account), "") or alone


def key_name(account: str) -> str:
    """The variable that holds an account's key."""
    return f"{KEY}_{account.upper()}"


class KlaviyoReports:
    """Reports of one account, one request at a time and within its quota."""

    def __init__(
        self, account: str, client: "KlaviyoAPI", quota: Quota, memory: Memory, say: Say, longest_wait: float
    ) -> None:
        self._account, self._client, self._quota = account, client, quota
        self._memory, self._say, self._longest_wait = memory, say, longest_wait

    @property
    def left_today(self) -> int:
        """How many more requests today's limit allows, as far as this deployment has counted."""
        return self._spending.left(self._quota, time.time())

    def values(self, request: ReportRequest) -> list[Json]:
        """The results of a values report, over all its pages: `groupings` and `statistics` each.

        Raises:
            QuotaSpentError: the quota allows no request for longer than `longest_wait_seconds`.
            SettingsError: Klaviyo refuses the key.
            PermanentError: Klaviyo refuses the request, or its answer is not what it should be.
            TransientError: Klaviyo does not answer.
        """
        return list(self._results(request))

    def _results(self, request: ReportRequest) -> Iterator[Json]:
        cursor: str | None = None
        for _ in range(_PAGES):
            body = self._ask_page(request, cursor)
            yield from _results_of(body, request.owner)
            cursor = _next_cursor(body)
            if cursor is None:
                return
        raise PermanentError(
            f"Klaviyo's report of {request.owner}s has more than {_PAGES} pages", "Ask for fewer days."
        )

    def _ask_page(self, request: ReportRequest, cursor: str | None) -> Json:
        """One page; after a refusal for the quota, wait and try once more."""
        answer = self._request(request, cursor)
        if answer.status == 429 or answer.status >= 500:
            pause = _retry_after(answer.headers) if answer.status == 429 else 5.0
            self._keep(self._spending.paused(time.time() + pause))
            answer = self._request(request, cursor)
        if answer.status == 429:
            self._keep(self._spending.paused(time.time() + _retry_after(answer.headers)))
        if answer.status != 200:
            # In case the answer echoed the key.
            raise _refusal(answer, self._account, request).hide(self._client.api_key)
        return answer.body if isinstance(answer.body, Mapping) else {}

    def _request(self, request: ReportRequest, cursor: str | None) -> Answer:
        self._await_quota()
        self._keep(self._spending.after_request(time.time()))
        return _post(self._client, request, cursor)

    def _await_quota(self) -> None:
        wait = self._spending.wait(self._quota, time.time())
        if wait > self._longest_wait:
            until = datetime.now(UTC) + timedelta(seconds=wait)
            raise QuotaSpentError(
                f"Klaviyo's quota of reports allows no request for account {self._account} before "
                f"{until:%Y-%m-%d %H:%M} UTC ({self._quota.per_day} a day, {self._quota.per_minute} a minute, "
                "shared by all programs that use a private key of the account)",
                "Compare again after that.",
            )
        if wait > 1.5:
            self._say(f"account {self._account}: waiting {wait:.0f} s for Klaviyo's quota of reports")
        if wait > 0:
            time.sleep(wait)

    @property
    def _place(self) -> str:
        return f"klaviyo_assets/klaviyo_quota/{self._account}"

    @property
    def _spending(self) -> Spending:
        return Spending.of(self._memory.get_cursor_values({self._place}).get(self._place))

    def _keep(self, spending: Spending) -> None:
        self._memory.set_cursor_values({self._place: spending.text})


def _client(api_url: str, api_key: str, limits: HttpLimits) -> "KlaviyoAPI":
    from klaviyo_api import KlaviyoAPI

    if not re.match(r"https?://[^/]", api_url):
        address = without_login(api_url)
        raise SettingsError(f"{address!r} is not the address of an API", f"Set {URL} to {API_URL}, or leave it out.")
    client = KlaviyoAPI(api_key, max_retries=1, test_host=api_url.rstrip("/"))
    manager = client.api_client.rest_client.pool_manager
    limit_pools(manager, limits)
    # urllib3 would retry the connection three times.
    manager.connection_pool_kw["retries"] = False
    return client


def _post(client: "KlaviyoAPI", request: ReportRequest, cursor: str | None) -> Answer:
    """Send one request with Klaviyo's package and return the answer as it is: a refusal does not raise."""
    from openapi_client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    ask = getattr(client.Reporting, f"query_{request.owner}_values_without_preload_content")
    arguments = {"page_cursor": cursor} if cursor else {}
    try:
        answer = ask(request.body, **arguments)
        content = answer.data
    except (HTTPError, ApiException) as error:
        problem = network_problem(error)
        kind = PermanentError if problem.is_permanent else TransientError
        raise kind(
            f"no answer from Klaviyo at {client.configuration.host}: {problem.words}",
            f"Check the network and {URL}, or compare again later.",
        ) from error
    except ValueError as error:
        raise PermanentError(
            f"the package klaviyo-api rejects the request for {request.owner}-values-reports: "
            f"{' '.join(str(error).split())[:300]}",
            "Install the version that constraints.txt names.",
        ) from error
    try:
        return Answer(answer.status, answer.headers, json.loads(content))
    except ValueError:
        return Answer(answer.status, answer.headers, None)


def _results_of(body: Json, owner: str) -> list[Json]:
    try:
        results = body["data"]["attributes"]["results"]
        return [{"groupings": dict(one["groupings"]), "statistics": dict(one["statistics"])} for one in results]
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"Klaviyo's answer to {owner}-values-reports is not the expected report",
            f"Does {URL} point to Klaviyo's API, and is no proxy in between?",
        ) from error


def _next_cursor(body: Json) -> str | None:
    """The cursor of the next page, if the answer links to one."""
    link = (body.get("links") or {}).get("next")
    if not link:
        return None
    query = parse_qs(urlsplit(str(link)).query)
    return next((query[name][0] for name in ("page_cursor", "page[cursor]") if name in query), None)


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that Klaviyo asks to wait; a minute if it does not say."""
    seconds = retry_after(headers.get("Retry-After"), datetime.now(UTC))
    return 60.0 if seconds is None else seconds


def _refusal(answer: Answer, account: str, request: ReportRequest) -> KlaviyoAssetsError:
    message = _detail(answer.body)
    action = f"{request.owner}-values-reports"
    if answer.status == 401:
        return SettingsError(
            f"Klaviyo refuses the API key of account {account} (401{message})",
            f"Check {key_name(account)}, or create a new private key in Klaviyo under Settings, API keys.",
        )
    if answer.status == 403:
        return SettingsError(
            f"Klaviyo does not let the API key of account {account} ask for {action} (403{message})",
            f"Give it the scope {request.owner}s:read.",
        )
    if answer.status == 429:
        seconds = _retry_after(answer.headers)
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return QuotaSpentError(
            f"Klaviyo asks for a pause of {seconds:.0f} s, until {until:%Y-%m-%d %H:%M} UTC ({action}: 429{message})",
            "Other programs that use a private key of the account share its quota. Compare again after that.",
        )
    if answer.status >= 500 or answer.status == 408:
        return TransientError(f"Klaviyo cannot answer {action} ({answer.status}{message})", "Compare again later.")
    return PermanentError(f"Klaviyo refuses {action} ({answer.status}{message})", f"Check conversion_metric and {URL}.")


def _detail(body: Any) -> str:
    """Klaviyo's own error message, shortened: `, Invalid input: ...`."""
    try:
        error = body["errors"][0]
        words = ": ".join(str(error[name]) for name in ("title", "detail") if error.get(name))
    except (KeyError, IndexError, TypeError, AttributeError):
        return ""
    return f", {words[:300].rstrip('.')}" if words else ""
