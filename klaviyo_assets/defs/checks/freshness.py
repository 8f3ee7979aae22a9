"""How old each account's data are at each stage, by the data's own time and never by that of a run.

Here: the checks `fresh_<account>` of every stage, and the sensor that keeps it current. Not here: what `data_through`
means (docs/decisions/0003), and making anything fresh.

Dagster's own freshness policies ask when an asset was last materialized, in any partition: a rerun over old data looks
fresh, and so does an account whose sync has failed for a week, if another account's sync succeeds. So the age is read
from what each partition's materialization says about its data: Fivetran's time of the last successful sync, and the
newest sync that the rows of a stage come from.

Each account has a check of its own, without partitions: outside of runs, Dagster keeps one verdict per check and
partition, and fails at the second.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.stages.graph import dated_stages, stages
from klaviyo_assets.stages.keys import day_key
from klaviyo_assets.tables import DAILY_TABLES

# The first part of the keys of the assets that have the checks.
FRESHNESS = "freshness"
# The beginning of every freshness check's name; the account follows.
FRESH = "fresh"
# Fivetran usually syncs a connection at least once a day; two hours are for the sync and what follows it.
LATE_AFTER = timedelta(hours=26)
# Two syncs missed.
STALE_AFTER = timedelta(hours=50)
INTERVAL_SECONDS = 600
# A verdict that stays the same is repeated this often, so that the page shows the current age.
SAID_AGAIN_AFTER = timedelta(hours=6)
# An account's newest rows are in its last days, whatever its time zone.
_RECENT_DAYS = 8
_DAILY_NAMES = {table.name for table in DAILY_TABLES}


@dataclass(frozen=True)
class Age:
    """What is known about one stage of one account."""

    stage: str
    account: str
    data_through: datetime | None
    now: datetime

    @property
    def verdict(self) -> str:
        """`fresh`, `late`, `stale` or `unknown`."""
        if self.data_through is None:
            return "unknown"
        age = self.now - self.data_through
        return "fresh" if age <= LATE_AFTER else "late" if age <= STALE_AFTER else "stale"

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        if self.data_through is None:
            return f"no data of account {self.account} has passed the stage {self.stage} yet"
        hours = (self.now - self.data_through) / timedelta(hours=1)
        return f"the data of account {self.account} reach to {self.data_through:%Y-%m-%d %H:%M} UTC, {hours:.0f} h ago"

    @property
    def evaluation(self) -> dg.AssetCheckEvaluation:
        """The verdict of the account's check; only stale data are an error."""
        times = {"data_through": dg.MetadataValue.timestamp(self.data_through)} if self.data_through else {}
        return dg.AssetCheckEvaluation(
            asset_key=freshness_key(self.stage),
            check_name=check_of(self.account),
            passed=self.verdict == "fresh",
            severity=dg.AssetCheckSeverity.ERROR if self.verdict == "stale" else dg.AssetCheckSeverity.WARN,
            description=self.sentence,
            metadata={"verdict": self.verdict, **times},
        )


def ages(accounts: Accounts, instance: dg.DagsterInstance, now: datetime | None = None) -> Iterator[Age]:
    """The age of every stage of every account, from Dagster's own records: no external system is asked."""
    now = now or datetime.now(UTC)
    for account in accounts.by_name.values():
        for stage in dated_stages():
            yield Age(stage, account.name, max(_data_times(instance, stage, account), default=None), now)


def freshness_key(stage: str) -> dg.AssetKey:
    """The key of the asset that stands for a stage's age."""
    return dg.AssetKey([FRESHNESS, stage])


def check_of(account: str) -> str:
    """The name of an account's check."""
    return f"{FRESH}_{account}"


def build_freshness_assets() -> list[dg.AssetSpec]:
    """One asset per stage. They are never materialized; they only have the checks.

    On the stages' own assets, the check would be a step of every run.
    """
    return [
        dg.AssetSpec(
            freshness_key(stage),
            deps=[key for key, _ in _looked_at(stage, [])],
            group_name="freshness",
            description=f"How old each account's data are at the stage `{stage}`, by the sync they come from.",
        )
        for stage in dated_stages()
    ]


def build_freshness_checks(accounts: Accounts) -> dg.AssetChecksDefinition:
    """The checks `fresh_<account>` of every stage."""
    specs = {
        (stage, account): dg.AssetCheckSpec(
            check_of(account), asset=freshness_key(stage),
            description=f"The data of {account} are at most {LATE_AFTER // timedelta(hours=1)} h old, by the time of "
            f"the sync they come from; an error after {STALE_AFTER // timedelta(hours=1)} h.",
        )
        for stage in dated_stages()
        for account in accounts.names
    }  # fmt: skip

    @dg.multi_asset_check(name="freshness", specs=list(specs.values()), can_subset=True)
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        places = {place for place, spec in specs.items() if spec.key in context.selected_asset_check_keys}
        for age in ages(accounts, context.instance):
            if (age.stage, age.account) in places:
                evaluation = age.evaluation
                yield dg.AssetCheckResult(
                    passed=evaluation.passed, asset_key=evaluation.asset_key, check_name=evaluation.check_name,
                    severity=evaluation.severity, description=evaluation.description, metadata=evaluation.metadata,
                )  # fmt: skip

    return freshness


def build_freshness_sensor(accounts: Accounts) -> dg.SensorDefinition:
    """`freshness`: evaluates the checks; reports what changed, and everything now and then."""

    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        asset_selection=dg.AssetSelection.checks(
            *(
                dg.AssetCheckKey(freshness_key(stage), check_of(name))
                for stage in dated_stages()
                for name in accounts.names
            )
        ),
        description="Keeps the checks `fresh_<account>` of every stage current.",
    )
    def freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before: dict[str, list[Any]] = json.loads(context.cursor or "{}")
        verdicts: dict[str, list[Any]] = {}
        events = []
        for age in ages(accounts, context.instance):
            place, at = f"{age.stage}/{age.account}", age.now.timestamp()
            verdict, last = before.get(place, ["", 0])
            is_news = verdict != age.verdict or at - last > SAID_AGAIN_AFTER.total_seconds()
            verdicts[place] = [age.verdict, at] if is_news else [verdict, last]
            events += [age.evaluation] if is_news else []
        return dg.SensorResult(asset_events=events, cursor=json.dumps(verdicts))

    return freshness


def _looked_at(stage: str, days: Sequence[str]) -> list[tuple[dg.AssetKey, Sequence[str] | None]]:
    """The assets of a stage whose materializations state the data's time, with the partitions besides the account."""
    return [
        (dg.AssetKey([stage, table]), days if table in _DAILY_NAMES else None) for table in stages()[stage].dated_tables
    ]


def _data_times(instance: dg.DagsterInstance, stage: str, account: Account) -> Iterator[datetime]:
    today = account.today()
    days = [day_key(account.name, today - timedelta(days=ago)) for ago in range(_RECENT_DAYS)]
    for key, partitions in _looked_at(stage, days):
        newest = instance.fetch_materializations(
            dg.AssetRecordsFilter(key, asset_partitions=partitions or [account.name]),
            limit=len(partitions or [account.name]),
        )
        for record in newest.records:
            moment = _data_time(record.asset_materialization.metadata if record.asset_materialization else {})
            if moment is not None:
                yield moment


def _data_time(metadata: Mapping[str, Any]) -> datetime | None:
    """The data's time as a materialization states it; a run's own time never replaces it."""
    if "sync_completed_at" in metadata:
        return datetime.fromtimestamp(metadata["sync_completed_at"].value, UTC)
    try:
        return datetime.fromisoformat(str(metadata["data_through"].value))
    except (KeyError, ValueError):
        return None
