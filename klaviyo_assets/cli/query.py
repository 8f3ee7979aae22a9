"""`klaviyo-assets query`: GoogleSQL against one account's dataset.

What belongs here: options, a refused query as an error, and the choice of a format. What does not: how rows look
(`cli/query_output.py`), and running a query (`destinations/bigquery/dataset.py`).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import Verbose, console, errors
from klaviyo_assets.cli.options import OneAccount
from klaviyo_assets.errors import KlaviyoAssetsError, NotFoundError, PermanentError, SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="GoogleSQL; table names need no dataset.")],
    account: OneAccount = None,
    output_format: Annotated[
        Format | None, typer.Option("--format", help="Default: table on a terminal, csv into a file or pipe.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also run statements other than a single SELECT: UPDATE, DROP, scripts, ...")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run GoogleSQL against an account's BigQuery dataset. Money (NUMERIC) is printed exactly, in JSON as text.

    Without --write, only a SELECT is run. BigQuery itself classifies the statement in a dry run, which is free.

    Example: klaviyo-assets query --account acme "SELECT metric, COUNT(*) AS events FROM event GROUP BY metric"
    """
    with errors(verbose=verbose):
        chosen = _account(account)
        rows = _answer(systems.bigquery().dataset(chosen), sql, chosen, write=write)
        with _reader_may_leave():
            _print(rows, output_format or (Format.TABLE if console().is_terminal else Format.CSV))


def _account(name: str | None) -> "Account":
    from klaviyo_assets.accounts import load_accounts

    accounts = load_accounts()
    if name is None and len(accounts.names) > 1:
        raise SettingsError(
            f"there are {len(accounts.names)} accounts: {', '.join(accounts.names)}", "Choose one with --account."
        )
    return accounts[name or accounts.names[0]]


def _answer(dataset: "BigQueryDataset", sql: str, account: "Account", *, write: bool) -> Any:
    """The client's row iterator.

    Raises:
        PermanentError: BigQuery refused the query (the message quotes it), or the statement is not a SELECT.
    """
    from klaviyo_assets.destinations.bigquery.errors import refusal_words

    try:
        if not write:
            _check_that_it_reads(dataset, sql)
        return dataset.query(sql)
    except PermanentError as error:
        words = refusal_words(error)
        if words is None:
            raise
        raise PermanentError(f"BigQuery refused the query: {words}", _fix(error, dataset, account)) from error


def _check_that_it_reads(dataset: "BigQueryDataset", sql: str) -> None:
    """Ask BigQuery in a dry run what kind of statement this is: its own parser decides, not ours."""
    kind = dataset.statement_kind(sql)
    if kind != "SELECT":
        raise PermanentError(
            f"the statement was not run: BigQuery classes it as {kind or 'an unknown kind'}, and without --write "
            "only a single SELECT may run",
            "Add --write to run it. The next load replaces its changes to loaded days and tables.",
        )


def _fix(error: PermanentError, dataset: "BigQueryDataset", account: "Account") -> str:
    if not isinstance(error, NotFoundError):
        return "Fix the SQL; places are [line:column]."
    tables = _tables(dataset)
    if not tables:
        return (
            f"{dataset.qualified} has no tables yet: load the account with `klaviyo-assets run --account "
            f"{account.name}`, or fix BIGQUERY_PROJECT and BIGQUERY_DATASET_PREFIX."
        )
    return f"{dataset.qualified} has: {', '.join(tables)}."


def _tables(dataset: "BigQueryDataset") -> list[str]:
    try:
        return sorted(dataset.tables())
    except KlaviyoAssetsError:
        return []


def _print(rows: Any, output_format: Format) -> None:
    from klaviyo_assets.cli import query_output

    if output_format is Format.TABLE:
        query_output.print_table(rows, console())
    elif output_format is Format.CSV:
        query_output.write_csv(rows, sys.stdout)
    else:
        query_output.write_json(rows, sys.stdout)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """`| head` closes the pipe before all rows are written, which is not a failure."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
