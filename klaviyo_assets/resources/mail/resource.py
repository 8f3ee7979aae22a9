"""Sending mail: through Amazon SES, or through any SMTP server.

Here: settings, building a message, and trying until every recipient has it or is refused. Not here: the transports
(`ses.py`, `smtp.py`), and the content and time of mails (`publishing/mail/`).
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, getaddresses, make_msgid, parseaddr
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.mail import ses as mail_ses
from klaviyo_assets.resources.mail.smtp import SmtpServer
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.time_limits import MAIL_ATTEMPTS

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

SES, SMTP = "ses", "smtp"
# The limit of SES for a mail as sent; encoding makes pictures a third larger.
LARGEST_BYTES = 10 * 1024 * 1024
# The limit of SES for one mail.
MOST_RECIPIENTS = 50
ATTEMPTS = 4
_SEE = "docs/mail.md says how."


@dataclass(frozen=True)
class Picture:
    """A picture in a message: the HTML refers to it as `cid:<content_id>`."""

    content_id: str
    png: bytes


@dataclass(frozen=True)
class Message:
    """A message: text and, optionally, the same content as HTML with pictures."""

    subject: str
    text: str
    html: str = ""
    pictures: tuple[Picture, ...] = ()
    # Extra headers by name, for programs that sort mail.
    headers: tuple[tuple[str, str], ...] = field(default=())

    def build(self, sender: str, recipients: Sequence[str]) -> EmailMessage:
        """The message as it is sent: plain ASCII, whatever its content."""
        mail = EmailMessage(policy=SMTP_POLICY.clone(cte_type="7bit"))
        # A line break would end the header, and a subject may contain text from elsewhere.
        mail["Subject"] = " ".join(self.subject.split())
        mail["From"], mail["To"], mail["Date"] = sender, ", ".join(recipients), formatdate(usegmt=True)
        mail["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or None)
        for name, value in (*self.headers, ("Auto-Submitted", "auto-generated")):
            mail[name] = value
        mail.set_content(self.text)
        if self.html:
            mail.add_alternative(self.html, subtype="html")
            page: Any = mail.get_payload(1)
            for picture in self.pictures:
                page.add_related(
                    picture.png, "image", "png", cid=f"<{picture.content_id}>", disposition="inline",
                    filename=f"{picture.content_id}.png",
                )  # fmt: skip
        return mail


@dataclass(frozen=True)
class Sent:
    """The outcome of sending a message."""

    message_id: str
    transport: str
    recipients: int


class PartlySentError(PermanentError):
    """Some recipients have the mail, the others were refused: sending it again would send it twice to some."""


# Sends to some recipients: the message's id, and who was refused and why.
Attempt = Callable[[Sequence[str]], tuple[str, Mapping[str, KlaviyoAssetsError]]]


@dataclass
class Delivery:
    """One message on its way to several recipients, over several attempts."""

    left: list[str]
    accepted: list[str] = field(default_factory=list)
    refusals: dict[str, KlaviyoAssetsError] = field(default_factory=dict)

    def attempt(self, attempt: Attempt) -> str:
        """Send to the remaining recipients; permanently refused ones are not tried again.

        Raises:
            TransientError: nobody was reached, or some recipients should be tried again.
            PermanentError: nobody was reached.
        """
        message_id, refusals = attempt(self.left)
        self.accepted += [address for address in self.left if address not in refusals]
        later = {address: error for address, error in refusals.items() if isinstance(error, TransientError)}
        self.refusals |= {address: error for address, error in refusals.items() if address not in later}
        self.left = list(later)
        if later:
            raise TransientError(_refusals(later))
        return message_id

    def give_up(self, error: KlaviyoAssetsError) -> None:
        """Count the remaining recipients as refused."""
        self.refusals |= dict.fromkeys(self.left, error)

    def check(self) -> None:
        """Check that nobody was refused.

        Raises:
            PartlySentError: some were.
            PermanentError: all were.
        """
        if not self.refusals:
            return
        if not self.accepted:
            might_pass = any(isinstance(error, TransientError) for error in self.refusals.values())
            kind = TransientError if might_pass else PermanentError
            raise kind(f"every recipient was refused: {_refusals(self.refusals)}")
        raise PartlySentError(
            f"the mail was sent to {', '.join(self.accepted)}, and refused for {_refusals(self.refusals)} It is not "
            f"sent again, because the others have it."
        )


def _refusals(refusals: Mapping[str, KlaviyoAssetsError]) -> str:
    return " ".join(f"{address}: {error}" for address, error in refusals.items())


class MailResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sender, recipients and transport of mail: SES if `SES_REGION` is set, else SMTP if `SMTP_URL` is."""

    sender: str = Field(default="", description="Sender (MAIL_FROM).")
    recipients: str = Field(default="", description="Recipients, separated by commas (MAIL_TO).")
    region: str = Field(default="", description="Region of Amazon SES (SES_REGION).")
    endpoint_url: str = Field(default="", description="Address of SES if it is not Amazon's (SES_ENDPOINT_URL).")
    smtp_url: str = Field(
        default="", description="smtps://user:password@host:465 or smtp://host:587 (SMTP_URL).", repr=False
    )
    transport: str = Field(default="", description="ses or smtp, whatever is set.")
    backoff_seconds: float = Field(default=1.0, description="First pause after a transient refusal.")

    def send(self, message: Message, to: Sequence[str] = ()) -> str:
        """Send a message; transient refusals (too fast, server busy) are retried a few times.

        Args:
            message: What is sent.
            to: Recipients, instead of those in MAIL_TO.

        Returns:
            The message id that the transport gave it.

        Raises:
            SettingsError: a setting is missing or wrong.
            PartlySentError: some recipients were refused; the message names them, and the others have the mail.
            PermanentError: the mail was refused; the message says what has to change.
            TransientError: nobody answered, or there were too many mails today.
        """
        return self.deliver(message, to).message_id

    def deliver(self, message: Message, to: Sequence[str] = ()) -> Sent:
        """Like `send`, but returns the whole outcome."""
        recipients, transport = list(to) or self.to, self.chosen_transport
        mail = message.build(self._sender, recipients)
        content = mail.as_bytes()
        if len(content) > LARGEST_BYTES:
            raise PermanentError(
                f"the mail {message.subject!r} has {len(content):,} bytes, but at most {LARGEST_BYTES:,} can be sent",
                "Leave out pictures.",
            )
        through = self._through_ses if transport == SES else self._through_smtp
        delivery = Delivery(list(recipients))
        try:
            message_id = self._retrying()(delivery.attempt, lambda left: through(mail, content, left))
        except KlaviyoAssetsError as error:
            if not delivery.accepted and not delivery.refusals:
                raise
            delivery.give_up(error)
            message_id = str(mail["Message-ID"])
        delivery.check()
        return Sent(message_id, transport, len(recipients))

    def _retrying(self) -> Any:
        from tenacity import (
            Retrying,
            retry_if_exception,
            stop_after_attempt,
            stop_after_delay,
            wait_exponential,
            wait_random,
        )

        def is_passing(error: BaseException) -> bool:
            return isinstance(error, TransientError) and not isinstance(error, mail_ses.DailyQuotaError)

        return Retrying(
            retry=retry_if_exception(is_passing),
            # A sensor's tick has a minute.
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(MAIL_ATTEMPTS.seconds),
            # Jitter, so that several senders do not collide again.
            wait=wait_exponential(multiplier=self.backoff_seconds, max=15) + wait_random(0, self.backoff_seconds / 2),
            reraise=True,
        )

    @property
    def chosen_transport(self) -> str:
        """`ses` or `smtp`.

        Raises:
            SettingsError: neither is set.
        """
        setting = self.transport or optional("", "MAIL_TRANSPORT")
        if setting not in {"", SES, SMTP}:
            raise SettingsError(f"MAIL_TRANSPORT = {setting!r}", "Allowed: ses, smtp.")
        transport = setting or (SES if self._region else SMTP if self._smtp_url else "")
        if not transport:
            raise SettingsError("no mail transport is set", f"Set SES_REGION or SMTP_URL in .env; {_SEE}")
        return transport

    @property
    def to(self) -> list[str]:
        """The recipients that MAIL_TO names.

        Raises:
            SettingsError: there is no recipient, or there are too many for one mail.
        """
        return addresses(optional(self.recipients, "MAIL_TO"), "MAIL_TO")

    @property
    def _sender(self) -> str:
        (sender, *surplus) = addresses(optional(self.sender, "MAIL_FROM"), "MAIL_FROM")
        if surplus:
            raise SettingsError("MAIL_FROM has several addresses, but a mail has one sender", "Name one.")
        return sender

    @property
    def _region(self) -> str:
        return optional(self.region, "SES_REGION")

    @property
    def _smtp_url(self) -> str:
        return optional(self.smtp_url, "SMTP_URL")

    @cached_property
    def _ses(self) -> "SESClient":
        region = self._region or optional("", "AWS_REGION") or optional("", "AWS_DEFAULT_REGION")
        if not region:
            raise SettingsError(
                "SES_REGION is not set", f"Set it to the region in which the sender is verified; {_SEE}"
            )
        return mail_ses.client(region, optional(self.endpoint_url, "SES_ENDPOINT_URL"))

    def _through_ses(
        self, mail: EmailMessage, content: bytes, recipients: Sequence[str]
    ) -> tuple[str, Mapping[str, KlaviyoAssetsError]]:
        return mail_ses.send(self._ses, self._region or "its region", str(mail["From"]), recipients, content)

    def _through_smtp(
        self, mail: EmailMessage, content: bytes, recipients: Sequence[str]
    ) -> tuple[str, Mapping[str, KlaviyoAssetsError]]:
        server = SmtpServer.of(self._smtp_url)
        refusals = server.send(parseaddr(str(mail["From"]))[1], recipients, content)
        return str(mail["Message-ID"]), refusals


def addresses(value: str, setting: str) -> list[str]:
    """E-mail addresses with commas between them.

    Raises:
        SettingsError: there is no address, an invalid one, or there are too many.
    """
    if not value.strip():
        raise SettingsError(f"{setting} is not set, so no mail can be sent", f"Set it in .env; {_SEE}")
    entries = [address for _, address in getaddresses([value]) if address]
    # Mail servers accept non-ASCII letters only with an extension that most lack.
    wrong = [
        address
        for address in entries
        if not re.fullmatch(r"[^@\s;]+@[^@\s;]+", address, re.ASCII) or not address.isascii()
    ]
    # With a semicolon between two addresses, the second would be dropped silently.
    # A line break would begin another header.
    is_broken = any(not character.isprintable() for character in value.strip())
    if wrong or not entries or ";" in value or is_broken:
        wrong_entries = ", ".join(repr(address) for address in wrong) or repr(value)
        raise SettingsError(f"{setting} contains {wrong_entries}", "Allowed: e-mail addresses separated by commas.")
    if len(entries) > MOST_RECIPIENTS:
        raise SettingsError(
            f"{setting} has {len(entries)} addresses, but at most {MOST_RECIPIENTS} are allowed", "Use a mailing list."
        )
    return entries


def is_set_up() -> bool:
    """Whether a recipient is set: only then is mail sent automatically."""
    return bool(os.environ.get("MAIL_TO", "").strip())
