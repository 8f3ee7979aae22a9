"""Names of metrics through the years, and finding an account's conversion metric."""

import pytest

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.model.metrics import (
    MESSAGE_ROLES,
    METRIC_KINDS,
    Metric,
    Role,
    canonical_metric,
    metric_kind,
    misspelled,
    resolve_metrics,
)

SHOPIFY = Metric("Sh0p1f", "Placed Order", "Shopify", "i1")
API = Metric("Ap1Ap1", "Placed Order", "API", "i2")
OTHER = Metric("Vw3d00", "Viewed Product")


def test_no_name_stands_for_two_kinds():
    names = [name.casefold() for kind in METRIC_KINDS for name in (kind.name, *kind.older_names)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(("written", "canonical"), [
    ("Received SMS", "Received Text Message"), ("received text message", "Received Text Message"),
    ("Unsubscribed", "Unsubscribed from Email Marketing"), (" Opened Email ", "Opened Email"),
    ("Canceled Order", "Cancelled Order"), ("Signed My Guestbook ", "Signed My Guestbook"),
])  # fmt: skip
def test_older_names_and_other_cases_are_brought_to_one(written, canonical):
    assert canonical_metric(written) == canonical


@pytest.mark.parametrize("name", [None, "", "Signed My Guestbook"])
def test_what_klaviyo_does_not_name_is_no_kind(name):
    assert metric_kind(name) is None


def test_events_of_messages_are_told_from_what_people_do():
    assert metric_kind("Clicked SMS").role in MESSAGE_ROLES
    assert metric_kind("Placed Order").role not in MESSAGE_ROLES
    assert metric_kind("Subscribed to List").role not in MESSAGE_ROLES
    assert metric_kind("Received Automated Response SMS").role is Role.OTHER


@pytest.mark.parametrize(("metric", "integration", "metric_id"), [
    ("Sh0p1f", None, "Sh0p1f"), ("Placed Order", "shopify", "Sh0p1f"), ("placed order", "i2", "Ap1Ap1"),
    ("Viewed Product", None, "Vw3d00"),
])  # fmt: skip
def test_the_conversion_metric_is_found_by_id_or_by_name_and_integration(metric, integration, metric_id):
    resolved = resolve_metrics([SHOPIFY, API, OTHER], metric, integration)

    assert resolved.conversion_ids == {metric_id}
    assert resolved.problem is None
    assert resolved.names == {"Sh0p1f": "Placed Order", "Ap1Ap1": "Placed Order", "Vw3d00": "Viewed Product"}


def test_an_older_name_in_the_settings_finds_the_metric_under_its_name_of_today():
    assert resolve_metrics([Metric("m", "Cancelled Order")], "Canceled Order").conversion_ids == {"m"}


def test_a_name_that_fits_several_is_refused_and_they_are_listed():
    with pytest.raises(
        SettingsError, match=r"matches 2 metrics: Ap1Ap1 .*integration API.*; Sh0p1f .*Shopify"
    ) as caught:
        resolve_metrics([SHOPIFY, API], "Placed Order")

    assert "Set conversion_metric to one of these ids, or set conversion_integration" in str(caught.value)


def test_a_missing_conversion_metric_is_said_and_is_no_error():
    resolved = resolve_metrics([OTHER], "Placed Order", "Shopify")

    assert resolved.conversion_ids == frozenset()
    assert "no metric 'Placed Order' of integration 'Shopify'" in resolved.problem
    assert "it has: Viewed Product" in resolved.problem
    assert "none yet" in resolve_metrics([], "Placed Order").problem


def test_a_deleted_metric_stays_the_conversion_metric_until_there_is_a_newer_one():
    """Its events are there all the same: they would stop counting as conversions without a word."""
    old = Metric("0ld", "Placed Order", is_deleted=True)

    assert resolve_metrics([old, OTHER], "Placed Order").conversion_ids == {"0ld"}
    assert resolve_metrics([old, API], "Placed Order").conversion_ids == {"Ap1Ap1"}
    other = Metric("0ther", "Placed Order", is_deleted=True)
    assert resolve_metrics([old, other], "Placed Order").problem, "which of them counted nobody can tell"


@pytest.mark.parametrize(("wanted", "suggestion"), [
    ("Placed Ordr", "Placed Order"), ("placed_order", "Placed Order"), ("PlacedOrder", "Placed Order"),
    ("Placed Order", None), ("Viewed Products", "Viewed Product"), ("Subscribed to Newsletter", None),
    ("Ordered Product", None),
])  # fmt: skip
def test_a_name_that_is_nearly_a_metrics_is_taken_for_a_slip(wanted, suggestion):
    assert misspelled([API, OTHER], wanted) == suggestion
