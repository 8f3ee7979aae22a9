"""What a run should have done but did not, according to Dagster's records.

Here: reading that, also for a run that repeats a failed one. Not here: what a run was asked for (`defs/partitions.py`),
and what is reported (`publishing/mail/`).
"""

from collections.abc import Iterator

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from dagster._core.storage.tags import ASSET_RESUME_RETRY_TAG, RESUME_RETRY_TAG

from klaviyo_assets.defs.failure_metadata import read_failure

_AT_ONCE = 1000


def repeated_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun | None:
    """The failed run that a run repeats "from failure"; None if it repeats none."""
    if run.parent_run_id is None or not {RESUME_RETRY_TAG, ASSET_RESUME_RETRY_TAG}.intersection(run.tags):
        return None
    return instance.get_run_by_id(run.parent_run_id)


def undone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[tuple[str, str]]:
    """The assets and partition keys that a run, and the runs it repeats, should have done but did not.

    A key is empty if an asset is not partitioned. What a step's failure names is not done, whatever else was recorded
    about it.
    """
    repeated = repeated_run(instance, run)
    planned = undone(instance, repeated) if repeated else _planned(instance, run)
    materialized = {_place(event) for event in _events(instance, run, DagsterEventType.ASSET_MATERIALIZATION)}
    return (planned - materialized) | _named(instance, run)


def _planned(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[tuple[str, str]]:
    return {_place(event) for event in _events(instance, run, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)}


def _named(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[tuple[str, str]]:
    """The assets and partitions that the failures of a run's steps name."""
    failures = (
        event.step_failure_data.user_failure_data for event in _events(instance, run, DagsterEventType.STEP_FAILURE)
    )
    return {
        (asset, key)
        for failure in failures
        if failure
        for _, partitions in read_failure(failure.metadata)
        for asset, keys in partitions.items()
        for key in keys
    }


def _place(event: DagsterEvent) -> tuple[str, str]:
    return event.asset_key.to_user_string() if event.asset_key else "", str(event.partition or "")


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: DagsterEventType) -> Iterator[DagsterEvent]:
    cursor, has_more = None, True
    while has_more:
        page = instance.get_records_for_run(run.run_id, cursor, of_type=kind, limit=_AT_ONCE)
        yield from (event for record in page.records if (event := record.event_log_entry.dagster_event))
        cursor, has_more = page.cursor, page.has_more
