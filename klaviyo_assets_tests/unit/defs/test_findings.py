"""What the digest finds on a real instance: open incidents, failed checks and stale accounts, each once."""

import logging
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType

from klaviyo_assets.defs.checks.freshness import check_of, freshness_key
from klaviyo_assets.defs.findings import failed_checks, failed_runs, stale_findings
from klaviyo_assets.publishing.mail.findings import Level
from klaviyo_assets_tests.unit.publishing.mail.outbox import ACCOUNTS, Shop

SCHEMA = dg.AssetCheckKey(dg.AssetKey(["mapped", "event"]), "schema")
CONSERVED = dg.AssetCheckKey(dg.AssetKey(["report", "account_by_event_date"]), "conserved")
FRESHNESS = dg.AssetCheckKey(freshness_key("report"), check_of("acme"))


@pytest.fixture
def instance():
    logging.disable(logging.CRITICAL)
    with dg.DagsterInstance.ephemeral() as ephemeral_instance:
        yield ephemeral_instance
    logging.disable(logging.NOTSET)


def evaluate(instance, key, partition, *, passed, severity=dg.AssetCheckSeverity.ERROR, description="it is wrong"):
    """A verdict as a run of its own records it."""
    evaluation = dg.AssetCheckEvaluation(
        asset_key=key.asset_key, check_name=key.name, partition=partition, passed=passed, severity=severity,
        description=description,
    )  # fmt: skip
    event = DagsterEvent(DagsterEventType.ASSET_CHECK_EVALUATION.value, "events", event_specific_data=evaluation)
    instance.report_dagster_event(event, run_id=str(uuid4()))


def checks(instance, since=0.0):
    return failed_checks(instance, [SCHEMA, CONSERVED, FRESHNESS], since)


def test_only_the_newest_verdict_on_a_partition_counts(instance):
    evaluate(instance, SCHEMA, "acme|2026-05-01", passed=False)
    evaluate(instance, SCHEMA, "acme|2026-05-01", passed=True)
    evaluate(instance, SCHEMA, "acme|2026-05-02", passed=True)
    evaluate(instance, SCHEMA, "acme|2026-05-02", passed=False)
    (finding,) = checks(instance)
    assert finding.title == "acme: check schema of mapped/event failed, 2026-05-02"
    assert (finding.level, finding.text) == (Level.BAD, "it is wrong")


def test_the_days_of_a_check_are_one_finding_per_account_with_the_worst_reason(instance):
    for day, account in ((1, "acme"), (2, "acme"), (3, "bloom")):
        evaluate(instance, SCHEMA, f"{account}|2026-05-0{day}", passed=False, description=f"day {day}")
    findings = checks(instance)
    assert [one.title for one in findings] == [
        "acme: check schema of mapped/event failed, 2 days from 2026-05-01 to 2026-05-02",
        "bloom: check schema of mapped/event failed, 2026-05-03",
    ]


def test_warnings_come_after_errors_and_what_is_said_elsewhere_is_left_out(instance):
    evaluate(
        instance, CONSERVED, "acme", passed=False, severity=dg.AssetCheckSeverity.WARN, description="off by a@b.example"
    )
    evaluate(instance, SCHEMA, "acme|2026-05-01", passed=False)
    evaluate(instance, SCHEMA, "bloom|2026-05-01", passed=False, severity=dg.AssetCheckSeverity.WARN)
    evaluate(instance, FRESHNESS, "acme", passed=False)
    assert [(one.level, one.text) for one in checks(instance)] == [
        (Level.BAD, "it is wrong"), (Level.ODD, "off by (address hidden)"),
    ]  # fmt: skip


def test_what_failed_before_is_not_news(instance):
    evaluate(instance, SCHEMA, "acme|2026-05-01", passed=False)
    assert checks(instance, since=time.time() + 60) == []


def test_open_incidents_are_found_with_their_days_and_those_that_are_over_are_counted(instance):
    shop = Shop(instance)
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-01", "2026-05-03")
    shop.run("acme", "2026-05-01", "2026-05-03")
    shop.run("bloom", "2026-05-02", "2026-05-02")
    shop.faults = {}
    shop.run("bloom", "2026-05-02", "2026-05-02")
    findings, over = failed_runs(instance, time.time())
    assert [one.title for one in findings] == ["acme: events, step bigquery__event failed (2 times)"]
    assert findings[0].text == (
        "BigQuery is down. Not done: bigquery: event of 2026-05-02. To rerun: Re-execute on the run's page, or "
        "`klaviyo-assets run --account acme --start 2026-05-02 --end 2026-05-02`."
    )
    assert over == 1


def test_a_stale_account_is_found_at_the_first_stage_that_is_stale(instance, monkeypatch):
    monkeypatch.setenv("DAGSTER_UI_URL", "https://dagster.example")
    old = datetime.now(UTC) - timedelta(hours=70)
    for key, metadata in (
        (["fivetran", "person"], {"sync_completed_at": dg.MetadataValue.timestamp(datetime.now(UTC))}),
        (["bigquery", "person"], {"data_through": old.isoformat()}),
        (["report", "account_by_event_date"], {"data_through": old.isoformat()}),
    ):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="acme", metadata=metadata))
    (finding,) = stale_findings(ACCOUNTS, instance)
    assert finding.title == "acme: data are stale"
    assert "70 h ago. Syncs arrive, but the stage bigquery has not followed" in finding.text
    assert finding.url == "https://dagster.example/assets/freshness/bigquery"
