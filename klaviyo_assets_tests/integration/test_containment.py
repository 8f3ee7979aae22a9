"""What nobody foresaw costs its partition: the other days, tables and accounts of the run are done, and it is named."""

from datetime import date, timedelta
from itertools import count

import pytest

from klaviyo_assets.defs.assets import extracted
from klaviyo_assets.defs.assets import report as reported
from klaviyo_assets.stages import loading as loaded
from klaviyo_assets.stages.mapping import AccountMapping
from klaviyo_assets_tests.integration.deployment import Deployment

NUMBERS = count(1)
PERSONAL = "jane@shop.example"


@pytest.fixture
def account(deploy) -> Deployment:
    """An account of its own with three days of events, nothing loaded."""
    return deploy(f"contained_{next(NUMBERS)}", last_days=2)


@pytest.fixture
def days(account) -> list[date]:
    return [account.account.start_date + timedelta(days=ahead) for ahead in range(3)]


def poisoned(original, is_poison):
    """A function that fails as nobody foresaw on what is poison, with a row's value in its words."""

    def worked(*arguments):
        if is_poison(*arguments):
            raise KeyError(PERSONAL)
        return original(*arguments)

    return worked


def loaded_days(account) -> list[date]:
    return [day for (day,) in account.query("SELECT DISTINCT occurred_on FROM event ORDER BY 1")]


@pytest.mark.parametrize("stage", [
    "extracted", "bigquery", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mapped", "s3_archive")),
])  # fmt: skip
def test_a_day_that_fails_in_any_stage_fails_alone_and_is_named(account, days, monkeypatch, stage):
    bad = days[1]
    if stage == "extracted":
        monkeypatch.setattr(extracted, "extract_day", poisoned(extracted.extract_day, lambda _, day, __: day == bad))
    elif stage == "mapped":
        map_events = poisoned(AccountMapping.map_events, lambda _, day: day == bad)
        monkeypatch.setattr(AccountMapping, "map_events", map_events)
    elif stage == "s3_archive":
        archive = type(account.archive)
        monkeypatch.setattr(archive, "archive", poisoned(archive.archive, lambda *given: given[-1] == str(bad)))
    else:
        load = poisoned(loaded.AccountLoad.load, lambda _, table, frame: frame.day == str(bad))
        monkeypatch.setattr(loaded.AccountLoad, "load", load)

    outcome = account.all_days()

    assert not outcome.success
    assert loaded_days(account) == [days[0], days[2]]
    assert any(f"event [{account.account.name}|{bad}]: unforeseen KeyError at" in text for text in outcome.failures)
    assert not any(str(day) in text for text in outcome.failures for day in (days[0], days[2]))
    assert PERSONAL not in account.event_log()
    assert account.dirty() == [bad]
    monkeypatch.undo()
    assert account.all_days().success
    assert loaded_days(account) == days


def test_days_that_are_not_in_the_books_are_not_done(account, days, monkeypatch):
    """The ledger's row is what makes a day count as loaded."""
    replace = poisoned(loaded.replace_quarantine, lambda *_: True)
    monkeypatch.setattr(loaded, "replace_quarantine", replace)

    outcome = account.all_days()

    assert not outcome.success
    assert outcome.failures[-1].startswith("all 6 partitions failed:")
    assert account.dirty() == days
    monkeypatch.undo()
    assert account.all_days().success
    assert account.dirty() == []


def test_an_account_table_that_fails_leaves_the_others(account, monkeypatch):
    map_table = poisoned(AccountMapping.map_table, lambda _, table: table.name == "coupon")
    monkeypatch.setattr(AccountMapping, "map_table", map_table)

    outcome = account.tables("coupon", "campaign", "metric")

    assert not outcome.success
    assert outcome.failures[-1].splitlines()[0] == "1 of 3 partition(s) failed, the others are done:"
    done = {key for key, _ in outcome.materialized if key.startswith("bigquery/")}
    assert done == {"bigquery/campaign", "bigquery/metric"}


@pytest.mark.slow
def test_reports_views_and_their_checks_fail_by_name(account, monkeypatch):
    assert account.all_days().success
    conserved = poisoned(reported.report_conservation, lambda *_: True)
    monkeypatch.setattr(reported, "report_conservation", lambda *given, **named: conserved(*given))

    outcome = account.reports()

    assert not outcome.success
    assert "account_by_event_date [" in outcome.failures[0]
    assert "unforeseen KeyError" in outcome.failures[0]
    assert PERSONAL not in account.event_log()
    monkeypatch.undo()
    assert account.reports().success


def test_what_fails_before_a_step_has_begun_is_the_runs_own(account, days):
    """A run for a day that is no partition makes nothing and says so."""
    outcome = account.days(days[0], days[-1] + timedelta(days=400))

    assert not outcome.success
    assert outcome.materialized == []
    assert "which is not among the partitions" in outcome.failures[0]
