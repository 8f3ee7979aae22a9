"""What BigQuery's refusals mean: would a rerun help, and if not, what would?

What belongs here: the reasons of BigQuery's API, Google's errors about credentials, and network faults, as errors of
this package. What does not: limits on time (`transport/limited_http.py`), and what is asked.

Only codes are read: `errors[].reason`, the status, and the `error` of Google's token server. BigQuery's messages are
passed on and never parsed.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from klaviyo_assets.errors import KlaviyoAssetsError, NotFoundError, PermanentError, SettingsError, TransientError
from klaviyo_assets.transport.limited_http import LimitReachedError, network_problem, no_longer_than
from klaviyo_assets.transport.time_limits import BIGQUERY_ACTION

_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_ROLES = "Grant BigQuery Data Editor on the dataset and BigQuery Job User on the project (BIGQUERY_PROJECT)."
# What to do about a reason: https://cloud.google.com/bigquery/docs/error-messages
_TRANSIENT_REASONS: Mapping[str, str] = {
    "backendError": "BigQuery is not available at the moment.",
    "badGateway": "BigQuery is not available at the moment.",
    "blocked": "BigQuery has blocked the project for a while; see the project's messages in Google's console.",
    "internalError": "BigQuery failed internally.",
    "jobBackendError": "BigQuery is not available at the moment.",
    "jobInternalError": "BigQuery failed internally.",
    "jobRateLimitExceeded": "Too many jobs were started within a short time (docs/scale.md).",
    "quotaExceeded": "A quota is used up. It refills within a day (docs/scale.md); raise it in Google's console under "
    "IAM & Admin, Quotas.",
    "rateLimitExceeded": "Too many requests, or changes of one table, came within a short time (docs/scale.md).",
    "resourceInUse": "Another job holds the resource.",
    "stopped": "The job was canceled, by somebody or by BigQuery.",
    "tableUnavailable": "BigQuery is working on the table.",
    "timeout": "The job took too long.",
    "userRateLimitExceeded": "Too many requests came within a short time (docs/scale.md).",
}
_PERMANENT_REASONS: Mapping[str, str] = {
    "accessDenied": _ROLES,
    "billingNotEnabled": "Link a billing account to the project (BIGQUERY_PROJECT).",
    "billingTierLimitExceeded": "Ask for fewer days at once.",
    "duplicate": "It already exists.",
    "insufficientPermissions": _ROLES,
    "notFound": "Check BIGQUERY_PROJECT, BIGQUERY_DATASET_PREFIX and BIGQUERY_LOCATION: a dataset is found only in the "
    "location that it was created in.",
    "notImplemented": "BigQuery does not offer this here.",
    "proxyAuthenticationRequired": "Put a user and a password into HTTPS_PROXY.",
    "resourcesExceeded": "Ask for fewer days at once.",
    "responseTooLarge": "Ask for fewer rows or columns.",
}
_SIGN_IN = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service "
    "account."
)


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Raise Google's errors as errors of this package, within the time for one action.

    Args:
        action: What was done, such as "loading p.d.event": the message begins with it.

    Raises:
        TransientError: a rerun may help.
        NotFoundError: BigQuery does not have what was asked for.
        PermanentError: somebody has to change something first.
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


def refusal_words(error: KlaviyoAssetsError) -> str | None:
    """What BigQuery says about a statement that it refused; None if the error is not such a refusal."""
    from google.api_core.exceptions import BadRequest, NotFound

    refusal = error.__cause__
    if not isinstance(refusal, BadRequest | NotFound):
        return None
    _, words = _reason_and_words(refusal)
    return words or _one_line(str(refusal.message))


def _ours(action: str, error: Exception) -> KlaviyoAssetsError:
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, RetryError):
        last_error = error.cause
        if isinstance(last_error, GoogleAuthError):
            return _of_credentials(action, last_error)
        is_error = isinstance(last_error, Exception)
        return _ours(action, last_error) if is_error else TransientError(f"{action}: no answer in time")
    if isinstance(error, GoogleAPICallError):
        return _of_answer(action, error)
    return _of_network(action, error)


def _of_answer(action: str, error: Any) -> KlaviyoAssetsError:
    """What BigQuery answered, by its reason; by the status if something else answered."""
    reason, words = _reason_and_words(error)
    code = int(error.code or 0)
    if not reason and not words:
        return _of_status(action, code)
    what = f"{action}: {words or reason} ({reason or code})"
    if reason in _TRANSIENT_REASONS:
        return TransientError(what, f"{_TRANSIENT_REASONS[reason]} Run it again later.")
    if code == 404:
        return NotFoundError(what, _PERMANENT_REASONS["notFound"])
    if reason in _PERMANENT_REASONS:
        return PermanentError(what, _PERMANENT_REASONS[reason])
    if code == 401:
        return _of_refused_login(what)
    return TransientError(what, "Run it again later.") if _is_transient(code) else PermanentError(what)


def _reason_and_words(error: Any) -> tuple[str, str]:
    """BigQuery's short word for what happened and its message; both are empty if something else answered."""
    entries = [entry for entry in error.errors or () if isinstance(entry, Mapping)]
    reason = next((str(entry["reason"]) for entry in entries if entry.get("reason")), "")
    return reason, _one_line(next((str(entry["message"]) for entry in entries if entry.get("message")), ""))


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _is_transient(status: int) -> bool:
    return status >= 500 or status in {408, 429}


def _of_status(action: str, code: int) -> KlaviyoAssetsError:
    what = f"{action}: the answer has status {code} and did not come from BigQuery"
    if code == 401:
        return _of_refused_login(what)
    if _is_transient(code):
        return TransientError(what, "Run it again later.")
    return PermanentError(what, "Is a proxy or a login page in between?")


def _of_refused_login(what: str) -> KlaviyoAssetsError:
    is_local = bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))
    token = " BIGQUERY_EMULATOR_TOKEN has to be that of the stand-in." if is_local else ""
    return SettingsError(what, f"Google does not accept the credentials. {_SIGN_IN}{token}")


def _late(action: str, error: TimeoutError) -> KlaviyoAssetsError:
    """Google's client gives up waiting for a job with an error of its own, which names no job."""
    if isinstance(error, LimitReachedError):
        return _of_network(action, error)
    return TransientError(
        f"{action}: the job had not ended in time", "It goes on at BigQuery, and the next run waits for it first."
    )


def _of_network(action: str, error: Exception) -> KlaviyoAssetsError:
    from requests.exceptions import ContentDecodingError, InvalidJSONError, InvalidURL, TooManyRedirects

    if isinstance(error, InvalidJSONError | ContentDecodingError | TooManyRedirects):
        return TransientError(
            f"{action}: the answer did not come from BigQuery's API ({type(error).__name__})",
            "Is a proxy or a login page in between? Run it again later.",
        )
    if isinstance(error, InvalidURL):
        return SettingsError(f"{action}: BIGQUERY_EMULATOR_HOST is not an address", "Write http://host:port.")
    problem = network_problem(error)
    what = f"{action}: BigQuery cannot be reached: {problem.words}"
    if problem.is_permanent:
        return PermanentError(what, "Check any proxy or firewall in between, and the clock of this machine.")
    return TransientError(what, "Check the network, or run it again later.")


def _of_credentials(action: str, error: Any) -> KlaviyoAssetsError:
    """Errors of google-auth; the words of its token server are not passed on, because they may echo a token."""
    from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

    if isinstance(error, TransportError):
        problem = network_problem(error)
        kind = PermanentError if problem.is_permanent else TransientError
        what = f"{action}: Google's token server cannot be reached: {problem.words}"
        return kind(what, "Check the network, or run it again later.")
    if isinstance(error, DefaultCredentialsError):
        missing = no_credentials()
        return SettingsError(f"{action}: {missing.what}", missing.fix)
    code = _token_error(error)
    suffix = f" ({code})" if code else ""
    if error.retryable:
        what = f"{action}: Google's token server cannot issue a token now{suffix}"
        return TransientError(what, "Run it again later.")
    if isinstance(error, RefreshError) and not code and os.environ.get("BIGQUERY_EMULATOR_HOST"):
        return _of_refused_login(f"{action}: the request was not accepted (401)")
    clock = " If the key is right, set the clock of this machine." if code == "invalid_grant" else ""
    return SettingsError(
        f"{action}: Google does not accept the credentials{suffix}: they expired or were revoked", f"{_SIGN_IN}{clock}"
    )


def _token_error(error: Any) -> str:
    """The code that the token server gave, such as invalid_grant."""
    for argument in error.args:
        if isinstance(argument, Mapping) and isinstance(argument.get("error"), str):
            return str(argument["error"])
    return ""


def no_credentials() -> SettingsError:
    """Why there are no Google credentials, and what to do."""
    path = os.environ.get(_KEY_FILE)
    if not path:
        return SettingsError("there are no Google credentials", _SIGN_IN)
    if not Path(path).is_file():
        return SettingsError(f"{_KEY_FILE} is {path!r}, which does not exist", _SIGN_IN)
    return SettingsError(f"{_KEY_FILE} is {path!r}, which is not a key file of Google's", _SIGN_IN)
