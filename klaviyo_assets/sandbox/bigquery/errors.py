"""Errors in the shape in which Google's API answers them.

Here: the one error class of the stand-in and a function per reason. An error is answered with its
HTTP status where a request is wrong, and becomes `status.errorResult` where a job fails. No status is 5xx: the
client retries those for ten minutes.
"""

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
}

JOB_LOST = "jobBackendError"
"""Reason of a job whose server died under it.

Nothing of such a job was kept, so a rerun may well succeed: the client has to class it as transient. `stopped`
maps to HTTP 200 and an odd exception, and `backendError` makes the client repeat jobs.getQueryResults for ten
minutes. `jobBackendError` is a documented job reason, is no reason to repeat a request, becomes the client's
`InternalServerError`, and lets it submit a query job again under a new id.
"""


class ApiError(Exception):
    """An answer other than 2xx, or the outcome of a failed job.

    Attributes:
        code: HTTP status.
        reason: Google's short word (`notFound`, `invalidQuery`), by which the client picks its exception.
        message: The sentence for the reader.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        self.code, self.reason, self.message = code, reason, message
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        entry = {"reason": self.reason, "message": self.message, "domain": "global"}
        status = _STATUS.get(self.code, "UNKNOWN")
        return {
            "error": {"code": self.code, "message": self.message, "status": status, "errors": [entry]},
        }

    def proto(self) -> dict[str, str]:
        """Return the error as a job's status holds it."""
        return {"reason": self.reason, "message": self.message}


class StartError(Exception):
    """The server cannot start with these options; the message says what to change."""


def invalid(message: str) -> ApiError:
    """Build the answer to a request or job that breaks a rule of BigQuery."""
    return ApiError(400, "invalid", message)


def invalid_query(message: str) -> ApiError:
    """Build the answer to SQL that cannot be run."""
    return ApiError(400, "invalidQuery", message)


def unsupported(feature: str) -> ApiError:
    """Build the answer to a request for something that only BigQuery offers."""
    return ApiError(400, "invalid", f"not supported by the local stand-in: {feature}")


def not_found(resource: str) -> ApiError:
    """Build the answer to a name that does not exist; `resource` is like `Table local:acme.event`."""
    return ApiError(404, "notFound", f"Not found: {resource}")


def duplicate(resource: str) -> ApiError:
    """Build the answer to a name that is taken; `resource` is like `Job local:US.load_1`."""
    return ApiError(409, "duplicate", f"Already Exists: {resource}")


def precondition_failed() -> ApiError:
    """Build the answer to an If-Match header that names an older state of the resource."""
    return ApiError(412, "conditionNotMet", "Precondition check failed.")


def failure(fault: BaseException) -> ApiError:
    """Build the answer to a bug of the stand-in itself; the caller logs the traceback."""
    return ApiError(400, "invalid", f"stand-in failure: {type(fault).__name__}: {fault}")


def job_error(proto: dict[str, str]) -> ApiError:
    """Rebuild the error of a failed job, as jobs.getQueryResults answers it."""
    codes = {"notFound": 404, "duplicate": 409}
    return ApiError(codes.get(proto["reason"], 400), proto["reason"], proto["message"])
