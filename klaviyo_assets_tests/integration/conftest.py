"""One small sandbox for all tests of a session, and accounts of their own on it."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Two accounts with two weeks of events each."""
    made = Sandbox.of_session()
    try:
        yield made
    finally:
        made.end()


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

        def made(name: str, source: str = "acme", **options: Any) -> Deployment:
            return Deployment(sandbox, sandbox.copy_account(source, name, **options), instance)

        yield made
