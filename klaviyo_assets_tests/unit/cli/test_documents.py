"""What docs/from_the_poc.md and docs/command_line.md promise: commands that are taken, documents of the shape shown."""

import json
import re
import shlex
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from klaviyo_assets.audit.reconciliation import Reconciliation
from klaviyo_assets.cli import closing, doctor, fields, sync, verify_output
from klaviyo_assets.cli.connections import connections
from klaviyo_assets.cli.extract_files import Written
from klaviyo_assets.cli.main import app
from klaviyo_assets.cli.pipeline import Totals, Work
from klaviyo_assets.diagnosis.findings import DoctorFinding, Level
from klaviyo_assets.diagnosis.run import Diagnosis
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.checkout import DOCS
from klaviyo_assets_tests.unit.resources.fivetran.scripted import connection, page

POC = (DOCS / "from_the_poc.md").read_text(encoding="utf-8")
SHARED = (DOCS / "command_line.md").read_text(encoding="utf-8")
DAY = date(2026, 1, 1)


def commands() -> list[str]:
    """Every command line of the page's examples."""
    blocks = re.findall(r"^```sh\n(.*?)^```", POC, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def documented(command: str) -> object:
    """The JSON that the page shows of a command."""
    after = SHARED[SHARED.index(f"`{command} --json`") :]
    return json.loads(re.search(r"^```json\n(.*?)^```", after, re.MULTILINE | re.DOTALL)[1])


def keys(document: object) -> object:
    """The shape of a document: its keys; of a list, that of its first entry."""
    if isinstance(document, dict):
        return {name: keys(value) for name, value in document.items()}
    return [keys(document[0])] if isinstance(document, list) and document else None


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_page_is_taken(line):
    """Parsed with all its options, as the command itself would."""
    program, *words = shlex.split(line)
    command = get_command(app)
    while hasattr(command, "commands"):
        words = words[1:] if words[0] == "-v" else words
        command = command.commands[words.pop(0)]

    assert program == "klaviyo-assets"
    assert command.make_context(command.name, words).args == []


@pytest.mark.parametrize("line", [line for line in commands() if " fields" in line])
def test_commands_that_ask_no_server_do_what_the_page_says(line):
    result = CliRunner().invoke(app, shlex.split(line)[1:])

    assert result.exit_code == 0, result.output
    assert "campaign" in result.stdout or "event" in result.stdout


@pytest.mark.parametrize("script", [
    "fivetran_api_client", "fivetran_connector_runner", "postgres_extract_export", "lookml_field_mapper", "etl_runner",
    "s3_uploader", "ses_smoketest",
])  # fmt: skip
def test_every_old_script_has_its_place(script):
    assert POC.count(f"{script}") >= 2


def test_an_address_of_a_file_is_refused_with_what_to_give_instead(call):
    result = CliRunner().invoke(app, ["run", "--upload-to-s3", "s3://bucket/prefix/{start}_{end}.csv"])

    assert result.exit_code == 2
    assert "Give a folder" in result.stderr


def test_run_prints_the_document_that_is_described():
    totals = Totals()
    totals.of("acme").work = [Work(DAY, DAY)]

    assert keys(closing.document(totals)) == keys(documented("run"))


def test_sync_prints_the_document_that_is_described():
    outcome = sync.Outcome(sync.Target("acme", "speak_menial"), "succeeded", "url", datetime(2026, 3, 1, 5, tzinfo=UTC))

    (example,) = documented("sync")
    assert keys(outcome.document) == keys(example)
    assert outcome.document["succeeded_at"] == example["succeeded_at"]


def test_extract_prints_the_document_that_is_described():
    (example,) = documented("extract")

    assert asdict(Written("acme", "event", DAY, Path("raw"), 2, 150)).keys() == example.keys()


def test_verify_prints_the_document_that_is_described():
    (example,) = documented("verify")

    assert verify_output.as_json(Reconciliation("acme", DAY, DAY, [], [], 812)).keys() == example.keys()


def test_doctor_prints_the_document_that_is_described():
    finding = DoctorFinding("acme", "s3", Level.OK, "The bucket is there.", "")
    document = doctor._document(Diagnosis(("acme",), (finding,)))

    assert document.keys() == documented("doctor").keys()
    assert set(document["findings"][0]) == {"account", "system", "level", "what", "fix"}


def test_fields_and_connections_have_what_is_named(server, call):
    server.on("GET /v1/groups", page({"id": "sunny_warehouse", "name": "Warehouse"}))
    server.on("GET /v1/groups/sunny_warehouse/connections", page(connection()))
    (field, *_) = fields.mapping(TABLES["campaign"])
    named = {
        command: set(re.findall(r"`(\w+)`", SHARED.split(f"`{command} --json`")[1].split("\n\n")[0]))
        for command in ("fields", "connections")
    }

    (example,) = json.loads(call(connections, "--json").stdout)
    assert named["fields"] == set(asdict(field))
    assert named["connections"] <= set(example)
    assert named["connections"] >= {"id", "state", "succeeded_at"}
