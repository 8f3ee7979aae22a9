"""The Fivetran stage in real runs: alone, with something downstream, and in a backfill."""

import dagster as dg
import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.assets.fivetran import build_fivetran_assets, fivetran_key
from klaviyo_assets.defs.stage_run import ONE_ACCOUNT, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.free_turns import FreeTurns
from klaviyo_assets_tests.unit.resources.fivetran.scripted import Answer, connection_answer

LATER = "2026-03-01T05:00:00Z"
EVENT, PERSON = fivetran_key("event"), fivetran_key("person")
ACCOUNTS = Accounts(
    {
        "acme": Account("acme", "klaviyo_acme", fivetran_connection_id="speak_menial"),
        "bloom": Account("bloom", "klaviyo_bloom", fivetran_connection_id="warm_harbor"),
        "bare": Account("bare", "klaviyo_bare"),
    },
    "a test",
)
PARTITIONS = dg.StaticPartitionsDefinition(ACCOUNTS.names)
GET, POST = "GET /v1/connections/speak_menial", "POST /v1/connections/speak_menial/sync"
BLOOM_GET, BLOOM_POST = "GET /v1/connections/warm_harbor", "POST /v1/connections/warm_harbor/sync"
BACKFILL = {"dagster/backfill": "a-backfill"}


EXTRACTED = dg.AssetKey(["extracted", "event"])


@dg.multi_asset(
    specs=[dg.AssetSpec(EXTRACTED, deps=[EVENT], partitions_def=PARTITIONS, skippable=True)], can_subset=True,
    backfill_policy=ONE_ACCOUNT,
)  # fmt: skip
def extracted_event(context: dg.AssetExecutionContext, frames: dg.ResourceParam[FrameStore], turns: AccountTurns):
    """Stands for everything downstream, with the stages' own handling of partitions."""
    run = StageRun(context, frames, turns)
    for name in run.partition_keys:
        yield from run.work(EXTRACTED, name, FrameKey("extracted", name, "event"), lambda: Done({}))
    yield from run.outputs()


@pytest.fixture
def run(server, tmp_path):
    """Materialize a selection of the graph for one account or a range of accounts."""
    assets = build_fivetran_assets([TABLES["event"], TABLES["person"]], ACCOUNTS, PARTITIONS)
    instance = dg.DagsterInstance.ephemeral()

    def materialize(*keys, partition="acme", tags=None, **settings):
        single = {"partition_key": partition} if isinstance(partition, str) else {}
        first_and_last = () if single else partition
        names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
        return dg.materialize(
            [assets, extracted_event], selection=list(keys), instance=instance, raise_on_error=False,
            resources={
                "fivetran": server.resource(**settings), "frames": FrameStore(url=str(tmp_path)), "turns": FreeTurns(),
            },
            tags={**dict(zip(names, first_and_last, strict=False)), **(tags or {})}, **single,
        )  # fmt: skip

    return materialize


def materialized(result):
    return {(event.asset_key, event.partition) for event in result.get_asset_materialization_events()}


def failure(result):
    return next(event for event in result.all_events if event.is_step_failure).step_failure_data.error


def description(result):
    data = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    return data.user_failure_data.description


def test_alone_it_triggers_once_whatever_is_selected_and_returns(server, run):
    server.on(GET, connection_answer())
    server.on(POST, Answer())

    result = run(EVENT, PERSON)

    assert result.success
    assert materialized(result) == set()
    assert server.asked() == [GET, POST]


def test_with_something_downstream_it_waits_and_yields_what_was_selected(server, run):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    result = run(EVENT, EXTRACTED)

    assert result.success
    assert materialized(result) == {(EVENT, "acme"), (EXTRACTED, "acme")}
    assert server.asked("POST") == [POST]


def test_in_a_backfill_it_waits(server, run):
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    result = run(EVENT, PERSON, tags=BACKFILL)

    assert materialized(result) == {(EVENT, "acme"), (PERSON, "acme")}
    assert server.asked("POST") == [POST]


def test_a_materialization_says_when_the_sync_ended_and_where_to_look(server, run):
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    (event,) = run(EVENT, tags=BACKFILL).get_asset_materialization_events()

    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert metadata["connection"] == "https://fivetran.com/dashboard/connections/speak_menial"
    assert metadata["sync_completed_at"] == 1772341200.0
    assert metadata["dagster-fivetran/connector_id"] == "speak_menial"
    assert metadata["dagster-fivetran/sync_completed_at"] == 1772341200.0
    assert metadata["dagster-fivetran/destination_table_name"] == "event"


def test_a_range_of_accounts_is_one_run_with_one_post_each(server, run):
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())
    server.on(
        BLOOM_GET,
        connection_answer("warm_harbor"),
        connection_answer("warm_harbor", succeeded_at="2026-03-01T06:00:00Z"),
    )
    server.on(BLOOM_POST, Answer())

    result = run(EVENT, EXTRACTED, partition=("acme", "bloom"))

    assert result.success
    assert server.asked("POST") == [POST, BLOOM_POST]
    completed = {
        event.partition: event.materialization.metadata["sync_completed_at"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == EVENT
    }
    assert completed == {"acme": 1772341200.0, "bloom": 1772344800.0}


def test_a_rescheduled_sync_fails_the_run_and_says_until_when(server, run):
    server.on(
        GET, connection_answer(), connection_answer(sync_state="rescheduled", rescheduled_for="2026-03-01T09:30:00Z")
    )
    server.on(POST, Answer())

    result = run(EVENT, EXTRACTED)

    assert not result.success
    assert materialized(result) == set()
    assert "account acme: " in description(result)
    assert "until 2026-03-01 09:30 UTC" in description(result)


@pytest.mark.parametrize("tags", [{}, BACKFILL])
def test_a_paused_connection_fails_the_run_with_the_fix(server, run, tags):
    server.on(GET, connection_answer(paused=True))

    result = run(EVENT, tags=tags)

    assert not result.success
    assert "is paused" in description(result)
    assert "Enable it at" in description(result)
    assert server.asked("POST") == []


def test_a_failed_sync_fails_the_run_with_fivetrans_reason(server, run):
    server.on(GET, connection_answer(), connection_answer(failed_at=LATER, tasks=[{"message": "the source refused"}]))
    server.on(POST, Answer())

    assert "the source refused" in description(run(EVENT, tags=BACKFILL))


def test_an_account_without_a_connection_is_a_missing_setting(server, run):
    result = run(EVENT, partition="bare")

    assert "'bare' has no fivetran_connection_id" in description(result)
    assert "klaviyo-assets connections" in description(result)
    assert server.requests == []


def test_a_failing_account_does_not_keep_another_from_its_sync(server, run):
    """The good account's tables are recorded; the run fails and names the bad one."""
    server.on(GET, connection_answer(paused=True))
    server.on(BLOOM_GET, connection_answer("warm_harbor"), connection_answer("warm_harbor", succeeded_at=LATER))
    server.on(BLOOM_POST, Answer())

    result = run(EVENT, partition=("acme", "bloom"), tags=BACKFILL)

    assert not result.success
    assert "account acme: " in description(result)
    assert "bloom" not in description(result)
    assert materialized(result) == {(EVENT, "bloom")}


def test_downstream_of_a_good_account_goes_on_where_another_failed(server, run):
    """The run ends failed, once, where its last stage names the bad account and why."""
    server.on(GET, connection_answer(paused=True))
    server.on(BLOOM_GET, connection_answer("warm_harbor"), connection_answer("warm_harbor", succeeded_at=LATER))
    server.on(BLOOM_POST, Answer())

    result = run(EVENT, PERSON, EXTRACTED, partition=("acme", "bloom"))

    assert materialized(result) == {(EVENT, "bloom"), (PERSON, "bloom"), (EXTRACTED, "bloom")}
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["extracted_event"]
    assert "event [acme]: account acme: " in description(result)
    assert "is paused" in description(result)
    assert "bloom" not in description(result).replace("warm_harbor", "")


def test_a_sync_that_failed_in_one_run_does_not_stop_the_next(server, run):
    server.on(GET, connection_answer(paused=True))
    assert not run(EVENT, EXTRACTED).success
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    assert materialized(run(EVENT, EXTRACTED)) == {(EVENT, "acme"), (EXTRACTED, "acme")}


def test_a_slow_account_costs_the_others_no_part_of_what_they_brought(server, run):
    """It is given up after the bound that all share; what ended in the meantime counts."""
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"))
    server.on(POST, Answer())
    server.on(BLOOM_GET, connection_answer("warm_harbor"), connection_answer("warm_harbor", succeeded_at=LATER))
    server.on(BLOOM_POST, Answer())

    result = run(EVENT, EXTRACTED, partition=("acme", "bloom"), sync_timeout_seconds=0.3)

    assert materialized(result) == {(EVENT, "bloom"), (EXTRACTED, "bloom")}
    assert "account acme: the Fivetran sync of speak_menial (klaviyo_acme) had not ended after" in description(result)


@pytest.mark.parametrize("selected", [(EVENT,), (EVENT, PERSON, EXTRACTED)])
def test_nothing_but_the_one_sync_is_ever_asked_for(server, run, selected):
    """No schedule is switched to manual, nothing is paused or enabled: one POST, and its body forces nothing."""
    server.on(GET, connection_answer(schedule_type="auto"), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    assert run(*selected).success

    changing = [(asked.method, asked.path, asked.body) for asked in server.requests if asked.method != "GET"]
    assert changing == [("POST", "/v1/connections/speak_menial/sync", {"force": False})]


def test_a_sync_that_is_put_off_while_alone_is_said_and_materializes_nothing(server, run, capfd):
    server.on(GET, connection_answer(sync_state="rescheduled", rescheduled_for="2026-03-01T09:30:00Z"))
    server.on(POST, Answer())

    result = run(EVENT)

    assert result.success
    assert materialized(result) == set()
    assert "which Fivetran had postponed until 2026-03-01 09:30 UTC" in capfd.readouterr().err


def test_every_failing_account_is_named(server, run):
    server.on(GET, connection_answer(paused=True))
    server.on(BLOOM_GET, connection_answer("warm_harbor", setup_state="broken"))

    result = run(EVENT, partition=("acme", "bare"))

    text = description(result)
    assert "3 accounts failed" in text
    assert "account acme: " in text
    assert "account bloom: " in text
    assert "account bare: " in text


def test_the_wait_is_bounded(server, run):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"))
    server.on(POST, Answer())

    assert "had not ended after" in description(run(EVENT, EXTRACTED, sync_timeout_seconds=0.1))


def test_every_raw_table_is_an_asset_that_tells_what_it_is():
    assets = build_fivetran_assets(list(TABLES.values()), ACCOUNTS, PARTITIONS)

    specs = list(assets.specs)

    assert {spec.key for spec in specs} == {fivetran_key(name) for name in TABLES}
    for spec in specs:
        assert spec.group_name == "fivetran"
        assert spec.kinds == {"fivetran", "klaviyo", "postgres"}
        assert TABLES[spec.key.path[-1]].description in spec.description
