"""Mail through the sandbox's SES and SMTP, and the digest of an account that is really loaded."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import definitions
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.publishing.mail.headlines import HEADLINES, read_headlines
from klaviyo_assets.resources.mail.resource import MailResource, Message, Picture
from klaviyo_assets.sandbox.kept_mail import Kept, as_page, kept_mail
from klaviyo_assets.sandbox.mail import read_kept
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox, environment

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
MESSAGE = Message("Grüße", "Text äöü €", '<p>äöü</p><img src="cid:one">', (Picture("one", PNG),))
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\b01[0-9A-HJKMNP-TV-Z]{24}\b|\+\d{9,}")


@pytest.fixture
def told(sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """The sandbox's settings, in the environment."""
    with environment(sandbox.variables):
        yield sandbox.variables


def newest(sandbox: Sandbox) -> Kept:
    return kept_mail(sandbox.folder, 1)[0]


@pytest.mark.parametrize("transport", ["ses", "smtp"])
def test_a_message_arrives_as_it_was_sent(sandbox, told, transport):
    MailResource(transport=transport).send(MESSAGE)

    kept = newest(sandbox)
    read = read_kept(kept.file)
    assert (kept.transport, kept.subject, kept.to) == (transport, "Grüße", told["MAIL_TO"])
    assert read.get_body(("plain",)).get_content().strip() == "Text äöü €"
    assert "äöü" in read.get_body(("html",)).get_content()
    (picture,) = [part for part in read.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content() == PNG
    assert "cid:" not in as_page(read)


def test_an_unverified_sender_is_refused_with_the_fix(told):
    with pytest.raises(PermanentError, match="Verify that address or its domain in SES's region us-east-1"):
        MailResource(sender="x@unknown.example").send(MESSAGE)


def test_more_than_one_mail_a_second_waits_for_its_turn(sandbox, told):
    """As SES's sandbox does: what is refused for being too fast is sent a little later."""
    time.sleep(1.1)
    begun = time.monotonic()
    for number in range(3):
        MailResource(transport="ses").send(Message(f"fast {number}", "t"))
    assert time.monotonic() - begun > 2
    assert {one.subject for one in kept_mail(sandbox.folder, 3)} == {"fast 0", "fast 1", "fast 2"}


@pytest.fixture(scope="module")
def unloaded(deploy) -> Deployment:
    """An account that nothing is loaded of."""
    deployment: Deployment = deploy("unloaded", last_days=0)
    return deployment


@pytest.fixture(scope="module")
def loaded(deploy) -> Deployment:
    """An account with a fortnight in BigQuery, reports and views."""
    deployment: Deployment = deploy("mailed")
    deployment.run()
    return deployment


def send_digest(deployment: Deployment) -> dg.ExecuteInProcessResult:
    with deployment._ready():
        job = definitions.defs.resolve_job_def("digest")
        return job.execute_in_process(instance=deployment.instance, raise_on_error=False)


@pytest.mark.slow
def test_the_digest_of_a_loaded_account_is_received_whole(loaded, sandbox):
    result = send_digest(loaded)

    assert result.success
    kept = newest(sandbox)
    read = read_kept(kept.file)
    assert kept.subject.startswith("Klaviyo, mailed, ")
    text, html = (read.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "MAILED" in text
    named = set(re.findall(r'src="cid:([^"]+)"', html))
    sent = {str(part["Content-ID"]).strip("<>") for part in read.walk() if part.get_content_maintype() == "image"}
    assert named == sent
    assert "revenue-mailed" in named
    assert PERSONAL.findall(text + re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)) == []
    (event,) = result.asset_materializations_for_node("mail__digest")
    assert event.metadata["transport"].value == "ses"


@pytest.mark.slow
def test_the_digests_numbers_are_those_of_the_report(loaded):
    """The report's own rows, summed by another statement."""
    day = loaded.account.today() - timedelta(days=1)
    headlines = read_headlines(loaded.dataset, loaded.account, day)
    for figure, headline in zip(headlines.figures, HEADLINES, strict=True):
        total = " + ".join(f"COALESCE(SUM({column}), 0)" for column in headline.columns)
        for last, length, value in (
            (day, 1, figure.day.value), (day - timedelta(days=7), 1, figure.day.before),
            (day, 7, figure.week.value), (day - timedelta(days=7), 7, figure.week.before),
        ):  # fmt: skip
            first = last - timedelta(days=length - 1)
            ((expected,),) = loaded.query(
                f"SELECT {total} FROM account_by_event_date WHERE occurred_on BETWEEN '{first}' AND '{last}'"
            )
            assert value == expected, (headline.label, first, last)


def test_an_account_that_was_never_loaded_is_named_and_the_digest_is_sent(unloaded, sandbox):
    assert send_digest(unloaded).success

    text = read_kept(newest(sandbox).file).get_body(("plain",)).get_content()
    assert "unloaded: nothing has been loaded yet" in text
    assert "klaviyo-assets run --account unloaded" in text


def test_a_digest_without_recipients_fails_at_once_and_says_what_to_set(unloaded):
    without = unloaded.elsewhere("unmailed")
    without.changes["MAIL_TO"] = None
    result = send_digest(without)

    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    description = failed.step_failure_data.user_failure_data.description
    assert "MAIL_TO is not set, so no mail can be sent\nSet it in .env" in description


def test_the_commands_send_a_mail_and_list_it(unloaded, tmp_path: Path):
    done = unloaded.command(tmp_path, "email-test", "--subject", "By command", "--body", "Hello", "--transport", "smtp")
    assert done.exit_code == 0, done.output
    assert "Sent by SMTP to you@sandbox.example; message id <" in done.output

    listed = unloaded.command(tmp_path, "sandbox", "mail", "--last", "1")
    assert listed.exit_code == 0, listed.output
    assert "smtp  By command" in listed.output
    assert "to you@sandbox.example" in listed.output
