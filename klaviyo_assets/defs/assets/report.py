"""The report stage: BigQuery computes the statistics, and restates exactly the days that changed.

Here: the assets. Not here: what changed (`stages/restating.py`), and the SQL (`reports/`).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.audit.reconciliation import BY_EVENT_DATE, report_conservation
from klaviyo_assets.defs.checks.unusual import UNUSUAL, unusual, unusual_spec
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import ONE_ACCOUNT, Check, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import LEDGER
from klaviyo_assets.destinations.consoles import bigquery_url
from klaviyo_assets.errors import contained
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.stages.graph import REPORT
from klaviyo_assets.stages.loading import job_id
from klaviyo_assets.stages.restating import AccountReports, Restated

CONSERVED = "conserved"
_ACCOUNT = "account_by_event_date"
ACCOUNT_KEY = dg.AssetKey([REPORT, _ACCOUNT])
_SHOWN_DIFFERENCES = 20


class ReportConfig(dg.Config):
    """Launchpad settings for the report stage."""

    everything: bool = Field(
        default=False, description="Recompute every row, whatever changed; otherwise only the days that loads changed."
    )


def build_reported_assets(accounts: Accounts, partitions: Partitions) -> dg.AssetsDefinition:
    """One step for all reports of an account."""

    @dg.multi_asset(
        name="restate_reports",
        specs=[
            asset_spec(REPORT, report, partitions.accounts, {"bigquery", "sql"}, is_table=True)
            for report in REPORTS.values()
        ],
        check_specs=[_check_spec(partitions.accounts), unusual_spec(ACCOUNT_KEY, partitions.accounts)],
        can_subset=True,
        backfill_policy=ONE_ACCOUNT,
    )
    def restate_reports(
        context: dg.AssetExecutionContext,
        config: ReportConfig,
        frames: dg.ResourceParam[FrameStore],
        turns: AccountTurns,
        bigquery: BigQueryProjectResource,
    ) -> Iterator[Any]:
        run = StageRun(context, frames, turns)
        for name in run.partition_keys:
            yield from _restate_account(run, accounts[name], bigquery, everything=config.everything)
        yield from run.outputs()

    return restate_reports


def _check_spec(partitions_def: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        CONSERVED, asset=ACCOUNT_KEY, partitions_def=partitions_def,
        description="For every restated day, the reports by event date hold exactly the events, conversions and money "
        "of `event` and `attribution`, to the cent, and these tables hold the rows that the ledger says were loaded. "
        "`klaviyo-assets verify` checks the whole way from Postgres.",
    )  # fmt: skip


def _restate_account(
    run: StageRun, account: Account, bigquery: BigQueryProjectResource, *, everything: bool
) -> Iterator[Any]:
    opened: list[AccountReports] = []
    done: dict[str, Restated] = {}

    def restate(report: ReportSpec) -> Done:
        if not opened:
            opened.append(AccountReports.open(account, bigquery.dataset(account), REPORTS.values()))
        restated = opened[0].restate(report, run.run_id, everything=everything)
        done[report.name] = restated
        return Done(_metadata(report, restated) | _console(bigquery, opened[0].dataset, report.name))

    for report in REPORTS.values():
        key = dg.AssetKey([REPORT, report.name])
        if run.selects(key):
            frame = FrameKey(REPORT, account.name, report.name)
            yield from run.work(key, account.name, frame, partial(restate, report))
    if not done:
        return
    try:
        _note(opened[0].dataset, job_id(account.name, "ledger", run.run_id), done)
        # The check runs after all reports: one that is not restated yet differs from the others.
        evaluations = list(_check_account(run, opened[0], done)) if _ACCOUNT in done else []
    except Exception as error:  # noqa: BLE001  the books and checks of one account are no other account's matter
        for name in done:
            yield from run.fail(dg.AssetKey([REPORT, name]), account.name, contained(error))
    else:
        yield from evaluations


def _console(bigquery: BigQueryProjectResource, dataset: BigQueryDataset, table: str) -> dict[str, Any]:
    """The table's page in Google's console; the sandbox's stand-in has none."""
    if bigquery.is_stand_in:
        return {}
    return {"console": dg.MetadataValue.url(bigquery_url(bigquery.project, dataset.dataset, table))}


def _check_account(run: StageRun, reports: AccountReports, done: Mapping[str, Restated]) -> Iterator[Any]:
    account, dataset = reports.account, reports.dataset
    yield from run.evaluate(ACCOUNT_KEY, account.name, _conserved(dataset, account, done))
    if dg.AssetCheckKey(ACCOUNT_KEY, UNUSUAL) in run.context.selected_asset_check_keys:
        check = unusual(dataset, account, reports.entries, reports.data_through)
        yield from run.evaluate(ACCOUNT_KEY, account.name, check)


def _note(dataset: BigQueryDataset, name: str, done: Mapping[str, Restated]) -> None:
    """Write the ledger rows of all reports at once; after an earlier crash they are restated to the same result."""
    entries = (restated.entry for restated in done.values())
    rows = [{**entry, "details": json.dumps(entry["details"]), "job_id": name} for entry in entries]
    dataset.append("ledger", LEDGER, rows, name)


def _conserved(dataset: BigQueryDataset, account: Account, done: Mapping[str, Restated]) -> Check:
    """Check that the reports that were brought up to date agree with the tables that they are built from."""
    first, last = _looked_at(account, done[_ACCOUNT])
    conservation = report_conservation(
        dataset, account, first, last,
        reports=[name for name in BY_EVENT_DATE if name in done],
    )  # fmt: skip
    sentences = [str(finding) for finding in conservation.findings]
    listing = "\n".join(f"- {sentence}" for sentence in sentences[:_SHOWN_DIFFERENCES])
    differences = {"differences": dg.MetadataValue.md(listing)} if sentences else {}
    return Check(
        CONSERVED, passed=conservation.holds, metadata={**conservation.metadata, **differences},
        description=f"{len(sentences)} difference(s), the first: {sentences[0]}" if sentences else None,
    )  # fmt: skip


def _looked_at(account: Account, restated: Restated) -> tuple[date | None, date | None]:
    """The first and last day of the check: those of the restated days, or the newest days if none was restated."""
    if restated.days.everything:
        return None, None
    newest = restated.data_through.astimezone(account.zone).date()
    days = restated.days.dates or {newest - account.attribution.longest_window, newest}
    return min(days), max(days)


def _metadata(report: ReportSpec, restated: Restated) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": restated.rows,
        "restated": _described(restated),
        "data_through": restated.data_through.isoformat(),
        "sql": dg.MetadataValue.md(f"```sql\n{report.rows_sql.strip()}\n```"),
    }


def _described(restated: Restated) -> str:
    days = restated.days
    if days.everything:
        return "every row"
    if not days:
        return "nothing: no loaded day has changed since"
    span = f"{len(days.dates)} day(s), {min(days.dates)} to {max(days.dates)}" if days.dates else ""
    return ", ".join(part for part in (span, "rows whose day is unknown" if days.unknown else "") if part)
