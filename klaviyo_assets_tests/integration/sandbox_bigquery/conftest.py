"""One stand-in for all tests of this folder; each test has a dataset of its own."""

import pytest
from google.cloud import bigquery

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    MAY_2,
    PROJECT,
    REPORT,
    event_rows,
    event_table,
    load,
    running,
)


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """A running server."""
    with running(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def client(stand_in):
    """The real client; the test fails on any exchange that Google's discovery document does not know."""
    stand_in.problems.clear()
    with stand_in.client() as client:
        yield client
    assert stand_in.problems == []


@pytest.fixture
def dataset(client, request):
    """The name of an empty dataset."""
    name = request.node.name.partition("[")[0][-60:] + f"_{abs(hash(request.node.nodeid)) % 10_000}"
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)


@pytest.fixture
def events(client, dataset):
    """A table with 3 events on one day and 4 on the next."""
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3), f"{table}$20240501")
    load(client, event_rows(MAY_2, 4), f"{table}$20240502")
    return table


@pytest.fixture
def report(client, dataset):
    """An empty table partitioned by day."""
    table = bigquery.Table(f"{PROJECT}.{dataset}.report", schema=REPORT)
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    return f"{PROJECT}.{dataset}.{client.create_table(table).table_id}"
