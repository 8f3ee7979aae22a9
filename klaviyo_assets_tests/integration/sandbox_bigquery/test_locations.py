"""Datasets and jobs have locations, and a job sees the datasets of its own only."""

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    PROJECT,
    event_rows,
    event_table,
    load,
    load_config,
    rows_of,
)


@pytest.fixture
def european(client, dataset):
    """A table of events in a dataset of europe-west3; the other dataset is in the default location, US."""
    name = f"{dataset}_europe"
    there = bigquery.Dataset(f"{PROJECT}.{name}")
    there.location = "europe-west3"
    client.create_dataset(there)
    yield event_table(client, name)
    client.delete_dataset(name, delete_contents=True)


def test_a_job_without_a_location_runs_where_its_tables_are(client, european):
    loaded = load(client, event_rows(MAY_1, 2), european)
    queried = client.query(f"SELECT COUNT(*) FROM `{european}`")

    assert [tuple(row) for row in queried.result()] == [(2,)]
    assert (loaded.location, queried.location) == ("europe-west3", "europe-west3")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM `{}`",
        "DELETE FROM `{}` WHERE TRUE",
        "CREATE TABLE `{}_2` AS SELECT 1 AS a",
        "SELECT 1; SELECT COUNT(*) FROM `{}`",
    ],
)
def test_a_query_in_another_location_does_not_see_the_dataset(client, european, sql):
    job = client.query(sql.replace("{}", european), location="EU")

    with pytest.raises(NotFound, match=r"Not found: Dataset local:\w+ was not found in location EU"):
        job.result()
    assert job.location == "EU"


def test_a_dry_run_and_a_first_page_say_it_at_once(client, european):
    sql = f"SELECT COUNT(*) FROM `{european}`"

    with pytest.raises(NotFound, match="was not found in location US"):
        client.query(sql, location="US", job_config=bigquery.QueryJobConfig(dry_run=True))
    with pytest.raises(NotFound, match="was not found in location US"):
        client.query_and_wait(sql, location="US")


def test_a_client_of_another_location_does_not_see_the_dataset(stand_in, european):
    """The client's own `location` goes with every job."""
    with stand_in.client() as client:
        client._location = "asia-northeast1"
        with pytest.raises(NotFound, match="was not found in location asia-northeast1"):
            client.query(f"SELECT 1 FROM `{european}`").result()


def test_a_load_in_another_location_does_not_see_the_dataset(client, european):
    with pytest.raises(NotFound, match="was not found in location US"):
        load(client, event_rows(MAY_1, 1), european, load_config(), location="US")

    assert client.get_table(european).num_rows == 0


def test_a_query_into_a_dataset_elsewhere_does_not_see_its_source(client, events, european):
    config = bigquery.QueryJobConfig(destination=f"{european}_copy")

    with pytest.raises(NotFound, match=r"was not found in location europe-west3"):
        client.query(f"SELECT event_id FROM `{events}`", job_config=config).result()


def test_a_join_over_two_locations_is_refused(client, events, european):
    with pytest.raises(NotFound, match="was not found in location"):
        client.query(f"SELECT 1 FROM `{events}` AS a JOIN `{european}` AS b USING (event_id)").result()


def test_a_view_over_another_location_is_refused(client, events, european):
    view = bigquery.Table(f"{european}_view")
    view.view_query = f"SELECT event_id FROM `{events}`"

    with pytest.raises(NotFound, match="was not found in location europe-west3"):
        client.create_table(view)


def test_the_case_of_a_location_does_not_matter(client, european):
    assert [tuple(row) for row in client.query(f"SELECT COUNT(*) FROM `{european}`", location="Europe-West3").result()]


def test_a_job_is_found_in_its_location_only(client, european):
    job = client.query(f"SELECT COUNT(*) FROM `{european}`")
    job.result()

    assert client.get_job(job.job_id, location="europe-west3").state == "DONE"
    for location in ("US", "EU", None):
        with pytest.raises(NotFound, match="Not found: Job"):
            client.get_job(job.job_id, location=location)
    with pytest.raises(NotFound, match="Not found: Job"):
        client.cancel_job(job.job_id, location="US")


def test_a_job_of_the_us_is_found_without_a_location(client, events):
    job = client.query(f"SELECT COUNT(*) FROM `{events}`")
    job.result()

    assert client.get_job(job.job_id).state == "DONE"
    assert rows_of(client, "SELECT 1") == [(1,)]
