"""When the portfolio's views are rebuilt: an account is added, removed or loaded for the first time, or a view changes.

Here: the sensor and the daily schedule. Not here: the views (`defs/assets/portfolio.py`).

Neither looks at an account's systems, so none of these can delay them.
"""

from dataclasses import asdict
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts, fingerprint_of
from klaviyo_assets.defs.columns import stage_of
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS

INTERVAL_SECONDS = 60
# The tables that the portfolio joins: an account takes part once it has all of them.
_JOINED = [dg.AssetKey([stage_of(name), name]) for name in PORTFOLIO_VIEWS]


def build_portfolio_sensor(accounts: Accounts, job: Any) -> dg.SensorDefinition:
    """`portfolio_views`: rebuilds the views when what they join has changed."""

    @dg.sensor(
        name="portfolio_views",
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Rebuilds the cross-account views when an account is added, removed, or loaded for the first time.",
    )
    def portfolio_views(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        state = portfolio_state(accounts, context.instance)
        if not state["loaded"]:
            return dg.SensorResult(skip_reason="no account has reports yet")
        fingerprint = fingerprint_of(state)
        if fingerprint == context.cursor:
            return dg.SensorResult(skip_reason="the views cover these accounts already", cursor=fingerprint)
        tags = {"klaviyo/started_by": "portfolio_views", "klaviyo/reason": f"accounts: {', '.join(state['loaded'])}"}
        return dg.SensorResult(run_requests=[dg.RunRequest(tags=tags)], cursor=fingerprint)

    return portfolio_views


def portfolio_state(accounts: Accounts, instance: dg.DagsterInstance) -> dict[str, Any]:
    """What decides the views: the accounts, which of them have been loaded, and the definitions of the views."""
    loaded = set(accounts.names).intersection(*(instance.get_materialized_partitions(key) for key in _JOINED))
    return {
        "accounts": accounts.names,
        "loaded": sorted(loaded),
        "views": fingerprint_of({
            name: [str(sorted(asdict(column).items(), key=str)) for column in view.columns]
            for name, view in PORTFOLIO_VIEWS.items()
        }),
    }  # fmt: skip


def build_portfolio_schedule(job: Any) -> dg.ScheduleDefinition:
    """`daily_portfolio`: rebuilds the views once a day, to add what a permission or a failed run left out."""
    return dg.ScheduleDefinition(
        name="daily_portfolio",
        job=job,
        cron_schedule="30 6 * * *",
        execution_timezone="UTC",
        description="Rebuilds the views over all accounts, in case the sensor missed something.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        tags={"klaviyo/started_by": "schedule"},
    )
