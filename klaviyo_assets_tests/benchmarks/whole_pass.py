"""What a look at every day of an account costs, and what a look since the last sync costs.

Here: the two aggregates of `source/days.py` over events of a realistic width, in a Postgres of its own. The CPU time of
the server's process is given besides the duration, so that a busy machine does not falsify the figure. Not here:
assertions, and what a sync costs from end to end (`late_changes.py`).

`python -m klaviyo_assets_tests.benchmarks.whole_pass --events 1000000`
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from klaviyo_assets.accounts import Account
from klaviyo_assets.resources.postgres.resource import PostgresResource, Snapshot
from klaviyo_assets.source.days import days_synced_since, digests_of, events_between, source_days
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.indexes import RECOMMENDED
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

FIRST, DAYS = date(2024, 1, 1), 730
LATE = datetime(2026, 1, 1, tzinfo=UTC)
CREATE = """
    CREATE SCHEMA k;
    CREATE TABLE k.metric (id text, name text, _fivetran_synced timestamptz);
    INSERT INTO k.metric VALUES ('ord', 'Placed Order', now());
    CREATE TABLE k.event (
        id text PRIMARY KEY, person_id text, metric_id text, type text, datetime timestamptz, timestamp timestamptz,
        campaign_id text, _fivetran_deleted boolean, _fivetran_synced timestamptz, custom_property_fields text
    )
"""
# A hundredth of the events, of the last days, came with the last sync.
FILL = """
    INSERT INTO k.event SELECT md5(n::text), md5((n % 50000)::text), 'ord', 'event', at, at, 'campaign', false,
    CASE WHEN n > {events} * 0.99 THEN timestamptz '2026-01-01' ELSE timestamptz '2025-12-31' END,
    '{{"filler": "' || repeat(md5(n::text), 20) || '"}}'
    FROM (SELECT n, timestamptz '2024-01-01' + n * interval '{days} days' / ({events} + 1) AS at
          FROM generate_series(1, {events}) AS n) AS events
"""


def measured(name: str, snapshot: Snapshot, question: Callable[[], object]) -> None:
    """Ask once, and print the server's CPU seconds and the duration."""
    server = Path(f"/proc/{snapshot.read(sql.SQL('SELECT pg_backend_pid() AS pid')).column('pid')[0]}/stat")
    began, before = time.monotonic(), _ticks(server)
    question()
    ticks = (_ticks(server) - before) / os.sysconf("SC_CLK_TCK")
    print(f"{name:<26}{ticks:8.2f} s of CPU {time.monotonic() - began:8.2f} s", flush=True)


def _ticks(process: Path) -> int:
    return sum(map(int, process.read_text().rpartition(") ")[2].split()[11:13]))


def _since_last(source: AccountSource, last: date) -> None:
    synced = days_synced_since(source, LATE - timedelta(hours=6)) or set()
    digests_of(source, synced)
    events_between(source, FIRST, last)


def main() -> None:
    """Read the size from the command line, and measure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    account, last = Account(name="acme", postgres_schema="k", start_date=FIRST), FIRST + timedelta(days=DAYS)
    with throwaway_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(CREATE)
            connection.execute(FILL.format(events=events, days=DAYS))
            for index in RECOMMENDED:
                connection.execute(index.statement("k"))
            connection.execute("VACUUM ANALYZE k.event")
            # One process each, so that all of the work is seen.
            connection.execute("ALTER SYSTEM SET max_parallel_workers_per_gather = 0")
            connection.execute("SELECT pg_reload_conf()")
            (size,) = connection.execute("SELECT pg_table_size('k.event')").fetchone() or (0,)
        print(f"{events:,} events, {size / 2**20:,.0f} MB, {size / events:,.0f} bytes each", flush=True)
        with PostgresResource(url=url).snapshot() as snapshot:
            source = AccountSource.open(account, snapshot)
            for _ in range(2):
                measured("look at all days", snapshot, lambda: source_days(source, FIRST, last))
                measured("look since the last", snapshot, lambda: _since_last(source, last))


if __name__ == "__main__":
    main()
