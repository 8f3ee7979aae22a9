"""Twelve faults between the product and BigQuery: a day is loaded whole or not at all, within the limits."""

import datetime as dt
import json
from secrets import token_hex
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.pace import Pace
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets_tests.contract.destinations import Dataset, mapped_day
from klaviyo_assets_tests.faults.http_faults import HttpProxy
from klaviyo_assets_tests.faults.http_scenes import Refusal, Spot, http_scene
from klaviyo_assets_tests.faults.matrix import FAULTS, measured

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_environment")]

DAY = dt.date(2026, 1, 31)
OLDER, NEWER = ["a", "b"], sorted(uuid4().hex for _ in range(3000))
LIMITS = {"connect_timeout_seconds": 0.5, "silence_timeout_seconds": 0.5, "exchange_timeout_seconds": 1.5}
PATIENCE_SECONDS, JOB_SECONDS = 1, 10
# An upload is sent three times, with two pauses of Google's client (3 and 5 s at most), and its job is waited for.
LIMIT_SECONDS = 3 * (0.5 + 1.5) + 8 + JOB_SECONDS
UPLOAD = Spot("POST", r"/upload/|/token$")


def refusal(status, reason):
    error = {"reason": reason, "message": "said by Google"}
    return Refusal(status, {"error": {"code": status, "message": "said by Google", "errors": [error]}})


REFUSALS = {
    "429": refusal(429, "rateLimitExceeded"), "500": refusal(500, "internalError"),
    "503 bursts": refusal(503, "backendError"), "403 with a reason": refusal(403, "quotaExceeded"),
    # What Google's token server says to a request that was signed an hour ago.
    "clock skew": Refusal(400, {"error": "invalid_grant", "error_description": "Invalid JWT"}),
}  # fmt: skip
OUTCOMES = {
    "503 bursts": ("done", ""), "403 with a reason": ("transient", "A quota is used up"),
    "expired credentials": ("permanent", "does not accept the credentials"),
    "TLS mismatch": ("permanent", "certificate is not accepted"), "clock skew": ("permanent", "set the clock"),
}  # fmt: skip
# The upload arrives and loads, and every answer to it is lost.
ARRIVES = {"silent mid-answer", "reset mid-body"}


@pytest.fixture(scope="module")
def dataset_id():
    return f"faults_{uuid4().hex[:8]}"


def destination(dataset_id, **settings):
    resource = BigQueryProjectResource(project="local", **LIMITS, **settings)
    # The pauses after a refusal for the rate are those of `bigquery_pace.py`; here the limits of the calls are judged.
    return Dataset(
        BigQueryDataset(
            resource.client, dataset_id, resource.client.location, PATIENCE_SECONDS, JOB_SECONDS,
            pace=Pace(sleep=lambda _: None),
        )
    )  # fmt: skip


@pytest.fixture
def direct(sandbox, dataset_id):
    """The dataset, with nothing in between."""
    client = BigQueryProjectResource(project=sandbox.variables["BIGQUERY_PROJECT"]).client
    return Dataset(BigQueryDataset(client, dataset_id, client.location))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_day_is_loaded_whole_or_not_at_all(fault, sandbox, direct, dataset_id, tmp_path, monkeypatch):
    with mapped_day(DAY, OLDER, tmp_path) as (file, record):
        direct.write(file, record, DAY)

    target = sandbox.variables["BIGQUERY_EMULATOR_HOST"]
    with (
        http_scene(fault, target, UPLOAD, REFUSALS, tmp_path) as url,
        mapped_day(DAY, NEWER, tmp_path) as (file, record),
    ):
        if fault == "expired credentials":
            monkeypatch.setenv("BIGQUERY_EMULATOR_TOKEN", "an-old-one")
        if fault == "clock skew":
            monkeypatch.delenv("BIGQUERY_EMULATOR_HOST")
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key_file(tmp_path, url))
            url = ""
        behind = destination(dataset_id, emulator_host=url)
        with measured("BigQuery", fault, LIMIT_SECONDS) as cell:
            behind.write(file, record, DAY)

    monkeypatch.undo()
    outcome, words = OUTCOMES.get(fault, ("transient", ""))
    cell.expect(outcome, words)
    assert [row["event_id"] for row in direct.read(DAY)] == (NEWER if outcome == "done" or fault in ARRIVES else OLDER)


def key_file(folder, url):
    """A service account's key, whose token server does not accept what is signed an hour in the past."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "key.json"
    path.write_text(json.dumps({
        "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": key.decode(),
        "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": f"{url}/token",
    }))  # fmt: skip
    return str(path)


def test_a_resumable_upload_whose_last_answer_is_lost_loads_once(sandbox, direct, dataset_id, tmp_path):
    """Files of 5 MB and more go in a session: its last chunk is asked for again, and the job is the same."""
    ids = sorted(token_hex(50_000) for _ in range(150))
    proxied = HttpProxy(sandbox.variables["BIGQUERY_EMULATOR_HOST"])
    with proxied as proxy, mapped_day(DAY, ids, tmp_path) as (file, record):
        assert file.stat().st_size > 5 * 1024 * 1024
        proxy.lose("PUT", "/upload/")
        client = BigQueryProjectResource(project="local", emulator_host=proxy.url).client
        Dataset(BigQueryDataset(client, dataset_id, client.location)).write(file, record, DAY)
        assert [method for method, path in proxy.requests if "/upload/" in path] == ["POST", "PUT", "PUT"]
    assert direct.dataset.row_count("event") == len(ids)
