"""What starts runs when something happened: loads after Fivetran syncs, reports after loads.

Here: the sensors. Not here: what jobs do, and which days are dirty (`planning.py`).
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts, fingerprint_of
from klaviyo_assets.assets.fivetran import connection_id_of, fivetran_key, sync_metadata
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.extraction import AccountSource
from klaviyo_assets.ledger import current
from klaviyo_assets.mapped_frames import event_settings
from klaviyo_assets.partitions import range_tags
from klaviyo_assets.planning import Plan, plan
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran import FivetranResource
from klaviyo_assets.resources.fivetran_errors import RateLimitedError
from klaviyo_assets.resources.fivetran_models import Connection
from klaviyo_assets.resources.postgres import PostgresResource
from klaviyo_assets.tables import TABLES

INTERVAL_SECONDS = 60
# A tick has to end before Dagster gives it up; accounts it did not reach are first in the next one.
TICK_SECONDS = 40
# More separate ranges than this are one run from the first day to the last: a start of a run costs more than a day.
MOST_RANGES = 10
# What makes credits again and leaves events as they are.
_ATTRIBUTION = [
    dg.AssetKey(key)
    for key in (["extracted", "event"], *([stage, "attribution"] for stage in ("mapped", "s3_archive", "bigquery")))
]


def build_report_sensors(accounts: list[str], reports: Any) -> list[dg.SensorDefinition]:
    """`reports_after_loads`: when a run that loaded into BigQuery ends, the account's reports are restated.

    Whoever started it: schedule, backfill, or a person in the UI (the command line restates reports itself). Also
    after a run that failed: it loaded its good days. Reports look for what changed themselves, so one run after
    several loads is as good as one after each.
    """

    def after(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
        @dg.run_status_sensor(
            name=name,
            run_status=status,
            request_job=reports,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=15,
            description=f"Restates an account's reports when a load ended ({status.value.lower()}).",
        )
        def reports_after_loads(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
            run = context.dagster_run
            account = _account_of(run.tags)
            if account not in accounts or not _loads(run):
                return dg.SkipReason(f"run {run.run_id} loaded nothing of an account of this deployment")
            return dg.RunRequest(
                run_key=f"after-{run.run_id}",
                partition_key=account,
                tags={"klaviyo/account": account, "klaviyo/started_by": "sensor"},
            )

        return reports_after_loads

    return [
        after("reports_after_loads", dg.DagsterRunStatus.SUCCESS),
        after("reports_after_partial_loads", dg.DagsterRunStatus.FAILURE),
    ]


def _loads(run: dg.DagsterRun) -> bool:
    """Whether a run loads tables that reports are made of, and does not restate reports itself."""
    if run.tags.get("klaviyo/started_by") == "cli":
        return False
    chosen = run.asset_selection or set()
    return run.job_name in {"events", "dimensions"} or any(key.path[0] == "bigquery" for key in chosen)


def _account_of(tags: Mapping[str, str]) -> str:
    """The account a run is of, from the tags of its partition or range."""
    key = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition", "")
    return key.partition("|")[0]


def build_sync_sensor(accounts: Accounts, events: Any, dimensions: Any) -> dg.SensorDefinition:
    """`fivetran_syncs`: sees syncs of any origin end, and requests runs for what they changed.

    So does a setting of an account that is another one than at the last look. The cursor holds Fivetran's own time of
    each connection's last seen sync, the settings' fingerprints, and until when Fivetran's rate limit asks to wait. A
    connection that cannot be asked, or an account whose changes cannot be looked up, keeps its old time and is tried
    again at the next tick; the others go on. Why days are made again stands in the tick's log, and on each run as the
    tag `klaviyo/reason`.
    """

    @dg.sensor(
        name="fivetran_syncs",
        jobs=[dimensions, events],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="When a Fivetran sync ends: account tables, and the days whose events it changed, to BigQuery.",
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
                connection = fivetran.connection(connection_id_of(account))
                if tick.is_new(connection) or tick.has_other_settings(account, connection):
                    tick.requests += _requests(account, connection, _plan(account, postgres, bigquery), context.log)
                    tick.take(account, connection)
            except RateLimitedError as error:
                tick.blocked_until = time.time() + (error.retry_after or INTERVAL_SECONDS)
                break
            except KlaviyoAssetsError as error:
                context.log.error(f"{account.name}: {error}")  # noqa: TRY400  the reason is the whole story
        return dg.SensorResult(run_requests=tick.requests, asset_events=tick.events, cursor=tick.written)

    return fivetran_syncs


@dataclass
class _Tick:
    """What the sensor remembers between ticks, and what this one found."""

    seen: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    blocked_until: float = 0.0
    last: str = ""
    requests: list[dg.RunRequest] = field(default_factory=list)
    events: list[dg.AssetMaterialization] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> "_Tick":
        known = json.loads(cursor or "{}")
        return cls(
            known.get("seen", {}), known.get("settings", {}), known.get("blocked_until", 0.0), known.get("last", "")
        )

    @property
    def written(self) -> str:
        known = {name: getattr(self, name) for name in ("seen", "settings", "blocked_until", "last")}
        return json.dumps(known, sort_keys=True)

    def in_turn(self, accounts: Accounts) -> list[Account]:
        """All accounts, beginning with the one after the last that was looked at."""
        names = accounts.names
        start = names.index(self.last) + 1 if self.last in names else 0
        return [accounts[name] for name in (*names[start:], *names[:start])]

    def is_new(self, connection: Connection) -> bool:
        ended = connection.succeeded_at
        return ended is not None and ended.isoformat() > self.seen.get(connection.id, "")

    def has_other_settings(self, account: Account, connection: Connection) -> bool:
        """Whether the account is set otherwise than when its last sync was seen."""
        return connection.id in self.seen and self.settings.get(account.name, "") not in {"", settings_of(account)}

    def take(self, account: Account, connection: Connection) -> None:
        """Note that this sync and these settings are seen; the raw tables of a new sync are as new as it."""
        is_new = self.is_new(connection)
        self.settings[account.name] = settings_of(account)
        if not is_new:
            return
        assert connection.succeeded_at is not None  # noqa: S101  `is_new` said so
        self.seen[connection.id] = connection.succeeded_at.isoformat()
        self.events += [
            dg.AssetMaterialization(
                fivetran_key(table.name), partition=account.name, metadata=sync_metadata(connection, table.name)
            )
            for table in TABLES.values()
            if table.raw
        ]


def _plan(account: Account, postgres: PostgresResource, bigquery: BigQueryProjectResource) -> Plan:
    entries = current(bigquery.dataset(account))
    with postgres.snapshot() as snapshot:
        return plan(AccountSource.open(account, snapshot), entries, account.start_date, account.today())


def _requests(account: Account, connection: Connection, found: Plan, log: logging.Logger) -> Iterator[dg.RunRequest]:
    """The account tables, each range of dirty days, and each range of days whose credits alone are made again."""
    for announcement in found.announcements:
        log.info(f"{account.name}: {announcement}")
    key = f"{connection.id}:{connection.succeeded_at}:{settings_of(account)}"
    tags = {"klaviyo/account": account.name, "klaviyo/started_by": "fivetran_syncs"}
    yield dg.RunRequest(run_key=f"{key}:tables", job_name="dimensions", partition_key=account.name, tags=tags)
    for only_attribution in (False, True):
        for first, last in _few(found.ranges(only_attribution=only_attribution)):
            reasons = "; ".join(found.reasons(first, last, only_attribution=only_attribution))
            yield dg.RunRequest(
                run_key=f"{key}:{first}:{last}" + (":attribution" if only_attribution else ""),
                job_name="events",
                asset_selection=_ATTRIBUTION if only_attribution else None,
                tags=tags | range_tags(account.name, first, last) | {"klaviyo/reason": reasons},
            )


def settings_of(account: Account) -> str:
    """Fingerprint of every setting that may make days again."""
    return fingerprint_of([event_settings(account), account.attribution.source, account.attribution_settings("touch")])


def _few(found: list[tuple[date, date]]) -> list[tuple[date, date]]:
    return [(found[0][0], found[-1][1])] if len(found) > MOST_RANGES else found
