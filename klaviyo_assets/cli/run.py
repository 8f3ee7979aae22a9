"""`klaviyo-assets run`: the whole pipeline, through the same assets as the UI, on the same Dagster instance.

Here: options, early refusals, and the closing output. Not here: the order of the work (`pipeline.py`), and what the
assets do.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from klaviyo_assets.cli import closing
from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes, screen
from klaviyo_assets.cli.options import AccountNames
from klaviyo_assets.cli.pipeline import Pipeline, Totals
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.cli.systems import bigquery, required
from klaviyo_assets.errors import SettingsError
from klaviyo_assets.text import plural

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account

_SHOWN_ERRORS = 8
_STOPPED = "What was loaded stays; `klaviyo-assets run` does the rest."


def run(
    start: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="First day, in the account's time zone.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day, inclusive. Default: today.")
    ] = None,
    account: AccountNames = None,
    source: Annotated[str, typer.Option(help="Where the data come from; only `fivetran` is supported.")] = "fivetran",
    upload_s3: Annotated[
        str | None,
        typer.Option(metavar="S3_URI", help="Archive to s3://bucket/prefix, instead of S3_BUCKET and S3_PREFIX."),
    ] = None,
    upload_to_s3: Annotated[str | None, typer.Option(hidden=True, help="Older name of --upload-s3.")] = None,
    sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Sync with Fivetran first, and wait for it.")] = True,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read large account tables whole, not only what changed: after a fault.")
    ] = False,
    accept_empty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE[.COLUMN]",
            help="Treat this table or column as empty if it is hidden or gone from Postgres, and empty it in BigQuery. "
            "Can be repeated.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which days would be loaded.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Sync, extract, map, check, archive, load and report. Without days: every day that changed since it was loaded.

    Days given with --start are rebuilt whether they changed or not.

    Example: klaviyo-assets run --start 2026-01-01 --end 2026-01-31 --account acme
    """
    with errors(verbose=verbose, stopped=_STOPPED):
        if source != "fivetran":
            raise SettingsError(f"--source {source!r} is not supported", "Allowed: fivetran.")
        _use_archive(upload_s3 or upload_to_s3)
        days = _days(start, end)
        chosen, accepted = _accounts(account), _accepted(accept_empty or [])
        _check_settings(chosen)
        totals = _run_accounts(
            chosen, days, sync=sync, whole=whole, accepted=accepted, dry_run=dry_run, verbose=verbose
        )
        if as_json:
            console().print_json(json.dumps(closing.document(totals, dry_run=dry_run), ensure_ascii=False))
        elif dry_run:
            _show_plan(totals)
        else:
            _conclude(totals, chosen)
        for warning in totals.warnings:
            notes().print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
        _show_failures(totals, everything=verbose)
        if totals.failures:
            raise typer.Exit(FAILED)


def _accounts(names: list[str] | None) -> "list[Account]":
    from klaviyo_assets.accounts import load_accounts

    accounts = load_accounts()
    return [accounts[name] for name in dict.fromkeys(names or accounts.names)]


def _accepted(names: list[str]) -> list[str]:
    """The tables and columns that may be treated as empty.

    Raises:
        UnknownNameError: no table of that name is read.
    """
    from klaviyo_assets.source.catalog import accepted_names

    return sorted(accepted_names(names))


def _check_settings(accounts: "list[Account]") -> None:
    """Refuse now what would otherwise fail in every partition.

    Raises:
        SettingsError: a setting is missing; the message names it.
    """
    from klaviyo_assets.resources.privacy import PrivacyResource

    for name in ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        required(name)
    for account in accounts:
        PrivacyResource().of(account)


def _use_archive(address: str | None) -> None:
    if address is None:
        return
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or not bucket:
        raise SettingsError(
            f"--upload-s3 {address!r} is not an S3 address", "Allowed: s3://bucket or s3://bucket/prefix."
        )
    if "{" in prefix or prefix.endswith((".csv", ".json", ".parquet")):
        raise SettingsError(
            f"--upload-s3 {address!r} names a file",
            "Give a folder, such as s3://bucket/prefix: the archive keeps one Parquet file per table and day. "
            "`extract` writes CSV files.",
        )
    os.environ["S3_BUCKET"] = bucket
    if prefix:
        os.environ["S3_PREFIX"] = prefix


def _days(start: str | None, end: str | None) -> tuple[date | None, date | None]:
    first, last = _day("--start", start), _day("--end", end)
    if last and not first:
        raise SettingsError("--end was given without --start", "Give both, or neither to load every day that changed.")
    if first and last and first > last:
        raise SettingsError(f"--start {first} is after --end {last}", "Give the earlier day first.")
    return first, last


def _day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise SettingsError(f"{option} {text!r} is not a date", "Allowed: a date such as 2026-01-31.") from error


def _run_accounts(
    chosen: "list[Account]", days: tuple[date | None, date | None], *, sync: bool, whole: bool, accepted: list[str],
    dry_run: bool, verbose: bool,
) -> Totals:  # fmt: skip
    from klaviyo_assets.cli.project import instance

    totals = Totals()
    with _quiet_dagster(), instance() as dagster, screen() as display:
        pipeline = Pipeline(dagster, totals, Progress(display), "ERROR" if verbose else "CRITICAL", whole, accepted)
        for account in chosen:
            if dry_run:
                _, totals.of(account.name).work = pipeline.plan(account, *days)
            else:
                pipeline.account(account, days, sync=sync)
        if not dry_run:
            pipeline.portfolio()
    return totals


def _show_plan(totals: Totals) -> None:
    for name, account in totals.accounts.items():
        for work in account.work:
            console().print(f"{name}: would load {work} ({plural(work.days, 'day')})")
        if not account.work:
            console().print(f"{name}: nothing changed; no day would be loaded")


def _conclude(totals: Totals, accounts: "list[Account]") -> None:
    screen_console = console()
    if any(done.partitions for done in totals.stages.values()):
        screen_console.print(closing.stage_table(totals.stages, failed=bool(totals.failures)))
    if totals.failures:
        return
    lines = max(3, closing.LINES // len(accounts))
    for account in accounts[: closing.LINES // 3]:
        sends = closing.latest_campaigns(bigquery().dataset(account), lines)
        if sends:
            screen_console.print(closing.statistics_table(account, sends, screen_console.width))
    closing.show_where_next(screen_console, accounts[0].name, local=bool(os.environ.get("BIGQUERY_EMULATOR_HOST")))


def _show_failures(totals: Totals, *, everything: bool) -> None:
    output = notes()
    failures = totals.failures if everything else totals.failures[:_SHOWN_ERRORS]
    for failure in failures:
        first, *others = failure.splitlines()
        output.print(Text(f"failed: {first}", style="red"), soft_wrap=True)
        for line in filter(None, others):
            output.print(Text(f"  {line}"), soft_wrap=True)
    if len(totals.failures) > len(failures):
        output.print(f"and {len(totals.failures) - len(failures)} more; -v lists all")


@contextmanager
def _quiet_dagster() -> Iterator[Any]:
    """Silence Dagster, which logs every event to standard error; the progress display shows what matters."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
