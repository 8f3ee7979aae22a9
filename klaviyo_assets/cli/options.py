"""Options that several commands share, and what a shell completes for them.

Here: `--account`, `--table`, days. Not here: options of one command (its own file), `-v` and `--json` (`console.py`).

Completion runs whenever the tab key is pressed: it imports nothing heavy, and offers nothing if it cannot know.
"""

from contextlib import suppress
from datetime import date, datetime
from importlib.resources import files
from typing import Annotated

import typer

from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError

DAY = ["%Y-%m-%d"]
# This table is computed from others, so there is no raw table of that name.
_NOT_RAW = {"attribution"}


def account_names(incomplete: str) -> list[str]:
    """Names of accounts with this prefix; none if the accounts file cannot be read."""
    from klaviyo_assets.accounts import load_accounts

    with suppress(KlaviyoAssetsError):
        return [name for name in load_accounts().names if name.startswith(incomplete)]
    return []


def raw_table_names(incomplete: str) -> list[str]:
    """Names of raw tables with this prefix, from the names of the files that declare them."""
    modules = (entry.name for entry in files("klaviyo_assets.tables").iterdir() if entry.name.endswith(".py"))
    names = {name.removesuffix(".py") for name in modules if not name.startswith("_")} - _NOT_RAW
    return sorted(name for name in names if name.startswith(incomplete))


AccountNames = Annotated[
    list[str] | None,
    typer.Option(
        "--account", "-a", metavar="NAME", help="Account in accounts.toml; can be repeated. Default: all.",
        autocompletion=account_names,
    ),
]  # fmt: skip
OneAccount = Annotated[
    str | None,
    typer.Option(
        "--account", "-a", metavar="NAME", help="Account in accounts.toml. Default: the only one.",
        autocompletion=account_names,
    ),
]  # fmt: skip


def days_between(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    """The two days of `--start` and `--end`.

    Raises:
        SettingsError: the first day is after the last.
    """
    if start and end and start > end:
        raise SettingsError(f"--start {start:%Y-%m-%d} is after --end {end:%Y-%m-%d}", "Give the earlier day first.")
    return start.date() if start else None, end.date() if end else None
