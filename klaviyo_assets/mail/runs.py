"""Runs that ended, as Dagster's instance tells of them.

Here: which runs have ended since the last look, what they were to do, and why they failed. Not here: what follows from
it (`incidents.py`).

Of the command line's runs only the good ones count: who started it there has seen the error.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterRun, RunsFilter, RunStatusChangeRecordsFilter

from klaviyo_assets.mail.incidents import Failure, spans_of
from klaviyo_assets.mail.privacy import scrubbed
from klaviyo_assets.mail.work import Work
from klaviyo_assets.partitions import range_of

MOST_AT_ONCE = 200
# How `assets/stage.py` lists what failed: partitions, then why.
_LISTED = re.compile(r"^(?P<names>.*?\]): (?P<reason>\S.*)$")
# How HTTP clients say that nobody answers, in four lines of their own internals.
_NO_ANSWER = re.compile(
    r"(?:Timeout of \S+ exceeded, last exception: )?"
    r"HTTPS?ConnectionPool\(host='(?P<host>[^']+)', port=(?P<port>\d+)\).*"
)
_LONGEST, _LONGEST_NAMES = 320, 200
_ENDS: tuple[tuple[str, Any], ...] = (
    ("failed", DagsterEventType.RUN_FAILURE), ("succeeded", DagsterEventType.RUN_SUCCESS)
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A run that ended, when, and how."""

    run: DagsterRun
    at: float
    is_good: bool
    # Why a run failed that no step of it did, such as a process that died.
    message: str = ""

    @property
    def account(self) -> str:
        """The account it is of; empty where it is of none, or of all."""
        return _account(self.run.tags)

    @property
    def is_command_lines(self) -> bool:
        """Whether a person started it in a terminal."""
        return self.run.tags.get("klaviyo/started_by") == "cli"


@dataclass
class Seen:
    """Up to where runs have been looked at: storage ids of the events that say how they ended."""

    ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def now(cls, instance: dg.DagsterInstance) -> "Seen":
        """Everything until this moment: what failed before mail was switched on is not told."""
        newest = {name: instance.fetch_run_status_changes(kind, limit=1).records for name, kind in _ENDS}
        return cls({name: found[0].storage_id if found else -1 for name, found in newest.items()})

    @classmethod
    def since_moment(cls, instance: dg.DagsterInstance, moment: float) -> Iterator[Ended]:
        """All runs that ended since a moment, in order."""
        before = {
            name: instance.fetch_run_status_changes(
                RunStatusChangeRecordsFilter(kind, before_timestamp=moment), limit=1
            ).records
            for name, kind in _ENDS
        }
        seen = cls({name: found[0].storage_id if found else -1 for name, found in before.items()})
        while found := list(seen.since(instance)):
            yield from found

    def since(self, instance: dg.DagsterInstance) -> Iterator[Ended]:
        """Runs that ended since, in order; each is seen when the next one is asked for."""
        found: list[tuple[float, int, str, Any]] = []
        horizon = float("inf")
        for name, kind in _ENDS:
            wanted = RunStatusChangeRecordsFilter(kind, after_storage_id=self.ids[name])
            records = instance.fetch_run_status_changes(wanted, limit=MOST_AT_ONCE, ascending=True).records
            if len(records) == MOST_AT_ONCE:
                # What the other kind did later than this waits, or a success would be seen before what it mends.
                horizon = min(horizon, records[-1].timestamp)
            found += [(record.timestamp, record.storage_id, name, record.event_log_entry) for record in records]
        listed = sorted((one for one in found if one[0] <= horizon), key=lambda one: one[:3])
        runs = _runs(instance, [entry.run_id for *_, entry in listed])
        for at, storage_id, name, entry in listed:
            if entry.run_id in runs:
                yield Ended(runs[entry.run_id], at, name == "succeeded", _said(entry))
            self.ids[name] = storage_id


def _runs(instance: dg.DagsterInstance, run_ids: list[str]) -> Mapping[str, DagsterRun]:
    if not run_ids:
        return {}
    return {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=run_ids))}


def _said(entry: Any) -> str:
    """Why the run as a whole failed."""
    event = entry.dagster_event
    data = event.event_specific_data if event else None
    error = getattr(data, "error", None)
    return _error_text(error) if error else str(event.message or "" if event else "")


def failure_of(instance: dg.DagsterInstance, ended: Ended) -> Failure:
    """Why a run failed, and what it left undone."""
    records = instance.get_records_for_run(ended.run.run_id, of_type=DagsterEventType.STEP_FAILURE, limit=50).records
    events = [record.event_log_entry.dagster_event for record in records]
    steps = [event.step_key for event in events if event and event.step_key]
    reasons = [found for event in events if event for found in _reasons(event)] or [("", ended.message)]
    sentence = reasons[0][1]
    return Failure(
        ended.account, job_title(ended.run), steps[0] if steps else "none", _cut(sentence), _details(reasons),
        work_of(instance, ended.run, steps), ended.run.run_id, ended.at,
    )  # fmt: skip


def _details(reasons: list[tuple[str, str]]) -> tuple[str, ...]:
    """What failed, reason by reason; the first reason is the sentence, and is not said again."""
    sentence = reasons[0][1]
    lines = [
        _cut(names, _LONGEST_NAMES) if reason == sentence else ": ".join(filter(None, (_cut(names, 80), _cut(reason))))
        for names, reason in reasons
    ]
    return tuple(dict.fromkeys(filter(None, lines)))


def unexplained(ended: Ended) -> Failure:
    """A failure of which nothing more than the run is known."""
    sentence = _cut(ended.message or "the run failed; why could not be read from Dagster's records")
    work = {job_title(ended.run): spans_of(*_days(ended.run.tags))}
    return Failure(ended.account, job_title(ended.run), "none", sentence, (), work, ended.run.run_id, ended.at)


def work_of(instance: dg.DagsterInstance, run: DagsterRun, steps: list[str] | None = None) -> Work:
    """What a run was to do: the assets of its steps (all, or those named), and its days."""
    spans = spans_of(*_days(run.tags))
    snapshot = run.execution_plan_snapshot_id and instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    if not snapshot:
        return {job_title(run): spans}
    wanted = set(snapshot.step_keys_to_execute) & set(steps or snapshot.step_keys_to_execute)
    assets = {
        output.properties.asset_key
        for step in snapshot.steps
        if step.key in wanted
        for output in step.outputs
        if output.properties and output.properties.asset_key
    }
    chosen = assets & set(run.asset_selection) if run.asset_selection else assets
    return {key.to_user_string(): spans for key in chosen or assets} or {job_title(run): spans}


def job_title(run: DagsterRun) -> str:
    """A run's job for people; what is picked in the UI runs in a job without a name."""
    return "picked assets" if run.job_name.startswith("__") else run.job_name


def _reasons(event: Any) -> Iterator[tuple[str, str]]:
    """Of a step's failure: the partitions that a reason is of, where it names them, and the reason."""
    data = event.step_failure_data
    given = data.user_failure_data
    if given is None:
        yield "", _error_text(data.error)
        return
    first, *others = (line.strip() for line in (given.description or given.label or "failed").splitlines())
    for line in [line for line in others if line] or [first]:
        found = _LISTED.match(line)
        yield (found["names"], found["reason"]) if found else ("", line)


def _error_text(error: Any) -> str:
    """What went wrong at the bottom of a chain of errors."""
    while error.cause is not None:
        error = error.cause
    return " ".join(str(error.message or error.cls_name or "failed").split())


def _cut(text: str, longest: int = _LONGEST) -> str:
    clean = scrubbed(_NO_ANSWER.sub(r"\g<host>:\g<port> does not answer", " ".join(text.split())))
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _account(tags: Mapping[str, str]) -> str:
    return (range_of(tags)[0] or tags.get("dagster/partition", "")).partition("|")[0]


def _days(tags: Mapping[str, str]) -> tuple[str, str]:
    """First and last day of a run; empty where it has no days."""
    first, last = (key or tags.get("dagster/partition", "") for key in range_of(tags))
    return first.partition("|")[2], last.partition("|")[2]
