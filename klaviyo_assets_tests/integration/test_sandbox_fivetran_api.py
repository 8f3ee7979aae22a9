"""The Fivetran stand-in over real HTTP, as a client of Fivetran meets it."""

import signal
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import psycopg
import pytest

from klaviyo_assets.sandbox.fivetran import ledger
from klaviyo_assets.sandbox.fivetran.books import Books
from klaviyo_assets.sandbox.fivetran.shop import Shop, profile
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import moment, start_stand_in

ACME, BLOOM = "speak_menial", "warm_harbor"


@pytest.fixture
def fivetran(running):
    """The running stand-in, with no faults planned and no requests counted."""
    running.http.delete("/sandbox/faults")
    running.http.delete("/sandbox/requests")
    yield running
    running.ended(ACME)
    running.patch(f"/sandbox/connections/{ACME}", paused=False, setup_state="connected")


def count_events(postgres_url, schema):
    with psycopg.connect(postgres_url) as connection:
        return connection.execute(f"SELECT count(*) FROM {schema}.event").fetchone()[0]


def test_health_is_answered_without_credentials(fivetran):
    answer = httpx.get(f"{fivetran.url}/health", trust_env=False)

    assert answer.json() == {"service": "fivetran"}


@pytest.mark.parametrize("auth", [None, ("test-key", "wrong"), ("wrong", "test-secret")])
def test_wrong_credentials_are_refused(fivetran, auth):
    answer = httpx.get(f"{fivetran.url}/v1/groups", auth=auth, trust_env=False)

    assert answer.status_code == 401
    assert answer.json()["code"] == "Unauthorized"


@pytest.mark.parametrize("path", ["/v1/connections/no_such", "/v1/groups/no_such/connections", "/v1/destinations/x"])
def test_unknown_ids_are_not_found(fivetran, path):
    answer = fivetran.http.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"].startswith("NotFound")


def test_lists_come_in_pages_until_there_is_no_cursor(fivetran):
    first = fivetran.get("/v1/groups/sunny_warehouse/connections", limit=1)
    second = fivetran.get("/v1/groups/sunny_warehouse/connections", limit=1, cursor=first["next_cursor"])

    assert [item["id"] for item in first["items"] + second["items"]] == [ACME, BLOOM]
    assert "next_cursor" not in second


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "nonsense!"}])
def test_pages_out_of_range_are_refused(fivetran, params):
    answer = fivetran.http.get("/v1/connections", params=params)

    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidInput"


@pytest.mark.parametrize("noun", ["connections", "connectors"])
def test_a_connection_says_what_it_is_under_both_paths(fivetran, noun):
    connection = fivetran.get(f"/v1/{noun}/{ACME}")

    assert (connection["service"], connection["schema"], connection["paused"]) == ("klaviyo", "klaviyo_acme", False)
    assert connection["status"]["setup_state"] == "connected"
    assert connection["status"]["is_historical_sync"] is False


def test_schemas_name_every_table_and_its_key(fivetran):
    tables = fivetran.get(f"/v1/connections/{ACME}/schemas")["schemas"]["klaviyo_acme"]["tables"]

    assert tables["event"]["columns"]["id"]["is_primary_key"] is True
    assert tables["event"]["columns"]["property_currency_code"]["is_primary_key"] is False
    assert {"person", "campaign", "list_person", "coupon_code"} <= set(tables)


def test_a_sync_is_seen_running_and_then_succeeds(fivetran):
    before = fivetran.get(f"/v1/connections/{ACME}")

    answer = fivetran.http.post(f"/v1/connections/{ACME}/sync", json={"force": False})
    during = fivetran.get(f"/v1/connections/{ACME}")["status"]["sync_state"]
    after = fivetran.ended(ACME)

    assert answer.json()["message"].startswith("Sync has been successfully triggered")
    assert during == "syncing"
    assert moment(after["succeeded_at"]) > moment(before["succeeded_at"])


def test_a_second_request_without_force_leaves_the_running_sync_alone(fivetran):
    fivetran.post(f"/sandbox/connections/{ACME}/next-sync", seconds=4)
    fivetran.post(f"/v1/connections/{ACME}/sync")
    time.sleep(3)
    second = moment(fivetran.get("/sandbox/clock")["now"])
    fivetran.post(f"/v1/connections/{ACME}/sync")

    assert moment(fivetran.ended(ACME)["succeeded_at"]) < second + timedelta(seconds=4), "it was begun again"


def test_force_begins_the_running_sync_again(fivetran):
    fivetran.post(f"/sandbox/connections/{ACME}/next-sync", seconds=0.6)
    begun = time.monotonic()
    fivetran.post(f"/v1/connections/{ACME}/sync")
    time.sleep(0.4)
    fivetran.post(f"/v1/connections/{ACME}/force")
    fivetran.ended(ACME)

    assert time.monotonic() - begun >= 1.0


def test_a_resync_is_refused_while_a_sync_runs(fivetran):
    fivetran.post(f"/sandbox/connections/{ACME}/next-sync", seconds=0.3)
    fivetran.post(f"/v1/connections/{ACME}/sync")

    answer = fivetran.http.post(f"/v1/connections/{ACME}/resync", json={})

    assert answer.status_code == 409


def test_a_resync_writes_every_row_again(fivetran, postgres_url):
    fivetran.post(f"/v1/connections/{ACME}/resync", scope={"klaviyo_acme": ["event"]})
    ended = fivetran.ended(ACME)

    with psycopg.connect(postgres_url) as connection:
        stamps = connection.execute("SELECT count(DISTINCT _fivetran_synced) FROM klaviyo_acme.event").fetchone()
    assert ended["status"]["is_historical_sync"] is False
    assert stamps == (1,)


def test_an_unknown_scope_is_refused(fivetran):
    answer = fivetran.http.post(f"/v1/connections/{ACME}/resync", json={"scope": {"other": ["event"]}})

    assert answer.status_code == 400


def test_a_paused_connection_says_so_and_does_not_sync(fivetran):
    fivetran.patch(f"/v1/connections/{ACME}", paused=True)

    answer = fivetran.http.post(f"/v1/connections/{ACME}/sync", json={})

    assert fivetran.get(f"/v1/connections/{ACME}")["status"]["sync_state"] == "paused"
    assert answer.status_code == 409
    assert "paused" in answer.json()["message"]


def test_a_broken_connection_says_so_and_does_not_sync(fivetran):
    fivetran.patch(f"/sandbox/connections/{ACME}", setup_state="broken")

    answer = fivetran.http.post(f"/v1/connections/{ACME}/sync", json={})

    assert fivetran.get(f"/v1/connections/{ACME}")["status"]["tasks"][0]["code"] == "reconnect"
    assert answer.status_code == 409


def test_the_schedule_type_can_be_changed_and_nothing_unknown(fivetran):
    changed = fivetran.patch(f"/v1/connections/{BLOOM}", schedule_type="manual")
    refused = fivetran.http.patch(f"/v1/connections/{BLOOM}", json={"schedule_type": "sometimes"})
    unknown = fivetran.http.patch(f"/v1/connections/{BLOOM}", json={"networking_method": "Directly"})

    assert changed["schedule_type"] == "manual"
    assert (refused.status_code, unknown.status_code) == (400, 400)


def test_a_planned_failure_shows_when_and_why_and_the_next_sync_succeeds(fivetran):
    fivetran.post(f"/sandbox/connections/{ACME}/next-sync", outcome="fail", reason="Klaviyo said 403")
    failed = fivetran.sync(ACME)
    fixed = fivetran.sync(ACME)

    assert moment(failed["failed_at"]) > moment(failed["succeeded_at"])
    assert failed["status"]["tasks"][0]["message"] == "Klaviyo said 403"
    assert moment(fixed["succeeded_at"]) > moment(fixed["failed_at"])
    assert fixed["status"]["tasks"] == []


def test_a_rescheduled_sync_says_until_when_and_then_runs(fivetran):
    until = moment(fivetran.get("/sandbox/clock")["now"]) + timedelta(hours=2)
    fivetran.post(f"/sandbox/connections/{ACME}/next-sync", outcome="reschedule", until=until.isoformat())
    waiting = fivetran.sync(ACME)
    fivetran.post("/sandbox/clock/advance", hours=2, seconds=1)
    deadline = time.monotonic() + 60
    while moment(fivetran.ended(ACME)["succeeded_at"]) < until and time.monotonic() < deadline:
        time.sleep(0.05)

    assert waiting["status"]["sync_state"] == "rescheduled"
    assert moment(waiting["status"]["rescheduled_for"]) == until
    assert moment(fivetran.ended(ACME)["succeeded_at"]) > until


def test_time_that_passes_brings_events(fivetran, postgres_url):
    fivetran.sync(ACME)
    before = count_events(postgres_url, "klaviyo_acme")
    fivetran.sync(ACME)
    idle = count_events(postgres_url, "klaviyo_acme")
    fivetran.post("/sandbox/clock/advance", days=2)
    fivetran.sync(ACME)

    assert idle - before <= 2
    assert count_events(postgres_url, "klaviyo_acme") - idle > 20


def test_the_clock_does_not_run_back(fivetran):
    answer = fivetran.http.post("/sandbox/clock/advance", json={"days": -1})

    assert answer.status_code == 400


def test_late_events_arrive_with_the_next_sync(fivetran, postgres_url):
    fivetran.sync(ACME)
    fivetran.post(f"/sandbox/connections/{ACME}/incidents", kind="late_events", count=6, days=5)
    synced = fivetran.sync(ACME)

    with psycopg.connect(postgres_url) as connection:
        late = connection.execute(
            "SELECT count(*) FROM klaviyo_acme.event WHERE _fivetran_synced > datetime + interval '10 minutes'"
            " AND _fivetran_synced = (SELECT max(_fivetran_synced) FROM klaviyo_acme.event)"
        ).fetchone()[0]
    assert late >= 5
    assert synced["status"]["tasks"] == []


def test_an_unknown_incident_lists_those_there_are(fivetran):
    answer = fivetran.http.post(f"/sandbox/connections/{ACME}/incidents", json={"kind": "flood"})

    assert answer.status_code == 400
    assert "late_events" in answer.json()["message"]


def test_requests_are_counted(fivetran):
    fivetran.get("/v1/groups")
    fivetran.get(f"/v1/connections/{ACME}")
    fivetran.get(f"/v1/connections/{ACME}")

    seen = fivetran.get("/sandbox/requests")

    assert seen["total"] == 3
    assert seen["counts"][f"GET /v1/connections/{ACME}"] == 2


def test_rate_limits_say_when_to_come_back_in_seconds_as_a_date_or_not_at_all(fivetran):
    for form, seconds in (("seconds", 3600), ("date", 5), ("none", 1)):
        fivetran.post("/sandbox/faults", kind="rate_limit", retry_after=form, seconds=seconds)
    in_seconds, as_date, bare, after = (fivetran.http.get("/v1/groups") for _ in range(4))

    assert (in_seconds.status_code, in_seconds.headers["Retry-After"]) == (429, "3600")
    wait = parsedate_to_datetime(as_date.headers["Retry-After"]) - datetime.now(UTC)
    assert timedelta(seconds=2) < wait <= timedelta(seconds=5)
    assert (bare.status_code, "Retry-After" in bare.headers) == (429, False)
    assert after.status_code == 200


@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_come_as_often_as_planned_and_only_where_planned(fivetran, status):
    fivetran.post("/sandbox/faults", kind="error", status=status, times=2, path="/connections")
    elsewhere = fivetran.http.get("/v1/groups").status_code
    statuses = [fivetran.http.get("/v1/connections").status_code for _ in range(3)]

    assert elsewhere == 200
    assert statuses == [status, status, 200]


def test_a_slow_answer_is_right_but_late(fivetran):
    fivetran.post("/sandbox/faults", kind="slow", seconds=0.4)
    begun = time.monotonic()

    assert fivetran.http.get("/v1/groups").status_code == 200
    assert time.monotonic() - begun >= 0.4


def test_a_connection_can_be_cut_inside_the_answer(fivetran):
    fivetran.post("/sandbox/faults", kind="cut")

    with pytest.raises(httpx.RemoteProtocolError):
        fivetran.http.get("/v1/groups")
    assert fivetran.http.get("/v1/groups").status_code == 200


def test_malformed_json_comes_with_status_200(fivetran):
    fivetran.post("/sandbox/faults", kind="malformed")
    answer = fivetran.http.get("/v1/groups")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()


def test_an_unknown_fault_is_refused(fivetran):
    assert fivetran.http.post("/sandbox/faults", json={"kind": "gremlins"}).status_code == 400


def test_what_is_not_part_of_the_stand_in_is_refused_by_name(fivetran):
    answer = fivetran.http.get("/v1/webhooks")

    assert answer.status_code == 404
    assert "/v1/webhooks" in answer.json()["message"]


def test_state_survives_a_restart_and_accounts_can_be_added(postgres_url, tmp_path):
    """Another set of shops over tables of a former one: they are reloaded, then kept."""
    state, accounts = tmp_path / "state", tmp_path / "accounts.toml"
    first = start_stand_in(postgres_url, state, "--seed", "99", "--accounts-file", str(accounts))
    synced = first.sync(BLOOM)
    first.patch(f"/v1/connections/{BLOOM}", schedule_type="manual")
    first.post("/sandbox/clock/advance", days=1)
    first.stop()
    edited = accounts.read_text().replace('pii = "hash"', 'pii = "keep"')
    accounts.write_text(edited)

    second = start_stand_in(postgres_url, state, "--accounts", "3", "--seed", "1", "--accounts-file", str(accounts))
    kept, ids = second.get(f"/v1/connections/{BLOOM}"), second.get("/v1/connections")["items"]
    again = second.sync(BLOOM)
    second.stop()

    with psycopg.connect(postgres_url) as connection:
        ends = connection.execute("SELECT count(*), count(DISTINCT id) FROM klaviyo_bloom.event").fetchone()
    assert kept["succeeded_at"] == synced["succeeded_at"]
    assert kept["schedule_type"] == "manual"
    assert moment(again["succeeded_at"]) - moment(synced["succeeded_at"]) > timedelta(days=1)
    assert len(ids) == 3
    assert ends[0] == ends[1] > 200
    assert accounts.read_text().startswith(edited)
    assert 'name = "cedar"' in accounts.read_text()


@pytest.mark.parametrize(
    "seconds", [0.8, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.2, 0.4, 0.6, 1.0, 1.2, 1.5, 2.0))]
)
def test_a_sync_killed_at_any_moment_is_begun_again_and_loses_and_doubles_nothing(postgres_url, tmp_path, seconds):
    """Compared with what an undisturbed sync would have written by the same time."""
    state = tmp_path / "state"
    first = start_stand_in(postgres_url, state, "--seed", "5", "--events-per-day", "2500")
    first.post(f"/v1/connections/{ACME}/sync")
    time.sleep(seconds)
    first.stop(signal.SIGKILL)

    second = start_stand_in(postgres_url, state)
    ended = second.ended(ACME)
    second.stop()

    record = Books(state / "fivetran.sqlite").connection(ACME)
    with psycopg.connect(postgres_url) as connection:
        last = ledger.last_sync(connection, ACME, record.incarnation)
        event_rows = connection.execute("SELECT id FROM klaviyo_acme.event").fetchall()
    undisturbed = Shop(profile(0), record.seed, record.events_per_day, record.start).rows(last.until)["event"]
    assert moment(ended["succeeded_at"]) == last.finished_at
    assert sorted(row[0] for row in event_rows) == sorted(undisturbed["id"].to_pylist())


def test_a_sync_without_postgres_fails_and_says_why(tmp_path):
    lonely = start_stand_in("postgresql://nobody@127.0.0.1:9/none", tmp_path / "state")
    failed = lonely.sync(ACME)
    lonely.stop()

    assert failed["succeeded_at"] is None
    assert "connection" in failed["status"]["tasks"][0]["message"]
