"""What BigQuery's answers become, through Google's own client: the class by reason, the words, and no secret."""

import json

import pytest

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.pace import Pace
from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets_tests.faults.http_faults import HttpProxy

COLUMNS = (Column(name="word", type=LogicalType.STRING, description="A word."),)
TOKEN = "token-that-nobody-may-see"
ANY = ".*"
TABLE = {
    "kind": "bigquery#table", "tableReference": {"projectId": "p", "datasetId": "k_acme", "tableId": "word"},
    "schema": {"fields": [{"name": "word", "type": "STRING"}]},
}  # fmt: skip


@pytest.fixture
def api():
    """An address that answers as a test says."""
    with HttpProxy("http://127.0.0.1:9") as proxy:
        yield proxy


@pytest.fixture
def dataset(api, monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_TOKEN", TOKEN)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", api.url)
    # Google's upload waits a second before each repetition.
    monkeypatch.setattr("google.resumable_media.requests._request_helpers.time.sleep", lambda _: None)
    resource = BigQueryProjectResource(
        project="p", dataset_prefix="k", emulator_host=api.url, patience_seconds=0.2, job_timeout_seconds=1,
        connect_timeout_seconds=1, silence_timeout_seconds=1, exchange_timeout_seconds=2,
    )  # fmt: skip
    unhurried = Pace(sleep=lambda _: None)
    return BigQueryDataset(resource.client, "k_acme", patience_seconds=0.2, job_seconds=1, pace=unhurried)


def refusal(reason, message="said by Google", **more):
    return {"error": {"code": 400, "message": message, "errors": [{"reason": reason, "message": message, **more}]}}


def look(dataset):
    dataset.row_count("word")


def upload(dataset):
    dataset.append("word", COLUMNS, [{"word": "a"}], "job-1")


PASSING = (
    (403, "rateLimitExceeded"), (403, "quotaExceeded"), (403, "jobRateLimitExceeded"), (400, "jobRateLimitExceeded"),
    (503, "backendError"), (400, "backendError"), (500, "internalError"), (400, "stopped"), (403, "blocked"),
    (400, "resourceInUse"), (400, "tableUnavailable"), (400, "timeout"), (403, "userRateLimitExceeded"),
)  # fmt: skip
LASTING = (
    (403, "accessDenied", "Grant BigQuery Data Editor"), (403, "billingNotEnabled", "Link a billing account"),
    (403, "responseTooLarge", "Ask for fewer rows"), (404, "notFound", "BIGQUERY_LOCATION"),
    (400, "invalidQuery", "said by Google"), (400, "resourcesExceeded", "fewer days"),
    (409, "duplicate", "It already exists"), (400, "invalid", "said by Google"),
    (403, "insufficientPermissions", "Grant BigQuery Data Editor"), (501, "notImplemented", "does not offer"),
)  # fmt: skip


@pytest.mark.parametrize("do", [look, upload])
@pytest.mark.parametrize(("status", "reason"), PASSING)
def test_what_passes_is_transient_on_a_look_and_on_an_upload(dataset, api, do, status, reason):
    api.answer("GET", "/tables/", *((status, refusal(reason)) if do is look else (200, TABLE)))
    api.answer("POST", "/upload/", status, refusal(reason))
    api.answer("GET", "/jobs/", status, refusal(reason))

    with pytest.raises(TransientError, match=rf"word: said by Google \({reason}\)\. .*Run it again later\.") as raised:
        do(dataset)

    assert "Data Editor" not in str(raised.value)


@pytest.mark.parametrize("do", [look, upload])
@pytest.mark.parametrize(("status", "reason", "fix"), LASTING)
def test_what_lasts_is_permanent_and_says_what_to_do(dataset, api, do, status, reason, fix):
    api.answer("GET", "/tables/", *((status, refusal(reason)) if do is look else (200, TABLE)))
    api.answer("POST", "/upload/", status, refusal(reason))
    api.answer("GET", "/jobs/", status, refusal(reason))

    with pytest.raises(PermanentError, match=fix):
        do(dataset)


def test_words_decide_nothing(dataset, api):
    """A message may quote anything, also the name of another reason."""
    api.answer("GET", ANY, 403, refusal("accessDenied", "table `rateLimitExceeded` is not yours"))

    with pytest.raises(PermanentError, match="Grant BigQuery Data Editor"):
        look(dataset)


@pytest.mark.parametrize(("reason", "kind"), [
    ("stopped", TransientError), ("backendError", TransientError), ("rateLimitExceeded", TransientError),
    ("invalid", PermanentError), ("accessDenied", PermanentError), ("quotaExceeded", TransientError),
])  # fmt: skip
def test_a_job_that_failed_is_classed_by_its_reason(dataset, api, reason, kind):
    """An upload is accepted, and its job fails."""
    failure = {"reason": reason, "message": "said by Google"}
    job = {
        "jobReference": {"projectId": "p", "jobId": "job-1", "location": "US"}, "configuration": {"load": {}},
        "status": {"state": "DONE", "errorResult": failure, "errors": [failure]},
    }  # fmt: skip
    api.answer("GET", "/tables/", 200, TABLE)
    api.answer("POST", "/upload/", 200, job)
    api.answer("GET", "/jobs/", 200, job)

    with pytest.raises(kind, match=rf"appending to p\.k_acme\.word: said by Google \({reason}\)"):
        upload(dataset)


def test_a_job_that_does_not_end_is_waited_for_within_the_limit(dataset, api):
    job = {
        "jobReference": {"projectId": "p", "jobId": "job-1", "location": "US"}, "configuration": {"load": {}},
        "status": {"state": "RUNNING"},
    }  # fmt: skip
    api.answer("GET", "/tables/", 200, TABLE)
    api.answer("POST", "/upload/", 200, job)
    api.answer("GET", "/jobs/", 200, job)

    with pytest.raises(TransientError, match=r"appending to p\.k_acme\.word: the job had not ended in time"):
        upload(dataset)


def test_an_upload_whose_answer_was_lost_counts_as_its_job_did(dataset, api):
    """It is sent again under the same id, BigQuery says that the job is there, and the job's outcome counts."""
    job = {
        "jobReference": {"projectId": "p", "jobId": "job-1", "location": "US"},
        "configuration": {"load": {"sourceFormat": "PARQUET"}}, "status": {"state": "DONE"},
    }  # fmt: skip
    api.answer("GET", "/tables/", 200, TABLE)
    api.answer("POST", "/upload/", 409, refusal("duplicate"))
    api.answer("GET", "/jobs/job-1", 200, job)

    upload(dataset)

    assert ("GET", "job-1") in {(method, path.split("?")[0].rpartition("/")[2]) for method, path in api.requests}


@pytest.mark.parametrize(("status", "body", "headers", "kind", "words"), [
    (200, b"<html>log in</html>", {}, TransientError, "login page"),
    (200, b'{"kind": "bigquery#ta', {}, TransientError, "login page"),
    (200, b"\x00\x01", {"Content-Encoding": "gzip"}, TransientError, "login page"),
    (502, b"<html>bad gateway</html>", {}, TransientError, "status 502"),
    (408, b"", {}, TransientError, "status 408"),
    (429, b"", {"Retry-After": "86400"}, TransientError, "status 429"),
    (403, b"<html>forbidden by the proxy</html>", {}, PermanentError, "proxy"),
    (302, b"", {"Location": "/again"}, TransientError, "TooManyRedirects"),
    (401, b"", {}, SettingsError, "BIGQUERY_EMULATOR_TOKEN"),
])  # fmt: skip
def test_what_is_not_bigquery_is_said_to_be_something_else(dataset, api, status, body, headers, kind, words):
    api.answer("GET", ANY, status, body, headers=headers)

    with pytest.raises(kind, match=words) as raised:
        look(dataset)

    assert TOKEN not in str(raised.value)


def test_an_error_on_a_later_page_of_a_result_is_explained_too(dataset, api):
    job = {
        "jobReference": {"projectId": "p", "jobId": "job-1", "location": "US"},
        "configuration": {"query": {"query": "SELECT 1", "destinationTable": TABLE["tableReference"]}},
        "status": {"state": "DONE"}, "statistics": {"query": {"statementType": "SELECT"}},
    }  # fmt: skip
    page = {
        "jobReference": job["jobReference"], "jobComplete": True, "schema": TABLE["schema"], "totalRows": "2",
        "rows": [{"f": [{"v": "a"}]}], "pageToken": "next",
    }  # fmt: skip
    api.answer("POST", "/jobs", 200, job)
    api.answer("GET", "/jobs/", 200, job)
    api.answer("GET", "/queries/", 200, page)
    api.answer("GET", "pageToken", 403, refusal("quotaExceeded"))
    api.answer("GET", "/data", 403, refusal("quotaExceeded"))

    rows = dataset.query("SELECT 1")

    with pytest.raises(TransientError, match=r"reading rows from p\.k_acme: said by Google"):
        list(rows)


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    """Have Google's credentials be a file that a test writes."""
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return path


def google():
    return BigQueryProjectResource(project="p", patience_seconds=0.2, silence_timeout_seconds=0.3)


@pytest.mark.parametrize(("content", "words"), [
    (None, "which does not exist"), ("", "not a key file of Google's"), ("{", "not a key file of Google's"),
    ("{}", "not a key file of Google's"), ('{"type": "authorized_user"}', "not a key file of Google's"),
    ("[]", "not a key file of Google's"),
    ('{"type": "service_account", "client_email": "a@b", "token_uri": "http://127.0.0.1:9", "private_key": "x"}',
     "not a key file of Google's"),
    ('{"type": "service_account"}', "not a key file of Google's"),
])  # fmt: skip
def test_a_key_file_that_is_missing_or_broken_is_named(key_file, content, words):
    if content is not None:
        key_file.write_text(content)

    with pytest.raises(SettingsError, match=f"GOOGLE_APPLICATION_CREDENTIALS is .*key.json.*{words}"):
        _ = google().client


def test_a_key_file_that_is_a_folder_is_named(key_file):
    key_file.mkdir()
    with pytest.raises(SettingsError, match="which does not exist"):
        _ = google().client


@pytest.fixture
def service_account(key_file, api):
    """A right key file, whose tokens come from `api`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.write_text(json.dumps({
        "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": key.decode(),
        "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": f"{api.url}/token",
    }))  # fmt: skip
    return BigQueryDataset(google().client, "k_acme", patience_seconds=0.2)


@pytest.mark.parametrize(("status", "body", "kind", "words"), [
    (400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, SettingsError,
     "credentials \\(invalid_grant\\).*set the clock"),
    (401, {"error": "invalid_client"}, SettingsError, "credentials \\(invalid_client\\)"),
    (503, b"", TransientError, "cannot issue a token now"),
])  # fmt: skip
def test_a_token_that_is_refused_is_told_from_a_token_server_that_is_busy(
    service_account, api, monkeypatch, status, body, kind, words
):
    monkeypatch.setattr("time.sleep", lambda _: None)
    api.answer("POST", "/token", status, body)

    with pytest.raises(kind, match=words):
        look(service_account)


def test_a_token_server_that_is_silent_is_waited_for_within_the_limit(service_account, api, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    api.silence("POST", "/token")

    with pytest.raises(TransientError, match=r"token server cannot be reached: nothing came within 0\.3 s"):
        look(service_account)


def test_a_stream_that_is_cut_short_is_a_transient_error(dataset, api):
    from klaviyo_assets_tests.faults.connection_faults import Fault

    api.answer("GET", ANY, 200, TABLE)
    api.rules[-1].fault = Fault("close", after=100)

    with pytest.raises(TransientError, match="BigQuery cannot be reached: the answer was cut off"):
        look(dataset)
