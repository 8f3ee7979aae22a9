"""Figures for people, by `make bench`: how long loading code takes, and how quick the pipeline is on local servers.

Here: measuring what a user waits for, with the commands a user has. Not here: assertions, and single functions.

`python -m klaviyo_assets_tests.benchmarks --events-per-day 50000 --days 10` takes another size.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from klaviyo_assets.cli.progress import Part, Task

COMMAND = Path(sys.executable).with_name("klaviyo-assets")
_TIMED = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


def import_seconds(module: str, times: int = 5) -> float:
    """The quickest import of a module in processes of their own; the first one may compile."""
    command = [sys.executable, "-c", _TIMED.format(module=module)]
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(times))


def drawing_seconds(times: int = 50) -> float:
    """What a terminal of `run` costs each of the four times a second that it is drawn."""
    task = Task("acme", {name: Part(5_000, 2_500, 10**6, 10**9) for name in ("a", "b", "c", "d")})
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    began = time.perf_counter()
    for _ in range(times):
        console.print(task)
    return (time.perf_counter() - began) / times


def timed(arguments: Sequence[str], folder: Path, settings: Mapping[str, str]) -> tuple[float, str]:
    """Seconds that a command took, and what it printed."""
    began = time.monotonic()
    done = subprocess.run([COMMAND, *arguments], cwd=folder, env=settings, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"klaviyo-assets {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began, done.stdout


@contextmanager
def sandbox(events_per_day: int, days: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """A sandbox with one account in a folder of its own, and its settings; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="klaviyo-bench-") as name:
        folder = Path(name)
        # Run by root, Postgres is another user and has to pass through.
        folder.chmod(0o755)
        kept = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ
        }
        shop = ["--accounts", "1", "--events-per-day", str(events_per_day), "--days", str(days)]
        timed(["sandbox", "start", "--no-dotenv", *shop], folder, kept)
        try:
            yield folder, kept | json.loads(timed(["sandbox", "env", "--json"], folder, kept)[1])
        finally:
            timed(["sandbox", "reset", "--yes"], folder, kept)


def measure(events_per_day: int, days: int) -> None:
    """Print every figure."""
    print(f"import klaviyo_assets.definitions    {import_seconds('klaviyo_assets.definitions'):6.2f} s")
    print(f"import klaviyo_assets.cli.main       {import_seconds('klaviyo_assets.cli.main'):6.2f} s")
    print(f"draw the progress of a run once      {drawing_seconds():6.4f} s")
    with sandbox(events_per_day, days) as (folder, settings):
        print(f"Fivetran sync into Postgres          {timed(['sync'], folder, settings)[0]:6.1f} s")
        seconds, printed = timed(["run", "--no-sync"], folder, settings)
        counted = [
            "query",
            "--format",
            "json",
            "SELECT COUNT(*) AS events, COUNT(DISTINCT occurred_on) AS days FROM event",
        ]
        (counts,) = json.loads(timed(counted, folder, settings)[1])
        print(f"run of everything                    {seconds:6.1f} s", end=": ")
        print(
            f"{counts['events']:,} events of {counts['days']} days, {counts['events'] / seconds:,.0f} events per second"
        )
        print(f"run of nothing new                   {timed(['run', '--no-sync'], folder, settings)[0]:6.1f} s")
    # The table of stages; the statistics of a made-up shop are of no interest here.
    print(printed.partition("newest campaigns")[0].rpartition("\n")[0].rstrip())


def main() -> None:
    """Read the size from the command line, and measure."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets_tests.benchmarks", description=main.__doc__)
    parser.add_argument("--events-per-day", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=10)
    chosen = parser.parse_args()
    measure(chosen.events_per_day, chosen.days)


if __name__ == "__main__":
    main()
