"""The S3 bucket of the archive.

Here: settings and the client. Not here: keys and manifests (`destinations/s3_archive.py`).
"""

from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from klaviyo_assets.destinations.s3_archive import S3Archive
from klaviyo_assets.resources.environment import optional

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3ArchiveResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Bucket and prefix of the archive; credentials and region are boto3's standard ones."""

    bucket: str = Field(description="Bucket of the archive (S3_BUCKET).")
    prefix: str = Field(default="", description="Prefix below which everything is written (S3_PREFIX; klaviyo).")
    endpoint_url: str = Field(default="", description="Endpoint where it is not Amazon's (S3_ENDPOINT_URL).")

    @property
    def archive(self) -> S3Archive:
        """The archive of this bucket and prefix."""
        return S3Archive(self.client, self.bucket, optional(self.prefix, "S3_PREFIX", "klaviyo"))

    @property
    def is_elsewhere(self) -> bool:
        """Whether the bucket is at another endpoint than Amazon's."""
        return bool(optional(self.endpoint_url, "S3_ENDPOINT_URL"))

    @cached_property
    def client(self) -> "S3Client":
        """A boto3 client with dagster-aws's retries and addressing."""
        from dagster_aws.s3 import S3Resource

        resource = S3Resource(endpoint_url=optional(self.endpoint_url, "S3_ENDPOINT_URL") or None, max_attempts=5)
        return resource.get_client()  # type: ignore[no-any-return]
