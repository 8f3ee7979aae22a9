"""`run` without days does what changed, and nothing else: account tables, days, reports and views."""

from dataclasses import replace

import pytest

from klaviyo_assets.stages.restating import is_current
from klaviyo_assets_tests.integration.deployment import Deployment

LOADING = ("extracted", "mapped", "s3_archive", "bigquery")


@pytest.fixture(scope="module")
def account(deploy) -> Deployment:
    """An account with three days of events, loaded."""
    loaded = deploy("unchanged", last_days=2)
    totals = loaded.run()
    assert not totals.failures
    assert totals.stages["report"].partitions
    return loaded


def partitions(account: Deployment) -> dict[str, int]:
    """How many partitions each stage of a run without days rebuilds."""
    totals = account.run()
    assert not totals.failures
    return {name: stage.partitions for name, stage in totals.stages.items() if stage.partitions}


def rename_a_campaign(account: Deployment) -> None:
    account.raw(
        "UPDATE {0}.campaign SET name = name || '!', _fivetran_synced = now() "
        "WHERE id = (SELECT min(id) FROM {0}.campaign)"
    )


def current(account: Deployment) -> bool:
    return is_current(account.account, account.dataset)


def test_a_run_without_changes_rebuilds_nothing(account):
    objects, ledger = account.objects(), account.query("SELECT COUNT(*) FROM ledger")
    assert partitions(account) == {}
    assert account.objects() == objects
    assert account.query("SELECT COUNT(*) FROM ledger") == ledger


def test_one_changed_table_is_rebuilt_alone_and_the_reports_follow(account):
    rename_a_campaign(account)
    rebuilt = partitions(account)
    assert {stage: rebuilt.get(stage) for stage in LOADING} == dict.fromkeys(LOADING, 1)
    assert rebuilt["report"] > 1
    assert partitions(account) == {}


def test_reports_that_a_crash_left_behind_are_restated_though_nothing_changed(account):
    rename_a_campaign(account)
    account.tables("campaign")
    assert not current(account)
    rebuilt = partitions(account)
    assert "bigquery" not in rebuilt
    assert rebuilt["report"] > 1
    assert current(account)


def test_a_view_that_is_gone_is_rebuilt(account):
    account.dataset.drop("flow_message_detail")
    assert not current(account)
    assert "bigquery" not in partitions(account)
    assert current(account)


def test_a_setting_of_reports_rebuilds_the_reports(account):
    changed = replace(account.account, currency="CHF")
    assert current(account)
    assert not is_current(changed, account.dataset)


def test_named_days_are_rebuilt_with_every_account_table(account):
    today = account.account.today()
    totals = account.run(today, today)
    assert not totals.failures
    assert totals.stages["bigquery"].partitions > 20
