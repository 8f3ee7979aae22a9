"""The `fivetran` stage: what Fivetran writes into Postgres, one asset per raw table, partitioned by account.

Here: the assets, and what is recorded about a finished sync. Not here: the API (`resources/fivetran/resource.py`), and
the sensor that notices the end of every sync, whoever started it (`defs/automation/sensors.py`).

There is one request per account and run, whatever tables are selected, because Fivetran syncs a connection as a whole.
Alone in a run, the stage starts the sync and returns, and the sensor materializes its assets when the sync ends. If
something downstream is in the run, or in a backfill, it waits: an asset that yields nothing would leave its downstream
skipped and the run green. If a run has several accounts, those whose sync succeeded go on; the others are named when
the run ends.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.failure_metadata import Cause, metadata_of
from klaviyo_assets.defs.failures import failure
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import ONE_ACCOUNT, StageRun, partition_keys, synced
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, TransientError, contained, stack_of
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.fivetran.models import Connection, until
from klaviyo_assets.resources.fivetran.resource import FivetranResource, StartedSync
from klaviyo_assets.stages.graph import FIVETRAN


def fivetran_key(table: str) -> dg.AssetKey:
    """The key of a raw table's asset."""
    return dg.AssetKey([FIVETRAN, table])


def build_fivetran_assets(
    tables: Sequence[TableSpec], accounts: Accounts, partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """One asset per raw table, all materialized by one step.

    Args:
        tables: The raw tables to show.
        accounts: The accounts that partition keys name.
        partitions_def: Account names.
    """

    @dg.multi_asset(
        name="fivetran_sync",
        specs=[
            asset_spec(
                FIVETRAN,
                table,
                partitions_def,
                {"fivetran", "klaviyo", "postgres"},
                description=_description(table),
                metadata={"source": dg.MetadataValue.url(table.source)},
            )
            for table in tables
        ],
        can_subset=True,
        backfill_policy=ONE_ACCOUNT,
    )
    def fivetran_sync(
        context: dg.AssetExecutionContext,
        fivetran: FivetranResource,
        frames: dg.ResourceParam[FrameStore],
        turns: AccountTurns,
    ) -> Iterator[Any]:
        syncs = AccountSyncs(context, fivetran)
        for name in partition_keys(context):
            syncs.start(accounts[name])
        if not _is_waited_for(context):
            syncs.raise_failures()
            return
        run = StageRun(context, frames, turns)
        for name, connection in syncs.wait().items():
            for key in sorted(context.selected_asset_keys):
                yield dg.AssetMaterialization(
                    key, partition=name, metadata=sync_metadata(connection, key.path[-1])
                )  # fmt: skip
        for name, error in syncs.failures.items():
            cause = replace(Cause.of(dg.AssetKey(FIVETRAN), error), what=f"account {name}: {error.what}")
            frames.note_failure(synced(name), run.run_id, asdict(cause))
        if run.is_last():
            syncs.raise_failures()
        yield from run.outputs()

    return fivetran_sync


class AccountSyncs:
    """The syncs of one run, one per account; an account that fails does not stop the others."""

    def __init__(self, context: dg.AssetExecutionContext, fivetran: FivetranResource) -> None:
        self._context, self._fivetran = context, fivetran
        self._started: list[tuple[Account, StartedSync]] = []
        self.failures: dict[str, KlaviyoAssetsError] = {}

    def start(self, account: Account) -> None:
        """Start an account's sync and log it."""
        try:
            sync = self._fivetran.sync(connection_id_of(account))
        except Exception as error:  # noqa: BLE001  whatever it is, it is this account's alone
            self._failed(account, contained(error))
        else:
            self._started.append((account, sync))
            self._context.log.info(started_message(account, sync))

    def wait(self) -> dict[str, Connection]:
        """Wait for all started syncs, in all no longer than one may take; return the successful ones by account."""
        deadline = time.monotonic() + self._fivetran.sync_timeout_seconds
        ended: dict[str, Connection] = {}
        for account, sync in self._started:
            try:
                left = max(deadline - time.monotonic(), 0)
                ended[account.name] = self._fivetran.wait(sync.previous.id, sync.since, timeout_seconds=left)
            except Exception as error:  # noqa: BLE001  whatever it is, it is this account's alone
                self._failed(account, contained(error))
            else:
                self._context.log.info(f"the sync of account {account.name} has ended")
        return ended

    def raise_failures(self) -> None:
        """Raise one failure that names every account that failed, and why."""
        not_done = metadata_of({
            (key.to_user_string(), name): Cause.of(key, error)
            for name, error in self.failures.items()
            for key in sorted(self._context.selected_asset_keys)
        })  # fmt: skip
        if len(self.failures) == 1:
            ((name, error),) = self.failures.items()
            raise failure(error, f"account {name}", not_done) from error
        if self.failures:
            reasons = "\n".join(f"account {name}: {error}" for name, error in self.failures.items())
            raise dg.Failure(
                description=f"{len(self.failures)} accounts failed:\n{reasons}",
                metadata={name: str(error) for name, error in self.failures.items()} | not_done,
                allow_retries=all(isinstance(error, TransientError) for error in self.failures.values()),
            )

    def _failed(self, account: Account, error: KlaviyoAssetsError) -> None:
        self.failures[account.name] = error
        self._context.log.error(f"account {account.name}: {error}{stack_of(error)}")


def connection_id_of(account: Account) -> str:
    """The account's Fivetran connection.

    Raises:
        SettingsError: the account has none.
    """
    if account.fivetran_connection_id:
        return account.fivetran_connection_id
    raise SettingsError(
        f"account {account.name!r} has no fivetran_connection_id, so its sync cannot be started",
        "Set it in accounts.toml; `klaviyo-assets connections` lists the connections.",
    )


def started_message(account: Account, sync: StartedSync) -> str:
    """A sentence on what was done about an account's sync."""
    connection = sync.previous
    what = f"of account {account.name} (connection {connection.id}, {connection.url})"
    if sync.was_running:
        return f"a sync {what} was already running; it is left to finish"
    if connection.sync_state == "rescheduled":
        return f"requested a sync {what}, which Fivetran had postponed {until(connection.rescheduled_for)}"
    return f"started a sync {what}; the sensor records it when it ends"


def sync_metadata(connection: Connection, table: str) -> dict[str, Any]:
    """The metadata of a raw table's materialization, under dagster-fivetran's names where it has one."""
    from dagster_fivetran.translator import FivetranMetadataSet

    completed = connection.succeeded_at
    theirs = FivetranMetadataSet(
        connector_id=connection.id,
        connector_name=connection.schema,
        destination_id=connection.group_id,
        destination_schema_name=connection.schema,
        destination_table_name=table,
        sync_frequency_minutes=connection.sync_frequency,
        schedule_type=connection.schedule_type,
        sync_completed_at=completed.timestamp() if completed else None,
    )
    ours: dict[str, Any] = {"connection": dg.MetadataValue.url(connection.url)}
    if completed:
        ours["sync_completed_at"] = dg.MetadataValue.timestamp(completed)
    return {**ours, **theirs}


def _description(table: TableSpec) -> str:
    return (
        f"Raw `{table.name}` as Fivetran writes it into the account's Postgres schema. {table.description}"
        "\n\nMaterializing it starts a sync of the account's connection."
    )


def _is_waited_for(context: dg.AssetExecutionContext) -> bool:
    """Whether something in this run, or in a backfill's next run, reads what the sync brings."""
    if "dagster/backfill" in context.run.tags:
        return True
    return any(key.path[0] != FIVETRAN for key in context.job_def.asset_layer.selected_asset_keys)
