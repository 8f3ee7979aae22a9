"""What can go wrong between this package and Fivetran, classed by what a caller can do about it.

Here: the exceptions that callers tell apart. Not here: when they are raised (`transport.py` for what the
HTTP answer says, `wait.py` for what became of a sync).
"""

from datetime import datetime

from klaviyo_assets.errors import PermanentError, TransientError


class NotFoundError(PermanentError):
    """Fivetran does not know the path: an unknown id, or an API generation that has another name for it."""


class ConnectionPausedError(PermanentError):
    """The connection is paused: it syncs when somebody enables it."""


class BrokenSetupError(PermanentError):
    """The connection's set-up is incomplete or broken: somebody has to fix it in Fivetran."""


class SchemaBlockedError(PermanentError):
    """The schema changed at the source, and the connection waits until somebody has reviewed that in Fivetran."""


class UnansweredError(TransientError):
    """No usable answer: a 5xx, a time-out, a cut connection, or text that is not JSON.

    `may_have_arrived` says whether Fivetran may have acted on the request all the same; `retry_after` is the pause
    in seconds that it asked for, if it did.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.may_have_arrived, self.retry_after = may_have_arrived, retry_after


class RateLimitedError(TransientError):
    """Fivetran wants no more requests for `retry_after` seconds; None if it did not say how long."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(TransientError):
    """The connection is busy with something that excludes the request (409)."""


class SyncFailedError(TransientError):
    """The sync ended without success; Fivetran itself tries again on its schedule."""


class SyncRescheduledError(TransientError):
    """Fivetran put the sync off `until` a time (None where it did not say): waiting for it makes no sense."""

    def __init__(self, message: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


class SyncUnfinishedError(TransientError):
    """The sync had not ended when the wait was over; it goes on at Fivetran."""
