"""Messages as they go over the wire, both transports, and what a refusal says to do."""

import email
import email.policy
import os
import smtplib
import socket
from contextlib import contextmanager

import pytest
from aiosmtpd.controller import Controller
from botocore.stub import Stubber

from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.mail.resource import (
    ATTEMPTS,
    LARGEST_BYTES,
    MailResource,
    Message,
    Picture,
    addresses,
)
from klaviyo_assets.resources.mail.smtp import SmtpServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
MESSAGE = Message("Grüße, 50 %", "Text äöü €", '<p>HTML äöü <img src="cid:one"></p>', (Picture("one", PNG),))
SETTINGS = ("MAIL_FROM", "MAIL_TO", "MAIL_TRANSPORT", "SES_REGION", "SES_ENDPOINT_URL", "SMTP_URL", "AWS_REGION",
            "AWS_DEFAULT_REGION")  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def mail(**settings):
    given = {
        "sender": "Reports <reports@shop.example>",
        "recipients": "a@x.example, b@x.example",
        "region": "eu-west-1",
    }
    return MailResource(**{**given, "backoff_seconds": 0.01, **settings})


def parsed(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def test_a_message_has_text_and_html_and_its_pictures_by_content_id():
    content = MESSAGE.build("reports@shop.example", ["a@x.example"]).as_bytes()
    assert content.isascii()
    read = parsed(content)
    assert (read["Subject"], read["To"]) == ("Grüße, 50 %", "a@x.example")
    assert read.get_content_type() == "multipart/alternative"
    assert read.get_body(("plain",)).get_content().strip() == "Text äöü €"
    assert "HTML äöü" in read.get_body(("html",)).get_content()
    (picture,) = [part for part in read.walk() if part.get_content_type() == "image/png"]
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<one>", "inline")
    assert picture.get_content() == PNG
    assert read["Message-ID"].endswith("@shop.example>")
    assert read["Auto-Submitted"] == "auto-generated"


def test_a_message_without_html_is_plain_text():
    assert Message("s", "t").build("a@x.example", ["b@x.example"]).get_content_type() == "text/plain"


def test_a_line_break_in_a_subject_makes_no_header():
    built = Message("one\r\nBcc: victim@x.example", "t").build("a@x.example", ["b@x.example"])
    assert parsed(built.as_bytes())["Bcc"] is None


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"SES_REGION": "eu-west-1"}, "ses"),
        ({"SMTP_URL": "smtp://host:25"}, "smtp"),
        ({"SES_REGION": "eu-west-1", "SMTP_URL": "smtp://host:25"}, "ses"),
        ({"SES_REGION": "eu-west-1", "SMTP_URL": "smtp://host:25", "MAIL_TRANSPORT": "smtp"}, "smtp"),
    ],
)
def test_ses_is_used_where_its_region_is_set_else_smtp(monkeypatch, settings, chosen):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert MailResource().chosen_transport == chosen


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({"recipients": ""}, "MAIL_TO is not set"),
        ({"recipients": "a@x.example; b@x.example"}, "separated by commas"),
        ({"recipients": "nobody"}, "'nobody'"),
        ({"recipients": ",".join(f"a{n}@x.example" for n in range(51))}, "at most 50"),
        ({"sender": ""}, "MAIL_FROM is not set"),
        ({"sender": "a@x.example, b@x.example"}, "one sender"),
        ({"region": ""}, "Set SES_REGION or SMTP_URL"),
        ({"transport": "pigeon"}, "Allowed: ses, smtp"),
        ({"transport": "ses", "region": ""}, "SES_REGION is not set"),
        ({"transport": "smtp"}, "SMTP_URL is not the address"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named_with_its_fix(settings, pattern):
    with pytest.raises(SettingsError, match=pattern):
        mail(**settings).send(MESSAGE)


def test_names_may_stand_beside_addresses():
    assert addresses('"Lee, Ann" <ann@x.example>, bo@x.example', "MAIL_TO") == ["ann@x.example", "bo@x.example"]


def test_a_message_that_is_too_large_is_not_even_sent():
    large = Message("s", "t", "<p>", (Picture("one", os.urandom(LARGEST_BYTES)),))
    with pytest.raises(PermanentError, match="Leave out pictures"):
        mail().send(large)


class Ses:
    """A client whose answers are AWS's own, in order, each asked for; the pauses between attempts are short."""

    def __init__(self, *answers):
        self.resource = mail()
        self.stub = Stubber(self.resource._ses)
        for answer in answers:
            if isinstance(answer, tuple):
                self.stub.add_client_error("send_raw_email", *answer)
            else:
                self.stub.add_response("send_raw_email", {"MessageId": answer})

    def send(self, *to):
        with self.stub:
            sent = self.resource.send(MESSAGE, to)
        self.stub.assert_no_pending_responses()
        return sent


RATE = ("Throttling", "Maximum sending rate exceeded.", 400)


def test_too_fast_is_tried_again():
    assert Ses(RATE, RATE, "id-1").send() == "id-1"


def test_too_fast_for_too_long_is_an_error_that_passes():
    with pytest.raises(TransientError, match="one mail a second"):
        Ses(*[RATE] * ATTEMPTS).send()


def test_too_many_today_is_not_tried_again():
    ses = Ses(("Throttling", "Daily message quota exceeded.", 400))
    with pytest.raises(TransientError, match=r"200 mails a day\. Wait, or ask Amazon for production access"):
        ses.send()


@pytest.mark.parametrize(
    ("code", "message", "pattern"),
    [
        ("MessageRejected",
         "Email address is not verified. The following identities failed the check in region EU-WEST-1: a@x.example",
         r"EU-WEST-1: a@x.example\. Verify that address or its domain in SES's region eu-west-1; while the account is"),
        ("InvalidParameterValue", "Message length is more than 10485760 bytes long: '12000000'.", "Leave out pictures"),
        ("AccessDenied", "User is not authorized", "permission ses:SendRawEmail"),
        ("InvalidClientTokenId", "The security token is invalid", "permission ses:SendRawEmail"),
        ("AccountSendingPausedException", "Email sending is disabled.", "paused sending"),
        ("SomethingNew", "Who knows.", r"SES refused the mail \(SomethingNew\): Who knows"),
    ],
)  # fmt: skip
def test_what_ses_refuses_for_good_is_said_with_the_fix(code, message, pattern):
    with pytest.raises(PermanentError, match=pattern):
        Ses((code, message, 400)).send("a@x.example")


def test_ses_out_of_reach_is_an_error_that_passes():
    with pytest.raises(TransientError, match="Check SES_REGION and the network"):
        mail(endpoint_url="http://127.0.0.1:9").send(MESSAGE)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "user", "password"),
    [
        ("smtps://me:p%40ss@mail.example", "mail.example", 465, True, "me", "p@ss"),
        ("smtp://mail.example", "mail.example", 587, False, "", ""),
        ("smtp://me@mail.example:2525", "mail.example", 2525, False, "me", ""),
    ],
)
def test_an_smtp_address_is_read(url, host, port, is_tls, user, password):
    server = SmtpServer.of(url)
    assert (server.host, server.port, server.is_tls, server.user, server.password) == (
        host,
        port,
        is_tls,
        user,
        password,
    )
    assert not password or password not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hidden@host",
        "smtp://",
        "smtps://me:hidden@host:port",
        "hidden",
        "smtp://me:12/hidden@host",
        "smtp://me:12#hidden@host",
        "smtp://me:12?hidden@host",
        "smtp://me:hidden/@host",
    ],
)
def test_a_wrong_smtp_address_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError, match="smtps://user:password@host:465") as refused:
        SmtpServer.of(url)
    assert "hidden" not in str(refused.value)


class Handler:
    """Keeps messages, or answers what a test wants."""

    def __init__(self, *answers):
        self.answers, self.kept = list(answers), []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.kept.append(envelope)
        return "250 OK"


@contextmanager
def smtp_server(handler, **options):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(handler, hostname="127.0.0.1", port=port, **options)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()


def by_smtp(url):
    return mail(transport="smtp", smtp_url=url)


def test_smtp_delivers_to_every_recipient_what_was_built():
    handler = Handler()
    with smtp_server(handler) as at:
        message_id = by_smtp(f"smtp://{at}").send(MESSAGE)
    (envelope,) = handler.kept
    assert envelope.mail_from == "reports@shop.example"
    assert envelope.rcpt_tos == ["a@x.example", "b@x.example"]
    read = parsed(envelope.content)
    assert read["Message-ID"] == message_id
    assert read.get_body(("plain",)).get_content().strip() == "Text äöü €"


def test_an_smtp_server_that_asks_to_wait_is_tried_again():
    handler = Handler("451 Try again later")
    with smtp_server(handler) as at:
        by_smtp(f"smtp://{at}").send(MESSAGE)
    assert len(handler.kept) == 1


@pytest.mark.parametrize(
    ("answer", "pattern"), [("552 Too much mail data", "Leave out pictures"), ("550 Not from you", "Check MAIL_FROM")]
)
def test_what_an_smtp_server_refuses_for_good_is_said_with_the_fix(answer, pattern):
    with smtp_server(Handler(answer)) as at, pytest.raises(PermanentError, match=pattern):
        by_smtp(f"smtp://{at}").send(MESSAGE)


def test_a_password_is_never_sent_in_the_clear_nor_named():
    with smtp_server(Handler()) as at, pytest.raises(PermanentError, match="does not offer STARTTLS") as refused:
        by_smtp(f"smtp://me:tops3cret@{at}").send(MESSAGE)
    assert "tops3cret" not in str(refused.value)


def test_a_refused_login_names_neither_user_nor_password(monkeypatch):
    def refuse(*_):
        raise smtplib.SMTPAuthenticationError(535, b"5.7.8 me/tops3cret is wrong")

    monkeypatch.setattr(smtplib.SMTP, "login", refuse)
    monkeypatch.setattr(smtplib.SMTP, "has_extn", lambda *_: True)
    monkeypatch.setattr(smtplib.SMTP, "starttls", lambda *_, **__: None)
    with smtp_server(Handler()) as at, pytest.raises(PermanentError, match="refused the login") as refused:
        by_smtp(f"smtp://me:tops3cret@{at}").send(MESSAGE)
    assert "tops3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_smtp_server_out_of_reach_is_an_error_that_passes():
    with pytest.raises(TransientError, match="Check SMTP_URL and the network"):
        by_smtp("smtp://127.0.0.1:9").send(MESSAGE)


def test_tls_where_there_is_none_says_which_address_to_write():
    with smtp_server(Handler()) as at, pytest.raises(PermanentError, match="smtps:// for port 465"):
        by_smtp(f"smtps://{at}").send(MESSAGE)
