"""The sensor that sees Fivetran syncs end, against the real stand-in, Postgres and BigQuery."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
from psycopg import sql

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran import FivetranResource, fivetran_from_environment
from klaviyo_assets.resources.postgres import PostgresResource
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.integration.conftest import Deploy
from klaviyo_assets_tests.integration.deployment import Deployment, environment


def tick(deployment: Deployment, cursor: str | None, accounts: Sequence[Account] = ()) -> dg.SensorResult:
    """One evaluation of the sensor, with the deployment's account and perhaps others."""
    listed = [*accounts, deployment.account]
    with environment(deployment.variables):
        made = build_definitions(accounts=Accounts({account.name: account for account in listed}, "a test"))
        sensor = made.get_repository_def().get_sensor_def("fivetran_syncs")
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
    day = seen.account.start_date + timedelta(days=1)
    start, _ = seen.account.day_bounds(day)
    with seen.sandbox.postgres() as connection:
        connection.execute(
            sql.SQL("INSERT INTO {} (id, datetime, _fivetran_synced) VALUES ('lateEvent1', %s, now())").format(
                sql.Identifier(seen.account.postgres_schema, "event")
            ),
            [start + timedelta(hours=3)],
        )
    sync(seen)

    result = tick(seen, before.cursor)

    assert day_ranges(result)[0] == (f"sensed|{day}", f"sensed|{day}")
    requests = [request for request in result.run_requests if request.job_name == "events"]
    assert [request.tags["klaviyo/reason"] for request in requests[:1]] == ["changed rows"]
    assert {request.tags["klaviyo/reason"] for request in requests[1:]} <= {"touches of a changed day"}
    assert all(request.asset_selection and len(request.asset_selection) == 4 for request in requests[1:])


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
