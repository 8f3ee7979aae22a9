"""Sending mail through an SMTP server: the session, its limits, and what refusals mean.

Here: one attempt for some recipients. Not here: retries, and what is sent (`resource.py`).
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.transport.deadlines import Deadline, duplicate
from klaviyo_assets.transport.time_limits import SMTP_ANSWER, SMTP_MESSAGE, SMTP_SESSION

_IMPLICIT_TLS_PORT = 465


@dataclass(frozen=True)
class SmtpServer:
    """The SMTP server of `SMTP_URL`; its password is never printed."""

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> "SmtpServer":
        """Read an address such as smtps://user:password@host:465.

        Raises:
            SettingsError: it is not such an address; the message does not repeat it, because it may hold a password.
        """
        forms = "smtps://user:password@host:465, or smtp://user:password@host:587 with STARTTLS"
        try:
            parts = urlsplit(url)
            port = parts.port or (465 if parts.scheme == "smtps" else 587)
        except ValueError:
            raise SettingsError("SMTP_URL is not the address of an SMTP server", f"Write {forms}.") from None
        # Text after the host is part of a password with an unescaped / ? or #.
        remainder = "".join((parts.path.rstrip("/"), parts.query, parts.fragment))
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or remainder:
            raise SettingsError("SMTP_URL is not the address of an SMTP server", f"Write {forms}.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, parts.scheme == "smtps", user, password)

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> dict[str, KlaviyoAssetsError]:
        """Send a message in one session.

        Args:
            sender: Address of the envelope.
            recipients: Addresses of the envelope.
            content: The message.

        Returns:
            The refused recipients with the reason; all others have it.

        Raises:
            PermanentError: nobody got it, and a rerun would fail the same way.
            TransientError: nobody got it: the server cannot be reached, does not answer in time, or asks to wait.
        """
        with self._session() as session:
            if session.sock:
                session.sock.settimeout(SMTP_MESSAGE.seconds)
            try:
                answers = session.sendmail(sender, list(recipients), content)
            except smtplib.SMTPRecipientsRefused as error:
                # A server that hangs up meanwhile (421) has accepted no message.
                hung_up = (421, b"the server hung up before it was asked")
                answers = {address: error.recipients.get(address, hung_up) for address in recipients}
        return {address: self._refusal(*answer, "the address was refused") for address, answer in answers.items()}

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted if the server can, and logged in if there is a user."""
        secure = ssl.create_default_context()
        session: smtplib.SMTP = (
            smtplib.SMTP_SSL(timeout=SMTP_ANSWER.seconds, context=secure)
            if self.is_tls
            else smtplib.SMTP(timeout=SMTP_ANSWER.seconds)
        )
        deadline = Deadline(lambda: [duplicate(session.sock.fileno())] if session.sock else [])
        problem: KlaviyoAssetsError | None = None
        try:
            with deadline.within(SMTP_SESSION.seconds):
                self._begin(session, secure)
                yield session
                # An error while disconnecting does not take back a sent mail.
                with suppress(smtplib.SMTPException, OSError):
                    session.quit()
        except (smtplib.SMTPException, OSError) as error:
            problem = self._too_slow() if deadline.expired_after else self._explained(error)
        finally:
            session.close()
        if problem:
            raise problem from None

    def _begin(self, session: smtplib.SMTP, secure: ssl.SSLContext) -> None:
        # Certificates are checked against this name; only the constructor sets it, and that would connect at once.
        session._host = self.host  # type: ignore[attr-defined]
        code, reply = session.connect(self.host, self.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, reply)
        session.ehlo()
        if not self.is_tls and session.has_extn("starttls"):
            session.starttls(context=secure)
        elif self.user and not self.is_tls:
            raise PermanentError(
                f"{self._at} does not offer STARTTLS, so the password was not sent to it",
                "Write smtps:// in SMTP_URL, or the port that has STARTTLS (587).",
            )
        if self.user:
            session.login(self.user, self.password)

    @property
    def _at(self) -> str:
        return f"the SMTP server {self.host}:{self.port}"

    def _too_slow(self) -> TransientError:
        return TransientError(
            f"{self._at} took longer than {SMTP_SESSION.seconds:g} s for one mail, so the attempt was given up"
        )

    def _explained(self, error: Exception) -> KlaviyoAssetsError:
        """An error of a session as ours, without the server's words on a login."""
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return self._login_refused(error.smtp_code)
        if isinstance(error, smtplib.SMTPResponseException):
            return self._refusal(error.smtp_code, error.smtp_error, "the mail was refused")
        if isinstance(error, ssl.SSLCertVerificationError):
            return PermanentError(
                f"{self._at} shows a certificate that is not trusted: {error.verify_message}",
                "Write the host as the certificate names it in SMTP_URL, and check this machine's clock.",
            )
        broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, smtplib.SMTPServerDisconnected)
        if isinstance(error, ssl.SSLError | smtplib.SMTPException) and not isinstance(error, broken):
            return PermanentError(
                f"{self._at} does not use the protocol that SMTP_URL names: {error}",
                "Write smtps:// for port 465, smtp:// for port 587, and a user only if the server has a login.",
            )
        return self._unreached(error)

    def _unreached(self, error: Exception) -> KlaviyoAssetsError:
        if isinstance(error, socket.gaierror):
            return TransientError(f"the host name {self.host!r} is unknown", "Check the host in SMTP_URL, and DNS.")
        if isinstance(error, TimeoutError) and self.port == _IMPLICIT_TLS_PORT and not self.is_tls:
            return TransientError(
                f"{self._at} does not respond", "Port 465 expects TLS at once: write smtps:// in SMTP_URL."
            )
        return TransientError(f"{self._at} cannot be reached: {error}", "Check SMTP_URL and the network.")

    def _login_refused(self, code: int) -> KlaviyoAssetsError:
        if 400 <= code < 500:
            return TransientError(f"{self._at} cannot check the login now ({code})", "Try again later.")
        return PermanentError(
            f"{self._at} refused the login ({code})",
            "Check user and password in SMTP_URL, with special characters as %XX; a password may also have expired.",
        )

    def _refusal(self, code: int, reply: Any, action: str) -> KlaviyoAssetsError:
        text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
        text = " ".join(text.split()).rstrip(".")
        if 400 <= code < 500:
            return TransientError(f"{self._at} asks to try again later ({code}): {text}")
        fix = "Leave out pictures." if code == 552 else "Check MAIL_FROM and MAIL_TO with whoever runs that server."
        return PermanentError(f"{self._at}: {action} ({code}): {text}", fix)
