"""`verify` on a loaded account: all holds, and then one thing at a time is spoiled and named.

The account's source is imperfect in every way rows and money can be: deleted, doubled, unreadable, without a time, in
other currencies. All tests share it; what one spoils it fixes again.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.audit.reconciliation import report_conservation
from klaviyo_assets_tests.integration.deployment import Deployment


@dataclass
class Verified:
    """A loaded account, and the command on it."""

    deployment: Deployment
    folder: Path
    day: date

    def __call__(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Exit code and result of `verify` over all days."""
        done = self.deployment.command(self.folder, "verify", "--json", *options)
        assert done.stderr == ""
        return done.exit_code, json.loads(done.stdout)[0]

    def wrong(self, *options: str) -> dict[tuple[str, str | None, str], dict[str, Any]]:
        """The errors by equation, day and subject."""
        exit_code, result = self(*options)
        errors = [one for one in result["findings"] if one["severity"] == "error"]
        assert exit_code == int(bool(errors))
        assert all(one["fix"] for one in errors)
        return {(one["equation"], one["day"], one["subject"]): one for one in errors}

    @contextmanager
    def without(self, table: str, condition: str) -> Iterator[None]:
        """Rows of a BigQuery table are gone for a while."""
        dataset = self.deployment.dataset
        dataset.query(f"SELECT * FROM `{table}` WHERE {condition}", destination=f"{dataset.qualified}.kept_{table}")
        dataset.query(f"DELETE FROM `{table}` WHERE {condition}")
        try:
            yield
        finally:
            dataset.query(f"INSERT INTO `{table}` SELECT * FROM kept_{table}")
            dataset.client.delete_table(f"{dataset.qualified}.kept_{table}")

    @contextmanager
    def changed(self, statement: str, undo: str) -> Iterator[None]:
        """BigQuery is changed for a while."""
        self.deployment.query(statement)
        try:
            yield
        finally:
            self.deployment.query(undo)

    @contextmanager
    def overwritten(self, table: str, content: bytes) -> Iterator[str]:
        """The day's archived part is another file for a while."""
        archive = self.deployment.archive
        manifest = archive.manifest(self.deployment.account.name, table, self.day.isoformat())
        key = f"{archive.folder(manifest.account, table, manifest.date)}/{manifest.part}"
        before = archive.client.get_object(Bucket=archive.bucket, Key=key)["Body"].read()
        archive.client.put_object(Bucket=archive.bucket, Key=key, Body=content or before[:-1] + b"?")
        try:
            yield key
        finally:
            archive.client.put_object(Bucket=archive.bucket, Key=key, Body=before)


def spoil_source(deployment: Deployment, day: date) -> None:
    """Give a day of raw events everything that keeps rows or money from being loaded as they are."""
    deployment.raw(
        "ALTER TABLE {}.event ALTER property_value TYPE text, ADD property_currency text, "
        "ADD COLUMN IF NOT EXISTS _fivetran_deleted boolean, DROP CONSTRAINT IF EXISTS event_pkey"
    )
    start, end = deployment.account.day_bounds(day)
    chosen = deployment.raw(
        "SELECT id FROM {}.event WHERE datetime >= %s AND datetime < %s AND property_value IS NULL ORDER BY id LIMIT 6",
        [start, end],
    )
    ambiguous, foreign, deleted, timeless, doubled, bought = (found for (found,) in chosen)
    changes = {
        ambiguous: "property_value = '1,234'",
        foreign: "property_value = '1.234,50', property_currency = ' gbp'",
        deleted: "property_value = '99', _fivetran_deleted = true",
        timeless: "property_value = '99', datetime = NULL, timestamp = NULL",
        doubled: "property_value = '5.25'",
        bought: "property_value = '70', property_currency = 'GBP', metric_id = "
        "(SELECT id FROM {}.metric WHERE name = 'Placed Order' LIMIT 1)",
    }
    for event_id, change in changes.items():
        schema = f'"{deployment.account.postgres_schema}"'
        deployment.raw(f"UPDATE {{}}.event SET {change.replace('{}', schema)} WHERE id = %s", [event_id])
        if event_id == doubled:
            again = f"CREATE TABLE {schema}.again AS SELECT * FROM {schema}.event WHERE id = %s"
            deployment.raw(again, [event_id])
            deployment.raw("UPDATE {}.again SET property_value = '7.5', "
                           "_fivetran_synced = _fivetran_synced + interval '1 hour'")  # fmt: skip
            deployment.raw(f"INSERT INTO {schema}.event SELECT * FROM {schema}.again")
            deployment.raw("DROP TABLE {}.again")


@pytest.fixture(scope="module")
def verified(deploy, tmp_path_factory) -> Verified:
    """Some days of an account, loaded and reported."""
    deployment = deploy("verified", last_days=3)
    day = deployment.account.start_date + timedelta(days=1)
    spoil_source(deployment, day)
    assert deployment.run().failures == []
    return Verified(deployment, tmp_path_factory.mktemp("verified"), day)


def test_a_pipeline_over_an_imperfect_source_holds_to_the_cent(verified):
    exit_code, result = verified("--deep")
    stages = {stage["stage"]: stage for stage in result["stages"]}

    assert [one for one in result["findings"] if one["equation"] != "rate_above_1"] == []
    assert (exit_code, result["holds"]) == (0, True)
    assert result["equations"] > 300
    assert stages["of these deleted"]["rows"] == 1
    assert stages["of these quarantined"] == {
        "stage": "of these quarantined", "rows": 1, "money": {"USD": "5.25"},
    }  # fmt: skip
    raw, loaded = stages["Postgres"], stages["BigQuery event"]
    assert raw["rows"] == loaded["rows"] + 2
    assert raw["money"]["GBP"] == loaded["money"]["GBP"] == "1304.5"
    assert Decimal(raw["money"]["USD"]) == Decimal(loaded["money"]["USD"]) + Decimal("5.25")
    assert Decimal(stages["account_by_event_date (events)"]["rows"]) == loaded["rows"] == stages["S3 archive"]["rows"]


def test_the_table_for_people_fits_80_columns_and_ends_with_the_verdict(verified):
    done = verified.deployment.command(verified.folder, "verify", "--start", str(verified.day))

    lines = done.stdout.rstrip().splitlines()
    table = [line.rstrip() for line in lines[: next(n for n, line in enumerate(lines) if "flow_by" in line)]]
    assert done.exit_code == 0
    assert table[0] == f"verified, {verified.day} to {verified.deployment.account.today()}"
    assert max(map(len, table)) <= 80
    assert any("1,304.50 GBP" in line for line in table)
    assert " equations hold" in lines[-1]


def test_a_row_missing_from_bigquery_is_named(verified):
    day, kept = str(verified.day), f"occurred_on = '{verified.day}' AND value = 7.5"
    with verified.without("event", kept):
        wrong = verified.wrong()
        checked = report_conservation(verified.deployment.dataset, verified.deployment.account)

    assert wrong[("bigquery_rows", day, "event")]["difference"] == 1
    assert wrong[("bigquery_money", day, "event, all currencies")]["difference"] == "7.5"
    assert ("whole_events", day, "account_by_event_date") in wrong
    assert {(one.equation.name, one.day) for one in checked.findings} >= {
        ("bigquery_rows", verified.day), ("whole_events", verified.day),
    }  # fmt: skip


def test_a_changed_value_is_named_to_the_cent(verified):
    where = f"WHERE occurred_on = '{verified.day}' AND is_conversion AND currency = 'GBP'"
    with verified.changed(f"UPDATE event SET value = 70.01 {where}", f"UPDATE event SET value = 70 {where}"):
        wrong = verified.wrong()

    finding = wrong[("raw_money", str(verified.day), "GBP")]
    assert (finding["left"], finding["right"], finding["difference"]) == ("1304.5", "1304.51", "-0.01")
    assert ("bigquery_money", str(verified.day), "event, all currencies") in wrong
    assert f"--start {verified.day} --end {verified.day}" in finding["fix"]


def test_a_missing_ledger_row_is_named(verified):
    with verified.without("ledger", f"table_name = 'event' AND `partition` = '{verified.day}'"):
        wrong = verified.wrong()

    assert set(wrong) == {("ledger_row", str(verified.day), "event")}


def test_an_archived_part_of_another_size_is_named(verified):
    with verified.overwritten("event", b"something else") as key:
        wrong = verified.wrong()

    finding = wrong[("object_size", str(verified.day), "event")]
    assert finding["right"] == len(b"something else")
    assert key in finding["fix"]


def test_an_archived_part_of_the_same_size_is_named_when_its_content_is_read(verified):
    with verified.overwritten("attribution", b""):
        assert ("object_hash", str(verified.day), "attribution") in verified.wrong("--deep")


def test_a_late_event_that_is_not_loaded_yet_is_named_with_the_command_that_loads_it(verified):
    account, day = verified.deployment.account, str(verified.day)
    at = account.day_bounds(verified.day)[0] + timedelta(hours=3)
    verified.deployment.raw(
        "INSERT INTO {}.event (id, datetime, property_value, _fivetran_synced) VALUES ('late1', %s, '0.01', now())",
        [at],
    )
    try:
        wrong = verified.wrong()
    finally:
        verified.deployment.raw("DELETE FROM {}.event WHERE id = 'late1'")

    assert set(wrong) == {("raw_rows", day, "event"), ("raw_money", day, "USD")}
    assert wrong[("raw_rows", day, "event")]["fix"] == (
        f"1 row in Postgres is newer than the load: `klaviyo-assets run --start {day} --end {day} --account verified`."
    )
    assert wrong[("raw_money", day, "USD")]["difference"] == "0.01"


def test_an_event_that_was_synced_again_without_a_difference_is_a_warning(verified):
    touch = "UPDATE {{}}.event SET _fivetran_synced = _fivetran_synced {} interval '1 second' WHERE datetime >= %s"
    start = [verified.deployment.account.day_bounds(verified.deployment.account.today())[0]]
    verified.deployment.raw(touch.format("+"), start)
    try:
        exit_code, result = verified()
    finally:
        verified.deployment.raw(touch.format("-"), start)

    assert exit_code == 0
    waiting = [one for one in result["findings"] if one["equation"] == "up_to_date"]
    assert [one["severity"] for one in waiting] == ["warning"]


def test_a_missing_row_of_a_report_is_named(verified):
    report = "campaign_by_send_date"
    ((most,),) = verified.deployment.query(f"SELECT MAX(recipients) FROM {report}")
    with verified.without(report, f"recipients = {most}"):
        wrong = verified.wrong()

    assert ("report_rows", None, report) in wrong
    assert any(equation == "same_sums" and f"recipients of campaign_by_event_date, {report}" in subject
               for equation, _, subject in wrong)  # fmt: skip


def names(verified: Verified, **options: Any) -> set[str]:
    """The equations that the check of reports finds broken."""
    checked = report_conservation(verified.deployment.dataset, verified.deployment.account, **options)
    return {finding.equation.name for finding in checked.findings}


def test_shares_that_do_not_add_up_or_belong_to_no_event_are_named(verified):
    ((chosen,),) = verified.deployment.query("SELECT event_id FROM attribution ORDER BY value IS NULL, 1 LIMIT 1")
    of_event = f"WHERE event_id = '{chosen}'"

    less, whole = (f"UPDATE attribution SET weight = {weight} {of_event}" for weight in ("0.5", "1"))
    with verified.changed(less, whole):
        assert "shares" in names(verified)
    with verified.without("event", f"event_id = '{chosen}'"):
        assert names(verified, reports=()) == {"bigquery_rows", "orphans"}
    assert names(verified) == set()


def test_a_cent_too_much_in_a_report_is_named(verified):
    change = (
        "UPDATE account_by_event_date SET conversion_value = conversion_value {} 0.01 "
        f"WHERE occurred_on = '{verified.day}' AND message_source = 'none' AND channel IS NULL"
    )
    with verified.changed(change.format("+"), change.format("-")):
        assert names(verified) == {"reported", "whole_money"}
    assert names(verified, first=verified.day, last=verified.day) == set()


def test_the_check_of_reports_holds_and_says_what_it_compared(verified):
    checked = report_conservation(verified.deployment.dataset, verified.deployment.account)
    one_day = report_conservation(
        verified.deployment.dataset, verified.deployment.account, verified.day, verified.day
    )  # fmt: skip

    assert checked.findings == one_day.findings == []
    assert checked.metadata["event_rows"] == checked.metadata["ledger_rows"] > one_day.metadata["event_rows"] > 0
    assert one_day.metadata["days"] == 1


def test_an_account_that_was_never_loaded_is_named_and_nothing_is_created(deploy, tmp_path):
    fresh = deploy("verified_fresh", last_days=1)
    fresh = fresh.elsewhere("verified_nowhere")
    done = fresh.command(tmp_path, "verify", "--json")

    (result,) = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {one["equation"] for one in result["findings"]} >= {"ledger_row"}
    assert fresh.dataset.dataset not in {found.dataset_id for found in fresh.dataset.client.list_datasets()}
