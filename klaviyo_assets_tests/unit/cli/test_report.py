"""`klaviyo-assets report`: which days, where the file goes, and what is said where it cannot be made."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from klaviyo_assets.accounts import Account
from klaviyo_assets.cli import report as command
from klaviyo_assets.cli.main import app
from klaviyo_assets.errors import SettingsError
from klaviyo_assets.publishing.html_report import Report

AHEAD = Account("ahead", "ahead", timezone="Pacific/Kiritimati")
BEHIND = Account("behind", "behind", timezone="Pacific/Niue")


def test_the_default_is_thirty_days_that_are_over_in_every_account():
    """Where it is still yesterday, the last whole day is the day before."""
    first, last = command._days(None, None, [AHEAD, BEHIND])

    assert last == BEHIND.today() - timedelta(days=1)
    assert (last - first).days + 1 == 30


def test_a_last_day_alone_has_the_thirty_days_that_end_with_it():
    assert command._days(None, date(2026, 1, 30), [AHEAD]) == (date(2026, 1, 1), date(2026, 1, 30))


def test_the_file_is_written_whole_over_an_earlier_one(tmp_path: Path):
    target = tmp_path / "report.html"
    target.write_text("an earlier one, and longer")

    assert command._written("\N{EURO SIGN} 1", target) == target
    assert target.read_text(encoding="utf-8") == "\N{EURO SIGN} 1"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"cannot write --out .*No such file or directory"):
        command._written("", tmp_path / "none" / "report.html")


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--start", "2026-02-01", "--end", "2026-01-01"], "Give the earlier day first"),
     (["--account", "nobody"], "no account 'nobody'")],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(options, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_ACCOUNTS_FILE", str(tmp_path / "accounts.toml"))
    (tmp_path / "accounts.toml").write_text('[[account]]\nname = "acme"\npostgres_schema = "acme"\n')

    done = CliRunner().invoke(app, ["report", "--out", "report.html", *options])

    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_what_does_not_add_up_is_said_with_what_to_do(capsys, tmp_path):
    html_report = Report(html="", figures=0, empty=["bloom"], broken=["acme"])

    command._tell(html_report, tmp_path / "report.html", (date(2026, 1, 1), date(2026, 1, 30)))

    output = capsys.readouterr()
    assert output.out == f"Report of 2026-01-01 to 2026-01-30: {tmp_path / 'report.html'}\n"
    assert "There is nothing to show for bloom" in output.err
    assert "`klaviyo-assets verify --account acme`" in output.err
