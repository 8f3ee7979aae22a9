"""What a sync of many late changes costs: 20,000 changed events over 30 days of an account of 1,000,000.

Here: measuring from the end of the sync until the reports are right, on local servers. Not here: assertions.

`python -m klaviyo_assets_tests.benchmarks.late_changes --events 1000000 --changed 20000`
"""

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from klaviyo_assets.accounts import Account, read_accounts_file
from klaviyo_assets.destinations.bigquery.ledger import current
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.lifecycle import known_state
from klaviyo_assets.sandbox.postgres import writer_url
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.stages.looks import Look
from klaviyo_assets.stages.planning import Plan, plan
from klaviyo_assets_tests.benchmarks.__main__ import sandbox, timed

DAYS, OVER = 120, 30


def looked(account: Account, settings: dict[str, str], seen: Look | None) -> tuple[float, Plan]:
    """Seconds that a look took, and what it found."""
    began = time.monotonic()
    entries = current(BigQueryProjectResource(project=settings["BIGQUERY_PROJECT"]).dataset(account))
    with PostgresResource(url=settings["POSTGRES_URL"]).snapshot() as snapshot:
        dirty_plan = plan(AccountSource.open(account, snapshot), entries, account.start_date, account.today(), seen)
    return time.monotonic() - began, dirty_plan


def change(folder: Path, account: Account, changed: int) -> int:
    """Events of the days before the last five are written again, spread evenly, as one sync does."""
    url = writer_url(known_state(Folder(folder / ".sandbox")))
    first = datetime.now(UTC) - timedelta(days=OVER + 5)
    update = sql.SQL(
        "UPDATE {table} SET _fivetran_synced = %s WHERE id IN (SELECT id FROM {table} WHERE datetime >= %s AND "
        "datetime < %s ORDER BY md5(id) LIMIT %s)"
    ).format(table=sql.Identifier(account.postgres_schema, "event"))
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(update, [datetime.now(UTC), first, first + timedelta(days=OVER), changed]).rowcount


def main() -> None:
    """Read the sizes from the command line, and measure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=20_000)
    chosen = parser.parse_args()
    with sandbox(chosen.events // DAYS, DAYS) as (folder, settings):
        os.environ |= settings
        account = next(iter(read_accounts_file(Path(settings["KLAVIYO_ACCOUNTS_FILE"])).by_name.values()))
        print(f"sync                      {timed(['sync'], folder, settings)[0]:8.1f} s", flush=True)
        print(f"first load, {DAYS} days     {timed(['run', '--no-sync'], folder, settings)[0]:8.1f} s", flush=True)
        seen = looked(account, settings, None)[1].look
        rows = change(folder, account, chosen.changed)
        began = time.monotonic()
        for name, since in (("look since the last", seen), ("look at all days", None)):
            seconds, dirty_plan = looked(account, settings, since)
            events = [day for day in dirty_plan.days if not day.only_attribution]
            of_days = f"{len(events)} days of events, {len(dirty_plan.days) - len(events)} of attribution alone"
            print(
                f"{name:<26}{seconds:8.1f} s  {rows:,} events: {of_days}, {len(dirty_plan.tables)} account tables",
                flush=True,
            )
        looks = time.monotonic() - began
        seconds, _ = timed(["run", "--no-sync"], folder, settings)
        print(f"until reports are right   {seconds:8.1f} s, its own look included ({looks:.1f} s of looks before)")
        print(f"nothing left              {looked(account, settings, None)[1].days == ()}")


if __name__ == "__main__":
    main()
