"""`klaviyo-assets extract`: raw tables from Postgres into files.

Here: options, which table is meant, progress and the summary. Not here: which columns and rows are read
(`extraction.py`, `schemas/sql.py`), and files (`cli/extract_files.py`).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes
from klaviyo_assets.cli.extract_files import FileFormat, Written, write
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, UnknownNameError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.extraction import AccountSource
    from klaviyo_assets.resources.postgres import PostgresResource
    from klaviyo_assets.spec import TableSpec

_DAY = ["%Y-%m-%d"]


def extract(
    table: Annotated[str, typer.Option("--table", "-t", help="Raw table, such as campaign or event.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; it is made.", file_okay=False)],
    start: Annotated[
        datetime | None,
        typer.Option(formats=_DAY, metavar="YYYY-MM-DD", help="First day, in the account's time zone; for event."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=_DAY, metavar="YYYY-MM-DD", help="Last day, inclusive; for event.")
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", "-a", help="Account of accounts.toml; may repeat. Default: all.")
    ] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Kind of file.")] = FileFormat.CSV,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a raw table from Postgres to files: OUT/account/table.csv, and OUT/account/event/day.csv for events.

    Rows are written as read, in one snapshot per account, PERSONAL DATA INCLUDED (the account's pii setting applies
    to mapped tables only). Files can be read by their owner alone (mode 0600).

    Example: klaviyo-assets extract --table event --start 2026-01-01 --end 2026-01-31 --out raw
    """
    with errors(verbose=verbose):
        spec = table_named(table)
        days = _days(spec, start, end)
        written, failed = _extract_all(spec, days, account, out, file_format)
        if as_json:
            console().print_json(json.dumps([asdict(file) for file in written], default=str))
        elif written:
            console().print(_summary(written))
        if failed:
            raise typer.Exit(FAILED)


def table_named(name: str) -> "TableSpec":
    """The raw table that a name means; `klaviyo_campaigns`, as earlier scripts called it, is `campaign`.

    Raises:
        UnknownNameError: it means none; the message lists those there are.
    """
    from klaviyo_assets.tables import TABLES

    raw_tables = {known: spec for known, spec in TABLES.items() if spec.raw}
    wanted = name.strip().lower().removeprefix("klaviyo_")
    for known, spec in raw_tables.items():
        if wanted in {known, *_plurals(known)}:
            return spec
    mend = "It is computed, not read; look at it with `klaviyo-assets query`." if wanted in TABLES else ""
    raise UnknownNameError("raw table", name, raw_tables, mend)


def _plurals(name: str) -> Iterator[str]:
    """`campaigns`; `list_persons` and `list_people`; and `tag` for `tags`, which is the table's own name."""
    yield f"{name}s"
    if name.endswith("person"):
        yield f"{name.removesuffix('person')}people"
    yield name.removesuffix("s")


def _days(spec: "TableSpec", start: datetime | None, end: datetime | None) -> list[date]:
    """The days of a daily table, inclusive; none for a table that has no days."""
    if not spec.is_daily:
        if start or end:
            notes().print(f"{spec.name} has no days: --start and --end are ignored, all rows are written.")
        return []
    if start is None or end is None:
        raise SettingsError(f"{spec.name} is cut by day. Give its first and last day: --start 2026-01-01 --end ...")
    if end < start:
        raise SettingsError(f"--end {end:%Y-%m-%d} is before --start {start:%Y-%m-%d}. Both are inclusive days.")
    return [start.date() + timedelta(days=number) for number in range((end - start).days + 1)]


def _extract_all(
    spec: "TableSpec", days: list[date], names: list[str] | None, out: Path, file_format: FileFormat
) -> tuple[list[Written], int]:
    """Write all accounts' files; which were written, and how many accounts failed. One does not stop the others."""
    from klaviyo_assets.accounts import load_accounts

    accounts, postgres = load_accounts(), systems.postgres()
    chosen = [accounts[name] for name in dict.fromkeys(names or accounts.names)]
    written: list[Written] = []
    failed = 0
    for account in chosen:
        try:
            with _working(f"{account.name}: reading {spec.name}"):
                for file in _extract_account(postgres, account, spec, days, out, file_format):
                    written.append(file)  # noqa: PERF402  what was written before a fault is listed too
        except KlaviyoAssetsError as error:
            if len(chosen) == 1:
                raise
            failed += 1
            notes().print(f"[red]{account.name}:[/red]", end=" ")
            notes().print(str(error), markup=False, soft_wrap=True)
    return written, failed


def _extract_account(
    postgres: "PostgresResource", account: "Account", spec: "TableSpec", days: Sequence[date], out: Path,
    file_format: FileFormat,
) -> Iterator[Written]:  # fmt: skip
    with postgres.snapshot() as snapshot:
        source = _source(account, snapshot)
        for warning in source.warnings(spec):
            notes().print(f"{account.name}: {warning}", markup=False, soft_wrap=True)
        if spec.name not in source.tables:
            return
        if not spec.is_daily:
            yield write(source, spec, None, out / account.name / f"{spec.name}.{file_format}", file_format)
        for day in days:
            yield write(source, spec, day, out / account.name / spec.name / f"{day}.{file_format}", file_format)


def _source(account: "Account", snapshot: Any) -> "AccountSource":
    """The account's schema, without the look at its metrics and attribution that only a mapping needs."""
    from klaviyo_assets.extraction import AccountSource

    tables = snapshot.tables(account.postgres_schema)
    # An empty schema is refused where every other reader refuses it.
    return AccountSource(account, snapshot, tables) if tables else AccountSource.open(account, snapshot)


def _working(doing: str) -> AbstractContextManager[Any]:
    """A spinner on a terminal; nothing when piped, where it would only be noise."""
    shown = notes()
    return shown.status(doing) if shown.is_terminal else nullcontext()


def _summary(written: list[Written]) -> Table:
    table = Table(box=None, pad_edge=False, show_footer=len(written) > 1)
    table.add_column("file", footer=f"{len(written):,} files", overflow="fold")
    table.add_column("rows", footer=f"{sum(file.rows for file in written):,}", justify="right", no_wrap=True)
    table.add_column("bytes", footer=f"{sum(file.bytes for file in written):,}", justify="right", no_wrap=True)
    for file in written:
        table.add_row(str(file.path), f"{file.rows:,}", f"{file.bytes:,}")
    return table
