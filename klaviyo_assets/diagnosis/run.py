"""A whole diagnosis: every check of a deployment and of each account; a failing check never stops the others.

Here: the list of checks, their order, and what is left out because it cannot be asked. Not here: the checks.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis import bigquery, fivetran, machine, postgres, s3, settings
from klaviyo_assets.diagnosis.accounts_file import FoundAccounts, find_accounts
from klaviyo_assets.diagnosis.findings import DoctorFinding, Level, Scope, collected
from klaviyo_assets.errors import SettingsError, UnknownNameError
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.resources.s3 import S3ArchiveResource

SYSTEMS = (settings.SETTINGS, postgres.POSTGRES, fivetran.FIVETRAN, s3.S3, bigquery.BIGQUERY, machine.MACHINE,
           settings.MAIL)  # fmt: skip
_AT_ONCE = 4
_STATEMENT_SECONDS = 60
# Shorter ones occur in ordinary words, and are too short to work as secrets.
_LEAST_SECRET = 8
_FRAMES = ".dagster/frames"


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found: the deployment's own findings first, then those of each account."""

    accounts: tuple[str, ...]
    findings: tuple[DoctorFinding, ...]

    def level(self, account: str | None, system: str) -> Level | None:
        """The worst level of an account in a system; None if nothing was checked."""
        levels = [one.level for one in self.findings if (one.account, one.system) == (account, system)]
        return max(levels, default=None)

    def problems(self) -> list[DoctorFinding]:
        """The warnings and failures, each account's failures first."""
        order = {name: place for place, name in enumerate([None, *self.accounts])}
        return sorted(
            (finding for finding in self.findings if finding.level),
            key=lambda finding: (order.get(finding.account, 0), -finding.level),
        )

    @property
    def failed(self) -> bool:
        """Whether anything does not work."""
        return any(one.level is Level.FAIL for one in self.findings)


@dataclass(frozen=True)
class _System:
    """One external system: the settings it needs, its own check, and its check of an account."""

    name: str
    needs: tuple[str, ...]
    whole: Callable[[Any], Iterator[DoctorFinding]]
    of_account: Callable[[Any, Account], Iterator[DoctorFinding]]
    connect: Callable[[Mapping[str, str]], Any]


_SYSTEMS_ASKED = (
    _System(
        postgres.POSTGRES, ("POSTGRES_URL",), postgres.check_server, postgres.check_account,
        lambda given: PostgresResource(url=given["POSTGRES_URL"], statement_timeout_seconds=_STATEMENT_SECONDS),
    ),
    _System(
        fivetran.FIVETRAN, ("FIVETRAN_API_KEY", "FIVETRAN_API_SECRET"), fivetran.check_key, fivetran.check_account,
        lambda given: FivetranResource(
            api_key=given["FIVETRAN_API_KEY"], api_secret=given["FIVETRAN_API_SECRET"],
            api_url=given.get("FIVETRAN_API_URL", ""), max_attempts=2, longest_pause_seconds=5, read_timeout_seconds=20,
        ),
    ),
    _System(
        s3.S3, ("S3_BUCKET",), s3.check_bucket, s3.check_account,
        lambda given: S3ArchiveResource(bucket=given["S3_BUCKET"]).archive,
    ),
    _System(
        bigquery.BIGQUERY, ("BIGQUERY_PROJECT",),
        bigquery.check_project, bigquery.check_account,
        lambda given: BigQueryProjectResource(project=given["BIGQUERY_PROJECT"]),
    ),
)  # fmt: skip


def diagnose(
    names: Iterable[str] | None = None,
    *,
    open_instance: machine.OpenInstance,
    say: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Check everything.

    Args:
        names: Only these accounts; all if None.
        open_instance: Opens the Dagster instance that commands and UI share.
        say: Called with what is being checked.

    Raises:
        UnknownNameError: a name is not that of an account.
    """
    found_accounts = _chosen(find_accounts(os.environ), list(names or ()))
    say("settings")
    findings = [*_alone(found_accounts.accounts, open_instance), *found_accounts.findings]
    for system in _SYSTEMS_ASKED:
        say(system.name)
        findings += _asked(system, found_accounts.accounts)
    say("what was loaded")
    findings += _loaded(found_accounts.accounts, findings)
    hidden = _without_secrets(os.environ)
    return Diagnosis(tuple(found_accounts.names), tuple(map(hidden, findings)))


def _chosen(found_accounts: FoundAccounts, names: list[str]) -> FoundAccounts:
    for name in names:
        if name not in found_accounts.names:
            raise UnknownNameError("account", name, found_accounts.names)
    return found_accounts.only(names) if names else found_accounts


def _alone(accounts: list[Account], open_instance: machine.OpenInstance) -> Iterator[DoctorFinding]:
    """The checks that need no server."""
    environment = os.environ
    frames, endpoint = environment.get("KLAVIYO_FRAMES_URL") or _FRAMES, environment.get("S3_ENDPOINT_URL", "")
    checks: list[tuple[str, Callable[[], Iterator[DoctorFinding]]]] = [
        (settings.SETTINGS, partial(settings.check_settings, environment, accounts)),
        (settings.SETTINGS, partial(settings.check_dotenv, Path(".env"))),
        (settings.MAIL, partial(settings.check_mail, environment)),
        (machine.MACHINE, partial(machine.check_frames, frames, endpoint)),
        (machine.MACHINE, partial(machine.check_instance, open_instance)),
    ]
    for system, check in checks:
        yield from collected(Scope(system), check)
    key = environment.get("PII_HASH_KEY", "")
    for account in accounts:
        yield from collected(Scope(settings.SETTINGS, account.name), partial(settings.check_privacy, account, key))


def _asked(system: _System, accounts: list[Account]) -> Iterator[DoctorFinding]:
    """Run a system's own check, then, if the system can be asked, those of accounts, several at once."""
    if not all(os.environ.get(name) for name in system.needs):
        return
    clients: list[Any] = []

    def whole() -> Iterator[DoctorFinding]:
        clients.append(system.connect(os.environ))
        yield from system.whole(clients[0])

    of_all = list(collected(Scope(system.name), whole))
    yield from of_all
    if not any(finding.level is Level.OK for finding in of_all):
        return

    def account_findings(account: Account) -> list[DoctorFinding]:
        return list(collected(Scope(system.name, account.name), lambda: system.of_account(clients[0], account)))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for findings in pool.map(account_findings, accounts):
            yield from findings


def _loaded(accounts: list[Account], findings: list[DoctorFinding]) -> Iterator[DoctorFinding]:
    """Check that Postgres still has what BigQuery was loaded from, for accounts for which both can be asked."""
    failed = {(finding.account, finding.system) for finding in findings if finding.level is Level.FAIL}
    asked = {(finding.account, finding.system) for finding in findings} - failed
    both = (postgres.POSTGRES, bigquery.BIGQUERY)
    sound = [account for account in accounts if {(account.name, system) for system in both} <= asked]
    if not sound:
        return
    from_postgres = PostgresResource(url=os.environ["POSTGRES_URL"], statement_timeout_seconds=_STATEMENT_SECONDS)
    to_bigquery = BigQueryProjectResource(project=os.environ["BIGQUERY_PROJECT"])

    def account_findings(account: Account) -> list[DoctorFinding]:
        check = partial(postgres.check_loaded, from_postgres, to_bigquery, account)
        return list(collected(Scope(postgres.POSTGRES, account.name), check))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for of_account in pool.map(account_findings, sound):
            yield from of_account


def _without_secrets(environment: Mapping[str, str]) -> Callable[[DoctorFinding], DoctorFinding]:
    """Removes every secret of the environment from a finding, in case a server or library repeated one."""
    names = {name for name, form in settings.FORMS.items() if form.secret} | {"BIGQUERY_EMULATOR_TOKEN"}
    secrets = {environment[name] for name in names if environment.get(name)}
    # An ill-formed address has a finding of its own.
    with suppress(SettingsError):
        secrets.add(PostgresAddress.read(environment.get("POSTGRES_URL", "")).parameters.get("password", ""))
    longest_first = sorted((secret for secret in secrets if len(secret) >= _LEAST_SECRET), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, "(hidden)")
        return text

    return lambda finding: DoctorFinding(
        finding.account, finding.system, finding.level, clean(finding.what), clean(finding.fix)
    )
