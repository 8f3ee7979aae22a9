"""When the jobs run automatically: once a day or once a week for each account, after the account's own midnight.

Here: the schedules. Not here: what sensors start (`defs/automation/sensors.py`), and what the jobs do.

The daily schedules are a safety net for the Fivetran sensor: they restate yesterday and the attribution window before
it, whatever the sensor noticed or missed.
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.stages.keys import monday_of, range_tags, week_key

# The hour of the account's day: yesterday is over, and Fivetran has usually synced the last of it.
HOUR = 5


def build_schedules(accounts: Accounts, jobs: dict[str, dg.JobDefinition]) -> list[dg.ScheduleDefinition]:
    """`daily_<account>`: account tables and the last days of events, each day at five in the account's time zone.

    Reports follow by sensor when the loads end.
    """
    return [_daily(account, job) for account in accounts.by_name.values() for job in jobs.values()]


def build_weekly_schedules(accounts: Accounts, job: dg.JobDefinition) -> list[dg.ScheduleDefinition]:
    """`weekly_<job>_<account>`: the week that has ended, each Monday at six in the account's time zone.

    By then, the daily schedules have loaded its Sunday.
    """
    return [_weekly(account, job) for account in accounts.by_name.values()]


def _weekly(account: Account, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"weekly_{job.name}_{account.name}",
        job=job,
        cron_schedule=f"0 {HOUR + 1} * * 1",
        execution_timezone=account.timezone,
        description=f"The HTML report of {account.name} for the week that has ended.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.astimezone(account.zone).date()
        monday = monday_of(today) - timedelta(days=7)
        if monday < monday_of(account.start_date):
            return
        tags = {"klaviyo/account": account.name, "klaviyo/started_by": "schedule"}
        key = week_key(account.name, monday)
        yield dg.RunRequest(run_key=f"{account.name}-{monday}", partition_key=key, tags=tags)

    return weekly


def _daily(account: Account, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    is_events = job.name == "events"

    @dg.schedule(
        name=f"daily_{job.name}_{account.name}",
        job=job,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=account.timezone,
        description=f"{'The last days of events' if is_events else 'Account tables'} of {account.name}.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.astimezone(account.zone).date()
        tags = {"klaviyo/account": account.name, "klaviyo/started_by": "schedule"}
        if not is_events:
            yield dg.RunRequest(run_key=f"{account.name}-{today}", partition_key=account.name, tags=tags)
            return
        reach = -(-account.attribution.longest_window // timedelta(days=1))
        last = today - timedelta(days=1)
        first = max(account.start_date, last - timedelta(days=reach))
        if first <= last:
            yield dg.RunRequest(run_key=f"{account.name}-{today}", tags=tags | range_tags(account.name, first, last))

    return daily
