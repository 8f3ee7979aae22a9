"""S3: is the archive writable and readable, and does the store keep two runs from overwriting each other?

What belongs here: a probe object under each account's prefix, written, read and deleted. What does not: the archive
(`destinations/s3/archive.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.transport.limited_http import network_problem

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

S3 = "s3"
FOLDER = "_doctor"
_BODY = b"klaviyo-assets doctor"
_REFUSED = {409, 412}
_MISSING = {404}


def check_bucket(archive: S3Archive) -> Iterator[DoctorFinding]:
    """Check that the bucket exists and may be listed."""
    scope = Scope(S3)
    yield from _answered(scope, lambda: _bucket(scope, archive))


def check_account(archive: S3Archive, account: Account) -> Iterator[DoctorFinding]:
    """Test an object below the account's prefix: write, read, overwrite conditionally, delete."""
    scope = Scope(S3, account.name)
    key = f"{archive.folder(account.name, FOLDER, None)}/{uuid4().hex}"
    yield from _answered(scope, lambda: _probe(scope, archive, key))


def _answered(scope: Scope, check: Callable[[], Iterable[DoctorFinding]]) -> Iterator[DoctorFinding]:
    """The findings of a check; a missing answer and missing credentials are findings too."""
    from botocore.exceptions import BotoCoreError, HTTPClientError
    from botocore.exceptions import ConnectionError as UnreachableError

    try:
        yield from check()
    except BotoCoreError as error:
        # Its messages about a connection quote the address and headers, which may contain credentials.
        of_network = isinstance(error, HTTPClientError | UnreachableError)
        words = network_problem(error).words if of_network else " ".join(str(error).split())
        yield scope.fail(
            f"S3 does not respond: {words}",
            "Check S3_ENDPOINT_URL, AWS_REGION and the credentials (AWS_ACCESS_KEY_ID, a profile, or the machine's "
            "role).",
        )


def _bucket(scope: Scope, archive: S3Archive) -> Iterator[DoctorFinding]:
    from botocore.exceptions import ClientError

    try:
        archive.client.head_bucket(Bucket=archive.bucket)
    except ClientError as error:
        # A HEAD has no body, so its code is a number.
        if _status(error) not in _MISSING:
            yield _refused(scope, archive, "look into", "s3:ListBucket", error)
            return
        yield scope.fail(f"there is no bucket {archive.bucket!r}", "Create it, or set S3_BUCKET to one that exists.")
    else:
        yield scope.ok(f"bucket {archive.bucket} answers")


def _probe(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    written = list(_written(scope, archive, key))
    yield from written
    if written:
        return
    try:
        problems = [*_readable(scope, archive, key), *_conditional(scope, archive, key)]
    finally:
        left = list(_deleted(scope, archive, key))
    yield from (*problems, *left)
    if not problems and not left:
        yield scope.ok(f"s3://{archive.bucket}/{key.rpartition('/')[0]} is writable, readable and deletable, "
                       "and writes are conditional")  # fmt: skip


def _written(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    yield from _attempt(scope, archive, "write to", "s3:PutObject", lambda: _put(archive, key, IfNoneMatch="*"))


def _readable(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    def read() -> None:
        archive.client.get_object(Bucket=archive.bucket, Key=key)["Body"].read()

    yield from _attempt(scope, archive, "read from", "s3:GetObject", read)
    yield from _knows_what_is_missing(scope, archive, f"{key}-missing")


def _knows_what_is_missing(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    """Without s3:ListBucket, Amazon answers "denied" for an object that does not exist."""
    from botocore.exceptions import ClientError

    try:
        archive.client.get_object(Bucket=archive.bucket, Key=key)
    except ClientError as error:
        if _status(error) not in _MISSING:
            yield _refused(scope, archive, "see what is missing in", "s3:ListBucket", error)


def _conditional(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    """Check that the store refuses a write whose condition fails, which protects manifests from a second writer."""
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"00000000000000000000000000000000"'}):
        name = next(iter(condition))
        if _overwrites(archive, key, condition):
            yield scope.fail(
                f"the store ignores {name} and overwrote an object: two runs could overwrite each other's manifests",
                "Use a store with conditional writes (Amazon S3, MinIO, SeaweedFS 4 or newer).",
            )


def _overwrites(archive: S3Archive, key: str, condition: dict[str, str]) -> bool:
    from botocore.exceptions import ClientError

    try:
        _put(archive, key, **condition)
    except ClientError as error:
        if _status(error) not in _REFUSED:
            raise
        return False
    return True


def _deleted(scope: Scope, archive: S3Archive, key: str) -> Iterator[DoctorFinding]:
    from botocore.exceptions import ClientError

    try:
        archive.client.delete_object(Bucket=archive.bucket, Key=key)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        yield scope.warn(
            f"cannot delete from s3://{archive.bucket}/{key} ({code}), so the probe object stays there",
            "Allow s3:DeleteObject below the prefix if people can ask to be erased; loading does not need it.",
        )


def _attempt(
    scope: Scope, archive: S3Archive, doing: str, permission: str, action: Callable[[], Any]
) -> Iterator[DoctorFinding]:
    from botocore.exceptions import ClientError

    try:
        action()
    except ClientError as error:
        yield _refused(scope, archive, doing, permission, error)


def _put(archive: S3Archive, key: str, **condition: Any) -> None:
    archive.client.put_object(Bucket=archive.bucket, Key=key, Body=_BODY, **condition)


def _refused(scope: Scope, archive: S3Archive, doing: str, permission: str, error: "ClientError") -> DoctorFinding:
    answer = error.response.get("Error", {})
    reason = ": ".join(part for part in (answer.get("Code", ""), answer.get("Message", "")) if part)
    return scope.fail(
        f"cannot {doing} s3://{archive.bucket}/{archive.prefix} ({reason})",
        f"Allow {permission} there, and check S3_BUCKET, S3_PREFIX and the AWS credentials.",
    )


def _status(error: "ClientError") -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
