"""The session's sandbox, and every destination on it."""

import dagster as dg
import pytest

from klaviyo_assets_tests.contract.destinations import Destination, destinations
from klaviyo_assets_tests.integration.conftest import sandbox
from klaviyo_assets_tests.integration.deployment import Deployment

__all__ = ["sandbox"]


@pytest.fixture(params=["s3_archive", "bigquery"])
def destination(request, sandbox) -> Destination:
    """One destination after the other, with nothing in it."""
    with dg.DagsterInstance.ephemeral() as instance:
        return destinations(Deployment(sandbox, sandbox.accounts["acme"], instance))[request.param]
