"""The engine every check runs on."""

import pytest

from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine, shop


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Tables `event` and `campaign`; tests that change them ask for `fresh`."""
    return shop()


@pytest.fixture
def fresh() -> Engine:
    """The same, for one test."""
    return shop()
