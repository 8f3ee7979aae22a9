"""`klaviyo-assets email-test`: what is sent, what is said, and how errors look."""

import pytest

from klaviyo_assets.cli.email_test import email_test
from klaviyo_assets.resources.mail.resource import MailResource
from klaviyo_assets_tests.unit.resources.mail.test_resource import SETTINGS
from klaviyo_assets_tests.unit.resources.scripted_smtp import ScriptedSmtp


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAIL_FROM", "reports@shop.example")
    monkeypatch.setenv("MAIL_TO", "a@x.example, b@x.example")
    monkeypatch.setenv("SES_REGION", "eu-west-1")


@pytest.fixture
def sent(monkeypatch):
    """Every message that would go out, with its recipients."""
    messages = []

    def through(self, built, content, recipients):
        messages.append((str(built["Subject"]), built.get_content().strip(), recipients))
        return "id-1", {}

    monkeypatch.setattr(MailResource, "_through_ses", through)
    monkeypatch.setattr(MailResource, "_through_smtp", through)
    return messages


def test_it_says_by_which_transport_and_under_which_id(call, sent):
    result = call(email_test, "--to", "you@x.example", "--subject", "Grüße", "--body", "Hallo [you]")
    assert result.exit_code == 0
    assert result.stdout == "Sent by SES to you@x.example; message id id-1\n"
    assert sent == [("Grüße", "Hallo [you]", ["you@x.example"])]


def test_without_recipients_it_goes_to_those_of_the_settings(call, sent):
    assert call(email_test).exit_code == 0
    assert sent[0][2] == ["a@x.example", "b@x.example"]


def test_the_transport_may_be_chosen(call, sent):
    assert "Sent by SMTP" in call(email_test, "--transport", "smtp").stdout


@pytest.mark.parametrize(
    ("missing", "line"),
    [("MAIL_TO", "MAIL_TO is not set"), ("MAIL_FROM", "MAIL_FROM is not set"), ("SES_REGION", "no mail transport")],
)
def test_a_missing_setting_is_two_lines_and_wrong_usage(call, monkeypatch, missing, line):
    monkeypatch.delenv(missing)
    result = call(email_test)
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"error: {line}")
    assert "in .env" in second
    assert "docs/mail.md" in second


def test_a_transport_that_is_none_is_wrong_usage(call):
    assert call(email_test, "--transport", "pigeon").exit_code == 2


def test_who_was_refused_is_named_and_the_exit_code_is_1(call, monkeypatch):
    monkeypatch.delenv("SES_REGION")
    with ScriptedSmtp({"rcpt to:<b": ["550 no such user"]}) as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        result = call(email_test)
    assert result.exit_code == 1
    assert "sent to a@x.example, and refused for b@x.example" in " ".join(result.stderr.split())
    assert "Sent by" not in result.stdout
