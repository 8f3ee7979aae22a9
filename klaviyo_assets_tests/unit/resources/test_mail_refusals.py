"""A mail reaches every recipient, or it is said who was refused and why; codes decide whether it is tried again."""

import socket
import time

import pytest

from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.resources.mail import smtp as mail_smtp
from klaviyo_assets.resources.mail.resource import MailResource, Message, PartlySentError, addresses
from klaviyo_assets.resources.mail.smtp import SmtpServer
from klaviyo_assets.transport.time_limits import SMTP_ANSWER
from klaviyo_assets_tests.unit.resources.mail.test_resource import SETTINGS, Ses, mail
from klaviyo_assets_tests.unit.resources.scripted_smtp import LOGIN, ScriptedSmtp

MESSAGE = Message("Subject", "Text")
A, B = "a@x.example", "b@x.example"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def send(server, **settings):
    return mail(transport="smtp", smtp_url=server.url, **settings).send(MESSAGE)


def test_one_refused_recipient_is_named_and_the_other_has_the_mail_once():
    with ScriptedSmtp({"rcpt to:<b": ["550 5.1.1 no such user"]}) as server:
        with pytest.raises(PartlySentError) as caught:
            send(server)
    text = str(caught.value)
    assert f"sent to {A}, and refused for {B}" in text
    assert "(550): 5.1.1 no such user" in text
    assert [kept.recipients for kept in server.kept] == [[A]]


def test_who_is_to_wait_gets_it_later_and_nobody_gets_it_twice():
    with ScriptedSmtp({"rcpt to:<b": ["451 greylisted", "421 too many", "250 fine"]}) as server:
        send(server)
    assert [kept.recipients for kept in server.kept] == [[A], [B]]


def test_who_is_to_wait_for_too_long_is_named():
    with ScriptedSmtp({"rcpt to:<b": ["450 mailbox busy"]}) as server:
        with pytest.raises(PartlySentError, match=rf"{B}: .*later \(450\)"):
            send(server)
    assert [kept.recipients for kept in server.kept] == [[A]]


def test_all_refused_is_a_permanent_error_that_names_all():
    with ScriptedSmtp({"rcpt": ["550 no"]}) as server, pytest.raises(PermanentError) as caught:
        send(server)
    assert not isinstance(caught.value, PartlySentError)
    assert A in str(caught.value)
    assert B in str(caught.value)
    assert server.sessions == 1


def test_a_server_that_hangs_up_between_recipients_is_asked_again_for_all():
    with ScriptedSmtp({"rcpt to:<b": ["421 closing", "250 fine"]}) as server:
        send(server)
    assert [kept.recipients for kept in server.kept] == [[A, B]]


def test_a_rude_farewell_takes_no_mail_back():
    with ScriptedSmtp({"quit": ["421 whatever"]}) as server:
        send(server)
    assert len(server.kept) == 1


@pytest.mark.parametrize(
    ("answers", "kind", "pattern"),
    [
        ({"mail": ["550 not you"]}, PermanentError, r"\(550\): not you"),
        ({"mail": ["451 later"]}, TransientError, r"later \(451\)"),
        ({"data": ["554 no valid recipients"]}, PermanentError, r"\(554\)"),
        ({"message": ["552 too large"]}, PermanentError, "Leave out pictures"),
        ({"message": ["452 no space"]}, TransientError, r"later \(452\)"),
        ({"ehlo": [LOGIN], "auth": ["535 5.7.8 hidden"]}, PermanentError, "does not offer STARTTLS"),
    ],
)
def test_a_code_decides_whether_it_is_tried_again(answers, kind, pattern):
    url = "smtp://me:hidden@127.0.0.1:{}" if "auth" in answers else "smtp://127.0.0.1:{}"
    with ScriptedSmtp(answers) as server, pytest.raises(kind, match=pattern) as caught:
        mail(transport="smtp", smtp_url=url.format(server.port)).send(MESSAGE)
    assert server.sessions == (1 if kind is PermanentError else 4)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(("greeting", "kind"), [("554 go away", PermanentError), ("421 busy", TransientError)])
def test_the_greeting_decides_too(greeting, kind):
    with ScriptedSmtp(greeting=greeting) as server, pytest.raises(kind, match=greeting[4:]):
        send(server)


@pytest.mark.parametrize(("code", "kind"), [(454, TransientError), (535, PermanentError), (534, PermanentError)])
def test_a_login_that_cannot_be_checked_now_is_tried_again(code, kind):
    server = SmtpServer.of("smtps://me:hidden@h")
    problem = server._login_refused(code)
    assert isinstance(problem, kind)
    assert str(code) in str(problem)


def test_a_silent_server_is_given_up(monkeypatch):
    monkeypatch.setattr(mail_smtp, "SMTP_ANSWER", _limit(0.3))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransientError, match="cannot be reached"):
            mail(transport="smtp", smtp_url=url).send(MESSAGE)


def test_a_server_that_drips_is_given_up_though_it_never_is_silent(monkeypatch):
    """Each byte comes in time; the answer never ends."""
    monkeypatch.setattr(mail_smtp, "SMTP_SESSION", _limit(0.5))

    def drip(client):
        while True:
            client.sendall(b"2")
            time.sleep(0.1)

    with ScriptedSmtp(drip=drip) as server, pytest.raises(TransientError, match=r"took longer than 0.5 s"):
        send(server)


def test_an_unknown_host_is_named():
    with pytest.raises(TransientError, match=r"'nowhere.invalid' is unknown. Check the host in SMTP_URL"):
        mail(transport="smtp", smtp_url="smtp://nowhere.invalid").send(MESSAGE)


def test_an_address_that_mail_servers_cannot_take_is_refused_by_name():
    with pytest.raises(SettingsError, match=r"'jürgen@x\.example'"):
        addresses("jürgen@x.example", "MAIL_TO")


@pytest.mark.parametrize("injected", ["a@x.example\r\nBcc: v@x.example", "a@x.example\nRCPT TO:<v@x.example>"])
def test_a_line_break_in_an_address_reaches_no_server(injected):
    with ScriptedSmtp() as server, pytest.raises(SettingsError):
        mail(transport="smtp", smtp_url=server.url, recipients=injected).send(MESSAGE)
    assert server.sessions == 0


def _limit(seconds):
    return type(SMTP_ANSWER)("SMTP", "shortened for this test", seconds, "")


UNVERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-1: b@x.example"


def test_ses_refuses_all_for_one_and_the_others_get_it_alone():
    with pytest.raises(PartlySentError, match=rf"sent to {A}, and refused for {B}: .*not verified") as caught:
        Ses(("MessageRejected", UNVERIFIED, 400), "id-a", ("MessageRejected", UNVERIFIED, 400)).send()
    assert "production access" not in str(caught.value)


def test_ses_refuses_the_sender_for_all():
    refused = ("MessageRejected", UNVERIFIED.replace("b@x", "reports@shop"), 400)
    with pytest.raises(PermanentError, match="every recipient was refused") as caught:
        Ses(refused, refused, refused).send()
    assert not isinstance(caught.value, PartlySentError)


@pytest.mark.parametrize(
    ("code", "text", "status", "kind", "pattern"),
    [
        ("ExpiredToken", "The security token included in the request is expired", 403, PermanentError, "have expired"),
        ("RequestExpired", "Request has expired", 400, PermanentError, "clock is wrong"),
        ("SignatureDoesNotMatch", "Signature expired: 2020 is now earlier than 2026", 403, PermanentError, "clock"),
        ("SignatureDoesNotMatch", "The request signature we calculated", 403, PermanentError, "ses:SendRawEmail"),
        ("AccessDenied", "User is not authorized", 403, PermanentError, "ses:SendRawEmail"),
        ("Throttling", "Daily message quota exceeded.", 400, TransientError, "200 mails a day"),
        ("500", "", 500, TransientError, "busy"),
        ("429", "", 429, TransientError, "one mail a second"),
    ],
)
def test_a_code_of_ses_decides(code, text, status, kind, pattern):
    attempts = 4 if kind is TransientError and "quota" not in text else 1
    with pytest.raises(kind, match=pattern):
        Ses(*[(code, text, status)] * attempts).send()


def test_a_partial_failure_of_news_is_told_once():
    """Who has the mail would otherwise get it at every tick."""
    from klaviyo_assets.defs.automation.mail import Tick
    from klaviyo_assets.publishing.mail.incidents import Incidents

    told, warnings = [], []

    class Partly(MailResource):
        def send(self, message, to=()):
            told.append(message)
            raise PartlySentError(f"the mail was sent to {A}, and refused for {B}")

    class Log:
        warning = warnings.append

    incidents = Incidents()
    incidents.record_stale({"acme": ("data are stale at extracted", "since yesterday")}, time.time())
    tick = Tick(None, incidents)
    assert "not to everybody" in tick.tell(Partly(sender="s@x.example"), Log(), time.time())
    tick.tell(Partly(sender="s@x.example"), Log(), time.time())
    assert len(told) == 1
    assert len(warnings) == 1
