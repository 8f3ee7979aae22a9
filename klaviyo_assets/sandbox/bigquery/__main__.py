"""Run the stand-in: `python -m klaviyo_assets.sandbox.bigquery --port P --data FOLDER --project local`.

Here: the command line and the life of the process. The bearer token comes in the environment
variable KLAVIYO_SANDBOX_BIGQUERY_TOKEN, since a command line can be read by every user of the machine.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from klaviyo_assets.sandbox.bigquery import catalog, jobs
from klaviyo_assets.sandbox.bigquery.app import build_app
from klaviyo_assets.sandbox.bigquery.calls import Server
from klaviyo_assets.sandbox.bigquery.errors import StartError
from klaviyo_assets.sandbox.bigquery.jobs import Jobs
from klaviyo_assets.sandbox.bigquery.results import ResultFiles
from klaviyo_assets.sandbox.bigquery.store import Store, TableLocks

TOKEN_VARIABLE = "KLAVIYO_SANDBOX_BIGQUERY_TOKEN"  # noqa: S105 - the name of a variable, not its value

_END = (signal.SIGTERM, signal.SIGINT)
_LAST_REQUESTS_SECONDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after an orderly end, 1 when it could not start.
    """
    options = _options(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return _serve(options, _token())
    except StartError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets.sandbox.bigquery", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database, made when missing")
    parser.add_argument("--project", default="local", help="the only project it has")
    parser.add_argument("--location", default="US", help="of datasets and jobs that name none")
    parser.add_argument("--poll", action="store_true", help="answer RUNNING first, to put polling to the test")
    return parser.parse_args(arguments)


def _token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise StartError(f"cannot start the BigQuery stand-in: set {TOKEN_VARIABLE} to a random text")
    return token


def _serve(options: argparse.Namespace, token: str) -> int:
    server = _open(options)
    identity = {"service": "bigquery", "data": str(options.data.resolve()), "project": options.project}
    config = uvicorn.Config(
        build_app(server, token, identity),
        host="127.0.0.1",
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )
    web = _Web(config, server.jobs)
    try:
        web.run()
    finally:
        server.jobs.close()
        server.store.close()
    return 0 if web.started else 1


class _Web(uvicorn.Server):
    """A server that returns after SIGTERM; uvicorn's own raises the signal again, which would skip the clean-up."""

    def __init__(self, config: uvicorn.Config, running: Jobs) -> None:
        super().__init__(config)
        self._running = running

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the serving; requests that wait for a job get its end at once."""
        self._running.stop()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the serving on the signals that ask for it."""
        former_handlers = {number: signal.signal(number, self.handle_exit) for number in _END}
        try:
            yield
        finally:
            for number, handler in former_handlers.items():
                signal.signal(number, handler)


def _open(options: argparse.Namespace) -> Server:
    folder = options.data.resolve()
    store, locks = Store(folder / "bigquery.duckdb"), TableLocks()
    with store.transaction() as cursor:
        for statement in (*catalog.SET_UP, *jobs.SET_UP):
            cursor.execute(statement)
    return Server(
        options.project,
        options.location,
        f"http://127.0.0.1:{options.port}/bigquery/v2",
        store,
        locks,
        Jobs(store, locks, options.project, poll=options.poll),
        ResultFiles(folder / "results"),
        folder / "uploads",
    )


if __name__ == "__main__":
    sys.exit(main())
