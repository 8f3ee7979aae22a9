"""What a connection's state means for its account."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.findings import Level
from klaviyo_assets.diagnosis.fivetran import check_account, judged, judged_schema
from klaviyo_assets.resources.fivetran.models import Connection, SourceTable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = Account("acme", "klaviyo_acme", fivetran_connection_id="speak_menial")
WELL = Connection(
    "speak_menial", "klaviyo", "klaviyo_acme", "group", succeeded_at=NOW - timedelta(hours=1), sync_frequency=360
)


def problems(findings):
    return [(one.level, one.what, one.fix) for one in findings if one.level]


def test_a_well_connection_has_no_problem():
    assert problems(judged(ACCOUNT, WELL, NOW)) == []


@pytest.mark.parametrize(
    ("changes", "level", "what", "fix"),
    [
        ({"paused": True}, Level.FAIL, "paused", "Enable it at https"),
        ({"setup_state": "broken", "problems": ("Reconnect: refused.",)}, Level.FAIL, "broken: Reconnect: refused",
         "Fix it at https"),
        ({"setup_state": "incomplete", "paused": True}, Level.FAIL, "incomplete", "/setup"),
        ({"schema_status": "blocked_on_customer"}, Level.FAIL, "waits for review", "/schema"),
        ({"failed_at": NOW, "problems": ("The source refused",)}, Level.FAIL, "failed at 2026-03-01 12:00 UTC: The",
         "retries by itself"),
        ({"sync_state": "rescheduled", "rescheduled_for": NOW}, Level.WARN, "postponed until 2026-03-01 12:00", "on"),
        ({"schedule_type": "manual"}, Level.WARN, "schedule: manual", "klaviyo-assets sync"),
        ({"sync_frequency": 10_080}, Level.WARN, "only every 7 days", "shorter interval"),
        ({"succeeded_at": None}, Level.WARN, "never finished a sync", "klaviyo-assets sync"),
        ({"succeeded_at": NOW - timedelta(days=3)}, Level.WARN, "3.0 days ago, though it syncs every 360 min", "See"),
        ({"service": "shopify"}, Level.FAIL, "for shopify, not for Klaviyo", "klaviyo-assets connections"),
        ({"schema": "klaviyo_other"}, Level.WARN, "to 'klaviyo_other', but the account reads 'klaviyo_acme'", "match"),
    ],
)  # fmt: skip
def test_each_state_is_told_once_with_what_to_do(changes, level, what, fix):
    ((found_level, found_what, found_fix),) = problems(judged(ACCOUNT, replace(WELL, **changes), NOW))

    assert found_level is level
    assert what in found_what
    assert fix in found_fix


@pytest.mark.parametrize("changes", [{"sync_state": "syncing"}, {"sync_frequency": 1440}])
def test_a_sync_on_its_way_is_not_late(changes):
    connection = replace(WELL, succeeded_at=NOW - timedelta(days=2), **changes)

    assert problems(judged(ACCOUNT, connection, NOW)) == []


def table(name, **changes):
    return SourceTable("klaviyo", name.title(), "klaviyo_acme", name, **{"enabled": True, **changes})


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ([table("event"), table("person")], []),
        ([table("event"), table("coupon", enabled=False)], [(Level.WARN, "tables switched off in Fivetran: coupon")]),
        ([table("event", enabled=False)], [(Level.FAIL, "tables switched off in Fivetran: event")]),
        ([table("form", enabled=False)], []),
        ([table("person", columns_off=("email", "custom_shoe_size"))],
         [(Level.WARN, "columns of person are switched off in Fivetran: email")]),
        ([table("event", columns_hashed=("person_id",))],
         [(Level.FAIL, "Fivetran hashes ids of event, so its rows cannot be joined: person_id")]),
        ([table("person", columns_hashed=("email",))], []),
    ],
)  # fmt: skip
def test_only_tables_and_columns_that_are_read_are_missed(tables, told):
    assert [(level, what) for level, what, _ in problems(judged_schema(ACCOUNT, WELL, tables))] == told


def test_an_account_without_a_connection_is_told_without_asking_fivetran():
    ((level, what, _),) = problems(check_account(None, replace(ACCOUNT, fivetran_connection_id="")))

    assert level is Level.WARN
    assert "neither started nor monitored" in what
