"""Klaviyo's Reporting API of the simulated shops, under `/klaviyo`: campaign-values and flow-values reports.

Here: keys, the quota, the shapes of requests and answers. Not here: the numbers
(`shop/values_reports`). Requests that only the real API can answer are refused by name.

The shops answer as of now, whatever the last sync brought: Klaviyo is ahead of Fivetran.
"""

import hmac
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from klaviyo_assets.sandbox.fivetran.api import body_of
from klaviyo_assets.sandbox.fivetran.books import Record
from klaviyo_assets.sandbox.fivetran.envelope import ApiError, success
from klaviyo_assets.sandbox.fivetran.shop import GROUPINGS, STATISTICS, Wanted, profile
from klaviyo_assets.sandbox.fivetran.syncs import Syncer
from klaviyo_assets.sandbox.klaviyo_keys import klaviyo_key

PREFIX = "/klaviyo"
_MEDIA_TYPE = "application/vnd.api+json"
_LONGEST = timedelta(days=366)
_WINDOWS = {"per_second": 1.0, "per_minute": 60.0, "per_day": 86_400.0}


class KlaviyoError(Exception):
    """An answer other than success, as JSON:API."""

    def __init__(
        self, status: int, code: str, title: str, detail: str, pointer: str = "/data/", retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.retry_after = status, retry_after
        self.error = {
            "id": str(uuid.uuid4()),
            "status": status,
            "code": code,
            "title": title,
            "detail": detail,
            "source": {"pointer": pointer},
        }

    @property
    def answer(self) -> Response:
        """The HTTP response."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, -(-int(self.retry_after * 10) // 10)))}
        return JSONResponse({"errors": [self.error]}, self.status, headers, _MEDIA_TYPE)


@dataclass(frozen=True)
class Limits:
    """Requests of one account and endpoint in Klaviyo's fixed windows, and results on a page."""

    per_second: int = 1
    per_minute: int = 2
    per_day: int = 225
    page_size: int = 1_000


@dataclass
class Counters:
    """How many requests each account has made in the current windows."""

    now: Callable[[], float] = time.time
    counts: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))

    def count(self, client: str, limits: Limits) -> dict[str, str]:
        """Count a request; returns the headers about the minute's window.

        Raises:
            KlaviyoError: 429 where a limit is reached.
        """
        now = self.now()
        windows = {name: (seconds, int(now // seconds)) for name, seconds in _WINDOWS.items()}
        for name, (seconds, window) in windows.items():
            if self.counts[client, name, window] >= getattr(limits, name):
                wait = (window + 1) * seconds - now
                detail = f"Request was throttled. Expected available in {wait:.0f} seconds."
                raise KlaviyoError(429, "throttled", "Request was throttled.", detail, retry_after=wait)
        for name, (_, window) in windows.items():
            self.counts[client, name, window] += 1
        seconds, window = windows["per_minute"]
        return {
            "RateLimit-Limit": f"{limits.per_minute}, {limits.per_second};w=1, {limits.per_minute};w=60",
            "RateLimit-Remaining": str(limits.per_minute - self.counts[client, "per_minute", window]),
            "RateLimit-Reset": str(int((window + 1) * seconds - now)),
        }


class Klaviyo:
    """The Reporting API over one set of books."""

    def __init__(self, syncer: Syncer, secret: str) -> None:
        self._syncer, self._secret = syncer, secret
        self._limits, self._counters = Limits(), Counters()

    def routes(self) -> list[Route]:
        """The two reports, and a switch for tests."""
        return [
            Route(f"{PREFIX}/api/{{owner}}-values-reports", self._report, methods=["POST"]),
            Route("/sandbox/klaviyo", self._set, methods=["PATCH"]),
        ]

    async def _set(self, request: Request) -> Response:
        """Set other limits (`{"per_minute": 100, "page_size": 3}`) and reset the counts."""
        body = await body_of(request)
        limit_names = {one.name for one in fields(Limits)}
        if not body.keys() <= limit_names or not all(isinstance(value, int) for value in body.values()):
            raise ApiError(400, "InvalidInput", f"give whole numbers for some of {', '.join(sorted(limit_names))}")
        self._limits, self._counters = replace(self._limits, **body), Counters()
        return success(vars(self._limits))

    async def _report(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except KlaviyoError as error:
            return error.answer

    async def _answer(self, request: Request) -> Response:
        owner = request.path_params["owner"]
        if owner not in GROUPINGS:
            raise KlaviyoError(404, "not_found", "Not found.", f"{request.url.path} is not part of the stand-in")
        record = self._account(request)
        headers = self._counters.count(f"{record.id} {owner}", self._limits)
        if not request.headers.get("revision"):
            raise _invalid("The header revision is missing.", "/headers/revision")
        query = _read_query(owner, await request.body())
        results = await run_in_threadpool(self._results, record, query)
        return self._page(request, owner, results, headers)

    def _account(self, request: Request) -> Record:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Klaviyo-API-Key" or not key:
            detail = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
            raise KlaviyoError(401, "not_authenticated", "Authentication credentials were not provided.", detail)
        for record in self._syncer.books.connections():
            expected_key = klaviyo_key(self._secret, profile(record.position).name)
            if hmac.compare_digest(key.encode(), expected_key.encode()):
                return record
        title = "Incorrect authentication credentials."
        raise KlaviyoError(401, "authentication_failed", title, title)

    def _results(self, record: Record, query: Wanted) -> list[dict[str, Any]]:
        with self._syncer.klaviyo(record) as reports:
            if reports.metric_key(query.conversion_metric_id) is None:
                raise _invalid(
                    f"There is no metric {query.conversion_metric_id!r}.", "/data/attributes/conversion_metric_id"
                )
            return reports.results(query)

    def _page(self, request: Request, owner: str, results: list[dict[str, Any]], headers: dict[str, str]) -> Response:
        try:
            begin = int(request.query_params.get("page_cursor", "0"))
        except ValueError:
            raise _invalid("The page cursor is not one of this API.", "/page_cursor") from None
        end = begin + self._limits.page_size
        path = str(request.url.replace(query=""))
        links = {"self": str(request.url), **({"next": f"{path}?page_cursor={end}"} if end < len(results) else {})}
        attributes = {"results": results[begin:end]}
        body = {"data": {"type": f"{owner}-values-report", "attributes": attributes}, "links": links}
        return JSONResponse(body, 200, headers, _MEDIA_TYPE)


def _read_query(owner: str, text: bytes) -> Wanted:
    """What a body asks for.

    Raises:
        KlaviyoError: 400, with what is wrong and where.
    """
    try:
        data = json.loads(text)["data"]
        attributes = data["attributes"]
        statistics, timeframe = attributes["statistics"], attributes["timeframe"]
        metric_id = str(attributes["conversion_metric_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(f"The body is no {owner}-values-report with all it needs ({error}).") from None
    if data.get("type") != f"{owner}-values-report":
        raise _invalid(f"type is {data.get('type')!r}; allowed: {owner}-values-report", "/data/type")
    if attributes.get("filter"):
        raise _invalid("filter is not supported by the local stand-in", "/data/attributes/filter")
    groupings, required_groupings = GROUPINGS[owner], GROUPINGS[owner][:2]
    group_by = attributes.get("group_by") or [*required_groupings, "send_channel"]
    _only(statistics, STATISTICS, "statistics")
    _only(group_by, groupings, "group_by")
    if not set(required_groupings) <= set(group_by):
        raise _invalid(f"group_by needs {' and '.join(required_groupings)}", "/data/attributes/group_by")
    first, last = _days(timeframe)
    return Wanted(owner, first, last, metric_id, group_by, statistics)


def _days(timeframe: Any) -> tuple[date, date]:
    """The first and last day; the offsets of the times are ignored, as Klaviyo does."""
    try:
        first, last = (datetime.fromisoformat(timeframe[name]).date() for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        raise _invalid("the local stand-in takes start and end only", "/data/attributes/timeframe") from None
    if not timedelta(0) <= last - first < _LONGEST:
        raise _invalid("The time frame must not be longer than a year.", "/data/attributes/timeframe")
    return first, last


def _only(values: Any, choices: Iterable[str], name: str) -> None:
    unknown = sorted(set(values) - set(choices)) if isinstance(values, list) else [str(values)]
    if unknown:
        detail = f"{', '.join(map(str, unknown))} is none of {', '.join(sorted(choices))} in the local stand-in"
        raise _invalid(detail, f"/data/attributes/{name}")


def _invalid(detail: str, pointer: str = "/data/") -> KlaviyoError:
    return KlaviyoError(400, "invalid", "Invalid input.", detail, pointer)
