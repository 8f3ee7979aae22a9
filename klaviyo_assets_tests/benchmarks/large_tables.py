"""What a sync that changed few of many people costs, stage by stage, on the local servers.

Here: measuring for docs/decisions/0010. Not here: assertions.

`python -m klaviyo_assets_tests.benchmarks.large_tables --people 1000000 --changed 1000`
"""

import argparse
import logging
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from klaviyo_assets_tests.integration.deployment import STAGES, Deployment, Sandbox

CREATE = """
    DROP TABLE IF EXISTS {0}.person;
    CREATE TABLE {0}.person (id text PRIMARY KEY, email text, first_name text, last_name text, phone_number text,
        city text, region text, country text, timezone text, created timestamptz, updated timestamptz,
        predictive_analytics_total_clv numeric, subscriptions_email_marketing_consent text, custom_shoe_size text,
        custom_favorite_color text, _fivetran_deleted boolean, _fivetran_synced timestamptz);
    INSERT INTO {0}.person SELECT '01HX' || lpad(i::text, 22, '0'), 'a' || i || '@example.com', 'Ann' || mod(i, 97),
        'Smith' || mod(i, 9973), '+1555' || lpad(mod(i, 10000000)::text, 7, '0'), 'City' || mod(i, 500),
        'R' || mod(i, 50), 'United States', 'America/New_York', '2025-01-01'::timestamptz + i * interval '1 second',
        '2026-01-01'::timestamptz, mod(i, 10000) / 100.0, 'SUBSCRIBED', '4' || mod(i, 10), 'blue', false,
        '2026-01-01'::timestamptz FROM generate_series(1, %s) AS i;
    ANALYZE {0}.person
"""
# Scattered over the table, as people who open an email are.
CHANGE = """
    UPDATE {0}.person SET city = 'Elsewhere', updated = now(), _fivetran_synced = '2026-01-02'
    WHERE mod(right(id, 22)::bigint, %s) = 0
"""


def load(deployment: Deployment) -> None:
    """Run person through the stages, and print what each took, read and wrote."""
    keys = [dg.AssetKey([stage, "person"]) for stage in STAGES]
    began = time.monotonic()
    outcome = deployment._execute(keys, partition_key=deployment.account.name)
    if outcome.failures:
        raise SystemExit("\n".join(outcome.failures))
    print(f"  {'together':12}{time.monotonic() - began:8.1f} s")
    seconds = step_seconds(deployment)
    for stage, step in zip(STAGES, ("extract", "map", "archive", "load"), strict=True):
        told = metadata(deployment, stage)
        rows, size = told.get("rows_changed", told["dagster/partition_row_count"]), told.get("bytes")
        read = f"{told['mode']}, {rows:,} rows" + (f", {size:,} bytes" if size else "")
        print(f"  {stage:12}{seconds[f'{step}_tables']:8.1f} s  {read}")
    print(f"  why: {metadata(deployment, 'extracted')['why']}")


def step_seconds(deployment: Deployment) -> dict[str, float]:
    """Seconds of each step of the newest run."""
    (run,) = deployment.instance.get_run_records(limit=1)
    step_stats = deployment.instance.get_run_step_stats(run.dagster_run.run_id)
    return {step.step_key: (step.end_time or 0) - (step.start_time or 0) for step in step_stats}


def metadata(deployment: Deployment, stage: str) -> Mapping[str, Any]:
    """What the newest materialization says."""
    event = deployment.instance.get_latest_materialization_event(dg.AssetKey([stage, "person"]))
    if event is None or event.asset_materialization is None:
        raise SystemExit(f"{stage}/person was not materialized")
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def measure(people: int, changed: int) -> None:
    """Print a whole load, a load of what changed, and one of nothing."""
    logging.disable(logging.WARNING)
    sandbox = Sandbox.begin()
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            deployment = Deployment(sandbox, sandbox.copy_account("acme", "large", last_days=0), instance)
            for statement in CREATE.split(";"):
                deployment.raw(statement, [people] if "%s" in statement else [])
            print(f"{people:,} people, nothing loaded")
            load(deployment)
            deployment.raw(CHANGE, [people // changed])
            print(f"{changed:,} changed")
            load(deployment)
            print("nothing changed")
            load(deployment)
    finally:
        sandbox.end()


def main() -> None:
    """Read the size from the command line, and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m klaviyo_assets_tests.benchmarks.large_tables", description=main.__doc__
    )
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=1_000)
    chosen = parser.parse_args()
    measure(chosen.people, chosen.changed)


if __name__ == "__main__":
    main()
