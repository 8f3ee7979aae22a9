"""`klaviyo-assets sandbox`: the embedded servers of a laptop.

What belongs here: options, progress and tables. What does not: what the commands do (`klaviyo_assets/sandbox`, which is
imported when one runs, so that the rest of the command line does not need it).
"""

import json
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from klaviyo_assets.cli.console import Verbose, errors
from klaviyo_assets.errors import PermanentError

app = typer.Typer(
    name="sandbox",
    help="Local Postgres, S3, BigQuery, Fivetran and mail on 127.0.0.1; no account is needed.",
    no_args_is_help=True,
)
_JSON = typer.Option("--json", help="Print JSON, for programs.")
_STOPPED = "Servers that are running keep running. Run the command again, or `klaviyo-assets sandbox stop`."


@app.command()
def start(
    accounts: Annotated[int | None, typer.Option(min=1, max=50, help="Simulated Klaviyo accounts.")] = None,
    events_per_day: Annotated[int | None, typer.Option(min=1, help="Events per account and day.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days of history.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="A different seed creates different shops.")] = None,
    dotenv: Annotated[bool, typer.Option("--dotenv/--no-dotenv", help="Write .env in this folder.")] = True,
    verbose: Verbose = False,
) -> None:
    """Start all servers that are not running. Their data survive a stop.

    Example: klaviyo-assets sandbox start --accounts 4 --events-per-day 1000
    """
    from klaviyo_assets.sandbox import lifecycle

    shop = {"accounts": accounts, "events_per_day": events_per_day, "days": days, "seed": seed}
    with _faults(verbose=verbose, stopped=_STOPPED), _progress() as report:
        started = lifecycle.start(_folder(), shop, report, Path.cwd() / ".env" if dotenv else None)
    for remark in started.remarks:
        typer.echo(f"Note: {remark}.")
    _tell_where(started, dotenv)


@app.command()
def stop(verbose: Verbose = False) -> None:
    """Stop all servers. Their data stay.

    Example: klaviyo-assets sandbox stop
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults(verbose=verbose):
        ended = lifecycle.stop(_folder())
    typer.echo(f"Stopped: {', '.join(sorted(ended))}." if ended else "Nothing was running.")


@app.command()
def status(as_json: Annotated[bool, _JSON] = False, verbose: Verbose = False) -> None:
    """Show the state of every server. Exit code 1 unless all are running.

    Example: klaviyo-assets sandbox status --json
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults(verbose=verbose):
        servers = lifecycle.status(_folder())
    if as_json:
        typer.echo(json.dumps([asdict(server) for server in servers], default=str, indent=1))
    elif servers:
        _print_table([asdict(server) for server in servers])
    else:
        typer.echo("No sandbox has been started here; run `klaviyo-assets sandbox start`.")
    raise typer.Exit(0 if servers and all(server.state == "running" for server in servers) else 1)


@app.command()
def env(as_json: Annotated[bool, _JSON] = False, verbose: Verbose = False) -> None:
    """Print KEY=VALUE lines, for `set -a; eval "$(klaviyo-assets sandbox env)"`. They contain the local passwords.

    Example: klaviyo-assets sandbox env --json
    """
    from klaviyo_assets.sandbox import lifecycle
    from klaviyo_assets.sandbox.environment import shell_text

    with _faults(verbose=verbose):
        variables = lifecycle.variables(_folder())
    typer.echo(json.dumps(variables, indent=1) if as_json else shell_text(variables), nl=as_json)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, verbose: Verbose = False
) -> None:
    """Stop all servers and delete their data.

    Example: klaviyo-assets sandbox reset --yes
    """
    from klaviyo_assets.sandbox import lifecycle

    with _faults(verbose=verbose):
        folder = _folder()
        if not folder.root.is_dir():
            typer.echo(f"There is no sandbox in {folder.root}.")
            return
        if not yes:
            typer.confirm(f"Delete the sandbox in {folder.root}, with all its data?", abort=True)
        lifecycle.reset(folder)
    typer.echo(f"Deleted the sandbox in {folder.root}.")


@app.command()
def mail(
    last: Annotated[int, typer.Option(min=1, help="How many messages to show, newest first.")] = 10,
    open_: Annotated[bool, typer.Option("--open", help="Open the newest one in the browser.")] = False,
    as_json: Annotated[bool, _JSON] = False,
    verbose: Verbose = False,
) -> None:
    """List the mail that was sent to the local servers, which store it and deliver nothing.

    Example: klaviyo-assets sandbox mail --last 3 --open
    """
    from klaviyo_assets.sandbox import kept_mail

    with _faults(verbose=verbose):
        messages = kept_mail.kept_mail(_folder(), last)
        page = kept_mail.write_page(messages[-1].file) if open_ and messages else None
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in messages], default=str, indent=1))
    elif messages:
        _print_mail(messages)
    else:
        typer.echo("No mail has been sent yet; `klaviyo-assets email-test` sends one.")
    if page:
        # Without a browser, the page can still be opened by hand.
        typer.echo(f"The newest message as a page: {page}", err=as_json)
        webbrowser.open(page.as_uri())


@app.command("import")
def import_(
    directory: Annotated[Path, typer.Argument(help="Folder with one CSV file per raw table: event.csv and so on.")],
    account: Annotated[str, typer.Option(help="Account to import into; created if it does not exist.")],
    as_json: Annotated[bool, _JSON] = False,
    verbose: Verbose = False,
) -> None:
    """Load Fivetran-shaped CSV files into an account's Postgres schema, replacing the rows of those tables.

    Example: klaviyo-assets sandbox import --account acme exported_tables
    """
    from klaviyo_assets.sandbox import importer, lifecycle

    with _faults(verbose=verbose):
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
def _faults(*, verbose: bool, stopped: str = "Nothing was left half done.") -> Iterator[None]:
    """Show errors as every command does, and say what to do if the sandbox's packages are missing."""
    with errors(verbose=verbose, stopped=stopped):
        try:
            yield
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("klaviyo_assets"):
                raise
            raise PermanentError(
                f"the package {error.name!r} is missing",
                "Install the sandbox with `pip install 'klaviyo-assets[sandbox]'`.",
            ) from error


@contextmanager
def _progress() -> Iterator[Any]:
    """Show one line per server, kept current on a terminal; in a pipe, only what is not ordinary progress."""
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
            server_lines = [f"{server:<10} {line}" for server, line in list(lines.items()) if server != "sandbox"]
            live.update(Text("\n".join(server_lines)))

        yield report


def _is_news(text: str) -> bool:
    return not text.startswith(("starting", "up at", "already up"))


def _tell_where(started: Any, dotenv: bool) -> None:
    told = started.variables
    typer.echo(
        f"The sandbox is running; its data are in {told['KLAVIYO_SANDBOX_DIR']}\n"
        f"  Postgres  {told['POSTGRES_URL'].replace(':' + _password(told['POSTGRES_URL']) + '@', '@')}\n"
        f"  S3        {told['S3_ENDPOINT_URL']} (bucket {told['S3_BUCKET']})\n"
        f"  BigQuery  {told['BIGQUERY_EMULATOR_HOST']} (project {told['BIGQUERY_PROJECT']})\n"
        f"  Fivetran  {told['FIVETRAN_API_URL']}\n"
        f"  Mail      {told['SMTP_URL']}, SES {told['SES_ENDPOINT_URL']}"
    )
    if started.dotenv:
        typer.echo(f"Settings are in {started.dotenv}: every command in this folder uses the sandbox.")
    elif dotenv:
        typer.echo(
            f"{Path('.env').resolve()} was left unchanged: it is yours or a different sandbox's, or this sandbox is "
            'in a different folder. To use this one: set -a; eval "$(klaviyo-assets sandbox env)"; set +a'
        )


def _password(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).password or ""


def _print_mail(messages: list[Any]) -> None:
    """Two lines per message: its file name is too long for a column."""
    from rich.console import Console
    from rich.text import Text

    output = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for message in messages:
        output.print(
            Text.assemble(
                f"{message.sent_at:%Y-%m-%d %H:%M:%S} UTC  {message.transport:<4}  ", (message.subject, "bold")
            )
        )
        output.print(Text(f"  to {message.to}  {_from_here(message.file)}", style="dim"), soft_wrap=True)


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return Path(os.path.relpath(path, here)) if path.is_relative_to(here) else path


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("server", "state", "address", "pid", "data"):
        # Addresses and folders are folded on a narrow screen: they would be useless if they were cut.
        table.add_column(name, no_wrap=name in {"server", "state", "pid"}, overflow="fold")
    for row in rows:
        data = _from_here(row["data"])
        table.add_row(row["name"], row["state"], row["address"], str(row["pid"] or ""), str(data))
    # In a pipe, a narrow default width would break addresses in two.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
