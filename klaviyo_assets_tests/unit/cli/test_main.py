"""The command as a whole: help, version, and what it says to what it does not know."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from klaviyo_assets.cli.main import app


def leaves(command, path=()):
    """Every command below a group, as the words that call it."""
    below = getattr(command, "commands", None)
    if not below:
        return [path]
    return [leaf for name, inner in below.items() for leaf in leaves(inner, (*path, name))]


COMMANDS = leaves(typer.main.get_command(app))


@pytest.fixture
def call(monkeypatch):
    """Call the command on a wide screen, so that no sentence is broken."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, list(words))


def test_the_commands_are_those_that_are_promised():
    assert {words[0] for words in COMMANDS} >= {"sandbox", "init", "connections", "sync", "extract", "run", "query"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(call, words):
    result = call(*words, "--help")

    assert result.exit_code == 0
    assert f"klaviyo-assets {' '.join(words)}" in result.stdout
    assert re.search(r"[A-Z][^.]+\.", result.stdout)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_that_it_would_take(call, words):
    help_text = call(*words, "--help").stdout
    example = re.search(rf"Example: klaviyo-assets {' '.join(words)}\b(.*)", help_text)

    assert example, help_text
    options = re.findall(r"--[a-z][a-z0-9-]*", example[1].partition("|")[0])
    assert [option for option in options if help_text.count(option) < 2] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_details_when_asked_for(words):
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]

    assert ["--verbose", "-v"] in [option.opts for option in command.params]


@pytest.mark.parametrize(
    "words", [["nonsense"], ["sandbox", "nonsense"], ["query", "--nonsense", "SELECT 1"], ["query"]]
)
def test_what_it_does_not_know_is_wrong_usage(call, words):
    result = call(*words)

    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_alone_it_lists_its_commands_and_that_is_wrong_usage(call):
    result = call()

    assert result.exit_code == 2
    assert all(words[0] in result.output for words in COMMANDS)


def test_it_tells_its_version(call):
    result = call("--version")

    assert (result.exit_code, result.stdout) == (0, version("klaviyo-assets") + "\n")


def test_help_loads_nothing_heavy():
    """What takes seconds to import is imported by the command that needs it."""
    heavy = ("dagster", "pandas", "pyarrow", "google.cloud", "boto3", "psycopg", "adbc_driver_postgresql")
    program = f"import sys, klaviyo_assets.cli.main; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_keeps_no_line_breaks_of_the_source(call):
    help_text = " ".join(call("extract", "--help").stdout.split("\n"))

    assert "the account's pii setting applies to mapped tables only" in help_text
