"""The mail that the sandbox kept, shown to people: a list, and a page for each message.

Here: reading kept messages. Not here: keeping them (`mail`).
"""

import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.mail import read_kept

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6})Z-(\w+)-[0-9a-f]+\.eml")


@dataclass(frozen=True)
class Kept:
    """One message that was sent: time, transport, subject, recipients of the envelope, and file."""

    sent_at: datetime
    transport: str
    subject: str
    to: str
    file: Path


def kept_mail(folder: Folder, last: int) -> list[Kept]:
    """The newest messages, in order of time."""
    files = sorted(path for path in folder.data("mail").glob("*.eml") if _NAME.fullmatch(path.name))
    return [_read(path) for path in files[-last:]]


def _read(path: Path) -> Kept:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise PermanentError(f"{path} is not a kept message", "Remove it from the sandbox's folder.")
    message = read_kept(path)
    moment = datetime.strptime(match[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    return Kept(moment, match[2], str(message["Subject"] or ""), str(message["X-Envelope-To"] or ""), path)


def write_page(path: Path) -> Path:
    """Write a page that shows a kept message as a mail program would; returns the page's path."""
    page = path.with_suffix(".html")
    page.write_text(as_page(read_kept(path)), encoding="utf-8")
    page.chmod(0o600)
    return page


def as_page(message: EmailMessage) -> str:
    """The HTML of a message with its pictures embedded, or its text if it has no HTML."""
    body = message.get_body(("html",))
    if body is None:
        text = message.get_body(("plain",))
        return f"<!doctype html><meta charset=utf-8><pre>{html.escape(text.get_content() if text else '')}</pre>"
    page: str = body.get_content()
    for content_id, url in _pictures(message):
        page = page.replace(f"cid:{content_id}", url)
    return page


def _pictures(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for part in message.walk():
        if part.get_content_maintype() == "image" and part["Content-ID"]:
            base64_text = base64.b64encode(part.get_payload(decode=True)).decode()  # type: ignore[arg-type]
            yield str(part["Content-ID"]).strip("<>"), f"data:{part.get_content_type()};base64,{base64_text}"
