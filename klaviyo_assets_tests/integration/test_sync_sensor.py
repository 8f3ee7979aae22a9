"""The sensor that sees Fivetran syncs end, against the real stand-in, Postgres and BigQuery."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.resource import FivetranResource, fivetran_from_environment
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.tables import ACCOUNT_TABLES, TABLES
from klaviyo_assets_tests.integration.conftest import Deploy
from klaviyo_assets_tests.integration.deployment import Deployment, environment


def tick(deployment: Deployment, cursor: str | None, accounts: Sequence[Account] = ()) -> dg.SensorResult:
    """One evaluation of the sensor, with the deployment's account and perhaps others."""
    listed = [*accounts, deployment.account]
    with environment(deployment.variables):
        project_definitions = build_definitions(
            accounts=Accounts({account.name: account for account in listed}, "a test")
        )
        sensor = project_definitions.get_repository_def().get_sensor_def("fivetran_syncs")
        resources = {
            "fivetran": FivetranResource(
                api_key=deployment.variables["FIVETRAN_API_KEY"], api_secret=deployment.variables["FIVETRAN_API_SECRET"]
            ),
            "postgres": PostgresResource(url=deployment.variables["POSTGRES_URL"]),
            "bigquery": BigQueryProjectResource(project=deployment.variables["BIGQUERY_PROJECT"]),
        }
        with dg.build_sensor_context(deployment.instance, cursor=cursor, resources=resources) as context:
            return sensor(context)


def sync(deployment: Deployment) -> None:
    """A sync of the account's connection that somebody else started."""
    with environment(deployment.variables):
        client = fivetran_from_environment()
        begun = client.sync(deployment.account.fivetran_connection_id)
        client.wait(deployment.account.fivetran_connection_id, begun.since, timeout_seconds=60, interval_seconds=0.2)


def day_ranges(result: dg.SensorResult) -> list[tuple[str, str]]:
    return [
        (request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"])
        for request in result.run_requests
        if request.job_name == "events"
    ]


def days_of(result: dg.SensorResult) -> list[date]:
    """Every day of the ranges that runs are requested for."""
    ranges = ([date.fromisoformat(key.rpartition("|")[2]) for key in pair] for pair in day_ranges(result))
    return [first + timedelta(days=ahead) for first, last in ranges for ahead in range((last - first).days + 1)]


def late(deployment: Deployment, event_id: str, days: int) -> date:
    """An event arrives that happened so many days after the account's first one; its day."""
    day = deployment.account.start_date + timedelta(days=days)
    start, _ = deployment.account.day_bounds(day)
    deployment.raw(
        "INSERT INTO {}.event (id, datetime, _fivetran_synced) VALUES (%s, %s, now())",
        [event_id, start + timedelta(hours=3)],
    )
    return day


@pytest.fixture(scope="module")
def seen(deploy: Deploy) -> Deployment:
    return deploy("sensed", last_days=9)


def test_a_first_sync_asks_for_the_tables_and_every_day_with_events(seen: Deployment) -> None:
    result = tick(seen, None)

    tables = [request for request in result.run_requests if request.job_name == "dimensions"]
    assert [request.partition_key for request in tables] == ["sensed"]
    (first, last), *others = day_ranges(result)
    assert not others
    assert first == f"sensed|{seen.account.start_date}"
    assert last <= f"sensed|{seen.account.today()}"
    raw = {table.name for table in TABLES.values() if table.raw}
    assert {event.asset_key.path[-1] for event in result.asset_events} == raw
    assert {event.partition for event in result.asset_events} == {"sensed"}


def test_the_same_sync_is_seen_once(seen: Deployment) -> None:
    first = tick(seen, None)

    second = tick(seen, first.cursor)

    assert not second.run_requests
    assert not second.asset_events


def test_after_the_load_a_late_event_asks_for_its_day_and_says_why(seen: Deployment) -> None:
    before = tick(seen, None)
    assert seen.all_days().success
    day = late(seen, "lateEvent1", days=1)
    sync(seen)

    result = tick(seen, before.cursor)

    assert day_ranges(result)[0] == (f"sensed|{day}", f"sensed|{day}")
    requests = [request for request in result.run_requests if request.job_name == "events"]
    assert [request.tags["klaviyo/reason"] for request in requests[:1]] == ["changed rows"]
    assert {request.tags["klaviyo/reason"] for request in requests[1:]} <= {"touches of a changed day"}
    assert all(request.asset_selection and len(request.asset_selection) == 4 for request in requests[1:])


@pytest.mark.slow
def test_days_whose_run_failed_are_asked_for_again_after_the_next_sync(seen: Deployment) -> None:
    assert seen.all_days().success
    before = tick(seen, None)
    late(seen, "lateEvent2", days=2)
    sync(seen)
    asked = tick(seen, before.cursor)
    day = seen.account.start_date + timedelta(days=2)
    assert (f"sensed|{day}", f"sensed|{day}") in day_ranges(asked)

    sync(seen)
    again = tick(seen, asked.cursor)

    assert set(days_of(asked)) <= set(days_of(again)), "nothing was run in between"
    keys = {request.run_key for request in asked.run_requests}
    assert keys.isdisjoint(request.run_key for request in again.run_requests), "Dagster drops a key it has seen"


@pytest.mark.slow
def test_only_the_account_tables_that_moved_are_asked_for(seen: Deployment) -> None:
    assert seen.all_days().success
    assert seen.tables(*(spec.name for spec in ACCOUNT_TABLES)).success
    before = tick(seen, None)
    seen.raw("UPDATE {}.campaign SET _fivetran_synced = now() + interval '1 minute'")
    with environment(seen.variables):
        newest = fivetran_from_environment().connection(seen.account.fivetran_connection_id).succeeded_at
    cursor = json.loads(before.cursor)
    cursor["accounts"]["sensed"]["seen"] = ""

    result = tick(seen, json.dumps(cursor))

    assert newest
    (request,) = result.run_requests
    assert {key.path[-1] for key in request.asset_selection} == {"campaign"}


@pytest.mark.slow
def test_a_day_after_the_last_sweep_every_day_is_looked_at_without_a_sync(seen: Deployment) -> None:
    assert seen.all_days().success
    before = tick(seen, None)
    cursor = json.loads(before.cursor)
    ((gone, day),) = seen.raw("SELECT id, datetime FROM {}.event ORDER BY datetime, id LIMIT 1")
    seen.raw("DELETE FROM {}.event WHERE id = %s", [gone])
    assert not tick(seen, before.cursor).run_requests

    cursor["accounts"]["sensed"]["swept"] -= 90_000
    result = tick(seen, json.dumps(cursor))

    assert f"sensed|{day.astimezone(seen.account.zone).date()}" in {first for first, _ in day_ranges(result)}
    assert not result.asset_events


def test_a_changed_setting_is_acted_on_without_a_sync(seen: Deployment) -> None:
    assert seen.all_days().success
    first = tick(seen, None)
    kept = replace(seen, account=replace(seen.account, pii="keep"))

    result = tick(kept, first.cursor)

    assert result.run_requests
    assert not result.asset_events, "no raw table is newer than it was"
    assert all("pii changed (hash -> keep)" in request.tags["klaviyo/reason"] for request in result.run_requests
               if request.job_name == "events")  # fmt: skip
    assert not tick(kept, result.cursor).run_requests
    keys = {request.run_key for request in first.run_requests}
    assert keys.isdisjoint(request.run_key for request in result.run_requests), "Dagster drops a key it has seen"


def test_an_account_that_cannot_be_asked_delays_no_other(seen: Deployment) -> None:
    broken = Account(name="broken", postgres_schema="nowhere", fivetran_connection_id="no_such_connection")
    homeless = Account(
        name="homeless",
        postgres_schema="nowhere",
        fivetran_connection_id=seen.account.fivetran_connection_id,
    )

    result = tick(seen, None, [broken, homeless])

    assert {event.partition for event in result.asset_events} == {"sensed"}
    assert "no_such_connection" not in result.cursor


def test_a_rate_limit_is_remembered_until_it_has_passed(seen: Deployment) -> None:
    blocked = '{"blocked_until": 99999999999, "last": "", "seen": {}}'

    result = tick(seen, blocked)

    assert "asked us to wait" in str(result.skip_reason)
    assert result.cursor == blocked
