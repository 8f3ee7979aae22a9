"""Settings: is everything set that has to be, and in the right form? No server is asked.

Here: environment variables and `.env`. Not here: the accounts file (`diagnosis/accounts_file.py`), and whether what
the settings name exists. The value of a variable that holds a secret is never shown.
"""

import difflib
import math
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.errors import SettingsError
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.reports.looker.link import template_id
from klaviyo_assets.resources.mail.smtp import SmtpServer
from klaviyo_assets.resources.postgres.address import PostgresAddress

SETTINGS, MAIL = "settings", "mail"
_STRONG_BITS = 80
_MAKE_KEY = 'Create one with `python -c "import secrets; print(secrets.token_hex(32))"`'


@dataclass(frozen=True)
class _Form:
    """The form of a variable: a test, and a description of it. `secret` means that its value is never shown."""

    holds: Callable[[str], bool]
    words: str
    secret: bool = False


def _pattern(expression: str, words: str) -> _Form:
    return _Form(lambda value: re.fullmatch(expression, value) is not None, words)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_postgres(value: str) -> bool:
    try:
        named = PostgresAddress.read(value).parameters
    except SettingsError:
        return False
    # A service names the database in a file of its own, and a socket has no host.
    return bool({"dbname", "service"} & named.keys()) and (named.get("user"), named.get("host")) != ("user", "host")


def _is_smtp(value: str) -> bool:
    try:
        return bool(SmtpServer.of(value))
    except SettingsError:
        return False


def _is_frames_url(value: str) -> bool:
    return "://" not in value or re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", value) is not None


def _are_addresses(value: str) -> bool:
    # Of two addresses with a semicolon between them, `parseaddr` silently drops the second.
    parts = value.split(",") if ";" not in value else [""]
    return all(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", parseaddr(part)[1]) for part in parts)


def _is_template(value: str) -> bool:
    try:
        return bool(template_id(value))
    except SettingsError:
        return False


_URL = _Form(_is_url, "a URL such as https://host:443")
_WORD = _pattern(r"\S+", "one word, without spaces or quotes")
_SECRET = _Form(lambda value: re.fullmatch(r"[^\s'\"]+", value) is not None, _WORD.words, secret=True)
FORMS: Mapping[str, _Form] = {
    "POSTGRES_URL": _Form(_is_postgres, "postgresql://user:password@host:5432/database", secret=True),
    "FIVETRAN_API_KEY": _SECRET,
    "FIVETRAN_API_SECRET": _SECRET,
    "FIVETRAN_API_URL": _URL,
    "S3_BUCKET": _pattern(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name, without s3:// and prefix"),
    "S3_PREFIX": _pattern(r"(?!/)[\w!.*'()/=-]*[^/]", "a path that neither starts nor ends with /"),
    "S3_ENDPOINT_URL": _URL,
    "AWS_ACCESS_KEY_ID": _SECRET,
    "AWS_SECRET_ACCESS_KEY": _SECRET,
    "BIGQUERY_PROJECT": _pattern(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{2,28}[a-z0-9]", "a project's id, not its name"),
    "BIGQUERY_DATASET_PREFIX": _pattern(r"[A-Za-z0-9_]+", "letters, digits and _"),
    "BIGQUERY_LOCATION": _pattern(r"[A-Za-z]+(-[a-z]+[0-9]+)?", "a location such as US, EU or europe-west3"),
    "BIGQUERY_EMULATOR_HOST": _URL,
    "LOOKER_TEMPLATE_ID": _Form(
        _is_template, "the id in the template's address, after /reporting/, or the whole address"
    ),
    "KLAVIYO_API_KEY": _SECRET,
    "KLAVIYO_API_URL": _URL,
    "KLAVIYO_FRAMES_URL": _Form(_is_frames_url, "a local folder, or s3://bucket/prefix"),
    "PII_HASH_KEY": _Form(lambda value: value == value.strip(), "text without spaces at its ends", secret=True),
    "MAIL_FROM": _Form(lambda value: "," not in value and _are_addresses(value), "one e-mail address"),
    "MAIL_TO": _Form(_are_addresses, "e-mail addresses separated by commas"),
    "SES_REGION": _pattern(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region such as eu-central-1"),
    "SES_ENDPOINT_URL": _URL,
    "SMTP_URL": _Form(_is_smtp, "smtps://user:password@host:465, or smtp://user:password@host:587", secret=True),
    "MAIL_TRANSPORT": _pattern(r"ses|smtp", "ses or smtp"),
    "DAGSTER_UI_URL": _URL,
}
_REQUIRED = ("POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT")
_FIVETRAN = ("FIVETRAN_API_KEY", "FIVETRAN_API_SECRET")
# These are read elsewhere, or by libraries; they are listed so that similar names do not count as misspellings.
_OTHERS = frozenset({
    "KLAVIYO_ACCOUNTS_FILE", "KLAVIYO_ACCOUNT", "POSTGRES_SCHEMA", "FIVETRAN_CONNECTION_ID", "KLAVIYO_TIMEZONE",
    "KLAVIYO_CURRENCY", "KLAVIYO_CONVERSION_METRIC", "KLAVIYO_CONVERSION_INTEGRATION", "KLAVIYO_START_DATE",
    "KLAVIYO_PII", "KLAVIYO_SANDBOX_DIR", "BIGQUERY_EMULATOR_TOKEN",
})  # fmt: skip
_OURS = re.compile(r"(POSTGRES|FIVETRAN|S3|BIGQUERY|LOOKER|PII|KLAVIYO|MAIL|SES)_\w+")
_MAIL = ("MAIL_FROM", "MAIL_TO", "SES_REGION", "SES_ENDPOINT_URL", "SMTP_URL", "MAIL_TRANSPORT")


def check_settings(environment: Mapping[str, str], accounts: Iterable[Account]) -> Iterator[DoctorFinding]:
    """Check what all accounts share: variables that are missing, ill-formed or only half set."""
    scope = Scope(SETTINGS)
    yield scope.ok(f"{sum(name in environment for name in FORMS)} settings are set")
    watched = [account.name for account in accounts if account.fivetran_connection_id]
    for name in (*_REQUIRED, *(_FIVETRAN if watched else ())):
        if not environment.get(name):
            yield scope.fail(f"{name} is not set", f"Set it in .env: {FORMS[name].words} (see .env.example).")
    yield from _ill_formed(scope, environment, [name for name in FORMS if name not in _MAIL])
    given = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if environment.get(name)]
    if len(given) == 1:
        yield scope.fail(f"{given[0]} is set, but its counterpart is not", "Set both AWS_ variables, or neither.")


def _ill_formed(scope: Scope, environment: Mapping[str, str], names: Iterable[str]) -> Iterator[DoctorFinding]:
    for name in names:
        value, form = environment.get(name), FORMS[name]
        if value and not form.holds(value):
            setting = name if form.secret else f"{name} = {value!r}"
            yield scope.fail(f"{setting} has the wrong form", f"Allowed: {form.words}.")


def check_dotenv(path: Path) -> Iterator[DoctorFinding]:
    """Check the `.env` file: who may read it, and whether it has names that nothing reads but that look like ours."""
    scope = Scope(SETTINGS)
    if not path.is_file():
        return
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield scope.warn("every user of this machine can read .env, which contains passwords", "Run `chmod 600 .env`.")
    from dotenv import dotenv_values

    setting_names = {*FORMS, *_OTHERS}
    for name in dotenv_values(path):
        is_known = name in setting_names or name.startswith("KLAVIYO_API_KEY_")
        if _OURS.fullmatch(name) and not is_known:
            near = difflib.get_close_matches(name, setting_names, 1)
            fix = f"Did you mean {near[0]}?" if near else "Remove it; .env.example lists all settings."
            yield scope.warn(f".env sets {name}, which nothing reads", fix)


def check_mail(environment: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """Check the mail settings if there are any: they are optional."""
    scope = Scope(MAIL)
    given = [name for name in _MAIL if environment.get(name)]
    if not given:
        return
    yield scope.ok(f"{', '.join(given)} are set")
    yield from _ill_formed(scope, environment, _MAIL)
    for name in ("MAIL_FROM", "MAIL_TO"):
        if name not in given:
            yield scope.warn(f"{name} is not set, so no mail is sent", f"Set it in .env: {FORMS[name].words}.")
    if not {"SES_REGION", "SMTP_URL"} & set(given):
        fix = "Set SES_REGION or SMTP_URL in .env; docs/mail.md explains how."
        yield scope.warn("neither SES_REGION nor SMTP_URL is set, so no mail is sent", fix)


def check_privacy(account: Account, key: str) -> Iterator[DoctorFinding]:
    """Check that the account's personal values can be hashed, and with a key that is hard to guess."""
    scope = Scope(SETTINGS, account.name)
    if account.pii == "keep":
        yield scope.warn(
            "personal values are kept as they are (pii = 'keep')",
            'If this is not intended, set pii = "hash" in accounts.toml; every partition is then rebuilt.',
        )
    if account.pii != "hash":
        return
    try:
        Privacy(account.pii, key.encode())
    except SettingsError as error:
        yield scope.error(error)
        return
    if _bits(key) < _STRONG_BITS:
        yield scope.warn(
            "PII_HASH_KEY is easy to guess, so the e-mail address behind a hash could be found by trying",
            f"{_MAKE_KEY}. A new key means new hashes: change it before anything is loaded, or rebuild.",
        )
    else:
        yield scope.ok("personal values are hashed, with a key that is hard to guess")


def _bits(key: str) -> float:
    """An upper bound of how hard a key is to guess: its length and the variety of its characters."""
    return len(key) * math.log2(max(len(set(key)), 1))
