"""What the client never sends, or cannot show: access, refusals, polling, and the checker of the exchanges."""

import json

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from klaviyo_assets_tests.integration.discovery import problems_of_exchange, problems_of_value
from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    PROJECT,
    StandIn,
    count,
    event_rows,
    event_table,
    load,
    running,
)

BASE = f"/bigquery/v2/projects/{PROJECT}"


def test_health_tells_whose_server_it_is_without_a_token(stand_in):
    answer = requests.get(f"{stand_in.url}/health", timeout=60)

    assert answer.json() == {"service": "bigquery", "data": str(stand_in.data), "project": PROJECT}


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic eA=="])
def test_a_missing_or_wrong_token_is_refused(stand_in, header):
    headers = {"Authorization": header} if header else {}

    answer = requests.get(f"{stand_in.url}{BASE}/datasets", headers=headers, timeout=60)

    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (401, "authError")


def test_the_client_fails_with_a_wrong_token(stand_in):
    for credentials in (Credentials("wrong"), AnonymousCredentials()):
        client = bigquery.Client(PROJECT, credentials=credentials, client_options={"api_endpoint": stand_in.url})
        with client, pytest.raises((RefreshError, Exception), match=r"(?i)refresh|credentials"):
            list(client.list_datasets(retry=None))


def test_another_host_name_is_refused(stand_in):
    for path in ("/health", f"{BASE}/datasets"):
        answer = stand_in.request("GET", path, headers={"Host": f"evil.example:{stand_in.port}"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", f"{BASE}/datasets/d/models"),
        ("POST", f"{BASE}/datasets/d/tables/t/insertAll"),
        ("GET", f"{BASE}/datasets?unknown=1"),
        ("POST", f"/upload{BASE}/jobs?uploadType=media"),
        ("GET", "/storage/v1/b"),
        ("DELETE", f"{BASE}/jobs/j/delete"),
    ],
)
def test_what_is_outside_the_subset_is_refused_by_name(stand_in, verb, path):
    answer = stand_in.request(verb, path)

    assert answer.status_code == 400
    assert "not supported by the local stand-in" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("datasets", {"datasetReference": {"datasetId": "d"}, "isCaseInsensitive": True}),
        ("datasets/d/tables", {"tableReference": {"tableId": "t"}, "requirePartitionFilter": True}),
        ("jobs", {"configuration": {"query": {"query": "SELECT 1"}}}),
        ("jobs", {"configuration": {"copy": {}}}),
        ("jobs", {"configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}, "jobTimeoutMs": "5"}}),
        ("queries", {"query": "SELECT 1", "useLegacySql": False, "createSession": True}),
    ],
)
def test_fields_outside_the_subset_are_refused_by_name(stand_in, path, body):
    answer = stand_in.request("POST", f"{BASE}/{path}", json=body)

    assert (answer.status_code, "not supported" in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b'{"configuration": {"query": 5}}', b'{"configuration": 5}'])
def test_a_body_that_makes_no_sense_is_a_bad_request(stand_in, body):
    answer = stand_in.request("POST", f"{BASE}/jobs", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400


def test_another_project_is_not_found(stand_in):
    assert stand_in.request("GET", "/bigquery/v2/projects/other/datasets").status_code == 404


def test_a_repeated_request_id_is_the_same_query(stand_in):
    body = {"query": "SELECT 1 AS x", "useLegacySql": False, "requestId": "r-1", "maxResults": 10}

    answers = [stand_in.request("POST", f"{BASE}/queries", json=body).json() for _ in range(2)]

    assert answers[0]["jobReference"] == answers[1]["jobReference"]
    assert answers[1]["rows"] == [{"f": [{"v": "1"}]}]


def test_timestamps_are_seconds_unless_microseconds_are_asked_for(stand_in):
    body = {"query": "SELECT TIMESTAMP '2024-05-01 00:00:00.5+00' AS t", "useLegacySql": False, "maxResults": 10}

    answer = stand_in.request("POST", f"{BASE}/queries", json=body).json()

    assert float(answer["rows"][0]["f"][0]["v"]) == 1714521600.5


def test_an_interrupted_resumable_upload_says_where_to_go_on(stand_in, client, dataset):
    table = event_table(client, dataset).split(".")
    job = {
        "configuration": {
            "load": {
                "sourceFormat": "PARQUET",
                "destinationTable": dict(zip(("projectId", "datasetId", "tableId"), table, strict=True)),
            }
        }
    }
    began = stand_in.request("POST", f"/upload{BASE}/jobs?uploadType=resumable", json=job)
    where = began.headers["Location"].removeprefix(stand_in.url)

    first = stand_in.request("PUT", where, data=b"PAR1", headers={"Content-Range": "bytes 0-3/*"})
    asked = stand_in.request("PUT", where, headers={"Content-Range": "bytes */*"})
    gap = stand_in.request("PUT", where, data=b"x", headers={"Content-Range": "bytes 9-9/10"})
    last = stand_in.request("PUT", where, data=b"junk", headers={"Content-Range": "bytes 4-7/8"})

    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-3")
    assert (asked.status_code, asked.headers["Range"]) == (308, "bytes=0-3")
    assert (gap.status_code, last.status_code) == (400, 200)
    assert "Parquet" in last.json()["status"]["errorResult"]["message"]


def test_a_server_that_polls_answers_running_first(tmp_path):
    with running(tmp_path, "--poll") as server, server.client() as client:
        table = event_table(client, "d")
        job = load(client, event_rows(MAY_1, 3), table)
        query = client.query(f"SELECT COUNT(*) FROM `{table}`")
        states = [query.state]
        rows = [tuple(row) for row in query.result()]
        at_once = [tuple(row) for row in client.query_and_wait("SELECT 1 AS x")]

    assert server.problems == []
    assert (job.state, states, rows, at_once) == ("DONE", ["RUNNING"], [(3,)], [(1,)])


def test_a_data_folder_has_one_server(stand_in, capfd):
    second = StandIn(stand_in.data)

    with pytest.raises(AssertionError, match="ended while it started"):
        second.start()

    assert second.process.wait(10) == 1
    assert "Another server may be using the folder" in capfd.readouterr().err


def test_data_survives_an_orderly_end(tmp_path):
    with running(tmp_path) as server, server.client() as client:
        table = event_table(client, "d")
        load(client, event_rows(MAY_1, 3), table)
        job = client.query(f"SELECT event_id FROM `{table}` ORDER BY 1")
        job.result()
    with running(tmp_path) as server, server.client() as client:
        assert count(client, table) == 3
        assert [row["event_id"] for row in client.get_job(job.job_id).result()] == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ("Table", {"numRow": "1"}, "Table.numRow: unknown field"),
        ("Table", {"numRows": 1}, "Table.numRows: 1 is no string"),
        ("Table", {"numRows": "x"}, "Table.numRows: 'x' is no uint64"),
        ("Table", {"schema": {"fields": [{"nme": "x"}]}}, "Table.schema.fields[0].nme: unknown field"),
        ("Job", {"configuration": {"dryRun": "true"}}, "Job.configuration.dryRun: 'true' is no boolean"),
        ("TableList", {"totalItems": "1"}, "TableList.totalItems: '1' is no integer"),
        ("TableList", {"tables": {}}, "TableList.tables: {} is no array"),
        ("Table", {"labels": {"a": 1}}, "Table.labels.a: 1 is no string"),
    ],
)
def test_the_checker_finds_a_planted_difference(schema, value, problem):
    assert list(problems_of_value(value, {"$ref": schema}, schema)) == [problem]


def test_the_checker_finds_unknown_parameters_methods_and_server_errors(stand_in):
    def problems(path, status=200):
        answer = requests.Response()
        answer.status_code, answer._content = status, json.dumps({}).encode()
        answer.request = requests.Request("GET", f"{stand_in.url}{path}").prepare()
        return problems_of_exchange(answer)

    assert problems(f"{BASE}/datasets?maxResults=5") == []
    assert "unknown query parameter max" in problems(f"{BASE}/datasets?max=5")[0]
    assert "no method of the API" in problems(f"{BASE}/nothing")[0]
    assert "answered 500" in problems(f"{BASE}/datasets", 500)[0]
    assert "error.code" in problems(f"{BASE}/datasets", 404)[0]
