"""Every error of this package, classed by one question: would a rerun help?

What belongs here: the exception tree and nothing else. Messages are written where the fault is found. An error is
data: `what` happened, with the wrong value, and its `fix`, with what is allowed. No code reads either of them; callers
tell errors apart by their class. No secret goes into a message.

KlaviyoAssetsError ├── PermanentError        a rerun fails the same way: somebody has to change something first │   ├──
SettingsError     a setting is missing or wrong │   ├── UnknownNameError  there is nothing of that name │   ├──
NotFoundError     the other system does not have what was asked for │   └── UnforeseenError   something unexpected,
which must not stop unrelated work └── TransientError        a rerun may well succeed: time-outs, rate limits, servers
that went away
"""

import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Self


class KlaviyoAssetsError(Exception):
    """Root of every error this package raises on purpose; as text, `what` and `fix` as sentences.

    Attributes:
        what: What happened, to what, with the wrong value; one sentence without a full stop at its end.
        fix: What to do about it, and what is allowed, in whole sentences; empty if only a rerun helps.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.what, self.fix = what, fix

    def __str__(self) -> str:
        return f"{self.what}. {self.fix}" if self.fix else self.what

    def hide(self, *secrets: str) -> Self:
        """Remove secrets from both texts, in case a server repeated one; return the error itself."""
        for secret in filter(None, secrets):
            self.what, self.fix = self.what.replace(secret, "(hidden)"), self.fix.replace(secret, "(hidden)")
        self.args = (self.what, self.fix)
        return self


class PermanentError(KlaviyoAssetsError):
    """A rerun fails the same way until somebody changes something."""


class SettingsError(PermanentError):
    """A setting is missing or wrong."""


class UnknownNameError(PermanentError):
    """There is nothing of that name; the fix lists the existing names, and suggests one that is nearly the same.

    Attributes:
        kind: What the name stands for, such as "account".
        name: The wrong name.
        names: The right ones, in order.
    """

    def __init__(self, kind: str, name: str, names: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.names = kind, name, sorted(names)
        choices = f"Choose one of: {', '.join(self.names)}." if self.names else ""
        near = get_close_matches(name, self.names, n=1)
        question = f"Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"there is no {kind} {name!r}", " ".join(filter(None, [question, choices, hint])))


class NotFoundError(PermanentError):
    """The other system does not have what was asked for: its client answered 404."""


class TransientError(KlaviyoAssetsError):
    """A rerun may well succeed."""


class UnforeseenError(PermanentError):
    """Something unexpected: its class and place are shown, because its own text may quote a row or a password.

    Attributes:
        kind: The class of the original error.
        stack: Its stack, without the folders of the machine.
    """

    def __init__(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own_frames = [frame for frame in frames if "klaviyo_assets" in Path(frame.filename).parts]
        self.kind = type(error).__qualname__
        self.stack = "\n".join(f"{_shortened(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames)
        last = own_frames[-1] if own_frames else None
        place = f" at {_shortened(last.filename)}:{last.lineno} in {last.name}" if last else ""
        super().__init__(
            f"unforeseen {self.kind}{place}",
            "A rerun fails the same way. Report it with the stack from the run's log.",
        )


def contained(error: Exception) -> KlaviyoAssetsError:
    """An error of this package: the error itself if it is one, else an `UnforeseenError` without its text."""
    return error if isinstance(error, KlaviyoAssetsError) else UnforeseenError(error)


def stack_of(error: KlaviyoAssetsError) -> str:
    """Where an unforeseen error happened, as further log lines; empty for any other error, whose text is enough."""
    return f"\n{error.stack}" if isinstance(error, UnforeseenError) else ""


def _shortened(filename: str) -> str:
    """The path of a source file without the folders of this machine."""
    parts = Path(filename).parts
    places = [place for place, part in enumerate(parts) if part in {"klaviyo_assets", "site-packages"}]
    return "/".join(parts[places[-1] :]) if places else parts[-1]
