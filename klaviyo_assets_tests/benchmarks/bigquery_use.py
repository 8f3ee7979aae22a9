"""What one first load and one daily run use of BigQuery's quotas: jobs, changes per table, requests per method.

Here: counting them at Google's client, on local servers. Not here: the limits themselves (docs/scale.md).

`python -m klaviyo_assets_tests.benchmarks.bigquery_use --days 1826 --events-per-day 5`
"""

import argparse
import contextlib
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import requests
from google.cloud import bigquery
from psycopg import sql
from typer.testing import CliRunner

from klaviyo_assets.accounts import Account, read_accounts_file
from klaviyo_assets.cli.main import app
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.lifecycle import known_state
from klaviyo_assets.sandbox.postgres import writer_url
from klaviyo_assets_tests.benchmarks.__main__ import sandbox, timed

_ADDRESS = re.compile(r"/bigquery/v2/projects/[^/]+/(\w+)(/[^/?]+)?(?:/(\w+))?(/[^/?]+)?(?:/(\w+))?")
_CHANGES = re.compile(r"^\s*(MERGE|DELETE FROM|UPDATE|CREATE OR REPLACE (?:VIEW|TABLE))\s+(?:INTO\s+)?([`\w.-]+)")


@dataclass
class Use:
    """What a stretch of work used."""

    requests: Counter[str] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    loads: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    queries: int = 0
    longest: int = 0

    def request(self, method: str, address: str) -> None:
        """Count one request, by method and resource."""
        match = _ADDRESS.search(address)
        if match:
            self.seconds[int(time.time())] += 1
            kind = "/".join(part for part in (match[1], match[3], match[5]) if part)
            self.requests[f"{method} {kind}{'/{id}' if (match[4] if match[3] else match[2]) else ''}"] += 1

    def job(self, job: Any) -> None:
        """Count one job, and the table that it changed."""
        at = job.started.timestamp()
        if isinstance(job, bigquery.LoadJob):
            self.loads[job.destination.table_id.partition("$")[0]].append(at)
            return
        self.queries += 1
        self.longest = max(self.longest, len(job.query))
        changed = _CHANGES.match(job.query)
        if changed:
            kind = "view" if "VIEW" in changed[1] else "DML"
            self.statements[f"{kind} {changed[2].strip('`').rpartition('.')[2]}"].append(at)

    def table(self) -> Iterator[str]:
        """The figures, a line each."""
        yield f"load jobs in all: {sum(map(len, self.loads.values())):,}; query jobs in all: {self.queries:,}"
        yield f"longest statement: {self.longest:,} characters"
        yield f"requests: {self.requests.total():,}, at most {max(self.seconds.values(), default=0)} in a second"
        yield from (f"  {count:7,}  {name}" for name, count in self.requests.most_common(8))
        groups = defaultdict(list)
        for name, times in (self.loads | self.statements).items():
            groups["load _staging_…" if name.startswith("_staging") else name].append(times)
        yield f"{'changes':>9} {'in 10 s':>8}  table"
        for name, lists in sorted(groups.items(), key=lambda group: -max(map(len, group[1])))[:12]:
            yield f"{max(map(len, lists)):9,} {max(map(_busiest, lists)):8,}  {name}"


def _busiest(times: list[float]) -> int:
    return max(sum(1 for other in times if at <= other < at + 10) for at in times)


def used(client: bigquery.Client, seen: set[str]) -> Use:
    """Run everything that is due, in this process, and count."""
    use, send = Use(), requests.Session.send

    def counted(session: Any, request: Any, **options: Any) -> Any:
        use.request(request.method, request.url)
        return send(session, request, **options)

    with patch.object(requests.Session, "send", counted):
        done = CliRunner().invoke(app, ["run", "--no-sync"])
    assert done.exit_code == 0, done.output
    for job in client.list_jobs():
        if job.job_id not in seen:
            seen.add(job.job_id)
            use.job(job)
    return use


def change(folder: Path, account: Account, days: int) -> None:
    """Write all events of the last days again, as a sync of late changes does."""
    update = sql.SQL("UPDATE {event} SET _fivetran_synced = now() WHERE datetime >= current_date - {days}").format(
        event=sql.Identifier(account.postgres_schema, "event"), days=days - 1
    )
    with psycopg.connect(writer_url(known_state(Folder(folder / ".sandbox"))), autocommit=True) as connection:
        connection.execute(update)


def main() -> None:
    """Read the sizes from the command line, and measure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--events-per-day", type=int, default=50)
    parser.add_argument("--changed-days", type=int, default=7)
    chosen = parser.parse_args()
    with sandbox(chosen.events_per_day, chosen.days) as (folder, settings), contextlib.chdir(folder):
        os.environ |= settings
        timed(["sync"], folder, settings)
        account = next(iter(read_accounts_file(Path(settings["KLAVIYO_ACCOUNTS_FILE"])).by_name.values()))
        client = BigQueryProjectResource(project=settings["BIGQUERY_PROJECT"]).dataset(account).client
        seen: set[str] = set()
        for name in (f"first load of {chosen.days} days", f"run after it, {chosen.changed_days} days changed"):
            began = time.monotonic()
            use = used(client, seen)
            print(f"\n{name} ({time.monotonic() - began:.0f} s here)", *use.table(), sep="\n", flush=True)
            change(folder, account, chosen.changed_days)


if __name__ == "__main__":
    main()
