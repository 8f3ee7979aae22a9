"""Hostile rows cost themselves: everything else of their days, tables and accounts is loaded, by one command."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from klaviyo_assets import definitions
from klaviyo_assets.accounts import read_accounts_file
from klaviyo_assets.cli.main import app
from klaviyo_assets_tests.integration.deployment import Deployment, environment
from klaviyo_assets_tests.integration.hostile import (
    KINDS,
    LEFT_OUT,
    LOADED,
    PACKED_KINDS,
    PERSONAL,
    UNDATED,
    HostileAccount,
)  # fmt: skip

# Of account tables: a time of the year 10000 in UTC, far and near ends of calendars, documents, texts for flags.
TABLES = (
    "UPDATE {}.coupon_code SET expires_at = '9999-12-31 23:59:59-05'",
    "UPDATE {}.person SET created = '-infinity', updated = '10000-01-01', _fivetran_synced = '10000-01-01 00:00+00' "
    "WHERE id IN (SELECT id FROM {}.person ORDER BY id LIMIT 5)",
    "UPDATE {}.campaign SET send_time = '0001-01-01 00:00+00' WHERE id = (SELECT min(id) FROM {}.campaign)",
    "INSERT INTO {}.metric (id, name, _fivetran_synced) VALUES ('no-name', NULL, 'infinity'), ('blank', ' ', NULL)",
)


def run(accounts: Sequence[Deployment], folder: Path, *arguments: str) -> Result:
    """`klaviyo-assets run` for accounts of one file."""
    path = folder / "accounts.toml"
    path.write_text("\n".join([account.accounts_file(folder).read_text() for account in accounts]))
    variables = accounts[0].variables | {"KLAVIYO_ACCOUNTS_FILE": str(path), "COLUMNS": "240"}
    with environment(variables), pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "defs", definitions.build_definitions(accounts=read_accounts_file(path)))
        patch.chdir(folder)
        return CliRunner().invoke(app, ["run", "--no-sync", *arguments])


def raw(account: Deployment, statement: str) -> list[tuple]:
    return account.raw(statement.replace("{}", f'"{account.account.postgres_schema}"'))


def hostile_accounts(deploy, per_day: int) -> dict[str, HostileAccount]:
    """An account of each shape, with hostile rows on each of five days; nothing is loaded."""
    plain = HostileAccount(deploy(f"hostile_{per_day}", last_days=4), KINDS)
    packed = HostileAccount(deploy(f"hostile_packed_{per_day}", source="bloom", last_days=4), PACKED_KINDS)
    for account in (plain, packed):
        account.write(per_day)
        for statement in TABLES:
            raw(account.deployment, statement)
    return {"plain": plain, "packed": packed}


def test_every_other_row_of_days_with_hostile_rows_is_loaded(deploy):
    for account in hostile_accounts(deploy, 20).values():
        outcomes = [
            account.deployment.tables("metric", "person", "campaign", "coupon_code"),
            account.deployment.all_days(),
        ]

        assert [failure for outcome in outcomes for failure in outcome.failures] == []
        check(account)


@pytest.mark.slow
def test_one_run_loads_every_other_row_of_days_with_two_thousand_hostile_ones_and_warns(deploy, tmp_path):
    accounts = hostile_accounts(deploy, 200).values()
    assert sum(len(account.fates) for account in accounts) == 2_000

    result = run([account.deployment for account in accounts], tmp_path)

    assert result.exit_code == 0, result.output
    assert "warning: hostile" in result.output
    assert PERSONAL not in result.output
    for account in accounts:
        check(account)
        verified = account.deployment.command(tmp_path, "verify")
        assert verified.exit_code == 0, verified.output


def check(hostile: HostileAccount) -> None:
    """Every other row is there, and rows in are rows loaded, deleted or in quarantine."""
    account = hostile.deployment
    others = {event_id for (event_id,) in raw(account, "SELECT id FROM {}.event")} - hostile.fates.keys()
    deleted = set()
    if account.has_column("_fivetran_deleted"):
        deleted = {event_id for (event_id,) in raw(account, "SELECT id FROM {}.event WHERE _fivetran_deleted")}
    loaded = {event_id for (event_id,) in account.query("SELECT event_id FROM event")}
    assert loaded == (others | hostile.having(LOADED)) - deleted
    ((rows, kept, gone, quarantined),) = account.query(
        "SELECT SUM(rows_raw), SUM(rows_loaded), SUM(rows_deleted), SUM(rows_quarantined) FROM ledger "
        "WHERE table_name = 'event'"
    )
    assert rows == kept + gone + quarantined == len(others) + len(hostile.fates)
    assert quarantined == len(hostile.having(LEFT_OUT)) + len(hostile.having(UNDATED))
    noted = account.query(
        "SELECT row_id, rule, reason, quarantine.value, properties FROM quarantine LEFT JOIN event ON event_id = row_id"
    )
    assert all(rule and reason for _, rule, reason, *_ in noted)
    assert PERSONAL not in repr(noted)
    assert all(json.loads(properties) is not None for *_, properties in noted if properties)
    codes, times = account.query("SELECT COUNT(*), COUNT(expires_at) FROM coupon_code")[0]
    assert codes == raw(account, "SELECT count(*) FROM {}.coupon_code")[0][0]
    assert times == 0
    assert account.dirty() == []


@pytest.mark.slow
def test_an_account_without_events_is_done_with_a_warning(deploy, tmp_path):
    account = deploy("without_events", last_days=1)
    account.raw("DELETE FROM {}.event")

    for _ in range(2):
        result = run([account], tmp_path)

        assert result.exit_code == 0, result.output
        assert f"there are no events since its start_date, {account.account.start_date}" in result.output
    assert account.query("SELECT COUNT(*) FROM event") == [(0,)]
    assert account.query("SELECT COUNT(*) FROM campaign_by_send_date") == [(0,)]
