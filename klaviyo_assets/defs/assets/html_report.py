"""The HTML report of an account's week, as a page in the archive's bucket.

Here: the asset. Not here: what the page shows (`publishing/html_report/`), and when it is created
(`defs/automation/schedules.py`).

Each week of each account succeeds or fails on its own (docs/decisions/0002): a week that cannot be created gets no
materialization, the others do, and the run ends as failed.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.failure_metadata import Cause, failure_of
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.stage_run import DAYS_OF_AN_ACCOUNT, partition_keys
from klaviyo_assets.destinations.consoles import s3_url
from klaviyo_assets.errors import contained, stack_of
from klaviyo_assets.publishing.html_report import make_report
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.stages.graph import HTML_REPORT, VIEW
from klaviyo_assets.stages.keys import parts_of

KEY = dg.AssetKey([HTML_REPORT, "weekly"])


def build_html_report_assets(accounts: Accounts, partitions: Partitions) -> dg.AssetsDefinition:
    """`html_report/weekly`, partitioned by account and week."""

    @dg.multi_asset(
        name="make_html_report",
        specs=[
            dg.AssetSpec(
                KEY,
                deps=[[VIEW, name] for name in LOOKER_VIEWS],
                group_name=HTML_REPORT,
                kinds={"html", "s3"},
                description="The report of a week, Monday to Sunday, compared with the week before: one HTML file "
                "that needs no network. The current week shows its days so far.",
                partitions_def=partitions.account_weeks,
                skippable=True,
            )
        ],
        backfill_policy=DAYS_OF_AN_ACCOUNT,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=20),
    )
    def make_html_report(
        context: dg.AssetExecutionContext, bigquery: BigQueryProjectResource, s3: S3ArchiveResource
    ) -> Iterator[Any]:
        keys, failures = partition_keys(context), dict[tuple[str, str], Cause]()
        for key in keys:
            name, monday = parts_of(key)
            try:
                metadata = _publish(accounts[name], date.fromisoformat(monday), bigquery, s3)
            except Exception as caught:  # noqa: BLE001  whatever it is, it is this week's alone
                error = contained(caught)
                context.log.error(f"{key}: {error}{stack_of(error)}")  # noqa: TRY400  the reason is the whole story
                failures[KEY.to_user_string(), key] = Cause.of(KEY, error)
                continue
            yield dg.AssetMaterialization(KEY, partition=key, metadata=metadata)
        yield dg.Output(None, output_name=context.assets_def.get_output_name_for_asset_key(KEY),
                        metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})  # fmt: skip
        if failures:
            raise failure_of(failures, len(keys), allow_retries=True)

    return make_html_report


def _publish(
    account: Account, monday: date, bigquery: BigQueryProjectResource, s3: S3ArchiveResource
) -> Mapping[str, Any]:
    """Create one week's page and store it in the bucket; return what the UI shows about it."""
    last = monday + timedelta(days=6)
    page = make_report([account], {account.name: bigquery.dataset(account)}, monday, last)
    content = page.html.encode()
    archive = s3.archive
    uri = archive.publish(
        account.name, HTML_REPORT, monday.isoformat(), "report.html", content, "text/html; charset=utf-8"
    )
    link = {} if s3.is_elsewhere else {"link": dg.MetadataValue.url(s3_url(uri))}
    return {
        "dagster/uri": uri,
        **link,
        "days": f"{monday} to {last}",
        "figures": page.figures,
        "bytes": len(content),
        "has_data": not page.empty,
        "adds_up": not page.broken,
    }
