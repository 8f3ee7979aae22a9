"""Faults between a run and the server that holds its turn: a lost turn is noticed, and then nothing is written."""

import time

import psycopg
import pyarrow as pa
import pytest

from klaviyo_assets.defs.turns import AccountTurns, Turns
from klaviyo_assets.errors import KlaviyoAssetsError, TransientError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.resources.postgres import connection as postgres_connection
from klaviyo_assets.resources.postgres import refusals as postgres_refusals
from klaviyo_assets.transport.time_limits import POSTGRES_ANSWER
from klaviyo_assets_tests.faults.connection_faults import ConnectionProxy, Fault
from klaviyo_assets_tests.integration.deployment import environment
from klaviyo_assets_tests.integration.faults.postgres_addresses import at, port_of

KEY = FrameKey("extracted", "acme", "event", "2026-03-01")
NOT_FOREVER = 20


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch):
    limit = type(POSTGRES_ANSWER)("Postgres", "shortened for this test", 2, "")
    monkeypatch.setattr(postgres_refusals, "ASK_SECONDS", 1)
    monkeypatch.setattr(postgres_connection, "POSTGRES_ANSWER", limit)


@pytest.fixture
def turn(proxy):
    proxied_turns = Turns(at(proxy.port, "?connect_timeout=2"), "faults")
    proxied_turns.take("acme", "run", 1, lambda _: None)
    yield proxied_turns
    proxied_turns.end()


def test_a_turn_whose_server_says_nothing_is_noticed_before_anything_is_written(turn, proxy):
    proxy.fault = Fault("silence")
    began = time.monotonic()
    with pytest.raises(TransientError, match="acme"):
        turn.take("acme", "run", 1, lambda _: None)
    assert time.monotonic() - began < NOT_FOREVER
    assert turn.held == set()


def test_a_turn_that_was_lost_is_taken_anew_once_the_server_is_back(turn, proxy):
    proxy.cut()
    turn.take("acme", "run", 5, lambda _: None)
    assert turn.held == {"acme"}


@pytest.mark.parametrize("fault", [Fault("silence"), Fault("silence", after=500), Fault("close"), Fault("reset")])
def test_taking_a_turn_ends(proxy, fault):
    proxy.fault = fault
    began = time.monotonic()
    with pytest.raises(KlaviyoAssetsError, match="taking the turn of account 'acme'"):
        Turns(at(proxy.port, "?connect_timeout=2"), "faults").take("acme", "run", 1, lambda _: None)
    assert time.monotonic() - began < NOT_FOREVER


def test_a_login_whose_transactions_may_not_idle_keeps_its_turn(url, database):
    database.execute("ALTER ROLE reader SET idle_in_transaction_session_timeout = '300ms'")
    mine = Turns(at(port_of(url), user="reader"), "idle")
    try:
        mine.take("acme", "run", 1, lambda _: None)
        time.sleep(0.8)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (1,)
    finally:
        mine.end()
        database.execute("ALTER ROLE reader RESET ALL")


def lose(writer, proxy: ConnectionProxy, fault: Fault) -> None:
    """Write rows, and lose the connection that holds the turn meanwhile."""
    writer.append(pa.table({"id": ["second"]}))
    proxy.fault = fault
    if fault.kind == "reset":
        proxy.cut()
    writer.finish(source_digest="2", data_through=None)


@pytest.mark.parametrize("fault", [Fault("silence"), Fault("reset")])
def test_a_frame_is_not_written_once_the_turn_is_lost(tmp_path, proxy, fault):
    """As when reading took ten minutes, and another run became the account's writer meanwhile."""
    turns = AccountTurns(postgres_url=at(proxy.port, "?connect_timeout=2"))
    frames = FrameStore(url=str(tmp_path), confirm=turns.confirm)
    with environment({"BIGQUERY_PROJECT": "local"}):
        turns.take("acme", "run", say=lambda _: None)
        with frames.write(KEY) as writer:
            writer.append(pa.table({"id": ["first"]}))
            first = writer.finish(source_digest="1", data_through=None)
        with pytest.raises(TransientError, match="lost its turn on account"), frames.write(KEY) as writer:
            lose(writer, proxy, fault)
        assert frames.record(KEY) == first
        assert not turns.has("acme")
        turns.end()
