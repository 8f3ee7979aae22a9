"""The queue of runs: every run of one account is tagged with its name, whoever started it.

Here: the run coordinator that `dagster.yaml` names; splitting a backfill into runs of one account each; and repeating
a run that failed. Not here: the limits per account, which `dagster.yaml` sets, and the lock that also works without a
queue (`defs/turns.py`).

Schedules and sensors tag their runs; a person in the UI and a backfill do not. Without a tag, such a run would leave
the queue while another run of its account is running, wait for its turn, and occupy a place that runs of other
accounts could use.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.execution import job_backfill
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    PARTITION_NAME_TAG,
    PARTITION_SET_TAG,
)
from dagster._record import copy

from klaviyo_assets.defs.partitions import ACCOUNT
from klaviyo_assets.defs.undone import repeated_run
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.stages.keys import account_of, parts_of

ACCOUNT_TAG = "klaviyo/account"
STARTED_BY_TAG = "klaviyo/started_by"


_dagsters_ranges = DefaultPartitionsSubset.get_partition_key_ranges


def ranges_by_account(
    subset: DefaultPartitionsSubset, partitions_def: dg.PartitionsDefinition[str]
) -> Sequence[dg.PartitionKeyRange]:
    """The ranges of a selection that become the runs of a backfill: account by account, the days in order.

    Dagster splits by the dimension with fewer keys: two days of two accounts would become one run per day for both
    accounts, and neither run could wait in the queue for its account. There is no setting for that.
    """
    if (
        not isinstance(partitions_def, dg.MultiPartitionsDefinition)
        or ACCOUNT not in partitions_def.partition_dimension_names
    ):
        return _dagsters_ranges(subset, partitions_def)
    chosen = {parts_of(str(key))[0] for key in subset.subset}
    accounts = partitions_def.get_partitions_def_for_dimension(ACCOUNT).get_partition_keys()
    if gone := sorted(chosen.difference(accounts)):
        raise PermanentError(
            f"{', '.join(gone)}: no longer an account of this deployment, so its partitions cannot be materialized",
            "Launch the backfill again without it, or put it back into accounts.toml.",
        )
    return [
        span
        for account in accounts
        if account in chosen
        for span in subset.get_ranges_for_keys(
            partitions_def.get_multipartition_keys_with_dimension_value(ACCOUNT, account)
        )
    ]


_dagsters_run = job_backfill.create_backfill_run


def run_not_made(
    request_context: Any, instance: dg.DagsterInstance, code_location: Any, remote_job: Any, partition_set: Any,
    backfill: Any, key_or_range: str | dg.PartitionKeyRange, *arguments: Any,
) -> dg.DagsterRun | None:  # fmt: skip
    """The run for a part of a backfill from a job's page; for one "from failure", everything that has not succeeded.

    Dagster's own version leaves out what was canceled or never began, yet calls the backfill completed; and it fails
    on ranges.
    """
    if backfill.from_failure:
        run = _last_run(instance, partition_set, key_or_range)
        if run and run.status is dg.DagsterRunStatus.SUCCESS:
            return None
        if run is None or run.status is not dg.DagsterRunStatus.FAILURE or not isinstance(key_or_range, str):
            backfill = backfill._replace(from_failure=False)
    return _dagsters_run(
        request_context, instance, code_location, remote_job, partition_set, backfill, key_or_range, *arguments
    )  # fmt: skip


def _last_run(
    instance: dg.DagsterInstance, partition_set: Any, key_or_range: str | dg.PartitionKeyRange
) -> dg.DagsterRun | None:  # fmt: skip
    if isinstance(key_or_range, str):
        place = {PARTITION_NAME_TAG: key_or_range}
    else:
        place = {
            ASSET_PARTITION_RANGE_START_TAG: key_or_range.start, ASSET_PARTITION_RANGE_END_TAG: key_or_range.end
        }  # fmt: skip
    filters = dg.RunsFilter(job_name=partition_set.job_name, tags={PARTITION_SET_TAG: partition_set.name, **place})
    return next(iter(instance.get_runs(filters, limit=1)), None)


class AccountQueue(dg.QueuedRunCoordinator[Any]):
    """Dagster's queue; a run of one account is tagged with it before it is put in."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # The daemon loads this queue before it splits any backfill.
        DefaultPartitionsSubset.get_partition_key_ranges = ranges_by_account  # type: ignore[method-assign, assignment]
        job_backfill.create_backfill_run = run_not_made  # type: ignore[assignment]

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, tagged with its account and with what started it: `ui` if nothing else is known."""
        run = self._whole(context.dagster_run)
        account = account_of(run.tags)
        missing = {STARTED_BY_TAG: "backfill" if BACKFILL_ID_TAG in run.tags else "ui"}
        missing |= {ACCOUNT_TAG: account} if account else {}
        added = {name: value for name, value in missing.items() if name not in run.tags}
        if added:
            self._instance.add_run_tags(run.run_id, added)
        return super().submit_run(context)

    def _whole(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """The run; if it repeats a failed run "from failure", with all steps of that run.

        The last stage of a run is the one that fails, whichever stage could not do its work. Repeated alone, it would
        find nothing new, load the archive's old day, and call it done. All steps do what the failed run left undone.
        """
        parent = repeated_run(self._instance, run)
        if parent is None:
            return run
        whole_run = copy(
            run, step_keys_to_execute=parent.step_keys_to_execute, asset_selection=parent.asset_selection,
            asset_check_selection=parent.asset_check_selection, job_snapshot_id=parent.job_snapshot_id,
            execution_plan_snapshot_id=parent.execution_plan_snapshot_id,
        )  # fmt: skip
        if whole_run.remote_job_origin:
            # The only call of Dagster's storage that rewrites a run.
            self._instance.run_storage.replace_job_origin(whole_run, whole_run.remote_job_origin)
        return whole_run
