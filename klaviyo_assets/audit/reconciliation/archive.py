"""What the archive holds: the manifest of each partition, and the objects it names.

Here: reading S3, several partitions at a time. Not here: writing (`destinations/s3/archive.py`), comparing.
"""

import base64
import hashlib
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from klaviyo_assets.destinations.s3.archive import Manifest, S3Archive
from klaviyo_assets.destinations.s3.errors import status_of
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.frames.record import Part

_AT_ONCE = 8
_NO_SUCH_OBJECT = 404


@dataclass(frozen=True)
class ArchivedObject:
    """A part that the newest one builds on.

    Attributes:
        part: Its entry in the manifest.
        uri: Its address.
        bytes: The actual size of the object; None if there is no object.
        sha256: The hash of its content, as in `ArchivedPart`.
    """

    part: Part
    uri: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class ArchivedPart:
    """A partition in the archive.

    Attributes:
        manifest: What the archive says it holds.
        uri: The address of the manifest's newest part.
        bytes: The actual size of the object; None if there is no object.
        sha256: The hash of its content, if the content was read or S3 keeps the hash; None if it is unknown.
        below: The parts that the newest part builds on, if it is a delta.
        merged_rows: Rows of all parts merged, if they were read; if not, None.
    """

    manifest: Manifest
    uri: str
    bytes: int | None
    sha256: str | None
    below: tuple[ArchivedObject, ...] = ()
    merged_rows: int | None = None


def archived_parts(
    archive: S3Archive, account: str, partitions: Iterable[tuple[str, date | None]], *, deep: bool
) -> dict[tuple[str, date | None], ArchivedPart]:
    """The current part of each partition that has a manifest.

    Args:
        archive: The archive.
        account: The account's name.
        partitions: Table and day of each; None as the day of account tables.
        deep: Whether to read every object and hash its content.

    Raises:
        TransientError: S3 cannot be reached.
        PermanentError: S3 refuses.
    """
    keys = list(partitions)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        parts = pool.map(lambda key: _part(archive, account, *key, deep=deep), keys)
        return {key: part for key, part in zip(keys, parts, strict=True) if part is not None}


def _part(archive: S3Archive, account: str, table: str, day: date | None, *, deep: bool) -> ArchivedPart | None:
    manifest = archive.manifest(account, table, day.isoformat() if day else None)
    if manifest is None:
        return None
    *below, newest = [_object(archive, manifest, part, deep=deep) for part in manifest.all_parts]
    merged_rows = _merged_rows(archive, manifest) if deep and below else None
    return ArchivedPart(manifest, newest.uri, newest.bytes, newest.sha256, tuple(below), merged_rows)


def _object(archive: S3Archive, manifest: Manifest, part: Part, *, deep: bool) -> ArchivedObject:
    key = archive.part_key(manifest, part.sha256)
    size, sha256 = _content_of(archive, key) if deep else _head_of(archive, key)
    return ArchivedObject(part, f"s3://{archive.bucket}/{key}", size, sha256)


def _merged_rows(archive: S3Archive, manifest: Manifest) -> int | None:
    """Rows of the partition as it would be loaded; None if a part is damaged, which is a finding of its own."""
    with tempfile.TemporaryDirectory(prefix="klaviyo_assets-") as folder:
        target = Path(folder) / "rows.parquet"
        try:
            archive.fetch(manifest, target)
        except PermanentError:
            return None
        return int(pq.ParquetFile(target).metadata.num_rows)


def _head_of(archive: S3Archive, key: str) -> tuple[int | None, str | None]:
    """The size, and the hash if S3 keeps one."""
    answer = _ask(archive, "head_object", key, ChecksumMode="ENABLED")
    if answer is None:
        return None, None
    # A checksum with a dash is that of several upload parts, not of the content.
    checksum = answer.get("ChecksumSHA256", "")
    return int(answer["ContentLength"]), base64.b64decode(checksum).hex() if checksum and "-" not in checksum else None


def _content_of(archive: S3Archive, key: str) -> tuple[int | None, str | None]:
    answer = _ask(archive, "get_object", key)
    if answer is None:
        return None, None
    digest, size = hashlib.sha256(), 0
    with archive.bounded(_looking_at(archive, key)):
        for block in answer["Body"].iter_chunks(1 << 20):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _ask(archive: S3Archive, call: str, key: str, **options: Any) -> Any:
    """S3's answer about an object; None if there is no such object."""
    from botocore.exceptions import ClientError

    with archive.bounded(_looking_at(archive, key)):
        try:
            return getattr(archive.client, call)(Bucket=archive.bucket, Key=key, **options)
        except ClientError as error:
            if status_of(error) == _NO_SUCH_OBJECT:
                return None
            raise


def _looking_at(archive: S3Archive, key: str) -> str:
    return f"looking at s3://{archive.bucket}/{key}"
