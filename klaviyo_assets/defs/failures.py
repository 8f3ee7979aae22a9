"""How this package's errors appear in Dagster: one description for people, and whether a retry makes sense.

What belongs here: the translation that every stage wraps around its work. What does not: the errors (`errors.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg

from klaviyo_assets.errors import KlaviyoAssetsError, TransientError


@contextmanager
def reported_failures(subject: str = "") -> Iterator[None]:
    """Turn this package's errors into `dg.Failure`, which Dagster shows with their text instead of a traceback.

    Retry policies apply to a `TransientError` only. The times that an error carries (`retry_after` in seconds,
    `until`) become metadata.

    Args:
        subject: What failed, put before the message: an account, a partition.

    Raises:
        dagster.Failure: instead of a `KlaviyoAssetsError`; any other error passes through unchanged.
    """
    try:
        yield
    except KlaviyoAssetsError as error:
        raise failure(error, subject) from error


def failure(error: KlaviyoAssetsError, subject: str = "", metadata: Mapping[str, Any] | None = None) -> dg.Failure:
    """The `dg.Failure` of an error, with further metadata."""
    return dg.Failure(
        description="\n".join(filter(None, [f"{subject}: {error.what}" if subject else error.what, error.fix])),
        metadata={"kind": type(error).__name__, **_times(error), **(metadata or {})},
        allow_retries=isinstance(error, TransientError),
    )


def _times(error: KlaviyoAssetsError) -> Mapping[str, Any]:
    times: dict[str, Any] = {}
    moment = getattr(error, "until", None)
    if isinstance(moment, datetime):
        times["until"] = dg.MetadataValue.timestamp(moment)
    pause = getattr(error, "retry_after", None)
    if pause is not None:
        times["retry_after_seconds"] = float(pause)
    return times
