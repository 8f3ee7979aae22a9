"""The `klaviyo-assets` command: its groups put together.

Here: registering commands and loading `.env`. Not here: any command (one file each beside this one).
"""

import logging
import os
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from klaviyo_assets.cli import connections, doctor, extract, init, query, run, sandbox, sync, verify

app = typer.Typer(
    name="klaviyo-assets",
    help="Klaviyo reporting: Fivetran's Postgres tables to checked, archived, loaded and reported numbers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(sandbox.app, name="sandbox")
app.command()(run.run)
app.command()(query.query)
app.command()(verify.verify)
app.command()(extract.extract)
app.command()(sync.sync)
app.command()(connections.connections)
app.command()(doctor.doctor)
app.command()(init.init)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(installed_version("klaviyo-assets"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Entry point: `.env` of the current folder fills in what the environment does not set."""
    from dotenv import load_dotenv

    load_dotenv(".env")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    logging.captureWarnings(capture=True)
    app()
