"""The sandbox's real servers; each test of a fault puts a proxy in front of one of them."""

import pytest

from klaviyo_assets_tests.integration.deployment import environment


@pytest.fixture
def _environment(sandbox):
    with environment(sandbox.variables):
        yield
