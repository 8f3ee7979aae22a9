"""The jobs: one per partitions definition and purpose, for schedules, sensors and the launchpad.

Here: which assets a job contains. Not here: when it runs (`defs/automation/schedules.py`,
`defs/automation/sensors.py`).
"""

from typing import Any

import dagster as dg

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS
from klaviyo_assets.stages.graph import HTML_REPORT, PORTFOLIO, REPORT, VIEW, keys_of, loading


def build_jobs(daily_tables: list[str], account_tables: list[str]) -> list[Any]:
    """`dimensions` (account tables), `events` (daily tables), `reports` through all their stages; and `portfolio`."""
    dimensions, events = (list(keys_of(loading(), tables)) for tables in (account_tables, daily_tables))
    return [
        _job("dimensions", dimensions, "Load every account table of an account into BigQuery."),
        _job("events", events, "Load days of events and their attribution into BigQuery."),
        _job(
            "reports",
            [*keys_of([REPORT], REPORTS), *keys_of([VIEW], VIEWS)],
            "Restate the report rows that loads changed, and bring the views up to date.",
        ),
        _job("portfolio", list(keys_of([PORTFOLIO], PORTFOLIO_VIEWS)), "Rebuild the views over all accounts."),
        _job("html_report", [[HTML_REPORT, "weekly"]], "Write the report of an account's week as a page in S3."),
        _job("digest", [["mail", "digest"]], "Mail what mattered yesterday to MAIL_TO."),
    ]


def _job(name: str, keys: list[list[str]], description: str) -> Any:
    return dg.define_asset_job(name, dg.AssetSelection.assets(*keys), description=description)
