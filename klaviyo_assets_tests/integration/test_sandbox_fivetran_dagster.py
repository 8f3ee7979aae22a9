"""Dagster's own Fivetran client against the stand-in: an independent reading of the API."""

import time

import pytest
from dagster_fivetran import resources
from dagster_fivetran.translator import FivetranConnector, FivetranSchemaConfig

from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import KEY, SECRET, start_stand_in


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    with throwaway_postgres() as url:
        running = start_stand_in(url, tmp_path_factory.mktemp("state"))
        yield running
        running.stop()


@pytest.fixture
def client(stand_in, monkeypatch):
    monkeypatch.setattr(resources, "FIVETRAN_API_BASE", stand_in.url)
    return resources.FivetranClient(
        api_key=KEY,
        api_secret=SECRET,
        request_max_retries=0,
        request_retry_delay=0.1,
        request_backoff_factor=1,
        disable_schedule_on_trigger=False,
    )


def test_it_finds_groups_connections_destinations_and_tables(client):
    group = client.get_groups()["items"][0]
    listed = client.list_connectors_for_group(group["id"])
    connector = FivetranConnector.from_connector_details(listed[0])
    config = FivetranSchemaConfig.from_schema_config_details(client.get_schema_config_for_connector(connector.id))

    assert client.get_destination_details(group["id"])["id"] == group["id"]
    assert connector.is_connected
    assert {"event", "person"} <= {
        table.name_in_destination for table in config.schemas["klaviyo_acme"].tables.values()
    }


def test_it_syncs_and_sees_the_end(client):
    connector_id = client.list_connectors_for_group("sunny_warehouse")[0]["id"]
    time.sleep(0.1)

    output = client.sync_and_poll(connector_id, poll_interval=0.05, poll_timeout=120)

    assert FivetranConnector.from_connector_details(output.connector_details).is_last_sync_successful


def test_it_resyncs_chosen_tables(client):
    connector_id = client.list_connectors_for_group("sunny_warehouse")[0]["id"]
    client.sync_and_poll(connector_id, poll_interval=0.05, poll_timeout=120)

    output = client.resync_and_poll(
        connector_id, resync_parameters={"klaviyo_acme": ["metric"]}, poll_interval=0.05, poll_timeout=120
    )

    assert FivetranConnector.from_connector_details(output.connector_details).is_last_sync_successful
