"""How often a table is changed, with a clock that only moves when somebody waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from google.cloud.bigquery.job.base import _error_result_to_exception

from klaviyo_assets.destinations.bigquery.pace import PAUSES_SECONDS, Pace

TABLE = "project.klaviyo_acme.ledger"
RATE = "Exceeded rate limits: too many table update operations for this table"


@dataclass
class Clock:
    """Time as the pace sees it; a change itself takes none, which is as quick as BigQuery could ever be."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def pace(self) -> Pace:
        return Pace(clock=lambda: self.now, sleep=self.sleep)


def refusing(reason: str, times: int, sent: list[str]) -> Callable[[str], str]:
    """A job that fails so often; the error is made as Google's client makes it of a job's outcome."""

    def send(job_id: str) -> str:
        sent.append(job_id)
        if len(sent) <= times:
            raise _error_result_to_exception({"reason": reason, "message": RATE})
        return job_id

    return send


@pytest.mark.parametrize(("target", "most"), [(TABLE, 5), ("project.klaviyo_acme.event$202601{:02}", 50)])
def test_no_ten_seconds_have_more_changes_than_google_allows(target, most):
    clock, times = Clock(), []
    pace = clock.pace()
    for number in range(500):
        pace.wait(target.format(number % 28 + 1))
        times.append(clock.now)

    busiest = max(sum(1 for other in times if at <= other < at + 10) for at in times)
    assert busiest < most
    assert clock.now - 1000 <= 500 / (most * 0.8) * 10, "it waits no longer than it has to"
    assert all(later >= earlier for earlier, later in pairwise(times))


def test_tables_do_not_wait_for_each_other():
    clock = Clock()
    pace = clock.pace()
    for number in range(100):
        pace.wait(f"project.klaviyo_acme._staging_{number}")

    assert clock.waits == []


def test_changes_that_come_slowly_wait_for_nothing():
    clock = Clock()
    pace = clock.pace()
    for _ in range(100):
        pace.wait(TABLE)
        clock.now += 3

    assert clock.waits == []


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "jobRateLimitExceeded"])
def test_a_job_that_came_too_soon_is_sent_again_under_a_new_id(reason, caplog):
    clock, sent = Clock(), []

    assert clock.pace().send(TABLE, "job", refusing(reason, 2, sent)) == "job-3"
    assert sent == ["job", "job-2", "job-3"]
    assert clock.waits == [10, 20]
    assert "sent again in 10 s" in caplog.text


def test_it_is_not_sent_for_ever():
    clock, sent = Clock(), []
    with pytest.raises(Exception, match="too many table update operations"):
        clock.pace().send(TABLE, "job", refusing("rateLimitExceeded", 99, sent))

    assert len(sent) == len(PAUSES_SECONDS) + 1
    assert sum(clock.waits) == 70


@pytest.mark.parametrize("reason", ["quotaExceeded", "accessDenied", "invalid"])
def test_what_waiting_seconds_does_not_mend_is_sent_once(reason):
    clock, sent = Clock(), []
    with pytest.raises(Exception, match="too many"):
        clock.pace().send(TABLE, "job", refusing(reason, 99, sent))

    assert (sent, clock.waits) == (["job"], [])
