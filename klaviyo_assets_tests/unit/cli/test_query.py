"""`klaviyo-assets query` against the BigQuery stand-in as the process it is."""

import csv
import io
import json

import pytest
from google.cloud import bigquery
from rich.console import Console

from klaviyo_assets.cli import query as module
from klaviyo_assets.cli.query import query
from klaviyo_assets_tests.integration.sandbox_bigquery.server import PROJECT, running

ACME = '[[account]]\nname = "acme"\npostgres_schema = "klaviyo_acme"\n'
BLOOM = '[[account]]\nname = "bloom"\npostgres_schema = "klaviyo_bloom"\n'
EXACT = "12345678901234567890.123456789"
TYPES = f"""
SELECT NUMERIC '{EXACT}' AS amount, NUMERIC '0.000000001' AS least, 9007199254740993 AS whole,
  TIMESTAMP '2026-01-31 12:00:00.5+00' AS `at`, DATE '2026-01-31' AS on_day, TRUE AS flag,
  CAST(NULL AS STRING) AS nothing, 'a "b", c' AS words, [1, 2] AS list
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A stand-in with a dataset for acme and none for bloom."""
    with running(tmp_path_factory.mktemp("bigquery")) as server:
        client = server.client()
        client.create_dataset(f"{PROJECT}.klaviyo_acme")
        table = bigquery.Table(f"{PROJECT}.klaviyo_acme.event", [bigquery.SchemaField("event_id", "STRING")])
        client.create_table(table)
        client.query_and_wait(f"INSERT INTO `{PROJECT}.klaviyo_acme.event` (event_id) VALUES ('e1'), ('e2')")
        yield server


@pytest.fixture(autouse=True)
def environment(stand_in, tmp_path, monkeypatch):
    """One account, and the stand-in in the environment."""
    (tmp_path / "accounts.toml").write_text(ACME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KLAVIYO_ACCOUNTS_FILE", raising=False)
    for name, value in {
        "PROJECT": PROJECT, "DATASET_PREFIX": "klaviyo", "EMULATOR_HOST": stand_in.url,
        "EMULATOR_TOKEN": stand_in.token,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BIGQUERY_{name}", value)
    return tmp_path


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns that keeps what is printed."""
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=80, highlight=False)
    monkeypatch.setattr(module, "console", lambda: console)
    return console.file


def plain(text):
    return [
        line.rstrip() for line in text.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").split("\n")
    ]


def test_piped_it_is_csv_and_tables_need_no_dataset(call):
    result = call(query, "SELECT event_id FROM event ORDER BY event_id")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "event_id\ne1\ne2\n", "")


def test_csv_holds_every_digit(call):
    (row,) = csv.DictReader(io.StringIO(call(query, TYPES, "--format", "csv").stdout))

    assert row == {
        "amount": EXACT, "least": "0.000000001", "whole": "9007199254740993", "at": "2026-01-31T12:00:00.500000+00:00",
        "on_day": "2026-01-31", "flag": "true", "nothing": "", "words": 'a "b", c', "list": "[1, 2]",
    }  # fmt: skip


def test_json_holds_money_as_text_so_that_no_reader_rounds_it(call):
    (row,) = json.loads(call(query, TYPES, "--format", "json").stdout)

    assert row == {
        "amount": EXACT, "least": "0.000000001", "whole": 9007199254740993, "at": "2026-01-31T12:00:00.500000+00:00",
        "on_day": "2026-01-31", "flag": True, "nothing": None, "words": 'a "b", c', "list": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(("shown_as", "printed"), [("csv", "event_id\n"), ("json", "[]\n")])
def test_no_rows_are_no_rows(call, shown_as, printed):
    assert call(query, "SELECT event_id FROM event WHERE FALSE", "--format", shown_as).stdout == printed


def test_on_a_terminal_it_is_a_table_with_numbers_to_the_right(call, terminal):
    result = call(query, "SELECT 'Placed Order' AS metric, 5 AS events UNION ALL SELECT 'Viewed', 1234 ORDER BY 1")

    assert result.exit_code == 0, result.stderr
    assert plain(terminal.getvalue()) == [
        "metric        events",
        "Placed Order       5",
        "Viewed          1234",
        "2 rows",
        "",
    ]


def test_a_table_too_wide_for_80_columns_lists_each_row_and_cuts_nothing(call, terminal):
    result = call(query, TYPES)

    assert result.exit_code == 0, result.stderr
    lines = plain(terminal.getvalue())
    assert lines[0] == "row 1"
    assert f"amount   {EXACT}" in lines
    assert max(map(len, lines)) <= 80


def test_long_texts_are_folded_in_place(call, terminal):
    call(query, f"SELECT '{'x' * 200}' AS words, NUMERIC '{EXACT}' AS amount")

    lines = plain(terminal.getvalue())
    assert lines[1].endswith(EXACT)
    assert sum(line.count("x") for line in lines) == 200
    assert max(map(len, lines)) <= 80


def test_a_long_table_says_that_there_is_more(call, terminal):
    call(query, "SELECT number FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS number ORDER BY number")

    lines = plain(terminal.getvalue())
    assert lines[-3:] == ["   200", "first 200 of 1,000 rows; --format csv prints all", ""]


def test_brackets_in_values_are_no_markup(call, terminal):
    call(query, "SELECT '[red]x[/nothing]' AS words")

    assert "[red]x[/nothing]" in plain(terminal.getvalue())


def test_a_statement_without_rows_is_done(call, terminal):
    result = call(query, "CREATE TABLE made (n INT64)", "--write")

    assert result.exit_code == 0, result.stderr
    assert plain(terminal.getvalue())[0] == "Done; the statement returned no rows."


def test_a_syntax_error_is_bigquerys_word_in_two_lines(call):
    result = call(query, "SELEC 1")

    problem, fix = result.stderr.splitlines()
    assert result.exit_code == 1
    assert problem.startswith("error: BigQuery refused the query: Syntax error: ")
    assert "[1:" in problem
    assert "Job ID" not in problem
    assert fix == "  Fix the SQL; places are [line:column]."


def test_an_unknown_table_is_answered_with_those_there_are(call):
    result = call(query, "SELECT * FROM events")

    problem, fix = result.stderr.splitlines()
    assert result.exit_code == 1
    assert "Not found: Table local:klaviyo_acme.events" in problem
    assert fix.startswith("  local.klaviyo_acme has: event")


def test_before_the_first_load_it_says_how_to_load(call, environment):
    (environment / "accounts.toml").write_text(BLOOM)

    result = call(query, "SELECT * FROM event")

    assert result.exit_code == 1
    assert "`klaviyo-assets run --account bloom`" in result.stderr.splitlines()[1]


def test_one_of_several_accounts_has_to_be_named(call, environment):
    (environment / "accounts.toml").write_text(ACME + BLOOM)

    unnamed_result, named_result = (
        call(query, "SELECT 1 AS n"),
        call(query, "SELECT event_id FROM event", "--account", "acme"),
    )

    assert unnamed_result.exit_code == 2
    assert "there are 2 accounts: acme, bloom" in unnamed_result.stderr
    assert named_result.exit_code == 0


def test_an_unknown_account_is_wrong_usage(call):
    result = call(query, "SELECT 1 AS n", "--account", "acne")

    assert result.exit_code == 2
    assert "no account 'acne'" in result.stderr


def test_a_missing_project_is_named(call, monkeypatch):
    monkeypatch.delenv("BIGQUERY_PROJECT")

    result = call(query, "SELECT 1 AS n")

    assert result.exit_code == 2
    assert "the setting BIGQUERY_PROJECT is missing" in result.stderr


def test_a_wrong_format_is_wrong_usage(call):
    assert call(query, "SELECT 1 AS n", "--format", "xml").exit_code == 2


def rows_of(stand_in, table):
    return stand_in.client().get_table(f"{PROJECT}.klaviyo_acme.{table}").num_rows


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE event SET event_id = 'x' WHERE TRUE", "UPDATE"),
        ("\n-- SELECT\n/* SELECT */ DELETE FROM event WHERE TRUE", "DELETE"),
        ("INSERT INTO event (event_id) WITH made AS (SELECT 'e3' AS id) SELECT id FROM made", "INSERT"),
        ("MERGE event AS t USING (SELECT 'e1' AS id) AS s ON t.event_id = s.id WHEN MATCHED THEN DELETE", "MERGE"),
        ("TRUNCATE TABLE event", "TRUNCATE_TABLE"),
        ("DROP TABLE event", "DROP_TABLE"),
        ("CREATE TABLE copied AS SELECT * FROM event", "CREATE_TABLE_AS_SELECT"),
        ("CREATE OR REPLACE VIEW seen AS SELECT * FROM event", "CREATE_VIEW"),
        ("SELECT 1; DROP TABLE event", "SCRIPT"),
        ("SELECT 1; SELECT 2", "SCRIPT"),
    ],
)
def test_what_is_no_select_is_refused_and_changes_nothing(call, stand_in, sql, kind):
    result = call(query, sql)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"the statement was not run: BigQuery classes it as {kind}, and without --write only" in " ".join(
        result.stderr.split()
    )
    assert rows_of(stand_in, "event") == 2
    assert {table.table_id for table in stand_in.client().list_tables(f"{PROJECT}.klaviyo_acme")} <= {"event", "made"}


@pytest.mark.parametrize(
    "sql",
    [
        "\n-- DROP TABLE event\nSELECT COUNT(*) AS n FROM event /* UPDATE */",
        "WITH deleted AS (SELECT * FROM event) SELECT COUNT(*) AS n FROM deleted",
        "(SELECT COUNT(*) AS n FROM event);",
    ],
)
def test_a_select_is_run_however_it_is_written(call, sql):
    assert call(query, sql).stdout == "n\n2\n"


def test_with_write_anything_is_run(call, stand_in):
    assert call(query, "INSERT INTO event (event_id) VALUES ('e3')", "--write").exit_code == 0
    assert rows_of(stand_in, "event") == 3
    assert call(query, "DELETE FROM event WHERE event_id = 'e3'", "--write").exit_code == 0
    assert rows_of(stand_in, "event") == 2
