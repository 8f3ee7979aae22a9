"""Our Fivetran client against the stand-in's whole API: real HTTP, real syncs into a real Postgres.

Here: what it does where all is well. Not here: faults (`test_fivetran_faults.py`).
"""

import pytest
import typer
from dotenv import dotenv_values
from typer.testing import CliRunner

from klaviyo_assets.accounts import read_accounts_file
from klaviyo_assets.cli.init import init
from klaviyo_assets.cli.sync import sync
from klaviyo_assets.resources.fivetran.errors import SyncUnfinishedError
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import KEY, SECRET

ACME, BLOOM = "speak_menial", "warm_harbor"
PATH = f"/v1/connections/{ACME}"


@pytest.fixture
def stand_in(running):
    """The running stand-in, healthy, with no requests counted."""
    running.ended(ACME)
    running.http.delete("/sandbox/faults")
    running.http.delete("/sandbox/requests")
    yield running
    running.http.delete("/sandbox/faults")
    running.patch(f"/sandbox/connections/{ACME}", paused=False, setup_state="connected")


@pytest.fixture
def fivetran(stand_in):
    """Our client, impatient."""
    return client(stand_in)


def client(stand_in, **settings):
    impatient = {
        "api_key": KEY, "api_secret": SECRET, "api_url": stand_in.url, "max_attempts": 3, "read_timeout_seconds": 1,
        "first_backoff_seconds": 0.01, "poll_interval_seconds": 0.05, "sync_timeout_seconds": 20,
    }  # fmt: skip
    return FivetranResource(**{**impatient, **settings})


def asked(stand_in, method=""):
    """The requests that arrived, with the status each was answered with."""
    items = stand_in.get("/sandbox/requests")["items"]
    return [(one["method"], one["path"], one["status"]) for one in items if method in ("", one["method"])]


def synced(fivetran, connection_id=ACME, **settings):
    started = fivetran.sync(connection_id)
    return fivetran.wait(connection_id, started.since, **settings)


def test_what_is_there_is_listed(fivetran):
    (group,) = fivetran.groups()

    assert [one.id for one in fivetran.connections(group.id)] == [ACME, BLOOM]
    assert [one.schema for one in fivetran.connections()] == ["klaviyo_acme", "klaviyo_bloom"]
    assert {one.service for one in fivetran.connections()} == {"klaviyo"}
    assert {"event", "person", "metric"} <= {table.destination_name for table in fivetran.schemas(ACME)}


def test_a_sync_is_started_with_one_post_and_waited_for(stand_in, fivetran):
    before = fivetran.connection(ACME).succeeded_at

    ended = synced(fivetran)

    assert ended.succeeded_at > before
    assert asked(stand_in, "POST") == [("POST", f"{PATH}/sync", 200)]


def test_a_sync_that_runs_already_is_waited_for(stand_in, fivetran):
    stand_in.post(f"/sandbox/connections/{ACME}/next-sync", seconds=0.5)
    first = fivetran.sync(ACME)
    second = fivetran.sync(ACME)

    assert (first.was_running, second.was_running) == (False, True)
    assert fivetran.wait(ACME, second.since).succeeded_at > second.previous.succeeded_at


def test_a_resync_reads_everything_again(fivetran):
    everything = fivetran.resync(ACME)
    after_everything = fivetran.wait(ACME, everything.since)
    one_table = fivetran.resync(ACME, ["metric"])

    assert fivetran.wait(ACME, one_table.since).succeeded_at > after_everything.succeeded_at


def test_no_request_changes_a_connection(stand_in, fivetran):
    before = fivetran.connection(ACME).schedule_type

    synced(fivetran)

    assert fivetran.connection(ACME).schedule_type == before
    assert {method for method, _, _ in asked(stand_in)} == {"GET", "POST"}


def test_a_sync_that_takes_too_long_is_left_to_fivetran(stand_in, fivetran):
    stand_in.post(f"/sandbox/connections/{ACME}/next-sync", seconds=1)

    with pytest.raises(SyncUnfinishedError, match="It goes on at Fivetran"):
        synced(fivetran, timeout_seconds=0.3)


@pytest.fixture
def command(stand_in, monkeypatch, postgres_url, tmp_path):
    """Call a command in an empty folder, with the stand-in's credentials in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("KLAVIYO_ACCOUNTS_FILE", "PII_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)
    settings = {"FIVETRAN_API_KEY": KEY, "FIVETRAN_API_SECRET": SECRET, "FIVETRAN_API_URL": stand_in.url}
    for name, value in {**settings, "POSTGRES_URL": postgres_url}.items():
        monkeypatch.setenv(name, value)

    def run(function, *arguments):
        app = typer.Typer()
        app.command()(function)
        return CliRunner().invoke(app, list(arguments))

    return run


def test_init_describes_the_simulated_shops(command, tmp_path):
    result = command(init, "--yes", "--timezone", "Europe/Berlin")

    assert result.exit_code == 0, result.output
    accounts = read_accounts_file(tmp_path / "accounts.toml")
    assert {name: accounts[name].fivetran_connection_id for name in accounts.names} == {"acme": ACME, "bloom": BLOOM}
    assert all(accounts[name].conversion_metric for name in accounts.names)
    assert dotenv_values(tmp_path / ".env")["FIVETRAN_API_SECRET"] == SECRET


def test_the_sync_command_syncs_by_group_and_connector(stand_in, command):
    result = command(sync, "--group", "Sandbox", "--connector", "klaviyo_acme")

    assert result.exit_code == 0, result.output
    assert "klaviyo_acme: sync succeeded" in result.stdout
    assert asked(stand_in, "POST") == [("POST", f"{PATH}/sync", 200)]
