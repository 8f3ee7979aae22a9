"""What is left after `kill -9`, and what becomes of racing writers."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import Conflict, GoogleAPICallError, InternalServerError, NotFound
from google.cloud import bigquery

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    MAY_2,
    StandIn,
    count,
    event_rows,
    event_table,
    load,
    load_config,
    parquet,
)

ROWS = 200_000


def kill_while_a_day_is_replaced(server, table, generation, delay):
    """Replace a day, kill the server after `delay` seconds, start it, and return the job's record."""
    file = parquet(event_rows(MAY_1, ROWS, f"g{generation:02}-"))
    job_id = f"generation_{generation}"

    def send():
        with server.client() as client:
            try:
                client.load_table_from_file(
                    file,
                    f"{table}$20240501",
                    size=file.getbuffer().nbytes,
                    job_id=job_id,
                    num_retries=0,
                    job_config=load_config(write_disposition="WRITE_TRUNCATE"),
                )
            except (GoogleAPICallError, OSError):
                # The connection is cut; what became of the job is asked afterwards.
                return

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(delay)
    server.kill()
    sender.join(60)
    server.start()
    with server.client() as client:
        try:
            return client.get_job(job_id)
        except NotFound:
            return None


def survive(tmp_path, kills, seed):
    """Kill a server at random moments of a load; return how often the new rows and the old ones were there."""
    chance = random.Random(seed)
    server = StandIn(tmp_path)
    server.start()
    with server.client() as client:
        table = event_table(client, "d")
        load(client, event_rows(MAY_1, ROWS, "g00-"), f"{table}$20240501")
    outcomes = []
    generation = 0
    for kill in range(1, kills + 1):
        job = kill_while_a_day_is_replaced(server, table, kill, chance.uniform(0.02, 0.9))
        held = held_generation(server, table, generation, kill)
        done = job is not None and job.state == "DONE" and job.error_result is None
        assert done == (held == kill), "the job's record and the rows disagree"
        if job is not None and not done:
            assert job.error_result["reason"] == "jobBackendError"
        generation = held
        outcomes.append(done)
    assert server.stop() == 0
    return outcomes


def held_generation(server, table, before, attempted):
    """Return which of two generations a table holds, after checking that it is whole."""
    with server.client() as client:
        sql = (
            "SELECT COUNT(*), COUNT(DISTINCT event_id), MIN(SUBSTR(event_id, 1, 3)), MAX(SUBSTR(event_id, 1, 3)) "
            f"FROM `{table}`"
        )
        ((rows, distinct, first, last),) = [tuple(row) for row in client.query(sql).result()]
    assert (rows, distinct, first) == (ROWS, ROWS, last)
    assert int(first[1:]) in (before, attempted)
    return int(first[1:])


def test_a_day_is_old_or_new_after_kill_9_and_the_job_tells_which(tmp_path):
    assert len(survive(tmp_path, kills=2, seed=1)) == 2


@pytest.mark.slow
def test_many_kills_never_leave_a_mixture(tmp_path):
    outcomes = survive(tmp_path, kills=40, seed=2)

    assert {True, False} == set(outcomes)


def test_a_job_whose_server_died_fails_as_worth_a_rerun(tmp_path):
    server = StandIn(tmp_path)
    server.start()
    numbers = "UNNEST(GENERATE_ARRAY(1, 3000000))"
    body = {
        "jobReference": {"projectId": "local", "jobId": "lost"},
        "configuration": {"query": {"query": f"SELECT COUNT(*) FROM {numbers} a, {numbers} b", "useLegacySql": False}},
    }
    with ThreadPoolExecutor(1) as beside:
        sent = beside.submit(server.request, "POST", "/bigquery/v2/projects/local/jobs", json=body)
        while server.request("GET", "/bigquery/v2/projects/local/jobs/lost").status_code != 200:
            time.sleep(0.01)
        server.kill()
        assert sent.exception() is not None
    server.start()

    with server.client() as client:
        job = client.get_job("lost")
        with pytest.raises(InternalServerError, match="The server ended while the job was running"):
            job.result(retry=None, job_retry=None)

    assert job.error_result["reason"] == "jobBackendError"
    assert server.stop() == 0
    assert server.problems == []


def test_one_of_many_racing_jobs_with_one_id_wins(stand_in, dataset):
    table = event_table_of(stand_in, dataset)

    def race(place):
        with stand_in.client() as client:
            try:
                load(client, event_rows(MAY_1, 10, f"r{place}-"), table, job_id=f"race_{dataset}")
            except Conflict:
                return 409
            return 200

    with ThreadPoolExecutor(8) as racers:
        outcomes = list(racers.map(race, range(8)))

    assert sorted(outcomes) == [200, *[409] * 7]
    with stand_in.client() as client:
        assert count(client, table) == 10


def event_table_of(stand_in, dataset):
    """Create the table of events with a client of its own."""
    with stand_in.client() as client:
        return event_table(client, dataset)


def test_writers_of_one_table_wait_for_each_other_and_readers_for_nobody(stand_in, dataset):
    table = event_table_of(stand_in, dataset)
    days = [MAY_1, MAY_2]

    def write(day):
        with stand_in.client() as client:
            for _ in range(3):
                config = load_config(write_disposition="WRITE_TRUNCATE")
                load(client, event_rows(day, 20_000), f"{table}${day:%Y%m%d}", config)

    def read(_):
        with stand_in.client() as client:
            return [next(iter(client.query(f"SELECT COUNT(*) FROM `{table}`").result()))[0] for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        writing = pool.map(write, [*days, *days])
        counts = [number for numbers in pool.map(read, range(2)) for number in numbers]
        list(writing)

    assert set(counts) <= {0, 20_000, 40_000}
    with stand_in.client() as client:
        assert count(client, table) == 40_000


def test_a_table_that_is_changed_and_read_in_one_transaction_stays_whole(stand_in, dataset):
    """DuckDB 2.0.0 damages such a table within some 20 rounds unless late materialization is switched off."""
    table = event_table_of(stand_in, dataset)
    config = load_config(write_disposition="WRITE_TRUNCATE")
    with stand_in.client() as client:
        for place in range(40):
            # A load reads a sample of what it has written, to tell its bytes.
            load(client, event_rows(MAY_1, 2_000), f"{table}$20240501", config)
            client.query(
                f"INSERT INTO `{table}` (event_id, occurred_on) VALUES ('x{place}', DATE '2024-05-02')"
            ).result()
        sql = f"SELECT COUNT(*), COUNT(DISTINCT event_id), SUM(ARRAY_LENGTH(tags)) FROM `{table}`"
        rows = [tuple(row) for row in client.query(sql).result()]

    assert rows == [(2_040, 2_040, 4_000)]


@pytest.mark.slow
def test_the_file_does_not_grow_with_every_replaced_day(tmp_path):
    server = StandIn(tmp_path)
    server.start()
    sizes = []
    with server.client() as client:
        table = event_table(client, "d")
        for _ in range(3):
            for _ in range(3):
                load(client, event_rows(MAY_1, 100_000), f"{table}$20240501", replacing())
            time.sleep(2.5)
            sizes.append(sum(file.stat().st_size for file in tmp_path.glob("bigquery.duckdb*")))
    assert server.stop() == 0

    assert sizes[-1] < 2.5 * sizes[0]


def replacing() -> bigquery.LoadJobConfig:
    """Return the configuration of a load that replaces."""
    return load_config(write_disposition="WRITE_TRUNCATE")
