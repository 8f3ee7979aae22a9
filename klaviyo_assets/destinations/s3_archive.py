"""The archive: every mapped partition as an immutable Parquet part, and a manifest that names the current one.

Here: keys, conditional writes, manifests. Not here: what is in a part, and when it is written.

Parts are named by their SHA-256 and never overwritten, so earlier versions stay; the manifest is replaced last and
only if nobody else replaced it meanwhile. A crash leaves at most a part that no manifest names.
"""

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames import FrameRecord

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "_manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What the archive holds of one partition now. Nothing in it depends on the run that wrote it."""

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

    @property
    def text(self) -> str:
        """As written to S3."""
        return json.dumps(asdict(self), sort_keys=True, indent=2) + "\n"


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
            PermanentError: S3 refused: the message names bucket, key and what is allowed.
        """
        part = f"part-{record.sha256}.parquet"
        folder = self.folder(account, table, day)
        manifest = Manifest(
            account, table, day, part, record.sha256, record.rows, record.bytes, record.source_digest,
            record.settings_fingerprint,
        )  # fmt: skip
        try:
            part_written = self._put_part(path, f"{folder}/{part}", record)
            manifest_written = self._put_manifest(f"{folder}/{MANIFEST}", manifest)
        except Exception as error:
            raise self._translated(error, folder) from error
        return Archived(f"s3://{self.bucket}/{folder}/{part}", manifest, part_written, manifest_written)

    def manifest(self, account: str, table: str, day: str | None) -> Manifest | None:
        """The current manifest of a partition; None when it was never archived."""
        try:
            found = self._read(f"{self.folder(account, table, day)}/{MANIFEST}")
        except Exception as error:
            raise self._translated(error, self.folder(account, table, day)) from error
        return Manifest(**json.loads(found[0])) if found else None

    def fetch(self, manifest: Manifest, target: Path) -> None:
        """Download the part a manifest names, and make sure it is that one.

        Raises:
            PermanentError: what is in the archive is not what the manifest says.
        """
        key = f"{self.folder(manifest.account, manifest.table, manifest.date)}/{manifest.part}"
        try:
            self.client.download_file(self.bucket, key, str(target))
        except Exception as error:
            raise self._translated(error, key) from error
        found = hashlib.sha256(target.read_bytes()).hexdigest()
        if found != manifest.sha256:
            raise PermanentError(
                f"s3://{self.bucket}/{key} is damaged: its SHA-256 is {found}, the manifest says {manifest.sha256}. "
                "Materialize the partition again from extracted on."
            )

    def _put_part(self, path: Path, key: str, record: FrameRecord) -> bool:
        checksum = base64.b64encode(bytes.fromhex(record.sha256)).decode()
        with path.open("rb") as content:
            return self._put_if(key, content, IfNoneMatch="*", ChecksumSHA256=checksum)

    def _put_manifest(self, key: str, manifest: Manifest) -> bool:
        found = self._read(key)
        if found is not None and found[0] == manifest.text:
            return False
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
