"""A failure says for people what is not done, and the same as data."""

import dagster as dg
import pytest

from klaviyo_assets.defs.failure_metadata import Cause, failure_of, read_failure
from klaviyo_assets.errors import PermanentError, TransientError

EXTRACTED = dg.AssetKey(["extracted", "event"])
AWAY = Cause.of(EXTRACTED, TransientError("S3 is away"))
WRONG = Cause.of(dg.AssetKey(["mapped", "event"]), PermanentError("no such column"))
NOT_DONE = {
    ("bigquery/event", "acme|2026-01-01"): AWAY,
    ("bigquery/attribution", "acme|2026-01-01"): AWAY,
    ("bigquery/event", "bloom|2026-01-02"): WRONG,
}


def test_every_partition_is_named_once_with_its_reason_and_what_comes_next():
    assert (failure_of(NOT_DONE, 8).description or "").splitlines() == [
        "3 of 8 partition(s) failed, the others are done:",
        "attribution [acme|2026-01-01], event [acme|2026-01-01]: S3 is away",
        "event [bloom|2026-01-02]: no such column",
        "Next: fix the cause above, then rerun (in the UI: Re-execute on the run's page).",
    ]


def test_the_same_can_be_read_as_data():
    assert list(read_failure(failure_of(NOT_DONE, 8).metadata)) == [
        (AWAY, {"bigquery/event": ["acme|2026-01-01"], "bigquery/attribution": ["acme|2026-01-01"]}),
        (WRONG, {"bigquery/event": ["bloom|2026-01-02"]}),
    ]
    assert list(read_failure({})) == []


def test_what_happened_and_its_fix_are_kept_apart():
    cause = Cause.of(EXTRACTED, PermanentError("S3 refused: No. Never", "Check the bucket. Then rerun."))

    ((read, _),) = read_failure(failure_of({("bigquery/event", "acme|2026-01-01"): cause}, 1).metadata)

    assert (read.what, read.fix) == ("S3 refused: No. Never", "Check the bucket. Then rerun.")
    assert read.text == "S3 refused: No. Never. Check the bucket. Then rerun."


def test_a_record_of_an_earlier_version_has_what_and_fix_in_one_text():
    record = {"asset": "extracted/event", "kind": "PermanentError", "is_transient": False, "reason": "No. Check it."}
    metadata = {"not_done": dg.MetadataValue.json([{**record, "partitions": {"bigquery/event": ["acme"]}}])}

    assert list(read_failure(metadata)) == [
        (Cause("extracted/event", "PermanentError", False, "No. Check it."), {"bigquery/event": ["acme"]})
    ]


@pytest.mark.parametrize(
    ("failed", "asked", "beginning"),
    [(1, 1, "1 partition failed:"), (3, 3, "all 3 partitions failed:"), (1, 3, "1 of 3 partition(s) failed")],
)
def test_others_are_called_done_only_where_there_are_others(failed, asked, beginning):
    not_done = {("bigquery/event", f"acme|2026-01-0{day}"): AWAY for day in range(1, failed + 1)}
    described = failure_of(not_done, asked).description or ""
    assert described.startswith(beginning)
    assert ("the others are done" in described) is (failed < asked)
    assert "Next: rerun when that system is back" in described


def test_a_retry_policy_applies_only_where_all_of_it_may_succeed():
    assert failure_of({("a/b", ""): AWAY}, 1, allow_retries=True).allow_retries
    assert not failure_of(NOT_DONE, 8, allow_retries=True).allow_retries
    assert not failure_of({("a/b", ""): AWAY}, 1).allow_retries
