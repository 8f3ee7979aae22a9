"""Query jobs through the real client: results, destinations, scripts, dry runs."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, Conflict, InternalServerError, NotFound
from google.cloud import bigquery

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    MAY_2,
    PROJECT,
    count,
    rows_of,
)


def report_sql(events, day):
    """Return the query that fills one day of the report."""
    return (
        f"SELECT occurred_on AS day, COUNT(*) AS events, SUM(value) AS value "
        f"FROM `{events}` WHERE occurred_on = DATE '{day}' GROUP BY occurred_on"
    )


def test_a_query_answers_with_typed_rows(client, events):
    rows = rows_of(
        client,
        f"SELECT occurred_on, COUNT(*) AS n, SUM(value) AS v, MAX(occurred_at) AS last_at FROM `{events}` "
        "GROUP BY occurred_on ORDER BY occurred_on",
    )

    noon = dt.timedelta(hours=12)
    assert rows == [
        (day, n, v, dt.datetime.combine(day, dt.time(), dt.UTC) + noon)
        for day, n, v in ((MAY_1, 3, Decimal("3.75")), (MAY_2, 4, Decimal(5)))
    ]


def test_values_of_every_type_are_spelled_as_the_api_spells_them(client):
    (row,) = rows_of(
        client,
        "SELECT 1 AS i, 0.1 AS f, NUMERIC '1.50' AS n, TRUE AS y, 'ä' AS s, b'ab' AS b, DATE '2024-02-29' AS d, "
        "DATETIME '2024-05-01 01:02:03.5' AS dt, TIME '01:02:03' AS t, "
        "TIMESTAMP '1969-12-31 23:59:59.999999+00' AS ts, [1, 2] AS a, STRUCT(1 AS x, ['y'] AS z) AS r, "
        "CAST(NULL AS STRING) AS nothing",
    )

    assert row == (
        1,
        0.1,
        Decimal("1.5"),
        True,
        "ä",
        b"ab",
        dt.date(2024, 2, 29),
        dt.datetime(2024, 5, 1, 1, 2, 3, 500_000),
        dt.time(1, 2, 3),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC),
        [1, 2],
        {"x": 1, "z": ["y"]},
        None,
    )


def test_infinite_and_undefined_floats_are_spelled(client):
    ((high, low, undefined),) = rows_of(
        client, "SELECT CAST('inf' AS FLOAT64) AS a, CAST('-inf' AS FLOAT64) AS b, CAST('nan' AS FLOAT64) AS c"
    )

    assert (high, low) == (float("inf"), float("-inf"))
    assert undefined != undefined


def test_a_query_in_one_request_answers_the_same(client, events):
    rows = client.query_and_wait(f"SELECT event_id FROM `{events}` ORDER BY event_id, occurred_on LIMIT 2")

    assert [tuple(row) for row in rows] == [("e0",), ("e0",)]


def test_parameters_are_bound_by_name(client, events):
    parameters = [
        bigquery.ScalarQueryParameter("day", "DATE", MAY_1),
        bigquery.ScalarQueryParameter("least", "NUMERIC", Decimal("1.25")),
        bigquery.ScalarQueryParameter("none", "STRING", None),
        bigquery.ArrayQueryParameter("ids", "STRING", ["e0", "e2", "x'; DROP TABLE y"]),
    ]

    rows = rows_of(
        client,
        f"SELECT event_id, @none AS nothing FROM `{events}` "
        "WHERE occurred_on = @day AND value >= @least AND event_id IN UNNEST(@ids) ORDER BY event_id",
        query_parameters=parameters,
    )

    assert rows == [("e0", None), ("e2", None)]


def test_positional_parameters_are_refused(client):
    with pytest.raises(BadRequest, match=r"POSITIONAL|positional"):
        rows_of(client, "SELECT ?", query_parameters=[bigquery.ScalarQueryParameter(None, "INT64", 1)])


def test_results_come_in_pages_and_as_arrow(client):
    sql = "SELECT n, CAST(n AS STRING) AS s FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS n ORDER BY n"
    job = client.query(sql)

    paged = [row["n"] for row in job.result(page_size=25_000)]
    arrow = job.to_arrow(create_bqstorage_client=False)

    assert paged == list(range(1, 60_001))
    assert (arrow.num_rows, arrow.column("s")[-1].as_py()) == (60_000, "60000")
    assert [row["n"] for row in client.query(sql).result(start_index=59_998)] == [59_999, 60_000]


def test_a_result_without_rows_has_columns(client, events):
    result = client.query(f"SELECT event_id FROM `{events}` WHERE FALSE").result()

    assert (result.total_rows, list(result)) == (0, [])
    assert result.schema[0].name == "event_id"


def test_the_default_dataset_is_used(client, events, dataset):
    config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}")

    assert [tuple(row) for row in client.query("SELECT COUNT(*) FROM event", job_config=config).result()] == [(7,)]


def test_a_failing_query_is_a_bad_request_with_its_reason(client, events):
    for sql in (f"SELECT nothing FROM `{events}`", "SELEC 1", "SELECT 1/0"):
        with pytest.raises(BadRequest) as caught:
            rows_of(client, sql)
        assert caught.value.errors[0]["reason"] == "invalidQuery"


def test_a_missing_table_is_named(client, dataset):
    with pytest.raises(NotFound, match=f"{dataset}.none"):
        rows_of(client, f"SELECT * FROM `{dataset}.none`")


def test_functions_outside_the_subset_are_refused_by_name(client):
    with pytest.raises(BadRequest, match=r"(?i)list_sort"):
        rows_of(client, "SELECT list_sort([2, 1])")


def test_one_day_of_a_report_is_replaced_by_a_query(client, events, report):
    for _ in range(2):
        for day in ("2024-05-01", "2024-05-02"):
            destination = f"{report}${day.replace('-', '')}"
            rows_of(client, report_sql(events, day), destination=destination, write_disposition="WRITE_TRUNCATE")

    assert rows_of(client, f"SELECT day, events, value FROM `{report}` ORDER BY day") == [
        (MAY_1, 3, Decimal("3.75")),
        (MAY_2, 4, Decimal(5)),
    ]


def test_a_query_that_gives_another_day_changes_nothing(client, events, report):
    rows_of(client, report_sql(events, "2024-05-01"), destination=f"{report}$20240501")

    with pytest.raises(BadRequest, match="different partitions"):
        rows_of(
            client,
            report_sql(events, "2024-05-02"),
            destination=f"{report}$20240501",
            write_disposition="WRITE_TRUNCATE",
        )

    assert client.list_partitions(report) == ["20240501"]


def test_a_destination_may_be_read_by_the_query_that_replaces_it(client, events, report):
    rows_of(client, report_sql(events, "2024-05-01"), destination=f"{report}$20240501")

    rows_of(
        client,
        f"SELECT day, events + 1 AS events, value FROM `{report}`",
        destination=report,
        write_disposition="WRITE_TRUNCATE",
    )

    assert rows_of(client, f"SELECT events FROM `{report}`") == [(4,)]


def test_a_destination_that_is_missing_is_made(client, events, dataset):
    job = client.query(
        f"SELECT occurred_on, tags, STRUCT(value AS v) AS r FROM `{events}`",
        job_config=bigquery.QueryJobConfig(
            destination=f"{PROJECT}.{dataset}.made",
            time_partitioning=bigquery.TimePartitioning(field="occurred_on"),
            clustering_fields=["occurred_on"],
        ),
    )

    assert len(list(job.result())) == 7
    table = client.get_table(f"{dataset}.made")
    assert (table.num_rows, table.time_partitioning.field) == (7, "occurred_on")
    with pytest.raises(Conflict):
        rows_of(client, "SELECT 1 AS x", destination=f"{PROJECT}.{dataset}.made")


def test_a_query_cannot_fill_required_columns(client, events):
    with pytest.raises(BadRequest, match="event_id has changed mode from REQUIRED to NULLABLE"):
        rows_of(client, f"SELECT * FROM `{events}`", destination=events, write_disposition="WRITE_APPEND")


def test_a_dry_run_tells_the_schema_and_runs_nothing(client, events):
    job = client.query(
        f"SELECT COUNT(*) AS n, MAX(occurred_on) AS d FROM `{events}`", job_config=bigquery.QueryJobConfig(dry_run=True)
    )

    assert (job.state, job.statement_type, job.total_bytes_processed > 0) == ("DONE", "SELECT", True)
    assert [(field.name, field.field_type) for field in job.schema] == [("n", "INTEGER"), ("d", "DATE")]
    client.query(f"DELETE FROM `{events}` WHERE TRUE", job_config=bigquery.QueryJobConfig(dry_run=True))
    assert count(client, events) == 7


def test_a_wrong_dry_run_fails_at_once(client):
    with pytest.raises(BadRequest):
        client.query("SELECT nothing", job_config=bigquery.QueryJobConfig(dry_run=True))


def test_a_query_over_its_limit_of_bytes_is_refused(client, events):
    # The client knows no class for this reason and makes it a 500, with the real BigQuery too.
    with pytest.raises(InternalServerError, match="exceeded limit for bytes billed") as caught:
        rows_of(client, f"SELECT * FROM `{events}`", maximum_bytes_billed=10)
    assert caught.value.errors[0]["reason"] == "bytesBilledLimitExceeded"

    assert len(rows_of(client, f"SELECT * FROM `{events}`", maximum_bytes_billed=10**9)) == 7


def test_information_schema_agrees_with_the_api(client, events, dataset):
    rows_of(client, f"CREATE VIEW `{dataset}.v` AS SELECT 1 AS x")

    parts = rows_of(
        client,
        f"SELECT partition_id, total_rows FROM `{dataset}.INFORMATION_SCHEMA.PARTITIONS` "
        "WHERE table_name = 'event' ORDER BY partition_id",
    )
    tables = rows_of(
        client, f"SELECT table_name, table_type FROM `{dataset}`.INFORMATION_SCHEMA.TABLES ORDER BY table_name"
    )
    columns = rows_of(
        client,
        "SELECT column_name, data_type, is_nullable, is_partitioning_column, clustering_ordinal_position "
        f"FROM `{dataset}.INFORMATION_SCHEMA.COLUMNS` WHERE table_name = 'event' ORDER BY ordinal_position",
    )
    views = rows_of(client, f"SELECT table_name, view_definition FROM `{dataset}.INFORMATION_SCHEMA.VIEWS`")

    assert [part[0] for part in parts] == client.list_partitions(events)
    assert [part[1] for part in parts] == [3, 4]
    assert tables == [("event", "BASE TABLE"), ("v", "VIEW")]
    assert columns[0] == ("event_id", "STRING", "NO", "NO", 1)
    assert columns[1] == ("occurred_on", "DATE", "NO", "YES", None)
    assert columns[4][1] == "ARRAY<STRING>"
    assert views == [("v", "SELECT 1 AS x")]


def test_jobs_are_found_listed_and_labelled(client, events):
    config = bigquery.QueryJobConfig(labels={"run": "r1"})
    job = client.query("SELECT 1", job_config=config, job_id=f"labelled_{id(events)}", job_retry=None)
    job.result()

    assert client.get_job(job.job_id).labels == {"run": "r1"}
    assert job.job_id in [one.job_id for one in client.list_jobs(max_results=5, state_filter="done")]
    with pytest.raises(NotFound):
        client.get_job("none_of_that_id", retry=None)


def test_a_job_id_cannot_be_used_again_for_a_query(client, events):
    job = client.query("SELECT 1", job_id=f"twice_{id(events)}", job_retry=None)
    job.result()

    with pytest.raises(Conflict):
        client.query("SELECT 2", job_id=job.job_id, job_retry=None)


def test_a_finished_job_can_be_cancelled_without_effect(client):
    job = client.query("SELECT 1")
    job.result()

    assert client.cancel_job(job.job_id).state == "DONE"


def test_a_running_query_is_cancelled(client):
    numbers = "UNNEST(GENERATE_ARRAY(1, 3000000))"
    sql = f"SELECT COUNT(*) FROM {numbers} a, {numbers} b WHERE MOD(a * b, 7) = 3"
    # jobs.insert waits ten seconds for the end, so the job is started beside the test.
    with ThreadPoolExecutor(1) as beside:
        started = beside.submit(client.query, sql, job_id="to_be_cancelled", job_retry=None)
        while "to_be_cancelled" not in [one.job_id for one in client.list_jobs(max_results=3)]:
            assert not started.done()
        client.cancel_job("to_be_cancelled")

    assert started.result().error_result["reason"] == "stopped"
    assert client.get_job("to_be_cancelled").state == "DONE"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"use_legacy_sql": True}, "useLegacySql"),
        ({"create_session": True}, "createSession"),
        ({"connection_properties": [bigquery.ConnectionProperty("time_zone", "UTC")]}, "connectionProperties"),
        ({"allow_large_results": True}, "allowLargeResults"),
        ({"flatten_results": True}, "flattenResults"),
    ],
)
def test_settings_outside_the_subset_are_refused_by_name(client, settings, named):
    with pytest.raises(BadRequest, match=named):
        rows_of(client, "SELECT 1", **settings)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("DATE(CURRENT_TIMESTAMP(), 'Nowhere')", "Invalid time zone: Nowhere"),
        ("CAST('x' AS INT64)", "Bad int64 value: x"),
        ("SUBSTR('abc', 1, -1)", "Negative length: -1"),
        ("1e308 * 10", "double overflow: 1e+308, 10.0"),
        ("DATE '9999-12-31' + 1", "overflow: 10000-01-01"),
        ("EXP(NUMERIC '20')", "not supported by the local stand-in: a NUMERIC result of more than 1,000,000"),
    ],
)
def test_a_query_that_fails_on_its_values_says_why(client, expression, message):
    with pytest.raises(BadRequest) as caught:
        rows_of(client, f"SELECT {expression} AS x")

    assert caught.value.errors[0]["message"].startswith(message)
