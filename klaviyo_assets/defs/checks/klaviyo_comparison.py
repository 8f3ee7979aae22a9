"""The check `agrees_with_klaviyo`: do the reports by send date say what Klaviyo's own pages say?

Here: the asset that has the check, the check, its job and its schedule. Not here: asking Klaviyo
(`resources/klaviyo/resource.py`) and comparing (`audit/klaviyo_comparison/`).

The check is optional: an account without an API key is not compared, and only the log mentions it. A run uses two
requests of each account's daily quota at Klaviyo, so the check has a job of its own and is never a step of a load.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.audit.klaviyo_comparison import (
    COMPARED,
    REPORTS,
    Comparison,
    Window,
    compare,
    differences_table,
    formulas,
    headline,
    klaviyos_side,
    our_side,
    remarks,
    window_of,
)
from klaviyo_assets.audit.klaviyo_comparison.ours import conversion_metric_id, names
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.errors import NotFoundError, SettingsError, contained
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.klaviyo.resource import LONGEST, KlaviyoReports, KlaviyoResource, ReportRequest
from klaviyo_assets.stages.graph import REPORT

AGREES = "agrees_with_klaviyo"
GROUP = JOB = "klaviyo_comparison"
# A job and a step must not share a name.
STEP = "compare_with_klaviyo"
# Sunday morning: the week's campaigns are final soon, and nobody is waiting.
CRON = "0 7 * * 0"


class ComparisonConfig(dg.Config):
    """Settings for what to compare; the defaults suit the schedule."""

    accounts: list[str] = Field(default=[], description="Only these accounts; all of them when empty.")
    days: int = Field(
        default=30, ge=1, le=LONGEST.days,
        description="How many send days, up to the last one whose attribution window has passed.",
    )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The outcome of one account's report."""

    owner: str
    account: str
    passed: bool
    sentence: str
    metadata: Mapping[str, Any]

    @property
    def evaluation(self) -> dg.AssetCheckEvaluation:
        """The check's verdict on the account's partition; a difference is a warning, never an error."""
        return dg.AssetCheckEvaluation(
            asset_key=comparison_key(self.owner),
            check_name=AGREES,
            partition=self.account,
            passed=self.passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=self.sentence,
            metadata=dict(self.metadata),
        )


def comparison_key(owner: str) -> dg.AssetKey:
    """The key of the asset that has the check of the campaigns' or flows' report."""
    return dg.AssetKey([GROUP, REPORTS[owner]])


def build_comparison_assets(partitions_def: dg.PartitionsDefinition[str]) -> list[dg.AssetSpec]:
    """One asset per compared report, partitioned by account. They are never materialized; they only have the check.

    On the reports' own assets, the check would be a step of every run that restates them.
    """
    return [
        dg.AssetSpec(
            comparison_key(owner),
            deps=[dg.AssetKey([REPORT, report])],
            group_name=GROUP,
            kinds={"klaviyo"},
            description=f"Klaviyo's own {owner}-values report beside `{report}`, message by message. The check "
            f"`{AGREES}` compares them; it needs a private API key of the account (docs/klaviyo_comparison.md).",
            partitions_def=partitions_def,
        )
        for owner, report in REPORTS.items()
    ]


def build_comparison_checks(
    accounts: Accounts, partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    """The check `agrees_with_klaviyo` of both reports, per account."""
    specs = {
        owner: dg.AssetCheckSpec(
            AGREES, asset=comparison_key(owner), partitions_def=partitions_def,
            description=f"Every statistic that Klaviyo's {owner}-values report and ours both have is the same, "
            "for each message of the days that are final. A difference is a warning; accounts without an API key are "
            "skipped.",
        )
        for owner in REPORTS
    }  # fmt: skip

    @dg.multi_asset_check(name=STEP, specs=list(specs.values()), can_subset=True)
    def compare_with_klaviyo(
        context: dg.AssetCheckExecutionContext,
        config: ComparisonConfig,
        bigquery: BigQueryProjectResource,
        klaviyo: KlaviyoResource,
    ) -> Iterator[Any]:
        wanted = [owner for owner, spec in specs.items() if spec.key in context.selected_asset_check_keys]
        for account in [accounts[name] for name in config.accounts] or accounts.by_name.values():
            missing = klaviyo.missing(account.name, accounts.names)
            if missing:
                context.log.info(f"account {account.name} is not compared with Klaviyo: {missing}")
                continue
            comparing = _Account(account, accounts, config.days, bigquery, klaviyo, context)
            yield from (verdict.evaluation for owner in wanted if (verdict := comparing.verdict(owner)) is not None)
        for owner in wanted:
            yield dg.Output(None, output_name=specs[owner].get_python_identifier())

    return compare_with_klaviyo


def build_comparison_job() -> Any:
    """`klaviyo_comparison`: the checks of all accounts, for the schedule and the launchpad."""
    keys = [dg.AssetCheckKey(comparison_key(owner), AGREES) for owner in REPORTS]
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.checks(*keys),
        description="Compare the reports by send date with Klaviyo's own, for every account with an API key.",
    )


def build_comparison_schedule(job: Any) -> dg.ScheduleDefinition:
    """`weekly_klaviyo_comparison`: off until somebody switches it on."""
    return dg.ScheduleDefinition(
        name="weekly_klaviyo_comparison",
        job=job,
        cron_schedule=CRON,
        execution_timezone="UTC",
        description="Do the reports still say what Klaviyo's own pages say? "
        "Uses two of each account's 225 daily requests.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        tags={"klaviyo/started_by": "schedule"},
    )


class _Account:
    """One account's comparison in one run."""

    def __init__(
        self,
        account: Account,
        accounts: Accounts,
        days: int,
        bigquery: BigQueryProjectResource,
        klaviyo: KlaviyoResource,
        context: dg.AssetCheckExecutionContext,
    ) -> None:
        self._account, self._accounts, self._days = account, accounts, days
        self._bigquery, self._klaviyo, self._context = bigquery, klaviyo, context

    def verdict(self, owner: str) -> Verdict | None:
        """The outcome; None if there is nothing to compare yet. Being unable to compare is not an error of ours."""
        name = self._account.name
        try:
            dataset = self._bigquery.dataset(self._account)
            window = self._window(dataset)
            if window is None:
                self._context.log.info(f"account {name} is not compared with Klaviyo: no send day is final yet")
                return None
            reports = self._klaviyo.reports(
                name, self._accounts.names, self._context.instance.daemon_cursor_storage, self._context.log.info
            )
            return self._compared(owner, window, dataset, reports)
        except Exception as error:  # noqa: BLE001  one account's fault leaves the others their comparison
            reason = " ".join(str(contained(error)).split())
            return Verdict(owner, name, False, f"Account {name} could not be compared: {reason}", {})

    def _window(self, dataset: BigQueryDataset) -> Window | None:
        try:
            return window_of(dataset, self._account, self._days)
        except NotFoundError:
            return None

    def _compared(self, owner: str, window: Window, dataset: BigQueryDataset, reports: KlaviyoReports) -> Verdict:
        metric_id = conversion_metric_id(dataset, self._account)
        if metric_id is None:
            raise SettingsError(
                f"account {self._account.name} has no metric {self._account.conversion_metric!r} in its table "
                "`metric`, and Klaviyo needs one to count conversions",
                "Fix conversion_metric in accounts.toml, or load `metric`.",
            )
        answer = reports.values(ReportRequest(owner, COMPARED, window.first, window.last, metric_id))
        compared = compare(klaviyos_side(owner, answer), our_side(dataset, self._account, owner, window))
        message_names = names(dataset, owner)
        return Verdict(
            owner, self._account.name, compared.agrees,
            f"Account {self._account.name}: {headline(compared, owner, window, message_names)}",
            _metadata(compared, message_names, window, reports.left_today),
        )  # fmt: skip


def _metadata(compared: Comparison, message_names: Mapping[str, str], window: Window, left: int) -> dict[str, Any]:
    explained = remarks(compared, formulas(compared))
    return {
        "window": str(window),
        "messages": len(compared.ours),
        "numbers": compared.numbers,
        "differences": len(compared.differences),
        "only_in_klaviyo": len(compared.only_klaviyo),
        "only_here": len(compared.only_ours),
        "quota_left_today": left,
        "compared_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
        **({"largest_differences": dg.MetadataValue.md(differences_table(compared, message_names))}
           if compared.differences else {}),
        **({"explanations": dg.MetadataValue.md(explained)} if explained else {}),
    }  # fmt: skip
