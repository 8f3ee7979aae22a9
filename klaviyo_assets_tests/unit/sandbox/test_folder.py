"""The sandbox's folder and its lock."""

import threading

import pytest

from klaviyo_assets.errors import TransientError
from klaviyo_assets.sandbox import folder as folder_module
from klaviyo_assets.sandbox.folder import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "sandbox")


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KLAVIYO_SANDBOX_DIR", str(tmp_path / "elsewhere"))
    assert Folder.from_environment().root == tmp_path / "elsewhere"
    monkeypatch.delenv("KLAVIYO_SANDBOX_DIR")
    monkeypatch.chdir(tmp_path)
    assert Folder.from_environment().root == tmp_path / ".sandbox"


def test_two_commands_take_turns(folder):
    inside, told = [], []

    def work():
        with folder.lock(lambda: told.append(True)):
            inside.append(len(inside))
            snapshot = list(inside)
            threading.Event().wait(0.1)
            assert inside == snapshot

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == [0, 1, 2]
    assert told


def test_a_lock_held_too_long_is_given_up_by_name(folder, monkeypatch):
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.1)
    with folder.lock(), pytest.raises(TransientError, match="another sandbox command"):
        with folder.lock():
            pass


def test_a_lock_waited_for_during_a_reset_is_taken_on_the_new_file(folder):
    """The file that was waited on is deleted; holding it would keep nobody out."""
    entered = threading.Event()

    def wait():
        with folder.lock():
            entered.set()
            assert (folder.root / "lock").exists()

    with folder.lock():
        thread = threading.Thread(target=wait)
        thread.start()
        folder.clear()
        folder.remove()
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()


def test_clearing_deletes_what_is_ours_and_nothing_else(folder):
    folder.create()
    (folder.root / "mine.txt").write_text("a user's file")
    for name in ("postgres", "s3", "mail", "frames"):
        (folder.root / name / "deep").mkdir(parents=True)
    folder.state_file.write_text("{}")
    assert folder.holds_data()

    with folder.lock():
        folder.clear()
        folder.remove()

    assert [path.name for path in folder.root.iterdir()] == ["mine.txt"]


def test_clearing_does_not_follow_a_link_out_of_the_folder(folder, tmp_path):
    folder.create()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("x")
    (folder.root / "mail").symlink_to(tmp_path / "outside")
    folder.clear()
    assert (tmp_path / "outside" / "kept").exists()
    assert not (folder.root / "mail").is_symlink()


def test_others_cannot_look_into_the_folder(folder):
    folder.create()
    assert folder.root.stat().st_mode & 0o066 == 0
    assert (folder.root / "logs").stat().st_mode & 0o077 == 0
