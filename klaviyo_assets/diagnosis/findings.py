"""What a check finds, and how an error in a check becomes a finding.

What belongs here: the vocabulary. What does not: any check.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from klaviyo_assets.errors import KlaviyoAssetsError, TransientError
from klaviyo_assets.text import one_line

_log = logging.getLogger(__name__)


class Level(IntEnum):
    """How bad a finding is; a greater number is worse."""

    OK = 0
    WARN = 1  # everything works or will work; worth a look
    FAIL = 2  # something does not work until it is fixed


@dataclass(frozen=True)
class DoctorFinding:
    """What doctor knows about one thing that it checked.

    Attributes:
        account: The account's name; None for what all accounts share.
        system: The column of the table it belongs to: `postgres`, `fivetran`, ...
        level: How bad it is.
        what: What was found, without secrets.
        fix: What to do about it; empty if all is well.
    """

    account: str | None
    system: str
    level: Level
    what: str
    fix: str = ""


@dataclass(frozen=True)
class Scope:
    """The account and the system that findings are about, and a factory for them."""

    system: str
    account: str | None = None

    def ok(self, what: str) -> DoctorFinding:
        """A finding: everything works."""
        return DoctorFinding(self.account, self.system, Level.OK, what)

    def warn(self, what: str, fix: str) -> DoctorFinding:
        """A finding: worth a look."""
        return DoctorFinding(self.account, self.system, Level.WARN, what, fix)

    def fail(self, what: str, fix: str) -> DoctorFinding:
        """A finding: something does not work."""
        return DoctorFinding(self.account, self.system, Level.FAIL, what, fix)

    def error(
        self, error: KlaviyoAssetsError, default_fix: str = "Fix what it names, and run doctor again."
    ) -> DoctorFinding:
        """An error of this package as a finding.

        Args:
            error: What was raised.
            default_fix: How to fix it if neither the error nor a rerun does.
        """
        rerun = "This may be temporary; run doctor again." if isinstance(error, TransientError) else default_fix
        return self.fail(one_line(error.what), one_line(error.fix) or rerun)


def collected(scope: Scope, check: Callable[[], Iterable[DoctorFinding]]) -> Iterator[DoctorFinding]:
    """The findings of a check; an error that ends it early is its last finding, and does not affect other checks."""
    try:
        yield from check()
    except KlaviyoAssetsError as error:
        yield scope.error(error)
    except Exception as error:  # noqa: BLE001  a check that breaks must not stop the others
        _log.debug("the check of %s broke", scope, exc_info=error)
        yield scope.fail(
            f"the check itself broke: {type(error).__name__}: {one_line(error)[:300]}",
            "Run `klaviyo-assets doctor -v` for details, and report it.",
        )
