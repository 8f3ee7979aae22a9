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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from klaviyo_assets.destinations.merged_parts import merge_parts
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames import FrameRecord, Part

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "_manifest.json"
FORMAT = 1
WITH_DELTAS = 2


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
        try:
            # A delta that adds nothing is no part.
            part_written = manifest.sha256 == record.sha256 and self._put_part(
                path, f"{folder}/{manifest.part}", record
            )
            manifest_written = self._put_manifest(f"{folder}/{MANIFEST}", manifest, below)
        except Exception as error:
            raise self._translated(error, folder) from error
        return Archived(f"s3://{self.bucket}/{folder}/{manifest.part}", manifest, part_written, manifest_written)

    def manifest(self, account: str, table: str, day: str | None) -> Manifest | None:
        """The current manifest of a partition; None when it was never archived."""
        try:
            found = self._read(f"{self.folder(account, table, day)}/{MANIFEST}")
        except Exception as error:
            raise self._translated(error, self.folder(account, table, day)) from error
        return Manifest.read(found[0]) if found else None

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
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)
        except Exception as error:
            raise self._translated(error, key) from error
        return f"s3://{self.bucket}/{key}"

    def part_key(self, manifest: Manifest, sha256: str) -> str:
        """Key of one of a manifest's parts."""
        return f"{self.folder(manifest.account, manifest.table, manifest.date)}/{part_name(sha256)}"

    def _fetch_part(self, manifest: Manifest, sha256: str, target: Path) -> None:
        key = self.part_key(manifest, sha256)
        try:
            self.client.download_file(self.bucket, key, str(target))
        except Exception as error:
            raise self._translated(error, key) from error
        with target.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != sha256:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is damaged: its SHA-256 is {found}, the manifest says {sha256}. "
                "Materialize the partition again from extracted on (a large account table with whole = true)."
            )

    def _put_part(self, path: Path, key: str, record: FrameRecord) -> bool:
        checksum = base64.b64encode(bytes.fromhex(record.sha256)).decode()
        with path.open("rb") as content:
            return self._put_if(key, content, IfNoneMatch="*", ChecksumSHA256=checksum)

    def _put_manifest(self, key: str, manifest: Manifest, below: Sequence[Part]) -> bool:
        found = self._read(key)
        if found is not None and found[0] == manifest.text:
            return False
        if below and (found is None or Manifest.read(found[0]).all_parts[: len(below)] != tuple(below)):
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
        """Put an object if its condition holds; False when it does not."""
        from botocore.exceptions import ClientError

        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in {409, 412}:
                return False
            raise
        return True

    def _read(self, key: str) -> tuple[str, str] | None:
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=key)
        except self.client.exceptions.NoSuchKey:
            return None
        return found["Body"].read().decode(), found["ETag"]

    def _translated(self, error: Exception, key: str) -> Exception:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as BotoConnectionError

        where = f"archiving to s3://{self.bucket}/{key}"
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = error.response.get("Error", {}).get("Code", "")
            described = f"{where}: {code}: {error.response.get('Error', {}).get('Message', '')}"
            if status >= 500 or status == 429:
                return TransientError(described)
            return PermanentError(
                f"{described}. Needed: an existing bucket (S3_BUCKET) with s3:ListBucket on it, and s3:GetObject "
                "and s3:PutObject below the prefix."
            )
        if isinstance(error, BotoConnectionError | HTTPClientError):
            return TransientError(f"{where}: S3 cannot be reached (S3_ENDPOINT_URL): {error}")
        return PermanentError(f"{where}: {error}") if isinstance(error, BotoCoreError) else error
