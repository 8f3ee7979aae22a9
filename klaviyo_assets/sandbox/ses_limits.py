"""The limits of an AWS account that is still in the sandbox of SES, for moto, which has no limits.

Here: one mail a second, 200 recipients in 24 hours, 10 MB a message, with the words of SES. Not here: keeping mail
(`mail`). Recipients need no verification here: nothing leaves this machine.
"""

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

RECIPIENTS_PER_DAY = 200
MAILS_PER_SECOND = 1
LARGEST_BYTES = 10_485_760
_DAY_SECONDS = 86_400


class Limits:
    """The recent mails, and whether one more may be sent."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sent_mails: deque[tuple[float, int]] = deque()
        self._counting = threading.Lock()

    def refusal(self, recipients: int, size: int) -> tuple[str, str] | None:
        """Code and sentence of SES's refusal; None if the mail may be sent, and then it counts as sent."""
        with self._counting:
            now = self._clock()
            while self._sent_mails and self._sent_mails[0][0] <= now - _DAY_SECONDS:
                self._sent_mails.popleft()
            if size > LARGEST_BYTES:
                return "InvalidParameterValue", f"Message length is more than {LARGEST_BYTES} bytes long: '{size}'."
            if sum(1 for at, _ in self._sent_mails if at > now - 1) >= MAILS_PER_SECOND:
                return "Throttling", "Maximum sending rate exceeded."
            if sum(count for _, count in self._sent_mails) + recipients > RECIPIENTS_PER_DAY:
                return "Throttling", "Daily message quota exceeded."
            self._sent_mails.append((now, recipients))
            return None

    def forget_last(self) -> None:
        """Forget the last mail: it was refused for a different reason, so it was not sent."""
        with self._counting:
            self._sent_mails.pop()


def set_limits(limits: Limits) -> None:
    """Make moto's SES enforce the limits."""
    from moto.ses.models import SESBackend

    moto: Any = SESBackend
    raw, composed = moto.send_raw_email, moto.send_email

    @functools.wraps(raw)
    def send_raw_email(backend: Any, source: str, destinations: list[str], raw_data: Any) -> Any:
        # moto adds the recipients in the headers to this very list.
        return _send_within(
            limits, len(destinations) or 1, len(raw_data), lambda: raw(backend, source, destinations, raw_data)
        )

    @functools.wraps(composed)
    def send_email(backend: Any, source: str, subject: str, body: str, destinations: dict[str, list[str]]) -> Any:
        recipients = sum(map(len, destinations.values()))
        return _send_within(
            limits, recipients, len(body), lambda: composed(backend, source, subject, body, destinations)
        )  # fmt: skip

    moto.send_raw_email, moto.send_email = send_raw_email, send_email


def _send_within(limits: Limits, recipients: int, size: int, send: Callable[[], Any]) -> Any:
    from moto.ses.exceptions import SesError

    refusal = limits.refusal(recipients, size)
    if refusal:
        code, sentence = refusal
        error = SesError(sentence)
        error.code = code
        raise error
    try:
        return send()
    except Exception:
        limits.forget_last()
        raise
