"""How a stage works off its partitions: a bad one fails by name, the good ones are done and handed on."""

from collections import Counter
from datetime import date
from functools import partial
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.failure_metadata import read_failure
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.stage_run import ATTEMPTS, GIVE_UP_AFTER, Check, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.defs.undone import undone
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.stages.keys import account_days, range_tags
from klaviyo_assets_tests.free_turns import FreeTurns

FIRST = date(2026, 1, 1)
EXTRACTED, MAPPED = dg.AssetKey(["extracted", "event"]), dg.AssetKey(["mapped", "event"])
DAYS = Partitions.of(
    Accounts({"acme": Account(name="acme", postgres_schema="klaviyo_acme", start_date=FIRST)}, "a test")
).account_days
CHECK = dg.AssetCheckKey(MAPPED, "schema")


def stage(key, work, before=None):
    """A stage of one asset whose work on a day is `work(day)`."""
    check = [dg.AssetCheckSpec("schema", asset=key, partitions_def=DAYS)] if before else []

    @dg.multi_asset(
        name="_".join(key.path), can_subset=True, check_specs=check, backfill_policy=dg.BackfillPolicy.single_run(),
        specs=[dg.AssetSpec(key, deps=[before] if before else [], partitions_def=DAYS, skippable=True)],
    )  # fmt: skip
    def step(context: dg.AssetExecutionContext, frames: dg.ResourceParam[FrameStore], turns: AccountTurns):
        run = StageRun(context, frames, turns)
        for day in account_days(run.partition_keys)["acme"]:
            frame = FrameKey(key.path[0], "acme", "event", day.isoformat())
            earlier = FrameKey(before.path[0], "acme", "event", day.isoformat()) if before else None
            yield from run.work(key, f"acme|{day}", frame, partial(work, day.day), earlier)
        yield from run.outputs()

    return step


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, noted and not made."""
    seconds = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def run_days(tmp_path, pauses):
    """Run days 1 to `last` of both stages as one range run; gives the result and who worked on which day."""

    def run(last, faults, mapping_faults=None, repeats=None, also=None):
        worked = {"extracted": [], "mapped": []}

        def work(name, planned, day):
            worked[name].append(day)
            fault = planned.get(day)
            if isinstance(fault, list):
                fault = fault.pop(0) if fault else None
            if fault is not None:
                raise fault
            return Done({"day": day}, (Check("schema", passed=True, metadata={"day": day}),))

        assets = [
            stage(EXTRACTED, partial(work, "extracted", faults)),
            stage(MAPPED, partial(work, "mapped", mapping_faults or {}), EXTRACTED),
        ]
        resources, tags = (
            {"frames": FrameStore(url=str(tmp_path)), "turns": FreeTurns()},
            range_tags("acme", FIRST, date(2026, 1, last)) | (also or {}),
        )
        if repeats is None:
            result = dg.materialize(
                assets, resources=resources, instance=run.instance, tags=tags, raise_on_error=False
            )  # fmt: skip
            return result, worked
        job = dg.Definitions(assets=assets, resources=resources, executor=dg.in_process_executor)
        job = job.resolve_implicit_global_asset_job_def()
        repeated_run = run.instance.create_run_for_job(
            job, tags=tags | {"dagster/is_resume_retry": "true"}, parent_run_id=repeats, root_run_id=repeats
        )  # fmt: skip
        return execute_run(InMemoryJob(job), repeated_run, run.instance, raise_on_error=False), worked

    run.instance = dg.DagsterInstance.ephemeral()
    return run


def materialized(result, key):
    events = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return [str(event.partition) for event in events]


def failure_of(result):
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return failed.step_key, failed.step_failure_data.user_failure_data.description


def not_done(result):
    """What the failure says as data: which asset failed first, why, and what is not done for it."""
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    causes = read_failure(failed.step_failure_data.user_failure_data.metadata)
    return [(cause.asset, cause.kind, partitions) for cause, partitions in causes]


def verdicts(result):
    return {
        event.event_specific_data.partition: event.event_specific_data.passed
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION" and event.event_specific_data.partition
    }


def test_good_days_are_all_materialized_each_with_its_own_metadata(run_days):
    result, worked = run_days(3, {})

    assert result.success
    assert worked == {"extracted": [1, 2, 3], "mapped": [1, 2, 3]}
    assert materialized(result, EXTRACTED) == [f"acme|2026-01-0{day}" for day in (1, 2, 3)]
    assert [event.materialization.metadata["day"].value for event in result.get_asset_materialization_events()] == [
        1, 2, 3, 1, 2, 3,
    ]  # fmt: skip
    assert verdicts(result) == {f"acme|2026-01-0{day}": True for day in (1, 2, 3)}


def test_all_days_are_made_whatever_key_a_backfill_left_beside_the_range(run_days):
    """A backfill from a job's page leaves the tags of one key in all its runs, and Dagster sees that key alone."""
    one_key = {"dagster/partition/account": "acme", "dagster/partition/date": "2026-01-02"}

    result, worked = run_days(3, {}, also=one_key)

    assert result.success
    assert worked == {"extracted": [1, 2, 3], "mapped": [1, 2, 3]}
    assert materialized(result, MAPPED) == [f"acme|2026-01-0{day}" for day in (1, 2, 3)]
    assert verdicts(result) == {f"acme|2026-01-0{day}": True for day in (1, 2, 3)}


def test_a_bad_day_fails_by_name_and_the_good_ones_are_done_and_handed_on(run_days):
    result, worked = run_days(3, {2: PermanentError("day two is broken")})

    good = ["acme|2026-01-01", "acme|2026-01-03"]
    assert not result.success
    assert worked == {"extracted": [1, 2, 3], "mapped": [1, 3]}
    assert materialized(result, EXTRACTED) == materialized(result, MAPPED) == good
    step, reason = failure_of(result)
    assert step == "mapped_event"
    assert reason.splitlines() == [
        "1 of 3 partition(s) failed, the others are done:",
        "event [acme|2026-01-02]: day two is broken",
        "Next: fix the cause above, then rerun (in the UI: Re-execute on the run's page).",
    ]
    assert not_done(result) == [("extracted/event", "PermanentError", {"mapped/event": ["acme|2026-01-02"]})]


def test_the_last_stage_of_the_run_is_the_one_that_fails(run_days):
    """Were the first to fail, Dagster would skip the second, and with it the good days."""
    result, _ = run_days(2, {1: PermanentError("one")}, {2: PermanentError("two")})

    _, reason = failure_of(result)
    assert "event [acme|2026-01-01]: one" in reason
    assert "event [acme|2026-01-02]: two" in reason
    assert materialized(result, MAPPED) == []


def test_a_failed_check_is_evaluated_for_its_day(run_days):
    result, _ = run_days(2, {}, {2: PermanentError("broken columns")})

    assert verdicts(result) == {"acme|2026-01-01": True, "acme|2026-01-02": False}


def test_a_permanent_fault_is_tried_once(run_days, pauses):
    _, worked = run_days(1, {1: PermanentError("no")})

    assert worked["extracted"] == [1]
    assert pauses == []


def test_a_passing_fault_is_tried_again_after_a_growing_pause(run_days, pauses):
    result, worked = run_days(2, {1: [TransientError("away"), TransientError("away")]})

    assert result.success
    assert Counter(worked["extracted"]) == {1: ATTEMPTS, 2: 1}
    assert len(pauses) == ATTEMPTS - 1
    assert 0 < pauses[0] < pauses[1] + 1


def test_when_the_system_is_down_the_other_days_are_not_tried(run_days):
    down = {day: TransientError("server is away") for day in range(1, 10)}

    result, worked = run_days(9, down)

    assert Counter(worked["extracted"]) == {1: ATTEMPTS, 2: 1}
    assert GIVE_UP_AFTER == 2
    assert worked["mapped"] == []
    _, reason = failure_of(result)
    assert reason.startswith("all 9 partitions failed:")
    assert "event [acme|2026-01-01], event [acme|2026-01-02]: server is away" in reason
    assert "not attempted: the previous 2 partitions" in reason


def test_a_day_that_succeeds_in_between_closes_the_circuit_again(run_days):
    away = TransientError("away")

    _, worked = run_days(5, {1: away, 3: away, 5: away})

    assert Counter(worked["extracted"]) == {1: ATTEMPTS, 2: 1, 3: ATTEMPTS, 4: 1, 5: ATTEMPTS}


def test_an_error_nobody_foresaw_fails_its_day_alone_and_is_told_without_its_words(run_days, pauses):
    """Its words may quote a row; its class and place say where to look."""
    result, worked = run_days(3, {1: KeyError("ann@mail.example")}, {3: RecursionError()})

    assert not result.success
    assert worked == {"extracted": [1, 2, 3], "mapped": [2, 3]}
    assert pauses == []
    assert materialized(result, MAPPED) == ["acme|2026-01-02"]
    assert [found[:2] for found in not_done(result)] == [
        ("extracted/event", "KeyError"), ("mapped/event", "RecursionError"),
    ]  # fmt: skip
    _, reason = failure_of(result)
    assert "event [acme|2026-01-01]: unforeseen KeyError" in reason
    recorded = "\n".join(str(entry.to_json()) for entry in run_days.instance.all_logs(result.run_id))
    assert "test_stage_run.py:" in recorded
    assert "ann@mail.example" not in recorded


def test_a_run_that_repeats_a_failed_one_does_what_that_one_left_undone(run_days):
    """And so does the one that repeats that: what either has done is done."""
    first, _ = run_days(4, {2: PermanentError("two")}, {3: PermanentError("three")})

    again, worked = run_days(4, {2: PermanentError("still two")}, repeats=first.run_id)
    assert worked == {"extracted": [2, 3], "mapped": [3]}
    assert not again.success
    run = run_days.instance.get_run_by_id(again.run_id)
    assert undone(run_days.instance, run) == {
        ("extracted/event", "acme|2026-01-02"), ("mapped/event", "acme|2026-01-02"),
    }  # fmt: skip

    last, worked = run_days(4, {}, repeats=again.run_id)
    assert last.success
    assert worked == {"extracted": [2], "mapped": [2]}


def test_an_interruption_is_not_contained(run_days):
    result, worked = run_days(2, {1: KeyboardInterrupt()})

    assert not result.success
    assert worked == {"extracted": [1], "mapped": []}


def test_a_failure_of_an_earlier_run_does_not_stop_this_one(run_days):
    run_days(1, {1: PermanentError("yesterday")})

    result, worked = run_days(1, {})

    assert result.success
    assert worked["mapped"] == [1]


@pytest.fixture
def run_accounts(tmp_path, pauses):
    """Run a stage of two tables over accounts of one run; gives the result and what was worked on."""
    names = dg.StaticPartitionsDefinition(["acme", "bloom"])
    tables = [dg.AssetKey(["extracted", name]) for name in ("metric", "person")]

    def run(first, last, faults=None, busy=""):
        worked = []

        @dg.multi_asset(
            name="extract", can_subset=True, backfill_policy=dg.BackfillPolicy.single_run(),
            specs=[dg.AssetSpec(key, partitions_def=names, skippable=True) for key in tables],
        )  # fmt: skip
        def extract(context: dg.AssetExecutionContext, frames: dg.ResourceParam[FrameStore], turns: AccountTurns):
            stage_run = StageRun(context, frames, turns)
            for account in stage_run.partition_keys:
                for key in tables:
                    frame = FrameKey("extracted", account, key.path[-1])
                    yield from stage_run.work(key, account, frame, partial(work, account))
            yield from stage_run.outputs()

        def work(account):
            worked.append(account)
            if (faults or {}).get(account):
                raise faults[account]
            return Done({})

        result = dg.materialize(
            [extract], resources={"frames": FrameStore(url=str(tmp_path)), "turns": FreeTurns(busy=busy)},
            instance=dg.DagsterInstance.ephemeral(), raise_on_error=False,
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        )  # fmt: skip
        return result, worked

    return run


def accounts_done(result):
    return [event.partition for event in result.get_asset_materialization_events()]


def test_an_account_whose_systems_are_away_does_not_stop_another(run_accounts):
    result, worked = run_accounts("acme", "bloom", {"acme": TransientError("its schema is locked")})

    assert accounts_done(result) == ["bloom", "bloom"]
    assert Counter(worked) == {"acme": ATTEMPTS + 1, "bloom": 2}
    assert "metric [acme], person [acme]: its schema is locked" in failure_of(result)[1]


def test_a_busy_account_fails_by_name_without_trying_again_and_the_other_goes_on(run_accounts, pauses):
    result, worked = run_accounts("acme", "bloom", busy="acme")

    assert accounts_done(result) == ["bloom", "bloom"]
    assert worked == ["bloom", "bloom"]
    assert pauses == []
    assert "metric [acme], person [acme]: account 'acme' is being written by another run" in failure_of(result)[1]


class LostTurns(FreeTurns):
    """Turns that are lost while a frame is written."""

    def confirm(self, account):
        raise TransientError(f"the turn of account {account!r} was lost")


def test_a_frame_becomes_visible_only_if_the_turn_was_not_lost(tmp_path, pauses):
    key, frame = dg.AssetKey(["extracted", "metric"]), FrameKey("extracted", "acme", "metric")
    store = FrameStore(url=str(tmp_path))

    @dg.multi_asset(specs=[dg.AssetSpec(key, partitions_def=dg.StaticPartitionsDefinition(["acme"]), skippable=True)])
    def extract(context: dg.AssetExecutionContext, frames: dg.ResourceParam[FrameStore], turns: AccountTurns):
        run = StageRun(context, frames, turns)

        def write():
            with run.frames.write(frame) as writer:
                writer.append(pa.table({"id": ["one"]}))
                writer.finish()
            return Done({})

        yield from run.work(key, "acme", frame, write)
        yield from run.outputs()

    def materialize(turns):
        return dg.materialize(
            [extract], resources={"frames": store, "turns": turns}, partition_key="acme", raise_on_error=False
        )

    assert "was lost" in failure_of(materialize(LostTurns()))[1]
    assert store.record(frame) is None
    assert materialize(FreeTurns()).success
    assert store.record(frame).rows == 1
