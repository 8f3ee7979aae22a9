"""`klaviyo-assets sandbox`: the embedded servers of a laptop.

Here: options, progress and tables. Not here: what the commands do (`klaviyo_assets/sandbox`, imported when one runs,
so that the rest of the command line does not need it).
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="sandbox",
    help="Local Postgres, S3, BigQuery, Fivetran and mail on 127.0.0.1, with no account anywhere.",
    no_args_is_help=True,
)
_JSON = typer.Option("--json", help="Print JSON, for programs.")


@app.command()
def start(
    accounts: Annotated[int | None, typer.Option(min=1, max=50, help="Simulated Klaviyo accounts.")] = None,
    events_per_day: Annotated[int | None, typer.Option(min=1, help="Events per account and day.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days of history.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed makes other shops.")] = None,
    dotenv: Annotated[bool, typer.Option("--dotenv/--no-dotenv", help="Write .env in this folder.")] = True,
) -> None:
    """Bring all servers up; those that are up stay. Their data survives a stop.

    Example: klaviyo-assets sandbox start --accounts 4 --events-per-day 1000
    """
    from klaviyo_assets.sandbox import lifecycle

    shop = {"accounts": accounts, "events_per_day": events_per_day, "days": days, "seed": seed}
    with _faults(), _progress() as report:
        started = lifecycle.start(_folder(), shop, report, Path.cwd() / ".env" if dotenv else None)
    for remark in started.remarks:
        typer.echo(f"Note: {remark}.")
    _tell_where(started, dotenv)


@app.command()
def stop() -> None:
    """End all servers. Their data stays.

    Example: klaviyo-assets sandbox stop
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults():
        ended = lifecycle.stop(_folder())
    typer.echo(f"Stopped: {', '.join(sorted(ended))}." if ended else "Nothing was running.")


@app.command()
def status(as_json: Annotated[bool, _JSON] = False) -> None:
    """Say how every server is. Exit code 1 unless all run.

    Example: klaviyo-assets sandbox status --json
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults():
        found = lifecycle.status(_folder())
    if as_json:
        typer.echo(json.dumps([asdict(server) for server in found], default=str, indent=1))
    elif found:
        _print_table([asdict(server) for server in found])
    else:
        typer.echo("No sandbox was started here; run `klaviyo-assets sandbox start`.")
    raise typer.Exit(0 if found and all(server.state == "running" for server in found) else 1)


@app.command()
def env(as_json: Annotated[bool, _JSON] = False) -> None:
    """Print KEY=VALUE lines, for `set -a; eval "$(klaviyo-assets sandbox env)"`. They hold the local passwords.

    Example: klaviyo-assets sandbox env --json
    """
    from klaviyo_assets.sandbox import lifecycle
    from klaviyo_assets.sandbox.environment import shell_text

    with _faults():
        variables = lifecycle.variables(_folder())
    typer.echo(json.dumps(variables, indent=1) if as_json else shell_text(variables), nl=as_json)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Stop all servers and delete their data.

    Example: klaviyo-assets sandbox reset --yes
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults():
        folder = _folder()
        if not folder.root.is_dir():
            typer.echo(f"There is no sandbox in {folder.root}.")
            return
        if not yes:
            typer.confirm(f"Delete the sandbox in {folder.root}, with all its data?", abort=True)
        lifecycle.reset(folder)
    typer.echo(f"Deleted the sandbox in {folder.root}.")


@app.command("import")
def import_(
    directory: Annotated[Path, typer.Argument(help="Folder of CSV files: one per raw table, event.csv and so on.")],
    account: Annotated[str, typer.Option(help="The account; one that is not known yet is made.")],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Load Fivetran-shaped CSV files into an account's Postgres schema, replacing the rows of those tables.

    Example: klaviyo-assets sandbox import --account acme exported_tables
    """
    from klaviyo_assets.sandbox import importer, lifecycle

    with _faults():
        folder = _folder()
        result = importer.import_folder(folder, lifecycle.known_state(folder), account, directory)
    if as_json:
        typer.echo(json.dumps(asdict(result), default=str, indent=1))
    else:
        typer.echo(importer.describe(result))


def _folder() -> Any:
    from klaviyo_assets.sandbox.folder import Folder

    return Folder.from_environment()


@contextmanager
def _faults() -> Iterator[None]:
    """A fault of ours is one sentence and exit code 1, not a traceback."""
    from klaviyo_assets.errors import KlaviyoAssetsError

    try:
        yield
    except KlaviyoAssetsError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("klaviyo_assets"):
            raise
        hint = "install the sandbox with `pip install 'klaviyo-assets[sandbox]'`"
        typer.echo(f"Error: the package {error.name!r} is missing; {hint}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def _progress() -> Iterator[Any]:
    """One line per server, kept current on a terminal; piped, only what is not ordinary progress."""
    if not sys.stderr.isatty():
        yield lambda name, text: typer.echo(f"{name}: {text}", err=True) if _is_news(text) else None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    lines: dict[str, str] = {}
    with Live(console=Console(stderr=True), refresh_per_second=8) as live:

        def report(name: str, text: str) -> None:
            if _is_news(text):
                live.console.print(f"{name}: {text}", highlight=False)
            lines[name] = text
            shown = [f"{server:<10} {line}" for server, line in list(lines.items()) if server != "sandbox"]
            live.update(Text("\n".join(shown)))

        yield report


def _is_news(text: str) -> bool:
    return not text.startswith(("starting", "up at", "already up"))


def _tell_where(started: Any, dotenv: bool) -> None:
    told = started.variables
    typer.echo(
        f"Sandbox is up; data in {told['KLAVIYO_SANDBOX_DIR']}\n"
        f"  Postgres  {told['POSTGRES_URL'].replace(':' + _password(told['POSTGRES_URL']) + '@', '@')}\n"
        f"  S3        {told['S3_ENDPOINT_URL']} (bucket {told['S3_BUCKET']})\n"
        f"  BigQuery  {told['BIGQUERY_EMULATOR_HOST']} (project {told['BIGQUERY_PROJECT']})\n"
        f"  Fivetran  {told['FIVETRAN_API_URL']}\n"
        f"  Mail      {told['SMTP_URL']}, SES {told['SES_ENDPOINT_URL']}"
    )
    if started.dotenv:
        typer.echo(f"Settings are in {started.dotenv}: every command in this folder uses the sandbox.")
    elif dotenv:
        typer.echo('Your own .env was left alone; use: set -a; eval "$(klaviyo-assets sandbox env)"; set +a')


def _password(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).password or ""


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("server", "state", "address", "pid", "data", box=None, pad_edge=False)
    here = Path.cwd()
    for row in rows:
        data = Path(os.path.relpath(row["data"], here)) if row["data"].is_relative_to(here) else row["data"]
        table.add_row(row["name"], row["state"], row["address"], str(row["pid"] or ""), str(data))
    # Piped, a narrow default width would break addresses in two.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
