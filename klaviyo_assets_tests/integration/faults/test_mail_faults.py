"""Faults between here and the server of mail, SMTP and SES: each ends within its limit."""

import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.resources.mail import ses as mail_ses
from klaviyo_assets.resources.mail import smtp as mail_smtp
from klaviyo_assets.resources.mail.resource import MailResource, Message, Picture
from klaviyo_assets.transport.time_limits import SMTP_ANSWER
from klaviyo_assets_tests.faults.certificates import self_signed
from klaviyo_assets_tests.faults.connection_faults import UNRESOLVABLE, ConnectionProxy, Fault
from klaviyo_assets_tests.faults.http_faults import HttpProxy
from klaviyo_assets_tests.faults.matrix import Cell, measured
from klaviyo_assets_tests.unit.resources.mail.test_resource import SETTINGS
from klaviyo_assets_tests.unit.resources.scripted_smtp import ScriptedSmtp

MESSAGE = Message("Subject", "Text", "<p>Text</p>", (Picture("one", os.urandom(300_000)),))
SMALL = Message("Subject", "Text")
TO = "you@x.example"


class Mailbox:
    """What aiosmtpd calls for every message."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.messages.append(envelope.content)
        return "250 OK"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(mail_smtp, "SMTP_ANSWER", limit(1))
    monkeypatch.setattr(mail_smtp, "SMTP_MESSAGE", limit(1))
    for name, seconds in (("SES_CONNECT", 1), ("SES_SILENCE", 1), ("SES_EXCHANGE", 2)):
        monkeypatch.setattr(mail_ses, name, limit(seconds))


@pytest.fixture
def mailbox():
    return Mailbox()


@contextmanager
def smtp(mailbox: Mailbox, **options) -> Iterator[int]:
    """A real SMTP server; its port."""
    with suppress(OSError):
        server = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
        server.start()
    try:
        yield server.port
    finally:
        server.stop()


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def proxy(mailbox):
    with smtp(mailbox) as port, ConnectionProxy("127.0.0.1", port) as connection_proxy:
        yield connection_proxy


def limit(seconds):
    return type(SMTP_ANSWER)("mail", "shortened for this test", seconds, "")


def by_smtp(url: str) -> MailResource:
    return MailResource(
        sender="reports@shop.example", recipients=TO, smtp_url=url, transport="smtp", backoff_seconds=0.05
    )


def by_ses(url: str) -> MailResource:
    return MailResource(
        sender="reports@shop.example", recipients=TO, region="eu-west-1", endpoint_url=url, backoff_seconds=0.05
    )


def send(port: int, message: Message = SMALL) -> None:
    by_smtp(f"smtp://127.0.0.1:{port}").send(message)


def expect(cell: Cell, outcome: str, *phrases: str) -> None:
    """What came of a fault, and what was said of it."""
    assert cell.outcome == outcome, cell
    for words in phrases:
        assert words in cell.message


@pytest.mark.parametrize(("fault", "name", "message"), [
    (Fault("silence"), "silent on connect", SMALL), (Fault("silence", after=100), "silent mid-answer", SMALL),
    (Fault("reset", after=100), "reset mid-body", SMALL),
])  # fmt: skip
def test_a_connection_that_breaks_off(proxy, mailbox, fault, name, message):
    proxy.fault = fault
    with measured("mail", name, 6) as cell:
        send(proxy.port, message)
    expect(cell, "transient", "cannot be reached")
    assert mailbox.messages == []


def test_a_slow_network_is_given_up_when_the_limit_is_reached(proxy, mailbox):
    proxy.fault = Fault("slow")
    with measured("mail", "10 kB/s", 12) as cell:
        send(proxy.port, SMALL)
    expect(cell, "done")
    with pytest.raises(TransientError):
        send(proxy.port, Message("Subject", "Text", "<p>", (Picture("one", os.urandom(4_000_000)),)))
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize(("answers", "name", "outcome", "phrase"), [
    ({"mail": ["450 4.7.1 too many messages"]}, "429", "transient", "(450)"),
    ({"message": ["554 5.3.0 transaction failed"]}, "500", "permanent", "(554)"),
    ({"mail": ["421 busy", "451 busy", "421 busy", "250 fine"]}, "503 bursts", "done", ""),
    ({"rcpt": ["550 5.7.1 relaying denied"]}, "403 with a reason", "permanent", "5.7.1 relaying denied"),
])  # fmt: skip
def test_a_server_that_refuses(answers, name, outcome, phrase):
    with ScriptedSmtp(answers) as server:
        with measured("mail", name, 6) as cell:
            send(server.port)
        expect(cell, outcome, phrase)
        assert len(server.kept) == (1 if outcome == "done" else 0)


def test_a_login_that_has_expired(mailbox, tmp_path, monkeypatch):
    """STARTTLS and a login, as a server on port 587 has them."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    refuse = lambda *_: AuthResult(success=False, handled=False, message="535 5.7.8 expired: hidden")  # noqa: E731
    with smtp(mailbox, tls_context=certificate.server_context, authenticator=refuse) as port:
        with measured("mail", "expired credentials", 5) as cell:
            by_smtp(f"smtp://me:hidden@127.0.0.1:{port}").send(SMALL)
    expect(cell, "permanent", "refused the login (535)", "expired")
    assert "hidden" not in cell.message


def test_a_login_that_is_right(mailbox, tmp_path, monkeypatch):
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    accept = lambda *_: AuthResult(success=True)  # noqa: E731
    with smtp(mailbox, tls_context=certificate.server_context, authenticator=accept) as port:
        by_smtp(f"smtp://me:p%40ss@127.0.0.1:{port}").send(SMALL)
    with smtp(mailbox) as plain, ConnectionProxy("127.0.0.1", plain, tls=certificate.server_context) as tls:
        by_smtp(f"smtps://127.0.0.1:{tls.port}").send(SMALL)
    assert len(mailbox.messages) == 2


def test_a_host_name_that_nobody_knows():
    with measured("mail", "DNS failure", 10) as cell:
        by_smtp(f"smtp://{UNRESOLVABLE}").send(SMALL)
    expect(cell, "transient", "'nowhere.invalid' is unknown")


def test_tls_where_there_is_none(proxy):
    with measured("mail", "TLS mismatch", 5) as cell:
        by_smtp(f"smtps://127.0.0.1:{proxy.port}").send(SMALL)
    expect(cell, "permanent", "smtps:// for port 465")


def test_a_certificate_that_is_not_trusted(mailbox, tmp_path):
    with smtp(mailbox, tls_context=self_signed(tmp_path).server_context) as port:
        with pytest.raises(PermanentError, match="not trusted: self-signed"):
            send(port)


def test_a_clock_that_is_behind(mailbox, tmp_path, monkeypatch):
    """A certificate that is right and not valid yet."""
    certificate = self_signed(tmp_path, begins_in=dt.timedelta(days=1))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with smtp(mailbox, tls_context=certificate.server_context) as port:
        with measured("mail", "clock skew", 5) as cell:
            send(port)
    expect(cell, "permanent", "not yet valid", "clock")


SES_REFUSALS = [
    (400, "Throttling", "Maximum sending rate exceeded.", TransientError, "one mail a second"),
    (500, "InternalFailure", "", TransientError, "busy"),
    (503, "ServiceUnavailable", "", TransientError, "busy"),
    (403, "AccessDenied", "User is not authorized", PermanentError, "ses:SendRawEmail"),
    (403, "ExpiredToken", "The security token is expired", PermanentError, "have expired"),
    (403, "SignatureDoesNotMatch", "Signature expired: 2020 is earlier than 2026", PermanentError, "clock is wrong"),
    (400, "MessageRejected", "Email address is not verified.", PermanentError, "Verify that address"),
]


def refusal(code: str, text: str) -> str:
    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
    )


@pytest.mark.parametrize(("status", "code", "text", "kind", "pattern"), SES_REFUSALS)
def test_ses_refuses(status, code, text, kind, pattern):
    with HttpProxy("http://127.0.0.1:9") as ses:
        ses.answer("POST", ".", status, refusal(code, text), headers={"Content-Type": "text/xml"})
        with pytest.raises(kind, match=pattern):
            by_ses(ses.url).send(SMALL)


def test_ses_is_busy_and_then_is_not():
    result = "<SendRawEmailResult><MessageId>id-1</MessageId></SendRawEmailResult>"
    done = f"<SendRawEmailResponse>{result}</SendRawEmailResponse>"
    with HttpProxy("http://127.0.0.1:9") as ses:
        ses.answer("POST", ".", 200, done, headers={"Content-Type": "text/xml"})
        ses.answer("POST", ".", 503, times=3)
        assert by_ses(ses.url).send(SMALL) == "id-1"


@pytest.mark.parametrize("kind", ["silence", "lose"])
def test_ses_never_answers(kind):
    with HttpProxy("http://127.0.0.1:9") as ses:
        getattr(ses, kind)("POST", ".", times=None)
        began = time.monotonic()
        with pytest.raises(TransientError, match="Check SES_REGION and the network"):
            by_ses(ses.url).send(SMALL)
        assert time.monotonic() - began < 15


def test_a_region_of_ses_that_is_not_there():
    with pytest.raises(TransientError, match="SES_REGION"):
        by_ses(f"http://{UNRESOLVABLE}").send(SMALL)
