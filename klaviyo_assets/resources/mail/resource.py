"""Sending mail: through Amazon SES, or through any SMTP server.

Here: settings, building a message, and trying until every recipient has it or is refused. Not here: the transports
(`mail_ses.py`, `mail_smtp.py`), and what is said in a mail and when (`publishing/mail/`).
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
# SES takes no more, measured as it is sent; pictures grow by a third on the way.
LARGEST_BYTES = 10 * 1024 * 1024
# SES takes no more of them at once.
MOST_RECIPIENTS = 50
ATTEMPTS = 4
_SEE = "docs/mail.md says how."


@dataclass(frozen=True)
class Picture:
    """A picture that stands in a message: its HTML shows it as `cid:<content_id>`."""

    content_id: str
    png: bytes


@dataclass(frozen=True)
class Message:
    """What is sent: the same said as text and, optionally, as HTML with pictures."""

    subject: str
    text: str
    html: str = ""
    pictures: tuple[Picture, ...] = ()
    # By name, for programs that sort mail.
    headers: tuple[tuple[str, str], ...] = field(default=())

    def built(self, sender: str, recipients: Sequence[str]) -> EmailMessage:
        """The message as it goes over the wire: plain ASCII, whatever is said in it."""
        made = EmailMessage(policy=SMTP_POLICY.clone(cte_type="7bit"))
        # A line break would end the header, and a subject may be made of what others wrote.
        made["Subject"] = " ".join(self.subject.split())
        made["From"], made["To"], made["Date"] = sender, ", ".join(recipients), formatdate(usegmt=True)
        made["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or None)
        for name, value in (*self.headers, ("Auto-Submitted", "auto-generated")):
            made[name] = value
        made.set_content(self.text)
        if self.html:
            made.add_alternative(self.html, subtype="html")
            page: Any = made.get_payload(1)
            for picture in self.pictures:
                page.add_related(
                    picture.png, "image", "png", cid=f"<{picture.content_id}>", disposition="inline",
                    filename=f"{picture.content_id}.png",
                )  # fmt: skip
        return made


@dataclass(frozen=True)
class Sent:
    """What became of a message."""

    message_id: str
    transport: str
    recipients: int


class PartlySentError(PermanentError):
    """Some recipients have the mail, the others were refused: sending it again would send it twice to the first."""


# Sends to some recipients: the message's id, and who was refused and why.
Attempt = Callable[[Sequence[str]], tuple[str, Mapping[str, KlaviyoAssetsError]]]


@dataclass
class Delivery:
    """One message on its way to several recipients, over several attempts."""

    left: list[str]
    accepted: list[str] = field(default_factory=list)
    refused: dict[str, KlaviyoAssetsError] = field(default_factory=dict)

    def attempt(self, attempt: Attempt) -> str:
        """Send to those who are left; who is refused for good is not asked again.

        Raises:
            TransientError: nobody was reached, or some are to be tried again.
            PermanentError: nobody was reached.
        """
        message_id, refused = attempt(self.left)
        self.accepted += [address for address in self.left if address not in refused]
        later = {address: error for address, error in refused.items() if isinstance(error, TransientError)}
        self.refused |= {address: error for address, error in refused.items() if address not in later}
        self.left = list(later)
        if later:
            raise TransientError(_listed(later))
        return message_id

    def give_up(self, error: KlaviyoAssetsError) -> None:
        """Count as refused whoever is left."""
        self.refused |= dict.fromkeys(self.left, error)

    def check(self) -> None:
        """See that nobody was refused.

        Raises:
            PartlySentError: some were.
            PermanentError: all were.
        """
        if not self.refused:
            return
        if not self.accepted:
            might_pass = any(isinstance(error, TransientError) for error in self.refused.values())
            kind = TransientError if might_pass else PermanentError
            raise kind(f"every recipient was refused: {_listed(self.refused)}")
        raise PartlySentError(
            f"the mail was sent to {', '.join(self.accepted)}, and refused for {_listed(self.refused)} It is not sent "
            "again, for the others have it."
        )


def _listed(refused: Mapping[str, KlaviyoAssetsError]) -> str:
    return " ".join(f"{address}: {error}" for address, error in refused.items())


class MailResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where mail goes, from whom, and how: SES where `SES_REGION` is set, else SMTP where `SMTP_URL` is."""

    sender: str = Field(default="", description="Sender (MAIL_FROM).")
    recipients: str = Field(default="", description="Recipients, with commas between them (MAIL_TO).")
    region: str = Field(default="", description="Region of Amazon SES (SES_REGION).")
    endpoint_url: str = Field(default="", description="Address of SES where it is not Amazon's (SES_ENDPOINT_URL).")
    smtp_url: str = Field(
        default="", description="smtps://user:password@host:465 or smtp://host:587 (SMTP_URL).", repr=False
    )
    transport: str = Field(default="", description="ses or smtp, whatever is set.")
    backoff_seconds: float = Field(default=1.0, description="First pause after a refusal that passes.")

    def send(self, message: Message, to: Sequence[str] = ()) -> str:
        """Send a message; what passes (too fast, server busy) is tried a few times more.

        Args:
            message: What is sent.
            to: Instead of those that MAIL_TO names.

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
        """`send`, with what there is to know of it."""
        recipients, transport = list(to) or self.to, self.chosen
        built = message.built(self._sender, recipients)
        content = built.as_bytes()
        if len(content) > LARGEST_BYTES:
            raise PermanentError(
                f"the mail {message.subject!r} has {len(content):,} bytes, but at most {LARGEST_BYTES:,} can be sent",
                "Leave out pictures.",
            )
        through = self._through_ses if transport == SES else self._through_smtp
        delivery = Delivery(list(recipients))
        try:
            message_id = self._retrying()(delivery.attempt, lambda left: through(built, content, left))
        except KlaviyoAssetsError as error:
            if not delivery.accepted and not delivery.refused:
                raise
            delivery.give_up(error)
            message_id = str(built["Message-ID"])
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
            # Several senders that were too fast together are not so again.
            wait=wait_exponential(multiplier=self.backoff_seconds, max=15) + wait_random(0, self.backoff_seconds / 2),
            reraise=True,
        )

    @property
    def chosen(self) -> str:
        """`ses` or `smtp`.

        Raises:
            SettingsError: neither is set.
        """
        given = self.transport or optional("", "MAIL_TRANSPORT")
        if given not in {"", SES, SMTP}:
            raise SettingsError(f"MAIL_TRANSPORT = {given!r}", "Allowed: ses, smtp.")
        chosen = given or (SES if self._region else SMTP if self._smtp_url else "")
        if not chosen:
            raise SettingsError("no mail transport is set", f"Set SES_REGION or SMTP_URL in .env; {_SEE}")
        return chosen

    @property
    def to(self) -> list[str]:
        """The recipients that MAIL_TO names.

        Raises:
            SettingsError: none is set, or more than can be sent to at once.
        """
        return addresses(optional(self.recipients, "MAIL_TO"), "MAIL_TO")

    @property
    def _sender(self) -> str:
        (sender, *others) = addresses(optional(self.sender, "MAIL_FROM"), "MAIL_FROM")
        if others:
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
        self, built: EmailMessage, content: bytes, recipients: Sequence[str]
    ) -> tuple[str, Mapping[str, KlaviyoAssetsError]]:
        return mail_ses.send(self._ses, self._region or "its region", str(built["From"]), recipients, content)

    def _through_smtp(
        self, built: EmailMessage, content: bytes, recipients: Sequence[str]
    ) -> tuple[str, Mapping[str, KlaviyoAssetsError]]:
        server = SmtpServer.of(self._smtp_url)
        refused = server.send(parseaddr(str(built["From"]))[1], recipients, content)
        return str(built["Message-ID"]), refused


def addresses(given: str, setting: str) -> list[str]:
    """E-mail addresses with commas between them.

    Raises:
        SettingsError: there is none, one is none, or there are too many.
    """
    if not given.strip():
        raise SettingsError(f"{setting} is not set, so no mail can be sent", f"Set it in .env; {_SEE}")
    found = [address for _, address in getaddresses([given]) if address]
    # Mail servers take letters beyond ASCII only by an extension that most lack.
    wrong = [
        address
        for address in found
        if not re.fullmatch(r"[^@\s;]+@[^@\s;]+", address, re.ASCII) or not address.isascii()
    ]
    # Of two addresses with a semicolon between them, the second would be dropped in silence.
    # A line break would begin another header.
    is_broken = any(not character.isprintable() for character in given.strip())
    if wrong or not found or ";" in given or is_broken:
        named = ", ".join(repr(address) for address in wrong) or repr(given)
        raise SettingsError(f"{setting} contains {named}", "Allowed: e-mail addresses separated by commas.")
    if len(found) > MOST_RECIPIENTS:
        raise SettingsError(
            f"{setting} has {len(found)} addresses, but at most {MOST_RECIPIENTS} are allowed", "Use a mailing list."
        )
    return found


def is_set_up() -> bool:
    """Whether somebody has named a recipient: only then is any mail sent by itself."""
    return bool(os.environ.get("MAIL_TO", "").strip())
