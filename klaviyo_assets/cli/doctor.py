"""`klaviyo-assets doctor`: what is wrong with this deployment, and how to fix it.

What belongs here: options, the table, the two lines of a finding, JSON, the exit code. What does not: any check
(`diagnosis/`).
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from klaviyo_assets.cli.console import FAILED, AsJson, Verbose, console, errors, notes
from klaviyo_assets.cli.options import AccountNames

if TYPE_CHECKING:
    from klaviyo_assets.diagnosis.findings import DoctorFinding, Level
    from klaviyo_assets.diagnosis.run import Diagnosis

_STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red"}
_ALL_ACCOUNTS = "(all)"
# With a column per system, a table of longer names would be wider than 80 characters.
_NAME_WIDTH = 19


def doctor(
    account: AccountNames = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Check every setting, permission, schema and index; each finding says how to fix it.

    Starts no sync and changes no data. To test permissions it writes and deletes an object in S3, a dataset and a table
    in BigQuery, and a file among the frames. Exit code 0: everything works (warnings are allowed); 1: something does
    not.

    Example: klaviyo-assets doctor --account acme
    """
    with errors(verbose=verbose), _details(verbose=verbose):
        from klaviyo_assets.cli.project import instance
        from klaviyo_assets.diagnosis.run import diagnose

        with _progress() as say:
            diagnosis = diagnose(account, open_instance=instance, say=say)
        if as_json:
            console().print_json(json.dumps(_document(diagnosis), ensure_ascii=False))
        else:
            show(diagnosis, console(), everything=verbose)
        if diagnosis.failed:
            raise typer.Exit(FAILED)


@contextmanager
def _details(*, verbose: bool) -> Iterator[None]:
    """Show the traceback of a check that breaks, if that is wanted."""
    log, handler = logging.getLogger("klaviyo_assets.diagnosis"), logging.StreamHandler()
    if verbose:
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    stderr = notes()
    if not stderr.is_interactive:
        yield lambda _: None
        return
    with stderr.status("settings") as status:
        yield lambda system: status.update(f"checking {system}")


def show(diagnosis: "Diagnosis", output: Console, *, everything: bool = False) -> None:
    """Print the table of accounts and systems, every problem in two lines, and a verdict.

    Args:
        diagnosis: What to print.
        output: Where to print it.
        everything: Also print what works.
    """
    output.print(_table(diagnosis))
    good_findings = [finding for finding in diagnosis.findings if everything and not finding.level]
    for finding in good_findings + diagnosis.problems():
        _show_finding(finding, output)
    output.print(_verdict(diagnosis), soft_wrap=True)


def _table(diagnosis: "Diagnosis") -> Table:
    from klaviyo_assets.diagnosis.run import SYSTEMS

    table = Table("account", box=None, pad_edge=False)
    table.columns[0].max_width, table.columns[0].overflow = _NAME_WIDTH, "fold"
    for system in SYSTEMS:
        table.add_column(system, no_wrap=True)
    for account in (None, *diagnosis.accounts):
        levels = [diagnosis.level(account, system) for system in SYSTEMS]
        table.add_row(Text(account or _ALL_ACCOUNTS), *map(_cell, levels))
    return table


def _cell(level: "Level | None") -> Text:
    return Text("-", style="dim") if level is None else Text(level.name, style=_STYLES[level.name])


def _show_finding(finding: "DoctorFinding", output: Console) -> None:
    head = Text(finding.level.name, style=_STYLES[finding.level.name])
    where = " ".join(part for part in (finding.account, finding.system) if part)
    head.append(f" {where}: {finding.what}", style="default")
    output.print(head, soft_wrap=True)
    if finding.fix:
        output.print(Text(f"  {finding.fix}"), soft_wrap=True)


def _verdict(diagnosis: "Diagnosis") -> Text:
    counts = {name: sum(one.level.name == name for one in diagnosis.findings) for name in ("FAIL", "WARN")}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    failing_accounts = sorted({one.account for one in diagnosis.findings if one.level.name == "FAIL" and one.account})
    if not summary:
        return Text("Everything works.", style="green")
    broken = f"; these accounts do not work: {', '.join(failing_accounts)}" if failing_accounts else ""
    return Text(f"{summary}{broken}.", style=_STYLES["FAIL" if counts["FAIL"] else "WARN"])


def _document(diagnosis: "Diagnosis") -> dict[str, object]:
    findings = [{**asdict(one), "level": one.level.name} for one in diagnosis.findings]
    return {"ok": not diagnosis.failed, "accounts": list(diagnosis.accounts), "findings": findings}
