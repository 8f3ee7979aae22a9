"""Sending mail: through Amazon SES, or through any SMTP server.

Here: settings, building a message, both transports, and what their refusals mean. Not here: what is said in a mail and
when (`mail/`).
"""

import os
import re
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, getaddresses, make_msgid, parseaddr
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import Field

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.environment import optional
from klaviyo_assets.resources.limited_http import HttpLimits, limit_aws_client, network_problem
from klaviyo_assets.time_limits import SES_CONNECT, SES_EXCHANGE, SES_SILENCE

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

SES, SMTP = "ses", "smtp"
# SES takes no more, measured as it is sent; pictures grow by a third on the way.
LARGEST_BYTES = 10 * 1024 * 1024
# SES takes no more of them at once.
MOST_RECIPIENTS = 50
ATTEMPTS = 4
_TIMEOUT_SECONDS = 20
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


class MailResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where mail goes, from whom, and how: SES where `SES_REGION` is set, else SMTP where `SMTP_URL` is."""

    sender: str = Field(default="", description="Sender (MAIL_FROM).")
    recipients: str = Field(default="", description="Recipients, with commas between them (MAIL_TO).")
    region: str = Field(default="", description="Region of Amazon SES (SES_REGION).")
    endpoint_url: str = Field(default="", description="Address of SES where it is not Amazon's (SES_ENDPOINT_URL).")
    smtp_url: str = Field(default="", description="smtps://user:password@host:465 or smtp://host:587 (SMTP_URL).")
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
            PermanentError: the mail was refused; the message says what has to change.
            TransientError: nobody answered, or there were too many mails today.
        """
        return self.deliver(message, to).message_id

    def deliver(self, message: Message, to: Sequence[str] = ()) -> Sent:
        """`send`, with what there is to know of it."""
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

        recipients, transport = list(to) or self.to, self.chosen
        built = message.built(self._sender, recipients)
        content = built.as_bytes()
        if len(content) > LARGEST_BYTES:
            raise PermanentError(
                f"the mail {message.subject!r} has {len(content):,} bytes; at most {LARGEST_BYTES:,} can be sent. "
                "Leave pictures out."
            )
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, TransientError) and not _is_over(error)),
            stop=stop_after_attempt(ATTEMPTS),
            # Several senders that were too fast together are not so again.
            wait=wait_exponential(multiplier=self.backoff_seconds, max=15) + wait_random(0, self.backoff_seconds / 2),
            reraise=True,
        )
        through = self._through_ses if transport == SES else self._through_smtp
        return Sent(retrying(through, built, content, recipients), transport, len(recipients))

    @property
    def chosen(self) -> str:
        """`ses` or `smtp`.

        Raises:
            SettingsError: neither is set.
        """
        given = self.transport or optional("", "MAIL_TRANSPORT")
        if given not in {"", SES, SMTP}:
            raise SettingsError(f"the transport {given!r} is none; allowed: ses, smtp. Mend MAIL_TRANSPORT.")
        chosen = given or (SES if self._region else SMTP if self._smtp_url else "")
        if not chosen:
            raise SettingsError(f"no transport for mail is set. Set SES_REGION, or SMTP_URL, in .env; {_SEE}")
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
            raise SettingsError("MAIL_FROM holds several addresses; a mail has one sender. Name one.")
        return sender

    @property
    def _region(self) -> str:
        return optional(self.region, "SES_REGION")

    @property
    def _smtp_url(self) -> str:
        return optional(self.smtp_url, "SMTP_URL")

    @cached_property
    def _ses(self) -> "SESClient":
        import boto3
        from botocore.config import Config

        region = self._region or optional("", "AWS_REGION") or optional("", "AWS_DEFAULT_REGION")
        if not region:
            raise SettingsError(f"SES_REGION is not set. Set the region that the sender is verified in; {_SEE}")
        client = boto3.client(
            "ses",
            region_name=region,
            endpoint_url=optional(self.endpoint_url, "SES_ENDPOINT_URL") or None,
            # Retries are ours: they know what passes.
            config=Config(retries={"total_max_attempts": 1}),
        )
        limit_aws_client(client, HttpLimits(SES_CONNECT.seconds, SES_SILENCE.seconds, SES_EXCHANGE.seconds))
        return client

    def _through_ses(self, built: EmailMessage, content: bytes, recipients: list[str]) -> str:
        with _ses_explained(self._region or "its region"):
            answer = self._ses.send_raw_email(
                Source=built["From"], Destinations=recipients, RawMessage={"Data": content}
            )
        return str(answer["MessageId"])

    def _through_smtp(self, built: EmailMessage, content: bytes, recipients: list[str]) -> str:
        server = SmtpServer.of(self._smtp_url)
        with _smtp_explained(server), server.session() as session:
            session.sendmail(parseaddr(built["From"])[1], recipients, content)
        return str(built["Message-ID"])


def addresses(given: str, setting: str) -> list[str]:
    """E-mail addresses with commas between them.

    Raises:
        SettingsError: there is none, one is none, or there are too many.
    """
    if not given.strip():
        raise SettingsError(f"no {setting} is set, so no mail can be sent. Set {setting} in .env; {_SEE}")
    found = [address for _, address in getaddresses([given]) if address]
    wrong = [address for address in found if not re.fullmatch(r"[^@\s;]+@[^@\s;]+", address)]
    # Of two addresses with a semicolon between them, the second would be dropped in silence.
    if wrong or not found or ";" in given:
        named = ", ".join(repr(address) for address in wrong) or repr(given)
        raise SettingsError(f"{setting} holds {named}; allowed: e-mail addresses with commas between them.")
    if len(found) > MOST_RECIPIENTS:
        raise SettingsError(f"{setting} holds {len(found)} addresses; at most {MOST_RECIPIENTS}. Use a mailing list.")
    return found


@dataclass(frozen=True)
class SmtpServer:
    """An SMTP server as `SMTP_URL` names it; its password appears in nothing that is printed."""

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> "SmtpServer":
        """Read an address such as smtps://user:password@host:465.

        Raises:
            SettingsError: it is none; nothing of it is repeated, for it may hold a password.
        """
        allowed = "smtps://user:password@host:465, or smtp://user:password@host:587 with STARTTLS"
        try:
            parts = urlsplit(url)
            port = parts.port or (465 if parts.scheme == "smtps" else 587)
        except ValueError:
            raise SettingsError(f"SMTP_URL is no address of an SMTP server; write {allowed}.") from None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise SettingsError(f"SMTP_URL is no address of an SMTP server; write {allowed}.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, parts.scheme == "smtps", user, password)

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted wherever the server can, and logged in where a user is named."""
        secure = ssl.create_default_context()
        if self.is_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=secure)
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        with session:
            session.ehlo()
            if not self.is_tls and session.has_extn("starttls"):
                session.starttls(context=secure)
            elif self.user and not self.is_tls:
                raise PermanentError(
                    f"the SMTP server {self.host}:{self.port} offers no STARTTLS, so the password is not sent to it. "
                    "Write smtps:// in SMTP_URL, or the port that has STARTTLS (587)."
                )
            if self.user:
                session.login(self.user, self.password)
            yield session


class _DailyQuotaError(TransientError):
    """No more mails today: trying again at once is of no use."""


def _is_over(error: BaseException) -> bool:
    return isinstance(error, _DailyQuotaError)


@contextmanager
def _ses_explained(region: str) -> Iterator[None]:
    """SES's errors as ours, with what to do."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        raise _of_ses(str(told.get("Code", "")), str(told.get("Message", "")), region) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SettingsError(
            "SES: no AWS credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or give the machine "
            "a role that may ses:SendRawEmail."
        ) from error
    except BotoCoreError as error:
        problem = network_problem(error)
        kind = PermanentError if problem.is_permanent else TransientError
        raise kind(f"SES in {region} cannot be reached: {problem.words}. Check SES_REGION and the network.") from error


def _of_ses(code: str, said: str, region: str) -> KlaviyoAssetsError:
    said = " ".join(said.split()).rstrip(".")
    if "quota exceeded" in said.lower():
        return _DailyQuotaError(
            f"SES: {said}. In SES's sandbox that is 200 mails a day; wait, or ask Amazon for production access "
            "(docs/mail.md)."
        )
    if code in {"Throttling", "ThrottlingException", "TooManyRequestsException"}:
        return TransientError(
            f"SES: {said}. In SES's sandbox that is one mail a second; it was tried {ATTEMPTS} times."
        )
    if code in {"ServiceUnavailable", "InternalFailure", "RequestTimeout", "ServiceUnavailableException"}:
        return TransientError(f"SES in {region} is busy: {said}. Try again later.")
    if "not verified" in said or "authority to send" in said or code == "MailFromDomainNotVerifiedException":
        return PermanentError(
            f"SES refused the mail: {said.replace('. ', '; ')}. Verify that address or its domain in SES's region "
            f"{region}; while the account is in SES's sandbox, the addresses in MAIL_TO as well (docs/mail.md)."
        )
    if "length is more than" in said or "too long" in said.lower():
        return PermanentError(f"SES refused the mail: {said}. Leave pictures out, or ask Amazon for a larger limit.")
    if code in {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch"}:
        return PermanentError(f"SES refused the credentials ({code}). They need the permission ses:SendRawEmail.")
    if code in {"AccountSendingPausedException", "ConfigurationSetSendingPausedException"}:
        return PermanentError("SES has paused sending for this account. See the reason in SES's console, Reputation.")
    return PermanentError(f"SES refused the mail ({code}): {said}. See docs/mail.md.")


@contextmanager
def _smtp_explained(server: SmtpServer) -> Iterator[None]:
    """SMTP's errors as ours; what the server says of a login is not repeated."""
    at = f"the SMTP server {server.host}:{server.port}"
    try:
        yield
    except smtplib.SMTPAuthenticationError:
        raise PermanentError(
            f"{at} refused the login. Check user and password in SMTP_URL, with special characters as %XX."
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _of_smtp(at, code, said, "every address of MAIL_TO was refused") from error
    except smtplib.SMTPResponseException as error:
        raise _of_smtp(at, error.smtp_code, error.smtp_error, "the mail was refused") from error
    except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
        raise PermanentError(
            f"{at} does not speak as SMTP_URL says: {error}. Write smtps:// for port 465, smtp:// for port 587."
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"{at} cannot be reached: {error}. Check SMTP_URL and the network.") from error


def _of_smtp(at: str, code: int, said: Any, what: str) -> KlaviyoAssetsError:
    text = " ".join((said.decode(errors="replace") if isinstance(said, bytes) else str(said)).split()).rstrip(".")
    if 400 <= code < 500:
        return TransientError(f"{at} asks to try again later ({code}): {text}.")
    mend = "Leave pictures out." if code == 552 else "Check MAIL_FROM and MAIL_TO with whoever runs that server."
    return PermanentError(f"{at}: {what} ({code}): {text}. {mend}")


def is_set_up() -> bool:
    """Whether somebody has named a recipient: only then is any mail sent by itself."""
    return bool(os.environ.get("MAIL_TO", "").strip())
