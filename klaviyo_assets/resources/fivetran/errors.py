"""What can go wrong between this package and Fivetran, classified by what a caller can do about it.

Here: the exceptions that callers tell apart. Not here: when they are raised (`transport.py` for HTTP answers,
`wait.py` for the outcome of a sync), and a 404, which is a `NotFoundError` of `errors.py`.
"""

from datetime import datetime

from klaviyo_assets.errors import PermanentError, TransientError


class ConnectionPausedError(PermanentError):
    """The connection is paused: it does not sync until somebody enables it."""


class BrokenSetupError(PermanentError):
    """The connection's set-up is incomplete or broken: somebody has to fix it in Fivetran."""


class SchemaBlockedError(PermanentError):
    """The schema changed at the source, and the connection waits for somebody to review that in Fivetran."""


class UnansweredError(TransientError):
    """No usable answer: a 5xx, a time-out, a cut connection, or text that is not JSON.

    Attributes:
        may_have_arrived: Whether Fivetran may have acted on the request all the same.
        retry_after: The pause that Fivetran asked for, in seconds; None if it did not ask for one.
    """

    def __init__(
        self, what: str, fix: str = "", *, may_have_arrived: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(what, fix)
        self.may_have_arrived, self.retry_after = may_have_arrived, retry_after


class RateLimitedError(TransientError):
    """Fivetran refuses requests for `retry_after` seconds; None if it did not say how long."""

    def __init__(self, what: str, fix: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, fix)
        self.retry_after = retry_after


class ConflictError(TransientError):
    """The connection is busy, so Fivetran refuses the request (409)."""


class SyncFailedError(TransientError):
    """The sync failed; Fivetran itself tries again on its schedule."""


class SyncRescheduledError(TransientError):
    """Fivetran postponed the sync to `until` (None if it did not say): waiting makes no sense."""

    def __init__(self, what: str, fix: str = "", until: datetime | None = None) -> None:
        super().__init__(what, fix)
        self.until = until


class SyncUnfinishedError(TransientError):
    """The sync had not ended when the wait was over; it continues at Fivetran."""
