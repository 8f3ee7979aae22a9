"""moto's HTTP server, with a health check that requires our token.

Here: wrapping and serving moto's WSGI application. Run as a module, it is the S3 server of machines without SeaweedFS.
Not here: keeping sent mail (`mail`).
"""

import argparse
import hmac
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from klaviyo_assets.sandbox.ports import LOCALHOST

TOKEN_VARIABLE = "KLAVIYO_SANDBOX_TOKEN"  # noqa: S105 - the name of the variable
WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def moto_application() -> WsgiApplication:
    """The application of moto, for every service it has."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    application: WsgiApplication = DomainDispatcherApplication(create_backend_app)
    return application


def with_health(application: WsgiApplication, token: str) -> WsgiApplication:
    """Wrap the application: `GET /health` answers ok with our token and is refused with any other."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/health":
            return application(environ, start_response)
        is_known = hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", ""), f"Bearer {token}")
        start_response("200 OK" if is_known else "401 Unauthorized", [("Content-Type", "application/json")])
        return [b'{"status": "ok"}' if is_known else b'{"status": "unknown token"}']

    return answer


def serve(application: WsgiApplication, port: int) -> None:
    """Serve on 127.0.0.1 until the process is ended."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    # Request lines would put mail addresses into the log.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_server(LOCALHOST, port, application, threaded=True, request_handler=MotoRequestHandler).serve_forever()


def main() -> None:
    """Serve moto alone."""
    parser = argparse.ArgumentParser(description="S3 in memory, for the sandbox.")
    parser.add_argument("--port", type=int, required=True)
    serve(with_health(moto_application(), os.environ[TOKEN_VARIABLE]), parser.parse_args().port)


if __name__ == "__main__":
    main()
