"""`klaviyo-assets init` against a scripted Fivetran and a real Postgres."""

import stat
from datetime import date

import psycopg
import pytest
from dotenv import dotenv_values

from klaviyo_assets.accounts import read_accounts_file
from klaviyo_assets.cli import init as module
from klaviyo_assets.cli.discovery import account_names
from klaviyo_assets.cli.init import init
from klaviyo_assets_tests.unit.resources.fivetran.scripted import KEY, SECRET, Answer, connection, page
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

TABLES = """
CREATE SCHEMA klaviyo_acme;
CREATE TABLE klaviyo_acme.metric (id text, name text, integration_name text);
INSERT INTO klaviyo_acme.metric VALUES
    ('old', 'Placed Order', 'Magento'), ('new', 'Placed Order', 'Shopify'), ('open', 'Opened Email', 'Klaviyo');
CREATE TABLE klaviyo_acme.event (id text, metric_id text, datetime timestamptz, "property_currency_code" text);
INSERT INTO klaviyo_acme.event
    SELECT 'a' || n, 'old', timestamptz '2024-03-09 23:30Z', 'USD' FROM generate_series(1, 5) AS n
    UNION ALL SELECT 'b' || n, 'new', timestamptz '2026-03-01 12:00Z', 'eur' FROM generate_series(1, 7) AS n
    UNION ALL SELECT 'c' || n, 'old', timestamptz '2024-06-09 23:30Z', 'n.a.' FROM generate_series(1, 90) AS n;

CREATE SCHEMA "Klaviyo Bloom";
CREATE TABLE "Klaviyo Bloom".metric (id text, name text);
CREATE TABLE "Klaviyo Bloom".event (id text);

CREATE SCHEMA klaviyo_packed;
CREATE TABLE klaviyo_packed.metric (id text, name text);
INSERT INTO klaviyo_packed.metric VALUES ('only', 'Placed Order');
CREATE TABLE klaviyo_packed.event (id text, metric_id text, datetime timestamptz, custom_property_fields jsonb);
INSERT INTO klaviyo_packed.event VALUES ('x', 'only', '2025-01-01 12:00Z', '{"$currency_code": "GBP"}');
CREATE SCHEMA other;
CREATE TABLE other.event (id text);
"""


ABSURD = """
CREATE SCHEMA klaviyo_absurd;
CREATE TABLE klaviyo_absurd.metric (id text, name text);
INSERT INTO klaviyo_absurd.metric VALUES ('only', 'Placed Order'), (NULL, 'Placed Order'), ('blank', ' ');
CREATE TABLE klaviyo_absurd.event (id text, metric_id text, datetime timestamptz, property_currency_code json);
INSERT INTO klaviyo_absurd.event VALUES ('x', 'only', '2025-01-01 12:00Z', '"gbp"'),
    ('a', 'only', '1970-01-01 00:00Z', NULL), ('b', 'only', '58158-03-01 00:00Z', '"\\u0000"'),
    ('c', 'only', 'infinity', '"\\ud83d"'), ('d', 'only', '9998-01-01 00:00Z', NULL),
    ('e', 'only', '0044-03-15 00:00Z BC', NULL), ('f', NULL, NULL, NULL);
"""


@pytest.fixture(scope="module")
def postgres_url():
    with throwaway_postgres() as url:
        with psycopg.connect(url) as connected:
            connected.execute(TABLES)
        yield url


@pytest.fixture
def folder(tmp_path, monkeypatch, server, postgres_url):
    """An empty folder, the environment of somebody who has credentials, one connection."""
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    monkeypatch.chdir(tmp_path)
    server.on("GET /v1/connections", page(connection(), connection("sheets", service="google_sheets", schema="other")))
    return tmp_path


def written_account(folder, name="acme"):
    return read_accounts_file(folder / "accounts.toml")[name]


def test_the_files_are_written_from_what_is_there(folder, call, postgres_url, server):
    result = call(init, "--yes", "--timezone", "Europe/Berlin")

    assert result.exit_code == 0, result.stderr
    account = written_account(folder)
    assert (account.postgres_schema, account.fivetran_connection_id) == ("klaviyo_acme", "speak_menial")
    assert (account.timezone, account.currency, account.pii) == ("Europe/Berlin", "EUR", "hash")
    assert account.start_date == date(2024, 3, 10)  # 23:30 UTC is the next day in Berlin
    settings = dotenv_values(folder / ".env")
    assert settings["POSTGRES_URL"] == postgres_url
    assert (settings["FIVETRAN_API_KEY"], settings["FIVETRAN_API_SECRET"]) == (KEY, SECRET)
    assert settings["FIVETRAN_API_URL"] == server.url
    assert len(settings["PII_HASH_KEY"]) == 64


def test_of_two_conversion_metrics_the_one_in_use_is_taken(folder, call):
    """Magento was replaced: it has more orders, but none lately."""
    call(init, "--yes")

    assert (written_account(folder).conversion_metric, written_account(folder).conversion_integration) == (
        "Placed Order",
        "Shopify",
    )


def test_settings_are_readable_by_their_owner_alone_and_secrets_are_not_shown(folder, call, postgres_url):
    result = call(init, "--yes")

    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    for secret in (KEY, SECRET, postgres_url, dotenv_values(folder / ".env")["PII_HASH_KEY"]):
        assert secret not in result.output


def test_what_could_not_be_learned_is_said_there_and_in_the_file(folder, call, server):
    server.on("GET /v1/connections", page(connection("two", schema="Klaviyo Bloom")))

    result = call(init, "--yes")

    account = written_account(folder, "bloom")
    assert (account.currency, account.start_date, account.conversion_metric) == (
        "USD",
        date(2020, 1, 1),
        "Placed Order",
    )
    for note in ("there are no events yet", "no metric 'Placed Order' yet", "no event has a currency"):
        assert note in result.stderr
        assert note in (folder / "accounts.toml").read_text()


def test_a_packed_currency_and_a_single_conversion_metric_are_found(folder, call, server):
    server.on("GET /v1/connections", page(connection("three", schema="klaviyo_packed")))

    call(init, "--yes")

    account = written_account(folder, "packed")
    assert (account.currency, account.conversion_metric, account.conversion_integration) == (
        "GBP",
        "Placed Order",
        None,
    )


def test_a_connection_that_has_not_synced_yet_becomes_an_account_with_a_note(folder, call, server):
    server.on("GET /v1/connections", page(connection("four", schema="klaviyo_new")))

    result = call(init, "--yes")

    assert written_account(folder, "new").fivetran_connection_id == "four"
    assert "Postgres has no Klaviyo tables in schema 'klaviyo_new' yet" in result.stderr


def test_without_a_klaviyo_connection_the_schemas_of_postgres_are_taken(folder, call, server):
    server.on("GET /v1/connections", page())

    call(init, "--yes")

    accounts = read_accounts_file(folder / "accounts.toml")
    assert {account.postgres_schema for account in accounts.by_name.values()} == {
        "Klaviyo Bloom", "klaviyo_acme", "klaviyo_packed",
    }  # fmt: skip
    assert accounts["acme"].fivetran_connection_id == ""


def test_questions_have_the_findings_as_default_and_wrong_answers_are_asked_again(folder, call):
    answers = ["Acme Inc", "acme_de", "Berlin", "Europe/Berlin", "", "9", "2"]

    result = call(init, input="\n".join(answers) + "\n")

    assert result.exit_code == 0, result.output
    account = written_account(folder, "acme_de")
    assert (account.timezone, account.currency, account.conversion_integration) == ("Europe/Berlin", "EUR", "Magento")
    assert "Placed Order of Shopify (7 events, last on 2026-03-01)" in result.stdout
    assert "'Berlin' is not a time zone" in result.output
    assert "Choose one of: 1, 2" in result.output


def test_absurd_times_do_not_decide_the_first_day_and_it_says_so(folder, call, server, postgres_url):
    server.on("GET /v1/connections", page(connection("absurd", schema="klaviyo_absurd")))
    with psycopg.connect(postgres_url, autocommit=True) as connected:
        connected.execute(ABSURD)
        result = call(init, "--yes")
        connected.execute("DROP SCHEMA klaviyo_absurd CASCADE")

    assert result.exit_code == 0, result.output
    account = written_account(folder, "absurd")
    assert (account.start_date, account.currency) == (date(2025, 1, 1), "GBP")
    assert account.conversion_metric == "Placed Order"
    assert "2 event(s) are dated before 1995-01-01 or after today" in result.output


def test_credentials_that_are_not_set_are_asked_for_and_not_shown(folder, call, monkeypatch, postgres_url):
    for name in ("POSTGRES_URL", "FIVETRAN_API_KEY", "FIVETRAN_API_SECRET"):
        monkeypatch.delenv(name)

    result = call(init, input="\n".join([postgres_url, KEY, "it's a \\ secret", "", "", "", ""]) + "\n")

    assert result.exit_code == 0, result.output
    assert dotenv_values(folder / ".env")["FIVETRAN_API_SECRET"] == "it's a \\ secret"
    assert "it's a" not in result.output
    assert postgres_url not in result.output


def test_credentials_are_not_asked_for_where_nothing_may_be_asked(folder, call, monkeypatch):
    monkeypatch.delenv("FIVETRAN_API_SECRET")

    result = call(init, "--yes")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: FIVETRAN_API_SECRET must be set")
    assert list(folder.iterdir()) == []


def test_existing_files_are_left_alone_where_nothing_may_be_asked(folder, call):
    (folder / "accounts.toml").write_text("# mine")

    result = call(init, "--yes")

    assert result.exit_code == 2
    assert "accounts.toml already exists" in result.stderr
    assert "--force" in result.stderr
    assert (folder / "accounts.toml").read_text() == "# mine"


def test_existing_files_are_overwritten_by_force(folder, call):
    (folder / "accounts.toml").write_text("# mine")
    (folder / ".env").write_text("MINE=1\nFIVETRAN_API_KEY=old\nPII_HASH_KEY=never-change-this-key\n")

    assert call(init, "--yes", "--force").exit_code == 0

    assert written_account(folder).currency == "EUR"
    settings = dotenv_values(folder / ".env")
    assert (settings["MINE"], settings["FIVETRAN_API_KEY"]) == ("1", KEY)
    assert settings["PII_HASH_KEY"] == "never-change-this-key"
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_settings_are_added_to_an_existing_env_without_asking(folder, call):
    (folder / ".env").write_text("# my own\nS3_BUCKET=mine\n")

    assert call(init, "--yes").exit_code == 0

    text = (folder / ".env").read_text()
    assert text.startswith("# my own\nS3_BUCKET=mine\n")
    assert dotenv_values(folder / ".env")["FIVETRAN_API_KEY"] == KEY


def test_an_existing_file_is_asked_about(folder, call, monkeypatch):
    call(init, "--yes")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setenv("PII_HASH_KEY", dotenv_values(folder / ".env")["PII_HASH_KEY"])

    result = call(init, input="\n\n\n\nn\n")

    assert "accounts.toml already exists. Change it?" in result.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_nothing_to_find_is_a_failure_that_says_what_there_is(folder, call, server, postgres_url, monkeypatch):
    with psycopg.connect(postgres_url, autocommit=True) as connected:
        connected.execute("CREATE DATABASE empty")
    monkeypatch.setenv("POSTGRES_URL", postgres_url.removesuffix("postgres") + "empty")
    server.on("GET /v1/connections", page(connection("sheets", service="google_sheets")))

    result = call(init, "--yes")

    assert result.exit_code == 1
    assert "services there: google_sheets" in result.stderr
    assert list(folder.iterdir()) == []


def test_a_slow_count_leaves_the_start_a_guess(folder, call, monkeypatch, postgres_url):
    """The statement's time is up at once where the table is locked."""
    monkeypatch.setattr(module, "STATEMENT_SECONDS", 1)
    with psycopg.connect(postgres_url) as locking:
        locking.execute("LOCK TABLE klaviyo_acme.event IN ACCESS EXCLUSIVE MODE")
        result = call(init, "--yes")

    assert result.exit_code == 0, result.output
    assert written_account(folder).start_date == date(2020, 1, 1)
    assert "counting the events took too long" in result.stderr


@pytest.mark.parametrize("answer", [Answer(401), Answer(403)])
def test_a_refused_key_writes_nothing(folder, call, server, answer):
    server.on("GET /v1/connections", answer)

    assert call(init, "--yes").exit_code in {1, 2}
    assert list(folder.iterdir()) == []


def test_an_unknown_time_zone_is_wrong_usage(folder, call):
    result = call(init, "--yes", "--timezone", "Berlin")

    assert result.exit_code == 2
    assert "Allowed: an IANA name such as Europe/Berlin. Did you mean Europe/Berlin?" in result.stderr


def test_a_postgres_that_is_not_there_is_named_without_its_password(folder, call, monkeypatch):
    monkeypatch.setenv("POSTGRES_URL", "postgresql://me:hidden-word@127.0.0.1:9/klaviyo")

    result = call(init, "--yes")

    assert result.exit_code == 1
    assert "Postgres" in result.stderr
    assert "hidden-word" not in result.output


@pytest.mark.parametrize(
    ("schemas", "names"),
    [
        (["klaviyo_acme", "klaviyo_bloom"], ["acme", "bloom"]),
        (["Klaviyo Acme!", "klaviyo_acme"], ["acme", "acme_2"]),
        (["klaviyo", "shop.de"], ["klaviyo", "shop_de"]),
        (["klaviyo_", "ä"], ["klaviyo", "account"]),
    ],
)
def test_accounts_are_named_after_their_schemas(schemas, names):
    assert account_names(schemas) == names
