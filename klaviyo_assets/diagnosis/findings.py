"""What a check finds, and turning whatever goes wrong in a check into a finding.

Here: the vocabulary. Not here: any check.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from klaviyo_assets.errors import KlaviyoAssetsError, TransientError
from klaviyo_assets.text import one_line

_log = logging.getLogger(__name__)


class Level(IntEnum):
    """How bad it is; the greater the worse."""

    OK = 0
    WARN = 1  # everything works, or will; worth a look
    FAIL = 2  # something does not work until it is mended


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        account: The account's name; None for what all accounts share.
        system: The column of the table it belongs to: `postgres`, `fivetran`, ...
        level: How bad it is.
        what: What is, without a secret.
        mend: What to do about it; empty where all is well.
    """

    account: str | None
    system: str
    level: Level
    what: str
    mend: str = ""


@dataclass(frozen=True)
class Scope:
    """Whom and what findings are about; makes them."""

    system: str
    account: str | None = None

    def ok(self, what: str) -> Finding:
        """All is well."""
        return Finding(self.account, self.system, Level.OK, what)

    def warn(self, what: str, mend: str) -> Finding:
        """Worth a look."""
        return Finding(self.account, self.system, Level.WARN, what, mend)

    def fail(self, what: str, mend: str) -> Finding:
        """Does not work."""
        return Finding(self.account, self.system, Level.FAIL, what, mend)

    def error(self, error: Exception, mend: str = "Fix what it names, and run doctor again.") -> Finding:
        """An error of this package as a finding: its first sentence is what is, the others say how to mend it.

        Args:
            error: What was raised.
            mend: How to mend it where the error does not say.
        """
        what, _, told = one_line(error).partition(". ")
        passing = "It may pass: run doctor again." if isinstance(error, TransientError) else mend
        return self.fail(what.rstrip("."), told or passing)


def collected(scope: Scope, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check; whatever ends it early is its last finding, and no other check's concern."""
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
