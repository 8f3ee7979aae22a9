"""Klaviyo's Reporting API over real HTTP: our client, through Klaviyo's own package, against the sandbox's stand-in.

The simulated shops need no Postgres for that: they answer from their own books.
"""

from datetime import date, timedelta

import httpx
import pytest

from klaviyo_assets.audit.klaviyo_comparison import COMPARED
from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.klaviyo import resource as klaviyo
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, QuotaSpentError, ReportRequest
from klaviyo_assets.sandbox.fivetran.shop.dice import Dice
from klaviyo_assets.sandbox.klaviyo_keys import klaviyo_key
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import SECRET, start_stand_in

SEED = 7
KEY = klaviyo_key(SECRET, "acme")
TODAY = date.today()
PATIENT = {"per_second": 1_000, "per_minute": 1_000, "per_day": 1_000}


def metric_id(account="acme"):
    return Dice(SEED, account).short_id("metric", "placed_order")


def asked(owner="campaign", statistics=COMPARED, **changed):
    given = {"first": TODAY - timedelta(days=9), "last": TODAY, "conversion_metric_id": metric_id(), **changed}
    return ReportRequest(owner, statistics, **given)


class Memory(dict):
    """What Dagster's instance keeps, as a dictionary."""

    def get_cursor_values(self, keys):
        return {key: self[key] for key in keys if key in self}

    def set_cursor_values(self, pairs):
        self.update(pairs)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    nobody = "postgresql://postgres@127.0.0.1:9/none"
    running = start_stand_in(nobody, tmp_path_factory.mktemp("klaviyo"), "--seed", str(SEED))
    yield running
    running.stop()


@pytest.fixture
def server(stand_in):
    stand_in.http.delete("/sandbox/faults")
    stand_in.http.delete("/sandbox/requests")
    stand_in.patch("/sandbox/klaviyo", **PATIENT, page_size=1_000)
    return stand_in


@pytest.fixture
def slept(monkeypatch):
    """The pauses that were made; they take no time."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    now = [klaviyo.time.time()]
    monkeypatch.setattr(klaviyo, "time", type("Clock", (), {"time": lambda: now[0], "sleep": sleep}))
    return pauses


@pytest.fixture
def reports(server, monkeypatch):
    """Makes the reports of acme with some settings."""

    def reports_of(key=KEY, memory=None, messages=None, **settings):
        monkeypatch.setenv("KLAVIYO_API_KEY_ACME", key)
        resource = KlaviyoResource(api_url=f"{server.url}/klaviyo", **{**PATIENT, **settings})
        memory = Memory() if memory is None else memory
        return resource.reports("acme", ["acme", "bloom"], memory, (messages if messages is not None else []).append)

    return reports_of


def post(server, path="/klaviyo/api/campaign-values-reports", body=None, **headers):
    given = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-10-15", **headers}
    return httpx.post(
        f"{server.url}{path}", json=asked().body if body is None else body, headers=given, trust_env=False
    )


@pytest.mark.parametrize("owner", ["campaign", "flow"])
def test_a_report_holds_every_statistic_of_each_message(reports, owner):
    results = reports().values(asked(owner))
    assert len(results) > 3
    for row in results:
        assert set(row["statistics"]) == set(COMPARED)
        assert set(row["groupings"]) == {f"{owner}_id", f"{owner}_message_id", "send_channel", "variation"}
        counted = row["statistics"]
        assert counted["recipients"] == counted["delivered"] + counted["bounced"] + counted["failed"]
        assert counted["opens_unique"] <= counted["opens"]
    assert sum(row["statistics"]["delivered"] for row in results) > 5


def test_pages_are_put_together(server, reports):
    whole = reports().values(asked())
    server.patch("/sandbox/klaviyo", page_size=2)
    assert len(whole) > 2
    assert reports().values(asked()) == whole


def test_a_report_of_one_day_after_the_other_is_the_whole(reports):
    """Counts by send day add up to the counts of the range."""
    acme_reports = reports(per_day=1_000)
    days = [TODAY - timedelta(days=ago) for ago in range(10)]
    parts = [row for day in days for row in acme_reports.values(asked(statistics=["delivered"], first=day, last=day))]
    whole = acme_reports.values(asked(statistics=["delivered"]))
    assert sum(row["statistics"]["delivered"] for row in parts) == sum(row["statistics"]["delivered"] for row in whole)


def test_a_wrong_key_is_refused_and_the_message_says_where_to_look(reports):
    with pytest.raises(
        SettingsError, match=r"refuses the API key of account acme .*Check KLAVIYO_API_KEY_ACME"
    ) as error:
        reports(key="pk_wrong").values(asked())
    assert "pk_wrong" not in str(error.value)


def test_a_key_opens_its_own_account_only(server, reports):
    """The metric's id is acme's; bloom has no such metric."""
    with pytest.raises(PermanentError, match="Check conversion_metric"):
        reports(key=klaviyo_key(SECRET, "bloom")).values(asked())


def test_klaviyos_quota_is_kept_by_whoever_counts(server, reports, slept):
    """Two requests a minute: the third waits, and it is said."""
    messages = []
    acme_reports = reports(messages=messages, per_second=1, per_minute=2, per_day=225)
    for owner in ("campaign", "flow", "campaign"):
        acme_reports.values(asked(owner))
    assert [round(pause) for pause in slept] == [1, 59]
    assert messages == ["account acme: waiting 59 s for Klaviyo's quota of reports"]
    assert acme_reports.left_today == 222


def test_the_spending_of_an_earlier_run_counts(reports, slept):
    memory = Memory()
    reports(memory=memory, per_day=2).values(asked())
    reports(memory=memory, per_day=2).values(asked())
    with pytest.raises(QuotaSpentError, match=r"before \d{4}-\d\d-\d\d \d\d:\d\d UTC \(2 a day"):
        reports(memory=memory, per_day=2).values(asked())
    assert slept == []


def test_a_429_is_waited_for_as_long_as_it_asks_for_and_once(server, reports, slept):
    """Another program has used the quota up."""
    server.post("/sandbox/faults", kind="rate_limit", path="/klaviyo", seconds=7)
    assert reports().values(asked())
    assert [round(pause) for pause in slept] == [7]


def test_a_pause_of_hours_is_not_waited_for_and_holds_in_the_next_run(server, reports, slept):
    memory = Memory()
    server.post("/sandbox/faults", kind="rate_limit", path="/klaviyo", seconds=40_000)
    for _ in range(2):
        with pytest.raises(QuotaSpentError, match="Compare again after that"):
            reports(memory=memory).values(asked())
    assert slept == []
    assert server.get("/sandbox/requests")["total"] == 1


def test_the_stand_in_keeps_klaviyos_windows(server):
    server.patch("/sandbox/klaviyo", per_second=100, per_minute=2)
    answers = [post(server) for _ in range(5)]
    assert [answer.status_code for answer in answers].count(200) in {2, 3, 4}
    assert answers[0].headers["RateLimit-Remaining"] == "1"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["errors"][0]["code"] == "throttled"
    assert refused.headers["content-type"] == "application/vnd.api+json"


@pytest.mark.parametrize("fault", [{"kind": "error", "status": 503}, {"kind": "malformed", "times": 2}])
def test_a_server_that_stumbles_is_asked_once_more_or_explained(server, reports, slept, fault):
    server.post("/sandbox/faults", path="/klaviyo", **fault)
    if fault["kind"] == "error":
        assert reports().values(asked())
        assert len(slept) == 1
    else:
        with pytest.raises(PermanentError, match="is not the expected report"):
            reports().values(asked())


@pytest.mark.parametrize("times", [1])
def test_a_server_that_does_not_answer_is_a_passing_fault(server, reports, times):
    server.post("/sandbox/faults", kind="cut", path="/klaviyo", times=times)
    with pytest.raises(TransientError, match="no answer from Klaviyo at http"):
        reports().values(asked())


def test_an_address_that_is_none_is_a_setting_to_fix(monkeypatch):
    monkeypatch.setenv("KLAVIYO_API_KEY_ACME", KEY)
    with pytest.raises(SettingsError, match=r"Set KLAVIYO_API_URL to https://a\.klaviyo\.com"):
        KlaviyoResource(api_url="klaviyo").reports("acme", ["acme"], Memory(), print)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"statistics": ["open_rates"]}, "/data/attributes/statistics"),
        ({"group_by": ["campaign_id"]}, "/data/attributes/group_by"),
        ({"group_by": ["campaign_id", "campaign_message_id", "tag_id"]}, "/data/attributes/group_by"),
        ({"filter": 'equals(campaign_id,"x")'}, "/data/attributes/filter"),
        ({"timeframe": {"key": "last_30_days"}}, "/data/attributes/timeframe"),
        ({"timeframe": {"start": "2024-01-01", "end": "2025-06-01"}}, "/data/attributes/timeframe"),
        ({"conversion_metric_id": "nothing"}, "/data/attributes/conversion_metric_id"),
    ],
)
def test_the_stand_in_refuses_by_name_what_it_cannot_answer(server, change, pointer):
    body = asked().body
    body["data"]["attributes"] |= change
    answer = post(server, body=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


def test_the_stand_in_wants_a_key_and_a_revision(server):
    assert post(server, Authorization="Bearer x").status_code == 401
    assert post(server, Authorization="Klaviyo-API-Key pk_x").json()["errors"][0]["code"] == "authentication_failed"
    assert post(server, revision="").json()["errors"][0]["source"] == {"pointer": "/headers/revision"}
    assert post(server, path="/klaviyo/api/form-values-reports").status_code == 404
