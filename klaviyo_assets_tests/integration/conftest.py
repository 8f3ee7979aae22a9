"""One small sandbox for all tests of a session, accounts of their own on it, and a Fivetran for those that break it."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres
from klaviyo_assets_tests.unit.sandbox.fivetran.stand_in import StandIn, start_stand_in

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Two accounts with two weeks of events each."""
    session_sandbox = Sandbox.of_session()
    try:
        yield session_sandbox
    finally:
        session_sandbox.end()


@pytest.fixture(scope="module", autouse=True)
def _same_switches() -> Iterator[None]:
    """Fails in the module that changes the shared sandbox, not in a later one that finds it changed."""
    yield
    if Sandbox.of_session.cache_info().currsize:
        shared = Sandbox.of_session()
        assert shared.switches() == shared.first_switches, "put back what this module changed in the sandbox"


@pytest.fixture(scope="module")
def deploy(sandbox: Sandbox) -> Iterator[Deploy]:
    """Makes an account with the raw tables of another one, and a deployment of it with nothing loaded yet."""
    with dg.DagsterInstance.ephemeral() as instance:

        def new_deployment(name: str, source: str = "acme", **options: Any) -> Deployment:
            return Deployment(sandbox, sandbox.copy_account(source, name, **options), instance)

        yield new_deployment


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A throw-away Postgres of the module's own."""
    with throwaway_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def running(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A Fivetran of the module's own that writes into it; both connections were synced once."""
    stand_in = start_stand_in(postgres_url, tmp_path_factory.mktemp("state"))
    for connection_id in ("speak_menial", "warm_harbor"):
        stand_in.sync(connection_id)
    yield stand_in
    stand_in.stop()
