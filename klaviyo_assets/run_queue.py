"""The queue that runs wait in: every run of one account carries its name, whoever started it.

Here: the run coordinator that `dagster.yaml` names. Not here: the limits per account, which `dagster.yaml` sets, and
the lock that holds where no queue does (`turns.py`).

Schedules and sensors tag their runs; a person in the UI and a backfill do not. Untagged, such a run would leave the
queue beside a run of its account, wait for its turn and keep the runs of other accounts from the place it takes up.
"""

from typing import Any

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from klaviyo_assets.partitions import account_of

ACCOUNT_TAG = "klaviyo/account"
STARTED_BY_TAG = "klaviyo/started_by"


class AccountQueue(dg.QueuedRunCoordinator[Any]):
    """Dagster's queue; a run of one account is tagged with it before it is put in."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, with the tags of its account and of what started it: `ui` where nothing else is known."""
        run = context.dagster_run
        account = account_of(run.tags)
        missing = {STARTED_BY_TAG: "backfill" if BACKFILL_ID_TAG in run.tags else "ui"}
        missing |= {ACCOUNT_TAG: account} if account else {}
        added = {name: value for name, value in missing.items() if name not in run.tags}
        if added:
            self._instance.add_run_tags(run.run_id, added)
        return super().submit_run(context)
