"""A loaded account compared with the Klaviyo of its shop, which counts for itself: they agree until one differs."""

from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from klaviyo_assets_tests.integration.deployment import Deployment
from klaviyo_assets_tests.klaviyo_checks import changed, compared

pytestmark = pytest.mark.slow

REPORTS = {"campaign_by_send_date", "flow_by_send_date"}


def loaded(deploy, shop) -> Deployment:
    deployment = deploy(f"compared_{shop}", shop)
    assert deployment.run().failures == []
    return deployment


@pytest.fixture(scope="module")
def acme(deploy) -> Deployment:
    """A shop with attribution that Klaviyo recorded."""
    return loaded(deploy, "acme")


@pytest.fixture(scope="module")
def bloom(deploy) -> Deployment:
    """One without: last touches earn."""
    return loaded(deploy, "bloom")


@pytest.mark.parametrize("shop", ["acme", "bloom"])
def test_the_reports_say_what_klaviyo_says(shop, request):
    verdicts = compared(request.getfixturevalue(shop), shop)
    assert set(verdicts) == REPORTS
    for verdict in verdicts.values():
        assert verdict.passed, verdict.description
        assert verdict.metadata["numbers"].value > 100
        assert "largest_differences" not in verdict.metadata


def test_fewer_days_are_compared_where_fewer_are_asked_for(acme):
    whole, part = compared(acme, "acme"), compared(acme, "acme", days=2)
    for report in REPORTS:
        assert part[report].passed, part[report].description
        assert part[report].metadata["numbers"].value <= whole[report].metadata["numbers"].value
        first, last = part[report].metadata["window"].value.split(" to ")
        assert date.fromisoformat(last) - date.fromisoformat(first) == timedelta(days=1)


def test_one_number_that_differs_is_named_with_message_and_size(acme):
    ((day, message, opens),) = acme.query(
        # Of a message without variations: what is changed and put back is one row.
        "SELECT send_on, message_id, MIN(opens) FROM campaign_by_send_date WHERE is_final "
        "GROUP BY send_on, message_id HAVING COUNT(*) = 1 AND MIN(opens) > 3 ORDER BY send_on, message_id LIMIT 1"
    )
    where = f"WHERE message_id = '{message}' AND send_on = '{day}' AND opens"
    with changed(
        acme,
        f"UPDATE campaign_by_send_date SET opens = opens + 2 {where} = {opens}",
        f"UPDATE campaign_by_send_date SET opens = opens - 2 {where} = {opens + 2}",
    ):
        verdicts = compared(acme, "acme")
    wrong = verdicts["campaign_by_send_date"]
    assert verdicts["flow_by_send_date"].passed
    assert (wrong.passed, wrong.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert wrong.description.startswith("Account compared_acme: 1 of ")
    assert f"({message}" in wrong.description
    assert f"is {opens} in Klaviyo and {opens + 2} here (+{Decimal(2) / opens:.2%})" in wrong.description
    assert f"| opens | {opens} | {opens + 2} | +2 |" in wrong.metadata["largest_differences"].value
    assert compared(acme, "acme")["campaign_by_send_date"].passed


def test_a_message_that_is_missing_here_is_named(acme):
    ((message,),) = acme.query("SELECT MIN(message_id) FROM flow_by_send_date WHERE is_final")
    kept = f"{acme.dataset.qualified}.kept_rows"
    acme.dataset.query(f"SELECT * FROM flow_by_send_date WHERE message_id = '{message}'", destination=kept)
    with changed(
        acme,
        f"DELETE FROM flow_by_send_date WHERE message_id = '{message}'",
        "INSERT INTO flow_by_send_date SELECT * FROM kept_rows",
    ):
        wrong = compared(acme, "acme")["flow_by_send_date"]
    assert not wrong.passed
    assert wrong.metadata["only_in_klaviyo"].value == 1
    assert "1 message only Klaviyo has" in wrong.description
    assert message in wrong.description


def test_an_event_that_never_arrived_is_noticed(acme):
    """Fivetran lost an open: reports are right by what they are made of, and Klaviyo's own number still tells."""
    ((event, message),) = acme.query(
        "SELECT event.event_id, event.message_id FROM event JOIN campaign_by_send_date AS report "
        "ON report.message_id = event.message_id AND report.send_on = event.send_on "
        "WHERE event.metric = 'Opened Email' AND report.is_final ORDER BY event.event_id LIMIT 1"
    )
    assert acme.raw("DELETE FROM {}.event WHERE id = %s RETURNING id", [event]) == [(event,)]
    assert acme.run().failures == []
    wrong = compared(acme, "acme")["campaign_by_send_date"]
    assert not wrong.passed
    row = next(line for line in wrong.metadata["largest_differences"].value.splitlines() if "| opens |" in line)
    assert message in row
    assert "| -1 |" in row
