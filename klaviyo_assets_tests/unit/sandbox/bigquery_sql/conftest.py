"""The engines every check runs on: the stand-in's, and Google's own."""

import pytest

from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine, shop


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Tables `event` and `campaign`; tests that change them ask for `fresh`."""
    return shop()


@pytest.fixture
def fresh() -> Engine:
    """The same, for one test."""
    return shop()


@pytest.fixture(scope="session")
def google() -> GoogleSql:
    """Google's analyzer and evaluator, without tables."""
    return GoogleSql()
