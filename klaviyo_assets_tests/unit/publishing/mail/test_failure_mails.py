"""The sensor `failure_mails` on a real Dagster instance: which mails come of which runs."""

import logging
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.defs.automation.mail import LOOK_AT_AGES_SECONDS, build_digest_schedule, build_failure_sensor
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets_tests.unit.publishing.mail.outbox import ACCOUNTS, Outbox, Shop, instance_at


class Sensor:
    """The sensor under a daemon's hand: its cursor is kept between ticks."""

    def __init__(self, instance):
        self.instance, self.resource, self.cursor = instance, Outbox.new(), None
        self.sensor = build_failure_sensor(ACCOUNTS)

    @property
    def mail(self):
        return self.resource.box

    def tick(self):
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"mail": self.resource}, repository_name="x"
        ) as context:
            result = self.sensor(context)
        self.cursor = result.cursor
        return result.skip_reason.skip_message


@pytest.fixture(autouse=True)
def _quiet():
    """Dagster tells the console of every step; formatting that takes longer than the runs."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral_instance:
        yield ephemeral_instance


@pytest.fixture
def shop(instance):
    return Shop(instance)


@pytest.fixture
def sensor(instance):
    mail_sensor = Sensor(instance)
    mail_sensor.tick()
    return mail_sensor


def test_what_failed_before_mail_was_switched_on_is_not_told(instance, shop):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-01", "2026-05-03")
    sensor = Sensor(instance)
    assert sensor.tick() == "0 incident(s) open, nothing to report"
    assert sensor.mail.subjects == []


def test_a_failed_run_is_one_mail_with_account_step_reason_and_days(shop, sensor):
    shop.faults = {"2026-05-02": "BigQuery is down. Try later."}
    shop.run("acme", "2026-05-01", "2026-05-03")
    assert sensor.tick().startswith("mailed 1 incident(s): id-1")
    sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme: events, step bigquery__event failed"]
    (text,) = sensor.mail.texts
    for expected in (
        "acme: events, step bigquery__event", "BigQuery is down. Try later.",
        "Not done: bigquery: event of 2026-05-02.",
        "or `klaviyo-assets run --account acme --start 2026-05-02 --end 2026-05-02`.",
    ):  # fmt: skip
        assert expected in text


def test_of_a_run_of_several_accounts_each_accounts_days_are_named(shop, sensor):
    shop.faults = {"2026-05-02": "S3 is down", "2026-05-03": "S3 is down", "2026-05-05": "S3 is down"}
    shop.run("acme", "2026-05-01", "2026-05-05", to="bloom")
    sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme, bloom: 2 failures"]
    assert sensor.mail.texts[0].count("Not done: bigquery: event of 2026-05-02 to 2026-05-03, 2026-05-05.") == 2
    shop.faults = {"2026-05-05": "S3 is down"}
    shop.run("acme", "2026-05-01", "2026-05-05", to="bloom")
    shop.faults = {}
    shop.run("acme", "2026-05-05", "2026-05-05")
    sensor.tick()
    assert sensor.mail.subjects[1:] == ["Klaviyo, acme: recovered"]
    shop.run("bloom", "2026-05-05", "2026-05-05")
    sensor.tick()
    assert sensor.mail.subjects[2:] == ["Klaviyo, bloom: recovered"]


def test_what_a_failed_run_has_made_counts_as_made(shop, sensor):
    """A good day of a run that fails for another one."""
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-02", "2026-05-02")
    sensor.tick()
    shop.faults = {"2026-05-09": "bloom's own fault"}
    shop.run("acme", "2026-05-02", "2026-05-09", by="cli")
    sensor.tick()
    assert sensor.mail.subjects[1:] == ["Klaviyo, acme: recovered"]


def test_retries_of_a_run_are_no_mails_and_the_one_that_succeeds_ends_it(shop, sensor):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    first = shop.run("acme", "2026-05-01", "2026-05-03")
    sensor.tick()
    for _ in range(2):
        shop.run("acme", "2026-05-01", "2026-05-03", retry_of=first)
        sensor.tick()
    assert len(sensor.mail.subjects) == 1
    shop.faults = {}
    shop.run("acme", "2026-05-01", "2026-05-03", retry_of=first)
    sensor.tick()
    assert sensor.mail.subjects[1:] == ["Klaviyo, acme: recovered"]
    assert "Began" in sensor.mail.texts[1]


def test_a_day_that_is_not_made_up_for_keeps_it_open(shop, sensor):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-01", "2026-05-03")
    sensor.tick()
    shop.faults = {}
    shop.run("acme", "2026-05-03", "2026-05-05")
    assert sensor.tick() == "1 incident(s) open, nothing to report"
    shop.run("acme", "2026-05-01", "2026-05-02", by="cli")
    sensor.tick()
    assert sensor.mail.subjects[1:] == ["Klaviyo, acme: recovered"]


def test_two_accounts_that_fail_at_once_are_one_mail(shop, sensor):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    for account in ("acme", "bloom"):
        shop.run(account, "2026-05-01", "2026-05-03")
    sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme, bloom: 2 failures"]


def test_what_a_person_starts_in_a_terminal_is_not_mailed_to_them(shop, sensor):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-02", "2026-05-02", by="cli")
    sensor.tick()
    assert sensor.mail.subjects == []


def test_an_error_nobody_foresaw_is_told_by_its_own_words(shop, sensor):
    shop.crash = KeyError("value of ann@mail.example.com")
    shop.run("acme", "2026-05-02", "2026-05-02")
    sensor.tick()
    (text,) = sensor.mail.texts
    assert "KeyError" in text
    assert "value of (address hidden)" in text


def test_a_run_whose_process_died_is_told(shop, sensor, instance):
    run = instance.create_run_for_job(
        shop._definitions.resolve_job_def("events"), tags={"dagster/partition": "acme|2026-05-02"}
    )
    instance.report_run_failed(run, message="Run timed out: its process has died.")
    sensor.tick()
    assert "its process has died" in sensor.mail.texts[0]


@pytest.mark.parametrize(
    "fault", [TransientError("SES is busy."), PermanentError("Not verified. Verify it."), RuntimeError("?")]
)
def test_a_fault_of_mail_fails_no_tick_and_loses_nothing(shop, sensor, fault):
    shop.faults = {"2026-05-02": "BigQuery is down"}
    shop.run("acme", "2026-05-02", "2026-05-02")
    sensor.mail.fault = fault
    for _ in range(3):
        sentence = sensor.tick()
        assert "retried at the next tick" in sentence
        assert str(fault) in sentence or type(fault).__name__ in sentence
    sensor.mail.fault = None
    sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme: events, step bigquery__event failed"]


@pytest.mark.slow
def test_a_restart_neither_repeats_nor_forgets(tmp_path):
    with instance_at(tmp_path) as instance:
        sensor = Sensor(instance)
        sensor.tick()
        shop = Shop(instance)
        shop.faults = {"2026-05-02": "BigQuery is down"}
        shop.run("acme", "2026-05-02", "2026-05-02")
        sensor.tick()
        shop.faults = {"2026-05-09": "S3 is down"}
        shop.run("bloom", "2026-05-09", "2026-05-09")
    with instance_at(tmp_path) as instance:
        again = Sensor(instance)
        again.cursor = sensor.cursor
        again.tick()
        assert again.mail.subjects == ["Klaviyo, bloom: events, step bigquery__event failed"]
        Shop(instance).run("acme", "2026-05-02", "2026-05-02")
        again.tick()
        assert again.mail.subjects[1:] == ["Klaviyo, acme: recovered"]


def test_a_stale_account_is_one_mail_and_one_when_it_is_fresh_again(instance, sensor, monkeypatch):
    def synced(moment):
        stated = {"sync_completed_at": dg.MetadataValue.timestamp(moment)}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["fivetran", "person"], partition="acme", metadata=stated)
        )

    monkeypatch.setattr("klaviyo_assets.defs.automation.mail.LOOK_AT_AGES_SECONDS", 0)
    synced(datetime.now(UTC) - timedelta(hours=70))
    sensor.tick()
    sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme: data are stale at fivetran"]
    assert "Check in Fivetran whether the connection is paused" in sensor.mail.texts[0]
    synced(datetime.now(UTC))
    sensor.tick()
    assert sensor.mail.subjects[1:] == ["Klaviyo, acme: recovered"]


def test_ages_are_looked_at_now_and_then(sensor, monkeypatch):
    """They cost some queries per account."""
    looked = []
    monkeypatch.setattr("klaviyo_assets.defs.automation.mail.stale_accounts", lambda *_: looked.append(1) or {})
    for _ in range(3):
        sensor.tick()
    assert looked == []
    assert LOOK_AT_AGES_SECONDS >= 600


def test_more_runs_than_are_read_at_once_are_all_read_in_order(shop, sensor, monkeypatch):
    """A success must not be seen before the failure that it makes up for."""
    monkeypatch.setattr("klaviyo_assets.defs.run_history.MOST_AT_ONCE", 2)
    shop.faults = {"2026-05-02": "BigQuery is down"}
    for _ in range(3):
        shop.run("acme", "2026-05-02", "2026-05-02")
    shop.faults = {}
    shop.run("acme", "2026-05-02", "2026-05-02")
    for _ in range(4):
        sensor.tick()
    assert sensor.mail.subjects == ["Klaviyo, acme: events, step bigquery__event failed", "Klaviyo, acme: recovered"]


@pytest.mark.parametrize(("recipients", "status"), [("", "STOPPED"), ("you@example.com", "RUNNING")])
def test_mail_is_on_where_somebody_named_a_recipient(monkeypatch, recipients, status):
    monkeypatch.setenv("MAIL_TO", recipients)
    job = dg.define_asset_job("digest", dg.AssetSelection.assets(["mail", "digest"]))
    assert build_failure_sensor(ACCOUNTS).default_status.value == status
    assert build_digest_schedule(ACCOUNTS, job).default_status.value == status


def test_the_digest_is_requested_once_a_day():
    schedule = build_definitions(accounts=ACCOUNTS).get_repository_def().get_schedule_def("daily_digest")
    at = datetime(2026, 5, 2, 7, 0, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=at) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.run_key == "digest-2026-05-02"
