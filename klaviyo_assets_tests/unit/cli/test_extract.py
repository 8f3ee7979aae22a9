"""`klaviyo-assets extract` from a real Postgres to files."""

import csv
import json
from datetime import date

import psycopg
import pyarrow.parquet as pq
import pytest

from klaviyo_assets.cli import extract as module
from klaviyo_assets.cli.extract import extract, table_named
from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

SOURCE = """
CREATE SCHEMA klaviyo_acme;
CREATE TABLE klaviyo_acme.campaign (id text PRIMARY KEY, name text, archived boolean, _fivetran_synced timestamptz);
INSERT INTO klaviyo_acme.campaign VALUES
    ('c2', 'Say "hi", 你好', true, '2026-01-03 00:00:00Z'), ('c1', '', NULL, NULL);
CREATE TABLE klaviyo_acme.event (
    id text PRIMARY KEY, datetime timestamptz, metric_id text, property_value text, property_email text,
    _fivetran_synced timestamptz, _fivetran_deleted boolean
);
INSERT INTO klaviyo_acme.event VALUES
    ('late', '2026-01-02 04:59:59Z', 'm', '49.990000', 'nobody@example.com', now(), NULL),
    ('early', '2026-01-01 05:00:00Z', 'm', 'n.a.', NULL, now(), true),
    ('next', '2026-01-02 05:00:00Z', 'm', NULL, NULL, now(), NULL),
    ('undated', NULL, 'm', NULL, NULL, now(), NULL);
CREATE SCHEMA klaviyo_bloom;
CREATE TABLE klaviyo_bloom.campaign (id text PRIMARY KEY, name text);
INSERT INTO klaviyo_bloom.campaign VALUES ('b1', 'Bloom');
"""
ACCOUNTS = """
[[account]]
name = "acme"
postgres_schema = "klaviyo_acme"
timezone = "America/New_York"
[[account]]
name = "bloom"
postgres_schema = "klaviyo_bloom"
[[account]]
name = "empty"
postgres_schema = "klaviyo_empty"
"""


@pytest.fixture(scope="module")
def database():
    """A Postgres with two accounts as Fivetran writes them, and a third that was never synced."""
    with throwaway_postgres() as url:
        with psycopg.connect(url) as connection:
            connection.execute(SOURCE)
        yield url


@pytest.fixture(autouse=True)
def here(database, tmp_path, monkeypatch):
    """A folder with the accounts file, and the database in the environment."""
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KLAVIYO_ACCOUNTS_FILE", raising=False)
    monkeypatch.setenv("POSTGRES_URL", database)
    return tmp_path


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_becomes_one_file_per_account_with_rows_as_read(call, here):
    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme", "-a", "bloom")

    assert result.exit_code == 0, result.stderr
    acme = rows_of(here / "raw/acme/campaign.csv")
    assert [(row["id"], row["name"], row["archived"]) for row in acme] == [
        ("c1", "", ""),
        ("c2", 'Say "hi", 你好', "true"),
    ]
    assert [row["id"] for row in rows_of(here / "raw/bloom/campaign.csv")] == ["b1"]
    assert "raw/acme/campaign.csv" in result.stdout
    assert "2 files" in result.stdout


def test_a_null_and_the_empty_text_differ_in_csv(call, here):
    call(extract, "--table", "campaign", "--out", "raw", "-a", "acme")

    assert (here / "raw/acme/campaign.csv").read_text().splitlines()[1].startswith('"c1","",')


def test_events_become_one_file_per_day_of_the_accounts_time_zone(call, here):
    """Deleted ones and personal values included: raw is raw."""
    result = call(
        extract, "--table", "event", "--start", "2026-01-01", "--end", "2026-01-03", "--out", "raw", "-a", "acme"
    )

    assert result.exit_code == 0, result.stderr
    folder = here / "raw/acme/event"
    ids_by_day = {path.stem: [row["id"] for row in rows_of(path)] for path in sorted(folder.iterdir())}
    assert ids_by_day == {"2026-01-01": ["early", "late"], "2026-01-02": ["next"], "2026-01-03": []}
    late = rows_of(folder / "2026-01-01.csv")[1]
    assert late["property_value"] == "49.990000"
    assert json.loads(late["_properties"]) == {"email": "nobody@example.com"}


def test_files_can_be_read_by_their_owner_alone_also_where_they_replace_others(call, here):
    (here / "raw/acme").mkdir(parents=True)
    (here / "raw/acme/campaign.csv").write_text("older")
    (here / "raw/acme/campaign.csv").chmod(0o644)

    call(extract, "--table", "campaign", "--out", "raw", "-a", "acme")

    assert (here / "raw/acme/campaign.csv").stat().st_mode & 0o777 == 0o600
    assert len(rows_of(here / "raw/acme/campaign.csv")) == 2
    assert [path.name for path in (here / "raw/acme").iterdir()] == ["campaign.csv"]


def test_parquet_files_hold_the_types_that_were_read(call, here):
    result = call(extract, "--table", "campaign", "--format", "parquet", "--out", "raw", "-a", "acme")

    assert result.exit_code == 0, result.stderr
    table = pq.read_table(here / "raw/acme/campaign.parquet")
    assert table.column("archived").to_pylist() == [None, True]
    assert str(table.schema.field("_fivetran_synced").type) == "timestamp[us, tz=UTC]"


def test_json_lists_the_files(call, here):
    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme", "--json")

    size = (here / "raw/acme/campaign.csv").stat().st_size
    assert json.loads(result.stdout) == [
        {"account": "acme", "table": "campaign", "day": None, "path": "raw/acme/campaign.csv", "rows": 2,
         "bytes": size},
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "meant"), [
    ("klaviyo_campaigns", "campaign"), ("Campaigns", "campaign"), ("klaviyo_events", "event"), ("people", "person"),
    ("klaviyo_persons", "person"), ("list_people", "list_person"), ("klaviyo_tags", "tags"), ("tag", "tags"),
    ("klaviyo_lists", "list"), ("coupon_codes", "coupon_code"), *((name, name) for name in TABLES if TABLES[name].raw),
])  # fmt: skip
def test_old_names_prefixes_and_plurals_mean_the_table(name, meant):
    assert table_named(name).name == meant


@pytest.mark.parametrize("name", ["campain", "", "klaviyo_", "attribution", "s"])
def test_other_names_are_unknown_and_the_known_ones_are_listed(name):
    with pytest.raises(UnknownNameError, match=r"Choose one of: campaign, .*event, .*tags") as caught:
        table_named(name)

    assert ("It is computed" in str(caught.value)) == (name == "attribution")


def test_an_unknown_table_is_wrong_usage(call):
    result = call(extract, "--table", "campain", "--out", "raw")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "error: there is no raw table 'campain'\n  Did you mean 'campaign'? Choose one of: campaign,"
    )


@pytest.mark.parametrize(("dates", "message"), [
    ([], "Give its first and last day"),
    (["--start", "2026-01-01"], "Give its first and last day"),
    (["--start", "2026-01-02", "--end", "2026-01-01"], "--end 2026-01-01 is before --start 2026-01-02"),
    (["--start", "January", "--end", "2026-01-01"], "'January' does not match"),
])  # fmt: skip
def test_wrong_or_missing_days_of_events_are_wrong_usage(call, here, dates, message):
    result = call(extract, "--table", "event", "--out", "raw", *dates)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not (here / "raw").exists()


def test_days_of_a_table_without_days_are_ignored_and_that_is_said(call):
    result = call(extract, "--table", "campaign", "--start", "2026-01-01", "--out", "raw", "-a", "acme")

    assert result.exit_code == 0
    assert "campaign is not partitioned by day" in result.stderr


def test_a_table_fivetran_never_created_is_said_and_is_no_failure(call, here):
    result = call(extract, "--table", "flow", "--out", "raw", "-a", "acme")

    assert result.exit_code == 0
    assert "acme: Fivetran has not created klaviyo_acme.flow" in result.stderr
    assert not (here / "raw").exists()


def test_an_account_that_fails_is_named_and_does_not_stop_the_others(call, here):
    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "empty", "-a", "acme")

    assert result.exit_code == 1
    assert "empty: account 'empty': Postgres has no schema 'klaviyo_empty' in the database" in result.stderr
    assert (here / "raw/acme/campaign.csv").is_file()


def test_an_unknown_account_is_wrong_usage_before_anything_is_written(call, here):
    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme", "-a", "acne")

    assert result.exit_code == 2
    assert "Choose one of: acme, bloom, empty." in result.stderr
    assert not (here / "raw").exists()


def test_a_missing_address_is_named(call, monkeypatch):
    monkeypatch.delenv("POSTGRES_URL")

    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme")

    assert result.exit_code == 2
    assert "the setting POSTGRES_URL is missing" in result.stderr


def test_a_folder_that_cannot_be_made_is_named(call, here):
    (here / "raw").mkdir()
    (here / "raw/acme").write_text("in the way")

    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme")

    assert result.exit_code == 1
    assert "cannot write raw/acme/campaign.csv" in result.stderr


def test_a_read_that_breaks_midway_leaves_no_half_file_and_the_older_one_as_it_was(call, here, database, monkeypatch):
    (here / "raw/acme").mkdir(parents=True)
    (here / "raw/acme/campaign.csv").write_text("older")
    monkeypatch.setattr(module.systems, "postgres", lambda: PostgresResource(url=database, statement_timeout_seconds=1))
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE klaviyo_acme.campaign RENAME TO campaign_now")
        connection.execute(
            "CREATE VIEW klaviyo_acme.campaign AS SELECT g::text AS id, (pg_sleep(0.01))::text AS name "
            "FROM generate_series(1, 100000) g"
        )
    try:
        result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme")
    finally:
        with psycopg.connect(database) as connection:
            connection.execute("DROP VIEW klaviyo_acme.campaign")
            connection.execute("ALTER TABLE klaviyo_acme.campaign_now RENAME TO campaign")

    assert result.exit_code == 1
    assert "statement timeout" in result.stderr
    assert "Raise statement_timeout_seconds" in result.stderr
    assert {path.name: path.read_text() for path in (here / "raw/acme").iterdir()} == {"campaign.csv": "older"}


def test_the_first_day_of_the_clock_change_has_its_hours(call, here, database):
    """The day of the spring change has 23 hours: its last hour ends at 04:00 UTC."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO klaviyo_acme.event (id, datetime) VALUES ('in', '2026-03-09 03:59:59Z'), "
            "('out', '2026-03-09 04:00:00Z')"
        )
    day = date(2026, 3, 8)

    call(extract, "--table", "events", "--start", day, "--end", day, "--out", "raw", "-a", "acme")

    assert [row["id"] for row in rows_of(here / f"raw/acme/event/{day}.csv")] == ["in"]


def test_a_few_rows_are_enough_to_have_a_look(call, here):
    result = call(extract, "--table", "campaign", "--out", "raw", "-a", "acme", "--limit", 1, "--json")

    (written,) = json.loads(result.stdout)
    assert written["rows"] == 1
    assert [row["id"] for row in rows_of(here / "raw/acme/campaign.csv")] == ["c1"]
    assert written["bytes"] == (here / "raw/acme/campaign.csv").stat().st_size


def test_the_nearest_account_and_table_are_asked_for(call):
    account = call(extract, "--table", "campaign", "--out", "raw", "-a", "acmee")
    table = call(extract, "--table", "campain", "--out", "raw")

    assert (account.exit_code, table.exit_code) == (2, 2)
    assert "Did you mean 'acme'?" in account.stderr
    assert "Did you mean 'campaign'?" in table.stderr
