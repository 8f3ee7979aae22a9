"""Twelve faults between the product and Fivetran: a sync begins once or not at all, within the limits."""

from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from klaviyo_assets.resources.fivetran.resource import FivetranResource, fivetran_from_environment
from klaviyo_assets.resources.fivetran.wait import SyncMarks
from klaviyo_assets_tests.faults.http_scenes import Refusal, Spot, http_scene, not_yet_valid
from klaviyo_assets_tests.faults.matrix import FAULTS, measured

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_environment")]

LIMITS = {"connect_timeout_seconds": 0.5, "read_timeout_seconds": 0.5, "exchange_timeout_seconds": 1.5,
          "call_timeout_seconds": 4, "max_attempts": 3, "first_backoff_seconds": 0.1,
          "longest_pause_seconds": 2}  # fmt: skip
# A look, and a start that is looked at before it is repeated: five calls in the worst case.
LIMIT_SECONDS = 5 * 4
LOOK = Spot("GET", r"/v1/connect(ions|ors)/", 300)


def refusal(status, code, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusal(status, {"code": code, "message": "said by Fivetran"}, given)


REFUSALS = {
    "429": refusal(429, "RateLimited", Retry_After="1"), "500": refusal(500, "InternalError"),
    "503 bursts": refusal(503, "ServiceUnavailable"), "403 with a reason": refusal(403, "Forbidden"),
}  # fmt: skip
OUTCOMES = {
    "503 bursts": ("done", ""), "10 kB/s": ("done", ""), "403 with a reason": ("permanent", "Give its user a role"),
    "expired credentials": ("permanent", "FIVETRAN_API_KEY"),
    "TLS mismatch": ("permanent", "certificate is not accepted"),
    "clock skew": ("permanent", "not yet valid.*clock of this machine"),
}  # fmt: skip


@pytest.fixture
def connection_id(sandbox):
    return next(iter(sandbox.accounts.by_name.values())).fivetran_connection_id


def resource(sandbox, url, secret=None):
    return FivetranResource(
        api_key=sandbox.variables["FIVETRAN_API_KEY"], api_secret=secret or sandbox.variables["FIVETRAN_API_SECRET"],
        api_url=url, **LIMITS,
    )  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sync_begins_once_or_not_at_all(fault, sandbox, connection_id, tmp_path, monkeypatch):
    direct = fivetran_from_environment()
    before = direct.connection(connection_id)

    with scene(fault, sandbox.variables["FIVETRAN_API_URL"], tmp_path, monkeypatch) as url:
        asked = resource(sandbox, url, "an-old-one" if fault == "expired credentials" else None)
        with measured("Fivetran", fault, LIMIT_SECONDS) as cell:
            asked.sync(connection_id)

    outcome, words = OUTCOMES.get(fault, ("transient", ""))
    cell.expect(outcome, words)
    now = direct.connection(connection_id)
    assert (now.is_syncing or now.succeeded_at != before.succeeded_at) == (outcome == "done")
    if outcome == "done":
        direct.wait(connection_id, SyncMarks.of(before), timeout_seconds=120, interval_seconds=0.2)


@contextmanager
def scene(fault, target, folder, monkeypatch):
    """The API's address, with the fault in between."""
    address = urlsplit(target)
    host = f"{address.scheme}://{address.netloc}"
    if fault != "clock skew":
        with http_scene(fault, host, LOOK, REFUSALS, folder) as url:
            yield f"{url}{address.path}"
        return
    with not_yet_valid(host, folder) as (url, certificate):
        monkeypatch.setattr("certifi.where", lambda: str(certificate))
        yield f"{url}{address.path}"
