"""Executes the check `agrees_with_klaviyo` on a deployment, against the sandbox's Klaviyo and without its quota."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import httpx

from klaviyo_assets import definitions
from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.checks.klaviyo_comparison import JOB, STEP
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, key_name
from klaviyo_assets_tests.integration.deployment import Deployment, environment

PLENTY = {"per_second": 1_000, "per_minute": 10_000, "per_day": 100_000}


def compared(deployment: Deployment, shop: str, **config: Any) -> dict[str, dg.AssetCheckEvaluation]:
    """The check's verdicts by report, as a run of its job gives them.

    Args:
        deployment: An account, loaded.
        shop: The simulated account that it is a copy of: its Klaviyo is asked.
        config: Of the check.
    """
    variables = deployment.variables
    own_key = {key_name(deployment.account.name): variables[key_name(shop)]}
    accounts = Accounts({deployment.account.name: deployment.account}, "a test")
    project_definitions = definitions.build_definitions(
        accounts=accounts, resources={"klaviyo": KlaviyoResource(**PLENTY)}
    )
    _at_stand_in(variables, "PATCH", "/sandbox/klaviyo", **PLENTY)
    logging.disable(logging.WARNING)
    try:
        with environment(variables | own_key):
            result = project_definitions.resolve_job_def(JOB).execute_in_process(
                instance=deployment.instance, run_config={"ops": {STEP: {"config": config}}}
            )
    finally:
        logging.disable(logging.NOTSET)
    assert result.success
    verdicts = {one.asset_key.path[-1]: one for one in result.get_asset_check_evaluations()}
    assert {one.partition for one in verdicts.values()} <= {deployment.account.name}
    return verdicts


@contextmanager
def changed(deployment: Deployment, statement: str, undo: str) -> Iterator[None]:
    """BigQuery is changed for a while."""
    deployment.query(statement)
    try:
        yield
    finally:
        deployment.query(undo)


def _at_stand_in(variables: Any, method: str, path: str, **body: Any) -> None:
    pair = (variables["FIVETRAN_API_KEY"], variables["FIVETRAN_API_SECRET"])
    url = f"{variables['FIVETRAN_API_URL']}{path}"
    httpx.request(method, url, json=body, auth=pair, timeout=30, trust_env=False).raise_for_status()
