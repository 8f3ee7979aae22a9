"""What starts runs when something has happened: loads after Fivetran syncs, and reports after loads.

Here: the sensors. Not here: what jobs do, and which days are dirty (`stages/planning.py`).
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts, fingerprint_of
from klaviyo_assets.defs.assets.fivetran import connection_id_of, fivetran_key, sync_metadata
from klaviyo_assets.destinations.bigquery.ledger import current
from klaviyo_assets.errors import contained, stack_of
from klaviyo_assets.mapping.fingerprints import event_settings
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.errors import RateLimitedError
from klaviyo_assets.resources.fivetran.models import Connection
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.stages.destinations import held_everywhere
from klaviyo_assets.stages.graph import BIGQUERY, EXTRACTED, keys_of, loading
from klaviyo_assets.stages.keys import account_of, accounts_of, range_of, range_tags
from klaviyo_assets.stages.looks import Look
from klaviyo_assets.stages.planning import Plan, plan
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES

INTERVAL_SECONDS = 60
# A tick has to end before Dagster gives up on it; accounts that it did not reach come first in the next tick.
TICK_SECONDS = 40
# Once a day, every day of events is checked, whatever sync times say; this costs one pass over an account's events.
SWEEP_SECONDS = 86_400
# More ranges than this become one run from the first day to the last: starting a run costs more than one more day.
MOST_RANGES = 10
# How many unfinished runs are searched for other loads of an account; if there are more, reports run too often.
MOST_RUNS = 500
_UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def build_report_sensors(accounts: list[str], reports: Any) -> list[dg.SensorDefinition]:
    """`reports_after_loads`: when a run that loaded into BigQuery ends, the account's reports are restated.

    It does not matter who started the run: a schedule, a backfill, or a person in the UI (the command line restates
    reports itself). Runs that failed or were canceled count too, because they loaded their good days. Reports find out
    themselves what changed, so one run after several loads is as good as one after each: if another load of the account
    has yet to end, or ended later, the reports follow that one.
    """

    def after(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
        @dg.run_status_sensor(
            name=name,
            run_status=status,
            request_job=reports,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=15,
            description=f"Restates an account's reports when a load has ended ({status.value.lower()}).",
        )
        def reports_after_loads(context: dg.RunStatusSensorContext) -> dg.SensorResult:
            run = context.dagster_run
            loaded = accounts_of(run.tags, accounts) if _loads(run) else []
            if not loaded:
                reason = f"run {run.run_id} loaded nothing for any account of this deployment"
                return dg.SensorResult(skip_reason=reason)
            busy = _loading_or_later(context.instance, run, accounts)
            requests = [
                dg.RunRequest(
                    run_key=f"after-{run.run_id}-{account}",
                    partition_key=account,
                    tags={"klaviyo/account": account, "klaviyo/started_by": "sensor"},
                )
                for account in loaded
                if account not in busy
            ]
            waited = f"reports will follow the end of other loads: {', '.join(sorted(busy.intersection(loaded)))}"
            return dg.SensorResult(run_requests=requests, skip_reason=None if requests else waited)

        return reports_after_loads

    return [
        after("reports_after_loads", dg.DagsterRunStatus.SUCCESS),
        after("reports_after_partial_loads", dg.DagsterRunStatus.FAILURE),
        after("reports_after_canceled_loads", dg.DagsterRunStatus.CANCELED),
    ]


def _loads(run: dg.DagsterRun) -> bool:
    """Whether a run loads tables that reports are built from, and does not restate reports itself."""
    if run.tags.get("klaviyo/started_by") == "cli":
        return False
    chosen = run.asset_selection or set()
    return run.job_name in {"events", "dimensions"} or any(key.path[0] == BIGQUERY for key in chosen)


def _loading_or_later(instance: dg.DagsterInstance, ended: dg.DagsterRun, accounts: list[str]) -> set[str]:
    """The accounts of other loads: those that are queued or running, and those that ended after this one."""
    own = instance.get_run_record_by_id(ended.run_id)
    runs = list(instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY), limit=MOST_RUNS))
    if own and own.end_time:
        since = dg.RunsFilter(statuses=_ENDED, updated_after=datetime.fromtimestamp(own.end_time, UTC))
        records = instance.get_run_records(since, limit=MOST_RUNS)
        runs += [record.dagster_run for record in records if (record.end_time or 0) > own.end_time]
    return {account for run in runs if _loads(run) for account in accounts_of(run.tags, accounts)}


def build_sync_sensor(accounts: Accounts, events: Any, dimensions: Any) -> dg.SensorDefinition:
    """`fivetran_syncs`: notices the end of every sync, whoever started it, and requests runs for what it changed.

    It also requests runs when a setting of an account has changed since the last look, and once a day after a sweep
    over all days, for changes that sync times do not show. For each account, the cursor holds Fivetran's own time of
    the last seen sync and what the look left for the next one (`looks.Look`); it also holds until when Fivetran's rate
    limit asks to wait. If a connection cannot be asked, or an account's changes cannot be looked up, its state is kept
    and it is tried again at the next tick; the others go on. The reason why days are rebuilt is in the tick's log, and
    on each run as the tag `klaviyo/reason`.
    """

    @dg.sensor(
        name="fivetran_syncs",
        jobs=[dimensions, events],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="When a Fivetran sync ends, loads the account tables and the days of events that it changed.",
    )
    def fivetran_syncs(
        context: dg.SensorEvaluationContext,
        fivetran: FivetranResource,
        postgres: PostgresResource,
        bigquery: BigQueryProjectResource,
    ) -> dg.SensorResult:
        tick = _Tick.read(context.cursor)
        if tick.blocked_until > time.time():
            return dg.SensorResult(skip_reason="Fivetran asked us to wait", cursor=context.cursor)
        deadline = time.monotonic() + TICK_SECONDS
        for account in tick.in_turn(accounts):
            if time.monotonic() > deadline:
                break
            tick.last = account.name
            try:
                tick.look_at(account, fivetran.connection(connection_id_of(account)), (postgres, bigquery), context.log)
            except RateLimitedError as error:
                tick.blocked_until = time.time() + (error.retry_after or INTERVAL_SECONDS)
                break
            except Exception as caught:  # noqa: BLE001  whatever it is, it is this account's alone
                fault = contained(caught)
                sentence = f"{account.name}: its changes could not be looked up: {fault}{stack_of(fault)}"
                context.log.error(sentence)  # noqa: TRY400  the reason is the whole story
        waiting = context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=MOST_RUNS)
        requests = [one for one in tick.requests if not any(_covers(run, one) for run in waiting)]
        if len(requests) < len(tick.requests):
            context.log.info(f"{len(tick.requests) - len(requests)} of these are in the queue already")
        return dg.SensorResult(run_requests=requests, asset_events=tick.events, cursor=tick.written)

    return fivetran_syncs


def _covers(run: dg.DagsterRun, request: dg.RunRequest) -> bool:
    """Whether a queued run will do what is requested: it reads Postgres when it starts, which is later than this look.

    A run that repeats another may do less than its tags say: what the other left undone, or some of its steps.
    """
    if run.parent_run_id:
        return False
    asked, chosen = request.asset_selection, run.asset_selection
    if run.job_name != request.job_name or not (chosen is None or (asked is not None and chosen >= set(asked))):
        return False
    if request.partition_key:
        return run.tags.get("dagster/partition") == request.partition_key
    (first, last), (begin, end) = (range_of(tags) for tags in (run.tags, request.tags))
    # The keys of one account are in the order of days.
    return account_of(run.tags) == account_of(request.tags) and first <= begin and end <= last


@dataclass
class _AccountState:
    """What the sensor remembers about one account.

    `seen` is the connection's time of the last sync that was examined, `historical` whether it has been seen syncing
    everything since, `settings` the fingerprint at that time, `swept` when all days were last checked (epoch seconds),
    and `look` what planning left.
    """

    seen: str = ""
    historical: bool = False
    settings: str = ""
    swept: float = 0.0
    look: dict[str, Any] | None = None


@dataclass
class _Tick:
    """What the sensor remembers between ticks, and what this tick found."""

    accounts: dict[str, _AccountState] = field(default_factory=dict)
    blocked_until: float = 0.0
    last: str = ""
    requests: list[dg.RunRequest] = field(default_factory=list)
    events: list[dg.AssetMaterialization] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> "_Tick":
        memory = json.loads(cursor or "{}")
        accounts = {name: _AccountState(**state) for name, state in memory.get("accounts", {}).items()}
        return cls(accounts, memory.get("blocked_until", 0.0), memory.get("last", ""))

    @property
    def written(self) -> str:
        accounts = {name: asdict(state) for name, state in self.accounts.items()}
        return json.dumps(
            {"accounts": accounts, "blocked_until": self.blocked_until, "last": self.last}, sort_keys=True
        )

    def in_turn(self, accounts: Accounts) -> list[Account]:
        """All accounts, beginning with the one after the last that was examined."""
        names = accounts.names
        start = names.index(self.last) + 1 if self.last in names else 0
        return [accounts[name] for name in (*names[start:], *names[:start])]

    def look_at(
        self, account: Account, connection: Connection, places: tuple[PostgresResource, BigQueryProjectResource],
        log: logging.Logger,
    ) -> None:  # fmt: skip
        """Request the work that follows from an account's newest sync, a changed setting, or the daily sweep."""
        state = self.accounts.get(account.name, _AccountState())
        ended = connection.succeeded_at.isoformat() if connection.succeeded_at else ""
        is_new, settings = ended > state.seen, settings_of(account)
        state = replace(state, historical=state.historical or connection.is_historical_sync)
        # Before the first sync there is nothing to look for, even if settings have changed.
        is_due = bool(state.seen) and (state.settings != settings or time.time() - state.swept > SWEEP_SECONDS)
        if is_new or is_due:
            whole = is_due or state.historical or state.look is None
            dirty_plan = _plan(account, *places, None if whole else Look.read(state.look or {}))
            # Dagster drops a run key that it has seen, so a sweep needs a new key for what was requested before.
            key = f"{connection.id}:{ended}:{settings}:{int(state.swept)}"
            self.requests += _requests(account, key, dirty_plan, log)
            self.events += _materialized(account, connection) if is_new else []
            state = _AccountState(
                ended, connection.is_historical_sync, settings, time.time() if dirty_plan.swept else state.swept,
                dirty_plan.look.written if dirty_plan.look else None,
            )  # fmt: skip
        self.accounts[account.name] = state


def _materialized(account: Account, connection: Connection) -> list[dg.AssetMaterialization]:
    """Materializations of the raw tables, as of the sync that has ended."""
    return [
        dg.AssetMaterialization(
            fivetran_key(table.name), partition=account.name, metadata=sync_metadata(connection, table.name)
        )
        for table in TABLES.values()
        if table.raw
    ]


def _plan(
    account: Account, postgres: PostgresResource, bigquery: BigQueryProjectResource, seen: Look | None
) -> Plan:  # fmt: skip
    entries = held_everywhere(current(bigquery.dataset(account)), account)
    with postgres.snapshot() as snapshot:
        return plan(AccountSource.open(account, snapshot), entries, account.start_date, account.today(), seen)


def _requests(account: Account, key: str, dirty_plan: Plan, log: logging.Logger) -> Iterator[dg.RunRequest]:
    """Runs for the changed account tables, for each range of dirty days, and for each range that needs only credits."""
    for announcement in dirty_plan.announcements:
        log.info(f"{account.name}: {announcement}")
    tags = {"klaviyo/account": account.name, "klaviyo/started_by": "fivetran_syncs"}
    if dirty_plan.tables:
        yield dg.RunRequest(
            run_key=f"{key}:tables", job_name="dimensions", partition_key=account.name, tags=tags,
            asset_selection=[dg.AssetKey(key) for key in keys_of(loading(), dirty_plan.tables)],
        )  # fmt: skip
    for only_attribution in (False, True):
        for first, last in _few(dirty_plan.ranges(only_attribution=only_attribution)):
            reasons = "; ".join(dirty_plan.reasons(first, last, only_attribution=only_attribution))
            yield dg.RunRequest(
                run_key=f"{key}:{first}:{last}" + (":attribution" if only_attribution else ""),
                job_name="events",
                asset_selection=_attribution_keys() if only_attribution else None,
                tags=tags | range_tags(account.name, first, last) | {"klaviyo/reason": reasons},
            )


def _attribution_keys() -> list[dg.AssetKey]:
    """The assets that rebuild credits and leave events as they are."""
    return [dg.AssetKey(key) for key in ([EXTRACTED, EVENT.name], *keys_of(loading(), [ATTRIBUTION.name]))]


def settings_of(account: Account) -> str:
    """The fingerprint of every setting that can cause days to be rebuilt."""
    return fingerprint_of(
        [event_settings(account), account.attribution.source, account.attribution_settings("touch"),
         account.start_date.isoformat()]
    )  # fmt: skip


def _few(spans: list[tuple[date, date]]) -> list[tuple[date, date]]:
    return [(spans[0][0], spans[-1][1])] if len(spans) > MOST_RANGES else spans
