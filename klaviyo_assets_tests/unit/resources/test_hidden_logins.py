"""User and password in a service's address, and what a client's own error quotes of headers, reach no message."""

from datetime import date

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.s3 import check_account, check_bucket
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, ReportRequest
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.transport.limited_http import without_login

NOBODY = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "KLAVIYO_API_KEY": "pk_test",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def doctors_words(url):
    archive = S3ArchiveResource(bucket="b", endpoint_url=url, repetitions=0).archive
    return " ".join(
        finding.what for check in (check_bucket(archive), check_account(archive, Account("acme", "x")))
        for finding in check
    )  # fmt: skip


def fivetrans_words(url):
    with pytest.raises(KlaviyoAssetsError) as caught:
        FivetranResource(api_key="k", api_secret="s", api_url=url, max_attempts=1).groups()
    return str(caught.value)


def klaviyos_words(url):
    request = ReportRequest("campaign", ["opens"], date(2026, 1, 1), date(2026, 1, 2), "m")
    with pytest.raises(KlaviyoAssetsError) as caught:
        KlaviyoResource(api_url=url).reports("acme", ["acme"], {}, print).values(request)
    return str(caught.value)


@pytest.mark.parametrize("words", [doctors_words, fivetrans_words])
@pytest.mark.parametrize("password", ["canary", "can%40ary", "c:anary"])
def test_the_login_of_an_address_is_not_shown(words, password):
    sentence = words(f"http://user:{password}@{NOBODY}")

    assert "nobody accepts connections there" in sentence
    assert password not in sentence


@pytest.mark.parametrize("words", [fivetrans_words, klaviyos_words])
def test_the_login_of_what_is_no_address_is_not_shown(words):
    sentence = words("user:canary@api.example.com")

    assert "'api.example.com' is not the address of an API" in sentence


def test_a_header_that_cannot_be_sent_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary\ntoken")

    sentence = doctors_words(f"http://{NOBODY}")

    assert "S3 does not respond: the connection failed (ValueError)" in sentence
    assert "canary" not in sentence


@pytest.mark.parametrize(
    ("url", "text"),
    [("https://api.fivetran.com", "https://api.fivetran.com"), ("http://u:p@h:1/x", "http://h:1/x"),
     ("http://u:p@q/r@h", "http://h"), ("u:p@h", "h"), ("", "")],
)  # fmt: skip
def test_an_address_is_shown_without_its_login(url, text):
    assert without_login(url) == text
