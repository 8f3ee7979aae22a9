"""The S3 bucket of the archive.

Here: settings and the client. Not here: keys and manifests (`destinations/s3/archive.py`).
"""

from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.destinations.s3.errors import s3_explained
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.limited_http import HttpLimits, limit_aws_client
from klaviyo_assets.transport.time_limits import S3_CALL, S3_CONNECT, S3_EXCHANGE, S3_SILENCE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3ArchiveResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Bucket and prefix of the archive; credentials and region are boto3's standard ones."""

    bucket: str = Field(description="Bucket of the archive (S3_BUCKET).")
    prefix: str = Field(default="", description="Prefix below which everything is written (S3_PREFIX; klaviyo).")
    endpoint_url: str = Field(default="", description="Endpoint if it is not Amazon's (S3_ENDPOINT_URL).")
    connect_timeout_seconds: float = Field(default=S3_CONNECT.seconds, description="How long to wait for a connection.")
    silence_timeout_seconds: float = Field(
        default=S3_SILENCE.seconds, description="How long to wait for the next byte."
    )
    exchange_timeout_seconds: float = Field(
        default=S3_EXCHANGE.seconds, description="How long a request and its answer may take in all."
    )
    call_timeout_seconds: float = Field(
        default=S3_CALL.seconds, description="How long a call may take with its repetitions."
    )
    repetitions: int = Field(default=5, ge=0, description="How many times a request is repeated before it is given up.")

    @property
    def archive(self) -> S3Archive:
        """The archive of this bucket and prefix."""
        prefix = optional(self.prefix, "S3_PREFIX", "klaviyo")
        return S3Archive(self.client, self.bucket, prefix, self.call_timeout_seconds)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the bucket is at an endpoint other than Amazon's."""
        return bool(optional(self.endpoint_url, "S3_ENDPOINT_URL"))

    @cached_property
    def client(self) -> "S3Client":
        """A boto3 client with dagster-aws's retries and addressing, whose every request is bounded."""
        from dagster_aws.s3 import S3Resource

        endpoint = optional(self.endpoint_url, "S3_ENDPOINT_URL") or None
        with s3_explained("looking for AWS settings"):
            client = S3Resource(endpoint_url=endpoint, max_attempts=self.repetitions).get_client()
        limit_aws_client(
            client,
            HttpLimits(self.connect_timeout_seconds, self.silence_timeout_seconds, self.exchange_timeout_seconds),
        )
        return client  # type: ignore[no-any-return]
