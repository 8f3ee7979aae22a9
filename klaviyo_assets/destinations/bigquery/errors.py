"""What BigQuery's refusals mean: would a rerun help, and what to do otherwise.

Here: the reasons of BigQuery's API, Google's errors on credentials, and a network's faults, as errors of ours. Not
here: limits on time (`transport/limited_http.py`), and what is asked.

Only codes are read: `errors[].reason`, the status, and the `error` of Google's token server. The words are passed on
and never looked into.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.transport.limited_http import LimitReachedError, network_problem, no_longer_than
from klaviyo_assets.transport.time_limits import BIGQUERY_ACTION

_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
# What to do about a reason: https://cloud.google.com/bigquery/docs/error-messages
_PASSING: Mapping[str, str] = {
    "backendError": "BigQuery is not available for a moment.",
    "badGateway": "BigQuery is not available for a moment.",
    "blocked": "BigQuery has blocked the project for a while; see the project's messages in Google's console.",
    "internalError": "BigQuery failed by itself.",
    "jobBackendError": "BigQuery is not available for a moment.",
    "jobInternalError": "BigQuery failed by itself.",
    "jobRateLimitExceeded": "Too many jobs were started in a short time (docs/scale.md).",
    "quotaExceeded": "A quota is used up; run it again when it is refilled, within a day (docs/scale.md), or raise it "
    "in Google's console under IAM & Admin, Quotas.",
    "rateLimitExceeded": "Too many requests or changes of a table came in a short time (docs/scale.md).",
    "resourceInUse": "Another job holds the resource.",
    "stopped": "Somebody cancelled the job, or BigQuery did.",
    "tableUnavailable": "BigQuery is working on the table.",
    "timeout": "The job took too long.",
    "userRateLimitExceeded": "Too many requests came in a short time (docs/scale.md).",
}
_LASTING: Mapping[str, str] = {
    "accessDenied": "Needed: BigQuery Data Editor on the dataset and BigQuery Job User on the project "
    "(BIGQUERY_PROJECT).",
    "billingNotEnabled": "Link a billing account to the project (BIGQUERY_PROJECT).",
    "billingTierLimitExceeded": "Ask for fewer days at once.",
    "duplicate": "It exists already.",
    "insufficientPermissions": "Needed: BigQuery Data Editor on the dataset and BigQuery Job User on the project "
    "(BIGQUERY_PROJECT).",
    "notFound": "Check BIGQUERY_PROJECT, BIGQUERY_DATASET_PREFIX and BIGQUERY_LOCATION: a dataset is only found in the "
    "location that it was made in.",
    "notImplemented": "BigQuery does not offer it here.",
    "proxyAuthenticationRequired": "Give HTTPS_PROXY a user and a password.",
    "resourcesExceeded": "Ask for fewer days at once.",
    "responseTooLarge": "Ask for fewer rows or columns.",
}
_SIGN_IN = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service "
    "account."
)


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Google's errors as ours, within the time for one action: does a rerun help, and what to do otherwise.

    Args:
        action: What was done, such as "loading p.d.event": the message begins with it.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        with no_longer_than(BIGQUERY_ACTION.seconds):
            yield
    except KlaviyoAssetsError:
        raise
    except GoogleAuthError as error:
        raise _of_credentials(action, error) from error
    except TimeoutError as error:
        raise _late(action, error) from error
    except (GoogleAPIError, RequestException, ConnectionError) as error:
        raise _ours(action, error) from error


def _ours(action: str, error: Exception) -> KlaviyoAssetsError:
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, RetryError):
        last = error.cause
        if isinstance(last, GoogleAuthError):
            return _of_credentials(action, last)
        return _ours(action, last) if isinstance(last, Exception) else TransientError(f"{action}: no answer in time.")
    if isinstance(error, GoogleAPICallError):
        return _of_answer(action, error)
    return _of_network(action, error)


def _of_answer(action: str, error: Any) -> KlaviyoAssetsError:
    """What BigQuery answered, by its reason; by the status where something else answered."""
    listed = [each for each in error.errors or () if isinstance(each, Mapping)]
    reason = next((str(each["reason"]) for each in listed if each.get("reason")), "")
    words = _one_sentence(next((str(each["message"]) for each in listed if each.get("message")), ""))
    code = int(error.code or 0)
    if not reason and not words:
        return _of_status(action, code)
    said = f"{action}: {words or reason} ({reason or code})"
    if reason in _PASSING:
        return TransientError(f"{said}. {_PASSING[reason]} Run it again later.")
    if reason in _LASTING:
        return PermanentError(f"{said}. {_LASTING[reason]}")
    if code == 401:
        return _refused(said)
    is_passing = code >= 500 or code in {408, 429}
    return TransientError(f"{said}. Run it again later.") if is_passing else PermanentError(said)


def _one_sentence(words: str) -> str:
    """What BigQuery says, as one: the first sentence of an error is what happened, the rest what to do."""
    return " ".join(words.split()).rstrip(".").replace(". ", "; ")


def _of_status(action: str, code: int) -> KlaviyoAssetsError:
    said = f"{action}: the answer has status {code} and nothing that BigQuery would say"
    if code == 401:
        return _refused(said)
    if code >= 500 or code in {408, 429}:
        return TransientError(f"{said}. Run it again later.")
    return PermanentError(f"{said}. Is a proxy or a login page in between?")


def _refused(said: str) -> KlaviyoAssetsError:
    token = " BIGQUERY_EMULATOR_TOKEN has to be the stand-in's." if os.environ.get("BIGQUERY_EMULATOR_HOST") else ""
    return SettingsError(f"{said}. Google does not accept the credentials. {_SIGN_IN}{token}")


def _late(action: str, error: TimeoutError) -> KlaviyoAssetsError:
    """Google's client gives up waiting for a job with an error of its own, which names no job."""
    if isinstance(error, LimitReachedError):
        return _of_network(action, error)
    return TransientError(
        f"{action}: the job had not ended in time. It goes on at BigQuery, and the next run waits for it first."
    )


def _of_network(action: str, error: Exception) -> KlaviyoAssetsError:
    from requests.exceptions import ContentDecodingError, InvalidJSONError, InvalidURL, TooManyRedirects

    if isinstance(error, InvalidJSONError | ContentDecodingError | TooManyRedirects):
        return TransientError(
            f"{action}: what answered is not BigQuery's API ({type(error).__name__}). Is a proxy or a login page in "
            "between? Run it again later."
        )
    if isinstance(error, InvalidURL):
        return SettingsError(f"{action}: BIGQUERY_EMULATOR_HOST is no address. Write http://host:port.")
    problem = network_problem(error)
    said = f"{action}: BigQuery cannot be reached: {problem.words}"
    if problem.is_permanent:
        return PermanentError(f"{said}. Check what is between here and BigQuery, and the clock of this machine.")
    return TransientError(f"{said}. Check the network, or run it again later.")


def _of_credentials(action: str, error: Any) -> KlaviyoAssetsError:
    """Errors of google-auth: nothing that its token server says in words is passed on, it may echo a token."""
    from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

    if isinstance(error, TransportError):
        problem = network_problem(error)
        kind = PermanentError if problem.is_permanent else TransientError
        return kind(
            f"{action}: Google's token server cannot be reached: {problem.words}. Check the network, or run it again "
            "later."
        )
    if isinstance(error, DefaultCredentialsError):
        return SettingsError(f"{action}: {no_credentials()}")
    code = _token_error(error)
    named = f" ({code})" if code else ""
    if error.retryable:
        return TransientError(f"{action}: Google's token server has no token for now{named}. Run it again later.")
    if isinstance(error, RefreshError) and not code and os.environ.get("BIGQUERY_EMULATOR_HOST"):
        return _refused(f"{action}: the request was not accepted (401)")
    clock = " If the key is right, set the clock of this machine." if code == "invalid_grant" else ""
    return SettingsError(
        f"{action}: Google does not accept the credentials{named}: they ended, or were revoked. {_SIGN_IN}{clock}"
    )


def _token_error(error: Any) -> str:
    """The code that the token server gave, such as invalid_grant."""
    for each in error.args:
        if isinstance(each, Mapping) and isinstance(each.get("error"), str):
            return str(each["error"])
    return ""


def no_credentials() -> str:
    """Why there are no Google credentials, and what to do."""
    path = os.environ.get(_KEY_FILE)
    if not path:
        return f"there are no Google credentials. {_SIGN_IN}"
    if not Path(path).is_file():
        return f"{_KEY_FILE} names {path!r}, and there is no such file. {_SIGN_IN}"
    return f"{_KEY_FILE} names {path!r}, which is not a key file of Google's. {_SIGN_IN}"
