"""`klaviyo-assets run`: the whole pipeline, through the same assets as the UI, on the same Dagster instance.

Here: options, order, progress and the closing tables. Not here: what the assets do.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from klaviyo_assets.cli import closing
from klaviyo_assets.cli.console import FAILED, Verbose, console, errors, notes
from klaviyo_assets.cli.systems import bigquery, postgres, required
from klaviyo_assets.errors import SettingsError

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult

    from klaviyo_assets.accounts import Account

STAGES = ("fivetran", "extracted", "mapped", "s3_archive", "bigquery", "report", "view", "portfolio")
_SHOWN_ERRORS = 8


@dataclass
class StageSum:
    """What one stage did in this command."""

    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass
class Totals:
    """What all stages did, and what failed."""

    stages: dict[str, StageSum] = field(default_factory=lambda: {stage: StageSum() for stage in STAGES})
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """Days to make again, `first` to `last`; `only_attribution`: their events stay as they are."""

    first: date
    last: date
    only_attribution: bool = False


def run(
    start: Annotated[str | None, typer.Option(help="First day (YYYY-MM-DD) of the account's time zone.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, inclusive. Default: today.")] = None,
    account: Annotated[list[str] | None, typer.Option("--account", "-a", help="May repeat. Default: all.")] = None,
    source: Annotated[str, typer.Option(help="Where data come from; `fivetran` is the one there is.")] = "fivetran",
    upload_s3: Annotated[str | None, typer.Option(help="s3://bucket/prefix, instead of S3_BUCKET, S3_PREFIX.")] = None,
    sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Sync with Fivetran first, and wait for it.")] = True,
    verbose: Verbose = False,
) -> None:
    """Sync, extract, map, check, archive, load and report. Without days: every day that changed since it was loaded.

    Days given with --start are made again whether they changed or not.

    Example: klaviyo-assets run --start 2026-01-01 --end 2026-01-31 --account acme
    """
    with errors(verbose=verbose):
        if source != "fivetran":
            raise SettingsError(f"--source {source!r}; allowed: fivetran")
        _use_archive(upload_s3)
        wanted = _days(start, end)
        from klaviyo_assets.accounts import load_accounts

        accounts = load_accounts()
        chosen = [accounts[name] for name in account or accounts.names]
        _check_settings(chosen)
        totals = _run_accounts(chosen, wanted, sync=sync)
        _conclude(totals, chosen)
        if totals.failures:
            raise typer.Exit(FAILED)


def _check_settings(accounts: "list[Account]") -> None:
    """Refuse at once what would fail in every partition.

    Raises:
        SettingsError: naming the setting that is missing.
    """
    from klaviyo_assets.resources.privacy import PrivacyResource

    for name in ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        required(name)
    for account in accounts:
        PrivacyResource().of(account)


def _use_archive(address: str | None) -> None:
    import os

    if address is None:
        return
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or not bucket:
        raise SettingsError(f"--upload-s3 {address!r}; allowed: s3://bucket or s3://bucket/prefix")
    os.environ["S3_BUCKET"] = bucket
    if prefix:
        os.environ["S3_PREFIX"] = prefix


def _days(start: str | None, end: str | None) -> tuple[date | None, date | None]:
    try:
        first, last = (date.fromisoformat(day) if day else None for day in (start, end))
    except ValueError as error:
        raise SettingsError(f"--start {start!r}, --end {end!r}: allowed are days such as 2026-01-31") from error
    if last and not first:
        raise SettingsError("--end without --start; give both, or neither for every day that changed")
    if first and last and first > last:
        raise SettingsError(f"--start {first} lies after --end {last}; give the earlier day first")
    return first, last


def _run_accounts(chosen: "list[Account]", wanted: tuple[date | None, date | None], *, sync: bool) -> Totals:
    from klaviyo_assets.cli.project import instance

    totals = Totals()
    with _quiet_dagster(), instance() as made, _Progress(notes()) as progress:
        pipeline = Pipeline(made, totals, progress)
        for account in chosen:
            pipeline.account(account, wanted, sync=sync)
        pipeline.portfolio()
    return totals


@dataclass
class Pipeline:
    """Runs the graph for one account after the other."""

    instance: "DagsterInstance"
    totals: Totals
    progress: "_Progress"

    def account(self, account: "Account", wanted: tuple[date | None, date | None], *, sync: bool) -> None:
        """Everything for one account; a failure is noted and the other accounts go on."""
        from klaviyo_assets.errors import KlaviyoAssetsError

        try:
            if sync:
                self._sync(account)
            self._look(account)
            self._dimensions(account)
            if self._days(account, self._work(account, *wanted)):
                self._reports(account)
        except KlaviyoAssetsError as error:
            self.totals.failures.append(f"{account.name}: {error}")

    def portfolio(self) -> None:
        """The views over all accounts, where there is more than one."""
        import dagster as dg

        from klaviyo_assets.accounts import load_accounts
        from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS

        if len(load_accounts().names) < 2:
            return
        with self.progress.task(f"portfolio: {len(PORTFOLIO_VIEWS)} views over all accounts"):
            self._take("portfolio", self._execute([dg.AssetKey(["portfolio", name]) for name in PORTFOLIO_VIEWS]))

    def _sync(self, account: "Account") -> None:
        import dagster as dg

        from klaviyo_assets.assets.fivetran import sync_metadata
        from klaviyo_assets.resources.fivetran import fivetran_from_environment
        from klaviyo_assets.tables import TABLES

        with self.progress.task(f"{account.name}: Fivetran sync"):
            began = time.monotonic()
            client = fivetran_from_environment()
            connection = account.fivetran_connection_id
            started = client.sync(connection)
            done = client.wait(connection, started.since, timeout_seconds=3600, interval_seconds=0.5)
            raw = [table for table in TABLES.values() if table.raw]
            for table in raw:
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        ["fivetran", table.name], partition=account.name, metadata=sync_metadata(done, table.name)
                    )
                )
            summed = self.totals.stages["fivetran"]
            summed.partitions += len(raw)
            summed.seconds += time.monotonic() - began

    def _look(self, account: "Account") -> None:
        """Reach every system once: what is wrong with a setting is said here, not by every partition."""
        from klaviyo_assets.extraction import AccountSource
        from klaviyo_assets.resources.s3 import S3ArchiveResource

        with postgres().snapshot() as snapshot:
            AccountSource.open(account, snapshot)
        S3ArchiveResource(bucket=required("S3_BUCKET")).archive.manifest(account.name, "metric", None)
        bigquery().dataset(account).ensure()

    def _dimensions(self, account: "Account") -> None:
        from klaviyo_assets.tables import ACCOUNT_TABLES

        with self.progress.task(f"{account.name}: {len(ACCOUNT_TABLES)} account tables"):
            keys = _keys([table.name for table in ACCOUNT_TABLES])
            self._take(account.name, self._execute(keys, partition_key=account.name))

    def _work(self, account: "Account", first: date | None, last: date | None) -> list[Work]:
        today = account.today()
        last = min(last or today, today)
        if first is None:
            return self._changed(account, last)
        begin = max(first, account.start_date)
        if begin > first:
            self.progress.note(f"{account.name}: days before its start_date, {account.start_date}, are left out")
        return [Work(begin, last)] if begin <= last else []

    def _changed(self, account: "Account", last: date) -> list[Work]:
        """Ranges of the days that changed since they were loaded, having said why."""
        from klaviyo_assets.extraction import AccountSource
        from klaviyo_assets.ledger import current
        from klaviyo_assets.planning import plan

        with self.progress.task(f"{account.name}: looking for days that changed"):
            entries = current(bigquery().dataset(account))
            with postgres().snapshot() as snapshot:
                found = plan(AccountSource.open(account, snapshot), entries, account.start_date, last)
        for announcement in found.announcements:
            self.progress.note(f"{account.name}: {announcement}")
        return [Work(*days, only) for only in (False, True) for days in found.ranges(only_attribution=only)]

    def _events(self, account: "Account", work: Work) -> None:
        import dagster as dg

        from klaviyo_assets.partitions import range_tags
        from klaviyo_assets.tables import ATTRIBUTION, DAILY_TABLES, EVENT

        what = "attribution" if work.only_attribution else "events"
        with self.progress.task(f"{account.name}: {what} of {work.first} to {work.last}"):
            keys = _keys([table.name for table in DAILY_TABLES])
            if work.only_attribution:
                keys = [dg.AssetKey(["extracted", EVENT.name]), *_keys([ATTRIBUTION.name])]
            self._take(account.name, self._execute(keys, tags=range_tags(account.name, work.first, work.last)))

    def _days(self, account: "Account", days: list[Work]) -> bool:
        """Every range; False when days failed and none was loaded, so that there is nothing to report."""
        failed, loaded = len(self.totals.failures), self.totals.stages["bigquery"].partitions
        for work in days:
            self._events(account, work)
        return len(self.totals.failures) == failed or self.totals.stages["bigquery"].partitions > loaded

    def _reports(self, account: "Account") -> None:
        import dagster as dg

        from klaviyo_assets.reports import REPORTS
        from klaviyo_assets.reports.views import VIEWS

        with self.progress.task(f"{account.name}: {len(REPORTS)} reports, {len(VIEWS)} views"):
            keys = [dg.AssetKey(["report", name]) for name in REPORTS] + [dg.AssetKey(["view", name]) for name in VIEWS]
            self._take(account.name, self._execute(keys, partition_key=account.name))

    def _execute(self, keys: "list[AssetKey]", **partition: Any) -> "ExecuteInProcessResult":
        from klaviyo_assets.definitions import defs
        from klaviyo_assets.run_launcher import PROCESS_TAG, this_process

        job = defs.resolve_implicit_global_asset_job_def()
        # A run that is killed with this process is then marked as failed by the daemon.
        tags = {"klaviyo/started_by": "cli", PROCESS_TAG: this_process(), **partition.pop("tags", {})}
        return job.execute_in_process(
            instance=self.instance, asset_selection=keys, tags=tags, raise_on_error=False, **partition
        )

    def _take(self, account: str, result: "ExecuteInProcessResult") -> None:
        for event in result.all_events:
            if event.event_type_value == "ASSET_MATERIALIZATION":
                self._count(event)
            elif event.is_step_success or event.is_step_failure:
                self._time(event)
            if event.is_step_failure and (failure := f"{account}: {_reason(event)}") not in self.totals.failures:
                self.totals.failures.append(failure)

    def _count(self, event: Any) -> None:
        materialization = event.step_materialization_data.materialization
        summed = self.totals.stages[materialization.asset_key.path[0]]
        summed.partitions += 1
        summed.rows += _number(materialization.metadata, "dagster/partition_row_count")
        summed.bytes += _number(materialization.metadata, "bytes")

    def _time(self, event: Any) -> None:
        stages = {
            "extract": "extracted", "map": "mapped", "archive": "s3_archive", "load": "bigquery",
            "restate": "report", "create_views": "view", "create_portfolio": "portfolio",
        }  # fmt: skip
        stage = next(stage for step, stage in stages.items() if event.step_key.startswith(step))
        if event.is_step_success:
            self.totals.stages[stage].seconds += event.step_success_data.duration_ms / 1000


def _keys(tables: list[str]) -> "list[AssetKey]":
    import dagster as dg

    return [
        dg.AssetKey([stage, table])
        for stage in ("extracted", "mapped", "s3_archive", "bigquery")
        for table in tables
        if (stage, table) != ("extracted", "attribution")
    ]


def _number(metadata: Mapping[str, Any], name: str) -> int:
    return int(metadata[name].value) if name in metadata else 0


def _reason(event: Any) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    cause = failure.error.cause or failure.error
    return f"{event.step_key}: {cause.message.strip()}"


def _conclude(totals: Totals, accounts: "list[Account]") -> None:
    shown = console()
    shown.print(closing.stage_table(totals.stages, failed=bool(totals.failures)))
    for failure in totals.failures[:_SHOWN_ERRORS]:
        notes().print(f"failed: {failure}", style="red", markup=False)
    if len(totals.failures) > _SHOWN_ERRORS:
        notes().print(f"and {len(totals.failures) - _SHOWN_ERRORS} more")
    if not totals.failures:
        lines = max(3, closing.LINES // len(accounts))
        for account in accounts[: closing.LINES // 3]:
            sends = closing.latest_campaigns(bigquery().dataset(account), lines)
            if sends:
                shown.print(closing.statistics_table(account, sends))
        closing.show_where_next(shown)


@contextmanager
def _quiet_dagster() -> Iterator[None]:
    """Dagster logs every event to standard error; the progress display says what matters."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Progress:
    """A line per task: a spinner on a terminal, plain lines when piped."""

    def __init__(self, shown: Console) -> None:
        self._shown = shown

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, text: str) -> None:
        """Say something in passing."""
        self._shown.print(text, style="yellow", markup=False)

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        """Show that something is under way, and how long it took."""
        began = time.monotonic()
        if self._shown.is_terminal:
            with self._shown.status(name):
                yield
        else:
            yield
        self._shown.print(f"{name} [dim]({time.monotonic() - began:.1f} s)[/dim]")
