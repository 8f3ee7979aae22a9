"""What each index on `event` is worth: the product's own reads on simulated events, with and without it.

Here: measuring for docs/postgres_indexes.md. Not here: assertions.

`python -m klaviyo_assets_tests.benchmarks.postgres_indexes --events 1000000 --explain plans.txt`
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from klaviyo_assets.accounts import Account, AttributionSettings
from klaviyo_assets.frames.store import FrameWriter
from klaviyo_assets.resources.postgres.resource import PostgresResource, Snapshot
from klaviyo_assets.sandbox.fivetran.shop import Shop, profile
from klaviyo_assets.sandbox.fivetran.writer import write_sync
from klaviyo_assets.source.catalog import SourceCatalog
from klaviyo_assets.source.days import source_days
from klaviyo_assets.source.extraction import AccountSource, extract_day
from klaviyo_assets.source.touches import TouchReader, Wanted
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

NOW = datetime(2026, 10, 2, 12, tzinfo=UTC)
DAYS, LATER_SYNCS = 180, 10
SCHEMA = profile(0).schema
INDEXES = {
    "synced": "brin (_fivetran_synced)",  # codespell:ignore brin
    "synced_btree": "btree (_fivetran_synced)",
    "datetime": "btree (datetime)",
    "timestamp": 'btree ("timestamp")',
    "person": "btree (person_id)",
    "person_metric_datetime": "btree (person_id, metric_id, datetime)",
}
SETS: dict[str, tuple[str, ...]] = {
    "primary key only": (),
    "recommended": ("synced", "datetime"),
    "B-tree instead of BRIN": ("synced_btree", "datetime"),
    "and timestamp": ("synced", "datetime", "timestamp"),
    "and person": ("synced", "datetime", "person"),
    "and person, metric, datetime": ("synced", "datetime", "person_metric_datetime"),
}
_TIMES = 3


class Recording(Snapshot):
    """A snapshot that remembers its queries."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.queries: list[tuple[float, str]] = []

    def read(self, query: sql.Composable) -> Any:
        began = time.perf_counter()
        table = super().read(query)
        self.queries.append((time.perf_counter() - began, query.as_string(None)))
        return table

    @contextmanager
    def stream(self, query: sql.Composable) -> Iterator[Any]:
        began = time.perf_counter()
        with super().stream(query) as batches:
            yield batches
        self.queries.append((time.perf_counter() - began, query.as_string(None)))


def fill(url: str, events: int) -> None:
    """A shop's history by one sync, and some daily ones after it: late events, and stamps that differ."""
    first = NOW - timedelta(days=LATER_SYNCS)
    shop = Shop(profile(0), 7, events / DAYS, NOW.date() - timedelta(days=DAYS))
    with psycopg.connect(url) as connection:
        write_sync(connection, shop, until=first)
        for number in range(1, LATER_SYNCS + 1):
            until = first + timedelta(days=number)
            write_sync(connection, shop, until=until, since=until - timedelta(days=1))
        connection.commit()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(SCHEMA, "event")))


def first_row(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()


def index(url: str, names: Sequence[str]) -> dict[str, tuple[float, str]]:
    """Exactly these indexes besides the primary key; seconds to make and size of each."""
    costs = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for name in INDEXES:
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(SCHEMA, f"bench_{name}")))
        for name in names:
            began = time.perf_counter()
            connection.execute(f'CREATE INDEX "bench_{name}" ON "{SCHEMA}".event USING {INDEXES[name]}')
            size = connection.execute(f"SELECT pg_size_pretty(pg_relation_size('{SCHEMA}.bench_{name}'))").fetchone()
            costs[name] = (time.perf_counter() - began, size[0])
        connection.execute(f'ANALYZE "{SCHEMA}".event')
    return costs


def reads(account: Account, day: date) -> dict[str, Callable[[Snapshot], Any]]:
    """The product's reads by name."""

    def opened(snapshot: Snapshot, source: str = "native") -> AccountSource:
        chosen = replace(account, attribution=AttributionSettings(source))
        return AccountSource(chosen, snapshot, SourceCatalog.read(snapshot, SCHEMA).tables, attribution_source=source)

    def extracted(snapshot: Snapshot, source: str) -> Any:
        account_source = opened(snapshot, source)
        account_source.metrics = account_source._metrics()
        with tempfile.TemporaryDirectory() as folder:
            writer = FrameWriter(Path(folder))
            return extract_day(account_source, day, writer).sha256

    def receipts(snapshot: Snapshot) -> Any:
        account_source = opened(snapshot)
        reader = TouchReader(snapshot, account_source.table(EVENT), account_source.metrics, account.day_bounds(day))
        of_day = sql.SQL("SELECT DISTINCT person_id FROM {} WHERE datetime >= {} AND person_id IS NOT NULL LIMIT 100")
        people = snapshot.read(of_day.format(sql.Identifier(SCHEMA, "event"), sql.Literal(account.day_bounds(day)[0])))
        wanted = [Wanted(person, None, None, None) for person in people["person_id"].to_pylist()]
        return sum(batch.num_rows for batch in reader.receipts(wanted))

    def changed(snapshot: Snapshot) -> Any:
        since = sql.Literal(NOW - timedelta(hours=2))
        return snapshot.read(
            sql.SQL("SELECT DISTINCT (t.datetime AT TIME ZONE 'UTC')::date AS day FROM {} AS t "
                    "WHERE t._fivetran_synced >= {}").format(sql.Identifier(SCHEMA, "event"), since)
        ).num_rows  # fmt: skip

    return {
        "open the account": lambda snapshot: AccountSource.open(account, snapshot).data_through,
        "days a sync changed": changed,
        "digest of one day": lambda snapshot: opened(snapshot).digests([day]),
        "digests of every day": lambda snapshot: len(source_days(opened(snapshot), account.start_date, NOW.date())),
        "extract a day (native)": lambda snapshot: extracted(snapshot, "native"),
        "receipts of 100 people": receipts,
        "extract a day (touch)": lambda snapshot: extracted(snapshot, "touch"),
    }


def rewritten(url: str) -> tuple[float, int]:
    """Seconds that it takes to write the last day's events again, as a sync does; undone afterwards."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        done = connection.execute(
            sql.SQL("UPDATE {} SET _fivetran_synced = now() WHERE datetime >= %s").format(
                sql.Identifier(SCHEMA, "event")
            ),
            [NOW - timedelta(days=1)],
        )
        seconds = time.perf_counter() - began
        connection.rollback()
        return seconds, done.rowcount


def measure(url: str, account: Account, day: date, explain: Any) -> dict[str, tuple[float, Any]]:
    """The best time of every read, and what it gave."""
    timings = {}
    for name, read in reads(account, day).items():
        times = []
        for _ in range(_TIMES):
            with PostgresResource(url=url).snapshot() as snapshot:
                recording = Recording(snapshot._connection)
                began = time.perf_counter()
                outcome = read(recording)
                times.append(time.perf_counter() - began)
        timings[name] = (min(times), outcome)
        _explain(url, name, recording.queries, explain)
    return timings


def _explain(url: str, name: str, queries: list[tuple[float, str]], target: Any) -> None:
    if target is None:
        return
    with psycopg.connect(url) as connection:
        for seconds, query in queries:
            if "information_schema" in query:
                continue
            target.write(f"\n-- {name}: {seconds:.3f} s\n{query[:1500]}\n")
            for (line,) in connection.execute("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) " + query):
                target.write(f"    {line[:220]}\n")


def main() -> None:
    """Read the size from the command line, and measure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--explain", type=Path, help="write the plans to this file")
    chosen = parser.parse_args()
    account = Account("acme", SCHEMA, timezone=profile(0).timezone, start_date=NOW.date() - timedelta(days=DAYS),
                      conversion_integration="Shopify")  # fmt: skip
    day = NOW.date() - timedelta(days=20)
    with throwaway_postgres() as url, chosen.explain.open("w") if chosen.explain else nullcontext() as explain:
        began = time.perf_counter()
        fill(url, chosen.events)
        count, size = first_row(
            url, f"SELECT count(*), pg_size_pretty(pg_relation_size('{SCHEMA}.event')) FROM {SCHEMA}.event"
        )
        print(f"{count:,} events, {size}, filled in {time.perf_counter() - began:.0f} s", flush=True)
        for title, names in SETS.items():
            indexes = index(url, names)
            if explain:
                explain.write(f"\n\n==== {title}\n")
            print(
                f"\n{title}: "
                + ", ".join(f"{name} {seconds:.1f} s {size}" for name, (seconds, size) in indexes.items())
            )
            for name, (seconds, given) in measure(url, account, day, explain).items():
                print(f"  {name:<24}{seconds * 1000:9.1f} ms  {str(given)[:40]}", flush=True)
            seconds, rows = min(rewritten(url) for _ in range(_TIMES))
            print(f"  {'write a day again':<24}{seconds * 1000:9.1f} ms  {rows:,} rows", flush=True)


if __name__ == "__main__":
    main()
