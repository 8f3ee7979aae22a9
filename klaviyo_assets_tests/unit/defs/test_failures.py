"""How errors appear in Dagster."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from klaviyo_assets.defs.failures import reported_failures
from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.fivetran.errors import RateLimitedError, SyncRescheduledError


@pytest.mark.parametrize(("error", "retried"), [(PermanentError("p"), False), (SettingsError("s"), False),
                                                (TransientError("t"), True)])  # fmt: skip
def test_an_error_becomes_a_failure_that_is_retried_where_a_rerun_would_help(error, retried):
    with pytest.raises(dg.Failure) as caught, reported_failures("account acme"):
        raise error

    assert caught.value.description == f"account acme: {error}"
    assert caught.value.allow_retries is retried
    assert caught.value.metadata["kind"] == dg.MetadataValue.text(type(error).__name__)
    assert caught.value.__cause__ is error


def test_the_fix_of_an_error_is_a_line_of_its_own():
    with pytest.raises(dg.Failure) as caught, reported_failures("account acme"):
        raise PermanentError("S3 refused: No. Never", "Check the bucket.")

    assert caught.value.description == "account acme: S3 refused: No. Never\nCheck the bucket."


def test_what_an_error_knows_becomes_metadata():
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

    with pytest.raises(dg.Failure) as put_off, reported_failures():
        raise SyncRescheduledError("later", until=moment)
    with pytest.raises(dg.Failure) as limited, reported_failures():
        raise RateLimitedError("slower", retry_after=3600)

    assert put_off.value.metadata["until"] == dg.MetadataValue.timestamp(moment)
    assert limited.value.metadata["retry_after_seconds"] == dg.MetadataValue.float(3600.0)


def test_other_errors_and_results_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), reported_failures():
        raise ZeroDivisionError
    with reported_failures():
        result = 7

    assert result == 7


@pytest.mark.parametrize(("error", "attempts"), [(PermanentError("p"), 1), (TransientError("t"), 3)])
def test_a_retry_policy_retries_only_what_may_pass(error, attempts):
    tried = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    def failing() -> None:
        tried.append(1)
        with reported_failures():
            raise error

    result = dg.materialize([failing], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)

    assert not result.success
    assert len(tried) == attempts
