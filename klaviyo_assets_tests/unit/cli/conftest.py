"""Fixtures for tests of commands: a scripted Fivetran in the environment, and commands as a user calls them."""

import os

import pytest
import typer
from typer.testing import CliRunner

from klaviyo_assets_tests.unit.resources.fivetran.scripted import KEY, SECRET, scripted_fivetran


@pytest.fixture
def server(monkeypatch):
    """A scripted Fivetran on loopback that the environment names."""
    for name in list(os.environ):
        if name.startswith(("FIVETRAN_", "KLAVIYO_", "POSTGRES_", "PII_")):
            monkeypatch.delenv(name)
    with scripted_fivetran() as running:
        monkeypatch.setenv("FIVETRAN_API_KEY", KEY)
        monkeypatch.setenv("FIVETRAN_API_SECRET", SECRET)
        monkeypatch.setenv("FIVETRAN_API_URL", running.url)
        yield running


@pytest.fixture
def call():
    """Run a command function with arguments; gives the result with `exit_code`, `stdout`, `stderr`."""

    def run(command, *arguments, **options):
        app = typer.Typer()
        app.command()(command)
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)

    return run
