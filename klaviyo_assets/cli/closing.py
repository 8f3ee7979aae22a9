"""What `run` prints when it is done: the work per stage, some statistics, and where to look next.

Here: tables for people, at most 80 columns wide, and the document for programs. Not here: computing anything; the
statistics are read from the report tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.cli.pipeline import Totals
    from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset

LINES = 10
# A campaign's name may take up to this many characters, and keeps at least this many if numbers need the room.
_NAME_WIDTH, _LEAST_NAME = 24, 8
_STATISTICS = """
SELECT report.send_on, report.campaign_id, ANY_VALUE(campaign.name) AS name, ANY_VALUE(report.currency) AS currency,
  SUM(report.recipients) AS recipients, SUM(report.delivered) AS delivered, SUM(report.sends_opened) AS opened,
  SUM(report.sends_clicked) AS clicked, SUM(report.conversions) AS conversions,
  SUM(report.conversion_value) AS conversion_value
FROM campaign_by_send_date AS report
LEFT JOIN campaign ON campaign.campaign_id = report.campaign_id
WHERE report.send_on IS NOT NULL
GROUP BY report.send_on, report.campaign_id
HAVING SUM(report.recipients) > 0
ORDER BY report.send_on DESC, report.campaign_id
LIMIT @lines
"""


def stage_table(sums: Mapping[str, Any], *, failed: bool) -> Table:
    """Partitions, rows, bytes and seconds per stage that did anything."""
    title = "Done, with failures" if failed else "Done"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for name in ("partitions", "rows", "bytes", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage, done in sums.items():
        if done.partitions or done.seconds:
            rows = f"{done.rows:,}" if done.rows else ""
            sized = f"{done.bytes:,}" if done.bytes else ""
            table.add_row(stage, f"{done.partitions:,}", rows, sized, f"{done.seconds:.1f}")
    return table


def latest_campaigns(dataset: "BigQueryDataset", lines: int) -> list[Mapping[str, Any]]:
    """An account's newest campaign sends: one row per send day and campaign."""
    return [dict(row.items()) for row in dataset.query(_STATISTICS, {"lines": ("INT64", lines)})]


def statistics_table(account: "Account", sends: Sequence[Mapping[str, Any]], width: int) -> Table:
    """An account's newest campaign sends, no wider than the screen: names are shortened, numbers never."""
    table = _statistics_table(account, sends, _NAME_WIDTH)
    too_wide = Console(width=1000).measure(table).maximum - width
    return _statistics_table(account, sends, max(_LEAST_NAME, _NAME_WIDTH - too_wide)) if too_wide > 0 else table


def _statistics_table(account: "Account", sends: Sequence[Mapping[str, Any]], name_width: int) -> Table:
    title = f"{account.name}: newest campaigns by send date"
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("sent", no_wrap=True)
    table.add_column("campaign", no_wrap=True)
    for name in ("delivered", "opened", "clicked", "orders", "revenue"):
        table.add_column(name, justify="right", no_wrap=True)
    for sent in sends:
        campaign = Text(str(sent["name"] or sent["campaign_id"]))
        campaign.truncate(name_width, overflow="ellipsis")
        table.add_row(
            _day(sent["send_on"]), campaign, f"{sent['delivered']:,}",
            _share(sent["opened"], sent["delivered"]), _share(sent["clicked"], sent["delivered"]),
            f"{float(sent['conversions']):,.12g}", f"{sent['conversion_value'] or 0:,.2f} {sent['currency']}",
        )  # fmt: skip
    return table


def _day(day: date) -> str:
    return f"{day:%b %d}"


def _share(part: int | Decimal, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def show_where_next(output: Console, account: str, *, local: bool) -> None:
    """Commands to try next, with an account to try them on; `local` means that the sandbox's servers are in use."""
    commands = {
        f"klaviyo-assets report -a {account} -o report.html": "the numbers as a page",
        f"klaviyo-assets verify -a {account}": "the proof that no row was lost",
        "make ui" if local else "dagster dev": "the asset graph and its runs",
        "docs/tables.md": "every table that `query` can read",
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for command, what in commands.items():
        table.add_row(Text(f"  {command}"), Text(what, style="dim"))
    output.print("Next:")
    output.print(table)


def document(totals: "Totals", *, dry_run: bool = False) -> dict[str, Any]:
    """What `run --json` prints; docs/command_line.md describes it."""
    accounts = [
        {
            "account": name, "ok": not account.failures, "seconds": round(account.seconds, 3),
            "days": [
                {"first": str(work.first), "last": str(work.last), "only_attribution": work.only_attribution}
                for work in account.work
            ],
            "failures": list(account.failures),
            "warnings": totals.warnings_of(name),
        }
        for name, account in totals.accounts.items()
    ]  # fmt: skip
    stages = [
        {"stage": stage, **asdict(done), "seconds": round(done.seconds, 3)} for stage, done in totals.stages.items()
    ]
    return {"ok": not totals.failures, "dry_run": dry_run, "stages": stages, "accounts": accounts}
