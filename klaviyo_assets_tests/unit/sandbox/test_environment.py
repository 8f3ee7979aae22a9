"""What the product is told, and the `.env` file."""

import re
import subprocess

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox import environment
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.state import State
from klaviyo_assets_tests.checkout import ROOT

PORTS = ("postgres", "s3", "bigquery", "fivetran", "smtp", "ses")
VALUES = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" '\"\\$`!#"), max_size=20)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "it's a sandbox $HOME")


@pytest.fixture
def variables(folder):
    state = State.new(folder.state_file)
    state.ports.update({name: 15000 + position for position, name in enumerate(PORTS)})
    return environment.contract(state, folder)


def test_the_whole_contract_is_told(variables):
    """The names of DESIGN's contract that a local run needs."""
    assert set(variables) >= {
        "POSTGRES_URL", "FIVETRAN_API_KEY", "FIVETRAN_API_SECRET", "FIVETRAN_API_URL", "S3_BUCKET", "S3_PREFIX",
        "S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION",
        "BIGQUERY_PROJECT", "BIGQUERY_DATASET_PREFIX", "BIGQUERY_LOCATION", "BIGQUERY_EMULATOR_HOST",
        "BIGQUERY_EMULATOR_TOKEN", "MAIL_FROM", "MAIL_TO", "SES_REGION", "SES_ENDPOINT_URL", "SMTP_URL",
        "PII_HASH_KEY", "KLAVIYO_ACCOUNTS_FILE", "KLAVIYO_FRAMES_URL", "KLAVIYO_SANDBOX_DIR",
    }  # fmt: skip
    assert variables["POSTGRES_URL"].startswith("postgresql://reporting:")
    assert all(value for value in variables.values())


def test_every_simulated_account_has_a_klaviyo_key_of_its_own(folder):
    """And Klaviyo's API is the one beside Fivetran's."""
    state = State.new(folder.state_file)
    state.ports.update({name: 15000 + position for position, name in enumerate(PORTS)})
    state.shop = {"accounts": 3}
    told = environment.contract(state, folder)
    keys = {told[f"KLAVIYO_API_KEY_{name}"] for name in ("ACME", "BLOOM", "CEDAR")}
    assert len(keys) == 3
    assert all(key.startswith("pk_") for key in keys)
    assert told["KLAVIYO_API_URL"] == f"{told['FIVETRAN_API_URL']}/klaviyo"


def test_a_shell_reads_the_lines_as_they_are_meant(variables):
    script = f"set -a\n{environment.shell_text(variables)}\nenv -0"
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
    read = dict(line.split("=", 1) for line in output.split("\0") if line)
    assert {name: read[name] for name in variables} == variables


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_any_value_survives_a_dotenv_file(tmp_path_factory, values):
    folder = Folder(tmp_path_factory.getbasetemp() / "sandbox")
    variables = {f"NAME_{position}": value for position, value in enumerate(values)}
    path = tmp_path_factory.getbasetemp() / "values.env"
    path.write_text(environment.dotenv_text(variables, folder))
    assert dotenv_values(path) == variables


def test_a_dotenv_file_is_written_for_its_owner_only(folder, variables, tmp_path):
    path = tmp_path / ".env"
    assert environment.write_dotenv(path, variables, folder)
    assert dotenv_values(path) == variables
    assert path.stat().st_mode & 0o777 == 0o600


def test_our_own_dotenv_file_is_brought_up_to_date(folder, variables, tmp_path):
    path = tmp_path / ".env"
    environment.write_dotenv(path, {**variables, "S3_BUCKET": "old"}, folder)
    assert environment.write_dotenv(path, variables, folder)
    assert dotenv_values(path)["S3_BUCKET"] == variables["S3_BUCKET"]


@pytest.mark.parametrize("content", ["", "POSTGRES_URL=mine\n", f"\n{environment.MARKER}\n", "\xff"])
def test_a_users_own_dotenv_file_is_never_touched(folder, variables, tmp_path, content):
    path = tmp_path / ".env"
    path.write_text(content, encoding="latin-1")
    assert not environment.write_dotenv(path, variables, folder)
    assert not environment.remove_dotenv(path, folder)
    assert path.read_text(encoding="latin-1") == content


def test_a_dotenv_file_that_is_a_link_is_the_users(folder, variables, tmp_path):
    (tmp_path / "shared.env").write_text(f"{environment.MARKER}\n")
    (tmp_path / ".env").symlink_to(tmp_path / "shared.env")
    assert not environment.write_dotenv(tmp_path / ".env", variables, folder)
    assert (tmp_path / "shared.env").read_text() == f"{environment.MARKER}\n"


def test_only_the_sandbox_that_wrote_a_dotenv_file_removes_it(folder, variables, tmp_path):
    path = tmp_path / ".env"
    environment.write_dotenv(path, variables, folder)
    assert not environment.remove_dotenv(path, Folder(tmp_path / "another"))
    assert environment.remove_dotenv(path, folder)
    assert not path.exists()


def test_a_sandbox_elsewhere_leaves_the_projects_dotenv_alone(folder, variables, tmp_path):
    project = tmp_path / "project"
    project.mkdir()

    assert not environment.write_dotenv(project / ".env", variables, folder)
    assert not (project / ".env").exists()


def test_the_dotenv_of_another_sandbox_stays_until_that_sandbox_is_gone(folder, variables, tmp_path):
    other = Folder(tmp_path / "other")
    other.root.mkdir()
    assert environment.write_dotenv(tmp_path / ".env", {**variables, "S3_BUCKET": "of the other"}, other)

    assert not environment.write_dotenv(tmp_path / ".env", variables, folder)
    assert dotenv_values(tmp_path / ".env")["S3_BUCKET"] == "of the other"

    other.root.rmdir()
    assert environment.write_dotenv(tmp_path / ".env", variables, folder)
    assert dotenv_values(tmp_path / ".env") == variables


def test_nothing_that_is_sent_somewhere_is_left_for_dotenv_to_fill_in(variables):
    """Beside a production `.env`, what the sandbox does not set would come from there."""
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    places = {name for name in named if name.endswith(("_URL", "_HOST", "_DIR", "_BUCKET", "_PROJECT", "_FILE", "_TO"))}

    # An address that only links in mails bear.
    assert places - set(variables) == {"DAGSTER_UI_URL"}
