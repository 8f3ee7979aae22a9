"""`klaviyo-assets verify`: check that rows and money are the same from Postgres to the reports.

Here: options, one account after another, progress, the exit code. Not here: the equations (`audit/reconciliation/`),
and how results look (`cli/verify_output.py`).
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes
from klaviyo_assets.cli.options import DAY, AccountNames, days_between
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.errors import KlaviyoAssetsError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.audit.reconciliation import Reconciliation

# The actions that a reconciliation reports, in order: two counts, the archive, the reports.
_STEPS = 4


def verify(
    start: Annotated[
        datetime | None,
        typer.Option(formats=DAY, metavar="YYYY-MM-DD", help="First day, in the account's time zone. Default: its "
                     "start_date."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar="YYYY-MM-DD", help="Last day, inclusive. Default: today.")
    ] = None,
    account: AccountNames = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also read and hash every archived object.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Prove that rows and money are conserved from Postgres to the reports, day by day and to the cent.

    Compares Postgres as it is now, the ledger, the archive, BigQuery and the reports. Writes nothing. Exit 0: all
    equations hold (warnings are allowed); 1: something differs, and it says what to do.

    Example: klaviyo-assets verify --start 2026-01-01 --end 2026-01-31
    """
    with errors(verbose=verbose, stopped="Nothing was changed."):
        wanted = days_between(start, end)
        done, failed = _verify_all(_accounts(account), wanted, deep=deep)
        _show(done, as_json=as_json)
        if failed or not all(one.holds for one in done):
            raise typer.Exit(FAILED)


def _accounts(names: list[str] | None) -> "list[Account]":
    from klaviyo_assets.accounts import load_accounts

    accounts = load_accounts()
    for setting in ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        systems.required(setting)
    return [accounts[name] for name in dict.fromkeys(names or accounts.names)]


def _verify_all(
    chosen: "list[Account]", wanted: tuple[date | None, date | None], *, deep: bool
) -> "tuple[list[Reconciliation], int]":
    """Every account's result, and the number of accounts that could not be checked; a failure stops no others."""
    done: list[Reconciliation] = []
    progress = Progress(notes())
    failed = 0
    for account in chosen:
        try:
            done += _verify(account, wanted, progress, deep=deep)
        except KlaviyoAssetsError as error:
            if len(chosen) == 1:
                raise
            failed += 1
            notes().print(Text(f"{account.name}: {error}", style="red"), soft_wrap=True)
    return done, failed


def _verify(
    account: "Account", wanted: tuple[date | None, date | None], progress: Progress, *, deep: bool
) -> "Iterator[Reconciliation]":
    from klaviyo_assets.audit.reconciliation import reconcile
    from klaviyo_assets.resources.s3 import S3ArchiveResource
    from klaviyo_assets.source.extraction import AccountSource

    first, last = max(wanted[0] or account.start_date, account.start_date), min(wanted[1] or date.max, account.today())
    if first > last:
        progress.note(f"{account.name}: there is no day to verify from its start_date, {account.start_date}, to today.")
        return
    archive = S3ArchiveResource(bucket=systems.required("S3_BUCKET")).archive
    name = f"{account.name}, {first} to {last}"
    with progress.task(name, {"steps": _STEPS}, kind="verify", stays=False) as task:
        with systems.postgres().snapshot() as snapshot:
            source = AccountSource.open(account, snapshot)
            yield reconcile(source, archive, systems.bigquery().dataset(account), first, last, deep=deep, say=task.step)


def _show(done: "list[Reconciliation]", *, as_json: bool) -> None:
    from klaviyo_assets.cli import verify_output

    output = console()
    if as_json:
        output.print_json(
            json.dumps([verify_output.as_json(reconciliation) for reconciliation in done], ensure_ascii=False)
        )
        return
    for reconciliation in done:
        verify_output.show(reconciliation, output)
