"""What S3's refusals mean: would a rerun help, and if not, what would?

What belongs here: S3's error codes, boto3's own errors and network faults, as errors of this package. What does not:
limits on time (`transport/limited_http.py`), and what is asked.

Only codes are read; S3's messages are passed on and never parsed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.transport.limited_http import network_problem

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or the machine's role."
_REGION = "Set AWS_REGION to the region of the bucket (S3_BUCKET), and S3_ENDPOINT_URL to an address of that region."
_KMS = "Enable the bucket's KMS key, and grant these credentials kms:GenerateDataKey and kms:Decrypt on it."
_PERMISSIONS = (
    "Grant s3:ListBucket on the bucket (S3_BUCKET), s3:GetObject and s3:PutObject below the prefix (S3_PREFIX)."
)
_BUCKET = "Create the bucket, or set S3_BUCKET to one that exists."
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TRANSIENT_CODES = frozenset({
    "BadDigest", "BandwidthLimitExceeded", "Busy", "ConditionalRequestConflict", "IncompleteBody", "InternalError",
    "KMS.DependencyTimeoutException", "KMS.InternalException", "KMS.KMSInternalException", "KMS.ThrottlingException",
    "OperationAborted", "RequestLimitExceeded", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable",
    "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException", "XAmzContentSHA256Mismatch",
})  # fmt: skip
_PERMANENT_CODES: Mapping[str, str] = {
    "AccessDenied": _PERMISSIONS,
    "AccountProblem": "See the account's messages in Amazon's console.",
    "AllAccessDisabled": "See the account's messages in Amazon's console.",
    "AuthorizationHeaderMalformed": _REGION,
    "EntityTooLarge": "S3 takes no file above 5 GB in one piece: load the table in smaller partitions.",
    "ExpiredToken": "The session's credentials expired: sign in again, or give the machine a role.",
    "ExpiredTokenException": "The session's credentials expired: sign in again, or give the machine a role.",
    "IllegalLocationConstraintException": _REGION,
    "InvalidAccessKeyId": _KEYS,
    "InvalidBucketName": "Fix S3_BUCKET: 3 to 63 lowercase letters, digits, dots and dashes.",
    "InvalidObjectState": "The object is in an archive tier (Glacier): restore it first, and keep the prefix out of "
    "lifecycle rules that move objects there.",
    "InvalidToken": "AWS_SESSION_TOKEN does not belong to the access key. " + _KEYS,
    "MethodNotAllowed": "Is S3_ENDPOINT_URL the address of an S3 service?",
    "NoSuchBucket": _BUCKET,
    "NoSuchKey": "It was deleted in the meantime: materialize the partition again from extracted on.",
    "NotImplemented": "The store lacks conditional writes, which keep two runs from overwriting each other. "
    "Use Amazon S3, MinIO, or SeaweedFS 4 or newer.",
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "The clock of this machine is wrong by more than 15 minutes: set it.",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID. " + _KEYS,
    "TemporaryRedirect": _REGION,
    "TokenRefreshRequired": "The session's credentials expired: sign in again, or give the machine a role.",
}  # fmt: skip
# The codes of answers without a body, such as those to HEAD.
_BY_STATUS: Mapping[int, str] = {
    301: "PermanentRedirect", 307: "TemporaryRedirect", 403: "AccessDenied", 405: "MethodNotAllowed",
    501: "NotImplemented",
}  # fmt: skip


@contextmanager
def s3_explained(action: str) -> Iterator[None]:
    """Raise boto3's errors as errors of this package.

    Args:
        action: What was done, such as "archiving to s3://bucket/key": the message begins with it.

    Raises:
        TransientError: a rerun may help.
        PermanentError: somebody has to change something first.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except KlaviyoAssetsError:
        raise
    except ClientError as error:
        raise _of_answer(action, error) from error
    except BotoCoreError as error:
        raise _of_client(action, error) from error
    except (HTTPError, ResponseParserError, TimeoutError, ConnectionError) as error:
        raise _unreachable(action, error) from error


def status_of(error: "ClientError") -> int:
    """The HTTP status of a refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_damaged(error: "ClientError") -> bool:
    """Whether S3 refused an object because its bytes do not match the checksum that came with it."""
    return error.response.get("Error", {}).get("Code") in {"BadDigest", "XAmzContentSHA256Mismatch"}


def _of_answer(action: str, error: "ClientError") -> KlaviyoAssetsError:
    answer, status = error.response.get("Error", {}), status_of(error)
    code = str(answer.get("Code", ""))
    code = _BY_STATUS.get(status, code) if not code or code.isdigit() else code
    words = " ".join(str(answer.get("Message", "")).split()).rstrip(".")
    what = f"{action}: " + (f"{code}: {words}" if words and words != code else code or f"status {status}")
    if code in _TRANSIENT_CODES:
        return TransientError(what, "Run it again later.")
    if code in _PERMANENT_CODES:
        return PermanentError(what, _PERMANENT_CODES[code])
    if code.startswith("KMS."):
        return PermanentError(what, _KMS)
    if status >= 500 or status in {408, 409, 429}:
        return TransientError(what, "Run it again later.")
    return PermanentError(what, "Check S3_BUCKET, S3_ENDPOINT_URL and AWS_REGION.")


def _of_client(action: str, error: Exception) -> KlaviyoAssetsError:
    """What boto3 itself says: about credentials and settings, or that nothing came."""
    from botocore import exceptions as boto

    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return SettingsError(f"{action}: there are no AWS credentials", _KEYS)
    if isinstance(error, boto.TokenRetrievalError | boto.UnauthorizedSSOTokenError | boto.SSOError):
        return SettingsError(f"{action}: the sign-in with AWS expired", "Run `aws sso login`.")
    if isinstance(error, boto.CredentialRetrievalError):
        return SettingsError(f"{action}: the AWS credentials cannot be fetched", _KEYS)
    if isinstance(error, boto.ProfileNotFound | boto.ConfigParseError | boto.ConfigNotFound):
        return SettingsError(f"{action}: {error}", "Fix AWS_PROFILE, or the file that defines the profile.")
    if isinstance(error, boto.NoRegionError | boto.InvalidRegionError):
        return SettingsError(f"{action}: {error}", _REGION)
    if isinstance(error, boto.ParamValidationError):
        return SettingsError(f"{action}: {' '.join(str(error).split())}", "Check S3_BUCKET and S3_PREFIX.")
    return _unreachable(action, error)


def _unreachable(action: str, error: Exception) -> KlaviyoAssetsError:
    from botocore.exceptions import ChecksumError, FlexibleChecksumError, IncompleteReadError
    from botocore.parsers import ResponseParserError

    if isinstance(error, IncompleteReadError | ChecksumError | FlexibleChecksumError):
        return TransientError(
            f"{action}: S3 cannot be reached (S3_ENDPOINT_URL): the answer was cut off or damaged on its way",
            "Run it again later.",
        )
    if isinstance(error, ResponseParserError):
        return TransientError(
            f"{action}: the answer did not come from S3",
            "Is a proxy or a login page in between? Check S3_ENDPOINT_URL, or run it again later.",
        )
    problem = network_problem(error)
    what = f"{action}: S3 cannot be reached (S3_ENDPOINT_URL): {problem.words}"
    if problem.is_permanent:
        return PermanentError(what, "Check S3_ENDPOINT_URL, AWS_CA_BUNDLE and the clock of this machine.")
    return TransientError(what, "Check the network, or run it again later.")
