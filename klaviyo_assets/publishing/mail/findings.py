"""What deserves a look: failed runs, failed checks, stale accounts, unusual days, and what is in quarantine.

Here: collecting it from Dagster's instance and the accounts' datasets. Not here: how it is said in a mail.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.audit.anomalies import Anomaly
from klaviyo_assets.defs.checks.freshness import FRESHNESS, Age, ages
from klaviyo_assets.defs.run_history import Seen, note_ended
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import PARTITION
from klaviyo_assets.publishing.mail.incidents import REMIND_FOR, Incidents
from klaviyo_assets.publishing.mail.privacy import scrubbed
from klaviyo_assets.publishing.mail.work import sentences

# Everything about anomalies comes from `anomalies.py` itself, with a picture; this check says the same.
_UNUSUAL = "unusual"
# What this check warns of is in quarantine, which the digest counts; an error is a partition that was not loaded.
_WARNS_OF_QUARANTINE = "schema"
_MOST_CHECKED = 500
_MOST_NOTES = 5


class Level(StrEnum):
    """How bad it is."""

    BAD = "bad"
    ODD = "odd"


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes:
        level: How bad it is.
        title: What it is, with its account.
        text: What explains it, and what to do where that is known.
        url: Its page in the Dagster UI, where the UI's address is known.
        anomaly: The unusual number it is about.
    """

    level: Level
    title: str
    text: str
    url: str = ""
    anomaly: Anomaly | None = None


@dataclass(frozen=True)
class Noted:
    """Rows in quarantine of what was loaded lately, by table, field and reason; `left_out` of them are not loaded."""

    account: str
    table: str
    field: str
    reason: str
    rows: int
    left_out: int


def ui_url(*path: str) -> str:
    """A page of the Dagster UI; empty where DAGSTER_UI_URL is not set."""
    base = os.environ.get("DAGSTER_UI_URL", "").rstrip("/")
    return "/".join((base, *path)) if base else ""


def failed_runs(instance: dg.DagsterInstance, now: float) -> tuple[list[Finding], int]:
    """Incidents of the last days that are still open, and how many of the last day are over."""
    incidents, over = Incidents(), 0
    note_ended(incidents, instance, Seen.since_moment(instance, now - REMIND_FOR))
    found = []
    for one in sorted(incidents.by_key.values(), key=lambda one: -one.last_at):
        if one.over_at is not None:
            over += one.over_at > now - timedelta(days=1).total_seconds()
            continue
        times = f" ({one.times} times)" if one.times > 1 else ""
        title = f"{one.account or 'All accounts'}: {one.title} failed{times}"
        text = f"{_sentence(one.sentence)} Not done: {'; '.join(sentences(one.left))}. {one.mend}".rstrip()
        found.append(Finding(Level.BAD, title, text, url=ui_url("runs", one.run_id)))
    return found, over


def stale_accounts(accounts: Accounts, instance: dg.DagsterInstance) -> dict[str, tuple[str, str]]:
    """The accounts whose data are stale: by name, the first stage they are stale at, and the sentence that says so.

    What is stale at a stage is so at all that follow: the first one is where to look.
    """
    found: dict[str, Age] = {}
    for age in ages(accounts, instance):
        if age.verdict == "stale":
            found.setdefault(age.account, age)
    return {name: (age.stage, f"{_capital(age.sentence)}. {_stale_mend(age.stage)}") for name, age in found.items()}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return _capital(text if text.endswith((".", "!", "…")) else f"{text}.")


def _stale_mend(stage: str) -> str:
    if stage == "fivetran":
        return "See in Fivetran whether the connection is paused or its syncs fail."
    return f"Syncs arrive, but the stage {stage} has not followed: see the account's newest runs in Dagster."


def stale_findings(accounts: Accounts, instance: dg.DagsterInstance) -> list[Finding]:
    """The stale accounts as findings."""
    return [
        Finding(Level.BAD, f"{name}: data are stale", text, url=ui_url("assets", "freshness", stage))
        for name, (stage, text) in stale_accounts(accounts, instance).items()
    ]


def failed_checks(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey], since: float) -> list[Finding]:
    """Checks whose newest verdict on a partition is a failure of the time since; one finding per check and account."""
    found: list[Finding] = []
    for key in sorted(keys, key=str):
        if key.name == _UNUSUAL or key.asset_key.path[0] == FRESHNESS:
            continue
        by_account: dict[str, list[tuple[str, Any]]] = {}
        for partition, evaluation in _newest_failures(instance, key, since):
            account, _, day = (partition or "").partition("|")
            by_account.setdefault(account, []).append((day, evaluation))
        found += [_check_finding(key, account, failures) for account, failures in sorted(by_account.items())]
    return sorted(found, key=lambda one: one.level)


def _newest_failures(instance: dg.DagsterInstance, key: dg.AssetCheckKey, since: float) -> Iterator[tuple[str, Any]]:
    seen: set[str | None] = set()
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=_MOST_CHECKED):
        event = record.event.dagster_event if record.event else None
        evaluation = event.event_specific_data if event else None
        if not isinstance(evaluation, dg.AssetCheckEvaluation) or record.create_timestamp < since:
            continue
        is_error = evaluation.severity is dg.AssetCheckSeverity.ERROR
        is_said = key.name == _WARNS_OF_QUARANTINE and not is_error
        if evaluation.partition not in seen and not evaluation.passed and not is_said:
            yield evaluation.partition or "", evaluation
        seen.add(evaluation.partition)


def _check_finding(key: dg.AssetCheckKey, account: str, failures: Sequence[tuple[str, Any]]) -> Finding:
    days = sorted(day for day, _ in failures if day)
    of = f", {len(days)} days from {days[0]} to {days[-1]}" if len(days) > 1 else f", {days[0]}" if days else ""
    worst = min(failures, key=lambda one: one[1].severity is not dg.AssetCheckSeverity.ERROR)[1]
    return Finding(
        Level.BAD if worst.severity is dg.AssetCheckSeverity.ERROR else Level.ODD,
        f"{account or 'All accounts'}: check {key.name} of {key.asset_key.to_user_string()} failed{of}",
        scrubbed(" ".join((worst.description or "The check gave no reason.").split()))[:400],
        url=ui_url("assets", *key.asset_key.path, "?view=checks"),
    )


def unusual_day(found: Iterable[Anomaly]) -> list[Finding]:
    """Unusual numbers as findings."""
    return [
        Finding(
            Level.ODD, f"{one.account}: {one.label} {'above' if one.value > one.expected else 'below'} the usual",
            f"{one.sentence}.", url=ui_url("assets", "report", "account_by_event_date"), anomaly=one,
        )
        for one in found
    ]  # fmt: skip


def quarantined(dataset: BigQueryDataset, account: Account, since: datetime) -> list[Noted]:
    """What is in quarantine of the partitions that were loaded since a moment, the most frequent first.

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
