"""How often one BigQuery table may be changed: below Google's rates, and slower if BigQuery asks for it.

Here: counting the changes of each table, waiting, and repeating a job that came too soon. Not here: the jobs
(`dataset.py`), and daily quotas (docs/scale.md has all figures), which are too long to wait for in a run.
"""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")
WINDOW_SECONDS = 10.0
# Google's rates are 5 and 50 changes of a table in ten seconds; a fifth is left for others, such as console users.
PER_TABLE, PER_PARTITIONED_TABLE = 4, 40
# Pauses before repeating a job that BigQuery refused for its rate; after the last one, the stage gives up.
PAUSES_SECONDS = (10.0, 20.0, 40.0)
_TOO_OFTEN = {"rateLimitExceeded", "jobRateLimitExceeded", "userRateLimitExceeded"}


@dataclass(eq=False)
class Pace:
    """The recent changes of each table by this process."""

    per_table: int = PER_TABLE
    per_partitioned_table: int = PER_PARTITIONED_TABLE
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _changes: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def wait(self, target: str) -> None:
        """Wait until a table may be changed again.

        Args:
            target: `project.dataset.table`, or a partition of one: `project.dataset.table$20260131`.
        """
        table, _, partition = target.partition("$")
        changes, limit = self._changes[table], self.per_partitioned_table if partition else self.per_table
        while len(changes) >= limit and (ahead := changes[0] + WINDOW_SECONDS - self.clock()) > 0:
            self.sleep(ahead)
            self._forget(changes)
        self._forget(changes)
        changes.append(self.clock())

    def _forget(self, changes: deque[float]) -> None:
        while changes and changes[0] <= self.clock() - WINDOW_SECONDS:
            changes.popleft()

    def send(self, target: str, job_id: str, send: Callable[[str], Outcome]) -> Outcome:
        """Run a job that changes a table; if BigQuery says that it came too soon, pause and run it again.

        Args:
            target: The table, or the partition.
            job_id: Id of the first attempt; a job that failed keeps its id, so later ones are numbered.
            send: Sends the job of an id and waits for its end.

        Raises:
            GoogleAPICallError: as `send` does; a refusal for the rate only after the last pause.
        """
        from google.api_core.exceptions import GoogleAPICallError

        for number, pause in enumerate(PAUSES_SECONDS, start=1):
            self.wait(target)
            try:
                return send(_attempt_id(job_id, number))
            except GoogleAPICallError as error:
                if not _is_too_often(error):
                    raise
                logging.getLogger(__name__).warning(
                    f"{target}: {error.message}. The job is sent again in {pause:.0f} s."
                )
                self.sleep(pause)
        return send(_attempt_id(job_id, len(PAUSES_SECONDS) + 1))


def _attempt_id(job_id: str, number: int) -> str:
    return job_id if number == 1 else f"{job_id}-{number}"


def _is_too_often(error: Any) -> bool:
    return any(isinstance(each, Mapping) and each.get("reason") in _TOO_OFTEN for each in error.errors or ())


# One process has one pace, however many datasets it opens.
GOOGLE = Pace()
# A local stand-in has no rate limits.
UNLIMITED = Pace(per_table=2**31, per_partitioned_table=2**31)
