"""`klaviyo-assets init`: write `.env` and `accounts.toml` from the contents of Fivetran and Postgres.

What belongs here: the questions, and the two files. What does not: what Fivetran and Postgres have (`discovery.py`).

An existing file is changed only after asking, or with --force; other lines of `.env` stay.
"""

import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, date
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from klaviyo_assets.accounts import DEFAULT_FILE, Account, read_accounts_file
from klaviyo_assets.cli.console import Verbose, console, errors, notes
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.model.time_zones import canonical_zone

if TYPE_CHECKING:
    from klaviyo_assets.cli.discovery import Candidate, Draft

# The settings that are asked for, with their questions; no answer is shown while it is typed.
_ASKED = {
    "POSTGRES_URL": "Postgres that Fivetran writes to (postgresql://user:password@host:5432/database)",
    "FIVETRAN_API_KEY": "Fivetran API key",
    "FIVETRAN_API_SECRET": "Fivetran API secret",
}
STATEMENT_SECONDS = 60
_UNKNOWN_START = date(2020, 1, 1)


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; use the best guess for everything.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files without asking.")] = False,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of the accounts, as in Klaviyo's settings: Europe/Berlin.")
    ] = None,
    directory: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False, exists=True)] = Path(),
    verbose: Verbose = False,
) -> None:
    """Write .env and accounts.toml from the contents of Fivetran and Postgres.

    Example: klaviyo-assets init --yes --timezone Europe/Berlin
    """
    with errors(verbose=verbose, stopped="Files that were not written yet are unchanged."):
        if timezone is not None:
            timezone = canonical_zone(timezone)
        files = (directory / ".env", directory / DEFAULT_FILE)
        _refuse_silent_overwrite(files[1], yes=yes, force=force)
        given = _settings(yes=yes)
        drafts = _discovered(given)
        blocks = [_decided(draft, timezone, ask=not yes) for draft in drafts]
        _write_dotenv(files[0], given, yes=yes, force=force)
        _write_accounts(files[1], blocks, yes=yes, force=force)
        _tell(drafts, files, timezone)


def _settings(*, yes: bool) -> dict[str, str]:
    """The connection settings, from the environment or from the user."""
    missing = [name for name in _ASKED if not os.environ.get(name)]
    if missing and yes:
        raise SettingsError(
            f"{', '.join(missing)} must be set, because --yes asks no questions",
            "Set what is missing, or leave out --yes.",
        )
    asked = {name: typer.prompt(_ASKED[name], hide_input=True).strip() for name in missing}
    optional = {name: os.environ[name] for name in ("FIVETRAN_API_URL",) if os.environ.get(name)}
    return {**{name: os.environ.get(name) or asked[name] for name in _ASKED}, **optional}


def _discovered(given: Mapping[str, str]) -> "list[Draft]":
    from klaviyo_assets.cli.discovery import discover
    from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment
    from klaviyo_assets.resources.postgres.resource import PostgresResource

    with Progress(notes()).task("Fivetran and Postgres", doing="reading", stays=False):
        connections = fivetran_from_environment(given).connections()
        postgres = PostgresResource(url=given["POSTGRES_URL"], statement_timeout_seconds=STATEMENT_SECONDS)
        drafts = discover(connections, postgres)
    if not drafts:
        services = ", ".join(sorted({connection.service for connection in connections})) or "none"
        raise PermanentError(
            f"Fivetran has no Klaviyo connection (services there: {services}), and Postgres has no Klaviyo schema",
            "Set up the connection in Fivetran first, or use an API key that can see it.",
        )
    return drafts


def _decided(draft: "Draft", timezone: str | None, *, ask: bool) -> str:
    """The block of an account in accounts.toml; with `ask`, the user confirms or changes each value."""
    conversion = draft.candidates[0] if draft.candidates else None
    name, zone, currency = draft.name, timezone or "UTC", draft.currency or "USD"
    if ask:
        console().print(f"\n[bold]{draft.schema}[/bold] (connection {draft.connection_id or 'none'})")
        name = _asked("Name of the account", name, _known_name)
        zone = timezone or _asked("Time zone, as in Klaviyo's settings", zone, canonical_zone)
        currency = _asked("Currency", currency, _known_currency)
        conversion = _chosen(draft.candidates) if len(draft.candidates) > 1 else conversion
    first = draft.first_event_at
    start = first.replace(tzinfo=first.tzinfo or UTC).astimezone(ZoneInfo(zone)).date() if first else _UNKNOWN_START
    settings = {
        "name": name, "fivetran_connection_id": draft.connection_id, "postgres_schema": draft.schema,
        "timezone": zone, "currency": currency, **_conversion(conversion, draft.candidates), "start_date": start,
        "pii": "hash",
    }  # fmt: skip
    return _block(settings, draft.notes)


def _conversion(chosen: "Candidate | None", candidates: "tuple[Candidate, ...]") -> dict[str, str]:
    """The metric by name if the name is unique, otherwise with its integration, otherwise by id."""
    if chosen is None:
        return {"conversion_metric": "Placed Order"}
    metric = chosen.metric
    if len(candidates) == 1:
        return {"conversion_metric": metric.name}
    same = [one for one in candidates if one.metric.integration == metric.integration]
    if metric.integration and len(same) == 1:
        return {"conversion_metric": metric.name, "conversion_integration": metric.integration}
    return {"conversion_metric": metric.metric_id}


def _chosen(candidates: "tuple[Candidate, ...]") -> "Candidate":
    for number, candidate in enumerate(candidates, start=1):
        console().print(f"  {number}. {candidate}")
    allowed = {str(number): candidate for number, candidate in enumerate(candidates, start=1)}
    return allowed[_asked("Which of these is the conversion metric", "1", _one_of(allowed))]


def _asked(question: str, default: str, check: Callable[[str], str]) -> str:
    def checked(value: str) -> str:
        try:
            return check(value.strip())
        except SettingsError as error:
            raise typer.BadParameter(str(error)) from error

    answer: str = typer.prompt(question, default=default, value_proc=checked)
    return answer


def _known_name(value: str) -> str:
    return _matching(value, r"[a-z0-9_]+", "letters a-z, digits and _")


def _known_currency(value: str) -> str:
    return _matching(value.upper(), r"[A-Z]{3}", "three letters such as EUR")


def _one_of(allowed: Mapping[str, object]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in allowed:
            raise SettingsError(f"{value!r} is not one of the choices", f"Choose one of: {', '.join(allowed)}.")
        return value

    return check


def _matching(value: str, pattern: str, allowed: str) -> str:
    if not re.fullmatch(pattern, value):
        raise SettingsError(f"{value!r} is not valid", f"Allowed: {allowed}.")
    return value


def _block(settings: Mapping[str, object], remarks: tuple[str, ...]) -> str:
    lines = [*(f"# {remark}" for remark in remarks), "[[account]]"]
    for name, value in settings.items():
        # A basic string in TOML is written like a string in JSON.
        lines.append(f"{name} = {value if isinstance(value, date) else json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, "", "[account.attribution]", 'source = "auto"', ""])


def _write_accounts(path: Path, blocks: list[str], *, yes: bool, force: bool) -> None:
    text = "\n".join(
        ["# The Klaviyo accounts of this deployment; accounts.example.toml explains every setting.", *blocks]
    )
    with tempfile.TemporaryDirectory() as folder:
        (trial := Path(folder) / path.name).write_text(text, encoding="utf-8")
        read_accounts_file(trial)
    _write(path, text, 0o644, yes=yes, force=force)


def _write_dotenv(path: Path, given: Mapping[str, str], *, yes: bool, force: bool) -> None:
    """Add or replace the settings; everything else in the file stays, above all a key that hashes depend on."""
    from dotenv import dotenv_values

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    there = dotenv_values(stream=StringIO(text), interpolate=False)
    wanted = {
        "PII_HASH_KEY": os.environ.get("PII_HASH_KEY") or there.get("PII_HASH_KEY") or secrets.token_hex(32),
        **given,
    }
    changed = {name: value for name, value in wanted.items() if there.get(name) != value}
    if not changed:
        return
    assigns = re.compile(rf"\s*(export\s+)?({'|'.join(changed)})\s*=")
    kept = [line for line in text.splitlines() if not assigns.match(line)]
    added = [f"{name}={_quoted(value)}" for name, value in changed.items()]
    # Nothing is overwritten if settings are only added.
    force = force or not any(there.get(name) for name in changed)
    _write(
        path,
        "\n".join([*(kept or ["# .env.example explains every setting."]), *added, ""]),
        0o600,
        yes=yes,
        force=force,
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _refuse_silent_overwrite(path: Path, *, yes: bool, force: bool) -> None:
    if path.exists() and yes and not force:
        raise SettingsError(
            f"{path} already exists, so it was left unchanged", "Overwrite it with --force, or leave out --yes."
        )


def _write(path: Path, text: str, mode: int, *, yes: bool, force: bool) -> None:
    """Replace a file as a whole; its permissions are never wider than `mode`."""
    _refuse_silent_overwrite(path, yes=yes, force=force)
    if path.exists() and not force and not typer.confirm(f"{path} already exists. Change it?"):
        console().print(f"{path} was left unchanged.")
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tell(drafts: "list[Draft]", files: tuple[Path, Path], timezone: str | None) -> None:
    accounts = read_accounts_file(files[1])
    table = Table(box=None, pad_edge=False)
    for name in ("account", "schema", "connection", "currency", "conversion", "since"):
        table.add_column(name, no_wrap=name in {"currency", "since"}, overflow="fold")
    for account in accounts.by_name.values():
        table.add_row(*_row(account))
    console().print(table)
    for draft in drafts:
        for note in draft.notes:
            notes().print(f"{draft.schema}: {note}", markup=False)
    if timezone is None and any(account.timezone == "UTC" for account in accounts.by_name.values()):
        notes().print("Check the accounts with time zone UTC against Klaviyo's settings: days depend on the time zone.")
    console().print(f"Settings are in {files[0]} and {files[1]}. Next: klaviyo-assets run")


def _row(account: Account) -> list[str]:
    conversion = account.conversion_metric
    if account.conversion_integration:
        conversion += f" ({account.conversion_integration})"
    return [
        account.name, account.postgres_schema, account.fivetran_connection_id or "none", account.currency, conversion,
        account.start_date.isoformat(),
    ]  # fmt: skip
