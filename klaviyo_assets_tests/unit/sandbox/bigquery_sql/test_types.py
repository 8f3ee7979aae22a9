"""Which type an expression has, as the API names it."""

import pytest

from klaviyo_assets.sandbox.bigquery.sql import Field, SqlError, bigquery_type, duckdb_type
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine

KINDS = [
    ("1", "INTEGER"),
    ("NULL", "INTEGER"),
    ("1.5", "FLOAT"),
    ("1 / 2", "FLOAT"),
    ("1 + 1", "INTEGER"),
    ("1 + 1.5", "FLOAT"),
    ("NUMERIC '1' + 1", "NUMERIC"),
    ("NUMERIC '1' * 1.5", "NUMERIC"),
    ("NUMERIC '1' * CAST(1.5 AS FLOAT64)", "FLOAT"),
    ("NUMERIC '1' / 2", "NUMERIC"),
    ("DIV(7, 2)", "INTEGER"),
    ("ROUND(1)", "FLOAT"),
    ("ROUND(NUMERIC '1.5', 1)", "NUMERIC"),
    ("ABS(-1)", "INTEGER"),
    ("SAFE_DIVIDE(1, 2)", "FLOAT"),
    ("SAFE_DIVIDE(NUMERIC '1', 2)", "NUMERIC"),
    ("SAFE_DIVIDE(1.0, NUMERIC '2')", "NUMERIC"),
    ("COALESCE(NUMERIC '1', CAST(1 AS FLOAT64))", "FLOAT"),
    ("COALESCE(NUMERIC '1', 0)", "NUMERIC"),
    ("COALESCE(NULL, 'a')", "STRING"),
    ("IF(TRUE, 1, 1.5)", "FLOAT"),
    ("IF(TRUE, DATE '2024-01-01', NULL)", "DATE"),
    ("IF(TRUE, DATE '2024-01-01', '2024-01-02')", "DATE"),
    ("DATE '2024-01-01'", "DATE"),
    ("DATE_TRUNC(DATE '2024-01-01', MONTH)", "DATE"),
    ("DATE_ADD(DATE '2024-01-01', INTERVAL 1 MONTH)", "DATE"),
    ("DATE '2024-01-01' + INTERVAL 1 DAY", "DATETIME"),
    ("CURRENT_TIMESTAMP()", "TIMESTAMP"),
    ("TIMESTAMP_MICROS(1)", "TIMESTAMP"),
    ("DATETIME '2024-01-01 00:00:00'", "DATETIME"),
    ("EXTRACT(DATE FROM CURRENT_TIMESTAMP())", "DATE"),
    ("EXTRACT(YEAR FROM CURRENT_TIMESTAMP())", "INTEGER"),
    ("[1]", "REPEATED INTEGER"),
    ("[]", "REPEATED INTEGER"),
    ("GENERATE_DATE_ARRAY('2024-01-01', '2024-01-02')", "REPEATED DATE"),
    ("STRUCT(1 AS a)", "RECORD"),
    ("STRUCT(NULL AS a, 1 AS b)", "RECORD"),
    ("[STRUCT(NULL AS a), STRUCT(DATE '2024-01-01')]", "REPEATED RECORD"),
    ("MD5('a')", "BYTES"),
    ("PARSE_JSON('1')", "JSON"),
    ("JSON_VALUE('1')", "STRING"),
    ("TRUE AND FALSE", "BOOLEAN"),
    ("(SELECT COUNT(*) FROM event)", "INTEGER"),
    ("(SELECT SUM(quantity) FROM event)", "INTEGER"),
    ("(SELECT SUM(value) FROM event)", "NUMERIC"),
    ("(SELECT AVG(value) FROM event)", "NUMERIC"),
    ("(SELECT AVG(quantity) FROM event)", "FLOAT"),
    ("(SELECT SUM(value * quantity) FROM event)", "NUMERIC"),
    ("(SELECT SUM(score * value) FROM event)", "FLOAT"),
    ("(SELECT MAX(occurred_on) FROM event)", "DATE"),
    ("(SELECT APPROX_QUANTILES(value, 2) FROM event)", "REPEATED NUMERIC"),
    ("(SELECT STDDEV(value) FROM event)", "FLOAT"),
    ("(SELECT COUNTIF(TRUE) FROM event)", "INTEGER"),
    ("(SELECT ARRAY_AGG(occurred_at) FROM event)", "REPEATED TIMESTAMP"),
]


@pytest.mark.parametrize(("expression", "expected"), KINDS)
def test_an_expression_has_the_type_bigquery_gives_it(engine: Engine, expression: str, expected: str) -> None:
    """And DuckDB gives a column of the type that holds it."""
    assert engine.kind(expression) == expected
    engine.value(expression)


def test_a_struct_keeps_the_names_and_types_of_its_fields(engine: Engine) -> None:
    """Nested and repeated fields included."""
    statement = engine.translate("SELECT [STRUCT(1 AS a, STRUCT('x' AS c, [1.5] AS d) AS b)] AS s")[0]
    inner = Field("b", "RECORD", "NULLABLE", (Field("c", "STRING"), Field("d", "FLOAT", "REPEATED")))
    assert statement.schema == (Field("s", "RECORD", "REPEATED", (Field("a", "INTEGER"), inner)),)


def test_columns_without_a_name_are_numbered(engine: Engine) -> None:
    """f0_, f1_: only the nameless ones count."""
    statement = engine.translate("SELECT 1, quantity, 'x' FROM event")[0]
    assert [field.name for field in statement.schema] == ["f0_", "quantity", "f1_"]


def test_the_type_maps_answer_both_ways() -> None:
    """API names, GoogleSQL names, DuckDB's own spellings."""
    assert duckdb_type("INTEGER") == duckdb_type("INT64") == "BIGINT"
    assert duckdb_type("NUMERIC") == "DECIMAL(38,9)"
    assert bigquery_type("TIMESTAMP WITH TIME ZONE") == Field("", "TIMESTAMP")
    assert bigquery_type("VARCHAR[]") == Field("", "STRING", "REPEATED")
    assert bigquery_type('STRUCT(a BIGINT, "b c" DATE)').fields == (Field("a", "INTEGER"), Field("b c", "DATE"))


@pytest.mark.parametrize("name", ["BIGNUMERIC", "GEOGRAPHY", "RANGE", "nonsense"])
def test_types_the_stand_in_lacks_are_refused_by_name(name: str) -> None:
    """Nothing is mapped to the next best type."""
    with pytest.raises(SqlError, match=f"not supported by the local stand-in: the type {name}"):
        duckdb_type(name)
