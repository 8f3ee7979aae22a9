"""What the steps of all stages share: partitions are processed one by one, and each commits or fails on its own.

Here: `StageRun`. Not here: what a stage does with a partition, and anything about frames or destinations.

A partition that fails is not passed on and gets no materialization. Whatever went wrong, even an unexpected error, the
stage goes on with the others. The run fails at its end: only its last stage raises, and names every partition that
failed on the way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import dagster as dg

# An output with this key creates no materialization of its own: ours are yielded partition by partition. Without it,
# Dagster would mark every partition of the run as materialized, even the failed ones.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from klaviyo_assets.defs.failure_metadata import Cause, failure_of
from klaviyo_assets.defs.failures import failure
from klaviyo_assets.defs.partitions import asked_keys
from klaviyo_assets.defs.turns import AccountBusyError, AccountTurns
from klaviyo_assets.defs.undone import repeated_run, undone
from klaviyo_assets.errors import KlaviyoAssetsError, TransientError, contained, stack_of
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.stages.graph import EXTRACTED, FIVETRAN, destinations, followers

# How a backfill is split into runs of one account each: by account, or by account and range of days
# (`defs/run_queue.py`).
ONE_ACCOUNT = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
DAYS_OF_AN_ACCOUNT = dg.BackfillPolicy.single_run()
ATTEMPTS = 3
# Clients retry a call after a transient error themselves; after a long wait, it is not retried over and over.
ATTEMPT_SECONDS = 15
# This many consecutive transient errors of an account mean that the system is down, or the account's part of it: the
# rest of the account is not attempted. Other accounts are, for they may be elsewhere.
GIVE_UP_AFTER = 2


@dataclass(frozen=True)
class Check:
    """One check's verdict on one partition."""

    name: str
    passed: bool
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True)
class Done:
    """The outcome of one partition: metadata of its materialization and verdicts of its checks."""

    metadata: Mapping[str, Any]
    checks: tuple[Check, ...] = ()


def synced(account: str) -> FrameKey:
    """Where a run records that an account's sync failed, for the stage that reads what the sync brings."""
    return FrameKey(FIVETRAN, account, "sync")


def partition_keys(context: dg.AssetExecutionContext) -> list[str]:
    """The partitions of a run; steps ask this and never `context.partition_keys` (`partitions.asked_keys`).

    For a run that repeats a failed one: the partitions for which that run left something undone.

    Raises:
        dg.Failure: the run's tags name no partition.
    """
    try:
        keys = asked_keys(context.run.tags, context.assets_def.partitions_def)
    except KlaviyoAssetsError as error:
        raise failure(error, "nothing was done") from error
    repeated = repeated_run(context.instance, context.run)
    undone_keys = {key for _, key in undone(context.instance, repeated)} if repeated else set()
    return [key for key in keys if key in undone_keys] or keys


@dataclass
class StageRun:
    """One step's work on its partitions.

    Its frames become visible only if the account's turn was not lost while they were written.
    """

    context: dg.AssetExecutionContext
    frames: FrameStore
    turns: AccountTurns
    failures: dict[tuple[str, str], Cause] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set)
    _inherited: set[tuple[str, str]] = field(default_factory=set)
    _unreached: Counter[str] = field(default_factory=Counter)
    _evaluated: dict[dg.AssetCheckKey, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frames = replace(self.frames, confirm=self.turns.confirm)

    @property
    def run_id(self) -> str:
        """The Dagster run."""
        return self.context.run.run_id

    @cached_property
    def partition_keys(self) -> list[str]:
        """The partitions of the run."""
        return partition_keys(self.context)

    def selects(self, key: dg.AssetKey) -> bool:
        """Whether the run wants this asset from this step."""
        return key in self.context.selected_asset_keys

    def work(
        self, key: dg.AssetKey, partition: str, frame: FrameKey, job: Callable[[], Done], before: FrameKey | None = None
    ) -> Iterator[Any]:
        """Process one partition of one asset; a failure is recorded, not raised.

        Args:
            key: The asset.
            partition: The partition's key.
            frame: Where a failure is recorded for later stages of this run.
            job: The work.
            before: The frame of the previous stage: if this run failed to write it, there is nothing to do here.
        """
        self._asked.add((key.to_user_string(), partition))
        try:
            inherited = self._inherited_failure(frame, before)
            if inherited:
                self._inherited.add((key.to_user_string(), partition))
                self._fail(key, partition, frame, inherited)
                return
            done = self._attempt(frame, job)
            materialization = dg.AssetMaterialization(key, partition=partition, metadata=dict(done.metadata))
            evaluations = [event for check in done.checks for event in self.evaluate(key, partition, check)]
        except Exception as error:  # noqa: BLE001  whatever it is, it is this partition's alone
            yield from self.fail(key, partition, contained(error), frame)
            return
        self._unreached.clear()
        yield materialization
        yield from evaluations

    def fail(
        self, key: dg.AssetKey, partition: str, error: KlaviyoAssetsError, frame: FrameKey | None = None
    ) -> Iterator[Any]:
        """Record and log that a partition is not done, and fail its checks."""
        if frame and isinstance(error, TransientError) and not isinstance(error, AccountBusyError):
            self._unreached[frame.account] = min(self._unreached[frame.account] + 1, GIVE_UP_AFTER)
        # The reason is the whole story, and a traceback would bury it. For an unexpected error, it shows where to look.
        self.context.log.error(f"{key.to_user_string()} [{partition}] failed: {error}{stack_of(error)}")
        self._fail(key, partition, frame, Cause.of(key, error))
        yield from self._failed_checks(key, partition, str(error))

    def _inherited_failure(self, frame: FrameKey, before: FrameKey | None) -> Cause | None:
        """Why there is nothing to do here: this run gave up the account, or one of its earlier stages left no frame."""
        if cause := self.turns.given_up(frame.account):
            return cause
        needed = synced(frame.account) if frame.stage == EXTRACTED else before
        note = self.frames.failure(needed, self.run_id) if needed else None
        return Cause.read(note) if note else None

    def _take_turn(self, frame: FrameKey) -> None:
        """Become the account's only writer; this does not concern Fivetran's syncs, which write nothing of ours."""
        if frame.stage != FIVETRAN:
            self.turns.take(frame.account, self.run_id, say=self.context.log.warning)

    def _attempt(self, frame: FrameKey, job: Callable[[], Done]) -> Done:
        from tenacity import (
            Retrying,
            retry_if_exception,
            stop_after_attempt,
            stop_after_delay,
            wait_exponential_jitter,
        )

        unreached = self._unreached[frame.account]
        if unreached >= GIVE_UP_AFTER:
            raise TransientError(
                f"not attempted: the previous {unreached} partitions failed with a transient error",
                "Rerun when the system is back.",
            )

        def once() -> Done:
            self._take_turn(frame)
            return job()

        retrying = Retrying(
            # A run that waited in vain for its turn has waited as long as it may.
            retry=retry_if_exception(
                lambda error: isinstance(error, TransientError) and not isinstance(error, AccountBusyError)
            ),
            # A system that was out of reach a moment ago is asked once, not three times.
            stop=stop_after_attempt(1 if self._unreached.total() else ATTEMPTS) | stop_after_delay(ATTEMPT_SECONDS),
            wait=wait_exponential_jitter(initial=1, max=10),
            before_sleep=lambda state: self.context.log.warning(
                f"attempt {state.attempt_number} of {ATTEMPTS}: {state.outcome and state.outcome.exception()}"
            ),
            reraise=True,
        )
        return retrying(once)

    def _fail(self, key: dg.AssetKey, partition: str, frame: FrameKey | None, cause: Cause) -> None:
        self.failures[key.to_user_string(), partition] = cause
        if frame is None:
            return
        if not self.turns.has(frame.account):
            # The frames may be another run's now, so later stages of this run cannot learn of the failure from them.
            self.turns.give_up(frame.account, cause)
            return
        try:
            self.frames.note_failure(frame, self.run_id, asdict(cause))
        except Exception as error:  # noqa: BLE001  without a note, later stages miss the frame and say so
            self.context.log.warning(f"the failure could not be noted for later stages: {contained(error)}")

    def _failed_checks(self, key: dg.AssetKey, partition: str, reason: str) -> Iterator[Any]:
        for check in self._checks(key):
            yield from self.evaluate(key, partition, Check(check.name, passed=False, description=reason))

    def evaluate(self, key: dg.AssetKey, partition: str, check: Check) -> Iterator[Any]:
        """Record a check's verdict on one partition if the run wants the check."""
        check_key = dg.AssetCheckKey(key, check.name)
        if check_key not in self.context.selected_asset_check_keys:
            return
        self._evaluated.setdefault(check_key, set()).add(partition)
        yield dg.AssetCheckEvaluation(
            asset_key=key, check_name=check.name, partition=partition, passed=check.passed, severity=check.severity,
            metadata=dict(check.metadata), description=check.description,
        )  # fmt: skip

    def _checks(self, key: dg.AssetKey) -> list[dg.AssetCheckKey]:
        return sorted(
            (check for check in self.context.selected_asset_check_keys if check.asset_key == key),
            key=lambda check: check.name,
        )

    def outputs(self) -> Iterator[Any]:
        """End the step with an empty output per asset and check, so that later steps go on with the good partitions.

        Raises:
            dg.Failure: partitions failed and no later stage is in this run to say so.
        """
        # Outputs are in the order of their specs: Dagster wants an asset's output after those that it depends on.
        for key in (spec.key for spec in self.context.assets_def.specs if self.selects(spec.key)):
            name = self.context.assets_def.get_output_name_for_asset_key(key)
            yield dg.Output(None, output_name=name, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})
        for check_key in self.context.selected_asset_check_keys:
            spec = self.context.assets_def.get_spec_for_check_key(check_key)
            yield dg.Output(None, output_name=spec.get_python_identifier())
        unsaid = self._unsaid()
        if unsaid:
            raise failure_of(unsaid, len(self._asked))

    def _unsaid(self) -> dict[tuple[str, str], Cause]:
        """The failures that no later stage of this run names; a destination names its own."""
        if self.is_last():
            return self.failures
        if self._stage in destinations():
            return {failed: cause for failed, cause in self.failures.items() if failed not in self._inherited}
        return {}

    def is_last(self) -> bool:
        """Whether no other asset of this run follows this step's assets."""
        tables = {key.path[-1] for key in self.context.assets_def.keys}
        in_run = self.context.job_def.asset_layer.selected_asset_keys
        following = followers(self._stage)
        return not any(key.path[0] in following and key.path[-1] in tables for key in in_run)

    @property
    def _stage(self) -> str:
        """The stage of this step: all assets of a step belong to one stage."""
        return str(next(iter(self.context.assets_def.keys)).path[0])
