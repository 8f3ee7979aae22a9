"""`klaviyo-assets report`: the numbers of some days as one HTML file.

Here: options, the choice of days, and where the file goes. Not here: what the page shows (`publishing/html_report/`).
"""

import os
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import FAILED, Verbose, console, errors, notes
from klaviyo_assets.cli.options import DAY, AccountNames, days_between
from klaviyo_assets.errors import SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.publishing.html_report import Report

DEFAULT_DAYS = 30


def report(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The HTML file to write.")],
    start: Annotated[
        datetime | None,
        typer.Option(formats=DAY, metavar="YYYY-MM-DD", help=f"First day. Default: {DEFAULT_DAYS} days with the last "
                     "one."),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(formats=DAY, metavar="YYYY-MM-DD", help="Last day, inclusive. Default: the last day that is over "
                     "in every account's time zone."),
    ] = None,
    account: AccountNames = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the file in the browser.")] = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Write a report of some days, compared with the days before, as one HTML file that needs no network.

    Reads BigQuery only, what Looker Studio shows too. Exit 0: written; 1: it could not be made, or its numbers do not
    add up to the loaded events (it is written, and says so).

    Example: klaviyo-assets report --start 2026-01-01 --end 2026-01-31 --out january.html
    """
    with errors(verbose=verbose, stopped="No file was written."):
        chosen = _accounts(account)
        days = _days(*days_between(start, end), chosen)
        with _progress() as say:
            html_report = _html_report(chosen, days, say)
        written = _written(html_report.html, out)
        _tell(html_report, written, days)
        if open_it:
            webbrowser.open(written.as_uri())
        if html_report.broken:
            raise typer.Exit(FAILED)


def _accounts(names: list[str] | None) -> "list[Account]":
    from klaviyo_assets.accounts import load_accounts

    accounts = load_accounts()
    return [accounts[name] for name in dict.fromkeys(names or accounts.names)]


def _days(start: date | None, end: date | None, accounts: "list[Account]") -> tuple[date, date]:
    """The first and last day; by default only days that are over."""
    last = end or min(account.today() for account in accounts) - timedelta(days=1)
    first = start or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise SettingsError(f"--start {first} is after the last day, {last}", "Give the earlier day first.")
    return first, last


def _html_report(accounts: "list[Account]", days: tuple[date, date], say: Callable[[str], None]) -> "Report":
    from klaviyo_assets.publishing.html_report import make_report

    bigquery = systems.bigquery()
    return make_report(accounts, {each.name: bigquery.dataset(each) for each in accounts}, *days, say=say)


def _written(html: str, out: Path) -> Path:
    """Write the file as a whole or not at all, and return its absolute path.

    Raises:
        SettingsError: the folder does not exist or is not writable.
    """
    target = out.expanduser().absolute()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_text(html, encoding="utf-8")
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise SettingsError(
            f"cannot write --out {out}: {error.strerror}", "Choose a file in a folder that exists and is writable."
        ) from error
    return target


def _tell(html_report: "Report", written: Path, days: tuple[date, date]) -> None:
    output = console()
    output.print(f"Report of {days[0]} to {days[1]}: {written}", markup=False, soft_wrap=True)
    if html_report.empty:
        account_names = ", ".join(html_report.empty)
        notes().print(
            f"There is nothing to show for {account_names}; the page says why.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    for name in html_report.broken:
        notes().print(
            f"{name}: the reports do not add up to the loaded events. Run `klaviyo-assets verify --account {name}` to "
            "see what to do.", style="red", markup=False, soft_wrap=True,
        )  # fmt: skip


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A spinner with the current action on a terminal; nothing in a pipe."""
    notes_console = notes()
    if not notes_console.is_terminal:
        yield lambda _: None
        return
    with notes_console.status("report") as status:
        yield lambda doing: status.update(doing)
