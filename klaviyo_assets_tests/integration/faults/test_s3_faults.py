"""Twelve faults between the archive and S3: a day is archived whole or not at all, and nobody waits past the limits."""

import datetime as dt
from dataclasses import replace
from uuid import uuid4

import botocore.auth
import pytest

from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets_tests.contract.destinations import Archive, mapped_day
from klaviyo_assets_tests.faults.http_scenes import Refusal, Spot, http_scene
from klaviyo_assets_tests.faults.matrix import FAULTS, measured

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_environment")]

DAY = dt.date(2026, 1, 31)
OLDER, NEWER = ["a", "b"], sorted(uuid4().hex for _ in range(3000))
LIMITS = {"connect_timeout_seconds": 0.5, "silence_timeout_seconds": 0.5, "exchange_timeout_seconds": 1.5,
          "call_timeout_seconds": 5, "repetitions": 2}  # fmt: skip
# The call's own limit, and the pauses that botocore makes between three attempts.
LIMIT_SECONDS = 8
PART = Spot("PUT", r"/part-")


def refusal(status, code):
    return Refusal(status, f"<Error><Code>{code}</Code><Message>said by S3</Message></Error>")


REFUSALS = {
    "429": refusal(429, "TooManyRequestsException"), "500": refusal(500, "InternalError"),
    "503 bursts": refusal(503, "SlowDown"), "403 with a reason": refusal(403, "AccessDenied"),
    "expired credentials": refusal(400, "ExpiredToken"),
}  # fmt: skip
OUTCOMES = {
    "503 bursts": ("done", ""), "403 with a reason": ("permanent", "s3:PutObject"),
    "expired credentials": ("permanent", "sign in again"), "TLS mismatch": ("permanent", "certificate is not accepted"),
    "clock skew": ("permanent", "RequestTimeTooSkewed.*clock of this machine"),
}  # fmt: skip


@pytest.fixture
def direct(sandbox):
    """The archive, with nothing in between."""
    return Archive(S3ArchiveResource(bucket=sandbox.variables["S3_BUCKET"], prefix=f"faults_{uuid4().hex[:8]}").archive)


def ids(archive):
    return [row["event_id"] for row in archive.read(DAY)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_day_is_archived_whole_or_not_at_all(fault, sandbox, direct, tmp_path):
    with mapped_day(DAY, OLDER, tmp_path) as (file, record):
        direct.write(file, record, DAY)
    before = direct.state()

    target = sandbox.variables["S3_ENDPOINT_URL"]
    with http_scene(fault, target, PART, REFUSALS, tmp_path) as url, mapped_day(DAY, NEWER, tmp_path) as (file, record):
        resource = S3ArchiveResource(bucket=direct.archive.bucket, endpoint_url=url, **LIMITS)
        behind = replace(direct, archive=replace(resource.archive, prefix=direct.archive.prefix))
        with pytest.MonkeyPatch.context() as clock:
            if fault == "clock skew":
                now = botocore.auth.get_current_datetime
                clock.setattr(botocore.auth, "get_current_datetime", lambda: now() - dt.timedelta(hours=1))
            with measured("S3", fault, LIMIT_SECONDS) as cell:
                behind.write(file, record, DAY)

    outcome, words = OUTCOMES.get(fault, ("transient", ""))
    cell.expect(outcome, words)
    assert ids(direct) == (NEWER if outcome == "done" else OLDER)
    if outcome == "permanent":
        assert direct.state() == before
