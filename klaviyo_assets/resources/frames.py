"""The frames between stages, as a Dagster resource.

Here: settings. Not here: what a frame is, and how it is kept (`frames/`).
"""

import dagster as dg
from dagster._config.pythonic_config import ConfigurableResourceFactory
from pydantic import Field

from klaviyo_assets.frames.store import FrameStore


class FramesResource(ConfigurableResourceFactory[FrameStore]):
    """The folder or S3 prefix that holds frames between stages."""

    url: str = Field(default="", description="A local folder, or s3://bucket/prefix (KLAVIYO_FRAMES_URL).")
    endpoint_url: str = Field(default="", description="S3 endpoint if it is not Amazon's (S3_ENDPOINT_URL).")

    def create_resource(self, context: dg.InitResourceContext) -> FrameStore:  # noqa: ARG002  Dagster's signature
        """The store of these settings."""
        return FrameStore(self.url, self.endpoint_url)
