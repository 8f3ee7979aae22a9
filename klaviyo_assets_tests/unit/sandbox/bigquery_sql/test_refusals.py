"""What must be an error: what BigQuery rejects, and what the stand-in does not offer."""

import duckdb
import pytest

from klaviyo_assets.sandbox.bigquery.sql import SqlError
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine

REJECTED_BY_BIGQUERY = [
    ("SELECT quantity AS q FROM event WHERE q > 1", "Unrecognized name: q"),
    ("SELECT quantity AS q, q + 1 FROM event", "Unrecognized name: q"),
    ("SELECT 1 AS a, 2 AS a", "Duplicate column names"),
    ("SELECT nothing FROM event", "Unrecognized name: nothing"),
    ("SELECT e.nothing FROM event AS e", "nothing not found inside e"),
    ("SELECT x.event_id FROM event", "Unrecognized name: x.event_id"),
    ("SELECT metric, value FROM event GROUP BY metric", "value which is neither grouped nor aggregated"),
    ("SELECT metric, COUNT(*) FROM event", "metric which is neither grouped nor aggregated"),
    ("SELECT metric FROM event GROUP BY 1 HAVING value > 1", "neither grouped nor aggregated"),
    ("SELECT metric FROM event GROUP BY 1 ORDER BY value", "neither grouped nor aggregated"),
    ("SELECT metric FROM event GROUP BY 2", "out of SELECT column number range"),
    ("SELECT metric FROM event ORDER BY 2", "out of SELECT column number range"),
    ("SELECT COUNT(*) FROM event GROUP BY 1", "not allowed in GROUP BY"),
    ("SELECT SUM(COUNT(*)) FROM event", "Aggregations of aggregations"),
    ("SELECT * FROM event WHERE COUNT(*) > 1", "Aggregate function not allowed in WHERE"),
    ("SELECT * FROM event WHERE ROW_NUMBER() OVER () = 1", "Analytic function not allowed in WHERE"),
    ("SELECT ROW_NUMBER() FROM event", "without an OVER clause"),
    ("SELECT RANK() OVER () FROM event", "Window ORDER BY is required"),
    ("SELECT COUNT(DISTINCT metric) OVER (ORDER BY metric) FROM event", "not allowed if DISTINCT"),
    ("SELECT event_id FROM event QUALIFY event_id = 'a'", "requires analytic function"),
    ("SELECT campaign_id FROM event JOIN campaign ON TRUE", "campaign_id is ambiguous"),
    ("SELECT * FROM event JOIN campaign", "must have an immediately following ON or USING"),
    ("SELECT 1 FROM event, event", "Duplicate table alias event"),
    ("SELECT * EXCEPT (nothing) FROM event", "does not exist"),
    ("SELECT 'a' = 1", "No matching signature for operator ="),
    ("SELECT metric = 1 FROM event", "No matching signature"),
    ("SELECT occurred_on = occurred_at FROM event", "No matching signature"),
    ("SELECT occurred_on > CURRENT_TIMESTAMP() FROM event", "No matching signature"),
    ("SELECT metric + 1 FROM event", "No matching signature"),
    ("SELECT 'a' + 'b'", "No matching signature"),
    ("SELECT LOWER(1)", "No matching signature for function LOWER"),
    ("SELECT SUM(metric) FROM event", "No matching signature"),
    ("SELECT IF(1, 2, 3)", "expected BOOL, found INT64"),
    ("SELECT IF(TRUE, 1, 'a')", "No matching signature"),
    ("SELECT COALESCE(1, 'a')", "No matching signature"),
    ("SELECT DATE_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)", "expected DATE, found TIMESTAMP"),
    ("SELECT TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 MONTH)", "do not support the MONTH date part"),
    ("SELECT DATE_TRUNC(CURRENT_DATE(), HOUR)", "does not support the HOUR date part"),
    ("SELECT CAST(1 AS DATE)", "Invalid cast from INT64 to DATE"),
    ("SELECT [1, 'a']", "No matching signature for ARRAY"),
    ("SELECT [1] = [1]", "not defined for arguments of type ARRAY"),
    ("SELECT 1 UNION ALL SELECT 'a'", "incompatible types: INT64, STRING"),
    ("SELECT 1 UNION ALL SELECT 1, 2", "mismatched column count"),
    ("SELECT 1 UNION SELECT 2", "Syntax error"),
    ("SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 2", "Different set operations"),
    ("SELECT 1 UNION ALL SELECT 2 EXCEPT DISTINCT SELECT 2", "Different set operations"),
    ("SELECT STRING_AGG(metric, ORDER BY metric) FROM event", "an expression is missing"),
    ("SELECT '1'::INT64", "Syntax error"),
    ("SELECT 1 == 1", "Syntax error"),
    ("SELECT SUM(quantity)[0] FROM event", "a subscript on a value of type INT64"),
    ("SELECT", "SELECT list is empty"),
    ("SELEC 1", ""),
    ("", "Unexpected end of statement"),
    ("SELECT * FROM absent", "Not found: Table p:d.absent"),
    ("SELECT @day", "Query parameter 'day' not found"),
    ("SELECT JSON_VALUE('{}', 'a')", "must start with"),
    ("SELECT JSON_VALUE('{}', '$.a-b')", "unsupported JSONPath"),
    ("SELECT REGEXP_EXTRACT('a', '(a)(b)')", "more than 1 capturing group"),
    ("SELECT DISTINCT metric FROM event ORDER BY value", "must be in the SELECT DISTINCT list"),
    ("SELECT * FROM event PIVOT(SUM(quantity) FOR metric IN ('open'))", "grouping by ARRAY"),
    ("SELECT DISTINCT tags FROM event", "cannot be used in SELECT DISTINCT"),
    ("SELECT (SELECT 1, 2)", "exactly one column"),
    ("SELECT 1 IN (SELECT 'a')", "No matching signature"),
    ("SELECT 1 LIMIT -1", "non-negative"),
    ("SELECT COUNT(*) FROM event LIMIT COUNT(*)", "LIMIT expects"),
    ("WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a", "Duplicate alias a"),
    ("SELECT * FROM (SELECT 1 AS x) WHERE y = 1", "Unrecognized name: y"),
    ("SELECT STRUCT(1 AS a).b", "Field name b does not exist"),
    ("SELECT metric.x FROM event", "Cannot access field x"),
    ("SELECT * FROM UNNEST(1)", "must be arrays"),
    ("DELETE FROM event", "must have a WHERE clause"),
    ("UPDATE event SET value = 1", "must have a WHERE clause"),
    ("UPDATE event SET nothing = 1 WHERE TRUE", "Column nothing is not present"),
    ("UPDATE event SET quantity = 'a' WHERE TRUE", "has type STRING which cannot be inserted"),
    ("INSERT INTO event (event_id, quantity) VALUES ('x', 1.5)", "cannot be inserted into column quantity"),
    ("INSERT INTO event (quantity) VALUES (1)", "Required column value for column event_id"),
    ("INSERT INTO event (event_id) VALUES ('x', 1)", "wrong column count"),
    ("INSERT INTO event (event_id) SELECT 1", "cannot be inserted into column event_id"),
    ("INSERT INTO campaign SELECT 'a', 'b'", "wrong column count"),
    ("CREATE TABLE d.t AS SELECT 1", "must be named"),
    ("CREATE TABLE d.t (a STRING) PARTITION BY a", "column a has type STRING"),
    ("CREATE VIEW d.v AS SELECT @day AS x", "parameter"),
]


@pytest.mark.parametrize(("sql", "message"), REJECTED_BY_BIGQUERY)
def test_what_bigquery_rejects_is_an_error(engine: Engine, sql: str, message: str) -> None:
    """DuckDB would run most of these."""
    with pytest.raises(SqlError) as caught:
        engine.translate(sql)
    assert message in caught.value.message
    assert caught.value.reason in ("invalidQuery", "notFound", "notImplemented")


NOT_OFFERED = [
    ("SELECT list_sort([2, 1])", "the function LIST_SORT"),
    ("SELECT read_csv('/etc/passwd')", "the function READ_CSV"),
    ("SELECT error_message('x')", "the function ERROR_MESSAGE"),
    ("SELECT FARM_FINGERPRINT('a')", "the function FARM_FINGERPRINT"),
    ("SELECT SESSION_USER()", "the function SESSION_USER"),
    ("SELECT NET.HOST('a')", "NetFunc"),
    ("SELECT ST_GEOGPOINT(1, 2)", "the function ST_GEOGPOINT"),
    ("SELECT APPROX_TOP_COUNT(metric, 1) FROM event", "the function APPROX_TOP_COUNT"),
    ("SELECT HLL_COUNT.INIT(metric) FROM event", "HLL_COUNT.INIT"),
    ("SELECT CAST('1' AS BIGNUMERIC)", "the type"),
    ("SELECT BIGNUMERIC '1'", "the type"),
    ("SELECT CAST('1' AS NUMERIC(10, 2))", "a parameterized type"),
    ("SELECT CAST(1 AS STRING FORMAT '9')", "FORMAT"),
    ("SELECT * FROM `p.d.event_*`", "the wildcard table event_*"),
    ("SELECT * FROM event FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "VERSION"),
    ("SELECT * FROM event TABLESAMPLE SYSTEM (10 PERCENT)", "SAMPLE"),
    ("SELECT * FROM campaign PIVOT(ARRAY_AGG(name) FOR campaign_id IN ('c1'))", "in PIVOT"),
    ("SELECT * FROM campaign PIVOT(MAX(name) FOR campaign_id IN (DATE '2024-01-01'))", "without an alias"),
    ("FROM event |> SELECT metric", "pipe syntax"),
    ("CREATE TEMP FUNCTION f(x INT64) AS (x + 1); SELECT f(1)", "CREATE FUNCTION"),
    ("CREATE TEMP TABLE x AS SELECT 1 AS a", "TEMPORARY"),
    (
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1.5 FROM a) SELECT * FROM a",
        "recursive query whose step",
    ),
    ("SELECT DATE '2024-01-02' - DATE '2024-01-01'", "DATE - DATE, which is an INTERVAL"),
    ("SELECT FORMAT('%x', 255)", "%x in FORMAT"),
    ("SELECT FORMAT(metric, 1) FROM event", "a format that is not a literal"),
    ("DECLARE x INT64 DEFAULT 1", "the statement"),
    ("SET x = 1", "the statement"),
    ("GRANT SELECT ON TABLE d.event TO 'x'", "the statement"),
    ("EXPORT DATA OPTIONS(uri='gs://x') AS SELECT 1", ""),
    ("CALL d.procedure()", ""),
    ("SELECT 1 EXCEPT ALL SELECT 1", ""),
    ("SELECT * FROM d.INFORMATION_SCHEMA.JOBS", "the view INFORMATION_SCHEMA.JOBS"),
    ("SELECT FORMAT_DATE('%q', CURRENT_DATE())", "%q in FORMAT_DATE"),
    ("SELECT PARSE_DATE('%m/%d', '01/02')", "without a year"),
    ("SELECT FORMAT_DATE(metric, CURRENT_DATE()) FROM event", "format that is not a literal"),
    ("SELECT REGEXP_EXTRACT('a', metric) FROM event", "regular expression that is not a literal"),
    ("SELECT JSON_VALUE(properties, metric) FROM event", "path that is not a literal"),
    ("SELECT list(quantity)[0] FROM event", "the function LIST"),
    ("SELECT COUNT() FILTER (WHERE TRUE) FROM event", "Filter"),
    ("SELECT 1 | 2 & 4", "without brackets"),
    ("SELECT DISTINCT ON (metric) metric FROM event", "ON in"),
    ("SELECT COUNT(*) FILTER (WHERE TRUE) FROM event", "Filter"),
    ("SELECT * FROM event e JOIN campaign c JOIN event f ON TRUE ON TRUE", "JOINS"),
    ("SELECT AS STRUCT 1 AS a", "SELECT AS STRUCT"),
    ("SELECT * FROM (SELECT AS STRUCT 1 AS a)", "SELECT AS STRUCT"),
    ("SELECT AS VALUE 1", "SELECT AS VALUE"),
    ("SELECT metric LIKE ANY (SELECT 'a') FROM event", "LIKE"),
    ("CREATE TABLE d.t (a INT64 DEFAULT 1)", "on a column"),
    ("CREATE TABLE d.t (a INT64) OPTIONS(expiration_timestamp=CURRENT_TIMESTAMP())", "the option expiration"),
    ("ALTER TABLE d.event DROP COLUMN value", "ALTER TABLE"),
    ("SELECT SUM(quantity ORDER BY metric) FROM event", "ORDER in SUM"),
]


@pytest.mark.parametrize(("sql", "message"), NOT_OFFERED)
def test_what_the_stand_in_lacks_is_refused_by_name(engine: Engine, sql: str, message: str) -> None:
    """Before anything runs."""
    with pytest.raises(SqlError) as caught:
        engine.translate(sql)
    assert message in caught.value.message


FAILING_WHEN_RUN = [
    "1 / 0",
    "NUMERIC '1' / 0",
    "DIV(1, 0)",
    "MOD(1, 0)",
    "9223372036854775807 + 1",
    "NUMERIC '99999999999999999999999999999' * 10",
    "SQRT(-1)",
    "LN(0)",
    "CAST('1.5' AS INT64)",
    "CAST('yes' AS BOOL)",
    "CAST('2024-01-01 10:00:00' AS DATE)",
    "CAST('2024-02-30' AS DATE)",
    "CAST('5' AS TIMESTAMP)",
    "DATE(2024, 2, 30)",
    "[1, 2][OFFSET(2)]",
    "[1, 2][ORDINAL(0)]",
    "SUBSTR('abc', 1, -1)",
    "(SELECT x FROM UNNEST([1, 2]) AS x)",
    "[1, NULL]",
    "PARSE_DATE('%Y%m%d', '2024-01-01')",
    "INT64(PARSE_JSON('\"a\"'))",
    "TIMESTAMP('2024-01-01 00:00:00+00', 'UTC')",
    "ERROR('stop')",
    "(SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x)",
    "DATE(CURRENT_TIMESTAMP(), 'Nowhere/Town')",
]


@pytest.mark.parametrize("expression", FAILING_WHEN_RUN)
def test_a_value_bigquery_fails_on_fails_here(engine: Engine, expression: str) -> None:
    """No infinity, no NULL, no rounded number in its place."""
    with pytest.raises(duckdb.Error):
        engine.value(expression)
