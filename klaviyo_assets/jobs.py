"""The jobs: one per partitions definition and purpose, for schedules, sensors and the launchpad.

Here: which assets a job holds. Not here: when it runs (`schedules.py`, `sensors.py`).
"""

from typing import Any

import dagster as dg

_STAGES = ("extracted", "mapped", "s3_archive", "bigquery")


def build_jobs(daily_tables: list[str], account_tables: list[str], reports: list[str]) -> list[Any]:
    """`dimensions` (account tables), `events` (daily tables) and `reports`, each through all its stages."""
    events = dg.AssetSelection.assets(*(
        [stage, table] for stage in _STAGES for table in daily_tables if (stage, table) != ("extracted", "attribution")
    ))  # fmt: skip
    dimensions = dg.AssetSelection.assets(*([stage, table] for stage in _STAGES for table in account_tables))
    jobs = [
        dg.define_asset_job("dimensions", dimensions, description="Every account table of an account, to BigQuery."),
        dg.define_asset_job("events", events, description="Days of events and their attribution, to BigQuery."),
    ]
    if reports:
        jobs.append(
            dg.define_asset_job(
                "reports",
                dg.AssetSelection.assets(*(["report", report] for report in reports)),
                description="Restate the report rows that newly loaded days changed.",
            )
        )
    return jobs
