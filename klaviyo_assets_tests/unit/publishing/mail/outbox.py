"""A mail resource whose transport is a list, and runs that end as a test wants them to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.failure_metadata import Cause, failure_of
from klaviyo_assets.resources.mail.resource import MailResource, Message, Sent

ACCOUNTS = Accounts({name: Account(name, f"klaviyo_{name}") for name in ("acme", "bloom")}, "a test")
DAYS = dg.MultiPartitionsDefinition({
    "account": dg.StaticPartitionsDefinition(["acme", "bloom"]),
    "date": dg.DailyPartitionsDefinition("2026-05-01", end_date="2026-06-01"),
})  # fmt: skip


LOADED = dg.AssetKey(["bigquery", "event"])


@dataclass
class Box:
    """What was sent, and the fault that is raised instead while there is one."""

    sent: list[Message] = field(default_factory=list)
    fault: Exception | None = None

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.sent]

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.sent]


class Outbox(MailResource):
    """Puts what would be sent into its box, found by its sender: Dagster makes a resource anew for each tick."""

    boxes: ClassVar[dict[str, Box]] = {}

    @classmethod
    def new(cls) -> "Outbox":
        outbox = cls(sender=f"{len(cls.boxes)}@sender.example")
        cls.boxes[outbox.sender] = Box()
        return outbox

    @property
    def box(self) -> Box:
        return self.boxes[self.sender]

    def deliver(self, message: Message, to: Any = ()) -> Sent:
        if self.box.fault:
            raise self.box.fault
        self.box.sent.append(message)
        return Sent(f"id-{len(self.box.sent)}", "ses", 1)


class Shop:
    """A graph of two stages whose faults a test sets by day, run on a real instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.faults: dict[str, str] = {}
        self.crash: Exception | None = None
        self._definitions = self._new_definitions()

    def _new_definitions(self) -> dg.Definitions:
        @dg.asset(key=["mapped", "event"], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
        def map_events() -> None:
            if self.crash:
                raise self.crash

        @dg.multi_asset(
            name="bigquery__event", backfill_policy=dg.BackfillPolicy.single_run(),
            specs=[dg.AssetSpec(LOADED, deps=[["mapped", "event"]], partitions_def=DAYS, skippable=True)],
        )  # fmt: skip
        def load_events(context: dg.AssetExecutionContext) -> Iterator[Any]:
            keys = [str(key) for key in context.partition_keys]
            failed = {key: self.faults[key[-10:]] for key in keys if key[-10:] in self.faults}
            for key in keys:
                if key not in failed:
                    yield dg.AssetMaterialization(LOADED, partition=key)
            output = context.assets_def.get_output_name_for_asset_key(LOADED)
            yield dg.Output(None, output_name=output, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})
            if failed:
                causes = {
                    ("bigquery/event", key): Cause("bigquery/event", "TransientError", True, reason)
                    for key, reason in failed.items()
                }
                raise failure_of(causes, len(keys))

        jobs = [dg.define_asset_job("events", dg.AssetSelection.all())]
        return dg.Definitions(assets=[map_events, load_events], jobs=jobs, executor=dg.in_process_executor)

    def run(
        self, account: str, first: str, last: str, *, to: str = "", retry_of: str = "", by: str = "schedule"
    ) -> str:  # fmt: skip
        """Run the days of an account (or of all up to `to`); the run's id."""
        tags = {
            "dagster/asset_partition_range_start": f"{account}|{first}",
            "dagster/asset_partition_range_end": f"{to or account}|{last}",
            "klaviyo/started_by": by,
        }
        if retry_of:
            tags |= {"dagster/parent_run_id": retry_of, "dagster/root_run_id": retry_of, "dagster/retry_number": "1"}
        job = self._definitions.resolve_job_def("events")
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False).run_id


@contextmanager
def instance_at(folder: Any) -> Iterator[dg.DagsterInstance]:
    """The instance of a folder: opened again, it is what a restarted daemon sees."""
    with dg.DagsterInstance.local_temp(str(folder)) as local_instance:
        yield local_instance
