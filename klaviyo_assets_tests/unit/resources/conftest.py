"""Fixtures for tests of resources."""

import pytest

from klaviyo_assets_tests.unit.resources.fivetran.scripted import scripted_fivetran


@pytest.fixture
def server():
    """A scripted Fivetran on loopback."""
    with scripted_fivetran() as running:
        yield running
