"""The whole pipeline for one account after another, in this process, on the project's Dagster instance.

Here: the order of the work, the counts, and what failed. Not here: options and output (`run.py`), and what the assets
do.

Work is counted as it is done: Dagster calls a listener for every event it records, which costs about 0.01 ms per event
on top of recording it (docs/decisions/0019).
"""

import gc
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from klaviyo_assets.cli.progress import Progress, Task
from klaviyo_assets.cli.systems import bigquery, postgres, required
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.stages.graph import (
    BIGQUERY,
    EXTRACTED,
    FIVETRAN,
    MAPPED,
    PORTFOLIO,
    REPORT,
    VIEW,
    keys_of,
    loading,
    stage_of_step,
    stages,
    stages_of_a_run,
)
from klaviyo_assets.stages.keys import parts_of, range_tags
from klaviyo_assets.text import plural

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance

    from klaviyo_assets.accounts import Account
    from klaviyo_assets.destinations.ledger import Entry


@dataclass
class StageSum:
    """The work of one stage in this command."""

    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Work:
    """Days to rebuild, `first` to `last`; with `only_attribution`, their events stay as they are."""

    first: date
    last: date
    only_attribution: bool = False

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        what = "attribution" if self.only_attribution else "events"
        return f"{what} of {self.first} to {self.last}" if self.days > 1 else f"{what} of {self.first}"


@dataclass
class AccountSum:
    """The work of this command for one account."""

    seconds: float = 0.0
    work: list[Work] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # The counts of what went to quarantine: values that were left empty, and rows that were left out.
    values: int = 0
    rows: int = 0


@dataclass
class Totals:
    """The work of all stages, and the outcome for every account."""

    stages: dict[str, StageSum] = field(default_factory=lambda: {stage: StageSum() for stage in stages_of_a_run()})
    accounts: dict[str, AccountSum] = field(default_factory=dict)

    def of(self, account: str) -> AccountSum:
        """The sum of one account."""
        return self.accounts.setdefault(account, AccountSum())

    def fail(self, account: str, reason: str) -> None:
        """Record a failure; the same reason given twice is one failure."""
        failures = self.of(account).failures
        if reason not in failures:
            failures.append(reason)

    @property
    def warnings(self) -> list[str]:
        """The warnings about work that is done but deserves a look, account by account."""
        return [f"{name}: {warning}" for name in self.accounts for warning in self.warnings_of(name)]

    def warnings_of(self, name: str) -> list[str]:
        """An account's own warnings."""
        account = self.of(name)
        return [*_quarantined(account, name), *account.warnings]

    @property
    def failures(self) -> list[str]:
        """All failures, account by account."""
        return [f"{name}: {reason}" for name, account in self.accounts.items() for reason in account.failures]


@dataclass
class Pipeline:
    """Runs the graph for one account after another."""

    instance: "DagsterInstance"
    totals: Totals
    progress: Progress
    # The lowest level of Dagster's own log that is shown; failures are listed at the end, with their reasons.
    log_level: str = "CRITICAL"
    # Whether large account tables are read whole, whatever is known about their changes.
    whole: bool = False
    # Tables and columns that may be treated as empty if they are hidden or gone.
    accepted: Sequence[str] = ()

    def account(self, account: "Account", days: tuple[date | None, date | None], *, sync: bool) -> None:
        """Do everything for one account; a failure is recorded, and the other accounts go on."""
        own, began = self.totals.of(account.name), time.monotonic()
        try:
            if sync:
                self._sync(account)
            self._look(account)
            tables, own.work = self.plan(account, *days)
            self._account_tables(account, tables)
            if self._days(account, own.work) and (tables or own.work or not self._has_current_reports(account)):
                self._reports(account)
            elif not tables and not own.work:
                self.progress.note(f"{account.name}: nothing changed since it was loaded")
        except KlaviyoAssetsError as error:
            self.totals.fail(account.name, "\n".join(filter(None, [error.what, error.fix])))
        own.seconds = time.monotonic() - began

    def portfolio(self) -> None:
        """Rebuild the views over all accounts, if there is more than one and a view is not as it would be created."""
        from klaviyo_assets.accounts import load_accounts
        from klaviyo_assets.defs.assets.portfolio import Portfolio
        from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS

        accounts = load_accounts()
        if len(accounts.names) < 2 or (
            not self.totals.stages[REPORT].partitions and Portfolio.of(accounts, bigquery()).is_current
        ):
            return
        parts = {PORTFOLIO: len(PORTFOLIO_VIEWS)}
        with self._task(f"portfolio: {len(PORTFOLIO_VIEWS)} views over all accounts", parts, "portfolio") as task:
            self._execute("portfolio", task, _keys([PORTFOLIO], PORTFOLIO_VIEWS))

    def _sync(self, account: "Account") -> None:
        import dagster as dg

        from klaviyo_assets.defs.assets.fivetran import sync_metadata
        from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment
        from klaviyo_assets.tables import TABLES

        with self.progress.task(f"{account.name}: Fivetran sync", kind="sync") as task:
            client = fivetran_from_environment()
            connection = account.fivetran_connection_id
            started = client.sync(connection)
            done = client.wait(
                connection, started.since, timeout_seconds=3600, interval_seconds=0.5,
                on_progress=lambda now: setattr(task, "doing", now.state),
            )  # fmt: skip
            raw = [table for table in TABLES.values() if table.raw]
            for table in raw:
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        [FIVETRAN, table.name], partition=account.name, metadata=sync_metadata(done, table.name)
                    )
                )
            summed = self.totals.stages[FIVETRAN]
            summed.partitions += len(raw)
            summed.seconds += task.seconds

    def _look(self, account: "Account") -> None:
        """Reach every system once: a wrong setting or a missing system is reported here, not by every partition."""
        from klaviyo_assets.destinations.bigquery.ledger import loaded_entries
        from klaviyo_assets.resources.s3 import S3ArchiveResource
        from klaviyo_assets.source.extraction import AccountSource, outside_warnings
        from klaviyo_assets.stages.vanished import refuse_losses

        with postgres().snapshot() as snapshot:
            source = AccountSource.open(account, snapshot, self.accepted)
            refuse_losses(source, loaded_entries(bigquery().dataset(account)))
            warnings = outside_warnings(account, source.events_outside(account.today()))
        self.totals.of(account.name).warnings += [*filter(None, [source.metrics.problem]), *warnings]
        S3ArchiveResource(bucket=required("S3_BUCKET")).archive.manifest(account.name, "metric", None)
        bigquery().dataset(account).ensure()

    def _account_tables(self, account: "Account", tables: Collection[str]) -> None:
        if not tables:
            return
        parts = dict.fromkeys(loading(), len(tables))
        with self._task(f"{account.name}: {plural(len(tables), 'account table')}", parts, "tables") as task:
            self._execute(
                account.name, task, _keys(loading(), tables), partition_key=account.name,
                config=self._reading("extract_tables"),
            )  # fmt: skip

    def _reading(self, step: str) -> dict[str, Any]:
        """The configuration of a step that reads."""
        chosen: dict[str, Any] = {"accept_empty": list(self.accepted)} if self.accepted else {}
        if self.whole and step == "extract_tables":
            chosen["whole"] = True
        return {"ops": {step: {"config": chosen}}} if chosen else {}

    def plan(self, account: "Account", first: date | None, last: date | None) -> tuple[list[str], list[Work]]:
        """The account tables and the ranges of days to load.

        They are the requested days with every account table, or else what changed since it was loaded.
        """
        from klaviyo_assets.tables import ACCOUNT_TABLES

        today, every_table = account.today(), [table.name for table in ACCOUNT_TABLES]
        last = min(last or today, today)
        if first is None:
            changed_tables, work = self._changed(account, last)
            return every_table if self.whole or self.accepted else changed_tables, work
        begin = max(first, account.start_date)
        if begin > first:
            self.progress.note(f"{account.name}: days before its start_date, {account.start_date}, are left out")
        return every_table, [Work(begin, last)] if begin <= last else []

    def _changed(self, account: "Account", last: date) -> tuple[list[str], list[Work]]:
        """The account tables and ranges of days that changed since they were loaded; the reasons are printed."""
        from klaviyo_assets.destinations.bigquery.ledger import current
        from klaviyo_assets.source.extraction import AccountSource
        from klaviyo_assets.stages.destinations import held_everywhere
        from klaviyo_assets.stages.planning import plan

        with self.progress.task(f"{account.name}: looking for changes", kind="looking"):
            entries = held_everywhere(current(bigquery().dataset(account)), account)
            with postgres().snapshot() as snapshot:
                source = AccountSource.open(account, snapshot, self.accepted)
                dirty_plan = plan(source, entries, account.start_date, last)
        for announcement in dirty_plan.announcements:
            self.progress.note(f"{account.name}: {announcement}")
        tables = list(dirty_plan.tables)
        if not dirty_plan.days and _has_no_events(entries):
            warning = f"there are no events since its start_date, {account.start_date}"
            self.totals.of(account.name).warnings.append(warning)
            # One empty day creates the tables that reports and views read.
            return tables, [Work(last, last)]
        return tables, [
            Work(*days, only) for only in (False, True) for days in dirty_plan.ranges(only_attribution=only)
        ]

    def _events(self, account: "Account", work: Work) -> None:
        from klaviyo_assets.tables import ATTRIBUTION, DAILY_TABLES, EVENT

        tables = [ATTRIBUTION] if work.only_attribution else DAILY_TABLES
        parts = dict.fromkeys(loading(), work.days * len(tables)) | {EXTRACTED: work.days}
        with self._task(f"{account.name}: {work}", parts, "days") as task:
            keys = _keys(loading(), [table.name for table in tables])
            if work.only_attribution:
                keys += _keys([EXTRACTED], [EVENT.name])
            self._execute(
                account.name, task, keys, tags=range_tags(account.name, work.first, work.last),
                config=self._reading("extract_events"),
            )  # fmt: skip

    def _days(self, account: "Account", days: list[Work]) -> bool:
        """Run every range; return False if days failed and none was loaded, so that there is nothing to report."""
        failed, loaded = len(self.totals.failures), self.totals.stages[BIGQUERY].partitions
        for work in days:
            self._events(account, work)
        return len(self.totals.failures) == failed or self.totals.stages[BIGQUERY].partitions > loaded

    def _reports(self, account: "Account") -> None:
        from klaviyo_assets.reports import REPORTS
        from klaviyo_assets.reports.views import VIEWS

        parts = {REPORT: len(REPORTS), VIEW: len(VIEWS)}
        with self._task(f"{account.name}: {len(REPORTS)} reports, {len(VIEWS)} views", parts, "reports") as task:
            keys = [*_keys([REPORT], REPORTS), *_keys([VIEW], VIEWS)]
            self._execute(account.name, task, keys, partition_key=account.name)

    def _has_current_reports(self, account: "Account") -> bool:
        from klaviyo_assets.stages.restating import is_current

        return is_current(account, bigquery().dataset(account))

    def _task(self, name: str, parts: Mapping[str, int], kind: str) -> Any:
        return self.progress.task(
            name,
            parts,
            kind=kind,
            usual={stage.name: stage.usual_seconds for stage in stages().values()},
            doing="preparing",
        )

    def _execute(
        self, account: str, task: Task, keys: "Sequence[AssetKey]", config: Mapping[str, Any] | None = None,
        **partition: Any,
    ) -> None:  # fmt: skip
        """Materialize assets.

        Raises:
            KeyboardInterrupt: it was stopped; Dagster records that and calls the run canceled.
        """
        from dagster._core.utils import make_new_run_id

        from klaviyo_assets.definitions import defs
        from klaviyo_assets.defs.run_launcher import PROCESS_TAG, this_process

        job, run_id = defs.resolve_implicit_global_asset_job_def(), make_new_run_id()
        # A run that is killed with this process is then marked as failed by the daemon.
        loggers = {"loggers": {"console": {"config": {"log_level": self.log_level}}}}
        tags = {"klaviyo/started_by": "cli", PROCESS_TAG: this_process(), **partition.pop("tags", {})}
        self.instance.add_event_listener(run_id, lambda entry: self._heard(entry.dagster_event, run_id, task))
        result = job.execute_in_process(
            instance=self.instance, asset_selection=keys, tags=tags, raise_on_error=False, run_id=run_id,
            run_config=loggers | dict(config or {}), **partition,
        )  # fmt: skip
        if any(_is_interruption(event) for event in result.all_events):
            # Dagster leaves the generators of interrupted steps to the garbage collector. They hold connections, which
            # cannot be closed in good order once the interpreter shuts down.
            gc.collect()
            raise KeyboardInterrupt
        for event in result.all_events:
            if event.is_step_failure:
                self.totals.fail(account, _reason(event))

    def _heard(self, event: Any, run_id: str, task: Task) -> None:
        """Count an event of a run as it happens."""
        if event is None:
            return
        if event.event_type_value == "ASSET_MATERIALIZATION":
            self._count(event.step_materialization_data.materialization, task)
        elif event.is_step_start:
            task.begin()
        elif event.is_step_success:
            task.complete(stage_of_step(event.step_key))
            self.totals.stages[stage_of_step(event.step_key)].seconds += event.step_success_data.duration_ms / 1000
        elif event.is_step_failure:
            task.complete(stage_of_step(event.step_key))
            if _is_interruption(event) and (run := self.instance.get_run_by_id(run_id)):
                # Without a request to end the run, Dagster would treat this as a failure, and somebody would be
                # alerted.
                self.instance.report_run_canceling(run)

    def _count(self, materialization: Any, task: Task) -> None:
        stage = materialization.asset_key.path[0]
        rows = _number(materialization.metadata, "dagster/partition_row_count")
        size = _number(materialization.metadata, "bytes")
        task.advance(stage, rows=rows, size=size)
        if stage == MAPPED:
            self._count_quarantine(materialization)
        summed = self.totals.stages[stage]
        summed.partitions, summed.rows, summed.bytes = summed.partitions + 1, summed.rows + rows, summed.bytes + size

    def _count_quarantine(self, materialization: Any) -> None:
        own = self.totals.of(parts_of(materialization.partition)[0])
        notes, dropped, undated = (
            _number(materialization.metadata, name) for name in ("notes", "rows_quarantined", "events_without_a_time")
        )
        own.values += max(notes - dropped, 0)
        own.rows += dropped + undated


def _has_no_events(entries: "Mapping[tuple[str, str], Entry]") -> bool:
    from klaviyo_assets.source.digests import NO_ROWS
    from klaviyo_assets.tables import EVENT

    return not any(entry.day and entry.source_digest != NO_ROWS for (table, _), entry in entries.items()
                   if table == EVENT.name)  # fmt: skip


def _quarantined(account: AccountSum, name: str) -> list[str]:
    if not account.values and not account.rows:
        return []
    return [
        f"{account.values:,} value(s) were left empty and {account.rows:,} row(s) left out, because they cannot be "
        f'right. See why: klaviyo-assets query -a {name} "SELECT table_name, field, rule, reason, COUNT(*) AS n FROM '
        'quarantine GROUP BY 1, 2, 3, 4 ORDER BY n DESC"'
    ]


def _keys(stage_names: Iterable[str], tables: Iterable[str]) -> "list[AssetKey]":
    import dagster as dg

    return [dg.AssetKey(key) for key in keys_of(stage_names, tables)]


def _number(metadata: Mapping[str, Any], name: str) -> int:
    return int(metadata[name].value) if name in metadata else 0


def _is_interruption(event: Any) -> bool:
    """Whether an event means that Ctrl-C, or a request to terminate, ended a step or the run."""
    data = event.event_specific_data
    error = getattr(data, "error", None) or getattr(data, "error_info", None)
    return getattr(error, "cls_name", None) in {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


def _reason(event: Any) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    cause = failure.error.cause or failure.error
    return f"{event.step_key}: {cause.message.strip()}"
