"""The sandbox's mail: an SMTP server and SES. Both keep every message as an .eml file and send none.

Here: the process, and the messages it keeps. Not here: how the supervisor starts it (`stand_ins`), the limits
of SES (`ses_limits`), and showing kept mail (`kept_mail`).
"""

import argparse
import email
import json
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any
from uuid import uuid4

from klaviyo_assets.sandbox.moto_server import (
    TOKEN_VARIABLE,
    WsgiApplication,
    moto_application,
    serve,
    with_health,
)
from klaviyo_assets.sandbox.ports import LOCALHOST
from klaviyo_assets.sandbox.ses_limits import Limits, set_limits

LARGEST_MESSAGE = 40 * 1024 * 1024


class MailFolder:
    """A folder of sent messages: `<UTC time>-<how>-<id>.eml`, envelope in `X-Envelope-` headers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, how: str, message: bytes, sender: str, recipients: list[str]) -> Path:
        """Write one message atomically."""
        headers = EmailMessage(policy=SMTP_POLICY)
        headers["X-Envelope-From"], headers["X-Envelope-To"] = _one_line(sender), _one_line(", ".join(recipients))
        content = headers.as_bytes().rstrip() + b"\r\n" + message.lstrip()
        path = self._folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{how}-{uuid4().hex[:8]}.eml"
        new = path.with_suffix(".new")
        new.write_bytes(content)
        return new.replace(path)


class SmtpHandler:
    """The handler that aiosmtpd calls for every message."""

    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message."""
        content = envelope.original_content or envelope.content
        self._folder.keep("smtp", content, envelope.mail_from or "", list(envelope.rcpt_tos))
        return "250 Message kept"


class SesOutbox:
    """Moves mail that moto's SES accepted into the folder."""

    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder
        self._collecting = threading.Lock()

    def watch(self, application: WsgiApplication) -> WsgiApplication:
        """Wrap the application, so that accepted mail is kept before the answer goes out."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            response = list(application(environ, start_response))
            self.collect()
            return response

        return answer

    def collect(self) -> None:
        """Keep the mail that was accepted since the last call."""
        from moto.ses.models import ses_backends

        with self._collecting:
            for regions in list(ses_backends.values()):
                for backend in list(regions.values()):
                    while backend.sent_messages:
                        self._keep(backend.sent_messages[0])
                        backend.sent_messages.pop(0)

    def _keep(self, message: Any) -> None:
        recipients = _recipients(message.destinations)
        if hasattr(message, "raw_data"):
            self._folder.keep("ses", message.raw_data.encode(), message.source or "", recipients)
            return
        composed = EmailMessage(policy=SMTP_POLICY)
        composed["From"], composed["Subject"] = _one_line(message.source), _one_line(_subject(message))
        for header, key in (("To", "ToAddresses"), ("Cc", "CcAddresses")):
            if isinstance(message.destinations, dict) and message.destinations.get(key):
                composed[header] = _one_line(", ".join(message.destinations[key]))
        body = getattr(message, "body", None) or json.dumps(vars(message), default=str)
        composed.set_content(body, subtype="html" if body.lstrip().startswith("<") else "plain")
        self._folder.keep("ses", composed.as_bytes(), message.source, recipients)


def verify_sender(address: str, region: str) -> None:
    """Let SES accept mail from this address, as a verified identity would be in AWS."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.ses.models import ses_backends

    ses_backends[DEFAULT_ACCOUNT_ID][region].verify_email_identity(address)


def read_kept(path: Path) -> EmailMessage:
    """A kept message."""
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def _recipients(destinations: Any) -> list[str]:
    if isinstance(destinations, dict):
        return [address for addresses in destinations.values() for address in addresses]
    # moto adds the recipients in the headers to those of the envelope.
    return list(dict.fromkeys(str(address) for address in destinations or []))


def _subject(message: Any) -> str:
    return getattr(message, "subject", None) or f"template {getattr(message, 'template', '')}"


def _one_line(value: str) -> str:
    """A header value in one line: a line break would end the header."""
    return " ".join(value.split())


def main() -> None:
    """Serve SMTP and SES until the process is ended."""
    from aiosmtpd.controller import Controller

    parser = argparse.ArgumentParser(description="Mail for the sandbox: SMTP and SES that keep and never send.")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--ses-port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sender", required=True)
    parser.add_argument("--region", required=True)
    options = parser.parse_args()
    folder = MailFolder(options.folder)
    outbox = SesOutbox(folder)
    verify_sender(options.sender, options.region)
    set_limits(Limits())
    smtp = Controller(SmtpHandler(folder), hostname=LOCALHOST, port=options.smtp_port, data_size_limit=LARGEST_MESSAGE)
    smtp.start()
    serve(with_health(outbox.watch(moto_application()), os.environ[TOKEN_VARIABLE]), options.ses_port)


if __name__ == "__main__":
    main()
