"""Every fault of Fivetran's API over real HTTP: which requests are made, and what a person is shown.

A row of the table is a fault; each is met in both generations of the API. Where Fivetran serves the older one alone,
the first request is one more: the one that finds out.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any

import pytest
import typer

from klaviyo_assets.cli.console import errors
from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError, UnknownNameError
from klaviyo_assets.resources.fivetran.errors import (
    BrokenSetupError,
    ConflictError,
    ConnectionPausedError,
    RateLimitedError,
    SchemaBlockedError,
    SyncFailedError,
    SyncRescheduledError,
    UnansweredError,
)
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import KEY, SECRET, StandIn, start_stand_in

ACME, BLOOM = "speak_menial", "warm_harbor"
CURRENT, OLDER = "connections", "connectors"
ALWAYS = 99
LOOK, START, RESYNC = (
    "GET /v1/{noun}/speak_menial",
    "POST /v1/{noun}/speak_menial/sync",
    "POST /v1/{noun}/speak_menial/resync",
)
SCHEMAS = "GET /v1/{noun}/speak_menial/schemas"


@dataclass(frozen=True)
class Case:
    """One fault: what is planned, what is done, the requests that arrive, and what is shown (None: all is well)."""

    name: str
    requests: list[str]
    error: type[KlaviyoAssetsError] | None = None
    what: str = ""
    fix: str = ""
    fault: dict[str, Any] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    next_sync: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    action: str = "sync"


def on(kind: str, method: str, times: int = ALWAYS, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "method": method, "times": times, "path": "/v1/", **more}


def lost(kind: str, **more: Any) -> dict[str, Any]:
    """A POST that Fivetran carries out, and whose answer does not come back."""
    return on(kind, "POST", 1, carried_out=True, **more)


LOOKED, STARTED = f"{LOOK} 200", f"{START} 200"
ONCE = [LOOKED, STARTED]
KEY_FIX = "Check FIVETRAN_API_KEY and FIVETRAN_API_SECRET, or create a new pair under Account Settings, API key"
LESS = "Run it again after that, and less often"
CASES = [
    Case("no fault", ONCE),
    # Refused: asking again would not help.
    Case("401 wrong key", [f"{LOOK} 401"], SettingsError, "refuses the API key (401, Unauthorized", KEY_FIX,
         settings={"api_secret": "wrong"}),
    Case("403", [f"{LOOK} 403"], PermanentError, "does not allow GET", "Give its user a role that may",
         on("error", "GET", status=403)),
    Case("403 on the POST", [LOOKED, f"{START} 403"], PermanentError, "does not allow POST",
         "Give its user a role that may read and sync", on("error", "POST", status=403)),
    Case("409 on the POST", [LOOKED, f"{START} 409"], ConflictError, "cannot do POST .* now (409, Conflict",
         "Run it again when the running sync has ended", on("error", "POST", status=409)),
    # Too many requests: as long as Fivetran says, if that is bearable.
    Case("429 without Retry-After", [f"{LOOK} 429"] * 3, RateLimitedError,
         "no more requests for an unknown time",
         LESS, on("rate_limit", "GET", retry_after="none")),
    Case("429 without Retry-After, passing", [f"{LOOK} 429"] * 2 + ONCE, fault=on("rate_limit",
         "GET", 2, retry_after="none")),
    Case("429 with seconds", [f"{LOOK} 429"] * 2 + ONCE, fault=on("rate_limit", "GET", 2, seconds=0.2)),
    Case("429 with a date", [f"{LOOK} 429", *ONCE], fault=on("rate_limit", "GET", 1, retry_after="date", seconds=1)),
    Case("429 with 3600 seconds", [f"{LOOK} 429"], RateLimitedError, "no more requests for 3600 s", LESS,
         on("rate_limit", "GET", seconds=3600)),
    Case("429 with a date in an hour", [f"{LOOK} 429"], RateLimitedError, r"no more requests for 3[56]\d\d s", LESS,
         on("rate_limit", "GET", retry_after="date", seconds=3600)),
    Case("429 on the POST", [LOOKED, f"{START} 429", STARTED], fault=on("rate_limit", "POST", 1, seconds=0.1)),
    Case("429 on the POST with 3600 seconds", [LOOKED, f"{START} 429"], RateLimitedError, "for 3600 s (POST", LESS,
         on("rate_limit", "POST", seconds=3600)),
    # No usable answer: a GET is asked again; a POST only where a look shows that nothing has begun.
    Case("500", [f"{LOOK} 500"] * 3, UnansweredError, "cannot answer GET .* (500, InternalError", "Run it again later",
         on("error", "GET", status=500)),
    Case("500, passing", [f"{LOOK} 500"] * 2 + ONCE, fault=on("error", "GET", 2, status=500)),
    Case("500 on a POST not carried out", [LOOKED, f"{START} 500", *ONCE], fault=on("error", "POST", 1, status=500)),
    Case("500 on a POST carried out", [LOOKED, f"{START} 500", LOOKED], fault=lost("error", status=500)),
    Case("503", [f"{LOOK} 503"] * 3, UnansweredError, "cannot answer GET .* (503, ServiceUnavailable",
         "Run it again later",
         on("error", "GET", status=503)),
    Case("503, passing", [f"{LOOK} 503"] * 2 + ONCE, fault=on("error", "GET", 2, status=503)),
    Case("503 on a POST carried out", [LOOKED, f"{START} 503", LOOKED], fault=lost("error", status=503)),
    Case("slow", [LOOKED] * 3, UnansweredError, "no answer from Fivetran .* nothing came within 0.3 s",
         "Check the network and FIVETRAN_API_URL", on("slow", "GET", seconds=0.7),
         settings={"read_timeout_seconds": 0.3}),
    Case("slow, but bearable", ONCE, fault=on("slow", "GET", 1, seconds=0.3)),
    Case("slow on a POST carried out", [LOOKED, LOOKED, STARTED],  # its answer is ready last
         fault=lost("slow", seconds=2), settings={"read_timeout_seconds": 0.8}),
    Case("cut connection", [LOOKED] * 3, UnansweredError, "no answer from Fivetran .* to GET",
         "Check the network and FIVETRAN_API_URL", on("cut", "GET")),
    Case("cut connection, passing", [LOOKED] * 2 + ONCE, fault=on("cut", "GET", 2)),
    Case("cut on a POST not carried out", [LOOKED, STARTED, *ONCE], fault=on("cut", "POST", 1)),
    Case("cut on a POST carried out", [LOOKED, STARTED, LOOKED], fault=lost("cut")),
    Case("malformed JSON", [LOOKED] * 3, UnansweredError, "is not the expected JSON",
         "Does FIVETRAN_API_URL point to Fivetran's API, and is no proxy in between", on("malformed", "GET")),
    Case("malformed JSON, passing", [LOOKED] * 2 + ONCE, fault=on("malformed", "GET", 2)),
    Case("malformed JSON on a POST carried out", [LOOKED, STARTED, LOOKED], fault=lost("malformed")),
    # The connection cannot sync: it is not asked to.
    Case("paused", [LOOKED], ConnectionPausedError, r"speak_menial (klaviyo_acme) is paused, so it cannot sync",
         "Enable it at https://fivetran.com/dashboard/connections/speak_menial", state={"paused": True}),
    Case("broken set-up", [LOOKED], BrokenSetupError, "is broken: Reconnect: the API key was refused",
         "Fix it at https://fivetran.com/dashboard/connections/speak_menial/setup", state={"setup_state": "broken"}),
    Case("incomplete set-up", [LOOKED], BrokenSetupError, "is incomplete", "Fix it at https",
         state={"setup_state": "incomplete"}),
    Case("schema changed", [LOOKED], SchemaBlockedError, "the schema of .* changed and waits for review",
         "Review it at https://fivetran.com/dashboard/connections/speak_menial/schema",
         state={"schema_status": "blocked_on_customer"}),
    Case("schema changed: a table is off", [LOOKED, f"{SCHEMAS} 200"], PermanentError,
         "cannot re-sync 'coupon': the table is switched off", "Switch it on at https", action="resync coupon",
         state={"disabled": ["coupon"]}),
    # The sync that was started comes to nothing.
    Case("rescheduled", [*ONCE, LOOKED], SyncRescheduledError, "put the sync of .* off until 2030-01-01 06:00 UTC",
         "Run it again after that, or leave it to the sensor", action="sync and wait",
         next_sync={"outcome": "reschedule", "until": "2030-01-01T06:00:00Z"}),
    Case("sync failed", [*ONCE, LOOKED], SyncFailedError, "failed at .* UTC: Klaviyo refused the key",
         "See https://fivetran.com/dashboard/connections/speak_menial", action="sync and wait",
         next_sync={"outcome": "fail", "reason": "Klaviyo refused the key"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def running(postgres_url, tmp_path_factory) -> Iterator[StandIn]:
    stand_in = start_stand_in(postgres_url, tmp_path_factory.mktemp("state"))
    stand_in.sync(ACME)
    yield stand_in
    stand_in.stop()


@pytest.fixture
def stand_in(running) -> Iterator[StandIn]:
    """The running stand-in, healthy, with no sync running."""
    running.ended(ACME)
    yield running
    running.http.delete("/sandbox/faults")
    running.patch(
        f"/sandbox/connections/{ACME}", paused=False, setup_state="connected", schema_status="ready", disabled=[]
    )


@pytest.fixture(params=[CURRENT, OLDER])
def noun(request, stand_in) -> str:
    """What the API calls a connection; the older one does not know the paths of the current one."""
    if request.param == OLDER:
        stand_in.post("/sandbox/faults", kind="error", status=404, path=f"/{CURRENT}", times=ALWAYS)
    stand_in.http.delete("/sandbox/requests")
    return request.param


def client(stand_in: StandIn, **settings: Any) -> FivetranResource:
    impatient = {
        "api_key": KEY, "api_secret": SECRET, "api_url": stand_in.url, "max_attempts": 3, "read_timeout_seconds": 5,
        "first_backoff_seconds": 0.01, "poll_interval_seconds": 0.05, "sync_timeout_seconds": 20,
    }  # fmt: skip
    return FivetranResource(**{**impatient, **settings})


def act(fivetran: FivetranResource, action: str) -> None:
    if action.startswith("resync "):
        fivetran.resync(ACME, [action.removeprefix("resync ")])
        return
    started = fivetran.sync(ACME)
    if action == "sync and wait":
        fivetran.wait(ACME, started.since)


def arrived(stand_in: StandIn, expected: list[str]) -> list[str]:
    """The requests, once as many arrived; one whose client went away is counted when its answer is ready."""
    deadline = time.monotonic() + 60
    while True:
        items = stand_in.get("/sandbox/requests")["items"]
        if len(items) >= len(expected) or time.monotonic() > deadline:
            return [f"{one['method']} {one['path']} {one['status']}" for one in items]
        time.sleep(0.05)


def expected(case_requests: list[str], noun: str) -> list[str]:
    written = [request.format(noun=noun) for request in case_requests]
    return written if noun == CURRENT else [f"{LOOK.format(noun=CURRENT)} 404", *written]


def error_output(action: Callable[[], None], capsys) -> tuple[int, list[str], BaseException]:
    """Exit code, the lines a command shows, and the error itself."""
    with pytest.raises(typer.Exit) as caught, errors():
        action()
    return caught.value.exit_code, capsys.readouterr().err.splitlines(), caught.value.__context__


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_makes_the_requests_it_should_and_shows_what_to_do(stand_in, noun, case, capsys):
    if case.state:
        stand_in.patch(f"/sandbox/connections/{ACME}", **case.state)
    if case.next_sync:
        stand_in.post(f"/sandbox/connections/{ACME}/next-sync", **case.next_sync)
    if case.fault:
        stand_in.post("/sandbox/faults", **case.fault)
    fivetran = client(stand_in, **case.settings)

    if case.error is None:
        act(fivetran, case.action)
    else:
        code, lines, error = error_output(lambda: act(fivetran, case.action), capsys)
        assert isinstance(error, case.error)
        assert code == (2 if case.error is SettingsError else 1)
        assert [line[:7] for line in lines][:1] == ["error: "]
        assert len(lines) == 2
        assert re.search(pattern(case.what), lines[0]), lines[0]
        assert re.search(pattern(case.fix), lines[1]), lines[1]
        assert KEY not in "".join(lines)
        assert SECRET not in "".join(lines)

    expected_requests = expected(case.requests, noun)
    arrived_requests = arrived(stand_in, expected_requests)
    # A wait looks as often as it takes.
    assert (
        [one for one, _ in groupby(arrived_requests)] if case.action == "sync and wait" else arrived_requests
    ) == expected_requests


def pattern(text: str) -> str:
    """Words as they are, and `.*` between them."""
    return text if "\\" in text else ".*".join(map(re.escape, text.split(".*")))


def test_the_table_has_every_fault_of_the_interface():
    named = ["401", "403", "409", "429", "500", "503", "slow", "cut", "malformed", "paused", "rescheduled"]
    named += ["sync failed", "schema changed"]
    assert [name for name in named if not any(name in case.name for case in CASES)] == []


def test_404_an_unknown_id_is_answered_with_those_there_are(stand_in, noun, capsys):
    code, lines, error = error_output(lambda: client(stand_in).sync("nobody"), capsys)

    assert isinstance(error, UnknownNameError)
    assert code == 2
    assert "Choose one of: speak_menial (klaviyo_acme), warm_harbor (klaviyo_bloom)." in lines[1]
    assert "Set fivetran_connection_id in accounts.toml" in lines[1]
    tried = [f"GET /v1/{CURRENT}/nobody 404", f"GET /v1/{OLDER}/nobody 404"]
    listed = [f"GET /v1/{CURRENT} 200"] if noun == CURRENT else [f"GET /v1/{CURRENT} 404", f"GET /v1/{OLDER} 200"]
    assert arrived(stand_in, [*tried, *listed]) == [*tried, *listed]


def test_409_a_resync_during_a_sync_is_refused_by_fivetran_and_not_repeated(stand_in, noun, capsys):
    stand_in.post(f"/sandbox/connections/{ACME}/next-sync", seconds=1)
    fivetran = client(stand_in)
    fivetran.sync(ACME)

    _, lines, error = error_output(lambda: fivetran.resync(ACME), capsys)

    assert isinstance(error, ConflictError)
    assert "Cannot re-sync: a sync is in progress" in lines[0]
    assert "Run it again when the running sync has ended" in lines[1]
    wanted = expected([*ONCE, LOOKED, f"{RESYNC} 409"], noun)
    assert arrived(stand_in, wanted) == wanted


def test_a_spent_budget_makes_no_request_at_all(stand_in, noun, capsys):
    """The budget is of this process, for one API and key, whoever asks."""
    budget = 1 if noun == CURRENT else 2
    _, lines, error = error_output(lambda: client(stand_in, hourly_budget=budget).sync(ACME), capsys)

    assert isinstance(error, RateLimitedError)
    assert f"this process has made {budget} requests to Fivetran within an hour, its budget" in lines[0]
    assert "Raise hourly_budget, or poll less often" in lines[1]
    wanted = expected([LOOKED], noun)
    assert arrived(stand_in, wanted) == wanted


def test_a_rescheduled_sync_says_until_when_for_programs_too(stand_in, noun):
    stand_in.post(f"/sandbox/connections/{ACME}/next-sync", outcome="reschedule", until="2030-01-01T06:00:00Z")

    with pytest.raises(SyncRescheduledError) as caught:
        act(client(stand_in), "sync and wait")

    assert caught.value.until == datetime(2030, 1, 1, 6, tzinfo=UTC)


def test_a_column_that_comes_with_a_sync_stops_nothing(stand_in, noun):
    name = f"of_{noun}"
    stand_in.post(f"/sandbox/connections/{ACME}/incidents", kind="new_column", name=name)
    stand_in.post("/sandbox/clock/advance", days=1)

    act(client(stand_in), "sync and wait")

    columns = stand_in.get(f"/v1/{noun}/{ACME}/schemas")["schemas"]["klaviyo_acme"]["tables"]["event"]["columns"]
    assert f"property_{name}" in columns


def test_pauses_grow_and_differ_between_clients(stand_in, noun):
    """Four pauses of 0.05, 0.1, 0.2 and 0.4 seconds, each with up to 0.05 on top that is no two clients' same."""
    stand_in.post("/sandbox/faults", **on("error", "GET", status=500))
    took = []
    for _ in range(2):
        stand_in.http.delete("/sandbox/requests")
        with pytest.raises(TransientError):
            client(stand_in, max_attempts=5, first_backoff_seconds=0.05).connection(ACME)
        seen = [datetime.fromisoformat(one["at"]) for one in stand_in.get("/sandbox/requests")["items"]]
        took.append([(after - before).total_seconds() for before, after in pairwise(seen[-5:])])

    for pauses in took:
        assert len(pauses) == 4
        assert all(pause >= least * 0.98 for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.4), strict=True))
    assert took[0] != took[1]


@pytest.mark.parametrize("error", [error for case in CASES if (error := case.error)])
def test_an_error_says_whether_a_rerun_would_help(error):
    assert issubclass(error, PermanentError) != issubclass(error, TransientError)
