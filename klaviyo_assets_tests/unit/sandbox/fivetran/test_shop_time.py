"""The shop is a function of time: how often somebody asks changes nothing."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.sandbox.fivetran.shop import KINDS, Incident, Shop, profile
from klaviyo_assets_tests.unit.sandbox.fivetran.tables import DAILY, rows, state_after

START = date(2026, 9, 20)
END = datetime(2026, 10, 9, 12, tzinfo=UTC)
# Nothing tells Fivetran of these where it does not capture deletes of events.
SILENT = {"vanish_events", "delete_events", "restore_events"}


def shop(index=0, seed=7, incidents=()):
    return Shop(profile(index), seed, 30, START, incidents=incidents)


def sliced(source, moments):
    """The syncs of a shop that is asked at each of the moments."""
    return [source.rows(until, since) for since, until in zip([None, *moments], moments, strict=False)]


def without_daily(state):
    return {name: found for name, found in state.items() if name not in DAILY}


def test_the_same_seed_and_time_give_identical_tables():
    first, second = shop().rows(END), shop().rows(END)

    assert first.keys() == second.keys()
    assert all(first[name].equals(second[name]) for name in first)


def test_another_seed_is_another_shop():
    assert not shop(seed=7).rows(END)["event"].equals(shop(seed=8).rows(END)["event"])


def test_accounts_of_one_seed_differ():
    acme, bloom = shop(0).rows(END)["person"], shop(1).rows(END)["person"]

    assert not set(acme["id"].to_pylist()) & set(bloom["id"].to_pylist())


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_many_syncs_leave_what_one_leaves(index):
    """Campaigns too, where the last sync is the first of its day."""
    end = datetime(2026, 10, 9, 0, 0, 1, tzinfo=UTC)
    moments = [end - timedelta(hours=11 * step) for step in range(35, -1, -1)]

    assert state_after(sliced(shop(index), moments)) == state_after([shop(index).rows(end)])


@settings(max_examples=10, deadline=None)
@given(
    index=st.integers(0, 3),
    hours=st.lists(st.integers(1, 15 * 24), min_size=1, max_size=5, unique=True),
    befalls=st.lists(
        st.tuples(st.sampled_from(sorted(set(KINDS) - SILENT)), st.integers(1, 16 * 24), st.integers(1, 9)), max_size=6
    ),
)
@example(  # Deleted before the midnight that segments are counted at, and back after it.
    index=0, hours=[2], befalls=[("delete_persons", 8, 1), ("restore_persons", 1, 1)]
)  # fmt: skip
@example(  # Somebody is in a segment for the acts of a person who was merged into them, and is then merged away.
    index=0,
    hours=[134, 1],
    befalls=[
        ("merge_persons", 320, 3), ("merge_persons", 167, 6), ("merge_persons", 54, 5), ("delete_campaign", 110, 1),
        ("delete_campaign", 264, 1),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_many_syncs_leave_what_one_leaves_whatever_befalls_the_shop(index, hours, befalls):
    incidents = [
        Incident(kind, int((END - timedelta(hours=ago)).timestamp()), number, count)
        for number, (kind, ago, count) in enumerate(sorted(befalls, key=lambda befall: -befall[1]))
    ]
    moments = [*(END - timedelta(hours=ago) for ago in sorted(hours, reverse=True)), END]

    many = state_after(sliced(shop(index, incidents=incidents), moments))
    single_state = state_after([shop(index, incidents=incidents).rows(END)])

    assert without_daily(many) == without_daily(single_state)


def test_a_sync_right_after_another_brings_no_events():
    source = shop()
    source.rows(END)

    assert "event" not in source.rows(END, since=END)


def test_some_events_arrive_days_after_their_time():
    source = Shop(profile(0), 7, 400, START)
    source.rows(END)
    day_later = source.rows(END + timedelta(days=1), since=END)["event"]

    lags = [END - row["datetime"] for row in rows(day_later)]
    assert max(lags) > timedelta(days=1)


def test_rows_carry_the_time_of_the_sync():
    synced_at = END + timedelta(milliseconds=120)

    stamps = shop().rows(END, synced_at=synced_at)["person"]["_fivetran_synced"].to_pylist()

    assert set(stamps) == {synced_at}


def test_campaigns_are_imported_once_a_day_and_at_once_when_renamed():
    source = shop()
    source.rows(END)
    same_day = source.rows(END + timedelta(hours=1), since=END)
    source.happen(Incident("rename_campaign", int(END.timestamp()) + 3700, 0, name="Another name"))
    renamed = source.rows(END + timedelta(hours=2), since=END + timedelta(hours=1))
    next_day = source.rows(END + timedelta(hours=14), since=END + timedelta(hours=2))

    assert "campaign" not in same_day
    assert "Another name" in renamed["campaign"]["name"].to_pylist()
    assert "campaign" in next_day


def test_people_are_imported_whole_once_a_week():
    source = shop()
    everybody = source.rows(END)["person"].num_rows

    assert source.rows(END + timedelta(hours=1), since=END).get("person", ()).__len__() < everybody / 4
    assert source.rows(END + timedelta(days=7), since=END)["person"].num_rows >= everybody


def test_an_unknown_incident_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match="late_events"):
        Incident("flood", 0, 0)
