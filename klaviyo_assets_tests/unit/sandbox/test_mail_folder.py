"""Kept messages."""

from types import SimpleNamespace

from klaviyo_assets.sandbox.mail import MailFolder, SesOutbox, read_kept


def test_a_kept_message_reads_back_with_its_envelope(tmp_path):
    message = "Subject: Gr\u00fc\u00dfe\r\nTo: a@b.example\r\n\r\nBody\r\n".encode()
    path = MailFolder(tmp_path).keep("smtp", message, "from@b.example", ["a@b.example", "hidden@b.example"])
    kept = read_kept(path)
    assert kept["X-Envelope-To"] == "a@b.example, hidden@b.example"
    assert kept["To"] == "a@b.example"
    assert kept.get_content().strip() == "Body"
    assert not list(tmp_path.glob("*.new"))


def test_a_line_break_in_an_address_makes_no_header(tmp_path):
    path = MailFolder(tmp_path).keep("smtp", b"Subject: x\r\n\r\nBody", "a@b.example\r\nBcc: c@d.example", [])
    assert read_kept(path)["Bcc"] is None


def test_what_ses_accepts_is_kept_before_the_answer_goes_out(tmp_path):
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.ses.models import ses_backends

    backend = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
    destinations = {"ToAddresses": ["to@b.example"], "BccAddresses": ["bcc@b.example"]}

    def application(_environ, _start_response):
        message = SimpleNamespace(
            source="from@b.example", subject="A\nreport", body="<p>42</p>", destinations=destinations
        )
        backend.sent_messages.append(message)
        yield b"sent"

    assert list(SesOutbox(MailFolder(tmp_path)).watch(application)({}, lambda *_: None)) == [b"sent"]

    kept = read_kept(next(tmp_path.glob("*-ses-*.eml")))
    assert (kept["Subject"], kept["To"], kept["Bcc"]) == ("A report", "to@b.example", None)
    assert kept["X-Envelope-To"] == "to@b.example, bcc@b.example"
    assert kept.get_content_type() == "text/html"
    assert backend.sent_messages == []
