"""What deserves a look among Dagster's records: failed runs, failed checks and stale accounts.

Here: collecting it from Dagster's instance. Not here: what a finding is (`publishing/mail/findings.py`), and who is
notified.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.checks.freshness import FRESHNESS, Age, ages
from klaviyo_assets.defs.run_history import Seen, note_ended
from klaviyo_assets.publishing.mail.findings import DigestFinding, Level, ui_url
from klaviyo_assets.publishing.mail.incidents import REMIND_FOR, Incidents
from klaviyo_assets.publishing.mail.privacy import scrubbed
from klaviyo_assets.publishing.mail.work import sentences
from klaviyo_assets.stages.graph import FIVETRAN
from klaviyo_assets.stages.keys import parts_of

# The digest finds unusual numbers itself, with a picture; this check says the same.
_UNUSUAL = "unusual"
# This check warns about what is in quarantine, which the digest counts; an error is a partition that was not loaded.
_WARNS_OF_QUARANTINE = "schema"
_MOST_CHECKED = 500


def recorded_findings(
    accounts: Accounts, instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]
) -> tuple[list[DigestFinding], int]:
    """Everything from the last day that deserves a look, and how many incidents ended that day.

    Args:
        accounts: The accounts whose age is checked.
        instance: Where runs and checks are recorded.
        checks: The checks to examine.
    """
    now = time.time()
    incidents, recovered = failed_runs(instance, now)
    day_ago = now - timedelta(days=1).total_seconds()
    return [*incidents, *stale_findings(accounts, instance), *failed_checks(instance, checks, day_ago)], recovered


def failed_runs(instance: dg.DagsterInstance, now: float) -> tuple[list[DigestFinding], int]:
    """The incidents of the last days that are still open, and how many ended on the last day."""
    incidents, over = Incidents(), 0
    note_ended(incidents, instance, Seen.since_moment(instance, now - REMIND_FOR))
    findings = []
    for incident in sorted(incidents.by_key.values(), key=lambda incident: -incident.last_at):
        if incident.over_at is not None:
            over += incident.over_at > now - timedelta(days=1).total_seconds()
            continue
        times = f" ({incident.times} times)" if incident.times > 1 else ""
        title = f"{incident.account or 'All accounts'}: {incident.title} failed{times}"
        text = (
            f"{_sentence(incident.sentence)} Not done: {'; '.join(sentences(incident.left))}. {incident.fix}".rstrip()
        )
        findings.append(DigestFinding(Level.BAD, title, text, url=ui_url("runs", incident.run_id)))
    return findings, over


def stale_accounts(accounts: Accounts, instance: dg.DagsterInstance) -> dict[str, tuple[str, str]]:
    """The accounts whose data are stale: by name, the first stage they are stale at, and the sentence that says so.

    Data that are stale at one stage are stale at all later stages: the first one is where to look.
    """
    oldest: dict[str, Age] = {}
    for age in ages(accounts, instance):
        if age.verdict == "stale":
            oldest.setdefault(age.account, age)
    return {name: (age.stage, f"{_capital(age.sentence)}. {_stale_fix(age.stage)}") for name, age in oldest.items()}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return _capital(text if text.endswith((".", "!", "…")) else f"{text}.")


def _stale_fix(stage: str) -> str:
    if stage == FIVETRAN:
        return "Check in Fivetran whether the connection is paused or its syncs fail."
    return f"Syncs arrive, but the stage {stage} has not followed: see the account's newest runs in Dagster."


def stale_findings(accounts: Accounts, instance: dg.DagsterInstance) -> list[DigestFinding]:
    """The stale accounts as findings."""
    return [
        DigestFinding(Level.BAD, f"{name}: data are stale", text, url=ui_url("assets", "freshness", stage))
        for name, (stage, text) in stale_accounts(accounts, instance).items()
    ]


def failed_checks(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey], since: float) -> list[DigestFinding]:
    """The checks whose newest verdict on a partition is a failure since then; one finding per check and account."""
    findings: list[DigestFinding] = []
    for key in sorted(keys, key=str):
        if key.name == _UNUSUAL or key.asset_key.path[0] == FRESHNESS:
            continue
        by_account: dict[str, list[tuple[str, Any]]] = {}
        for partition, evaluation in _newest_failures(instance, key, since):
            account, day = parts_of(partition or "")
            by_account.setdefault(account, []).append((day, evaluation))
        findings += [_check_finding(key, account, failures) for account, failures in sorted(by_account.items())]
    return sorted(findings, key=lambda finding: finding.level)


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


def _check_finding(key: dg.AssetCheckKey, account: str, failures: Sequence[tuple[str, Any]]) -> DigestFinding:
    days = sorted(day for day, _ in failures if day)
    of = f", {len(days)} days from {days[0]} to {days[-1]}" if len(days) > 1 else f", {days[0]}" if days else ""
    worst = min(failures, key=lambda failure: failure[1].severity is not dg.AssetCheckSeverity.ERROR)[1]
    return DigestFinding(
        Level.BAD if worst.severity is dg.AssetCheckSeverity.ERROR else Level.ODD,
        f"{account or 'All accounts'}: check {key.name} of {key.asset_key.to_user_string()} failed{of}",
        scrubbed(" ".join((worst.description or "The check gave no reason.").split()))[:400],
        url=ui_url("assets", *key.asset_key.path, "?view=checks"),
    )
