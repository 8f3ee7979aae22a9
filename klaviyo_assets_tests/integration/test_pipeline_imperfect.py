"""Imperfect sources: what is missing, new, wrong or double becomes null, empty or quarantine, and nothing stops."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest

from klaviyo_assets_tests.integration.deployment import Deployment

NUMBERS = count(1)


@pytest.fixture
def account(deploy) -> Deployment:
    """An account of its own with three days of events, nothing loaded."""
    return deploy(f"odd_{next(NUMBERS)}", last_days=2)


@pytest.fixture
def day(account) -> date:
    """A whole day with events."""
    return account.account.start_date + timedelta(days=1)


def some_ids(account: Deployment, day: date, count: int) -> list[str]:
    start, end = account.account.day_bounds(day)
    rows = account.raw(
        "SELECT id FROM {}.event WHERE datetime >= %s AND datetime < %s ORDER BY id LIMIT %s", [start, end, count]
    )
    return [found for (found,) in rows]


def test_a_day_before_the_start_date_is_an_empty_partition(account, day):
    before = account.account.start_date
    later = replace(account, account=replace(account.account, start_date=day), first_day=before)
    outcome = later.days(before, day)
    assert outcome.success, outcome.failures
    assert ("s3_archive/event", f"{later.account.name}|{before}") in outcome.materialized
    assert later.query("SELECT MIN(occurred_on) FROM event") == [(day,)]
    assert f"{before} is before the start_date of {later.account.name}, {day}" in later.event_log()
    assert before not in later.dirty()


@pytest.mark.slow
def test_run_leaves_out_days_before_the_start_date_and_after_today(account, day):
    """Asked for a wide range, it does the days that there are."""
    totals = account.run(account.account.start_date - timedelta(days=400), account.account.today() + timedelta(days=9))
    assert totals.failures == []
    assert account.query("SELECT COUNT(DISTINCT occurred_on) FROM event") == [(3,)]
    assert account.dirty() == []


def test_a_day_without_events_is_an_empty_partition(account, day):
    assert account.days(account.account.start_date, account.account.today()).success
    start, end = account.account.day_bounds(day)
    account.raw("DELETE FROM {}.event WHERE datetime >= %s AND datetime < %s", [start, end])
    assert day in account.dirty()
    outcome = account.days(day)
    assert outcome.success, outcome.failures
    assert account.query(f"SELECT COUNT(*) FROM event WHERE occurred_on = '{day}'") == [(0,)]
    assert day not in account.dirty()


def test_a_metric_that_only_a_deleted_event_of_a_day_is_of_does_not_keep_the_day_dirty(account, day):
    (event_id,) = some_ids(account, day, 1)
    account.raw("UPDATE {}.event SET metric_id = 'onlyDeleted', _fivetran_deleted = true WHERE id = %s", [event_id])
    assert account.all_days().success
    assert account.query(f"SELECT COUNT(*) FROM event WHERE event_id = '{event_id}'") == [(0,)]
    assert account.dirty() == []


def test_a_table_fivetran_never_created_is_empty_and_says_so(account):
    account.raw("DROP TABLE {}.coupon")
    outcome = account.tables("coupon", "campaign")
    assert outcome.success, outcome.failures
    assert account.query("SELECT COUNT(*) FROM coupon") == [(0,)]
    assert account.query("SELECT COUNT(*) > 0 FROM campaign") == [(True,)]
    assert f"Fivetran has not created {account.account.postgres_schema}.coupon" in account.event_log()


def test_without_an_event_table_days_are_empty_and_stay_clean(account, day):
    account.raw("DROP TABLE {}.event")
    outcome = account.days(day)
    assert outcome.success, outcome.failures
    assert account.query("SELECT COUNT(*) FROM event") == [(0,)]
    assert account.dirty() == []


def test_a_missing_optional_column_is_read_as_null(account, day):
    account.raw("ALTER TABLE {}.event DROP COLUMN _variation")
    account.raw("ALTER TABLE {}.campaign DROP COLUMN scheduled")
    assert account.days(day).success
    assert account.tables("campaign").success
    assert account.query("SELECT COUNTIF(variation_id IS NOT NULL), COUNT(*) > 0 FROM event") == [(0, True)]
    assert account.query("SELECT COUNTIF(scheduled_at IS NOT NULL), COUNT(*) > 0 FROM campaign") == [(0, True)]
    assert "columns that do not exist (yet) and are read as null: _variation" in account.event_log()


def test_a_new_column_lands_in_properties(account, day):
    (chosen,) = some_ids(account, day, 1)
    account.raw("ALTER TABLE {}.event ADD property_loyalty_tier text, ADD propertygiftcount bigint, ADD odd jsonb")
    account.raw(
        "UPDATE {}.event SET property_loyalty_tier = 'gold \"1\"', propertygiftcount = 3, odd = '[1, null]' "
        "WHERE id = %s",
        [chosen],
    )
    assert account.days(day).success
    ((properties,),) = account.query(f"SELECT properties FROM event WHERE event_id = '{chosen}'")
    document = json.loads(properties)
    assert (document["loyalty_tier"], document["giftcount"], document["odd"]) == ('gold "1"', 3, [1, None])


def test_values_that_do_not_parse_become_null_with_a_note(account, day):
    written = {"n.a.": None, "inf": None, "1,234": None, "1.234,50": Decimal("1234.5"), "1e-05": Decimal("0.00001"),
               "9999999999999999999999999999.123456789": Decimal("9999999999999999999999999999.123456789")}  # fmt: skip
    ids = some_ids(account, day, len(written))
    account.raw("ALTER TABLE {}.event ALTER property_value TYPE text, ADD property_currency text")
    for event_id, value in zip(ids, written, strict=True):
        account.raw("UPDATE {}.event SET property_value = %s WHERE id = %s", [value, event_id])
    outcome = account.days(day)
    assert outcome.success, outcome.failures
    listed = ", ".join(f"'{event_id}'" for event_id in ids)
    assert dict(account.query(f"SELECT event_id, value FROM event WHERE event_id IN ({listed})")) == dict(
        zip(ids, written.values(), strict=True)
    )
    noted = {(row, value) for table, _, row, field, _, value, dropped in account.noted()
             if (table, field, dropped) == ("event", "value", False)}  # fmt: skip
    wrong = {(event_id, text) for event_id, (text, value) in zip(ids, written.items(), strict=True) if value is None}
    assert noted == wrong


@pytest.mark.slow
def test_events_without_a_time_are_in_quarantine_and_in_the_ledger(account, day):
    timeless, endless, backed = some_ids(account, day, 3)
    account.raw("UPDATE {}.event SET datetime = NULL, timestamp = NULL WHERE id = %s", [timeless])
    account.raw("UPDATE {}.event SET datetime = 'infinity', timestamp = '-infinity' WHERE id = %s", [endless])
    account.raw("UPDATE {}.event SET datetime = 'infinity' WHERE id = %s", [backed])
    assert account.tables("metric", "campaign").success
    assert account.days(account.account.start_date, account.account.today()).success
    assert [(row[2], row[4]) for row in account.noted() if row[1] == "undated"] == sorted(
        [(timeless, "undated"), (endless, "undated")]
    )
    undated = "SELECT rows_raw, rows_loaded, rows_quarantined FROM ledger WHERE `partition` = 'undated'"
    assert account.query(undated) == [(2, 0, 2)]
    kept = account.query(f"SELECT event_id FROM event WHERE event_id IN ('{timeless}', '{endless}', '{backed}')")
    assert kept == [(backed,)], "`timestamp` says when, where `datetime` cannot"
    assert account.dirty() == []
    assert account.reports().success


def test_of_rows_with_the_same_key_the_newest_stays(account, day):
    ((doubled,),) = account.raw(
        "SELECT id FROM {}.event WHERE (datetime AT TIME ZONE %s)::date = %s AND property_value IS NOT NULL "
        "ORDER BY id LIMIT 1",
        [account.account.timezone, day],
    )
    double(account, [doubled])
    account.raw(
        "UPDATE {}.event SET property_value = '77.5', person_id = 'newer' WHERE id = %s AND "
        "_fivetran_synced = (SELECT max(_fivetran_synced) FROM {}.event WHERE id = %s)".replace(
            "{}", f'"{account.account.postgres_schema}"'
        ),
        [doubled, doubled],
    )
    outcome = account.days(day)
    assert outcome.success, outcome.failures
    newest = account.query(f"SELECT person_id, value FROM event WHERE event_id = '{doubled}'")
    assert newest == [("newer", Decimal("77.5"))]
    dropped = [row for row in account.noted() if row[0] == "event" and row[2] == doubled]
    assert [(row[4], row[6]) for row in dropped] == [("duplicate_key", True)]
    credited = account.query(f"SELECT SUM(weight), SUM(value) FROM attribution WHERE event_id = '{doubled}'")
    assert credited in [[(None, None)], [(Decimal(1), Decimal("77.5"))]]
    assert [row for row in account.noted() if row[0] == "attribution" and row[6]] == []


def double(account: Deployment, ids: list[str]) -> None:
    """Write events a second time, as a table without its primary key lets happen."""
    account.raw("ALTER TABLE {}.event DROP CONSTRAINT IF EXISTS event_pkey")
    schema = f'"{account.account.postgres_schema}"'
    account.raw(f"CREATE TABLE {schema}.again AS SELECT * FROM {schema}.event WHERE id = ANY(%s)", [ids])
    account.raw("UPDATE {}.again SET _fivetran_synced = _fivetran_synced + interval '1 hour'")
    account.raw(f"INSERT INTO {schema}.event SELECT * FROM {schema}.again")
    account.raw("DROP TABLE {}.again")


def test_too_many_bad_rows_fail_their_day_by_name_and_no_other(account, day):
    """The bad day keeps what it had; the days around it are loaded; the run fails at its end."""
    first, last = day - timedelta(days=1), day + timedelta(days=1)
    assert account.days(day).success
    before = account.bigquery("event")
    double(account, some_ids(account, day, 1000))
    outcome = account.days(first, last)
    assert not outcome.success
    (message,) = set(outcome.failures)
    assert f"event [{account.account.name}|{day}]" in message
    assert "rows broke one rule (event_id: duplicate_key), more than the allowed share of 10%" in message
    assert "raise quarantine_share" in message
    assert str(first) not in message
    assert str(last) not in message
    loaded = dict(account.query("SELECT occurred_on, COUNT(*) FROM event GROUP BY 1"))
    assert loaded.keys() == {first, day, last}
    assert account.query(f"SELECT * FROM event WHERE occurred_on = '{day}' ORDER BY event_id") == sorted(
        before["event"]
    )
    assert account.dirty() == [day], "the others read their touches from what is in Postgres now"
    assert account.days(day, quarantine_share=0.6).success
    assert account.dirty() == []


def test_a_day_that_could_not_be_archived_is_not_loaded_either_and_stays_dirty(account, day):
    """Else the day would count as done, and the archive would lack it for ever."""
    account.changes["S3_BUCKET"] = "no-such-bucket"
    outcome = account.days(day)
    assert not outcome.success
    (message,) = set(outcome.failures)
    assert f"event [{account.account.name}|{day}]" in message
    assert "NoSuchBucket" in message
    assert "Create the bucket, or set S3_BUCKET" in message
    assert day in account.dirty()
    account.changes.clear()
    assert account.days(account.account.start_date, account.account.today()).success
    assert account.dirty() == []
    assert account.archive.manifest(account.account.name, "event", day.isoformat()) is not None
