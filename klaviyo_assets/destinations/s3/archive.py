"""The archive: every mapped partition as an immutable Parquet part, and a manifest that names the current one.

Here: keys, conditional writes, manifests. Not here: the content of a part, and when it is written.

Parts are named by their SHA-256 and never overwritten, so earlier versions stay; the manifest is replaced last and
only if nobody else replaced it first. A crash leaves at most a part that no manifest names. A large account table
may be a whole part and deltas on it: the manifest names them all, in order.
"""

import base64
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from klaviyo_assets.destinations.s3.errors import is_damaged, s3_explained, status_of
from klaviyo_assets.destinations.s3.merged_parts import merge_parts
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames.record import FrameRecord, Part
from klaviyo_assets.transport.limited_http import no_longer_than
from klaviyo_assets.transport.time_limits import S3_CALL

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "_manifest.json"
FORMAT = 1
WITH_DELTAS = 2
# S3 answers 409 to a conditional write that collided with a concurrent one, and asks for a retry.
_CONFLICTS = 3
_AFTER_CONFLICT_SECONDS = 0.2
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """The archive's current content of one partition. Nothing in it depends on the run that wrote it.

    `part`, `sha256` and `bytes` are of the newest part, `rows` of the whole partition. Where there are deltas (format
    2), `parts` lists the whole part and the deltas in order: of rows that are equal in the columns `key`, the one of
    the latest part counts.
    """

    account: str
    table: str
    date: str | None
    part: str
    sha256: str
    rows: int
    bytes: int
    source_digest: str
    settings_fingerprint: str
    format: int = FORMAT
    parts: tuple[Part, ...] = ()
    key: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: FrameRecord, account: str, table: str, day: str | None) -> "Manifest":
        """The manifest of a partition that has just received a frame."""
        newest, state = record.parts[-1], record.state
        manifest = cls(
            account, table, day, part_name(newest.sha256), newest.sha256, record.table_rows, newest.bytes,
            record.source_digest, record.settings_fingerprint,
        )  # fmt: skip
        if state is None or len(record.parts) == 1:
            return manifest
        return replace(manifest, format=WITH_DELTAS, parts=record.parts, key=state.key)

    @classmethod
    def read(cls, text: str) -> "Manifest":
        """Read a manifest from its text."""
        content = json.loads(text)
        parts = tuple(Part(**part) for part in content.get("parts", ()))
        return cls(**{**content, "parts": parts, "key": tuple(content.get("key", ()))})

    @property
    def text(self) -> str:
        """As written to S3."""
        content = asdict(self)
        if not self.parts:
            del content["parts"], content["key"]
        return json.dumps(content, sort_keys=True, indent=2) + "\n"

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The parts that make up the partition, in order."""
        return self.parts or (Part(self.sha256, self.rows, self.bytes),)


def part_name(sha256: str) -> str:
    """The file name of a part."""
    return f"part-{sha256}.parquet"


@dataclass(frozen=True)
class Archived:
    """The outcome of archiving a partition."""

    uri: str
    manifest: Manifest
    part_written: bool
    manifest_written: bool


@dataclass(frozen=True)
class S3Archive:
    """The archive in one bucket and prefix."""

    client: "S3Client"
    bucket: str
    prefix: str
    call_seconds: float = S3_CALL.seconds

    def folder(self, account: str, table: str, day: str | None) -> str:
        """Key prefix of one partition."""
        parts = [self.prefix.strip("/"), account, table, f"date={day}" if day else ""]
        return "/".join(part for part in parts if part)

    def archive(self, path: Path, record: FrameRecord, account: str, table: str, day: str | None) -> Archived:
        """Write a mapped partition, unless the archive already has exactly this content.

        Raises:
            TransientError: S3 could not be reached, or a concurrent writer replaced the manifest.
            PermanentError: S3 refused: the message names bucket, key and what is allowed. Or the frame is a delta on
                a base other than the one in the archive.
        """
        folder = self.folder(account, table, day)
        manifest = Manifest.of(record, account, table, day)
        below = record.state.below if record.state else ()
        with self.bounded(f"archiving to s3://{self.bucket}/{folder}"):
            # An empty delta does not become a part.
            part_written = manifest.sha256 == record.sha256 and self._put_part(
                path, f"{folder}/{manifest.part}", record
            )
            manifest_written = self._put_manifest(f"{folder}/{MANIFEST}", manifest, below)
        return Archived(f"s3://{self.bucket}/{folder}/{manifest.part}", manifest, part_written, manifest_written)

    def manifest(self, account: str, table: str, day: str | None) -> Manifest | None:
        """The current manifest of a partition; None if it was never archived."""
        key = f"{self.folder(account, table, day)}/{MANIFEST}"
        with self.bounded(f"reading s3://{self.bucket}/{key}"):
            stored_object = self._read(key)
        return self._manifest_of(stored_object[0], key) if stored_object else None

    def fetch(self, manifest: Manifest, target: Path) -> None:
        """Download the part of a manifest, or its parts merged into one, and verify their checksums.

        Raises:
            PermanentError: the archive's content does not match the manifest.
        """
        if not manifest.parts:
            self._fetch_part(manifest, manifest.sha256, target)
            return
        with TemporaryDirectory(prefix="klaviyo_assets-") as name:
            files = [Path(name) / f"{number}.parquet" for number in range(len(manifest.parts))]
            for part, file in zip(manifest.parts, files, strict=True):
                self._fetch_part(manifest, part.sha256, file)
            merged_file = Path(name) / "merged"
            merged_file.mkdir()
            shutil.move(merge_parts(files, manifest.key, merged_file), target)

    def publish(self, account: str, name: str, week: str, file: str, content: bytes, content_type: str) -> str:
        """Store a page for people beside the archive, over any earlier one; it is not in a manifest.

        Returns:
            Its URI: `s3://<bucket>/<prefix>/<account>/<name>/week=<week>/<file>`.

        Raises:
            TransientError: S3 could not be reached.
            PermanentError: S3 refused.
        """
        key = "/".join(part for part in (self.prefix.strip("/"), account, name, f"week={week}", file) if part)
        with self.bounded(f"writing s3://{self.bucket}/{key}"):
            answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)
            self._require_etag(answer, key)
        return f"s3://{self.bucket}/{key}"

    def part_key(self, manifest: Manifest, sha256: str) -> str:
        """Key of one of a manifest's parts."""
        return f"{self.folder(manifest.account, manifest.table, manifest.date)}/{part_name(sha256)}"

    def _fetch_part(self, manifest: Manifest, sha256: str, target: Path) -> None:
        key = self.part_key(manifest, sha256)
        with self.bounded(f"reading s3://{self.bucket}/{key}"), target.open("wb") as file:
            for chunk in self._get(key)["Body"].iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
        digest = _sha256(target)
        if digest != sha256:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is damaged: its SHA-256 is {digest}, but the manifest says {sha256}",
                "Materialize the partition again from extracted on (a large account table with whole = true).",
            )

    def _put_part(self, path: Path, key: str, record: FrameRecord) -> bool:
        from botocore.exceptions import ClientError

        checksum = base64.b64encode(bytes.fromhex(record.sha256)).decode()
        try:
            with path.open("rb") as content:
                return self._put_if(key, content, IfNoneMatch="*", ChecksumSHA256=checksum)
        except ClientError as error:
            # Bytes that changed in transit are sent again; bytes that were wrong from the start are not.
            if not is_damaged(error) or _sha256(path) == record.sha256:
                raise
            raise PermanentError(
                f"the mapped file for s3://{self.bucket}/{key} does not match its record: its SHA-256 is "
                f"{_sha256(path)}",
                "Materialize the partition again from extracted on.",
            ) from error

    def _put_manifest(self, key: str, manifest: Manifest, below: Sequence[Part]) -> bool:
        current = self._read(key)
        if current is not None and current[0] == manifest.text:
            return False
        if below and (current is None or self._manifest_of(current[0], key).all_parts[: len(below)] != tuple(below)):
            raise PermanentError(
                f"s3://{self.bucket}/{key} has changed since the changed rows were read",
                "Materialize the table again from extracted on.",
            )
        condition = {"IfMatch": current[1]} if current else {"IfNoneMatch": "*"}
        if not self._put_if(key, manifest.text.encode(), ContentType="application/json", **condition):
            raise TransientError(
                f"another run replaced s3://{self.bucket}/{key} at the same time", "Materialize the partition again."
            )
        return True

    def _put_if(self, key: str, body: Any, **condition: Any) -> bool:
        """Put an object if its condition holds; returns False if not. Only a 412 says so."""
        from botocore.exceptions import ClientError

        for repetition in range(_CONFLICTS + 1):
            try:
                answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition)
            except ClientError as error:
                if status_of(error) == 412:
                    return False
                if status_of(error) != 409 or repetition == _CONFLICTS:
                    raise
                time.sleep(_AFTER_CONFLICT_SECONDS * 2**repetition)
                if hasattr(body, "seek"):
                    body.seek(0)
            else:
                self._require_etag(answer, key)
                return True
        raise AssertionError("the last repetition returns or raises")

    def _read(self, key: str) -> tuple[str, str] | None:
        try:
            stored_object = self._get(key)
        except self.client.exceptions.NoSuchKey:
            return None
        return stored_object["Body"].read().decode(errors="replace"), stored_object["ETag"]

    def _get(self, key: str) -> Any:
        """S3's answer with an object. It must state its length: a cut answer would look complete otherwise."""
        answer: Any = self.client.get_object(Bucket=self.bucket, Key=key)
        self._require_etag(answer, key)
        if answer.get("ContentLength") is None:
            raise TransientError(f"reading s3://{self.bucket}/{key}: the answer was cut off", "Run it again later.")
        return answer

    def _require_etag(self, answer: Any, key: str) -> None:
        """The ETag, which S3 sends with every object that it stored or returned; a login page's 200 has none."""
        if not answer.get("ETag"):
            raise TransientError(
                f"s3://{self.bucket}/{key}: the answer did not come from S3",
                "Is a proxy or a login page in between? Check S3_ENDPOINT_URL, or run it again later.",
            )

    def _manifest_of(self, text: str, key: str) -> Manifest:
        try:
            return Manifest.read(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is not a manifest",
                "Restore its previous version, or delete it and materialize the partition again from extracted on.",
            ) from error

    @contextmanager
    def bounded(self, action: str) -> Iterator[None]:
        """Bound the time of a call, and raise S3's errors as ours."""
        with s3_explained(action), no_longer_than(self.call_seconds):
            yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
