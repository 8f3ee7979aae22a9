"""A changed setting is announced by name, and makes again what it decides and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets.accounts import DEFAULT_WINDOWS, AttributionSettings
from klaviyo_assets_tests.integration.conftest import Deploy
from klaviyo_assets_tests.integration.deployment import Deployment, Rows

DAY = 86_400


def loads(account: Deployment, table: str) -> Rows:
    """When each day of a table was loaded last."""
    return account.query(
        f"SELECT `partition`, MAX(recorded_at) FROM ledger WHERE table_name = '{table}' AND `partition` != 'undated' "
        "GROUP BY 1 ORDER BY 1"
    )


def credited(account: Deployment) -> Rows:
    return sorted(account.query("SELECT * FROM attribution"), key=repr)


@pytest.mark.slow
def test_other_windows_make_credits_again_and_leave_events_as_they_are(deploy: Deploy) -> None:
    """The plan says why, a run of it loads `attribution` only, and the credits are those of a fresh load."""
    account = deploy("windows", last_days=6, attribution=AttributionSettings("touch"))
    assert account.all_days().success
    assert account.plan().days == ()
    windows = dict(DEFAULT_WINDOWS) | {"email_click": 3 * DAY, "email_open": DAY // 2}
    changed = replace(account, account=replace(account.account, attribution=AttributionSettings("touch", windows)))
    before, days = credited(changed), len(loads(changed, "event"))

    planned = changed.plan()

    assert planned.announcements == [
        "attribution windows changed (email_click 5 days -> 3 days, email_open 5 days -> 12 hours): "
        f"{days} days of attribution will be rebuilt"
    ]
    assert planned.ranges(only_attribution=False) == []
    events, attributed = loads(changed, "event"), loads(changed, "attribution")
    totals = changed.run()
    assert not totals.failures
    assert loads(changed, "event") == events
    assert all(new > old for (_, new), (_, old) in zip(loads(changed, "attribution"), attributed, strict=True))
    assert changed.plan().days == ()
    assert credited(changed) != before

    fresh = changed.elsewhere("fresh_windows")
    assert fresh.all_days().success
    assert credited(fresh) == credited(changed)


def test_an_account_that_klaviyo_attributes_knows_no_windows(deploy: Deploy) -> None:
    account = deploy("recorded", last_days=2)
    assert account.all_days().success
    shorter = AttributionSettings(windows=dict(DEFAULT_WINDOWS) | {"email_click": DAY})

    changed = replace(account, account=replace(account.account, attribution=shorter))

    assert changed.plan().days == ()
    touched = replace(account, account=replace(account.account, attribution=AttributionSettings("touch")))
    assert touched.plan().announcements == [
        f"attribution source changed (native -> touch): {len(loads(account, 'event'))} days of attribution will be "
        "rebuilt"
    ]


@pytest.mark.slow
def test_a_change_is_named_on_the_command_line_before_anything_is_made_again(deploy: Deploy, tmp_path: Path) -> None:
    account = deploy("named", last_days=2)
    assert account.all_days().success

    kept = replace(account, account=replace(account.account, pii="keep"))
    result = kept.command(tmp_path, "run", "--no-sync")
    assert result.exit_code == 0, result.output
    announced = f"named: pii changed (hash -> keep): {len(loads(account, 'event'))} days of events will be rebuilt"
    assert announced in " ".join(result.output.split())
