"""The digest as a mail: the worst first, the same in text and HTML, pictures that resolve, nothing that breaks it."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies import Anomaly
from klaviyo_assets.defs.automation.mail import incident_message
from klaviyo_assets.publishing.mail.digest import MOST_FINDINGS, MOST_IN_DETAIL, Digest
from klaviyo_assets.publishing.mail.findings import DigestFinding, Level, Noted, unusual_day
from klaviyo_assets.publishing.mail.headlines import COLUMNS, Headlines, headlines
from klaviyo_assets.publishing.mail.incidents import Failure, Incidents

ON, DAY = date(2026, 5, 11), date(2026, 5, 10)


def sample_headlines(name, revenue="100.00", through=datetime(2026, 5, 11, 6, 0, tzinfo=UTC)):
    sums = dict.fromkeys(COLUMNS) | {"conversion_value": Decimal(revenue), "conversions": Decimal(3), "delivered": 200}
    rows = [{"occurred_on": DAY - timedelta(days=ago), "message_source": "flow", **sums} for ago in range(14)]
    return headlines(Account(name, f"klaviyo_{name}", currency="EUR"), DAY, rows, through)


def anomaly():
    return Anomaly(
        account="acme", day=DAY, statistic="orders", value=3.0, expected=40.0, low=30.0, high=50.0,
        sentence="Orders on Sun 2026-05-10: 3, usually 30 to 50 on Sundays",
        history=tuple((DAY - timedelta(weeks=ago), 40.0 + ago) for ago in range(8, 0, -1)), label="Orders", unit="",
    )  # fmt: skip


def finding(title="acme: events failed", level=Level.BAD, text="Postgres is down."):
    return DigestFinding(level, title, text)


def test_when_all_is_well_that_is_the_first_line_and_it_is_green():
    message = Digest(ON, accounts=[sample_headlines("acme")]).message()
    assert message.subject == "Klaviyo, acme, Mon May 11: all is well"
    assert message.text.splitlines()[2].startswith("All is well. Every run succeeded")
    assert 'class="strip-well"' in message.html


def test_what_is_to_mend_stands_before_what_is_unusual_and_before_numbers():
    digest = Digest(ON, [finding(), *unusual_day([anomaly()])], [sample_headlines("acme")])
    message = digest.message()
    assert message.subject.endswith("1 thing to fix and 1 thing to look at")
    for body in (message.text, message.html):
        places = [body.index(text) for text in ("1 thing to fix", "Postgres is down", "3, usually 30 to 50", "700.00")]
        assert places == sorted(places)


def test_text_and_html_say_the_same_numbers():
    message = Digest(ON, accounts=[sample_headlines("acme", "1234.56")]).message()
    plain = re.sub(r"<[^>]+>", " ", message.html).replace("\N{NO-BREAK SPACE}", " ")
    for expected in ("1,234.56 EUR", "8,641.92 EUR", "1,400"):
        assert expected in message.text
        assert expected in plain


def test_every_picture_that_is_shown_is_sent_and_the_other_way_round():
    from klaviyo_assets.publishing.mail.digest import _pictures

    digest = Digest(ON, unusual_day([anomaly()]), [sample_headlines("acme"), sample_headlines("bloom")])
    digest.pictures = dict(_pictures(digest))
    message = digest.message()
    named = set(re.findall(r'src="cid:([^"]+)"', message.html))
    assert named == {picture.content_id for picture in message.pictures}
    assert named == {"revenue-acme", "revenue-bloom", "unusual-acme-orders"}
    assert all(picture.png.startswith(b"\x89PNG") for picture in message.pictures)
    assert all('alt="' in tag for tag in re.findall(r"<img[^>]+>", message.html))


def test_many_accounts_and_findings_stay_below_what_mail_programs_cut_off():
    names = [f"account_{number}" for number in range(60)]
    message = Digest(
        ON, [finding(f"{name}: failed") for name in names], [sample_headlines(name) for name in names]
    ).message()
    assert len(message.html.encode()) < 100_000
    assert message.html.count("font-size:18px") == MOST_IN_DETAIL + 1
    assert f"And {60 - MOST_FINDINGS} more" in message.text
    assert all(f">{name}<" in message.html for name in names)


def test_a_day_that_is_not_complete_is_said_so():
    message = Digest(
        ON, accounts=[sample_headlines("acme", through=datetime(2026, 5, 10, 20, 0, tzinfo=UTC))]
    ).message()
    assert "It is incomplete: data end at May 10, 20:00 UTC" in message.text


def test_an_account_without_numbers_breaks_nothing():
    message = Digest(ON, [finding()], [Headlines(Account("acme", "klaviyo_acme"), DAY)]).message()
    assert "Postgres is down." in message.text


def test_what_others_wrote_is_text_and_no_markup():
    note = Noted("acme", "event", "value", "<b>not a number</b>", 3, 0)
    message = Digest(ON, [finding(text="<script>alert(1)</script>")], [sample_headlines("acme")], [note]).message()
    assert "<script>alert" not in message.html
    assert "<b>not a number" not in message.html
    assert "<script>alert(1)</script>" in message.text


def test_quarantine_is_counted_with_its_reasons():
    note = Noted("acme", "event", "value", "not a number", 1234, 7)
    text = Digest(ON, accounts=[sample_headlines("acme")], notes=[note]).message().text
    assert "acme, event.value: not a number: 1,234 rows, 7 left out" in text


@pytest.mark.parametrize(("url", "is_linked"), [("", False), ("https://dagster.example/", True)])
def test_links_lead_to_dagster_where_its_address_is_known(monkeypatch, url, is_linked):
    monkeypatch.setenv("DAGSTER_UI_URL", url)
    html = Digest(ON, unusual_day([anomaly()]), [sample_headlines("acme")]).message().html
    assert ('href="https://dagster.example/assets/report/account_by_event_date"' in html) is is_linked


def test_no_mail_loads_anything_from_elsewhere():
    html = Digest(ON, unusual_day([anomaly()]), [sample_headlines("acme")]).message().html
    assert re.findall(r'(?:src|href)="(?!cid:)[^"]*"|@import|url\(|<script|<link', html) == []


def incidents(*accounts):
    open_incidents = Incidents()
    for account in accounts:
        work = {"x": (("2026-05-01", "2026-05-03"),)}
        failure = Failure(account, "events", "load_events", "Postgres is down", ("a & b",), work, "0123", 0.0)
        open_incidents.record_failure(failure)
    return open_incidents


def test_a_mail_of_incidents_names_what_failed_since_when_and_where_to_look(monkeypatch):
    monkeypatch.setenv("DAGSTER_UI_URL", "https://dagster.example")
    message = incident_message(incidents("acme").news(0.0))
    assert message.subject == "Klaviyo, acme: events, step load_events failed"
    for body in (message.text, message.html):
        assert "Not done: x of 2026-05-01 to 2026-05-03." in body
        assert "Since Jan 1, 00:00 UTC." in body
        assert "https://dagster.example/runs/0123" in body
    assert "a &amp; b" in message.html


def test_many_incidents_are_one_mail_with_a_short_subject():
    message = incident_message(incidents(*(f"account_{n}" for n in range(9))).news(0.0))
    assert message.subject == "Klaviyo, account_0, account_1, account_2 and 6 more: 9 failures"
    assert message.text.count("Postgres is down") == 9
