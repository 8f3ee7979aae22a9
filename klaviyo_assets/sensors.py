"""What starts runs when something happened: reports after loads.

Here: the sensors. Not here: what jobs do, and which days are dirty (`planning.py`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg


def build_sensors(accounts: list[str], reports: Any) -> list[dg.SensorDefinition]:
    """`reports_after_loads`: when a run that loaded into BigQuery ends, the account's reports are restated.

    Whoever started it: schedule, backfill, or a person in the UI (the command line restates reports itself). Also
    after a run that failed: it loaded its good days. Reports look for what changed themselves, so one run after
    several loads is as good as one after each.
    """

    def after(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
        @dg.run_status_sensor(
            name=name,
            run_status=status,
            request_job=reports,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=15,
            description=f"Restates an account's reports when a load ended ({status.value.lower()}).",
        )
        def reports_after_loads(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
            run = context.dagster_run
            account = _account_of(run.tags)
            if account not in accounts or not _loads(run):
                return dg.SkipReason(f"run {run.run_id} loaded nothing of an account of this deployment")
            return dg.RunRequest(
                run_key=f"after-{run.run_id}",
                partition_key=account,
                tags={"klaviyo/account": account, "klaviyo/started_by": "sensor"},
            )

        return reports_after_loads

    return [
        after("reports_after_loads", dg.DagsterRunStatus.SUCCESS),
        after("reports_after_partial_loads", dg.DagsterRunStatus.FAILURE),
    ]


def _loads(run: dg.DagsterRun) -> bool:
    """Whether a run loads tables that reports are made of, and does not restate reports itself."""
    if run.tags.get("klaviyo/started_by") == "cli":
        return False
    chosen = run.asset_selection or set()
    return run.job_name in {"events", "dimensions"} or any(key.path[0] == "bigquery" for key in chosen)


def _account_of(tags: Mapping[str, str]) -> str:
    """The account a run is of, from the tags of its partition or range."""
    key = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition", "")
    return key.partition("|")[0]
