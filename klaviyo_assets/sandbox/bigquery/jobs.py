"""The life of a job: inserted as RUNNING, run in a thread, DONE in the transaction that holds its effects.

Here: job records, their ids, waiting, cancelling, and the fate of jobs whose server died. What a
job does is in `loads` and `queries`.
"""

import json
import logging
import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import duckdb

from klaviyo_assets.sandbox.bigquery.catalog import Catalog, now_ms
from klaviyo_assets.sandbox.bigquery.errors import JOB_LOST, ApiError, duplicate, failure, invalid_query, not_found
from klaviyo_assets.sandbox.bigquery.sql import SqlError
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef
from klaviyo_assets.sandbox.bigquery.store import Cursor, Store, TableLocks, fetch_row

SET_UP = (
    "CREATE TABLE IF NOT EXISTS catalog.jobs "
    "(id VARCHAR NOT NULL, created BIGINT NOT NULL, state VARCHAR NOT NULL, document VARCHAR NOT NULL)",
)
Job = dict[str, Any]
"""A job as the API shows it, and its `_result`, which it does not."""

LOG = logging.getLogger(__name__)

_THREADS = 8
_LOST = "The server ended while the job was running; run it again: what it had not committed was not kept."
_QUERY_FAULTS = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.ConstraintException,
)
"""What DuckDB raises because of the data: division by zero, overflow, a failed cast, error(), NULL in REQUIRED."""

# The translation's macros fail by casting their message; the words that DuckDB puts around it are noise.
_OWN_WORDS = re.compile(
    r"""(?:Could not convert string ['"]|format: ")"""
    r"""((?:not supported by|(?:double )?overflow|Negative length|Bad \w+ value|Invalid [\w ]+|Sequence step"""
    r"""|Floating point).*?)['"](?: to [A-Z]|, expected)""",
    re.DOTALL,
)


@dataclass
class Run:
    """What a job's work receives: its id, and a cursor in the transaction that the end of the job commits."""

    job_id: str
    cursor: Cursor


@dataclass(frozen=True)
class Outcome:
    """What a job's work adds to its record.

    Attributes:
        statistics: Goes into the job's `statistics`.
        result: Of a SELECT: `columns` as the API shows them, and `rows`, their number.
    """

    statistics: dict[str, Any]
    result: dict[str, Any] | None = None


class Work(Protocol):
    """What a job does."""

    def targets(self) -> set[TableRef]:
        """Return the tables it writes: it runs alone among their writers."""

    def run(self, run: Run) -> Outcome:
        """Do the work; an exception becomes the job's error and rolls the transaction back."""

    def end(self) -> None:
        """Release what it held, on success and on failure."""


@dataclass
class _Live:
    """A job of this process that is not yet DONE."""

    done_event: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False
    cursor: Cursor | None = None


class Jobs:
    """All jobs of the project, past and running."""

    def __init__(self, store: Store, locks: TableLocks, project: str, *, poll: bool = False) -> None:
        """Take over the jobs of a data folder.

        Args:
            store: Where the records are.
            locks: Shared with everything else that writes tables.
            project: The only project.
            poll: Answer RUNNING first, so that the caller has to poll.
        """
        self._store, self._locks, self._project, self._poll = store, locks, project, poll
        self._guard = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._unseen: set[str] = set()
        self._closing = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="job")
        self._fail_leftovers()

    def insert(self, job: Job, work: Work) -> Job:
        """Start a job.

        Returns:
            Its record, RUNNING.

        Raises:
            ApiError: 409 when its id was used before, however that job ended.
        """
        reference = job["jobReference"]
        live = _Live()
        now = str(now_ms())
        job["statistics"] = {"creationTime": now, "startTime": now}
        job["status"] = {"state": "RUNNING"}
        with self._guard, self._store.transaction() as cursor:
            if _find(cursor, reference["jobId"]) is not None:
                raise duplicate(f"Job {self._project}:{reference['location']}.{reference['jobId']}")
            row = [reference["jobId"], int(now), "RUNNING", json.dumps(job)]
            cursor.execute("INSERT INTO catalog.jobs VALUES (?, ?, ?, ?)", row)
            self._live[reference["jobId"]] = live
            if self._poll:
                self._unseen.add(reference["jobId"])
        self._pool.submit(self._run, job, work, live).add_done_callback(_log_fault)
        return dict(json.loads(row[3]))

    def get(self, job_id: str, *, wait: float = 0.0) -> Job:
        """Return a job's record.

        Args:
            job_id: Its id.
            wait: Seconds to wait for its end.

        Raises:
            ApiError: There is no such job.
        """
        live = self._live.get(job_id)
        if live is not None and not self._hidden(job_id):
            live.done_event.wait(wait)
        with self._store.snapshot() as cursor:
            job = _find(cursor, job_id)
        if job is None:
            raise not_found(f"Job {self._project}:{job_id}")
        return self._first_seen(job)

    def exists(self, job_id: str) -> bool:
        """Return whether the id was used before."""
        with self._store.snapshot() as cursor:
            return _find(cursor, job_id) is not None

    def all(self) -> list[Job]:
        """Return every job, the newest first."""
        sql = "SELECT document FROM catalog.jobs ORDER BY created DESC, id"
        with self._store.snapshot() as cursor:
            return [json.loads(document) for (document,) in cursor.execute(sql).fetchall()]

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; one that is already DONE stays as it is."""
        live = self._live.get(job_id)
        if live is not None:
            _stop(live)
        return self.get(job_id)

    def stop(self) -> None:
        """Interrupt running jobs, so that nobody waits for them; `close` waits for the records."""
        self._closing = True
        for live in list(self._live.values()):
            _stop(live)

    def close(self) -> None:
        """Stop what is running and wait for the records to be written."""
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _hidden(self, job_id: str) -> bool:
        return job_id in self._unseen

    def _first_seen(self, job: Job) -> Job:
        job_id = job["jobReference"]["jobId"]
        if not self._hidden(job_id):
            return job
        self._unseen.discard(job_id)
        running = {name: job["statistics"][name] for name in ("creationTime", "startTime")}
        return {**job, "statistics": running, "status": {"state": "RUNNING"}}

    def _run(self, job: Job, work: Work, live: _Live) -> None:
        try:
            self._attempt(job, work, live)
        except BaseException as fault:  # noqa: BLE001 - whatever went wrong has to end up in the job's record
            self._fail(job, self._stop_error() if live.cancelled else error_of(fault))
        finally:
            live.cursor = None
            work.end()
            live.done_event.set()
            self._live.pop(job["jobReference"]["jobId"], None)

    def _attempt(self, job: Job, work: Work, live: _Live) -> None:
        with self._locks.writing(work.targets(), self._has_table):
            with self._store.transaction() as cursor:
                live.cursor = cursor
                if live.cancelled:
                    raise self._stop_error()
                outcome = work.run(Run(job["jobReference"]["jobId"], cursor))
                statistics = {**job["statistics"], **outcome.statistics}
                _finish(cursor, {**job, "statistics": statistics, "_result": outcome.result})

    def _stop_error(self) -> ApiError:
        if self._closing:
            return ApiError(400, JOB_LOST, _LOST)
        return ApiError(400, "stopped", "Job execution was cancelled: User requested cancellation")

    def _fail(self, job: Job, error: ApiError) -> None:
        with self._store.transaction() as cursor:
            _finish(cursor, job, error.proto())

    def _has_table(self, ref: TableRef) -> bool:
        with self._store.snapshot() as cursor:
            return Catalog(cursor, self._project).find_table(ref) is not None

    def _fail_leftovers(self) -> None:
        error = {"reason": JOB_LOST, "message": _LOST}
        with self._store.transaction() as cursor:
            sql = "SELECT document FROM catalog.jobs WHERE state <> 'DONE'"
            for (document,) in cursor.execute(sql).fetchall():
                _finish(cursor, json.loads(document), error)


def _log_fault(run: Future[None]) -> None:
    """Log a job whose end could not be recorded, for example because the disk is full."""
    fault = None if run.cancelled() else run.exception()
    if fault is not None:
        LOG.error("a job's end could not be recorded", exc_info=fault)


def _find(cursor: Cursor, job_id: str) -> Job | None:
    row = fetch_row(cursor, "SELECT document FROM catalog.jobs WHERE id = ?", [job_id])
    return json.loads(row[0]) if row else None


def _finish(cursor: Cursor, job: Job, error: dict[str, str] | None = None) -> None:
    job["statistics"]["endTime"] = str(now_ms())
    job["status"] = {"state": "DONE"}
    if error is not None:
        job["status"] |= {"errorResult": error, "errors": [error]}
    values = [json.dumps(job), job["jobReference"]["jobId"]]
    cursor.execute("UPDATE catalog.jobs SET state = 'DONE', document = ? WHERE id = ?", values)


def _stop(live: _Live) -> None:
    live.cancelled = True
    cursor = live.cursor
    if cursor is not None:
        cursor.interrupt()


def error_of(fault: BaseException) -> ApiError:
    """Turn an exception from SQL into the API's error; a bug in the stand-in is logged with its traceback."""
    if isinstance(fault, ApiError):
        return fault
    if isinstance(fault, SqlError):
        if fault.reason == "notFound":
            return ApiError(404, fault.reason, fault.message)
        # `notImplemented` would become a 501 in the client, which looks like a server's failure.
        return invalid_query(fault.message)
    if isinstance(fault, duckdb.NotImplementedException) and "Unknown TimeZone" in str(fault):
        return invalid_query(f"Invalid time zone: {str(fault).split(chr(39))[1]}")
    if isinstance(fault, _QUERY_FAULTS):
        own_words = _OWN_WORDS.search(str(fault))
        return invalid_query(own_words[1] if own_words else str(fault).partition(": ")[2] or str(fault))
    LOG.error("stand-in failure", exc_info=fault)
    return failure(fault)
