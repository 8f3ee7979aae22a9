"""The code location: accounts in, one graph out, in flow order.

Here: putting the parts together. Not here: any part. Loading it needs no network and no environment.
"""

import warnings
from collections.abc import Set
from typing import Any

import dagster as dg

# Partitioned checks and backfill policies are marked preview and beta; they are tested here, and the notices of
# every one of some 200 assets would bury everything else.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)

from klaviyo_assets.accounts import Accounts, load_accounts  # noqa: E402  after the filter
from klaviyo_assets.defs.assets.destination import build_destination_assets  # noqa: E402
from klaviyo_assets.defs.assets.digest import build_mailed_assets  # noqa: E402
from klaviyo_assets.defs.assets.extracted import build_extracted_assets  # noqa: E402
from klaviyo_assets.defs.assets.fivetran import build_fivetran_assets  # noqa: E402
from klaviyo_assets.defs.assets.html_report import build_html_report_assets  # noqa: E402
from klaviyo_assets.defs.assets.mapped import build_mapped_assets  # noqa: E402
from klaviyo_assets.defs.assets.portfolio import build_portfolio_assets  # noqa: E402
from klaviyo_assets.defs.assets.report import build_reported_assets  # noqa: E402
from klaviyo_assets.defs.assets.view import build_published_assets  # noqa: E402
from klaviyo_assets.defs.automation.jobs import build_jobs  # noqa: E402
from klaviyo_assets.defs.automation.mail import build_digest_schedule, build_failure_sensor  # noqa: E402
from klaviyo_assets.defs.automation.portfolio import build_portfolio_schedule, build_portfolio_sensor  # noqa: E402
from klaviyo_assets.defs.automation.schedules import build_schedules, build_weekly_schedules  # noqa: E402
from klaviyo_assets.defs.automation.sensors import build_report_sensors, build_sync_sensor  # noqa: E402
from klaviyo_assets.defs.checks.freshness import build_freshness_assets, build_freshness_checks, build_freshness_sensor  # noqa: E402
from klaviyo_assets.defs.checks.klaviyo_comparison import (  # noqa: E402
    build_comparison_assets,
    build_comparison_checks,
    build_comparison_job,
    build_comparison_schedule,
)
from klaviyo_assets.defs.environment import restore_environment  # noqa: E402
from klaviyo_assets.defs.partitions import Partitions  # noqa: E402
from klaviyo_assets.defs.turns import AccountTurns  # noqa: E402
from klaviyo_assets.resources.bigquery import BigQueryProjectResource  # noqa: E402
from klaviyo_assets.resources.fivetran.resource import FivetranResource  # noqa: E402
from klaviyo_assets.resources.frames import FramesResource  # noqa: E402
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource  # noqa: E402
from klaviyo_assets.resources.mail.resource import MailResource  # noqa: E402
from klaviyo_assets.resources.postgres.resource import PostgresResource  # noqa: E402
from klaviyo_assets.resources.privacy import PrivacyResource  # noqa: E402
from klaviyo_assets.resources.s3 import S3ArchiveResource  # noqa: E402
from klaviyo_assets.stages.destinations import registered_destinations  # noqa: E402
from klaviyo_assets.tables import ACCOUNT_TABLES, DAILY_TABLES, TABLES  # noqa: E402


def build_definitions(*, accounts: Accounts | None = None, resources: dict[str, Any] | None = None) -> dg.Definitions:
    """The definitions for a set of accounts.

    Args:
        accounts: Instead of those `accounts.toml` or the environment name.
        resources: Instead of those that read the environment, by resource key.
    """
    accounts = accounts or load_accounts()
    partitions = Partitions.of(accounts)
    comparison = build_comparison_job()
    jobs = {job.name: job for job in build_jobs([t.name for t in DAILY_TABLES], [t.name for t in ACCOUNT_TABLES])}
    return dg.Definitions(
        assets=[
            build_fivetran_assets([table for table in TABLES.values() if table.raw], accounts, partitions.accounts),
            *build_extracted_assets(accounts, partitions),
            *build_mapped_assets(accounts, partitions),
            *(
                assets
                for destination in registered_destinations().values()
                for assets in build_destination_assets(destination, accounts, partitions)
            ),
            build_reported_assets(accounts, partitions),
            build_published_assets(accounts, partitions),
            build_portfolio_assets(accounts),
            build_html_report_assets(accounts, partitions),
            *build_freshness_assets(),
            *build_comparison_assets(partitions.accounts),
            build_mailed_assets(accounts, lambda: _checks(accounts)),
        ],
        asset_checks=[
            build_freshness_checks(accounts),
            build_comparison_checks(accounts, partitions.accounts),
        ],
        jobs=[*jobs.values(), comparison],
        schedules=[
            *build_schedules(accounts, {name: jobs[name] for name in ("dimensions", "events")}),
            build_portfolio_schedule(jobs["portfolio"]),
            build_comparison_schedule(comparison),
            *build_weekly_schedules(accounts, jobs["html_report"]),
            build_digest_schedule(accounts, jobs["digest"]),
        ],
        sensors=[
            build_sync_sensor(accounts, jobs["events"], jobs["dimensions"]),
            *build_report_sensors(accounts.names, jobs["reports"]),
            build_portfolio_sensor(accounts, jobs["portfolio"]),
            build_freshness_sensor(accounts),
            build_failure_sensor(accounts),
        ],
        resources={
            "fivetran": FivetranResource(
                api_key=dg.EnvVar("FIVETRAN_API_KEY"), api_secret=dg.EnvVar("FIVETRAN_API_SECRET")
            ),
            "frames": FramesResource(),
            "turns": AccountTurns(),
            "postgres": PostgresResource(url=dg.EnvVar("POSTGRES_URL")),
            "privacy": PrivacyResource(),
            "klaviyo": KlaviyoResource(),
            "mail": MailResource(),
            "s3": S3ArchiveResource(bucket=dg.EnvVar("S3_BUCKET")),
            "bigquery": BigQueryProjectResource(project=dg.EnvVar("BIGQUERY_PROJECT")),
        }
        | (resources or {}),
        executor=dg.in_process_executor,
    )


def _checks(accounts: Accounts) -> Set[dg.AssetCheckKey]:
    """Every check there is, for the digest, which is itself a part of what it looks at."""
    return build_definitions(accounts=accounts).get_repository_def().asset_graph.asset_check_keys


restore_environment()
defs = build_definitions()
