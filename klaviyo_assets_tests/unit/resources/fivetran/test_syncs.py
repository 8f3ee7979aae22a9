"""Starting syncs without ever starting one twice, and waiting for their end with a clear outcome."""

from datetime import UTC, datetime

import pytest

from klaviyo_assets.errors import PermanentError, TransientError, UnknownNameError
from klaviyo_assets.resources.fivetran.errors import (
    BrokenSetupError,
    ConflictError,
    ConnectionPausedError,
    RateLimitedError,
    SchemaBlockedError,
    SyncFailedError,
    SyncRescheduledError,
    SyncUnfinishedError,
    UnansweredError,
)
from klaviyo_assets.resources.fivetran.wait import SyncMarks
from klaviyo_assets_tests.unit.resources.fivetran.scripted import Answer, connection_answer, page

ID = "speak_menial"
GET, POST = f"GET /v1/connections/{ID}", f"POST /v1/connections/{ID}/sync"
LATER = "2026-03-01T05:00:00Z"
DONE = Answer(data=None)


def test_a_sync_is_one_look_and_one_post(server):
    server.on(GET, connection_answer())
    server.on(POST, DONE)

    started = server.resource().sync(ID)

    assert server.asked() == [GET, POST]
    assert server.requests[1].body == {"force": False}
    assert not started.was_running
    assert started.since == SyncMarks(datetime(2026, 3, 1, 4, tzinfo=UTC), None)


def test_force_is_passed_on(server):
    server.on(GET, connection_answer(sync_state="syncing"))
    server.on(POST, DONE)

    assert not server.resource().sync(ID, force=True).was_running
    assert server.requests[1].body == {"force": True}


def test_a_sync_that_was_running_is_told(server):
    server.on(GET, connection_answer(sync_state="syncing"))
    server.on(POST, DONE)

    assert server.resource().sync(ID).was_running


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"paused": True}, ConnectionPausedError, r"speak_menial \(klaviyo_acme\) is paused.*Enable it at https"),
        ({"sync_state": "paused"}, ConnectionPausedError, "is paused"),
        ({"setup_state": "broken", "tasks": [{"code": "reconnect", "message": "Reconnect: key refused"}]},
         BrokenSetupError, "is broken: Reconnect: key refused. Fix it at"),
        ({"setup_state": "incomplete"}, BrokenSetupError, "is incomplete"),
        ({"schema_status": "blocked_on_customer"}, SchemaBlockedError, "waits for review.*Review it at https"),
    ],
)  # fmt: skip
def test_a_connection_that_cannot_sync_is_not_asked_to(server, state, error, message):
    server.on(GET, connection_answer(**state))

    with pytest.raises(error, match=message) as caught:
        server.resource().sync(ID)

    assert isinstance(caught.value, PermanentError)
    assert server.asked("POST") == []


@pytest.mark.parametrize("fault", [Answer(500), Answer(503), Answer(cut=True), Answer(body=b"?"), Answer(seconds=1.5)])
def test_a_post_whose_answer_got_lost_is_not_repeated_where_the_sync_has_begun(server, fault):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"))
    server.on(POST, fault)

    server.resource(read_timeout_seconds=1).sync(ID)

    assert server.asked() == [GET, POST, GET]


def test_a_sync_that_is_over_already_counts_as_begun(server):
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer(500))

    server.resource().sync(ID)

    assert server.asked("POST") == [POST]


def test_a_post_whose_answer_got_lost_is_repeated_where_nothing_has_begun(server):
    server.on(GET, connection_answer())
    server.on(POST, Answer(500), DONE)

    server.resource().sync(ID)

    assert server.asked() == [GET, POST, GET, POST]


def test_a_connection_that_never_synced_does_not_look_as_if_it_had_begun(server):
    server.on(GET, connection_answer(succeeded_at=None, is_historical_sync=True))
    server.on(POST, Answer(500), DONE)

    server.resource().sync(ID)

    assert server.asked("POST") == [POST, POST]


def test_a_post_that_never_gets_an_answer_is_given_up(server):
    server.on(GET, connection_answer())
    server.on(POST, Answer(503))

    with pytest.raises(UnansweredError, match="503"):
        server.resource().sync(ID)

    assert server.asked("POST") == [POST] * 3


def test_a_post_that_was_refused_for_its_rate_was_not_done_and_is_repeated(server):
    server.on(GET, connection_answer())
    server.on(POST, Answer(429, headers={"Retry-After": "0"}), DONE)

    server.resource().sync(ID)

    assert server.asked() == [GET, POST, POST]


def test_a_post_with_a_long_retry_after_is_not_repeated(server):
    server.on(GET, connection_answer())
    server.on(POST, Answer(429, headers={"Retry-After": "3600"}))

    with pytest.raises(RateLimitedError) as caught:
        server.resource().sync(ID)

    assert caught.value.retry_after == 3600
    assert server.asked("POST") == [POST]


@pytest.mark.parametrize(("status", "error"), [(403, PermanentError), (409, ConflictError)])
def test_a_post_that_is_refused_is_not_repeated(server, status, error):
    server.on(GET, connection_answer())
    server.on(POST, Answer(status))

    with pytest.raises(error):
        server.resource().sync(ID)

    assert server.asked("POST") == [POST]


def test_the_older_api_is_posted_to_where_it_answers(server):
    server.on(f"GET /v1/connectors/{ID}", connection_answer())
    server.on(f"POST /v1/connectors/{ID}/sync", DONE)

    server.resource().sync(ID)

    assert server.asked("POST") == [f"POST /v1/connectors/{ID}/sync"]


def test_a_resync_of_everything_has_no_scope(server):
    server.on(GET, connection_answer())
    server.on(f"POST /v1/connections/{ID}/resync", DONE)

    server.resource().resync(ID)

    assert server.requests[-1].body == {}


def test_a_resync_of_tables_names_them_as_the_source_does(server):
    tables = {"Event": {"name_in_destination": "event"}, "person": {}}
    server.on(GET, connection_answer())
    server.on(f"{GET}/schemas", Answer(data={"schemas": {"klaviyo": {"tables": tables}}}))
    server.on(f"POST /v1/connections/{ID}/resync", DONE)

    server.resource().resync(ID, ["event", "person"])

    assert server.requests[-1].body == {"scope": {"klaviyo": ["Event", "person"]}}


def test_a_resync_of_an_unknown_table_is_refused_before_anything_is_done(server):
    server.on(GET, connection_answer())
    server.on(f"{GET}/schemas", Answer(data={"schemas": {"klaviyo": {"tables": {"event": {}}}}}))

    with pytest.raises(UnknownNameError, match=r"'evens'. Did you mean 'event'\? Choose one of: event"):
        server.resource().resync(ID, ["evens"])

    assert server.asked("POST") == []


def test_a_resync_of_a_table_that_is_switched_off_is_refused_before_anything_is_done(server):
    server.on(GET, connection_answer())
    server.on(f"{GET}/schemas", Answer(data={"schemas": {"klaviyo": {"tables": {"event": {"enabled": False}}}}}))

    with pytest.raises(PermanentError, match=r"'event': the table is switched off .* Switch it on at https"):
        server.resource().resync(ID, ["event"])

    assert server.asked("POST") == []


def test_columns_that_are_off_or_hashed_in_fivetran_are_told(server):
    columns = {"Email": {"name_in_destination": "email", "hashed": True}, "zip": {"enabled": False}, "id": {}}
    server.on(f"{GET}/schemas", Answer(data={"schemas": {"klaviyo": {"tables": {"person": {"columns": columns}}}}}))

    (person,) = server.resource().schemas(ID)

    assert (person.columns_off, person.columns_hashed) == (("zip",), ("email",))


def wait(server, **settings):
    fivetran = server.resource(**settings)
    return fivetran.wait(ID, SyncMarks.of(fivetran.connection(ID)))


def test_waiting_ends_when_a_later_sync_has_succeeded(server):
    states = []
    server.on(
        GET,
        connection_answer(),
        connection_answer(sync_state="syncing"),
        connection_answer(sync_state="syncing"),
        connection_answer(succeeded_at=LATER),
    )
    fivetran = server.resource()
    since = SyncMarks.of(fivetran.connection(ID))

    ended = fivetran.wait(ID, since, on_progress=lambda connection: states.append(connection.state))

    assert ended.succeeded_at == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert states == ["syncing", "syncing", "scheduled"]


def test_a_first_sync_is_waited_for(server):
    server.on(GET, connection_answer(succeeded_at=None), connection_answer(succeeded_at=LATER))

    assert wait(server).succeeded_at == datetime(2026, 3, 1, 5, tzinfo=UTC)


def test_a_sync_that_failed_before_and_succeeds_now_has_succeeded(server):
    server.on(
        GET,
        connection_answer(failed_at="2026-03-01T04:30:00Z"),
        connection_answer(failed_at="2026-03-01T04:30:00Z", succeeded_at=LATER),
    )

    assert wait(server).succeeded_at == datetime(2026, 3, 1, 5, tzinfo=UTC)


def test_a_failed_sync_gives_fivetrans_reason(server):
    server.on(
        GET,
        connection_answer(),
        connection_answer(failed_at=LATER, tasks=[{"code": "x", "message": "the source refused."}]),
    )

    with pytest.raises(
        SyncFailedError, match=r"speak_menial \(klaviyo_acme\) failed at 2026-03-01 05:00 UTC: the source refused\. See"
    ):
        wait(server)


def test_an_earlier_failure_is_not_taken_for_a_new_one(server):
    failed = {"failed_at": "2026-03-01T04:30:00Z"}
    server.on(
        GET,
        connection_answer(**failed),
        connection_answer(**failed, sync_state="syncing"),
        connection_answer(**failed, succeeded_at=LATER),
    )

    assert not wait(server).last_sync_failed


def test_a_rescheduled_sync_is_not_waited_for(server):
    """The state right after the trigger may be the old one, so it is believed when it is seen twice."""
    server.on(
        GET, connection_answer(), connection_answer(sync_state="rescheduled", rescheduled_for="2026-03-01T09:30:00Z")
    )

    with pytest.raises(SyncRescheduledError, match="until 2026-03-01 09:30 UTC") as caught:
        wait(server)

    assert caught.value.until == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert len(server.requests) == 3


def test_a_sync_that_was_put_off_before_and_runs_now_is_waited_for(server):
    put_off = {"sync_state": "rescheduled", "rescheduled_for": "2026-03-01T09:30:00Z"}
    server.on(
        GET,
        connection_answer(**put_off),
        connection_answer(**put_off),
        connection_answer(sync_state="syncing"),
        connection_answer(succeeded_at=LATER),
    )

    assert wait(server).succeeded_at == datetime(2026, 3, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(("state", "error"), [({"paused": True}, ConnectionPausedError),
                                              ({"setup_state": "broken"}, BrokenSetupError)])  # fmt: skip
def test_a_connection_that_stops_meanwhile_ends_the_wait(server, state, error):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"), connection_answer(**state))

    with pytest.raises(error):
        wait(server)


def test_the_wait_is_bounded_and_says_where_things_stand(server):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"))
    with pytest.raises(
        SyncUnfinishedError, match=r"after 0\.2 s \(state: syncing; last success: 2026-03-01 04:00 UTC\)"
    ):
        wait(server, sync_timeout_seconds=0.2, poll_interval_seconds=0.05)

    # Fewer polls than 0.2 s / 0.05 s on a busy machine, never more.
    assert 1 <= len(server.requests) <= 6


def test_a_fault_while_waiting_is_bridged(server):
    server.on(GET, connection_answer(), Answer(500), Answer(cut=True), connection_answer(succeeded_at=LATER))

    assert wait(server).succeeded_at is not None


def test_an_outcome_that_a_later_try_may_better_is_transient():
    for error in (SyncFailedError("x"), SyncRescheduledError("x"), SyncUnfinishedError("x")):
        assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "scheduled"),
        ({"sync_state": "syncing"}, "syncing"),
        ({"sync_state": "syncing", "is_historical_sync": True}, "first or full sync running"),
        ({"paused": True}, "paused"),
        ({"schema_status": "blocked_on_customer"}, "schema waits for review"),
        ({"schema_status": "blocked_on_capture"}, "scheduled"),
        ({"setup_state": "broken", "paused": True}, "set-up broken"),
        ({"failed_at": LATER}, "last sync failed"),
        ({"sync_state": "rescheduled"}, "rescheduled until a time that Fivetran does not state"),
    ],
)
def test_a_state_is_told_in_words(server, changes, state):
    server.on("GET /v1/connections", page(connection_answer(**changes).data))

    assert server.resource().connections()[0].state == state
