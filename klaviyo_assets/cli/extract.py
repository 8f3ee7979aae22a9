"""`klaviyo-assets extract`: raw tables from Postgres into files.

What belongs here: options, the choice of the table, progress and the summary. What does not: which columns and rows are
read (`source/extraction.py`, `source/sql.py`), and files (`cli/extract_files.py`).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes
from klaviyo_assets.cli.extract_files import FileFormat, Written, write
from klaviyo_assets.cli.options import DAY, AccountNames, raw_table_names
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, UnknownNameError

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.model.spec import TableSpec
    from klaviyo_assets.resources.postgres.resource import PostgresResource
    from klaviyo_assets.source.extraction import AccountSource


def extract(
    table: Annotated[
        str,
        typer.Option("--table", "-t", metavar="NAME", help="Raw table, such as campaign or event.",
                     autocompletion=raw_table_names),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; created if missing.", file_okay=False)],
    start: Annotated[
        datetime | None,
        typer.Option(formats=DAY, metavar="YYYY-MM-DD", help="First day, in the account's time zone; for event."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar="YYYY-MM-DD", help="Last day, inclusive; for event.")
    ] = None,
    account: AccountNames = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="File format.")] = FileFormat.CSV,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="ROWS", help="Write at most this many rows per file, for a first look.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Write a raw table from Postgres to files: OUT/account/table.csv, and OUT/account/event/day.csv for events.

    Rows are written as read, in one snapshot per account, PERSONAL DATA INCLUDED (the account's pii setting applies
    to mapped tables only). Only their owner can read the files (mode 0600).

    Example: klaviyo-assets extract --table event --start 2026-01-01 --end 2026-01-31 --out raw
    """
    with errors(verbose=verbose, stopped="Every file that exists is complete."):
        spec = table_named(table)
        days = _days(spec, start, end)
        written, failed = _extract_all(Extract(spec, days, out, file_format, limit), account)
        if as_json:
            console().print_json(json.dumps([asdict(file) for file in written], default=str))
        elif written:
            console().print(_summary(written))
        if failed:
            raise typer.Exit(FAILED)


def table_named(name: str) -> "TableSpec":
    """The raw table that a name stands for; `klaviyo_campaigns`, the name in earlier scripts, stands for `campaign`.

    Raises:
        UnknownNameError: there is no such table; the message lists all tables.
    """
    from klaviyo_assets.tables import TABLES

    raw_tables = {table_name: spec for table_name, spec in TABLES.items() if spec.raw}
    plain_name = name.strip().lower().removeprefix("klaviyo_")
    for table_name, spec in raw_tables.items():
        if plain_name in {table_name, *_plurals(table_name)}:
            return spec
    fix = "It is computed, not read; use `klaviyo-assets query` to see it." if plain_name in TABLES else ""
    raise UnknownNameError("raw table", name, raw_tables, fix)


def _plurals(name: str) -> Iterator[str]:
    """Other names of a table: `campaigns`; `list_persons` and `list_people`; `tag` for `tags`, the table's own name."""
    yield f"{name}s"
    if name.endswith("person"):
        yield f"{name.removesuffix('person')}people"
    yield name.removesuffix("s")


def _days(spec: "TableSpec", start: datetime | None, end: datetime | None) -> list[date]:
    """The days of a daily table, inclusive; empty for a table without days."""
    if not spec.is_daily:
        if start or end:
            notes().print(
                f"{spec.name} is not partitioned by day: --start and --end are ignored, and all rows are written."
            )
        return []
    if start is None or end is None:
        raise SettingsError(
            f"{spec.name} is partitioned by day, so it needs a range",
            "Give its first and last day: --start 2026-01-01 --end ...",
        )
    if end < start:
        raise SettingsError(
            f"--end {end:%Y-%m-%d} is before --start {start:%Y-%m-%d}",
            "Give the earlier day as --start; both days are included.",
        )
    return [start.date() + timedelta(days=number) for number in range((end - start).days + 1)]


@dataclass(frozen=True)
class Extract:
    """What is extracted: a file per day, or the whole table if there are no days."""

    spec: "TableSpec"
    days: list[date]
    out: Path
    file_format: FileFormat
    limit: int | None = None

    def path(self, account: str, day: date | None) -> Path:
        """The file of a table, or of one of its days."""
        name = f"{self.spec.name}/{day}" if day else self.spec.name
        return self.out / account / f"{name}.{self.file_format}"


def _extract_all(wanted: Extract, names: list[str] | None) -> tuple[list[Written], int]:
    """Write all accounts' files; return them and the number of failed accounts. A failure does not stop the others."""
    from klaviyo_assets.accounts import load_accounts

    accounts, postgres, progress = load_accounts(), systems.postgres(), Progress(notes())
    chosen = [accounts[name] for name in dict.fromkeys(names or accounts.names)]
    written: list[Written] = []
    failed = 0
    for account in chosen:
        try:
            for file in _extract_account(postgres, account, wanted, progress):
                written.append(file)  # noqa: PERF402  what was written before a fault is listed too
        except KlaviyoAssetsError as error:
            if len(chosen) == 1:
                raise
            failed += 1
            notes().print(Text.assemble((f"{account.name}: ", "red"), str(error)), soft_wrap=True)
    return written, failed


def _extract_account(
    postgres: "PostgresResource", account: "Account", wanted: Extract, progress: Progress
) -> Iterator[Written]:
    days: list[date | None] = [*wanted.days] or [None]
    parts = {"files": len(days)}
    name = f"{account.name}: reading {wanted.spec.name}"
    with postgres.snapshot() as snapshot, progress.task(name, parts, kind="extract", stays=False) as task:
        source = _source(account, snapshot, wanted.spec)
        for warning in source.warnings(wanted.spec):
            progress.note(f"{account.name}: {warning}")
        if wanted.spec.name not in source.tables:
            return
        for day in days:
            path = wanted.path(account.name, day)
            file = write(source, wanted.spec, day, path, wanted.file_format, limit=wanted.limit, watch=task.grow)
            task.advance("files")
            yield file


def _source(account: "Account", snapshot: Any, spec: "TableSpec") -> "AccountSource":
    """The account's schema, without its metrics and attribution, which only a mapping needs.

    Raises:
        HiddenSourceError: the login may not see all of the wanted table.
    """
    from klaviyo_assets.source.catalog import SourceCatalog, accepted_names
    from klaviyo_assets.source.extraction import AccountSource

    catalog, accepted = SourceCatalog.read(snapshot, account.postgres_schema), accepted_names(account.accept_empty)
    catalog.refuse_hidden(account.name, accepted, {spec.name})
    return AccountSource(account, snapshot, catalog.tables, accepted)


def _summary(written: list[Written]) -> Table:
    table = Table(box=None, pad_edge=False, show_footer=len(written) > 1)
    table.add_column("file", footer=f"{len(written):,} files", overflow="fold")
    table.add_column("rows", footer=f"{sum(file.rows for file in written):,}", justify="right", no_wrap=True)
    table.add_column("bytes", footer=f"{sum(file.bytes for file in written):,}", justify="right", no_wrap=True)
    for file in written:
        table.add_row(str(file.path), f"{file.rows:,}", f"{file.bytes:,}")
    return table
