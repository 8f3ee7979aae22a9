"""What needs a look: findings, and those that come from an account's dataset.

Here: unusual days and the quarantine. Not here: what Dagster recorded (`defs/findings.py`), and the text of the mail
(`digest.py`).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies import Anomaly
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import PARTITION
from klaviyo_assets.publishing.mail.privacy import scrubbed

_MOST_NOTES = 5


class Level(StrEnum):
    """How bad it is."""

    BAD = "bad"
    ODD = "odd"


@dataclass(frozen=True)
class DigestFinding:
    """One thing to look at.

    Attributes:
        level: How bad it is.
        title: What it is, with its account.
        text: Its explanation, and what to do if that is known.
        url: Its page in the Dagster UI, if the UI's address is known.
        anomaly: The unusual number it is about.
    """

    level: Level
    title: str
    text: str
    url: str = ""
    anomaly: Anomaly | None = None


@dataclass(frozen=True)
class Noted:
    """Recently loaded rows in quarantine, by table, field and reason; `left_out` of them were not loaded."""

    account: str
    table: str
    field: str
    reason: str
    rows: int
    left_out: int


def ui_url(*path: str) -> str:
    """A page of the Dagster UI; empty if DAGSTER_UI_URL is not set."""
    base = os.environ.get("DAGSTER_UI_URL", "").rstrip("/")
    return "/".join((base, *path)) if base else ""


def unusual_day(anomalies: Iterable[Anomaly]) -> list[DigestFinding]:
    """Unusual numbers as findings."""
    return [
        DigestFinding(
            Level.ODD,
            f"{anomaly.account}: {anomaly.label} {'above' if anomaly.value > anomaly.expected else 'below'} the usual",
            f"{anomaly.sentence}.", url=ui_url("assets", "report", "account_by_event_date"), anomaly=anomaly,
        )
        for anomaly in anomalies
    ]  # fmt: skip


def quarantined(dataset: BigQueryDataset, account: Account, since: datetime) -> list[Noted]:
    """What the quarantine holds of the partitions loaded since a moment, the most frequent reasons first.

    Raises:
        KlaviyoAssetsError: BigQuery cannot be asked.
    """
    rows = dataset.query(
        "SELECT table_name, field, reason, COUNT(*) AS noted, COUNTIF(is_dropped) AS left_out FROM quarantine "
        "WHERE EXISTS (SELECT 1 FROM ledger WHERE ledger.table_name = quarantine.table_name "
        f"AND ledger.{PARTITION} = quarantine.{PARTITION} AND ledger.recorded_at >= @since) "
        "GROUP BY table_name, field, reason ORDER BY left_out DESC, noted DESC, table_name, field, reason "
        f"LIMIT {_MOST_NOTES}",
        {"since": ("TIMESTAMP", since)},
    )
    return [
        Noted(account.name, row["table_name"], row["field"], scrubbed(row["reason"]), row["noted"], row["left_out"])
        for row in rows
    ]


def yesterday(account: Account) -> date:
    """The account's last day that is over."""
    return account.today() - timedelta(days=1)
