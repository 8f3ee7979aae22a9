"""Starting processes, knowing them again, ending them."""

import os
import signal
import sys
import time

import pytest

from klaviyo_assets.sandbox import processes
from klaviyo_assets.sandbox.processes import Identity, Launch


def launch(tmp_path, code: str) -> Launch:
    return Launch((sys.executable, "-c", code), {"PATH": os.defpath, "COLOR": "blue"}, tmp_path)


@pytest.fixture
def sleeper(tmp_path):
    """A process that would run for a minute."""
    identity = processes.spawn(launch(tmp_path, "import time; time.sleep(60)"), tmp_path / "log", lambda _: None)
    yield identity
    processes.end(identity, signal.SIGKILL)


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_process_runs_in_a_session_of_its_own_with_only_the_environment_given(tmp_path):
    code = "import os; print(os.getsid(0) == os.getpid(), sorted(os.environ), os.getcwd())"
    log = tmp_path / "logs" / "server.log"
    identity = processes.spawn(launch(tmp_path, code), log, lambda _: None)
    assert processes.wait_until_gone(identity, 5)
    text = log.read_text()
    assert text.startswith("True")
    assert "COLOR" in text
    assert "HOME" not in text
    assert str(tmp_path) in text
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_process_is_remembered_before_its_command_runs(tmp_path):
    """Else a supervisor killed in between would leave a server nobody knows."""
    seen = []

    def remember(identity):
        time.sleep(0.3)
        seen.append((identity, (tmp_path / "made").exists(), processes.is_alive(identity)))

    identity = processes.spawn(launch(tmp_path, "open('made', 'w')"), tmp_path / "log", remember)
    assert seen == [(identity, False, True)]
    assert wait_for((tmp_path / "made").exists)


def test_a_command_never_runs_when_remembering_fails(tmp_path):
    def remember(_identity):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        processes.spawn(launch(tmp_path, "open('made', 'w')"), tmp_path / "log", remember)
    time.sleep(0.3)
    assert not (tmp_path / "made").exists()


def test_ending_a_process_ends_it(sleeper):
    assert processes.is_alive(sleeper)
    assert processes.end(sleeper)
    assert not processes.is_alive(sleeper)
    assert not processes.end(sleeper)


def test_a_process_that_ignores_the_gentle_signal_is_ended_for_certain(tmp_path):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); open('ready', 'w'); time.sleep(60)"
    identity = processes.spawn(launch(tmp_path, code), tmp_path / "log", lambda _: None)
    assert wait_for((tmp_path / "ready").exists)
    assert processes.end(identity, patience=0.2)
    assert not processes.is_alive(identity)


def test_another_process_under_a_reused_id_is_not_ours_and_is_left_alone(sleeper):
    stranger = Identity(sleeper.pid, "another boot:12345")
    assert not processes.is_alive(stranger)
    assert not processes.end(stranger, signal.SIGKILL)
    assert processes.is_alive(sleeper)


def test_a_process_without_a_known_start_is_never_ours():
    assert not processes.is_alive(Identity(os.getpid(), ""))


def test_a_dead_process_that_nobody_collected_does_not_count_as_alive(tmp_path):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        assert wait_for(lambda: processes.identify(pid) is None)
    finally:
        os.waitpid(pid, 0)


def test_the_command_line_of_a_process_is_known(sleeper):
    assert wait_for(lambda: "time.sleep(60)" in processes.command_line(sleeper.pid))
    assert processes.command_line(2**22 + 1) == ""


def test_an_overlong_log_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_LOG_BYTES", 5)
    (tmp_path / "log").write_text("too long")
    identity = processes.spawn(launch(tmp_path, "print('new')"), tmp_path / "log", lambda _: None)
    assert processes.wait_until_gone(identity, 5)
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.1").read_text() == "too long"


def test_the_tail_of_a_log_is_its_last_lines(tmp_path):
    (tmp_path / "log").write_text("\n".join(map(str, range(100))))
    assert processes.log_tail(tmp_path / "log", 2) == "98\n99"
    assert processes.log_tail(tmp_path / "none") == ""
