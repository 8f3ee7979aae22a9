"""Runs the Fivetran stand-in: `python -m klaviyo_assets.sandbox.fivetran --port P --state FOLDER`.

Here: options, environment, the process. Credentials come from the environment, never from options:
KLAVIYO_SANDBOX_POSTGRES_URL, FIVETRAN_API_KEY, FIVETRAN_API_SECRET.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn

from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError
from klaviyo_assets.sandbox.fivetran.accounts_file import add_missing_accounts
from klaviyo_assets.sandbox.fivetran.books import Books
from klaviyo_assets.sandbox.fivetran.clock import Clock
from klaviyo_assets.sandbox.fivetran.server import build_app
from klaviyo_assets.sandbox.fivetran.shop import profile, profiles
from klaviyo_assets.sandbox.fivetran.syncs import Syncer


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        syncer = build_syncer(options, os.environ)
        key, secret = (_required(os.environ, f"FIVETRAN_API_{part}") for part in ("KEY", "SECRET"))
    except KlaviyoAssetsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the process' own last word
        return 2
    uvicorn.run(
        build_app(syncer, key, secret), host="127.0.0.1", port=options.port, log_level="warning", access_log=False
    )
    syncer.books.close()
    return 0


def build_syncer(options: argparse.Namespace, environment: Mapping[str, str]) -> Syncer:
    """Open the books, record the accounts, and write the accounts file if one is asked for."""
    postgres_url = _required(environment, "KLAVIYO_SANDBOX_POSTGRES_URL")
    books = Books(options.state / "fivetran.sqlite")
    offset = (options.now - datetime.now(UTC)) if options.now else timedelta(0)
    clock = Clock(books.clock_offset(offset), books.set_clock_offset)
    for position, shop in enumerate(profiles(options.accounts)):
        today = clock.now().astimezone(ZoneInfo(shop.timezone)).date()
        start = today - timedelta(days=options.days)
        books.open_connection(
            shop.connection_id,
            position,
            options.seed,
            options.events_per_day,
            start,
            options.people,
            clock.now(),
        )
    syncer = Syncer(books, clock, postgres_url, options.sync_seconds, not options.no_indexes, options.sync_every)
    if options.accounts_file:
        shops = [(profile(r.position), syncer.shop(r).conversion_metric, r.start) for r in books.connections()]
        add_missing_accounts(options.accounts_file, shops)
    return syncer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="klaviyo_assets.sandbox.fivetran", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, required=True, help="port on 127.0.0.1")
    add("--state", type=Path, required=True, help="folder of the books")
    add("--accounts", type=int, default=2, help="how many simulated accounts; more can be added later")
    add("--events-per-day", type=float, default=400, help="about how many events an account has a day")
    add("--days", type=int, default=45, help="how many days of history the first sync brings")
    add("--seed", type=int, default=7, help="another seed is another set of shops")
    add("--people", type=int, help="persons of an account at its start; default in proportion to the events")
    add("--now", type=_time, help="the shop's time at the very first start (ISO 8601); default the real one")
    add("--sync-seconds", type=float, default=1.0, help="how long a sync takes at least")
    add("--sync-every", type=float, help="seconds between syncs that start by themselves; default none do")
    add("--accounts-file", type=Path, help="accounts.toml to which missing accounts are added")
    add("--no-indexes", action="store_true", help="create no indexes but primary keys, as Fivetran does")
    return parser


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(
            f"cannot start the Fivetran stand-in: {name} is not set",
            "Start it with `klaviyo-assets sandbox start`, which sets it.",
        )
    return value


if __name__ == "__main__":
    sys.exit(main())
