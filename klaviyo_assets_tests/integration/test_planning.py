"""What changed in Postgres makes exactly its days dirty, and doing those days gives what a full rebuild would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.stages.planning import ranges
from klaviyo_assets_tests.integration.deployment import Deployment

WINDOW_DAYS = 5
SYNCED = "now() + interval '1 hour'"


def bring_up_to_date(deployment: Deployment) -> list[date]:
    """What a `run` does, with the one account table that reports read; the days it found dirty."""
    dirty = deployment.dirty()
    outcomes = [deployment.tables("campaign"), *(deployment.days(first, last) for first, last in ranges(dirty))]
    outcomes.append(deployment.reports())
    assert [outcome.failures for outcome in outcomes if outcome.failures] == []
    return dirty


@pytest.fixture(scope="module", params=["acme", pytest.param("bloom", marks=pytest.mark.slow)])
def account(request, deploy) -> Deployment:
    """An account with nine days of events, all loaded; right after its midnight the last one has none yet."""
    deployment = deploy(f"planned_{request.param}", request.param, last_days=8)
    assert len(bring_up_to_date(deployment)) in {8, 9}
    return deployment


@pytest.fixture
def days(account) -> list[date]:
    return [day for (day,) in account.query("SELECT DISTINCT occurred_on FROM event ORDER BY 1")]


def an_event(account: Deployment, day: date, role: str) -> str:
    """An event of a day that opens or orders something."""
    metric = {"touch": "metric IN ('Opened Email', 'Clicked Email')", "order": "value IS NOT NULL"}[role]
    rows = account.query(f"SELECT event_id FROM event WHERE occurred_on = '{day}' AND {metric} ORDER BY 1 LIMIT 1")
    return rows[0][0]


def copy_event(account: Deployment, event_id: str, new_id: str, at: datetime) -> None:
    """An event as Fivetran would write it now: the same as another, with an id and a time of its own."""
    columns = [
        name
        for (name,) in account.raw(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'event' AND table_schema = %s",
            [account.account.postgres_schema],
        )
    ]
    changed = {"id": "%(id)s", "datetime": "%(at)s", "timestamp": "%(at)s", "_fivetran_synced": SYNCED}
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    listed = ", ".join(f'"{name}"' for name in columns)
    account.raw(
        f"INSERT INTO {{}}.event ({listed}) SELECT {values} FROM {{}}.event WHERE id = %(old)s".replace(
            "{}", f'"{account.account.postgres_schema}"'
        ),
        {"id": new_id, "at": at, "old": event_id},
    )


def reach(account: Deployment, changed: list[date], days: list[date]) -> list[date]:
    """Changed days, and those that read touches of them.

    Where Klaviyo recorded attribution, these are the days with events that it credited to one of the changed days;
    else those whose window reaches back to one.
    """
    listed = ", ".join(f"'{day}'" for day in changed)
    ((native,),) = account.query("SELECT COUNT(*) FROM event WHERE attributed_event_id IS NOT NULL")
    if native:
        rows = account.query(
            "SELECT DISTINCT led.occurred_on FROM event AS led JOIN event AS touch "
            f"ON led.attributed_event_id = touch.event_id WHERE touch.occurred_on IN ({listed})"
        )
        return sorted({*changed, *(day for (day,) in rows)})
    return [day for day in days if any(0 <= (day - start).days <= WINDOW_DAYS for start in changed)]


def everything(account: Deployment) -> dict[str, list[tuple]]:
    reports = {name: sorted(account.query(f"SELECT * FROM `{name}`"), key=repr) for name in REPORTS}
    return account.bigquery("event", "attribution", "campaign") | reports


def test_late_edited_and_deleted_events_dirty_their_days_and_end_as_a_rebuild_would(account, days):
    assert account.dirty() == []
    late, edited, deleted = days[1], days[2], days[-2]
    start, _ = account.account.day_bounds(late)
    copy_event(account, an_event(account, days[4], "touch"), "lateEvent1", start + timedelta(hours=3))
    account.raw(
        f"UPDATE {{}}.event SET person_id = 'somebodyelse', _fivetran_synced = {SYNCED} WHERE id = %s",
        [an_event(account, edited, "order")],
    )
    account.raw("DELETE FROM {}.event WHERE id = %s", [an_event(account, deleted, "order")])
    expected = reach(account, [late, edited, deleted], days)
    assert len(expected) < len(days)
    assert account.plan().fewer == (1,)
    before = account.objects()

    assert bring_up_to_date(account) == expected
    assert account.query("SELECT occurred_on FROM event WHERE event_id = 'lateEvent1'") == [(late,)]
    assert account.dirty() == []
    written = {key.split("date=")[1][:10] for key in account.objects().keys() - before.keys() if "/event/" in key}
    assert written == {day.isoformat() for day in (late, edited, deleted)}, (
        "an unchanged day's part is not written again"
    )

    fresh = account.elsewhere(f"fresh_{account.account.name}")
    assert bring_up_to_date(fresh) == days
    assert everything(account) == everything(fresh)


@contextmanager
def changed(account: Deployment, statement: str, undo: str, *parameters: object) -> Iterator[None]:
    """A change of the source that is taken back afterwards."""
    account.raw(statement, parameters)
    try:
        yield
    finally:
        account.raw(undo, parameters)


def test_an_event_that_moves_dirties_the_day_it_left_and_the_one_it_came_to(account, days):
    move = "UPDATE {{}}.event SET datetime = datetime {0} interval '3 days', timestamp = timestamp {0} "
    move += "interval '3 days' WHERE id = %s"
    moved = an_event(account, days[-2], "touch")
    expected = reach(account, [days[-2] - timedelta(days=3), days[-2]], days)
    with changed(account, move.format("-"), move.format("+"), moved):
        assert account.dirty() == expected
    assert account.dirty() == []


def test_a_row_that_was_only_synced_again_dirties_its_day(account, days):
    sync = "UPDATE {{}}.event SET _fivetran_synced = _fivetran_synced {} interval '1 day' WHERE id = %s"
    with changed(account, sync.format("+"), sync.format("-"), an_event(account, days[-2], "touch")):
        assert account.dirty() == reach(account, [days[-2]], days)


def test_a_changed_setting_dirties_what_it_decides_and_is_named(account, days):
    def planned(**changes):
        return replace(account, account=replace(account.account, **changes)).plan()

    assert planned(currency="CHF").days == (), "only reports know the currency"
    kept = planned(pii="keep")
    assert [dirty.day for dirty in kept.days if not dirty.only_attribution] == days
    assert kept.announcements == [f"pii changed (hash -> keep): {len(days)} days of events will be rebuilt"]


@pytest.mark.slow
def test_a_recorded_touch_that_arrives_late_dirties_the_attribution_that_named_it(account, days):
    (event_id, day), *_ = account.query(
        f"SELECT event_id, occurred_on FROM event WHERE metric = 'Active on Site' AND occurred_on >= '{days[2]}'"
        "ORDER BY 1 LIMIT 1"
    )
    ((named,),) = account.query("SELECT COUNT(*) FROM event WHERE attributed_event_id IS NOT NULL")
    if not named:
        return
    column = next(name for name in ("property_attribution", "propertyAttribution") if account.has_column(name))
    record = f'UPDATE {{}}.event SET "{column}" = %s, _fivetran_synced = {SYNCED} WHERE id = %s'
    account.raw(record, ['{"$attributed_event_id": "notYetHere1"}', event_id])
    assert bring_up_to_date(account) == reach(account, [day], days)
    assert ("attribution", "touch_event_id", "dangling_attribution") in {
        (table, field, rule) for table, _, _, field, rule, *_ in account.noted()
    }
    start, _ = account.account.day_bounds(days[0] - timedelta(days=40))
    copy_event(account, an_event(account, days[4], "touch"), "notYetHere1", start)

    assert [(dirty.day, dirty.only_attribution, dirty.reasons) for dirty in account.plan().days] == [
        (day, True, ("recorded touches that had been missing arrived",))
    ]
    bring_up_to_date(account)
    assert account.dirty() == []


def test_a_renamed_metric_dirties_the_days_that_have_events_of_it(account, days):
    ((metric, name),) = account.query(
        "SELECT metric_id, ANY_VALUE(metric) FROM event WHERE NOT is_conversion GROUP BY 1 "
        "ORDER BY COUNT(DISTINCT occurred_on), 1 LIMIT 1"
    )
    having = [day for (day,) in account.query(f"SELECT DISTINCT occurred_on FROM event WHERE metric_id = '{metric}'")]
    own = account.raw("SELECT name FROM {}.metric WHERE id = %s", [metric])[0][0]
    rename = "UPDATE {{}}.metric SET name = '{}' WHERE id = %s"
    with changed(account, rename.format("Renamed Metric"), rename.format(own), metric):
        dirty_days = account.plan().days
    assert [dirty.day for dirty in dirty_days if not dirty.only_attribution] == sorted(having), name
    # What was no receipt may be one now, for events of any later day.
    credited = {dirty.day for dirty in dirty_days if dirty.only_attribution}
    assert credited >= set(reach(account, having, days)) - set(having)
    assert all(day > min(having) for day in credited)
