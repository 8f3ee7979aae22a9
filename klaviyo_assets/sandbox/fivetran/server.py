"""The web application: routes, authentication, errors, faults, put together.

Here: assembly. Not here: options and the process (`__main__`).
"""

import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from klaviyo_assets.sandbox.fivetran.admin import Admin
from klaviyo_assets.sandbox.fivetran.api import Api
from klaviyo_assets.sandbox.fivetran.envelope import ApiError, failure
from klaviyo_assets.sandbox.fivetran.faults import Faults
from klaviyo_assets.sandbox.fivetran.klaviyo import PREFIX, Klaviyo
from klaviyo_assets.sandbox.fivetran.syncs import Syncer


def build_app(syncer: Syncer, api_key: str, api_secret: str) -> ASGIApp:
    """The stand-in as an ASGI application; it opens the syncer on start and closes it on stop."""
    faults = Faults(_nothing)
    api = Api(syncer)
    admin = Admin(syncer, faults, api)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(syncer.open)
        yield
        await run_in_threadpool(syncer.close)

    app = Starlette(
        routes=[Route("/health", _health), *api.routes(), *admin.routes(), *Klaviyo(syncer, api_secret).routes()],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
        lifespan=life,
    )
    faults.answer_with(BasicAuth(app, api_key, api_secret))
    return faults


class BasicAuth:
    """Admits requests with key and secret; `/health` is open to all, and Klaviyo's API has its own keys."""

    def __init__(self, app: ASGIApp, api_key: str, api_secret: str) -> None:
        self._app, self._login = app, f"{api_key}:{api_secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or answer 401."""
        is_open = scope["type"] != "http" or scope["path"] == "/health" or scope["path"].startswith(f"{PREFIX}/")
        if is_open or self._knows(Request(scope)):
            await self._app(scope, receive, send)
            return
        error = ApiError(401, "Unauthorized", "Authorization is missing, or key and secret do not match")
        await failure(error)(scope, receive, send)

    def _knows(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        try:
            login = base64.b64decode(credentials, validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(login, self._login)


def _health(_: Request) -> Response:
    return JSONResponse({"service": "fivetran"})


def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  # Starlette calls this for ApiError alone
    return failure(error)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "NotFound", 405: "MethodNotAllowed"}.get(status, "InvalidInput")
    return failure(ApiError(status, code, f"{request.method} {request.url.path} is not part of the stand-in"))


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """The application behind the faults until the real one is set."""
