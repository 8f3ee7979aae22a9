"""What the tab key offers."""

import os
import subprocess
import sys

import pytest

from klaviyo_assets.cli.options import account_names, raw_table_names
from klaviyo_assets.tables import TABLES

ACCOUNTS = "\n".join(f'[[account]]\nname = "{name}"\npostgres_schema = "{name}"' for name in ("acme", "acorn", "bloom"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with three accounts."""
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KLAVIYO_ACCOUNTS_FILE", raising=False)
    return tmp_path


def completed(line: str) -> list[str]:
    """What bash is told for a line with the cursor at its end."""
    words = line.split(" ")
    environment = {"_KLAVIYO_ASSETS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    program = "import sys; sys.argv = ['klaviyo-assets']; from klaviyo_assets.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.split()


def test_accounts_are_completed_from_the_accounts_file():
    assert account_names("ac") == ["acme", "acorn"]


def test_where_the_accounts_file_is_broken_nothing_is_offered(here):
    (here / "accounts.toml").write_text("[[account")

    assert account_names("") == []


def test_tables_are_those_that_there_are():
    assert raw_table_names("") == sorted(name for name, table in TABLES.items() if table.raw)
    assert raw_table_names("flow_t") == ["flow_tag"]


def test_the_shell_completes_accounts_and_tables():
    assert completed("klaviyo-assets verify --account ac") == ["acme", "acorn"]
    assert completed("klaviyo-assets extract --table campaign_t") == ["campaign_tag", "campaign_tracking_utm_param"]
