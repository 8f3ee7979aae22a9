"""Reserved words as names: the stand-in refuses exactly those that Google's analyzer refuses."""

import re

import pytest
from sqlglot.dialects.bigquery import BigQuery

from klaviyo_assets.sandbox.bigquery.sql import SqlError
from klaviyo_assets.sandbox.bigquery.sql.reserved import RESERVED
from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine

KEYWORDS = {word for word in BigQuery.Tokenizer.KEYWORDS if re.fullmatch(r"[A-Z_]+[A-Z0-9_]*", word)}
WORDS = sorted(RESERVED | KEYWORDS)

POSITIONS = [
    "SELECT {} FROM (SELECT 1 AS `{}`)",
    "SELECT 1 AS {}",
    "SELECT 1 {}",
    "SELECT 1 FROM (SELECT 2) AS {}",
    "SELECT 1 FROM (SELECT 2) {}",
    "WITH {} AS (SELECT 1 AS x) SELECT x FROM `{}`",
    "WITH a AS (SELECT 1 AS x) SELECT x FROM a AS {}",
    "SELECT STRUCT(1 AS {}) AS x",
    "SELECT CAST(NULL AS STRUCT<{} INT64>) AS x",
    "SELECT * EXCEPT ({}) FROM (SELECT 1 AS `{}`, 2 AS y)",
    "SELECT * REPLACE (2 AS {}) FROM (SELECT 1 AS `{}`)",
    "SELECT 1 AS x FROM UNNEST([1]) AS {}",
    "SELECT 1 AS x FROM UNNEST([1]) AS y WITH OFFSET AS {}",
    "SELECT SUM(i) OVER {} AS x FROM (SELECT 1 AS i) WINDOW `{}` AS (ORDER BY i)",
    "SELECT SUM(i) OVER w AS x FROM (SELECT 1 AS i) WINDOW w AS (ORDER BY i), {} AS (ORDER BY i)",
    "SELECT 1 AS x FROM (SELECT 1 AS i) AS a JOIN (SELECT 1 AS `{}`) AS b ON a.i = {}",
    "SELECT 1 AS x FROM (SELECT 1 AS `{}`) AS a JOIN (SELECT 1 AS `{}`) AS b USING ({})",
    "SELECT {}.x FROM (SELECT 1 AS x) AS `{}`",
    "SELECT y FROM (SELECT 1 AS `{}`, 2 AS y) ORDER BY {}",
    "SELECT 1 AS y FROM (SELECT 1 AS `{}`) WHERE {} = 1",
    "SELECT COUNT({}) AS x FROM (SELECT 1 AS `{}`)",
    "SELECT i + {} AS x FROM (SELECT 1 AS i, 1 AS `{}`)",
    "SELECT `{}` FROM (SELECT 1 AS `{}`)",
]


def is_accepted_by_google(google: GoogleSql, sql: str) -> bool:
    """Whether the analyzer takes a statement."""
    try:
        google.analyze(sql)
    except GoogleSqlError:
        return False
    return True


def is_accepted(engine: Engine, sql: str) -> bool:
    """Whether the stand-in takes a statement."""
    try:
        engine.translate(sql)
    except SqlError:
        return False
    return True


def test_the_list_is_googles(google: GoogleSql) -> None:
    """Of all words that either side knows."""
    refused = {word for word in WORDS if not is_accepted_by_google(google, f"SELECT 1 AS {word.lower()}")}
    assert refused == RESERVED


@pytest.mark.parametrize("position", POSITIONS)
def test_partition_is_refused_wherever_google_refuses_it(google: GoogleSql, engine: Engine, position: str) -> None:
    """The word of this product, at every place for a name."""
    sql = position.replace("{}", "partition")
    assert is_accepted(engine, sql) == is_accepted_by_google(google, sql)


@pytest.mark.slow
@pytest.mark.parametrize("position", POSITIONS)
def test_no_word_that_google_refuses_is_taken(google: GoogleSql, engine: Engine, position: str) -> None:
    """At every place for a name. Of words that are not reserved sqlglot refuses a few, which does no harm."""
    for word in WORDS:
        sql = position.replace("{}", word.lower())
        by_google = is_accepted_by_google(google, sql)
        assert is_accepted(engine, sql) == by_google or (by_google and word not in RESERVED), sql


@pytest.mark.parametrize("sql", ["SELECT t.partition FROM (SELECT 1 AS `partition`) AS t", "SELECT ARRAY[1, 2]"])
def test_a_word_after_a_dot_is_a_name(engine: Engine, sql: str) -> None:
    """And ARRAY before a bracket is a constructor."""
    assert engine.rows(sql)


def test_the_message_names_place_and_fix(engine: Engine) -> None:
    """Line and column are those of the text."""
    with pytest.raises(SqlError) as caught:
        engine.translate("SELECT metric,\n  partition FROM event")
    assert caught.value.message == (
        "Syntax error: Unexpected keyword PARTITION at [2:3]; as a name it needs backticks: `partition`"
    )
