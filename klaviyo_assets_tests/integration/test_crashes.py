"""Servers and runs that die at any moment: a clear error or a recovery, and the same result once it is run again."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from klaviyo_assets.reports import REPORTS
from klaviyo_assets_tests.integration.deployment import Deployment

SECONDS_TO_FAIL = 180
# When, in seconds after the account tables are done: the days' extraction, mapping, archive and loads follow.
MOMENTS = (0.0, 1.2, 3.0)
SERVERS = ("postgres", "s3", "bigquery")


def everything(account: Deployment) -> dict:
    """Tables, reports and quarantine in BigQuery, and the archive's keys and bytes."""
    reports = {name: sorted(account.query(f"SELECT * FROM `{name}`"), key=repr) for name in REPORTS}
    archived = {key.split("/", 1)[1]: tag for key, (tag, _) in account.objects().items()}
    return {**account.bigquery(), **reports, "quarantine": account.noted(), "archive": archived}


@pytest.fixture(scope="module")
def undisturbed(deploy) -> tuple[Deployment, dict]:
    """An account, and what an undisturbed run makes of it."""
    account = deploy("crashed", last_days=3)
    calm = account.elsewhere("calm")
    totals = calm.run(account.account.start_date, account.account.today())
    assert totals.failures == []
    return account, everything(calm)


class Run:
    """`klaviyo-assets run` as a process, whose progress can be waited for."""

    def __init__(self, account: Deployment, folder: Path) -> None:
        first, last = account.account.start_date, account.account.today()
        self.process = account.process(folder, "run", "--no-sync", "--start", f"{first}", "--end", f"{last}")
        self.told: list[str] = []
        self._reading = [threading.Thread(target=self._read, args=(pipe,), daemon=True)
                         for pipe in (self.process.stderr, self.process.stdout)]  # fmt: skip
        for thread in self._reading:
            thread.start()

    def _read(self, pipe) -> None:
        for line in pipe:
            self.told.append(line)

    @property
    def text(self) -> str:
        return " ".join("".join(self.told).split())

    def wait_for(self, words: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self.process.poll() is None, f"the run has ended: {self.text}"
            assert time.monotonic() < deadline, self.text
            time.sleep(0.02)

    def end(self, seconds: float) -> int:
        try:
            code = self.process.wait(timeout=seconds)
        except BaseException:
            self.process.kill()
            raise
        for thread in self._reading:
            thread.join(timeout=5)
        return code


def finish(account: Deployment, folder: Path) -> None:
    again = Run(account, folder)
    assert again.end(180) == 0, again.text


def kill_server(account: Deployment, server: str, moment: float, folder: Path) -> tuple[int, str]:
    """Run, kill a server at a moment; exit code and what was said. The server is up again afterwards."""
    run = Run(account, folder)
    run.wait_for("account tables")
    time.sleep(moment)
    os.kill(account.sandbox.pid(server), signal.SIGKILL)
    try:
        code = run.end(SECONDS_TO_FAIL)
    finally:
        account.sandbox.start()
    return code, run.text


def check(account: Deployment, expected: dict, server: str, moment: float, folder: Path) -> None:
    code, text = kill_server(account, server, moment, folder)
    assert code in {0, 1}
    if code == 1:
        named = {"postgres": "Postgres", "s3": "S3 cannot be reached", "bigquery": account.dataset.dataset}[server]
        assert named in text, text
        assert "failed:" in text, text
        assert "Traceback" not in text
    finish(account, folder)
    assert everything(account) == expected


@pytest.mark.slow
def test_bigquery_dies_before_the_days_are_loaded(undisturbed, tmp_path):
    account, expected = undisturbed
    code, text = kill_server(account.elsewhere("quick"), "bigquery", 0.0, tmp_path)
    assert code == 1, text
    assert "failed:" in text
    assert "Traceback" not in text
    finish(account.elsewhere("quick"), tmp_path)
    assert everything(account.elsewhere("quick")) == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_dies_during_a_run(undisturbed, tmp_path, server, moment):
    account, expected = undisturbed
    here = account.elsewhere(f"{server}_{MOMENTS.index(moment)}")
    check(here, expected, server, moment, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_run_dies(undisturbed, tmp_path, moment):
    account, expected = undisturbed
    here = account.elsewhere(f"run_{MOMENTS.index(moment)}")
    run = Run(here, tmp_path)
    run.wait_for("account tables")
    time.sleep(moment)
    run.process.kill()
    run.end(10)
    finish(here, tmp_path)
    assert everything(here) == expected
    assert here.frame_files() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_days_that_a_dead_archive_missed_are_found_by_the_next_plan(undisturbed, tmp_path):
    """What is not archived is not loaded either, so planning sees it: nothing is forgotten."""
    account, expected = undisturbed
    here = account.elsewhere("forgotten")
    code, text = kill_server(here, "s3", 0.0, tmp_path)
    assert code == 1, text
    assert here.dirty() != []
    totals = here.run()
    assert totals.failures == []
    assert everything(here) == expected
