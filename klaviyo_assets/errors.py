"""Every error of this package, classed by one question: would a rerun help?

What belongs here: the exception tree and nothing else. Messages are written where the fault is found: they
name the action, the wrong value, what is allowed, and the mend. No secret goes into a message.

KlaviyoAssetsError
├── PermanentError        a rerun fails the same way: somebody has to change something first
│   ├── SettingsError     a setting is missing or wrong
│   └── UnknownNameError  a name is none of those that exist
└── TransientError        a rerun may well succeed: time-outs, rate limits, servers that went away
"""

from collections.abc import Iterable
from difflib import get_close_matches


class KlaviyoAssetsError(Exception):
    """Root of every error this package raises on purpose."""


class PermanentError(KlaviyoAssetsError):
    """A rerun fails the same way until somebody changes something."""


class SettingsError(PermanentError):
    """A setting is missing or wrong."""


class UnknownNameError(PermanentError):
    """A name is none of those that exist; the message lists them, and asks for one that is nearly the same."""

    def __init__(self, kind: str, name: str, known: Iterable[str], mend: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        listed = ", ".join(self.known) or "none"
        near = get_close_matches(name, self.known, n=1)
        meant = [f"Did you mean {near[0]!r}?"] if near else []
        super().__init__(" ".join([f"no {kind} {name!r}; known: {listed}.", *meant, *([mend] if mend else [])]))


class TransientError(KlaviyoAssetsError):
    """A rerun may well succeed."""
