"""Nothing of a person and no secret passes into a mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.publishing.mail.privacy import scrubbed


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("the row of ann.lee+x@mail.example.com is wrong", "the row of (address hidden) is wrong"),
        ("person 01HK3R8Q2W5V7T9YABCDEFGHJK has no e-mail", "person (id hidden) has no e-mail"),
        ("text to +49 151 234-56789 failed", "text to (number hidden) failed"),
        ("text to +49 30/1234567 failed", "text to (number hidden) failed"),
        ("text to +1 (555) 123.4567 failed", "text to (number hidden) failed"),
        ("https://example.com/?e=ann%40example.com", "https://example.com/?e=(address hidden)"),
        ("postgresql://reader:pa55@db.example:5432/x refused", "postgresql://(login hidden)@db.example:5432/x refused"),
        ("sent Bearer abcdef0123456789 and", "sent Bearer (hidden) and"),
    ],
)
def test_what_is_of_a_person_or_secret_is_hidden(text, clean):
    assert scrubbed(text) == clean


def test_the_value_of_a_secret_setting_is_hidden_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("FIVETRAN_API_SECRET", "s3cr3t-value")
    assert scrubbed("401 for s3cr3t-value!") == "401 for (FIVETRAN_API_SECRET hidden)!"


@given(st.text(st.sampled_from("a1 .+@%40-/()"), max_size=40))
def test_a_mail_hides_whatever_a_mapped_row_would_hide(text):
    cleaned = scrubbed(text)

    assert Privacy("drop").scrub(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    ["event [acme|2026-05-01]: 1,234 rows", "at 2026-05-01 10:11:12+00:00", "querying local.klaviyo_acme: not found",
     "+12 % against the week before"],
)  # fmt: skip
def test_everything_else_stays(text):
    assert scrubbed(text) == text
