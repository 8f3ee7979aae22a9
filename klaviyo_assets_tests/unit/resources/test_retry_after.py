"""How long a server asks to wait, whatever its Retry-After header says: in seconds, as a date, or as nonsense.

What it asked for is kept between runs, so no value may make a program wait for ever, or stop it.
"""

import json
from datetime import UTC, date, datetime

import pytest

from klaviyo_assets.resources.fivetran.errors import RateLimitedError
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, QuotaSpentError, ReportRequest
from klaviyo_assets.transport.limited_http import retry_after
from klaviyo_assets_tests.faults.http_faults import HttpProxy

DAY = 86_400
HOSTILE = ["9" * 400, "9999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
UNUSABLE = [
    "", "soon", "-3", "-99999", "nan", "inf", "-inf", "1e9", ".", "\u00b2", "1, 2", "Mon, 99 Jan 2026 00:00:00 GMT",
]  # fmt: skip


class Memory(dict):
    """What Dagster's instance keeps, as a dictionary."""

    def get_cursor_values(self, keys):
        return {key: self[key] for key in keys if key in self}

    def set_cursor_values(self, pairs):
        self.update(pairs)


@pytest.fixture
def server():
    with HttpProxy("http://127.0.0.1:9") as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 1.5 ", 1.5), ("0", 0), (None, None), ("Sun, 01 Mar 2026 04:00:30 GMT", 30),
     ("Sun, 01 Mar 2026 03:00:00 GMT", 0), ("Sat, 01 Jan 0001 00:00:00 +2359", 0),
     *((value, DAY) for value in HOSTILE), *((value, None) for value in (*UNUSABLE, "\u0663"))],
)  # fmt: skip
def test_it_is_seconds_or_a_date_and_a_day_at_most(value, seconds):
    assert retry_after(value, datetime(2026, 3, 1, 4, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("value", HOSTILE)
def test_fivetran_is_asked_again_within_a_day(server, value):
    server.answer(".*", "", 429, {}, headers={"Retry-After": value})
    resource = FivetranResource(api_key="k", api_secret="s", api_url=server.url, max_attempts=1)

    with pytest.raises(RateLimitedError) as caught:
        resource.groups()

    assert caught.value.retry_after == DAY


@pytest.mark.parametrize("value", [*HOSTILE, *UNUSABLE])
def test_klaviyo_is_asked_again_within_a_day(server, monkeypatch, value):
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    server.answer(".*", "", 429, {}, headers={"Retry-After": value})
    memory = Memory()
    resource = KlaviyoResource(api_url=server.url, per_minute=100, per_second=100, longest_wait_seconds=1)
    reports = resource.reports("acme", ["acme"], memory, print)

    with pytest.raises(QuotaSpentError, match="Compare again after that"):
        reports.values(ReportRequest("campaign", ["opens"], date(2026, 1, 1), date(2026, 1, 2), "m"))

    (kept,) = memory.values()
    pause = json.loads(kept)["paused_until"] - datetime.now(UTC).timestamp()
    assert pause == pytest.approx(DAY if value in HOSTILE else 60, abs=30)
