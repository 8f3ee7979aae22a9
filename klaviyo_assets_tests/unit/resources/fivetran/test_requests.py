"""What goes over the wire, and what each fault of the server comes out as: requests counted, messages read."""

import base64
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError, UnknownNameError
from klaviyo_assets.resources.fivetran.errors import ConflictError, RateLimitedError, UnansweredError
from klaviyo_assets_tests.unit.resources.fivetran.scripted import (
    KEY,
    SECRET,
    Answer,
    connection,
    connection_answer,
    page,
)

GROUP = {"id": "sunny_warehouse", "name": "Warehouse"}
CONNECTION = "GET /v1/connections/speak_menial"


def test_requests_carry_the_credentials_and_the_api_version(server):
    server.on("GET /v1/groups", page(GROUP))

    assert [group.name for group in server.resource().groups()] == ["Warehouse"]
    expected = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert server.requests[0].authorization == f"Basic {expected}"


def test_groups_are_read_over_all_pages(server):
    server.on("GET /v1/groups?limit=1000", page(GROUP, next_cursor="two"))
    server.on("GET /v1/groups?limit=1000&cursor=two", page({"id": "other", "name": "Other"}))

    assert [group.id for group in server.resource().groups()] == ["sunny_warehouse", "other"]


def test_connections_are_read_over_all_pages(server):
    server.on("GET /v1/connections?limit=1000", page(connection("one"), next_cursor="two"))
    server.on("GET /v1/connections?limit=1000&cursor=two", page(connection("two")))

    assert [found.id for found in server.resource().connections()] == ["one", "two"]


def test_a_server_that_repeats_a_cursor_does_not_hold_the_client_for_ever(server):
    server.on("GET /v1/groups", page(GROUP, next_cursor="same"))

    assert len(server.resource().groups()) == 2


def test_a_connection_is_typed(server):
    server.on(
        CONNECTION,
        connection_answer(failed_at="2026-02-28T04:00:00Z", is_historical_sync=True, warnings=[{"message": "slow"}]),
    )

    typed_connection = server.resource().connection("speak_menial")

    assert (typed_connection.id, typed_connection.service, typed_connection.schema, typed_connection.group_id) == (
        "speak_menial", "klaviyo", "klaviyo_acme", "sunny_warehouse",
    )  # fmt: skip
    assert typed_connection.succeeded_at == datetime(2026, 3, 1, 4, tzinfo=UTC)
    assert typed_connection.failed_at == datetime(2026, 2, 28, 4, tzinfo=UTC)
    assert (typed_connection.sync_frequency, typed_connection.schedule_type, typed_connection.is_historical_sync) == (
        360,
        "auto",
        True,
    )
    assert typed_connection.problems == ("slow",)
    assert not typed_connection.last_sync_failed
    assert typed_connection.url == "https://fivetran.com/dashboard/connections/speak_menial"


def test_the_older_api_is_asked_where_the_current_one_is_not_served(server):
    """Once it is known which generation answers, only that one is asked."""
    server.on("GET /v1/connectors/speak_menial", connection_answer())
    server.on("GET /v1/groups/sunny_warehouse/connectors", page(connection()))
    fivetran = server.resource()

    fivetran.connection("speak_menial")
    connections = fivetran.connections("sunny_warehouse")

    assert [one.id for one in connections] == ["speak_menial"]
    assert server.asked() == [
        CONNECTION,
        "GET /v1/connectors/speak_menial",
        "GET /v1/groups/sunny_warehouse/connectors",
    ]


def test_all_connections_are_found_by_group_where_there_is_no_list_of_all(server):
    server.on("GET /v1/groups", page(GROUP))
    server.on("GET /v1/groups/sunny_warehouse/connectors", page(connection()))

    assert [one.id for one in server.resource().connections()] == ["speak_menial"]


def test_the_tables_of_a_connection_are_listed_with_their_names_at_both_ends(server):
    tables = {"Event": {"name_in_destination": "event", "enabled": True}, "List": {"enabled": False}}
    schemas = {"klaviyo": {"name_in_destination": "klaviyo_acme", "enabled": True, "tables": tables}}
    server.on("GET /v1/connections/speak_menial/schemas", Answer(data={"schemas": schemas}))

    event, lists = server.resource().schemas("speak_menial")

    assert (event.schema, event.name, event.destination_schema, event.destination_name, event.enabled) == (
        "klaviyo", "Event", "klaviyo_acme", "event", True,
    )  # fmt: skip
    assert (lists.destination_name, lists.enabled) == ("List", False)


@pytest.mark.parametrize(
    ("answer", "error", "requests", "message"),
    [
        pytest.param(Answer(401), SettingsError, 1, "FIVETRAN_API_KEY and FIVETRAN_API_SECRET", id="401"),
        pytest.param(Answer(403), PermanentError, 1, "with this API key", id="403"),
        pytest.param(Answer(400), PermanentError, 1, "said by the server 400", id="400"),
        pytest.param(Answer(301), PermanentError, 1, "FIVETRAN_API_URL", id="301"),
        pytest.param(Answer(409), ConflictError, 1, "now", id="409"),
        pytest.param(Answer(429), RateLimitedError, 3, "no more requests", id="429"),
        pytest.param(Answer(500), UnansweredError, 3, "said by the server 500", id="500"),
        pytest.param(Answer(503), UnansweredError, 3, "503", id="503"),
        pytest.param(Answer(seconds=1.5), UnansweredError, 3, "nothing came within 1 s", id="slow"),
        pytest.param(Answer(cut=True), UnansweredError, 3, "no answer from Fivetran", id="cut"),
        pytest.param(Answer(body=b'{"data": ['), UnansweredError, 3, "not the expected JSON", id="malformed"),
        pytest.param(Answer(body=b"[1]"), UnansweredError, 3, "not the expected JSON", id="no object"),
        pytest.param(Answer(body=b'{"data": 7}'), UnansweredError, 3, "not the expected JSON", id="no data"),
    ],
)
def test_each_fault_is_asked_about_as_often_as_it_makes_sense(server, answer, error, requests, message):
    """A 4xx once; what may pass as often as `max_attempts` says."""
    server.on("GET /v1/groups", answer)

    with pytest.raises(error, match=message):
        server.resource(read_timeout_seconds=1).groups()

    assert len(server.requests) == requests


@pytest.mark.parametrize("fault", [Answer(429), Answer(500), Answer(503), Answer(cut=True), Answer(body=b"<html>")])
def test_a_fault_that_passes_is_not_noticed(server, fault):
    server.on("GET /v1/groups", fault, fault, page(GROUP))

    assert len(server.resource().groups()) == 1
    assert len(server.requests) == 3


def test_a_server_that_is_not_there_is_named(server):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        with pytest.raises(UnansweredError, match=f"{url}.*Check the network") as caught:
            server.resource(api_url=url).groups()

    assert not caught.value.may_have_arrived


def test_an_address_without_a_scheme_is_a_wrong_setting(server):
    with pytest.raises(SettingsError, match="FIVETRAN_API_URL"):
        server.resource(api_url="api.fivetran.com").groups()


def test_retry_after_in_seconds_is_waited_for(server):
    server.on("GET /v1/groups", Answer(429, headers={"Retry-After": "0.3"}), page(GROUP))
    begun = time.monotonic()

    server.resource().groups()

    assert time.monotonic() - begun >= 0.3
    assert len(server.requests) == 2


def test_retry_after_as_a_date_is_waited_for(server):
    """An HTTP date has whole seconds."""
    at = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    server.on("GET /v1/groups", Answer(429, headers={"Retry-After": format_datetime(at, usegmt=True)}), page(GROUP))

    server.resource().groups()

    assert datetime.now(UTC) >= at


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_a_long_retry_after_is_handed_on_instead_of_slept_through(server, status, as_date):
    at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.on("GET /v1/groups", Answer(status, headers={"Retry-After": at if as_date else "3600"}))

    with pytest.raises(RateLimitedError) as caught:
        server.resource().groups()

    assert caught.value.retry_after == pytest.approx(3600, abs=5)
    assert len(server.requests) == 1


def test_an_unknown_connection_is_answered_with_those_there_are(server):
    server.on("GET /v1/connections", page(connection("one"), connection("two", schema="klaviyo_bloom")))

    with pytest.raises(UnknownNameError, match=r"Choose one of: one \(klaviyo_acme\), two \(klaviyo_bloom\)"):
        server.resource().connection("nobody")


def test_an_unknown_connection_is_named_even_where_the_others_cannot_be_listed(server):
    server.on("GET /v1/connections", Answer(403))

    with pytest.raises(UnknownNameError, match=r"'nobody'\. Set fivetran_connection_id in"):
        server.resource().connection("nobody")


def test_an_id_is_one_segment_of_the_path(server):
    with pytest.raises(UnknownNameError):
        server.resource().connection("../groups?x")

    assert server.asked()[0] == "GET /v1/connections/..%2Fgroups%3Fx"


def test_an_unknown_group_is_answered_with_those_there_are(server):
    server.on("GET /v1/groups", page(GROUP))

    with pytest.raises(UnknownNameError, match=r"'nowhere'\. Choose one of: sunny_warehouse"):
        server.resource().connections("nowhere")


def test_an_answer_that_is_no_connection_is_refused(server):
    server.on(CONNECTION, Answer(data={"hello": "world"}))

    with pytest.raises(PermanentError, match="has no 'id'"):
        server.resource().connection("speak_menial")


def test_the_hourly_budget_is_shared_by_all_resources_of_a_process(server):
    server.on("GET /v1/groups", page(GROUP))
    server.resource(hourly_budget=3, api_key="shared").groups()
    server.resource(hourly_budget=3, api_key="shared").groups()
    fivetran = server.resource(hourly_budget=3, api_key="shared")
    fivetran.groups()

    with pytest.raises(RateLimitedError, match="budget") as caught:
        fivetran.groups()

    assert 3500 < caught.value.retry_after <= 3600
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", ["api_key", "api_secret"])
def test_an_empty_key_is_a_missing_setting(server, name):
    with pytest.raises(SettingsError, match="FIVETRAN_API_KEY and FIVETRAN_API_SECRET"):
        server.resource(**{name: ""}).groups()


def test_neither_key_nor_secret_is_ever_shown(server, caplog, capfd):
    """Not in the repr, the log, or an error, even where the server echoes them."""
    caplog.set_level(logging.DEBUG)
    server.on("GET /v1/groups", Answer(400, body=f'{{"message": "bad pair {KEY}:{SECRET}"}}'.encode()))
    fivetran = server.resource()

    with pytest.raises(KlaviyoAssetsError, match=r"bad pair \(hidden\)") as caught:
        fivetran.groups()

    out, err = capfd.readouterr()
    told = "".join([repr(fivetran), str(fivetran), repr(fivetran.transport.settings), str(caught.value)])
    for secret in (KEY, SECRET):
        assert secret not in told + caplog.text + out + err


@pytest.mark.parametrize("error", [RateLimitedError("x"), UnansweredError("x"), ConflictError("x")])
def test_what_may_pass_is_transient(error):
    assert isinstance(error, TransientError)
