"""Frames between stages: whole or not there, byte for byte the same, and failures in their place."""

import errno
import hashlib
import os
import shutil
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.frames import store as module
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore

KEY = FrameKey("mapped", "acme", "event", "2026-01-31")
ROWS = pa.table({"event_id": ["a", "b", "c"]})


@pytest.fixture
def store(tmp_path):
    return FrameStore(url=str(tmp_path / "frames"))


def write(store, rows=ROWS, key=KEY, **facts):
    with store.write(key) as writer:
        writer.append(rows)
        return writer.finish(**facts)


def test_a_frame_is_its_rows_and_what_is_known_of_them(store):
    record = write(store, source_digest="3:1", warnings=["w"], details={"a": [1]})

    assert store.record(KEY) == record
    assert (record.rows, record.source_digest, record.details) == (3, "3:1", {"a": [1]})
    assert store.open(KEY).read().equals(ROWS)
    with store.local_file(KEY) as path:
        content = path.read_bytes()
    assert (record.bytes, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_frame_may_have_several_files(store):
    with store.write(KEY) as writer:
        writer.append(ROWS)
        writer.append(ROWS.slice(1), "touches")
        record = writer.finish()

    assert record.rows == 3
    assert store.open(KEY, "touches").read().num_rows == 2


@pytest.mark.parametrize("pieces", [(3,), (1, 1, 1), (0, 3), (2, 1)])
def test_the_same_rows_are_the_same_bytes_however_they_arrive(store, monkeypatch, pieces):
    monkeypatch.setattr(module, "ROW_GROUP_ROWS", 2)
    whole = write(store).sha256
    with store.write(KEY) as writer:
        start = 0
        for size in pieces:
            writer.append(ROWS.slice(start, size))
            start += size
        record = writer.finish()

    assert record.sha256 == whole
    assert store.open(KEY).metadata.num_row_groups == 2


def test_a_frame_that_was_not_finished_is_not_there_and_the_older_one_stays(store):
    older = write(store)
    with store.write(KEY) as writer:
        writer.append(ROWS.slice(1))

    assert store.record(KEY) == older


def test_a_frame_whose_writing_failed_is_not_there(store):
    def failing():
        with store.write(KEY) as writer:
            writer.append(ROWS)
            writer.finish()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    assert store.record(KEY) is None


def test_a_missing_frame_is_named_with_the_asset_that_makes_it(store):
    with pytest.raises(
        PermanentError, match=r"frame mapped/event of acme for 2026-01-31 does not exist.*Materialize mapped/event"
    ):
        store.require(KEY)


def test_a_failure_is_of_its_run_and_takes_the_frame_away(store):
    write(store)
    store.note_failure(KEY, "run1", {"reason": "because"})

    assert store.failure(KEY, "run1") == {"reason": "because"}
    assert store.failure(KEY, "run2") is None
    assert store.record(KEY) is None


def test_a_new_frame_takes_the_note_of_a_failure_away(store):
    store.note_failure(KEY, "run1", {"reason": "because"})
    write(store)

    assert store.failure(KEY, "run1") is None


def test_a_frame_is_done_with_when_archive_and_bigquery_have_it(store):
    write(store)

    takers = ("s3_archive", "bigquery")
    assert [store.mark(KEY, taker, takers) for taker in ("bigquery", "bigquery", "s3_archive")] == [False, False, True]


def test_removing_what_is_not_there_is_no_fault(store):
    store.remove(KEY)
    write(store)
    store.remove(KEY)

    assert store.record(KEY) is None


def test_keys_of_tables_without_days_have_no_day():
    key = FrameKey("mapped", "acme", "campaign")

    assert (key.folder, str(key)) == ("mapped/acme/campaign", "mapped/campaign of acme")


def test_other_addresses_are_refused():
    with pytest.raises(SettingsError, match=r"KLAVIYO_FRAMES_URL = 'gs://x'. Allowed: a local folder, or s3://"):
        FrameStore(url="gs://x").record(KEY)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_an_address_with_a_login_is_refused_without_showing_it(scheme):
    with pytest.raises(SettingsError, match=r"KLAVIYO_FRAMES_URL contains a login\. Allowed") as caught:
        FrameStore(url=f"{scheme}://key:canary@bucket/x").record(KEY)

    assert "canary" not in str(caught.value)


def full(monkeypatch, *, code=errno.ENOSPC, after=0):
    """Let writing to the frames folder fail as the operating system does."""
    moved = shutil.move
    calls = count()

    def move(source, target):
        if next(calls) >= after:
            Path(target).write_bytes(b"half of it")
            raise OSError(code, os.strerror(code), str(target))
        return moved(source, target)

    monkeypatch.setattr(shutil, "move", move)


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_is_a_transient_error_and_leaves_nothing(store, monkeypatch, after):
    full(monkeypatch, after=after)

    with pytest.raises(TransientError, match=r"writing the frame .*: No space left on device\. Make room in"):
        write(store)

    assert store.record(KEY) is None
    assert [path for path in Path(store.url).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_may_not_be_written_is_a_permanent_error(store, monkeypatch, code):
    full(monkeypatch, code=code)

    with pytest.raises(PermanentError, match="This user needs write access"):
        write(store)


def test_a_frames_folder_below_a_file_is_a_permanent_error(tmp_path):
    (tmp_path / "file").write_text("")
    store = FrameStore(url=str(tmp_path / "file" / "frames"))

    with pytest.raises(PermanentError, match="KLAVIYO_FRAMES_URL"):
        write(store)
    # A stage that notes a failure goes on with the others, whether the note can be kept or not.
    store.note_failure(KEY, "run", {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_full_temporary_folder_is_named(store):
    def write_to_a_full_folder():
        with store.write(KEY) as writer:
            (writer.folder / "rows.parquet").symlink_to("/dev/full")
            for _ in range(3):
                writer.append(pa.table({"a": pa.array(range(300_000))}))

    with pytest.raises(TransientError, match=r"writing a frame: .*No space left on device.*TMPDIR"):
        write_to_a_full_folder()
