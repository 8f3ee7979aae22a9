"""Every error of this package, classed by one question: would a rerun help?

What belongs here: the exception tree and nothing else. Messages are written where the fault is found: they
name the action, the wrong value, what is allowed, and the mend. No secret goes into a message.

KlaviyoAssetsError
├── PermanentError        a rerun fails the same way: somebody has to change something first
│   ├── SettingsError     a setting is missing or wrong
│   ├── UnknownNameError  a name is none of those that exist
│   └── UnforeseenError   something nobody foresaw, which must not stop what has nothing to do with it
└── TransientError        a rerun may well succeed: time-outs, rate limits, servers that went away
"""

import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


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


class UnforeseenError(PermanentError):
    """Something nobody foresaw: told by its class and its place, for its own text may quote a row or a password."""

    def __init__(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "klaviyo_assets" in Path(frame.filename).parts]
        self.kind = type(error).__qualname__
        self.stack = "\n".join(f"{_shortened(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames)
        place = f" at {_shortened(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}" if own else ""
        super().__init__(
            f"unforeseen {self.kind}{place}. A rerun fails the same way: report it with the stack from the run's log"
        )


def contained(error: Exception) -> KlaviyoAssetsError:
    """An error as one of this package's: itself where it is one, else an `UnforeseenError` without its text."""
    return error if isinstance(error, KlaviyoAssetsError) else UnforeseenError(error)


def stack_of(error: KlaviyoAssetsError) -> str:
    """Where an unforeseen error happened, as further lines of a log; nothing of others, whose reason says it all."""
    return f"\n{error.stack}" if isinstance(error, UnforeseenError) else ""


def _shortened(filename: str) -> str:
    """A source file without the folders of the machine."""
    parts = Path(filename).parts
    places = [place for place, part in enumerate(parts) if part in {"klaviyo_assets", "site-packages"}]
    return "/".join(parts[places[-1] :]) if places else parts[-1]
