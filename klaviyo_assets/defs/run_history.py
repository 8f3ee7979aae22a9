"""Runs that have ended, from the records of Dagster's instance.

Here: which runs have ended since the last look, why they failed, what they left undone, and whether it has been done
since. Not here: what follows from it (`publishing/mail/incidents.py`).


"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterRun, RunsFilter, RunStatusChangeRecordsFilter

from klaviyo_assets.defs.failure_metadata import read_failure
from klaviyo_assets.defs.undone import undone
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.publishing.mail.incidents import Failure, Incident, Incidents
from klaviyo_assets.publishing.mail.privacy import scrubbed
from klaviyo_assets.publishing.mail.work import WHOLE, Span, Work, days_in, days_of, work_of
from klaviyo_assets.stages.graph import loading
from klaviyo_assets.stages.keys import key_of, parts_of, range_of

MOST_AT_ONCE = 200
_LONGEST = 320
_ENDS: tuple[tuple[str, Any], ...] = (
    ("failed", DagsterEventType.RUN_FAILURE), ("succeeded", DagsterEventType.RUN_SUCCESS)
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A run that ended, when, and how."""

    run: DagsterRun
    at: float
    is_good: bool
    # Why a run failed without a failed step, such as a process that died.
    message: str = ""

    @property
    def is_command_lines(self) -> bool:
        """Whether a person started it in a terminal."""
        return self.run.tags.get("klaviyo/started_by") == "cli"


@dataclass
class Seen:
    """How far runs have been read: the storage ids of the events that say how they ended."""

    ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def now(cls, instance: dg.DagsterInstance) -> "Seen":
        """The mark of this moment: what failed before mail was switched on is not reported."""
        newest = {name: instance.fetch_run_status_changes(kind, limit=1).records for name, kind in _ENDS}
        return cls({name: records[0].storage_id if records else -1 for name, records in newest.items()})

    @classmethod
    def since_moment(cls, instance: dg.DagsterInstance, moment: float) -> Iterator[Ended]:
        """All runs that ended since a moment, in order."""
        before = {
            name: instance.fetch_run_status_changes(
                RunStatusChangeRecordsFilter(kind, before_timestamp=moment), limit=1
            ).records
            for name, kind in _ENDS
        }
        seen = cls({name: records[0].storage_id if records else -1 for name, records in before.items()})
        while runs := list(seen.since(instance)):
            yield from runs

    def since(self, instance: dg.DagsterInstance) -> Iterator[Ended]:
        """The runs that ended since, in order; each counts as seen when the next one is requested."""
        ends: list[tuple[float, int, str, Any]] = []
        horizon = float("inf")
        for name, kind in _ENDS:
            records_filter = RunStatusChangeRecordsFilter(kind, after_storage_id=self.ids[name])
            records = instance.fetch_run_status_changes(records_filter, limit=MOST_AT_ONCE, ascending=True).records
            if len(records) == MOST_AT_ONCE:
                # Later events of the other kind have to wait, or a success would be seen before the failure that it
                # fixes.
                horizon = min(horizon, records[-1].timestamp)
            ends += [(record.timestamp, record.storage_id, name, record.event_log_entry) for record in records]
        listed = sorted((end for end in ends if end[0] <= horizon), key=lambda end: end[:3])
        runs = _runs(instance, [entry.run_id for *_, entry in listed])
        for at, storage_id, name, entry in listed:
            if entry.run_id in runs:
                yield Ended(runs[entry.run_id], at, name == "succeeded", _failure_text(entry))
            self.ids[name] = storage_id


def _runs(instance: dg.DagsterInstance, run_ids: list[str]) -> Mapping[str, DagsterRun]:
    if not run_ids:
        return {}
    return {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=run_ids))}


def _failure_text(entry: Any) -> str:
    """Why the run as a whole failed."""
    event = entry.dagster_event
    data = event.event_specific_data if event else None
    error = getattr(data, "error", None)
    return _error_text(error) if error else str(event.message or "" if event else "")


def note_ended(incidents: Incidents, instance: dg.DagsterInstance, runs: Iterable[Ended]) -> None:
    """Record runs that ended, in order: what failed, and what has been done since.

    Failures on the command line do not count: whoever started the command has seen the error.
    """
    ended = None
    for ended in runs:
        if not ended.is_good and not ended.is_command_lines:
            # What was done between two failures is no longer left undone by the first.
            incidents.settle(partial(made_since, instance, ended.at))
            for failure in _explained(instance, ended):
                incidents.record_failure(failure)
    if ended is not None:
        incidents.settle(partial(made_since, instance, ended.at))


def _explained(instance: dg.DagsterInstance, ended: Ended) -> list[Failure]:
    try:
        return failures_of(instance, ended)
    except Exception:  # noqa: BLE001  a run that cannot be read must not keep all others from being told
        return [unexplained(ended)]


def failures_of(instance: dg.DagsterInstance, ended: Ended) -> list[Failure]:
    """Why a run failed and what it left undone: one failure for each account that it concerns."""
    records = instance.get_records_for_run(ended.run.run_id, of_type=DagsterEventType.STEP_FAILURE, limit=50).records
    events = [event for record in records if (event := record.event_log_entry.dagster_event)]
    reasons = [reason for event in events for reason in _reasons(event)] or [_Reason("none", _cut(ended.message))]
    places = undone(instance, ended.run)
    accounts = sorted({_account(key) for _, key in places}) or [_account_of(ended.run)]
    return [_failure(ended, account, reasons, places) for account in accounts]


def _failure(ended: Ended, account: str, reasons: list["_Reason"], places: set[tuple[str, str]]) -> Failure:
    # What a step says about no particular partition applies to all.
    own = [reason for reason in reasons if not reason.partitions or account in reason.accounts] or reasons
    work = work_of(place for place in places if _account(place[1]) == account) or {job_title(ended.run): (WHOLE,)}
    others = tuple(dict.fromkeys(reason.sentences for reason in own if reason.what != own[0].what))
    is_transient = all(reason.is_transient for reason in own)
    fix = own[0].fix or ("" if is_transient else "Fix that cause.")
    return Failure(
        account, job_title(ended.run), own[0].step, own[0].what, others, work, ended.run.run_id, ended.at,
        " ".join(filter(None, [fix, _rerun(account, work)])),
    )  # fmt: skip


def _rerun(account: str, work: Work) -> str:
    """A sentence on how to rerun what is not done."""
    days = days_of(work)
    loads = {asset.partition("/")[0] for asset in work} & {*loading()}
    command = f"klaviyo-assets run --account {account}" + (f" --start {days[0]} --end {days[1]}" if days else "")
    return "To rerun: Re-execute on the run's page" + (f", or `{command}`." if loads else ".")


def unexplained(ended: Ended) -> Failure:
    """A failure about which only the run is known."""
    sentence = _cut(ended.message or "the run failed; the reason could not be read from Dagster's records")
    account, title = _account_of(ended.run), job_title(ended.run)
    return Failure(account, title, "none", sentence, (), {title: (WHOLE,)}, ended.run.run_id, ended.at)


def made_since(instance: dg.DagsterInstance, until: float, incident: Incident) -> tuple[Work, float]:
    """What part of an incident's work has been done since its newest failure, by any run, and when the last of it was.

    Args:
        instance: Where runs are recorded.
        until: The moment up to which runs have been read: the end of a later run is not known yet.
        incident: The incident.
    """
    places: set[tuple[str, str]] = set()
    at = incident.last_at
    for asset, spans in incident.left.items():
        for key, moment in _successes(instance, until, incident, asset, spans):
            places.add((asset, key))
            at = max(at, moment)
    return work_of(places), at


def _successes(
    instance: dg.DagsterInstance, until: float, incident: Incident, asset: str, spans: Iterable[Span]
) -> Iterator[tuple[str, float]]:
    if "/" not in asset:
        # A job without assets, such as one of checks, counts as done with its next success.
        ended = dg.RunsFilter(job_name=asset, statuses=[dg.DagsterRunStatus.SUCCESS])
        for record in instance.get_run_records(ended, limit=1):
            if incident.last_at < (record.end_time or 0) <= until:
                yield incident.account, record.end_time or 0
        return
    keys = [key_of(incident.account, day) for day in days_in(spans)]
    records_filter = dg.AssetRecordsFilter(
        dg.AssetKey(asset.split("/")), asset_partitions=[key for key in keys if key] or None,
        after_timestamp=incident.last_at, before_timestamp=until,
    )  # fmt: skip
    cursor = None
    while True:
        page = instance.fetch_materializations(records_filter, limit=MOST_AT_ONCE, cursor=cursor)
        yield from ((str(record.partition_key or ""), record.timestamp) for record in page.records)
        cursor = page.cursor
        if not page.has_more:
            return


def job_title(run: DagsterRun) -> str:
    """The name of a run's job for people; a selection in the UI runs in a job without a name."""
    return "picked assets" if run.job_name.startswith("__") else run.job_name


@dataclass(frozen=True)
class _Reason:
    """Why a step failed, and for which assets and partitions if it names them."""

    step: str
    what: str
    fix: str = ""
    is_transient: bool = False
    partitions: frozenset[tuple[str, str]] = frozenset()

    @property
    def sentences(self) -> str:
        """`what` and `fix` as sentences."""
        return str(KlaviyoAssetsError(self.what, self.fix))

    @property
    def accounts(self) -> set[str]:
        """The accounts that it concerns."""
        return {_account(key) for _, key in self.partitions}


def _reasons(event: Any) -> Iterator[_Reason]:
    """Each reason of a step's failure, with the partitions not done because of it if its metadata name them."""
    data, step = event.step_failure_data, event.step_key or "none"
    given = data.user_failure_data
    if given is None:
        yield _Reason(step, _cut(_error_text(data.error)))
        return
    causes = list(read_failure(given.metadata))
    for cause, partitions in causes:
        named = frozenset((asset, key) for asset, keys in partitions.items() for key in keys)
        yield _Reason(step, _cut(cause.what), _cut(cause.fix), cause.is_transient, named)
    if not causes:
        yield _Reason(step, _cut(given.description or given.label or "failed"))


def _error_text(error: Any) -> str:
    """The message at the bottom of a chain of errors."""
    while error.cause is not None:
        error = error.cause
    return " ".join(str(error.message or error.cls_name or "failed").split())


def _cut(text: str) -> str:
    clean = scrubbed(" ".join(text.split()))
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 1]}…"


def _account_of(run: DagsterRun) -> str:
    return _account(range_of(run.tags)[0] or run.tags.get("dagster/partition", ""))


def _account(key: str) -> str:
    """The account of a partition key."""
    return parts_of(key)[0]
