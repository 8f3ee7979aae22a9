"""The queue that runs wait in: every run of one account carries its name, whoever started it.

Here: the run coordinator that `dagster.yaml` names; cutting a backfill into runs of one account each; and repeating a
run that failed. Not here: the limits per account, which `dagster.yaml` sets, and the lock that holds where no queue
does (`turns.py`).

Schedules and sensors tag their runs; a person in the UI and a backfill do not. Untagged, such a run would leave the
queue beside a run of its account, wait for its turn and keep the runs of other accounts from the place it takes up.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._record import copy

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.partitions import ACCOUNT, account_of
from klaviyo_assets.undone import repeated_run

ACCOUNT_TAG = "klaviyo/account"
STARTED_BY_TAG = "klaviyo/started_by"


_dagsters_ranges = DefaultPartitionsSubset.get_partition_key_ranges


def ranges_by_account(
    subset: DefaultPartitionsSubset, partitions_def: dg.PartitionsDefinition[str]
) -> Sequence[dg.PartitionKeyRange]:
    """The ranges of a selection that become runs of a backfill: account by account, the days in order.

    Dagster cuts by whichever dimension has fewer keys: two days of two accounts would be a run per day, of both
    accounts, and neither could wait in the queue for its account. It has no setting for that.
    """
    if (
        not isinstance(partitions_def, dg.MultiPartitionsDefinition)
        or ACCOUNT not in partitions_def.partition_dimension_names
    ):
        return _dagsters_ranges(subset, partitions_def)
    chosen = {str(key).partition("|")[0] for key in subset.subset}
    accounts = partitions_def.get_partitions_def_for_dimension(ACCOUNT).get_partition_keys()
    if gone := sorted(chosen.difference(accounts)):
        raise PermanentError(
            f"{', '.join(gone)}: no account of this deployment any more, so its partitions cannot be made. Launch the "
            "backfill again without it, or put it back into accounts.toml."
        )
    return [
        found
        for account in accounts
        if account in chosen
        for found in subset.get_ranges_for_keys(
            partitions_def.get_multipartition_keys_with_dimension_value(ACCOUNT, account)
        )
    ]


class AccountQueue(dg.QueuedRunCoordinator[Any]):
    """Dagster's queue; a run of one account is tagged with it before it is put in."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # The daemon has this queue before it cuts any backfill.
        DefaultPartitionsSubset.get_partition_key_ranges = ranges_by_account  # type: ignore[method-assign, assignment]

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, with the tags of its account and of what started it: `ui` where nothing else is known."""
        run = self._whole(context.dagster_run)
        account = account_of(run.tags)
        missing = {STARTED_BY_TAG: "backfill" if BACKFILL_ID_TAG in run.tags else "ui"}
        missing |= {ACCOUNT_TAG: account} if account else {}
        added = {name: value for name, value in missing.items() if name not in run.tags}
        if added:
            self._instance.add_run_tags(run.run_id, added)
        return super().submit_run(context)

    def _whole(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """The run; where it repeats a failed one "from failure", with all steps of that one.

        The last stage of a run is the one that fails, for what any stage could not do. Repeated alone it would find
        nothing new, load the archive's old day, and call it done. Its steps do what the failed run left undone.
        """
        parent = repeated_run(self._instance, run)
        if parent is None:
            return run
        whole = copy(
            run, step_keys_to_execute=parent.step_keys_to_execute, asset_selection=parent.asset_selection,
            asset_check_selection=parent.asset_check_selection, job_snapshot_id=parent.job_snapshot_id,
            execution_plan_snapshot_id=parent.execution_plan_snapshot_id,
        )  # fmt: skip
        if whole.remote_job_origin:
            # The one call of Dagster's storage that writes a run anew.
            self._instance.run_storage.replace_job_origin(whole, whole.remote_job_origin)
        return whole
