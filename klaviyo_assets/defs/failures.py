"""How this package's errors appear in Dagster: one description for people, and whether a retry makes sense.

Here: the translation that every stage puts around its work. Not here: the errors (`errors.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg

from klaviyo_assets.errors import KlaviyoAssetsError, TransientError


@contextmanager
def reported_failures(subject: str = "") -> Iterator[None]:
    """Turn this package's errors into `dg.Failure`, shown with their message instead of a stack of frames.

    Retry policies apply to a `TransientError` only. What the error knows besides its message (`retry_after` in
    seconds, `until`) becomes metadata.

    Args:
        subject: What failed, put before the message: an account, a partition.

    Raises:
        dagster.Failure: in place of a `KlaviyoAssetsError`; every other error passes as it is.
    """
    try:
        yield
    except KlaviyoAssetsError as error:
        raise failure(error, subject) from error


def failure(error: KlaviyoAssetsError, subject: str = "", metadata: Mapping[str, Any] | None = None) -> dg.Failure:
    """The `dg.Failure` that stands for an error, with further metadata."""
    return dg.Failure(
        description=f"{subject}: {error}" if subject else str(error),
        metadata={"kind": type(error).__name__, **_facts(error), **(metadata or {})},
        allow_retries=isinstance(error, TransientError),
    )


def _facts(error: KlaviyoAssetsError) -> Mapping[str, Any]:
    facts: dict[str, Any] = {}
    moment = getattr(error, "until", None)
    if isinstance(moment, datetime):
        facts["until"] = dg.MetadataValue.timestamp(moment)
    pause = getattr(error, "retry_after", None)
    if pause is not None:
        facts["retry_after_seconds"] = float(pause)
    return facts
