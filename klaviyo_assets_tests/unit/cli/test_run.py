"""`klaviyo-assets run`: what is refused at once, and how failures are told."""

import pytest
from rich.console import Console

from klaviyo_assets.accounts import Account
from klaviyo_assets.cli import run as module
from klaviyo_assets.cli.pipeline import Pipeline, StageSum, Totals
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.cli.run import run

MANY = [f"day {number} broke" for number in range(12)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Two accounts and nothing else."""
    blocks = [f'[[account]]\nname = "{name}"\npostgres_schema = "{name}"' for name in ("acme", "bloom")]
    (tmp_path / "accounts.toml").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    for name in ("KLAVIYO_ACCOUNTS_FILE", "POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def failed(account: str, *reasons: str) -> Totals:
    totals = Totals()
    for reason in reasons:
        totals.fail(account, reason)
    return totals


@pytest.mark.parametrize(("arguments", "what", "fix"), [
    (["--account", "acmee"], "there is no account 'acmee'", "Did you mean 'acme'? Choose one of: acme, bloom."),
    (["--start", "31.1.2026"], "--start '31.1.2026' is not a date", "Allowed: a date such as 2026-01-31."),
    (["--end", "2026-01-31"], "--end was given without --start", "Give both"),
    (["--start", "2026-02-01", "--end", "2026-01-31"], "--start 2026-02-01 is after --end 2026-01-31", "earlier day"),
    (["--source", "csv"], "--source 'csv' is not supported", "Allowed: fivetran."),
    (["--upload-s3", "bucket/prefix"], "--upload-s3 'bucket/prefix' is not an S3 address", "Allowed: s3://bucket"),
    (["--upload-to-s3", "s3://b/{start}.csv"], "--upload-s3 's3://b/{start}.csv' names a file", "such as s3://bucket/"),
    ([], "the setting POSTGRES_URL is missing", "Set it in .env"),
])  # fmt: skip
def test_wrong_usage_is_two_lines_and_exit_code_2(call, arguments, what, fix):
    result = call(run, *arguments)
    first, second = result.stderr.splitlines()

    assert result.exit_code == 2
    assert first.startswith(f"error: {what}")
    assert fix in second
    assert result.stdout == ""


def test_a_failure_is_shown_with_its_fix(capsys):
    module._show_failures(failed("acme", "S3 refused: NoSuchBucket\nName an existing bucket."), everything=False)

    assert capsys.readouterr().err.splitlines() == [
        "failed: acme: S3 refused: NoSuchBucket", "  Name an existing bucket.",
    ]  # fmt: skip


def test_days_that_failed_are_told_line_by_line(capsys):
    reason = "2 partition(s) failed, the others are done:\nevent [acme|2026-01-01]: a. b\nevent [acme|2026-01-02]: c"

    module._show_failures(failed("acme", reason), everything=False)

    assert capsys.readouterr().err.splitlines() == [
        "failed: acme: 2 partition(s) failed, the others are done:", "  event [acme|2026-01-01]: a. b",
        "  event [acme|2026-01-02]: c",
    ]  # fmt: skip


def test_many_failures_are_counted_and_all_shown_when_asked_for(capsys):
    module._show_failures(failed("acme", *MANY), everything=False)
    few = capsys.readouterr().err
    module._show_failures(failed("acme", *MANY), everything=True)

    assert "and 4 more; -v lists all" in few
    assert capsys.readouterr().err.count("failed: ") == len(MANY)


def test_where_nothing_was_done_there_is_no_table_of_it(capsys):
    totals = failed("acme", "Postgres went away")

    module._conclude(totals, [])
    nothing = capsys.readouterr().out
    totals.stages["extracted"] = StageSum(1, 5)
    module._conclude(totals, [])

    assert nothing == ""
    assert "Done, with failures" in capsys.readouterr().out


@pytest.mark.parametrize("whole", [True, False])
def test_large_tables_are_read_whole_where_that_is_said(monkeypatch, whole):
    asked = []
    monkeypatch.setattr(Pipeline, "_execute", lambda *_, **given: asked.append(given["config"]))

    pipeline = Pipeline(None, Totals(), Progress(Console(quiet=True)), whole=whole)
    pipeline._account_tables(Account(name="acme", postgres_schema="k"), ["person"])

    assert asked == [{"ops": {"extract_tables": {"config": {"whole": True}}}} if whole else {}]


def test_what_went_to_quarantine_is_a_warning_and_no_failure():
    totals = Totals()
    totals.of("acme").values, totals.of("acme").rows = 1_200, 3
    totals.of("bloom")

    (warning,) = totals.warnings
    assert warning.startswith("acme: 1,200 value(s) were left empty and 3 row(s) left out")
    assert "klaviyo-assets query -a acme" in warning
    assert totals.failures == []
