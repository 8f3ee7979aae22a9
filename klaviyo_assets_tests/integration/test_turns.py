"""One writer per account at a time, across processes and after kill -9, with the real Postgres."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from klaviyo_assets import definitions
from klaviyo_assets.defs.turns import AccountBusyError, AccountTurns, Turns, deployment
from klaviyo_assets.errors import SettingsError, TransientError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox, environment

PROCESSES, ROUNDS = 3, 5


@contextmanager
def turns(url: str, namespace: str = "a-deployment") -> Iterator[Turns]:
    postgres_turns = Turns(url, namespace)
    try:
        yield postgres_turns
    finally:
        postgres_turns.end()


def nobody_is_told(text: str) -> None:
    raise AssertionError(f"nothing to wait for, but: {text}")


@pytest.fixture
def url(sandbox: Sandbox) -> str:
    return sandbox.variables["POSTGRES_URL"]


def test_a_second_run_waits_for_its_bound_and_then_names_the_first(url):
    told: list[str] = []
    with turns(url) as first, turns(url) as second:
        first.take("acme", "11112222-3333", 1, nobody_is_told)
        began = time.monotonic()
        with pytest.raises(AccountBusyError, match=r"written by run 11112222 \(since \d\d:\d\d:\d\d UTC\)"):
            second.take("acme", "44445555-6666", 0.6, told.append)
        assert time.monotonic() - began > 0.3
    assert [text.partition(" (")[0] for text in told] == ["account acme is being written by run 11112222"]


def test_it_takes_its_turn_as_soon_as_the_first_has_ended(url):
    with turns(url) as first, turns(url) as second:
        first.take("acme", "first", 1, nobody_is_told)
        first.end()
        second.take("acme", "second", 1, nobody_is_told)


def test_other_accounts_and_other_deployments_do_not_wait(url):
    with turns(url) as first, turns(url) as second, turns(url, "staging") as elsewhere:
        first.take("acme", "first", 1, nobody_is_told)
        second.take("bloom", "second", 1, nobody_is_told)
        elsewhere.take("acme", "elsewhere", 1, nobody_is_told)


def test_asking_again_for_ones_own_turn_is_no_wait(url):
    with turns(url) as first:
        for _ in range(3):
            first.take("acme", "first", 0, nobody_is_told)


def test_a_turn_that_the_server_ended_is_taken_anew_or_refused(url):
    """As after a restart of Postgres: who was cut off must not go on as if it still had its turn."""
    with turns(url) as first, turns(url) as second:
        first.take("acme", "cutoff00", 1, nobody_is_told)
        cut_off(url, "cutoff00")
        first.take("acme", "cutoff00", 1, nobody_is_told)
        cut_off(url, "cutoff00")
        second.take("acme", "second", 2, lambda _: None)
        with pytest.raises(AccountBusyError, match="run second"):
            first.take("acme", "cutoff00", 0.3, lambda _: None)


def cut_off(url: str, run_id: str) -> None:
    with psycopg.connect(url) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [f"klaviyo_assets run {run_id}"],
        ).fetchall()
    assert ended == [(True,)]


def hold(url: str, ready: "multiprocessing.Queue[int]") -> None:
    with turns(url) as mine:
        mine.take("acme", "killed00", 1, nobody_is_told)
        ready.put(os.getpid())
        time.sleep(60)


def test_the_turn_of_a_run_that_was_killed_is_free(url):
    ready: multiprocessing.Queue[int] = multiprocessing.get_context("spawn").Queue()
    holder = multiprocessing.get_context("spawn").Process(target=hold, args=(url, ready))
    holder.start()
    pid = ready.get(timeout=30)
    with turns(url) as second:
        with pytest.raises(AccountBusyError, match="run killed00"):
            second.take("acme", "second", 0.3, lambda _: None)
        os.kill(pid, signal.SIGKILL)
        second.take("acme", "second", 60, lambda _: None)
    holder.join(timeout=60)


def count_up(url: str, counter: Path) -> None:
    """Read, pause, write: two at once would lose a count."""
    for _ in range(ROUNDS):
        with turns(url) as mine:
            mine.take("acme", f"pid{os.getpid()}", 60, lambda _: None)
            seen = int(counter.read_text())
            time.sleep(0.005)
            counter.write_text(str(seen + 1))


@pytest.mark.slow
def test_processes_that_all_want_the_account_never_write_it_together(url, tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=count_up, args=(url, counter)) for _ in range(PROCESSES)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=100)
    assert [writer.exitcode for writer in writers] == [0] * PROCESSES
    assert counter.read_text() == str(PROCESSES * ROUNDS)


def test_a_login_that_may_only_read_can_take_a_turn(url):
    with psycopg.connect(url) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("CREATE TABLE public.refused (id int)")
    with turns(url) as mine:
        mine.take("acme", "reader", 1, nobody_is_told)


def test_postgres_out_of_reach_and_a_missing_address_are_said():
    with pytest.raises(TransientError, match="taking the turn of account 'acme' in Postgres"):
        Turns("postgresql://nobody@127.0.0.1:1/none", "x").take("acme", "first", 1, nobody_is_told)
    with pytest.raises(SettingsError, match="POSTGRES_URL must be set"):
        Turns("", "x").take("acme", "first", 1, nobody_is_told)


def test_a_run_knows_its_turns_and_what_it_gave_up(url):
    own = AccountTurns(postgres_url=url, turn_timeout_seconds=0.5)
    with environment({"BIGQUERY_PROJECT": "local"}), turns(url, deployment()) as other:
        other.take("acme", "other", 1, nobody_is_told)
        with pytest.raises(AccountBusyError, match="run other") as busy:
            own.take("acme", "mine", say=lambda _: None)
        assert not own.has("acme")
        own.give_up("acme", str(busy.value))
        assert "run other" in (own.given_up("acme") or "")
        assert own.given_up("bloom") is None
        own.take("bloom", "mine", say=nobody_is_told)
        assert own.has("bloom")
        own.end()
        assert not own.has("bloom")


def test_a_run_of_a_busy_account_fails_by_name_and_does_nothing(deploy, url, monkeypatch):
    account: Deployment = deploy("taken", last_days=1)
    day = account.account.start_date
    monkeypatch.setattr(definitions, "AccountTurns", partial(AccountTurns, turn_timeout_seconds=0.5))
    with environment(account.variables), turns(url, deployment()) as other:
        other.take("taken", "theother", 1, nobody_is_told)
        theirs = FrameKey("extracted", "taken", "event", str(day))
        frames = FrameStore()
        with frames.write(theirs) as writer:
            writer.append(pa.table({"id": ["theirs"]}))
            record = writer.finish()
        outcome = account.days(day)
        assert frames.record(theirs) == record, "the frames of the run whose turn it is are left alone"
    assert not outcome.success
    assert outcome.materialized == []
    (message,) = outcome.failures
    assert "account 'taken' is being written by run theother" in message
    assert account.days(day).success, "the turn ends with its run"
    assert account.days(day).success
