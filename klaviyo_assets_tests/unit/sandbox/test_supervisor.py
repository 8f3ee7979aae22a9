"""Order, retries and failures of the supervisor, with tiny servers."""

import os
import sys

import pytest

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox import supervisor as supervisor_module
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.lifecycle import known_state, reset, start, status, stop
from klaviyo_assets.sandbox.processes import Launch
from klaviyo_assets.sandbox.server import NotReadyError, Server
from klaviyo_assets.sandbox.supervisor import Supervisor, load_or_create

READY = "import time; open('ready', 'w'); time.sleep(60)"


class Tiny(Server):
    """A process that is ready once it has written a file."""

    ports = ()
    patience_seconds = 5.0

    def __init__(self, folder, state, name, code=READY, needs=()):
        super().__init__(folder, state)
        self.name, self.code, self.needs = name, code, needs

    def prepare(self):
        super().prepare()
        (self.data / "ready").unlink(missing_ok=True)

    def launch(self):
        return Launch((sys.executable, "-c", self.code), {"PATH": os.defpath}, self.data)

    def prove(self):
        if not (self.data / "ready").exists():
            raise NotReadyError("not yet")

    @property
    def address(self):
        return self.name


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "sandbox")
    folder.create()
    return folder


@pytest.fixture
def state(folder):
    return load_or_create(folder)


@pytest.fixture
def run(state):
    """Start servers; whatever is running in the end is ended."""
    begun = []

    def begin(*servers):
        reports = []
        begun.append(Supervisor(state, servers, lambda name, text: reports.append((name, text))))
        begun[-1].start()
        return reports

    yield begin
    for supervisor in begun:
        supervisor.stop()


def test_a_server_starts_after_those_it_needs(folder, state, run):
    reports = run(Tiny(folder, state, "shop", needs=("base",)), Tiny(folder, state, "base"))
    assert [name for name, text in reports if text.startswith("up")] == ["base", "shop"]


def test_servers_that_need_each_other_are_refused(folder, state):
    servers = [Tiny(folder, state, "a", needs=("b",)), Tiny(folder, state, "b", needs=("a",))]
    with pytest.raises(PermanentError, match="circle"):
        Supervisor(state, servers).start()


def test_a_server_that_is_up_is_left_alone(folder, state, run):
    run(Tiny(folder, state, "base"))
    before = state.processes["base"]
    assert run(Tiny(folder, state, "base")) == [("base", "already up at base")]
    assert state.processes["base"] == before


def test_a_server_whose_settings_changed_is_started_again(folder, state, run):
    run(Tiny(folder, state, "base"))
    before = state.processes["base"].identity
    reports = run(Tiny(folder, state, "base", READY + "\n# another setting"))
    assert ("base", "starting again: its settings have changed") in reports
    assert state.processes["base"].identity != before


def test_a_server_that_ends_at_once_is_tried_again_and_then_shown_with_its_log(folder, state, run, monkeypatch):
    monkeypatch.setattr(supervisor_module, "ATTEMPTS", 2)
    with pytest.raises(PermanentError, match=r"(?s)base server ended by itself 2 times.*boom\nboom"):
        run(Tiny(folder, state, "base", "print('boom')"))


def test_a_server_that_fails_once_comes_up_on_the_next_attempt(folder, state, run):
    code = "import os, sys\nif not os.path.exists('tried'):\n  open('tried', 'w'); sys.exit(1)\n" + READY
    assert run(Tiny(folder, state, "base", code))[-1][1].startswith("up at")


def test_a_server_that_never_gets_ready_is_ended(folder, state, run):
    server = Tiny(folder, state, "base", "import time; time.sleep(60)")
    server.patience_seconds = 0.2
    with pytest.raises(PermanentError, match="did not become ready within"):
        run(server)
    assert state.processes == {}


def test_data_without_its_state_is_not_guessed_at(folder):
    (folder.root / "postgres").mkdir()
    with pytest.raises(PermanentError, match="sandbox reset"):
        load_or_create(folder)


def test_the_life_of_a_sandbox(tmp_path, monkeypatch):
    """Start, status, stop and reset, without ports of the real servers."""
    monkeypatch.setattr("klaviyo_assets.sandbox.environment.contract", lambda *_: {"NAME": "value"})
    folder, dotenv = Folder(tmp_path / "sandbox"), tmp_path / ".env"

    def servers(folder, state):
        return [Tiny(folder, state, "mail")]

    assert status(folder, servers) == []
    started = start(folder, {"seed": 3, "days": None}, lambda *_: None, dotenv, servers)
    assert started.dotenv == dotenv
    assert [server.state for server in status(folder, servers)] == ["running"]
    state = load_or_create(folder)
    assert (state.shop["seed"], state.shop["days"]) == (3, 45)
    with pytest.raises(PermanentError, match="sandbox start"):
        known_state(folder)
    assert stop(folder, servers) == ["mail"]
    assert [server.state for server in status(folder, servers)] == ["stopped"]
    reset(folder, servers)
    assert not folder.root.exists()
    assert not dotenv.exists()
