"""The endpoints of jobs: insert, get, list, cancel, getQueryResults, and jobs.query."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed
from klaviyo_assets.sandbox.bigquery.calls import Call, Reply, Server, of_project, page, page_start, page_token
from klaviyo_assets.sandbox.bigquery.catalog import Catalog, now_ms
from klaviyo_assets.sandbox.bigquery.cells import rows_of
from klaviyo_assets.sandbox.bigquery.errors import duplicate, invalid, job_error, not_found, unsupported
from klaviyo_assets.sandbox.bigquery.jobs import Job
from klaviyo_assets.sandbox.bigquery.loads import Load, LoadWork, read_load
from klaviyo_assets.sandbox.bigquery.locations import is_in, location_of
from klaviyo_assets.sandbox.bigquery.names import job_id
from klaviyo_assets.sandbox.bigquery.queries import Query, QueryWork, dry_run, location_of_query, read_query
from klaviyo_assets.sandbox.bigquery.schema import fields_of

_LONGEST_WAIT = 10.0
"""Seconds that a request waits for its job before it answers that it is still running."""


def insert(server: Server, call: Call) -> Reply:
    """Start a query job, or answer what it would do (dryRun)."""
    configuration = _configuration(server, call.body)
    if "load" in configuration:
        raise unsupported("a load without a file: send it as an upload")
    query = read_query(configuration["query"])
    if configuration.get("dryRun"):
        return Reply(_dry_run(server, call.body, query))
    job = _start_query(server, call.body, query)
    return Reply(_resource(server, server.jobs.get(job["jobReference"]["jobId"], wait=_LONGEST_WAIT)))


def check_load(server: Server, body: dict[str, Any]) -> Load:
    """Check a load job before its bytes arrive.

    Raises:
        ApiError: The request is already known to be wrong, or its id was used before.
    """
    configuration = _configuration(server, body)
    if "load" not in configuration:
        raise invalid("An upload belongs to a load job: send configuration.load")
    if configuration.get("dryRun"):
        raise unsupported("dryRun of a load")
    sent_id = (body.get("jobReference") or {}).get("jobId")
    if sent_id and server.jobs.exists(sent_id):
        raise duplicate(f"Job {server.project}:{server.location}.{sent_id}")
    return read_load(configuration["load"])


def load(server: Server, body: dict[str, Any], file: Path) -> Reply:
    """Start a load job of a file that has arrived; the file is removed when the job ends."""
    try:
        work = check_load(server, body)
        dataset = work.destination.address.ref[1]
        job = _new_job(server, body, lambda catalog: location_of(catalog, [dataset], server.location))
        server.jobs.insert(job, LoadWork(work, file, server.project, job["jobReference"]["location"]))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return Reply(_resource(server, server.jobs.get(job["jobReference"]["jobId"], wait=_LONGEST_WAIT)))


def get(server: Server, call: Call) -> Reply:
    """Return one job."""
    return Reply(_resource(server, _looked_up(server, call)))


def cancel(server: Server, call: Call) -> Reply:
    """Ask a job to stop."""
    _looked_up(server, call)
    job = server.jobs.cancel(call.path["job"])
    return Reply({"kind": "bigquery#jobCancelResponse", "job": _resource(server, job)})


def list_all(server: Server, call: Call) -> Reply:
    """List the jobs, the newest first."""
    if call.query.get("parentJobId"):
        raise unsupported("the query parameter parentJobId: scripts have no child jobs here")
    state = call.query.get("stateFilter")
    earliest, latest = call.number("minCreationTime"), call.number("maxCreationTime")
    jobs = [job for job in server.jobs.all() if _is_requested(job, state, earliest, latest)]
    page_jobs, token = page(jobs, call)
    body: dict[str, Any] = {"kind": "bigquery#jobList", "jobs": [_list_entry(server, job) for job in page_jobs]}
    return Reply(body | ({"nextPageToken": token} if token else {}))


def query_results(server: Server, call: Call) -> Reply:
    """Return rows of a query job's result, waiting a while for its end."""
    wait = _wait_seconds(call.number("timeoutMs"))
    job = _looked_up(server, call, wait=wait)
    if "query" not in job["configuration"]:
        raise invalid(f"Job {call.path['job']} is not a query job")
    body = {"kind": "bigquery#getQueryResultsResponse", "etag": _etag(job)} | _results(
        server, job, page_start(call), call.number("maxResults"), call.switch("formatOptions.useInt64Timestamp")
    )
    body.pop("_dml", None)
    return Reply(body)


def query(server: Server, call: Call) -> Reply:
    """Run a query and answer with its first rows (jobs.query)."""
    body = allowed.check(call.body, allowed.QUERY_CALL, "query request")
    configuration = {name: value for name, value in body.items() if name in allowed.QUERY}
    read = read_query(configuration)
    request = _as_job(body, configuration)
    if body.get("dryRun"):
        return Reply(_dry_query(_dry_run(server, request, read)))
    job = _start_query(server, request, read, is_retry=bool(body.get("requestId")))
    ended_job = server.jobs.get(job["jobReference"]["jobId"], wait=_wait_seconds(body.get("timeoutMs")))
    int64 = bool((body.get("formatOptions") or {}).get("useInt64Timestamp"))
    results = _results(server, ended_job, 0, body.get("maxResults"), int64)
    dml = results.pop("_dml", None)
    location = {"location": ended_job["jobReference"]["location"]}
    return Reply({"kind": "bigquery#queryResponse"} | location | results | ({"dmlStats": dml} if dml else {}))


def _configuration(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    allowed.check(body, allowed.JOB, "job")
    of_project(server, (body.get("jobReference") or {}).get("projectId") or server.project)
    configuration: dict[str, Any] = body.get("configuration") or {}
    if ("load" in configuration) == ("query" in configuration):
        raise invalid("A job has exactly one of configuration.load and configuration.query")
    return configuration


def _start_query(server: Server, body: dict[str, Any], query: Query, *, is_retry: bool = False) -> Job:
    """Start a query job; `is_retry` when a job that has its id already is the same query, whose answer was lost."""
    job = _new_job(server, body, lambda catalog: location_of_query(query, catalog, server.location))
    reference = job["jobReference"]
    if not (is_retry and server.jobs.exists(reference["jobId"])):
        work = QueryWork(query, server.store, server.project, server.results, reference["location"])
        server.jobs.insert(job, work)
    return job


def _looked_up(server: Server, call: Call, *, wait: float = 0.0) -> Job:
    """Return the job that a request names.

    Raises:
        ApiError: 404 when no job has that id in the location that the request names.
    """
    job, location = server.jobs.get(call.path["job"], wait=wait), call.query.get("location")
    if not is_in(job["jobReference"]["location"], location):
        raise not_found(f"Job {server.project}:{f'{location}.' if location else ''}{call.path['job']}")
    return job


def _new_job(server: Server, body: dict[str, Any], place: Callable[[Catalog], str]) -> Job:
    """Return a job's record; `place` is where it runs when the request does not say."""
    reference = body.get("jobReference") or {}
    location = reference.get("location")
    if not location:
        with server.store.snapshot() as cursor:
            location = place(Catalog(cursor, server.project))
    name = job_id(reference["jobId"]) if reference.get("jobId") else f"job_{uuid.uuid4().hex}"
    kind = "LOAD" if "load" in body["configuration"] else "QUERY"
    return {
        "jobReference": {"projectId": server.project, "jobId": name, "location": location},
        "configuration": {**body["configuration"], "jobType": kind},
    }


def _as_job(body: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] = {"configuration": {"query": configuration}}
    if body.get("labels"):
        job["configuration"]["labels"] = body["labels"]
    reference = {"location": body.get("location")}
    if body.get("requestId"):
        reference["jobId"] = f"job_{body['requestId']}"
    return {**job, "jobReference": reference}


def _dry_run(server: Server, body: dict[str, Any], query: Query) -> Job:
    job = _new_job(server, body, lambda catalog: location_of_query(query, catalog, server.location))
    with server.store.snapshot() as cursor:
        statistics = dry_run(query, Catalog(cursor, server.project), job["jobReference"]["location"])
    return {
        "kind": "bigquery#job",
        "id": f"{server.project}:{job['jobReference']['location']}.",
        **job,
        "configuration": {**job["configuration"], "dryRun": True},
        "statistics": {"creationTime": str(now_ms()), **statistics},
        "status": {"state": "DONE"},
    }


def _dry_query(job: Job) -> dict[str, Any]:
    query = job["statistics"]["query"]
    body = {
        "kind": "bigquery#queryResponse",
        "jobReference": job["jobReference"],
        "jobComplete": True,
        "totalBytesProcessed": query["totalBytesProcessed"],
        "cacheHit": False,
    }
    return body | ({"schema": query["schema"]} if "schema" in query else {})


def _wait_seconds(milliseconds: int | None) -> float:
    return _LONGEST_WAIT if milliseconds is None else min(milliseconds / 1000, _LONGEST_WAIT)


def _results(server: Server, job: Job, start: int, count: int | None, int64: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"jobReference": job["jobReference"], "jobComplete": job["status"]["state"] == "DONE"}
    if not body["jobComplete"]:
        return body
    if "errorResult" in job["status"]:
        raise job_error(job["status"]["errorResult"])
    statistics = job["statistics"]["query"]
    body |= {"totalBytesProcessed": statistics["totalBytesProcessed"], "cacheHit": False}
    if "numDmlAffectedRows" in statistics:
        body |= {"numDmlAffectedRows": statistics["numDmlAffectedRows"], "_dml": statistics["dmlStats"]}
    if job["_result"]:
        body |= _rows(server, job, start, count, int64)
    return body


def _rows(server: Server, job: Job, start: int, count: int | None, int64: bool) -> dict[str, Any]:
    columns, total = job["_result"]["columns"], job["_result"]["rows"]
    body: dict[str, Any] = {"schema": {"fields": columns}, "totalRows": str(total)}
    if count == 0:
        # Without the key: the client takes an empty list for the first page.
        return body
    rows = server.results.page(job["jobReference"]["jobId"], start, count)
    body["rows"] = rows_of(rows, fields_of(columns), int64_timestamps=int64)
    end = start + rows.num_rows
    return body | ({"pageToken": page_token(end)} if rows.num_rows and end < total else {})


def _is_requested(job: Job, state: str | None, earliest: int | None, latest: int | None) -> bool:
    created_ms = int(job["statistics"]["creationTime"])
    return (
        (state is None or job["status"]["state"] == state.upper())
        and (earliest is None or created_ms >= earliest)
        and (latest is None or created_ms <= latest)
    )


def _etag(job: Job) -> str:
    return f"{job['jobReference']['jobId']}.{job['status']['state']}"


def _list_entry(server: Server, job: Job) -> dict[str, Any]:
    resource = _resource(server, job)
    entry = {name: resource[name] for name in ("kind", "id", "jobReference", "configuration", "statistics")}
    status = {"status": resource["status"], "state": resource["status"]["state"]}
    error = resource["status"].get("errorResult")
    return entry | status | ({"errorResult": error} if error else {})


def _resource(server: Server, job: Job) -> dict[str, Any]:
    reference = job["jobReference"]
    public_fields = {name: value for name, value in job.items() if not name.startswith("_")}
    return {
        "kind": "bigquery#job",
        "id": f"{server.project}:{reference['location']}.{reference['jobId']}",
        "etag": _etag(job),
        "selfLink": f"{server.root}/projects/{server.project}/jobs/{reference['jobId']}",
        **public_fields,
    }
