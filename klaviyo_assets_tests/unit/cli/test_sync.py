"""`klaviyo-assets sync` against a scripted Fivetran."""

import json

import pytest

from klaviyo_assets.cli import sync as module
from klaviyo_assets.cli.sync import sync
from klaviyo_assets_tests.unit.resources.fivetran.scripted import Answer, connection, connection_answer, page

LATER = "2026-03-01T05:00:00Z"
GET, POST = "GET /v1/connections/speak_menial", "POST /v1/connections/speak_menial/sync"
BLOOM_GET, BLOOM_POST = "GET /v1/connections/warm_harbor", "POST /v1/connections/warm_harbor/sync"


@pytest.fixture(autouse=True)
def accounts(tmp_path, monkeypatch):
    """Two accounts, and no seconds between two looks at a sync."""
    block = '[[account]]\nname = "{}"\npostgres_schema = "klaviyo_{}"\nfivetran_connection_id = "{}"\n'
    (tmp_path / "accounts.toml").write_text(
        block.format("acme", "acme", "speak_menial") + block.format("bloom", "bloom", "warm_harbor")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)


def test_an_account_is_synced_and_waited_for(server, call):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    result = call(sync, "--account", "acme")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "acme: sync started, https://fivetran.com/dashboard/connections/speak_menial",
        "acme: sync succeeded at 2026-03-01 05:00:00 UTC",
    ]
    assert server.asked("POST") == [POST]


def test_without_waiting_it_returns_at_once(server, call):
    server.on(GET, connection_answer())
    server.on(POST, Answer())

    result = call(sync, "--account", "acme", "--no-wait")

    assert result.exit_code == 0
    assert server.asked() == [GET, POST]


def test_a_running_sync_is_said_to_be_running(server, call):
    server.on(GET, connection_answer(sync_state="syncing"))
    server.on(POST, Answer())

    assert "acme: sync is already running" in call(sync, "--account", "acme", "--no-wait").stdout


@pytest.mark.parametrize("group", ["sunny_warehouse", "Warehouse"])
@pytest.mark.parametrize("connector", ["speak_menial", "klaviyo_acme"])
def test_group_and_connector_are_found_by_id_and_by_name(server, call, group, connector):
    server.on("GET /v1/groups", page({"id": "sunny_warehouse", "name": "Warehouse"}))
    server.on("GET /v1/groups/sunny_warehouse/connections", page(connection()))
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    result = call(sync, "--group", group, "--connector", connector)

    assert result.exit_code == 0
    assert "klaviyo_acme: sync succeeded" in result.stdout


@pytest.mark.parametrize(("group", "connector", "message"), [
    ("nowhere", "x", "there is no Fivetran group 'nowhere'\n  Choose one of: sunny_warehouse (Warehouse)."),
    ("Warehouse", "nobody", "no connection in group Warehouse 'nobody'\n  Choose one of: speak_menial (klaviyo_acme)."),
])  # fmt: skip
def test_unknown_names_are_wrong_usage_and_those_there_are_are_listed(server, call, group, connector, message):
    server.on("GET /v1/groups", page({"id": "sunny_warehouse", "name": "Warehouse"}))
    server.on("GET /v1/groups/sunny_warehouse/connections", page(connection()))

    result = call(sync, "--group", group, "--connector", connector)

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [["--group", "g"], ["--connector", "c"],
                                       ["--account", "acme", "--group", "g", "--connector", "c"]])  # fmt: skip
def test_options_that_do_not_go_together_are_wrong_usage(server, call, arguments):
    result = call(sync, *arguments)

    assert result.exit_code == 2
    assert "--group with --connector" in result.stderr
    assert server.requests == []


def test_an_unknown_account_is_wrong_usage(server, call):
    result = call(sync, "--account", "acne")

    assert result.exit_code == 2
    assert "Choose one of: acme, bloom." in result.stderr


def test_a_failed_sync_is_exit_code_one_with_fivetrans_reason(server, call):
    server.on(GET, connection_answer(), connection_answer(failed_at=LATER, tasks=[{"message": "the source refused"}]))
    server.on(POST, Answer())

    result = call(sync, "--account", "acme")

    assert result.exit_code == 1
    assert "failed at 2026-03-01 05:00 UTC: the source refused" in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_a_rescheduled_sync_says_until_when_instead_of_hanging(server, call):
    server.on(
        GET, connection_answer(), connection_answer(sync_state="rescheduled", rescheduled_for="2026-03-01T09:30:00Z")
    )
    server.on(POST, Answer())

    result = call(sync, "--account", "acme")

    assert result.exit_code == 1
    assert "until 2026-03-01 09:30 UTC" in result.stderr


def test_by_default_all_accounts_are_synced_and_a_broken_one_does_not_stop_the_others(server, call):
    server.on(GET, connection_answer(paused=True))
    server.on(BLOOM_GET, connection_answer("warm_harbor"), connection_answer("warm_harbor", succeeded_at=LATER))
    server.on(BLOOM_POST, Answer())

    result = call(sync)

    assert result.exit_code == 1
    assert "bloom: sync succeeded" in result.stdout
    assert result.stderr.startswith("acme: Fivetran connection speak_menial (klaviyo_acme) is paused")


def test_the_wait_is_bounded(server, call):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"))
    server.on(POST, Answer())

    result = call(sync, "--account", "acme", "--timeout", "1")

    assert result.exit_code == 1
    assert "had not ended after 1 s" in result.stderr


def test_programs_read_what_came_of_every_connection(server, call):
    server.on(GET, connection_answer(), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())
    server.on(BLOOM_GET, Answer(404))

    result = call(sync, "--json")

    good, bad = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (good["name"], good["state"], good["succeeded_at"]) == ("acme", "succeeded", "2026-03-01T05:00:00+00:00")
    assert (bad["name"], bad["state"], bad["url"]) == ("bloom", "failed", None)
    assert bad["error"] in result.stderr


def test_a_single_failure_is_in_the_document_too(server, call):
    server.on(GET, connection_answer(paused=True))

    result = call(sync, "--account", "acme", "--json")

    (outcome,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert outcome["state"] == "failed"
    assert len(result.stderr.splitlines()) == 2


def test_looks_are_as_far_apart_as_wanted(server, call):
    server.on(GET, connection_answer(), connection_answer(sync_state="syncing"), connection_answer(succeeded_at=LATER))
    server.on(POST, Answer())

    assert call(sync, "--account", "acme", "--poll-interval", "0.1").exit_code == 0
