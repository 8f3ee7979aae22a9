"""The HTTP face: routes, who may call, JSON in and out, and the byte streams of uploads.

Here: everything that knows Starlette. Endpoints are plain functions of `calls.Call` and run in
threads; whatever they raise is answered in Google's error shape, never with a 5xx.
"""

import functools
import hmac
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from klaviyo_assets.sandbox.bigquery import datasets, job_calls, table_rows, tables
from klaviyo_assets.sandbox.bigquery.calls import Call, Reply, Server, of_project
from klaviyo_assets.sandbox.bigquery.errors import ApiError, unsupported
from klaviyo_assets.sandbox.bigquery.jobs import error_of
from klaviyo_assets.sandbox.bigquery.uploads import (
    Session,
    Uploads,
    as_job,
    check_place,
    read_content_range,
    split_multipart,
)

Result = TypeVar("Result")
Endpoint = Callable[[Server, Call], Reply]

_BASE = "/bigquery/v2/projects/{project}"
_UPLOAD = "/upload/bigquery/v2/projects/{project}/jobs"
_TABLES = f"{_BASE}/datasets/{{dataset}}/tables"
_THREADS = 64
_HOSTS = ("127.0.0.1", "localhost")
_COMMON = {"prettyPrint", "fields", "alt", "key", "quotaUser"}
_PAGING = {"maxResults", "pageToken"}
_FORMAT = {"formatOptions.useInt64Timestamp", "formatOptions.timestampOutputFormat"}

ENDPOINTS: tuple[tuple[str, str, Endpoint, set[str]], ...] = (
    ("POST", f"{_BASE}/datasets", datasets.insert, set()),
    ("GET", f"{_BASE}/datasets", datasets.list_all, {"all", "filter", *_PAGING}),
    ("GET", f"{_BASE}/datasets/{{dataset}}", datasets.get, {"datasetView"}),
    ("PATCH", f"{_BASE}/datasets/{{dataset}}", datasets.patch, {"updateMode"}),
    ("PUT", f"{_BASE}/datasets/{{dataset}}", datasets.update, {"updateMode"}),
    ("DELETE", f"{_BASE}/datasets/{{dataset}}", datasets.delete, {"deleteContents"}),
    ("POST", _TABLES, tables.insert, set()),
    ("GET", _TABLES, tables.list_all, _PAGING),
    ("GET", f"{_TABLES}/{{table}}", tables.get, {"view"}),
    ("PATCH", f"{_TABLES}/{{table}}", tables.patch, set()),
    ("PUT", f"{_TABLES}/{{table}}", tables.update, set()),
    ("DELETE", f"{_TABLES}/{{table}}", tables.delete, set()),
    (
        "GET",
        f"{_TABLES}/{{table}}/data",
        table_rows.list_rows,
        {"selectedFields", "startIndex", *_PAGING, *_FORMAT},
    ),
    ("POST", f"{_BASE}/jobs", job_calls.insert, set()),
    (
        "GET",
        f"{_BASE}/jobs",
        job_calls.list_all,
        {"allUsers", "projection", "stateFilter", "minCreationTime", "maxCreationTime", "parentJobId", *_PAGING},
    ),
    # `projection` is sent by the client, though Google's own description of jobs.get does not know it.
    ("GET", f"{_BASE}/jobs/{{job}}", job_calls.get, {"location", "projection"}),
    ("POST", f"{_BASE}/jobs/{{job}}/cancel", job_calls.cancel, {"location", "projection"}),
    (
        "GET",
        f"{_BASE}/queries/{{job}}",
        job_calls.query_results,
        {"location", "timeoutMs", "startIndex", *_PAGING, *_FORMAT},
    ),
    ("POST", f"{_BASE}/queries", job_calls.query, set()),
)
"""Method, path, function, and the query parameters that it understands."""


def build_app(server: Server, token: str, identity: dict[str, str]) -> Starlette:
    """Build the web application.

    Args:
        server: What the endpoints work on.
        token: The bearer token that every call but /health has to bring.
        identity: What /health answers, by which a supervisor knows its own server.
    """
    desk = _Desk(server, token)
    routes = [
        Route(path, functools.partial(desk.answer, endpoint, parameter_names), methods=[method])
        for method, path, endpoint, parameter_names in ENDPOINTS
    ]
    uploading = [
        Route(_UPLOAD, desk.upload, methods=["POST"]),
        Route(_UPLOAD, desk.upload_chunk, methods=["PUT"]),
    ]
    health = Route("/health", functools.partial(_health, identity))
    fallback = Route("/{path:path}", desk.refuse, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return Starlette(routes=[health, *uploading, *routes, fallback])


class _Desk:
    """Takes requests in and hands answers out."""

    def __init__(self, server: Server, token: str) -> None:
        self._server, self._token = server, token
        self._uploads = Uploads(server.uploads)
        self._limiter: CapacityLimiter | None = None

    async def answer(self, endpoint: Endpoint, parameter_names: set[str], request: Request) -> Response:
        """Answer a call whose body is JSON or nothing."""

        async def work() -> Reply:
            self._admit(request, parameter_names)
            call = Call(request.path_params, request.query_params, request.headers, as_job(await request.body()))
            return await self._in_thread(endpoint, self._server, call)

        return await _guarded(request, work)

    async def upload(self, request: Request) -> Response:
        """Take a load job with its file (multipart), or begin a resumable upload."""

        async def work() -> Reply:
            self._admit(request, {"uploadType"})
            kind = request.query_params.get("uploadType")
            body = await request.body()
            if kind == "multipart":
                job, content = split_multipart(request.headers.get("content-type", ""), body)
                file = self._uploads.new_file()
                await anyio.Path(file).write_bytes(content)
                return await self._in_thread(job_calls.load, self._server, job, file)
            if kind == "resumable":
                job = as_job(body)
                await self._in_thread(job_calls.check_load, self._server, job)
                where = f"{request.url.replace(query='')}?uploadType=resumable&upload_id={self._uploads.start(job)}"
                return Reply({}, headers={"Location": where})
            raise unsupported(f"uploadType {kind}")

        return await _guarded(request, work)

    async def upload_chunk(self, request: Request) -> Response:
        """Take the next bytes of a resumable upload, and start its job after the last ones."""

        async def work() -> Reply:
            self._admit(request, {"uploadType", "upload_id"})
            identifier = request.query_params.get("upload_id", "")
            session = self._uploads.session(identifier)
            chunk = read_content_range(request.headers.get("content-range"))
            check_place(session, chunk)
            await _append(session, request)
            if chunk.total is None or session.received_bytes < chunk.total:
                # 308 without a Range header says that nothing has arrived.
                headers = {"Range": f"bytes=0-{session.received_bytes - 1}"} if session.received_bytes else {}
                return Reply(status=308, headers=headers)
            self._uploads.finish(identifier)
            return await self._in_thread(job_calls.load, self._server, session.job, session.file)

        return await _guarded(request, work)

    async def refuse(self, request: Request) -> Response:
        """Refuse a call that the stand-in does not offer."""

        async def work() -> Reply:
            self._admit(request, set(request.query_params))
            raise unsupported(f"{request.method} {request.url.path}")

        return await _guarded(request, work)

    def _admit(self, request: Request, parameter_names: set[str]) -> None:
        _check_host(request)
        credentials = request.headers.get("authorization", "")
        if not hmac.compare_digest(credentials.encode(), f"Bearer {self._token}".encode()):
            raise ApiError(401, "authError", "Invalid Credentials: the local stand-in wants its own bearer token")
        if "project" in request.path_params:
            of_project(self._server, request.path_params["project"])
        unknown = sorted(set(request.query_params) - parameter_names - _COMMON)
        if unknown:
            raise unsupported(f"the query parameter {', '.join(unknown)} of {request.method} {request.url.path}")

    async def _in_thread(self, function: Callable[..., Result], *values: Any) -> Result:
        if self._limiter is None:
            self._limiter = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(function, *values, limiter=self._limiter)


async def _append(session: Session, request: Request) -> None:
    async with await anyio.open_file(session.file, "ab") as file:
        async for piece in request.stream():
            await file.write(piece)
            session.received_bytes += len(piece)


async def _guarded(request: Request, work: Callable[[], Any]) -> Response:
    try:
        reply = await work()
    except Exception as fault:  # noqa: BLE001 - a 5xx would make the client retry for ten minutes
        error = error_of(fault)
        reply = Reply(error.body(), error.code)
    return _respond(request, reply)


def _respond(request: Request, reply: Reply) -> Response:
    headers = dict(reply.headers)
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    body = reply.body
    field_mask = request.query_params.get("fields")
    if field_mask and reply.status == HTTPStatus.OK:
        # Only whole top-level fields are left out; nested fields stay.
        names = {name.partition("(")[0].partition("/")[0] for name in field_mask.split(",")}
        body = {name: value for name, value in body.items() if name in names}
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, reply.status, headers, "application/json")


def _check_host(request: Request) -> None:
    # A web page whose host name resolves to 127.0.0.1 could reach us; its requests carry that host name.
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    if host not in _HOSTS:
        raise ApiError(403, "accessDenied", f"Host {host!r} is not this server: use 127.0.0.1 or localhost")


async def _health(identity: dict[str, str], request: Request) -> Response:
    async def work() -> Reply:
        _check_host(request)
        return Reply(dict(identity))

    return await _guarded(request, work)
