"""The archive: every mapped partition as an immutable Parquet part, and a manifest that names the current one.

Here: keys, conditional writes, manifests. Not here: what is in a part, and when it is written.

Parts are named by their SHA-256 and never overwritten, so earlier versions stay; the manifest is replaced last and
only if nobody else replaced it meanwhile. A crash leaves at most a part that no manifest names. A large account table
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
# S3 answers 409 to a conditional write that met another one on its way, and asks to write again.
_CONFLICTS = 3
_AFTER_CONFLICT_SECONDS = 0.2
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What the archive holds of one partition now. Nothing in it depends on the run that wrote it.

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
        """What the archive holds of a partition once a frame is in it."""
        newest, state = record.parts[-1], record.state
        made = cls(
            account, table, day, part_name(newest.sha256), newest.sha256, record.table_rows, newest.bytes,
            record.source_digest, record.settings_fingerprint,
        )  # fmt: skip
        if state is None or len(record.parts) == 1:
            return made
        return replace(made, format=WITH_DELTAS, parts=record.parts, key=state.key)

    @classmethod
    def read(cls, text: str) -> "Manifest":
        """From its text."""
        known = json.loads(text)
        parts = tuple(Part(**part) for part in known.get("parts", ()))
        return cls(**{**known, "parts": parts, "key": tuple(known.get("key", ()))})

    @property
    def text(self) -> str:
        """As written to S3."""
        known = asdict(self)
        if not self.parts:
            del known["parts"], known["key"]
        return json.dumps(known, sort_keys=True, indent=2) + "\n"

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
    """Archive of one bucket and prefix."""

    client: "S3Client"
    bucket: str
    prefix: str
    call_seconds: float = S3_CALL.seconds

    def folder(self, account: str, table: str, day: str | None) -> str:
        """Key prefix of one partition."""
        parts = [self.prefix.strip("/"), account, table, f"date={day}" if day else ""]
        return "/".join(part for part in parts if part)

    def archive(self, path: Path, record: FrameRecord, account: str, table: str, day: str | None) -> Archived:
        """Write a mapped partition, unless the archive holds exactly it already.

        Raises:
            TransientError: S3 could not be reached, or another writer replaced the manifest at the same time.
            PermanentError: S3 refused: the message names bucket, key and what is allowed. Or the frame is a delta on
                something else than the archive holds.
        """
        folder = self.folder(account, table, day)
        manifest = Manifest.of(record, account, table, day)
        below = record.state.below if record.state else ()
        with self.bounded(f"archiving to s3://{self.bucket}/{folder}"):
            # A delta that adds nothing is no part.
            part_written = manifest.sha256 == record.sha256 and self._put_part(
                path, f"{folder}/{manifest.part}", record
            )
            manifest_written = self._put_manifest(f"{folder}/{MANIFEST}", manifest, below)
        return Archived(f"s3://{self.bucket}/{folder}/{manifest.part}", manifest, part_written, manifest_written)

    def manifest(self, account: str, table: str, day: str | None) -> Manifest | None:
        """The current manifest of a partition; None when it was never archived."""
        key = f"{self.folder(account, table, day)}/{MANIFEST}"
        with self.bounded(f"reading s3://{self.bucket}/{key}"):
            found = self._read(key)
        return self._manifest_of(found[0], key) if found else None

    def fetch(self, manifest: Manifest, target: Path) -> None:
        """Download what a manifest names, and make sure it is that: the part, or its parts merged into one.

        Raises:
            PermanentError: what is in the archive is not what the manifest says.
        """
        if not manifest.parts:
            self._fetch_part(manifest, manifest.sha256, target)
            return
        with TemporaryDirectory(prefix="klaviyo_assets-") as name:
            files = [Path(name) / f"{number}.parquet" for number in range(len(manifest.parts))]
            for part, file in zip(manifest.parts, files, strict=True):
                self._fetch_part(manifest, part.sha256, file)
            merged = Path(name) / "merged"
            merged.mkdir()
            shutil.move(merge_parts(files, manifest.key, merged), target)

    def publish(self, account: str, name: str, week: str, file: str, content: bytes, content_type: str) -> str:
        """Put a page for people beside the archive, over an earlier one; no manifest knows it.

        Returns:
            Its URI: `s3://<bucket>/<prefix>/<account>/<name>/week=<week>/<file>`.

        Raises:
            TransientError: S3 could not be reached.
            PermanentError: S3 refused.
        """
        key = "/".join(part for part in (self.prefix.strip("/"), account, name, f"week={week}", file) if part)
        with self.bounded(f"writing s3://{self.bucket}/{key}"):
            written = self.client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)
            self._require_etag(written, key)
        return f"s3://{self.bucket}/{key}"

    def part_key(self, manifest: Manifest, sha256: str) -> str:
        """Key of one of a manifest's parts."""
        return f"{self.folder(manifest.account, manifest.table, manifest.date)}/{part_name(sha256)}"

    def _fetch_part(self, manifest: Manifest, sha256: str, target: Path) -> None:
        key = self.part_key(manifest, sha256)
        with self.bounded(f"reading s3://{self.bucket}/{key}"), target.open("wb") as file:
            for chunk in self._get(key)["Body"].iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
        found = _sha256(target)
        if found != sha256:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is damaged: its SHA-256 is {found}, the manifest says {sha256}. "
                "Materialize the partition again from extracted on (a large account table with whole = true)."
            )

    def _put_part(self, path: Path, key: str, record: FrameRecord) -> bool:
        from botocore.exceptions import ClientError

        checksum = base64.b64encode(bytes.fromhex(record.sha256)).decode()
        try:
            with path.open("rb") as content:
                return self._put_if(key, content, IfNoneMatch="*", ChecksumSHA256=checksum)
        except ClientError as error:
            # Bytes that changed on their way are sent again; bytes that were other ones from the start are not.
            if not is_damaged(error) or _sha256(path) == record.sha256:
                raise
            raise PermanentError(
                f"the mapped file for s3://{self.bucket}/{key} is not what its record says: its SHA-256 is "
                f"{_sha256(path)}. Materialize the partition again from extracted on."
            ) from error

    def _put_manifest(self, key: str, manifest: Manifest, below: Sequence[Part]) -> bool:
        found = self._read(key)
        if found is not None and found[0] == manifest.text:
            return False
        if below and (found is None or self._manifest_of(found[0], key).all_parts[: len(below)] != tuple(below)):
            raise PermanentError(
                f"s3://{self.bucket}/{key} is not what the changed rows were read for; materialize the table again "
                "from extracted on"
            )
        condition = {"IfMatch": found[1]} if found else {"IfNoneMatch": "*"}
        if not self._put_if(key, manifest.text.encode(), ContentType="application/json", **condition):
            raise TransientError(
                f"another run replaced s3://{self.bucket}/{key} at the same time; materialize the partition again"
            )
        return True

    def _put_if(self, key: str, body: Any, **condition: Any) -> bool:
        """Put an object if its condition holds; False when it does not, which 412 says and nothing else."""
        from botocore.exceptions import ClientError

        for repetition in range(_CONFLICTS + 1):
            try:
                written = self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition)
            except ClientError as error:
                if status_of(error) == 412:
                    return False
                if status_of(error) != 409 or repetition == _CONFLICTS:
                    raise
                time.sleep(_AFTER_CONFLICT_SECONDS * 2**repetition)
                if hasattr(body, "seek"):
                    body.seek(0)
            else:
                self._require_etag(written, key)
                return True
        raise AssertionError("the last repetition returns or raises")

    def _read(self, key: str) -> tuple[str, str] | None:
        try:
            found = self._get(key)
        except self.client.exceptions.NoSuchKey:
            return None
        return found["Body"].read().decode(errors="replace"), found["ETag"]

    def _get(self, key: str) -> Any:
        """S3's answer with an object. Without its length, what comes of a cut connection would pass for the whole."""
        answer: Any = self.client.get_object(Bucket=self.bucket, Key=key)
        self._require_etag(answer, key)
        if answer.get("ContentLength") is None:
            raise TransientError(f"reading s3://{self.bucket}/{key}: the answer was cut off. Run it again later.")
        return answer

    def _require_etag(self, answer: Any, key: str) -> None:
        """The ETag of an object, which S3 names whenever it took or gave one: a login page's 200 has none."""
        if not answer.get("ETag"):
            raise TransientError(
                f"s3://{self.bucket}/{key}: what answered is not S3. Is a proxy or a login page in between? Check "
                "S3_ENDPOINT_URL, or run it again later."
            )

    def _manifest_of(self, text: str, key: str) -> Manifest:
        try:
            return Manifest.read(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is not a manifest. Restore its earlier version, or delete it and "
                "materialize the partition again from extracted on."
            ) from error

    @contextmanager
    def bounded(self, action: str) -> Iterator[None]:
        """S3's errors as ours, within the time that a call may take."""
        with s3_explained(action), no_longer_than(self.call_seconds):
            yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
