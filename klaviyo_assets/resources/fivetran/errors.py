"""What can go wrong between this package and Fivetran, classified by what a caller can do about it.

Here: the exceptions that callers tell apart. Not here: when they are raised (`transport.py` for HTTP answers,
`wait.py` for the outcome of a sync).
"""

from datetime import datetime

from klaviyo_assets.errors import PermanentError, TransientError


class NotFoundError(PermanentError):
    """Fivetran does not know the path: an unknown id, or an API generation that uses a different name."""


class ConnectionPausedError(PermanentError):
    """The connection is paused: it does not sync until somebody enables it."""


class BrokenSetupError(PermanentError):
    """The connection's set-up is incomplete or broken: somebody has to fix it in Fivetran."""


class SchemaBlockedError(PermanentError):
    """The schema changed at the source, and the connection waits for somebody to review that in Fivetran."""


class UnansweredError(TransientError):
    """No usable answer: a 5xx, a time-out, a cut connection, or text that is not JSON.

    `may_have_arrived` says whether the request may have taken effect; `retry_after` is the pause in seconds that
    Fivetran asked for, if it did.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.may_have_arrived, self.retry_after = may_have_arrived, retry_after


class RateLimitedError(TransientError):
    """Fivetran refuses requests for `retry_after` seconds; None if it did not say how long."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(TransientError):
    """The connection is busy, so Fivetran refuses the request (409)."""


class SyncFailedError(TransientError):
    """The sync ended without success; Fivetran itself tries again on its schedule."""


class SyncRescheduledError(TransientError):
    """Fivetran postponed the sync to `until` (None if it did not say): waiting makes no sense."""

    def __init__(self, message: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


class SyncUnfinishedError(TransientError):
    """The sync had not ended when the wait was over; it continues at Fivetran."""
