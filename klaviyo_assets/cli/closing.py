"""What `run` shows when it is done: work per stage, some statistics, and where to look next.

Here: tables for people. Not here: computing anything; the statistics are read from the report tables.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from klaviyo_assets.accounts import Account
    from klaviyo_assets.destinations.bigquery import BigQueryDataset

LINES = 10
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
    """Partitions, rows, bytes and seconds per stage."""
    table = Table(title="Done, with failures" if failed else "Done", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    for name in ("partitions", "rows", "bytes", "seconds"):
        table.add_column(name, justify="right")
    for stage, done in sums.items():
        rows = f"{done.rows:,}" if done.rows else ""
        sized = f"{done.bytes:,}" if done.bytes else ""
        table.add_row(stage, f"{done.partitions:,}", rows, sized, f"{done.seconds:.1f}")
    return table


def latest_campaigns(dataset: "BigQueryDataset", lines: int) -> list[Mapping[str, Any]]:
    """The newest campaign sends of an account: one row per send day and campaign."""
    return [dict(row.items()) for row in dataset.query(_STATISTICS, {"lines": ("INT64", lines)})]


def statistics_table(account: "Account", sends: Sequence[Mapping[str, Any]]) -> Table:
    """An account's newest campaign sends, at most 80 columns wide."""
    table = Table(title=f"{account.name}: newest campaigns by send date", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("sent")
    table.add_column("campaign", max_width=16, no_wrap=True, overflow="ellipsis")
    for name in ("delivered", "opened", "clicked", "orders", "revenue"):
        table.add_column(name, justify="right")
    for sent in sends:
        table.add_row(
            _day(sent["send_on"]), str(sent["name"] or sent["campaign_id"]), f"{sent['delivered']:,}",
            _share(sent["opened"], sent["delivered"]), _share(sent["clicked"], sent["delivered"]),
            f"{sent['conversions']:g}", f"{sent['conversion_value'] or 0:,.2f} {sent['currency']}",
        )  # fmt: skip
    return table


def _day(day: date) -> str:
    return f"{day:%b %d}"


def _share(part: int | Decimal, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def show_where_next(shown: Console) -> None:
    """What a person may want to do now."""
    shown.print(
        "Next: `make ui` shows the graph and what just ran. "
        '`klaviyo-assets query --account NAME "SELECT * FROM campaign_by_send_date"` asks BigQuery. '
        "docs/tables.md lists every table.",
        markup=False,
    )
