"""What the UI shows of a view that Looker Studio reads: the link that opens it there."""

from urllib.parse import parse_qsl, urlsplit

import dagster as dg
import pytest

from klaviyo_assets.defs.assets.view import looker_metadata
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS
from klaviyo_assets.reports.views import VIEWS

SHARED, OWN = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
VIEW, DATASET = "looker_flow_lifetime", "my-project.klaviyo_acme"


def link_parameters(template=""):
    link = looker_metadata(VIEW, DATASET, "acme", template)["looker_studio"]
    assert isinstance(link, dg.UrlMetadataValue)
    return dict(parse_qsl(urlsplit(link.url).query, strict_parsing=True))


def test_the_accounts_own_template_wins_over_the_shared_one(monkeypatch):
    monkeypatch.setenv("LOOKER_TEMPLATE_ID", SHARED)

    assert link_parameters()["c.reportId"] == SHARED
    assert link_parameters(OWN)["c.reportId"] == OWN
    assert {link_parameters(OWN)[f"ds.{name}.tableId"] for name in LOOKER_VIEWS} == set(LOOKER_VIEWS)


def test_without_a_template_the_link_starts_a_report_on_this_very_view(monkeypatch):
    monkeypatch.delenv("LOOKER_TEMPLATE_ID", raising=False)

    assert (link_parameters()["ds.projectId"], link_parameters()["ds.datasetId"], link_parameters()["ds.tableId"]) == (
        "my-project", "klaviyo_acme", VIEW,
    )  # fmt: skip


@pytest.mark.parametrize("template", ["x y", "https://example.com"])
def test_a_wrong_template_is_said_and_fails_no_view(template):
    metadata_value = looker_metadata(VIEW, DATASET, "acme", template)["looker_studio"]

    assert isinstance(metadata_value, dg.TextMetadataValue)
    assert "is not a Looker Studio template" in metadata_value.text


def test_other_views_have_no_link():
    assert looker_metadata("campaign_lifetime_named", DATASET, "acme") == {}
    assert "campaign_lifetime_named" in VIEWS
