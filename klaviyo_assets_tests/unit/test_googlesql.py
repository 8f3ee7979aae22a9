"""The tests' driver of Google's GoogleSQL engine: it refuses what BigQuery refuses, and gives BigQuery's values."""

import multiprocessing

import pytest

from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql, Parameter, Table

COLUMNS = (
    {"name": "id", "type": "STRING"},
    {"name": "n", "type": "INTEGER"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
)
ROWS = (("a", "1", [{"v": "x"}, {"v": "y"}]), ("b", None, []))
# One cell of each type, as the API spells it.
CELLS = {
    "STRING": "é",
    "BYTES": "AAE=",
    "INTEGER": "-9223372036854775808",
    "FLOAT": "1.5",
    "NUMERIC": "-12.000000001",
    "BIGNUMERIC": "0.00000000000000000000000000000000000001",
    "BOOLEAN": "true",
    "TIMESTAMP": "-1",
    "DATETIME": "2024-02-29T23:59:59.000001",
    "DATE": "1969-12-31",
    "TIME": "23:59:59",
    "JSON": '{"a":1}',
}


@pytest.fixture(scope="module")
def google():
    return GoogleSql({"a-project.klaviyo_acme.rows": Table(COLUMNS, ROWS), "rows": Table(COLUMNS, ROWS)})


@pytest.mark.parametrize(
    "table",
    ["`a-project.klaviyo_acme.rows`", "`a-project`.klaviyo_acme.`rows`", "`a-project.klaviyo_acme`.`rows`", "`rows`"],
)
def test_a_table_is_found_however_its_name_is_quoted(google, table):
    columns = google.columns(f"SELECT id AS name, SUM(n) AS total FROM {table} GROUP BY id")

    assert [(column["name"], column["type"]) for column in columns] == [("name", "STRING"), ("total", "INTEGER")]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT partition FROM `rows`", "Unexpected keyword PARTITION"),
        ("SELECT id AS group FROM `rows`", "Unexpected keyword GROUP"),
        ("SELECT id FROM rows", "Unexpected keyword ROWS"),
        ("SELECT nothing FROM `rows`", "Unrecognized name: nothing"),
        ("SELECT id + n FROM `rows`", "No matching signature"),
        ("SELECT @day FROM `rows`", "Query parameter 'day' not found"),
        ("SELECT 1; SELECT 2", "Expected end of input"),
    ],
)  # fmt: skip
def test_what_bigquery_refuses_is_refused_with_a_reason(google, sql, reason):
    with pytest.raises(GoogleSqlError, match=reason):
        google.analyze(sql)


def test_a_query_gives_its_rows(google):
    answer = google.evaluate(
        "SELECT id, n + @more AS n, ARRAY_LENGTH(tags) AS tags FROM `rows` ORDER BY id",
        [Parameter("more", {"name": "more", "type": "INT64"}, "41")],
    )

    assert answer.rows == [["a", "42", "2"], ["b", None, "0"]]
    assert [column["type"] for column in answer.columns] == ["STRING", "INTEGER", "INTEGER"]


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_of_every_type_comes_back_as_it_was(google, kind):
    column = {"name": "cell", "type": kind}
    record = {"name": "cell", "type": "RECORD", "fields": [column, {**column, "name": "more", "mode": "REPEATED"}]}
    cells = {"v": CELLS[kind]}

    single = google.evaluate("SELECT @cell AS cell", [Parameter("cell", column, CELLS[kind])])
    nested = google.evaluate("SELECT @cell AS cell", [Parameter("cell", record, {"f": [cells, {"v": [cells]}]})])

    assert single.rows == [[CELLS[kind]]]
    assert nested.rows == [[{"f": [cells, {"v": [cells]}]}]]


def _first_columns(_number: int) -> str:
    return GoogleSql().columns("SELECT 1 AS n")[0]["type"]


def test_several_processes_share_one_compiled_module(google):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_first_columns, range(2)) == ["INTEGER", "INTEGER"]
        # Without this the pool ends its processes by a signal, which a process that ignores it waits for.
        pool.close()
        pool.join()
