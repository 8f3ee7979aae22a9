"""The limits are finite, used, and kept by the resources."""

import pytest

from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.transport import time_limits
from klaviyo_assets.transport.time_limits import all_limits
from klaviyo_assets_tests.checkout import ROOT


def test_every_limit_is_finite_and_used():
    assert all(0 < limit.seconds <= 3600 for limit in all_limits())
    names = {name for name, value in vars(time_limits).items() if isinstance(value, time_limits.TimeLimit)}
    text = "\n".join(
        path.read_text()
        for path in (ROOT / "klaviyo_assets").rglob("*.py")
        if path.name != "time_limits.py" and "sandbox" not in path.parts
    )
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize(("resource", "system"), [
    (BigQueryProjectResource(project="p"), "BIGQUERY"), (S3ArchiveResource(bucket="b"), "S3"),
    (FivetranResource(api_key="k", api_secret="s"), "FIVETRAN"), (KlaviyoResource(), "KLAVIYO"),
])  # fmt: skip
def test_a_resource_keeps_to_the_limits_unless_it_is_told_otherwise(resource, system):
    fields = {"connect_timeout_seconds": "CONNECT", "exchange_timeout_seconds": "EXCHANGE"}
    fields |= {"read_timeout_seconds" if system == "FIVETRAN" else "silence_timeout_seconds": "SILENCE"}
    for field, name in fields.items():
        assert getattr(resource, field) == getattr(time_limits, f"{system}_{name}").seconds
