"""The accounts file, block by block: a wrong block does not hide the others.

Here: reading every block by itself, with the product's own rules, and comparing accounts. Not here: those rules
(`accounts.py`). A wrong block is a failure, because every other command refuses the whole file while there is one.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from klaviyo_assets.accounts import DEFAULT_FILE, Account, load_accounts, parse_accounts
from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.diagnosis.settings import SETTINGS
from klaviyo_assets.errors import SettingsError

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*account[ \t]*\]\]", re.MULTILINE)
_FIX = "Fix the block in {}: until then every other command refuses the whole file. See accounts.example.toml."
_NAME = re.compile(r"^[ \t]*name[ \t]*=[ \t]*[\"']([^\"'\n]*)[\"']", re.MULTILINE)


@dataclass
class FoundAccounts:
    """The accounts that can be read, and what is wrong with the others; `names` lists all, in the file's order."""

    accounts: list[Account] = field(default_factory=list)
    findings: list[DoctorFinding] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def only(self, names: Collection[str]) -> "FoundAccounts":
        """Some of the accounts, with what all accounts share."""
        return FoundAccounts(
            [account for account in self.accounts if account.name in names],
            [finding for finding in self.findings if finding.account in {None, *names}],
            [name for name in self.names if name in names],
        )


def find_accounts(environment: Mapping[str, str]) -> FoundAccounts:
    """All accounts of the deployment that can be read."""
    try:
        accounts = load_accounts(environment)
    except SettingsError as error:
        path = Path(environment.get("KLAVIYO_ACCOUNTS_FILE") or DEFAULT_FILE)
        found_accounts = _block_by_block(path) if path.is_file() else FoundAccounts()
        if not any(finding.level for finding in found_accounts.findings):
            found_accounts.findings.append(Scope(SETTINGS).error(error))
        return found_accounts
    found_accounts = FoundAccounts(list(accounts.by_name.values()), names=accounts.names)
    found_accounts.findings += [Scope(SETTINGS, name).ok(f"read from {accounts.origin}") for name in accounts.names]
    found_accounts.findings += _shared(found_accounts.accounts)
    return found_accounts


def _block_by_block(path: Path) -> FoundAccounts:
    found_accounts = FoundAccounts()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return found_accounts
    for name, block in _blocks(text):
        try:
            account = _read(block, path, found_accounts.names)
        except SettingsError as error:
            fix = f"{error.fix} {_FIX.format(path.name)}".strip()
            found_accounts.findings.append(Scope(SETTINGS, name).fail(error.what, fix))
        else:
            found_accounts.accounts.append(account)
            found_accounts.findings.append(Scope(SETTINGS, name).ok(f"read from {path}"))
        found_accounts.names += [] if name in found_accounts.names else [name]
    found_accounts.findings += _shared(found_accounts.accounts)
    return found_accounts


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Each account's name and block, at its original lines, so that messages give the right line numbers."""
    starts = [match.start() for match in _HEADER.finditer(text)]
    for number, (start, end) in enumerate(pairwise([*starts, len(text)]), 1):
        block = text[start:end]
        name = _NAME.search(block)
        yield name[1] if name else f"number {number}", "\n" * text.count("\n", 0, start) + block


def _read(block: str, path: Path, taken: list[str]) -> Account:
    (account,) = parse_accounts(block, str(path)).by_name.values()
    if account.name in taken:
        raise SettingsError(f"{path}: two accounts are named {account.name!r}", "Give each account a name of its own.")
    return account


def _shared(accounts: list[Account]) -> Iterator[DoctorFinding]:
    """Find two accounts on one schema or connection: their numbers would count the same rows twice."""
    for setting in ("postgres_schema", "fivetran_connection_id"):
        owners: dict[str, list[str]] = defaultdict(list)
        for account in accounts:
            owners[getattr(account, setting)].append(account.name)
        for value, names in owners.items():
            for name in names if value and len(names) > 1 else ():
                others = ", ".join(other for other in names if other != name)
                yield Scope(SETTINGS, name).fail(
                    f"{setting} = {value!r} is also used by {others}", "Give each account its own in accounts.toml."
                )
