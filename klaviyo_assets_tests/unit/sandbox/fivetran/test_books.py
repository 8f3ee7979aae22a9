"""The durable records of the stand-in."""

from datetime import UTC, date, datetime, timedelta

import pytest

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.sandbox.fivetran.books import Books
from klaviyo_assets.sandbox.fivetran.clock import Clock

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "books.sqlite"


def open_books(path):
    books = Books(path)
    books.open_connection("speak_menial", 0, 7, 400, date(2026, 9, 1), None, NOW)
    return books


def test_a_connection_keeps_the_shop_it_began_with(path):
    open_books(path).close()

    books = Books(path)
    books.open_connection("speak_menial", 0, 8, 1, date(2020, 1, 1), 5, NOW)

    record = books.connection("speak_menial")
    assert (record.seed, record.events_per_day, record.start) == (7, 400, date(2026, 9, 1))


def test_changes_survive_closing(path):
    books = open_books(path)
    books.change("speak_menial", paused=True, succeeded_at=NOW, sync_state="rescheduled")
    books.close()

    record = Books(path).connection("speak_menial")

    assert (record.paused, record.succeeded_at, record.sync_state) == (True, NOW, "rescheduled")


def test_only_known_columns_can_be_changed(path):
    with pytest.raises(ValueError, match="seed"):
        open_books(path).change("speak_menial", seed=9)


def test_incidents_are_numbered_and_kept_in_order(path):
    books = open_books(path)
    for kind in ("late_events", "rename_campaign"):
        books.add_incident("speak_menial", kind, NOW, 3, 10, "")
    books.close()

    incidents = Books(path).incidents("speak_menial")

    assert [(one.number, one.kind) for one in incidents] == [(0, "late_events"), (1, "rename_campaign")]


def test_an_unknown_incident_leaves_no_trace(path):
    books = open_books(path)

    with pytest.raises(UnknownNameError, match="flood"):
        books.add_incident("speak_menial", "flood", NOW, 1, 1, "")
    assert books.incidents("speak_menial") == []


def test_the_clock_goes_on_from_where_it_was_moved_to(path):
    books = open_books(path)
    clock = Clock(books.clock_offset(timedelta(days=-10)), books.set_clock_offset)
    clock.advance(timedelta(days=3))
    books.close()

    again = Clock(Books(path).clock_offset(timedelta(0)), lambda _: None)

    behind = datetime.now(UTC) - again.now()
    assert timedelta(days=7) - timedelta(seconds=5) < behind <= timedelta(days=7)


def test_the_clock_is_never_moved_back(path):
    clock = Clock(timedelta(0), lambda _: None)

    with pytest.raises(ValueError, match="back"):
        clock.advance(timedelta(seconds=-1))
