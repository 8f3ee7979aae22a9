"""Every client ends within its limits, whatever the other side does: no byte, a byte now and then, no reader.

The message says which limit it was, so no test looks at a clock.
"""

from dataclasses import replace
from datetime import date

import pytest

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.resource import FivetranResource
from klaviyo_assets.resources.klaviyo.resource import KlaviyoResource, ReportRequest
from klaviyo_assets.resources.mail import resource as mail
from klaviyo_assets.resources.mail import ses as mail_ses
from klaviyo_assets.resources.mail.resource import MailResource, Message
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets_tests.faults.certificates import self_signed
from klaviyo_assets_tests.faults.connection_faults import UNRESOLVABLE, Blackhole, Fault
from klaviyo_assets_tests.faults.http_faults import HttpProxy

CONNECT, SILENCE, EXCHANGE = 0.4, 0.5, 1.0
LIMITS = {"connect_timeout_seconds": CONNECT, "exchange_timeout_seconds": EXCHANGE}
QUIET = {**LIMITS, "silence_timeout_seconds": SILENCE}
BODY = b'{"data": "' + b"x" * 5000 + b'"}'
TRICKLE = 40


class Memory(dict):
    """What Dagster's instance keeps, as a dictionary."""

    def get_cursor_values(self, keys):
        return {key: self[key] for key in keys if key in self}

    def set_cursor_values(self, pairs):
        self.update(pairs)


def look_at_bigquery(url):
    client = BigQueryProjectResource(project="p", emulator_host=url, **QUIET).client
    BigQueryDataset(client, "k_acme", patience_seconds=0.1).row_count("word")


def upload_to_bigquery(url):
    client = BigQueryProjectResource(project="p", emulator_host=url, **QUIET).client
    with BigQueryDataset(client, "k_acme", patience_seconds=0.1).client as opened:
        from io import BytesIO

        from klaviyo_assets.destinations.bigquery.dataset import explained

        with explained("loading"):
            opened.load_table_from_file(BytesIO(b"x" * 6_000_000), "p.k_acme.word", size=6_000_000, num_retries=0)


def read_from_s3(url):
    S3ArchiveResource(bucket="b", endpoint_url=url, repetitions=0, **QUIET).archive.manifest("acme", "person", None)


def ask_fivetran(url):
    FivetranResource(
        api_key="k", api_secret="s", api_url=url, read_timeout_seconds=SILENCE, max_attempts=1, **LIMITS
    ).groups()


def ask_klaviyo(url):
    resource = KlaviyoResource(api_url=url, per_minute=100, per_second=100, **QUIET)
    request = ReportRequest("campaign", ["opens"], date(2026, 1, 1), date(2026, 1, 2), "m")
    resource.reports("acme", ["acme"], Memory(), print).values(request)


def mail_through_ses(url):
    MailResource(
        sender="a@shop.example", recipients="b@shop.example", region="us-east-1", endpoint_url=url, backoff_seconds=0
    ).send(Message("subject", "text"))


CLIENTS = [look_at_bigquery, upload_to_bigquery, read_from_s3, ask_fivetran, ask_klaviyo, mail_through_ses]
client_of_all = pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "KLAVIYO_API_KEY": "pk_test",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _limits_of_ses(monkeypatch):
    """Its limits are no settings: a mail is small, and its server near."""
    for name, seconds in {"SES_CONNECT": CONNECT, "SES_SILENCE": SILENCE, "SES_EXCHANGE": EXCHANGE}.items():
        monkeypatch.setattr(mail_ses, name, replace(getattr(mail_ses, name), seconds=seconds))
    monkeypatch.setattr(mail, "ATTEMPTS", 1)


@pytest.fixture
def server():
    with HttpProxy("http://127.0.0.1:9") as proxy:
        yield proxy


@client_of_all
def test_a_server_that_takes_no_connection_is_given_up(ask):
    with Blackhole() as hole, pytest.raises(TransientError, match=r"no connection (in time|within 0\.4 s)"):
        ask(hole.url)


@client_of_all
def test_a_server_that_never_answers_is_given_up(ask, server):
    server.silence(".*", "")
    with pytest.raises(TransientError, match=r"nothing came within 0\.5 s"):
        ask(server.url)


@client_of_all
def test_an_answer_that_falls_silent_is_given_up(ask, server):
    server.answer(".*", "", 200, BODY, headers={"ETag": "1"}, fault=Fault("silence", after=200))
    with pytest.raises(TransientError, match=r"nothing came within 0\.5 s"):
        ask(server.url)


@client_of_all
@pytest.mark.parametrize("after", [0, 200], ids=["headers", "body"])
def test_an_answer_that_trickles_is_given_up_although_it_is_never_silent(ask, after, server):
    server.answer(".*", "", 200, BODY, headers={"ETag": "1"}, fault=Fault("slow", after, bytes_per_second=TRICKLE))
    with pytest.raises(TransientError, match=r"was not complete after 1 s|the time for the call is over"):
        ask(server.url)


@client_of_all
def test_a_name_that_no_dns_knows_is_said(ask):
    with pytest.raises(TransientError, match="its name is not known to the DNS"):
        ask(f"http://{UNRESOLVABLE}")


@client_of_all
def test_a_certificate_that_is_not_trusted_is_permanent(ask, tmp_path):
    context = self_signed(tmp_path).server_context
    with (
        HttpProxy("http://127.0.0.1:9", tls=context) as proxy,
        pytest.raises(PermanentError, match="certificate is not"),
    ):
        ask(proxy.url)


@client_of_all
def test_a_port_that_speaks_no_tls_is_permanent(ask, server):
    server.answer(".*", "", 200, BODY)
    with pytest.raises(PermanentError, match="TLS failed"):
        ask(server.url.replace("http:", "https:"))


@pytest.mark.parametrize("ask", CLIENTS[:-1], ids=lambda ask: ask.__name__)
def test_a_request_that_came_too_slowly_for_the_server_is_transient(ask, server):
    server.answer(".*", "", 408)
    with pytest.raises(TransientError, match="408"):
        ask(server.url)


@pytest.mark.parametrize("ask", [look_at_bigquery, upload_to_bigquery, ask_fivetran], ids=lambda ask: ask.__name__)
def test_an_answer_that_cannot_be_unpacked_is_transient(ask, server):
    server.answer(".*", "", 200, b"\x00\x01", headers={"Content-Encoding": "gzip", "ETag": "1"})
    with pytest.raises(TransientError):
        ask(server.url)


@client_of_all
def test_a_port_where_nobody_listens_is_transient(ask):
    with pytest.raises(TransientError, match="nobody accepts connections there"):
        ask("http://127.0.0.1:9")


def test_an_upload_that_nobody_reads_is_given_up():
    """A server that accepts the connection, and nothing more: once the buffers are full, no byte can be sent."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransientError, match=r"nothing came within 0\.5 s"):
            upload_to_bigquery(url)


def test_an_answer_that_comes_in_time_is_read_whole_over_one_connection(server):
    """The clock starts anew with each request, however long the connection is open."""
    server.answer("GET", "/v1/groups", 200, {"data": {"items": [{"id": "a", "name": "b"}]}})
    resource = FivetranResource(api_key="k", api_secret="s", api_url=server.url, exchange_timeout_seconds=0.5)
    for _ in range(3):
        assert [group.id for group in resource.groups()] == ["a"]
