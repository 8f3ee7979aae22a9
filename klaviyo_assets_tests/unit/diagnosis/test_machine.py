"""Frames, disk and instance of this machine."""

from contextlib import contextmanager, nullcontext

import dagster as dg
import pytest

from klaviyo_assets.diagnosis.findings import Level, Scope, collected
from klaviyo_assets.diagnosis.machine import GIGABYTE, check_frames, check_instance, judged_space
from klaviyo_assets.errors import PermanentError, TransientError


def test_a_folder_is_made_probed_and_left_empty(tmp_path):
    findings = list(check_frames(str(tmp_path / "frames"), ""))

    assert findings[0].level is Level.OK
    assert list((tmp_path / "frames").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    (finding,) = check_frames(str(tmp_path / "file" / "frames"), "")

    assert finding.level is Level.FAIL
    assert "frames cannot be written" in finding.what
    assert "KLAVIYO_FRAMES_URL" in finding.fix


def test_an_address_that_is_neither_folder_nor_s3_is_told():
    (finding,) = collected(Scope("machine"), lambda: check_frames("gs://bucket/x", ""))

    assert (finding.level, finding.fix) == (Level.FAIL, "Allowed: a local folder, or s3://bucket/prefix.")


@pytest.mark.parametrize(("gigabytes", "level"), [(0.5, Level.FAIL), (3, Level.WARN), (50, Level.OK)])
def test_little_room_is_told(gigabytes, level):
    finding = judged_space("/frames", int(gigabytes * GIGABYTE))

    assert finding.level is level
    assert f"{gigabytes:.1f} GB are free in /frames" in finding.what


def test_an_instance_that_opens_is_well():
    with dg.DagsterInstance.ephemeral() as instance:
        (finding,) = check_instance(lambda: nullcontext(instance))

    assert finding.level is Level.OK


def test_an_instance_that_does_not_open_is_told():
    @contextmanager
    def closed():
        raise OSError("no such\nfolder")
        yield

    (finding,) = check_instance(closed)

    assert finding.level is Level.FAIL
    assert "OSError: no such folder" in finding.what
    assert "DAGSTER_HOME" in finding.fix


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        (PermanentError("x is wrong", "Fix x. Or y."), "x is wrong", "Fix x. Or y."),
        (TransientError("x went away"), "x went away", "This may be temporary; run doctor again."),
        (ZeroDivisionError("oh"), "the check itself broke: ZeroDivisionError: oh", "Run `klaviyo-assets doctor -v`"),
    ],
)
def test_a_check_that_breaks_is_a_finding_after_those_before(error, what, fix):
    def check():
        yield Scope("s3").ok("so far")
        raise error

    first, last = collected(Scope("s3"), check)

    assert first.level is Level.OK
    assert (last.level, last.what) == (Level.FAIL, what)
    assert fix in last.fix
