"""`klaviyo-assets verify`: wrong usage, and what people and programs are shown."""

import io
import json
import re
from datetime import date
from decimal import Decimal

import pytest
from rich.console import Console

from klaviyo_assets.audit.reconciliation import Discrepancy, Equation, Reconciliation, Severity, StageSum
from klaviyo_assets.cli.verify import verify
from klaviyo_assets.cli.verify_output import as_json, show

DAY = date(2024, 5, 1)
ACME = '[[account]]\nname = "acme"\npostgres_schema = "klaviyo_acme"\n'
ROWS = Equation("raw_rows", "Rows in Postgres = rows loaded + deleted + quarantined.", "Postgres", "ledger")
RATE = Equation("rate_above_1", "A rate is a share: at most 1.", "rows above 1", "none")
LATE = Discrepancy("acme", DAY, ROWS, 12345, 12342, Severity.ERROR, "3 rows are newer: run it.", "event")
ODD = Discrepancy("acme", None, RATE, 1, 0, Severity.WARN, "Nothing to do.", "flow_lifetime.open_rate")


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """One account and nothing else."""
    (tmp_path / "accounts.toml").write_text(ACME)
    monkeypatch.chdir(tmp_path)
    for name in ("KLAVIYO_ACCOUNTS_FILE", "POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def result(*findings: Discrepancy) -> Reconciliation:
    money = {"EUR": Decimal("1234567.890000000"), "USD": Decimal("0.001")}
    stages = [
        StageSum("Postgres", 12345, money), StageSum("  of these deleted", 3),
        StageSum("ledger", 12342, {"": Decimal("1234567.891")}),
        StageSum("campaign_by_event_date (conversions)", Decimal("10.500000000"), {"EUR": Decimal(0)}),
    ]  # fmt: skip
    return Reconciliation("acme", DAY, DAY, stages, list(findings), 100)


def lines(reconciliation: Reconciliation, **options) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None, highlight=False, **options)
    show(reconciliation, console)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2024-05-02", "--end", "2024-05-01"], "--start 2024-05-02 is after --end 2024-05-01"),
        (["--account", "acmee"], "no account 'acmee'"),
        ([], "the setting POSTGRES_URL is missing"),
        (["--start", "yesterday"], "does not match the format"),
    ],
)
def test_wrong_usage_is_explained_and_exits_2(call, arguments, message, environment):
    if "--account" in arguments:
        for name in ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
            environment.setenv(name, "set")

    done = call(verify, *arguments)

    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_a_range_in_which_the_account_has_no_day_is_said_and_holds(call, environment):
    for name in ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT"):
        environment.setenv(name, "set")

    done = call(verify, "--end", "2019-12-31", "--json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert "there is no day to verify from its start_date, 2020-01-01, to today" in done.stderr


def test_every_line_fits_80_columns_of_a_terminal():
    screen_lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines(result(LATE, ODD), force_terminal=True)]

    assert max(map(len, screen_lines)) <= 80
    assert any("1,234,567.89 EUR" in line for line in screen_lines)
    assert any("0.001 USD" in line for line in screen_lines)
    assert any("1,234,567.891 all" in line for line in screen_lines)
    assert any(" 10.5 " in line for line in screen_lines)


def test_a_finding_says_what_does_not_hold_both_sides_the_difference_and_the_fix():
    printed_lines = lines(result(LATE))

    assert printed_lines[-4:] == [
        "error: 2024-05-01 event: Rows in Postgres = rows loaded + deleted + quarantined.",
        "  Postgres 12,345, ledger 12,342; difference 3",
        "  3 rows are newer: run it.",
        "acme: 1 of 100 equations do not hold",
    ]


def test_warnings_alone_hold():
    assert result(ODD).holds
    assert not result(ODD, LATE).holds
    assert lines(result(ODD))[-1] == "acme: all of 100 equations hold, 1 warning"


def test_a_long_list_of_findings_is_cut_and_says_how_to_see_the_rest():
    printed_lines = lines(result(*[LATE] * 25))

    assert sum(line.startswith("error: ") for line in printed_lines) == 20
    assert "and 5 more; --json lists all" in printed_lines


def test_json_has_exact_numbers_as_text():
    document = as_json(result(LATE))

    assert json.loads(json.dumps(document)) == document
    assert document["stages"][0] == {
        "stage": "Postgres", "rows": 12345, "money": {"EUR": "1234567.89", "USD": "0.001"},
    }  # fmt: skip
    (finding,) = document["findings"]
    assert (finding["equation"], finding["day"], finding["difference"]) == ("raw_rows", "2024-05-01", 3)
    assert document["holds"] is False
