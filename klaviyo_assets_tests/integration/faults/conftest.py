"""The sandbox's real servers, and a throw-away Postgres; each test of a fault puts a proxy in front of one of them."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from klaviyo_assets_tests.faults.connection_faults import ConnectionProxy
from klaviyo_assets_tests.integration.deployment import environment
from klaviyo_assets_tests.integration.faults.postgres_addresses import port_of
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres


@pytest.fixture
def _environment(sandbox):
    with environment(sandbox.variables):
        yield


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A Postgres of the module's own, with a login `reader`; the address is its superuser's."""
    with throwaway_postgres() as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN PASSWORD 'opensesame'")
        yield address


@pytest.fixture
def database(url: str) -> "Iterator[psycopg.Connection[Any]]":
    """That Postgres, with nothing in between."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def proxy(url: str) -> Iterator[ConnectionProxy]:
    """A proxy in front of it."""
    with ConnectionProxy("127.0.0.1", port_of(url)) as connection_proxy:
        yield connection_proxy
