"""A wrong or missing setting: the command fails, and says which setting it is and what to do."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets_tests.integration.deployment import Deployment

FAILED, WRONG_USAGE = 1, 2


@pytest.fixture(scope="module")
def untouched(deploy) -> Deployment:
    """An account that nothing is loaded of."""
    return deploy("settings", last_days=0)


@pytest.fixture
def account(untouched) -> Deployment:
    """The same, with settings of its own."""
    return untouched.elsewhere("settings")


def run(account: Deployment, folder: Path) -> tuple[int, str]:
    day = account.account.today().isoformat()
    result = account.command(folder, "run", "--no-sync", "--start", day, "--end", day)
    return result.exit_code, " ".join(result.output.split())


def address(account: Deployment, pattern: str, replacement: str) -> str:
    return re.sub(pattern, replacement, account.sandbox.variables["POSTGRES_URL"])


@pytest.mark.parametrize("name", ["POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"])
def test_a_missing_setting_is_named_before_anything_is_done(account, tmp_path, name):
    account.changes[name] = None
    code, output = run(account, tmp_path)
    assert code == WRONG_USAGE
    assert f"the setting {name} is missing" in output
    assert ".env" in output
    assert "account tables" not in output


@pytest.mark.parametrize("key", [None, "short"])
def test_a_missing_or_short_hash_key_is_named_before_anything_is_done(account, tmp_path, key):
    account.changes["PII_HASH_KEY"] = key
    code, output = run(account, tmp_path)
    assert code == WRONG_USAGE
    assert "PII_HASH_KEY is missing or shorter than 16 characters" in output
    assert "secrets.token_hex" in output


def test_an_address_that_is_no_postgres_address(account, tmp_path):
    account.changes["POSTGRES_URL"] = "mysql://me:hidden@127.0.0.1/x"
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "POSTGRES_URL is not a Postgres address" in output
    assert "Write it as postgresql://user:password@host:5432/database" in output
    assert "hidden" not in output


def test_a_wrong_postgres_password(account, tmp_path):
    account.changes["POSTGRES_URL"] = address(account, r":[^:@/]+@", ":wrongsecret@")
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "password authentication failed" in output
    assert "Check user, password and database in POSTGRES_URL" in output
    assert "wrongsecret" not in output


def test_a_database_that_does_not_exist(account, tmp_path):
    account.changes["POSTGRES_URL"] = address(account, r"/klaviyo$", "/nowhere")
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "POSTGRES_URL" in output
    assert "nowhere" in output


def test_a_postgres_that_does_not_answer(account, tmp_path):
    account.changes["POSTGRES_URL"] = address(account, r":\d+/", ":1/")
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "connecting to Postgres (POSTGRES_URL)" in output
    assert "refused" in output


def test_a_bucket_that_does_not_exist(account, tmp_path):
    account.changes["S3_BUCKET"] = "no-such-bucket"
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "NoSuchBucket" in output
    assert "Create the bucket, or set S3_BUCKET" in output


def test_a_wrong_bigquery_token(account, tmp_path):
    account.changes["BIGQUERY_EMULATOR_TOKEN"] = "wrongsecret"
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "settings_settings" in output, "the dataset it was about"
    assert "credentials" in output.lower()
    assert "wrongsecret" not in output


def test_a_schema_that_postgres_does_not_have(account, tmp_path):
    account.account = replace(account.account, postgres_schema="klaviyo_elsewhere")
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "Postgres has no schema 'klaviyo_elsewhere' in the database" in output
    assert "klaviyo-assets sync" in output


def test_an_ambiguous_conversion_metric_lists_its_candidates(account, tmp_path):
    """The simulated shop has one Placed Order of Shopify and one of the API."""
    account.account = replace(account.account, conversion_integration=None)
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "conversion_metric 'Placed Order' matches 2 metrics" in output
    for (metric,) in account.raw("SELECT id FROM {}.metric WHERE name = 'Placed Order'"):
        assert metric in output
    assert "set conversion_integration" in output


def test_a_misspelled_conversion_metric_is_refused_with_what_was_meant(account, tmp_path):
    account.account = replace(account.account, conversion_metric="Placed Ordr", conversion_integration=None)
    code, output = run(account, tmp_path)
    assert code == FAILED
    assert "no metric 'Placed Ordr' in this account" in output
    assert "Did you mean 'Placed Order'?" in output


def test_a_conversion_metric_without_events_is_a_warning_that_lists_what_there_is(account):
    account.account = replace(account.account, conversion_metric="Signed a Lease", conversion_integration=None)
    outcome = account.days(account.account.start_date)
    assert outcome.success, outcome.failures
    assert "no metric 'Signed a Lease' in this account, so no event counts as a conversion" in account.event_log()
    assert account.query("SELECT COUNTIF(is_conversion) FROM event") == [(0,)]


def test_an_unknown_account_is_named_with_those_there_are(account, tmp_path):
    result = account.command(tmp_path, "run", "--account", "nobody")
    assert result.exit_code == WRONG_USAGE
    assert "no account 'nobody'" in result.output


def test_an_unknown_table_is_named_with_those_there_are(account, tmp_path):
    result = account.command(
        tmp_path, "extract", "--table", "klaviyo_nothing", "--start", "2026-01-01", "--end", "2026-01-02", "--out", "x"
    )  # fmt: skip
    assert result.exit_code == WRONG_USAGE
    assert "klaviyo_nothing" in result.output
    assert "campaign" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "31.01.2026"], "Allowed: a date such as 2026-01-31"),
        (["--end", "2026-01-31"], "--end was given without --start"),
        (["--start", "2026-02-01", "--end", "2026-01-31"], "is after --end 2026-01-31"),
        (["--upload-s3", "bucket/prefix"], "Allowed: s3://bucket or s3://bucket/prefix"),
        (["--source", "csv"], "Allowed: fivetran"),
    ],
)
def test_wrong_options_say_what_is_allowed(account, tmp_path, arguments, message):
    result = account.command(tmp_path, "run", *arguments)
    assert result.exit_code == WRONG_USAGE
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"])
def test_in_dagster_too_a_missing_setting_is_named(account, name):
    """A run started from the page: Dagster refuses it when its resources start."""
    account.changes[name] = None
    with pytest.raises(Exception, match=name):
        account.days(account.account.start_date)


def test_in_dagster_too_a_missing_hash_key_fails_the_partition_by_name(account):
    account.changes["PII_HASH_KEY"] = None
    outcome = account.days(account.account.start_date)
    (message,) = set(outcome.failures)
    assert f"event [{account.account.name}|{account.account.start_date}]" in message
    assert "PII_HASH_KEY is missing" in message
