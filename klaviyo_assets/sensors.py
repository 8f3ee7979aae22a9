"""What starts runs when something happened: reports after loads.

Here: the sensors. Not here: what jobs do, and which days are dirty (`planning.py`).
"""

from typing import Any

import dagster as dg


def build_sensors(accounts: list[str], events: Any, dimensions: Any, reports: Any) -> list[dg.SensorDefinition]:
    """`reports_after_loads`: when a run of `events` or `dimensions` ends, the account's reports are restated.

    Also after a run that failed: it loaded its good days. Reports look for what changed themselves, so one run after
    several loads is as good as one after each.
    """

    def after(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
        @dg.run_status_sensor(
            name=name,
            run_status=status,
            monitored_jobs=[events, dimensions],
            request_job=reports,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=15,
            description=f"Restates an account's reports when a load ended ({status.value.lower()}).",
        )
        def reports_after_loads(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
            account = _account_of(context.dagster_run.tags)
            if account not in accounts:
                return dg.SkipReason(f"run {context.dagster_run.run_id} is of no account of this deployment")
            return dg.RunRequest(
                run_key=f"after-{context.dagster_run.run_id}",
                partition_key=account,
                tags={"klaviyo/account": account, "klaviyo/started_by": "sensor"},
            )

        return reports_after_loads

    return [
        after("reports_after_loads", dg.DagsterRunStatus.SUCCESS),
        after("reports_after_partial_loads", dg.DagsterRunStatus.FAILURE),
    ]


def _account_of(tags: dict[str, str]) -> str:
    """The account a run is of, from the tags of its partition or range."""
    key = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition", "")
    return key.partition("|")[0]
