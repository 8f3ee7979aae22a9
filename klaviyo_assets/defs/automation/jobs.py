"""The jobs: one per partitions definition and purpose, for schedules, sensors and the launchpad.

Here: which assets a job holds. Not here: when it runs (`defs/automation/schedules.py`, `defs/automation/sensors.py`).
"""

from typing import Any

import dagster as dg

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS

# What brings a table from Postgres to BigQuery, in order.
LOADING = ("extracted", "mapped", "s3_archive", "bigquery")


def build_jobs(daily_tables: list[str], account_tables: list[str]) -> list[Any]:
    """`dimensions` (account tables), `events` (daily tables), `reports` through all their stages; and `portfolio`."""
    daily = [
        [stage, table] for stage in LOADING for table in daily_tables if (stage, table) != ("extracted", "attribution")
    ]
    whole = [[stage, table] for stage in LOADING for table in account_tables]
    return [
        _job("dimensions", whole, "Every account table of an account, to BigQuery."),
        _job("events", daily, "Days of events and their attribution, to BigQuery."),
        _job(
            "reports",
            [*(["report", name] for name in REPORTS), *(["view", name] for name in VIEWS)],
            "Restate the report rows that loads changed, and bring the views up to date.",
        ),
        _job("portfolio", [["portfolio", name] for name in PORTFOLIO_VIEWS], "The views over all accounts."),
        _job("html_report", [["html_report", "weekly"]], "The report of an account's week, as a page in S3."),
        _job("digest", [["mail", "digest"]], "Mail what matters of yesterday, to MAIL_TO."),
    ]


def _job(name: str, keys: list[list[str]], description: str) -> Any:
    return dg.define_asset_job(name, dg.AssetSelection.assets(*keys), description=description)
