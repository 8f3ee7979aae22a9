"""The `klaviyo-assets` command, assembled from its groups.

Here: registering commands and loading `.env`. Not here: the commands (one file each beside this one).
"""

import inspect
import logging
import os
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from klaviyo_assets.cli import (
    connections,
    doctor,
    email_test,
    extract,
    fields,
    init,
    looker_link,
    query,
    report,
    run,
    sandbox,
    sync,
    verify,
)
from klaviyo_assets.cli.console import Verbose
from klaviyo_assets.cli.usage import Commands

app = typer.Typer(
    name="klaviyo-assets",
    cls=Commands,
    help="Klaviyo reporting: check, archive, load and report what Fivetran copied into Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(sandbox.app, name="sandbox")
app.command()(run.run)
app.command()(query.query)
app.command()(report.report)
app.command()(verify.verify)
app.command()(extract.extract)
app.command()(sync.sync)
app.command()(fields.fields)
app.command()(connections.connections)
app.command()(doctor.doctor)
app.command()(email_test.email_test)
app.command()(looker_link.looker_link)
app.command()(init.init)


for registered in (*app.registered_commands, *sandbox.app.registered_commands):
    # Typer keeps the line breaks of a docstring, which suit the source and not the screen.
    text = inspect.cleandoc((registered.callback and registered.callback.__doc__) or "")
    registered.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Verbose = False,  # noqa: ARG001  the commands look for it here
) -> None:
    if version:
        typer.echo(installed_version("klaviyo-assets"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """The entry point: `.env` in the current folder supplies what the environment does not set."""
    from dotenv import load_dotenv

    load_dotenv(".env")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    logging.captureWarnings(capture=True)
    app()
