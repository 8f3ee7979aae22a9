"""An entry of a ledger is of the same load as another one where source rows and settings are the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from klaviyo_assets.destinations.ledger import Entry

ENTRY = Entry("event", "2026-01-01", datetime(2026, 1, 2, tzinfo=UTC), "digest", "settings", None)


def test_when_and_with_what_newest_sync_it_was_loaded_does_not_matter() -> None:
    later = replace(ENTRY, recorded_at=ENTRY.recorded_at + timedelta(days=1), data_through=ENTRY.recorded_at)

    assert ENTRY.is_of(later)


def test_other_rows_other_settings_or_no_entry_are_another_load() -> None:
    assert not ENTRY.is_of(replace(ENTRY, source_digest="others"))
    assert not ENTRY.is_of(replace(ENTRY, settings_fingerprint="others"))
    assert not ENTRY.is_of(None)
