"""Turns where nobody else is: for tests of what a run does once it has them."""

from collections.abc import Callable

from klaviyo_assets.defs.turns import AccountBusyError, AccountTurns


class FreeTurns(AccountTurns):
    """Every turn is there for the asking, but that of the account `busy`; nothing is locked."""

    busy: str = ""

    def take(self, account: str, run_id: str, *, say: Callable[[str], None]) -> None:
        """As the resource does it."""
        if account == self.busy:
            raise AccountBusyError(f"account {account!r} is being written by another run")

    def has(self, account: str) -> bool:
        """As the resource does it."""
        return account != self.busy

    def confirm(self, account: str) -> None:
        """As the resource does it: no turn is ever lost."""
