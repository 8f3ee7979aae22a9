"""The Klaviyo accounts of this deployment and the settings that decide their numbers.

Here: `Account`, its attribution windows, reading `accounts.toml` (or one account from the environment), and the
fingerprints of what settings decide. Not here: credentials (each resource reads its own).
"""

import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets.errors import SettingsError, UnknownNameError
from klaviyo_assets.model.metrics import AccountMetrics, Metric, resolve_metrics
from klaviyo_assets.model.time_zones import UTC_NAME, canonical_zone

DEFAULT_FILE = "accounts.toml"
# The dataset with views over all accounts is named like an account's dataset, so no account may have this name.
PORTFOLIO = "portfolio"
# Limit of a BigQuery table partitioned by day (docs/scale.md).
MOST_DAYS = 10_000
PII_MODES = ("hash", "keep", "drop")
SOURCES = ("auto", "native", "touch")
# Klaviyo's windows for accounts opened since 2024-10-09, in seconds; older accounts set theirs in accounts.toml.
DEFAULT_WINDOWS: Mapping[str, int] = {
    "email_click": 432_000,
    "email_open": 432_000,
    "sms_click": 432_000,
    "sms_open": 86_400,
    "sms_delivery": 43_200,
    "mobile_push_open": 86_400,
    "whatsapp_click": 432_000,
    "whatsapp_open": 43_200,
}
FIRST_START = date(1970, 1, 1)
_CHANNELS, _KINDS = ("email", "sms", "mobile_push", "whatsapp"), ("click", "open", "delivery")
_EARNS = ("machine_opens_earn", "bot_clicks_earn")
WINDOW_NAMES = frozenset(f"{channel}_{kind}" for channel in _CHANNELS for kind in _KINDS)


@dataclass(frozen=True)
class AttributionSettings:
    """How conversions are credited to messages.

    `windows` maps `<channel>_<kind>` (kind: click, open, delivery) to seconds. A channel and kind that is not listed
    earns no credit. `machine_opens_earn` and `bot_clicks_earn` say whether an open or click that a program may have
    made is a last touch like any other. The windows and these two matter only if the last touch is computed here: what
    Klaviyo recorded is used unchanged.
    """

    source: str = "auto"
    windows: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_WINDOWS))
    machine_opens_earn: bool = True
    bot_clicks_earn: bool = True

    @property
    def longest_window(self) -> timedelta:
        """How long before an event a touch can earn credit for it."""
        return timedelta(seconds=max(self.windows.values(), default=0))


@dataclass(frozen=True)
class Account:
    """One Klaviyo account. Days of this account are calendar days of `timezone`.

    `accept_empty` names tables, or columns as `table.column`, that are treated as empty if the login may not see them
    or if they are gone from Postgres; anything else that is hidden or gone stops the account.
    """

    name: str
    postgres_schema: str
    fivetran_connection_id: str = ""
    timezone: str = "UTC"
    currency: str = "USD"
    conversion_metric: str = "Placed Order"
    conversion_integration: str | None = None
    start_date: date = date(2020, 1, 1)
    pii: str = "hash"
    looker_template_id: str = ""
    accept_empty: tuple[str, ...] = ()
    attribution: AttributionSettings = field(default_factory=AttributionSettings)

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.timezone)

    def day_bounds(self, day: date) -> tuple[datetime, datetime]:
        """The first instant of a day and of the next day, in UTC: 23, 24 or 25 hours apart."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        following = day + timedelta(days=1)
        end = datetime(following.year, following.month, following.day, tzinfo=self.zone)
        return start.astimezone(UTC), end.astimezone(UTC)

    def today(self) -> date:
        """Today's calendar day in the account's time zone."""
        return datetime.now(self.zone).date()

    def metrics(self, metrics: Iterable[Metric]) -> AccountMetrics:
        """The account's metrics, with the conversion metric identified.

        Raises:
            SettingsError: the name of the conversion metric fits several metrics.
        """
        return resolve_metrics(metrics, self.conversion_metric, self.conversion_integration)

    @property
    def event_settings(self) -> dict[str, Any]:
        """The settings that decide mapped rows, except the conversion metric, which matters only where it occurs."""
        return {"timezone": self.timezone, "pii": self.pii}

    def attribution_settings(self, source: str) -> dict[str, Any]:
        """The settings that decide who earns credit, for a `source` of credit (`native` or `touch`)."""
        settings = {"timezone": self.timezone, "attribution source": source}
        if source == "native":
            return settings
        attribution = self.attribution
        return settings | {
            "attribution windows": dict(sorted(attribution.windows.items())),
            "machine_opens_earn": attribution.machine_opens_earn,
            "bot_clicks_earn": attribution.bot_clicks_earn,
        }

    @property
    def table_fingerprint(self) -> str:
        """A hash of the settings that decide mapped rows: a table built with a different hash has to be rebuilt."""
        return fingerprint_of(self.event_settings)

    @property
    def report_fingerprint(self) -> str:
        """A hash of the settings that decide reports, in addition to the rows they are built from."""
        longest = int(self.attribution.longest_window.total_seconds())
        return fingerprint_of({"timezone": self.timezone, "currency": self.currency, "longest window": longest})


def fingerprint_of(decisive: Any) -> str:
    """A hash of what decides numbers, in 16 hex digits."""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Accounts:
    """All accounts, by name, in the order of the file."""

    by_name: Mapping[str, Account]
    origin: str

    def __getitem__(self, name: str) -> Account:
        """The account of that name.

        Raises:
            UnknownNameError: there is none; the message lists the existing accounts and where they are kept.
        """
        if name not in self.by_name:
            raise UnknownNameError("account", name, self.by_name, f"Accounts are kept in {self.origin}.")
        return self.by_name[name]

    @property
    def names(self) -> list[str]:
        """Account names, in the order of the file."""
        return list(self.by_name)

    @property
    def first_day(self) -> date:
        """The earliest start date of any account, at which the daily partitions begin."""
        return min(account.start_date for account in self.by_name.values())


def load_accounts(environment: Mapping[str, str] | None = None) -> Accounts:
    """Read the accounts file that `KLAVIYO_ACCOUNTS_FILE` names, else one account from the environment.

    Raises:
        SettingsError: the named file is missing or cannot be read, or a value is wrong.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("KLAVIYO_ACCOUNTS_FILE")
    path = Path(named or DEFAULT_FILE)
    if path.is_file():
        return read_accounts_file(path)
    if named:
        raise SettingsError(
            f"KLAVIYO_ACCOUNTS_FILE is {named!r}, which is not a file",
            "Create it with `klaviyo-assets init`, or copy accounts.example.toml.",
        )
    return Accounts({(account := _from_environment(environment)).name: account}, "the environment (no accounts.toml)")


def read_accounts_file(path: Path) -> Accounts:
    """The accounts of one TOML file, with one `[[account]]` block each.

    Raises:
        SettingsError: with the file, the account and the value that is wrong, and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the accounts file {path}: {error}") from error
    return parse_accounts(text, str(path))


def parse_accounts(text: str, origin: str) -> Accounts:
    """The accounts of a TOML document, whose origin messages name.

    Raises:
        SettingsError: with the origin, the account and the value that is wrong, and what is allowed.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"cannot read the accounts file {origin}: {error}") from error
    blocks = content.get("account", [])
    if not blocks or not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SettingsError(
            f"{origin} has no [[account]] block",
            "Write the block's name in double brackets; see accounts.example.toml.",
        )
    by_name: dict[str, Account] = {}
    for block in blocks:
        account = _account(block, origin)
        if account.name in by_name:
            raise SettingsError(
                f"{origin}: two accounts are named {account.name!r}", "Give each account a name of its own."
            )
        by_name[account.name] = account
    return Accounts(by_name, origin)


def _from_environment(environment: Mapping[str, str]) -> Account:
    names = {
        "name": "KLAVIYO_ACCOUNT", "postgres_schema": "POSTGRES_SCHEMA", "timezone": "KLAVIYO_TIMEZONE",
        "fivetran_connection_id": "FIVETRAN_CONNECTION_ID", "currency": "KLAVIYO_CURRENCY",
        "conversion_metric": "KLAVIYO_CONVERSION_METRIC", "start_date": "KLAVIYO_START_DATE", "pii": "KLAVIYO_PII",
    }  # fmt: skip
    given = {key: environment[name] for key, name in names.items() if environment.get(name)}
    return _account({"name": "default", "postgres_schema": "klaviyo", **given}, "the environment")


def _account(block: Mapping[str, Any], origin: str) -> Account:
    where = f"{origin}, account {block.get('name', '(without a name)')!r}"
    values = dict(block)
    _known_keys(values, {item.name for item in fields(Account)}, where)
    for needed in ("name", "postgres_schema"):
        if not values.get(needed):
            raise SettingsError(f"{where}: {needed} is missing")
    for setting, value in values.items():
        if setting not in {"start_date", "attribution", "accept_empty"} and not isinstance(value, str):
            raise SettingsError(f"{where}: {setting} = {value!r}", 'Allowed: text in quotes ("...").')
    values["start_date"] = _date(values.get("start_date", date(2020, 1, 1)), where)
    values["accept_empty"] = _texts(values.get("accept_empty", ()), f"{where}: accept_empty")
    values["attribution"] = _attribution(values.get("attribution", {}), where)
    values["timezone"] = _timezone(values.get("timezone", UTC_NAME), where)
    account = Account(**values)
    _check(account, where)
    return account


def _check(account: Account, where: str) -> None:
    rules = {
        "name": (
            bool(re.fullmatch(r"[a-z0-9_]+", account.name)) and account.name != PORTFOLIO,
            f"letters a-z, digits and _, but not {PORTFOLIO!r}: that dataset holds the views over all accounts",
        ),
        "currency": (bool(re.fullmatch(r"[A-Z]{3}", account.currency)), "three capital letters such as EUR"),
        "pii": (account.pii in PII_MODES, " | ".join(PII_MODES)),
        "looker_template_id": (
            bool(re.fullmatch(r"(https://\S+/reporting/)?[A-Za-z0-9_-]*(/\S*)?", account.looker_template_id)),
            "the id in the template's address, the part after /reporting/, or the whole address",
        ),
    }
    for setting, (holds, allowed) in rules.items():
        if not holds:
            raise SettingsError(f"{where}: {setting} = {getattr(account, setting)!r}", f"Allowed: {allowed}.")
    if datetime.now(UTC).date() - account.start_date >= timedelta(days=MOST_DAYS):
        raise SettingsError(
            f"{where}: start_date = {account.start_date}",
            f"Allowed: a date within the last {MOST_DAYS:,} days (27 years), because a BigQuery table has no more "
            "partitions. Earlier days stay in Postgres.",
        )


def _timezone(value: str, where: str) -> str:
    try:
        return canonical_zone(value)
    except SettingsError as error:
        raise SettingsError(f"{where}: timezone = {value!r}: {error}") from error


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise SettingsError(
            f"{where} = {value!r}", 'Allowed: a list of tables and columns such as ["coupon_code", "person.email"].'
        )
    return tuple(value)


def _date(value: Any, where: str) -> date:
    try:
        day = value if type(value) is date else date.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where}: start_date = {value!r}", "Allowed: a date such as 2024-01-31.") from error
    if day < FIRST_START:
        raise SettingsError(
            f"{where}: start_date = {day}", f"Allowed: a date such as 2024-01-31, from {FIRST_START} on."
        )
    return day


def _attribution(block: Any, where: str) -> AttributionSettings:
    where = f"{where}, attribution"
    if not isinstance(block, Mapping):
        raise SettingsError(f"{where} = {block!r}", "Allowed: a block [account.attribution] with source and windows.")
    values = dict(block)
    source = values.pop("source", "auto")
    if source not in SOURCES:
        raise SettingsError(f"{where}: source = {source!r}", f"Allowed: {' | '.join(SOURCES)}.")
    earns = {name: _choice(values.pop(name, True), f"{where}: {name}") for name in _EARNS}
    _known_keys(values, WINDOW_NAMES | {"source", *_EARNS}, where)
    given = {name: _window(value, f"{where}: {name}") for name, value in values.items()}
    return AttributionSettings(source, {**DEFAULT_WINDOWS, **given}, **earns)


def _choice(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{where} = {value!r}", "Allowed: true or false.")
    return value


def _window(value: Any, where: str) -> int:
    """The seconds in a number of hours or in an ISO 8601 duration of days, hours, minutes and seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return round(value * 3600)
    pattern = r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
    match = re.fullmatch(pattern, value) if isinstance(value, str) and value not in {"P", "PT"} else None
    if not match or value.endswith("T"):
        raise SettingsError(f"{where} = {value!r}", "Allowed: hours (12) or an ISO duration (P5D, PT12H).")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds


def _known_keys(values: Mapping[str, Any], setting_names: Set[str], where: str) -> None:
    for key in values:
        if key not in setting_names:
            raise SettingsError(
                f"{where}: there is no setting {key!r}", f"Choose one of: {', '.join(sorted(setting_names))}."
            )
