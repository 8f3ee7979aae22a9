"""What is remembered between commands."""

import pytest

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.processes import Identity
from klaviyo_assets.sandbox.state import SECRETS, RunningServer, State, random_token


def test_a_state_is_read_as_it_was_saved_and_only_its_owner_can(tmp_path):
    state = State.new(tmp_path / "state.json")
    state.ports["postgres"] = 15432
    state.record("postgres", RunningServer(Identity(12, "boot:34"), "abc"))
    assert State.load(tmp_path / "state.json") == state
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_forgetting_a_process_is_saved(tmp_path):
    state = State.new(tmp_path / "state.json")
    state.record("s3", RunningServer(Identity(12, "boot:34"), "abc"))
    state.record("s3", None)
    assert State.load(state.path).processes == {}


def test_there_is_no_state_before_the_first_start(tmp_path):
    assert State.load(tmp_path / "state.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 99}', '{"version": 1, "processes": {}}'])
def test_a_broken_state_is_named_with_its_fix(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(PermanentError, match="sandbox reset"):
        State.load(tmp_path / "state.json")


def test_every_sandbox_has_passwords_of_its_own_that_need_no_quoting(tmp_path):
    first, second = (State.new(tmp_path / "state.json") for _ in range(2))
    assert set(first.secrets) == set(SECRETS)
    assert not set(first.secrets.values()) & set(second.secrets.values())
    assert all(secret.isalnum() and secret.isascii() and len(secret) == 32 for secret in first.secrets.values())
    assert random_token(7).isalnum()
