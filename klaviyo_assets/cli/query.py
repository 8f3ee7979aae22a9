"""`klaviyo-assets query`: GoogleSQL against one account's dataset.

Here: options, what BigQuery said in two lines, and which format is printed. Not here: how rows look
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
from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="GoogleSQL; tables need no dataset before their name.")],
    account: OneAccount = None,
    shown_as: Annotated[
        Format | None, typer.Option("--format", help="Default: table on a terminal, csv into a file or pipe.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also run what is not a single SELECT: UPDATE, DROP, scripts, ...")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run GoogleSQL against an account's BigQuery dataset. Money (NUMERIC) is printed exactly, in JSON as text.

    Only a SELECT is run, unless you add --write. BigQuery is asked beforehand what the statement is; that is free.

    Example: klaviyo-assets query --account acme "SELECT metric, COUNT(*) AS events FROM event GROUP BY metric"
    """
    with errors(verbose=verbose):
        chosen = _account(account)
        rows = _answer(systems.bigquery().dataset(chosen), sql, chosen, write=write)
        with _reader_may_leave():
            _print(rows, shown_as or (Format.TABLE if console().is_terminal else Format.CSV))


def _account(name: str | None) -> "Account":
    from klaviyo_assets.accounts import load_accounts

    accounts = load_accounts()
    if name is None and len(accounts.names) > 1:
        raise SettingsError(
            f"there are {len(accounts.names)} accounts: {', '.join(accounts.names)}. Say which one with --account."
        )
    return accounts[name or accounts.names[0]]


def _answer(dataset: "BigQueryDataset", sql: str, account: "Account", *, write: bool) -> Any:
    """The client's row iterator.

    Raises:
        PermanentError: BigQuery refused the query, in its words and with what may help; or it is none that only reads.
    """
    try:
        if not write:
            _check_that_it_reads(dataset, sql)
        return dataset.query(sql)
    except PermanentError as error:
        said = _said(error)
        if said is None:
            raise
        raise PermanentError(f"BigQuery refused the query: {said}. {_mend(said, dataset, account)}") from error


def _check_that_it_reads(dataset: "BigQueryDataset", sql: str) -> None:
    """Ask BigQuery, in a dry run, what the statement is: its own parser decides, not ours."""
    kind = dataset.statement_kind(sql)
    if kind != "SELECT":
        raise PermanentError(
            f"nothing was run: to BigQuery this is {kind or 'of no known kind'}, and without --write only a single "
            "SELECT is run. Add --write to run it; a later load replaces what it changes in loaded days and tables."
        )


def _said(error: PermanentError) -> str | None:
    """BigQuery's own sentence: the client wraps it in the request, the job id and the location."""
    from google.api_core.exceptions import BadRequest, NotFound

    refusal = error.__cause__
    if not isinstance(refusal, BadRequest | NotFound):
        return None
    said = next((str(found["message"]) for found in refusal.errors if found.get("message")), str(refusal.message))
    # A full stop ends the first line of an error, so within it a sentence ends otherwise.
    return " ".join(said.split()).rstrip(".").replace(". ", "; ")


def _mend(said: str, dataset: "BigQueryDataset", account: "Account") -> str:
    if "Not found: " not in said:
        return "Mend the SQL; places are [line:column]."
    tables = _tables(dataset)
    if not tables:
        return (
            f"{dataset.qualified} holds no table yet: load the account with `klaviyo-assets run --account "
            f"{account.name}`, or mend BIGQUERY_PROJECT and BIGQUERY_DATASET_PREFIX."
        )
    return f"{dataset.qualified} has: {', '.join(tables)}."


def _tables(dataset: "BigQueryDataset") -> list[str]:
    try:
        return sorted(dataset.tables())
    except KlaviyoAssetsError:
        return []


def _print(rows: Any, shown_as: Format) -> None:
    from klaviyo_assets.cli import query_output

    if shown_as is Format.TABLE:
        query_output.print_table(rows, console())
    elif shown_as is Format.CSV:
        query_output.write_csv(rows, sys.stdout)
    else:
        query_output.write_json(rows, sys.stdout)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """`| head` closes the pipe before all rows are written: that is no failure."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
