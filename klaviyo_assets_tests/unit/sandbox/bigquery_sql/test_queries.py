"""What whole queries give over the tables of `engine`."""

from typing import Any

import pytest

from klaviyo_assets.sandbox.bigquery.sql import Parameter, SqlError
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine, day, moment, money

CASES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("SELECT COUNT(*), COUNT(value), COUNT(DISTINCT metric) FROM event", [(5, 2, 3)]),
    (
        "SELECT SUM(value), AVG(value), MIN(value), MAX(value) FROM event",
        [(money("20"), money("10"), money("0.01"), money("19.99"))],
    ),
    ("SELECT SUM(quantity), AVG(quantity) FROM event WHERE FALSE", [(None, None)]),
    ("SELECT COUNTIF(metric = 'open'), COUNTIF(is_machine_open) FROM event", [(2, 1)]),
    ("SELECT COUNT(DISTINCT IF(metric = 'open', person_id, NULL)) FROM event", [(2,)]),
    ("SELECT AVG(x) FROM UNNEST([NUMERIC '1', NUMERIC '1', NUMERIC '2']) AS x", [(money("1.333333333"),)]),
    ("SELECT LOGICAL_OR(is_machine_open), LOGICAL_AND(is_machine_open) FROM event", [(True, False)]),
    ("SELECT ANY_VALUE(person_id HAVING MAX occurred_at) FROM event", [("ann",)]),
    ("SELECT ANY_VALUE(event_id HAVING MIN occurred_at), MAX_BY(event_id, value) FROM event", [("e2", "e3")]),
    ("SELECT ARRAY_AGG(event_id ORDER BY event_id DESC LIMIT 2) FROM event", [(["e5", "e4"],)]),
    ("SELECT ARRAY_AGG(value IGNORE NULLS ORDER BY value) FROM event", [([money("0.01"), money("19.99")],)]),
    ("SELECT ARRAY_AGG(DISTINCT metric ORDER BY metric) FROM event", [(["click", "open", "order"],)]),
    (
        "SELECT ARRAY_AGG(STRUCT(event_id AS id, quantity) ORDER BY event_id LIMIT 1) FROM event",
        [([{"id": "e1", "quantity": 1}],)],
    ),
    ("SELECT STRING_AGG(DISTINCT metric, '|' ORDER BY metric) FROM event", [("click|open|order",)]),
    ("SELECT STRING_AGG(event_id ORDER BY quantity DESC) FROM event", [("e4,e3,e2,e1,e5",)]),
    ("SELECT STRING_AGG(event_id, '' ORDER BY event_id LIMIT 2) FROM event", [("e1e2",)]),
    ("SELECT STRING_AGG(campaign_id, ',' ORDER BY event_id) FROM event WHERE campaign_id IS NULL", [(None,)]),
    ("SELECT APPROX_QUANTILES(x, 4) FROM UNNEST(GENERATE_ARRAY(1, 101)) AS x", [([1, 26, 51, 76, 101],)]),
    ("SELECT APPROX_QUANTILES(x, 100)[OFFSET(50)] FROM UNNEST(GENERATE_ARRAY(1, 101)) AS x", [(51,)]),
    ("SELECT APPROX_COUNT_DISTINCT(metric) FROM event", [(3,)]),
    ("SELECT STDDEV_POP(x), VAR_SAMP(x) FROM UNNEST([1, 3]) AS x", [(1.0, 2.0)]),
    ("SELECT CORR(x, x * 2) > 0.99 FROM UNNEST([1, 2, 3]) AS x", [(True,)]),
    (
        "SELECT metric, COUNT(*) AS n FROM event GROUP BY metric ORDER BY n DESC, metric",
        [("open", 2), ("order", 2), ("click", 1)],
    ),
    ("SELECT metric AS m, SUM(quantity) FROM event GROUP BY m ORDER BY 2 DESC LIMIT 1", [("order", 7)]),
    ("SELECT DATE_TRUNC(occurred_on, MONTH) AS month, COUNT(*) FROM event GROUP BY 1", [(day("2024-05-01"), 5)]),
    ("SELECT UPPER(metric) AS metric, COUNT(*) FROM event GROUP BY metric HAVING COUNT(*) = 1", [("CLICK", 1)]),
    ("SELECT metric, person_id, COUNT(*) FROM event GROUP BY ALL ORDER BY 1, 2 LIMIT 1", [("click", "ann", 1)]),
    (
        "SELECT metric, COUNT(*) AS n FROM event GROUP BY metric HAVING n > 1 ORDER BY metric",
        [("open", 2), ("order", 2)],
    ),
    (
        "SELECT metric, COUNT(*) FROM event GROUP BY ROLLUP(metric) ORDER BY metric",
        [(None, 5), ("click", 1), ("open", 2), ("order", 2)],
    ),
    ("SELECT metric, COUNT(*) FROM event GROUP BY GROUPING SETS ((metric), ()) ORDER BY 2 DESC LIMIT 1", [(None, 5)]),
    ("SELECT COUNT(*) FROM event GROUP BY metric ORDER BY COUNT(*) DESC LIMIT 1", [(2,)]),
    ("SELECT metric FROM event GROUP BY metric ORDER BY SUM(quantity) DESC LIMIT 1", [("order",)]),
    ("SELECT CONCAT(metric, '!') FROM event GROUP BY metric ORDER BY metric LIMIT 1", [("click!",)]),
    ("SELECT DISTINCT metric FROM event ORDER BY metric", [("click",), ("open",), ("order",)]),
    ("SELECT event_id FROM event ORDER BY value", [("e1",), ("e2",), ("e5",), ("e4",), ("e3",)]),
    ("SELECT event_id FROM event ORDER BY value DESC, event_id LIMIT 3", [("e3",), ("e4",), ("e1",)]),
    ("SELECT event_id FROM event ORDER BY value NULLS LAST, event_id LIMIT 1", [("e4",)]),
    ("SELECT event_id FROM event ORDER BY event_id LIMIT 2 OFFSET 3", [("e4",), ("e5",)]),
    ("SELECT * EXCEPT (name) FROM campaign ORDER BY 1 LIMIT 1", [("c1", moment("2024-04-30T08:00:00"))]),
    (
        "SELECT * REPLACE (UPPER(name) AS name) FROM campaign ORDER BY 1 LIMIT 1",
        [("c1", "SPRING", moment("2024-04-30T08:00:00"))],
    ),
    ("SELECT c.* EXCEPT (send_at), 1 FROM campaign AS c ORDER BY 1 LIMIT 1", [("c1", "Spring", 1)]),
    (
        "SELECT name, COUNT(event_id) FROM campaign LEFT JOIN event USING (campaign_id) GROUP BY name ORDER BY name",
        [("Autumn", 0), ("Spring", 3), ("Summer", 1)],
    ),
    ("SELECT campaign_id, name FROM event JOIN campaign USING (campaign_id) WHERE event_id = 'e4'", [("c2", "Summer")]),
    (
        "SELECT campaign_id, event_id FROM event FULL JOIN campaign USING (campaign_id) WHERE event_id IS "
        "NULL OR name IS NULL ORDER BY 1",
        [(None, "e5"), ("c3", None)],
    ),
    (
        "SELECT c.name FROM event e INNER JOIN campaign c ON e.campaign_id = c.campaign_id AND e.value > 1",
        [("Spring",)],
    ),
    ("SELECT campaign_id FROM event RIGHT JOIN campaign USING (campaign_id) WHERE event_id IS NULL", [("c3",)]),
    ("SELECT COUNT(*) FROM event, campaign", [(15,)]),
    ("SELECT COUNT(*) FROM event CROSS JOIN campaign", [(15,)]),
    (
        "SELECT event_id, tag FROM event, UNNEST(tags) AS tag ORDER BY 1, 2",
        [("e1", "a"), ("e1", "b"), ("e2", "b"), ("e4", "c")],
    ),
    ("SELECT COUNT(*) FROM event, event.tags", [(4,)]),
    (
        "SELECT event_id, tag, place FROM event CROSS JOIN UNNEST(tags) AS tag WITH OFFSET AS place WHERE place > 0",
        [("e1", "b", 1)],
    ),
    (
        "SELECT event_id, tag FROM event LEFT JOIN UNNEST(tags) AS tag WHERE quantity >= 3 ORDER BY 1",
        [("e3", None), ("e4", "c")],
    ),
    ("SELECT t.channel, rank FROM event AS e, UNNEST(e.touches) AS t ORDER BY rank", [("email", 1), ("sms", 2)]),
    (
        "SELECT (SELECT COUNT(*) FROM UNNEST(tags) AS t WHERE t = 'b') AS n FROM event ORDER BY event_id LIMIT 2",
        [(1,), (1,)],
    ),
    (
        "SELECT event_id FROM event WHERE EXISTS (SELECT 1 FROM campaign c WHERE c.campaign_id = "
        "event.campaign_id AND c.send_at IS NULL)",
        [("e4",)],
    ),
    (
        "SELECT event_id FROM event WHERE campaign_id NOT IN (SELECT campaign_id FROM campaign WHERE name = "
        "'Spring') ORDER BY 1",
        [("e4",)],
    ),
    (
        "SELECT name, (SELECT SUM(value) FROM event e WHERE e.campaign_id = c.campaign_id) AS v FROM "
        "campaign c ORDER BY 1",
        [("Autumn", None), ("Spring", money("19.99")), ("Summer", money("0.01"))],
    ),
    (
        "SELECT ARRAY(SELECT AS STRUCT name, campaign_id FROM campaign ORDER BY name LIMIT 1)",
        [([{"name": "Autumn", "campaign_id": "c3"}],)],
    ),
    ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT a.x, b.x AS y FROM a, b", [(1, 2)]),
    ("WITH event AS (SELECT 'mine' AS event_id) SELECT event_id FROM event", [("mine",)]),
    ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 2) ORDER BY x DESC", [(2,), (2,), (1,)]),
    ("SELECT 1 AS x UNION DISTINCT SELECT 1", [(1,)]),
    ("SELECT 1 AS x UNION ALL SELECT 1.5 ORDER BY x", [(1.0,), (1.5,)]),
    ("SELECT NULL AS x UNION ALL SELECT DATE '2024-01-01' ORDER BY x", [(None,), (day("2024-01-01"),)]),
    ("SELECT 1 AS x EXCEPT DISTINCT SELECT 2", [(1,)]),
    ("SELECT 1 AS x INTERSECT DISTINCT SELECT 2", []),
    ("SELECT x FROM UNNEST([1, 2, 3]) AS x EXCEPT DISTINCT SELECT 1 EXCEPT DISTINCT SELECT 2", [(3,)]),
    ("SELECT t.list[OFFSET(0)] FROM (SELECT [7, 8] AS list) AS t", [(7,)]),
    ("(SELECT 2 AS x UNION ALL SELECT 1) ORDER BY x LIMIT 1", [(1,)]),
    (
        "SELECT event_id, ROW_NUMBER() OVER (PARTITION BY metric ORDER BY occurred_at) AS n FROM event "
        "QUALIFY n = 2 ORDER BY 1",
        [("e1", 2), ("e4", 2)],
    ),
    (
        "SELECT event_id FROM event WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY "
        "occurred_at DESC) = 1 ORDER BY 1",
        [("e2",), ("e4",), ("e5",)],
    ),
    (
        "SELECT event_id, RANK() OVER (ORDER BY metric), DENSE_RANK() OVER (ORDER BY metric) FROM event "
        "ORDER BY 1 LIMIT 2",
        [("e1", 2, 2), ("e2", 2, 2)],
    ),
    (
        "SELECT LAG(event_id) OVER (ORDER BY event_id), LEAD(quantity, 1, 0) OVER (ORDER BY event_id) FROM "
        "event ORDER BY event_id LIMIT 1",
        [(None, 2)],
    ),
    (
        "SELECT SUM(quantity) OVER (ORDER BY event_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM event "
        "ORDER BY event_id",
        [(1,), (3,), (5,), (7,), (4,)],
    ),
    (
        "SELECT SUM(quantity) OVER (ORDER BY quantity RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM event "
        "ORDER BY quantity",
        [(None,), (1,), (3,), (5,), (7,)],
    ),
    ("SELECT SUM(quantity) OVER w FROM event WINDOW w AS (PARTITION BY metric) ORDER BY event_id LIMIT 1", [(3,)]),
    (
        "SELECT SUM(x) OVER (w ORDER BY x) FROM UNNEST([1, 2]) AS x WINDOW w AS (PARTITION BY 1) ORDER BY x",
        [(1,), (3,)],
    ),
    (
        "SELECT FIRST_VALUE(value IGNORE NULLS) OVER (ORDER BY event_id ROWS BETWEEN UNBOUNDED PRECEDING AND "
        "UNBOUNDED FOLLOWING) FROM event LIMIT 1",
        [(money("19.99"),)],
    ),
    ("SELECT LAST_VALUE(event_id) OVER (ORDER BY event_id) FROM event ORDER BY event_id LIMIT 1", [("e1",)]),
    ("SELECT NTILE(2) OVER (ORDER BY event_id) FROM event ORDER BY event_id", [(1,), (1,), (1,), (2,), (2,)]),
    ("SELECT DISTINCT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([1, 2, 3, 4]) AS x", [(2.5,)]),
    ("SELECT DISTINCT PERCENTILE_DISC(x, 0.5) OVER () FROM UNNEST([1, 2, 3, 4]) AS x", [(2,)]),
    ("SELECT AVG(value) OVER () FROM event LIMIT 1", [(money("10"),)]),
    ("SELECT metric, SUM(COUNT(*)) OVER () FROM event GROUP BY metric ORDER BY 1 LIMIT 1", [("click", 5)]),
    (
        "SELECT metric, COUNT(*) / SUM(COUNT(*)) OVER () AS share FROM event GROUP BY metric ORDER BY 1 LIMIT 1",
        [("click", 0.2)],
    ),
    ("SELECT COUNTIF(metric = 'open') OVER (ORDER BY event_id) FROM event ORDER BY event_id LIMIT 2", [(1,), (2,)]),
    (
        "SELECT TO_JSON_STRING(c) FROM campaign AS c WHERE name = 'Summer'",
        [('{"campaign_id":"c2","name":"Summer","send_at":null}',)],
    ),
    ("SELECT JSON_VALUE(properties, '$.n') FROM event ORDER BY event_id LIMIT 1", [("1",)]),
    ("SELECT JSON_VALUE(properties, '$.\"$ua\"') FROM event WHERE properties = 'broken'", [(None,)]),
    ("SELECT touches[SAFE_OFFSET(0)].channel FROM event ORDER BY event_id LIMIT 2", [("email",), (None,)]),
    ("SELECT e.event_id FROM p.d.event AS e ORDER BY 1 LIMIT 1", [("e1",)]),
    ("SELECT EVENT_ID FROM event AS E ORDER BY e.Event_Id LIMIT 1", [("e1",)]),
    (
        "SELECT d, COUNT(event_id) FROM UNNEST(GENERATE_DATE_ARRAY('2024-05-01', '2024-05-04')) AS d LEFT "
        "JOIN event ON occurred_on = d GROUP BY d ORDER BY d",
        [(day("2024-05-01"), 2), (day("2024-05-02"), 2), (day("2024-05-03"), 0), (day("2024-05-04"), 1)],
    ),
    (
        "SELECT DATE(occurred_at, 'America/New_York') AS d, COUNT(*) FROM event GROUP BY d ORDER BY d",
        [(day("2024-05-01"), 3), (day("2024-05-02"), 1), (day("2024-05-03"), 1)],
    ),
    ("SELECT s.a FROM (SELECT STRUCT(1 AS a) AS s)", [(1,)]),
    ("SELECT s.* FROM (SELECT STRUCT(1 AS a, 2 AS b) AS s)", [(1, 2)]),
    ("SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b)]) WITH OFFSET AS o", [(1, "x", 0)]),
    ("SELECT * FROM UNNEST([1, 2]) AS n ORDER BY n DESC", [(2,), (1,)]),
    ("SELECT IF(metric = 'open', 1, 0) AS is_open, COUNT(*) FROM event GROUP BY is_open ORDER BY 1", [(0, 3), (1, 2)]),
    ("SELECT MAX(x) FROM (SELECT COUNT(*) AS x FROM event GROUP BY metric)", [(2,)]),
]


@pytest.mark.parametrize(("sql", "expected"), CASES)
def test_a_query_gives_the_rows_bigquery_would(engine: Engine, sql: str, expected: list[tuple[Any, ...]]) -> None:
    """Rows, order, and Python values."""
    assert engine.rows(sql) == expected


PARAMETERS: list[tuple[str, Parameter, Any]] = [
    ("@x + 1", Parameter("x", "INT64", "41"), 42),
    ("@X", Parameter("x", "STRING", "it's"), "it's"),
    ("@x", Parameter("x", "NUMERIC", "12345678901234567890.123456789"), money("12345678901234567890.123456789")),
    ("@x", Parameter("x", "BOOL", "true"), True),
    ("@x", Parameter("x", "FLOAT64", "0.1"), 0.1),
    ("@x", Parameter("x", "DATE", "2024-05-01"), day("2024-05-01")),
    ("@x", Parameter("x", "TIMESTAMP", "2024-05-01 00:00:00+00:00"), moment("2024-05-01")),
    ("DATE '2024-05-01' = @x", Parameter("x", "STRING", "2024-05-01"), True),
    ("@x IS NULL", Parameter("x", "DATE", None), True),
    (
        "(SELECT COUNT(*) FROM event WHERE occurred_on IN UNNEST(@x))",
        Parameter("x", "ARRAY<DATE>", ["2024-05-01", "2024-05-04"]),
        3,
    ),
    ("(SELECT COUNT(*) FROM event WHERE occurred_on IN UNNEST(@x))", Parameter("x", "ARRAY<DATE>", []), 0),
    ("ARRAY_LENGTH(@x)", Parameter("x", "ARRAY<STRING>", ["a", "b"]), 2),
    ("(SELECT SUM(v) FROM UNNEST(@x) AS v)", Parameter("x", "ARRAY<INT64>", ["1", "2"]), 3),
    ("(SELECT COUNT(*) FROM (SELECT 1 FROM event LIMIT @x))", Parameter("x", "INT64", "2"), 2),
    (
        "(SELECT MAX(n) FROM (SELECT DATE_ADD(occurred_on, INTERVAL @x DAY) AS d, COUNT(*) AS n FROM event "
        "GROUP BY d))",
        Parameter("x", "INT64", "1"),
        2,
    ),
]


@pytest.mark.parametrize(("expression", "parameter", "expected"), PARAMETERS)
def test_a_parameter_stands_where_a_value_may(
    engine: Engine, expression: str, parameter: Parameter, expected: Any
) -> None:
    """Values arrive as the API's strings."""
    assert engine.value(expression, parameter) == expected


@pytest.mark.parametrize(
    "parameter", [Parameter("x", "INT64", "a"), Parameter("x", "BOOL", "yes"), Parameter("x", "NUMERIC", "1,5")]
)
def test_a_parameter_value_of_another_type_is_refused(engine: Engine, parameter: Parameter) -> None:
    """By name."""
    with pytest.raises(SqlError, match="Invalid value for query parameter x"):
        engine.value("@x", parameter)


def test_order_survives_the_check_of_array_columns(fresh: Engine) -> None:
    """A result with arrays is wrapped once more; a hundred thousand rows keep their order."""
    rows = fresh.rows("SELECT x, [x] AS a FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x ORDER BY x DESC")
    assert rows[0] == (100000, [100000])
    assert [row[0] for row in rows] == list(range(100000, 0, -1))


def test_an_empty_array_and_a_null_array_both_leave_as_empty(engine: Engine) -> None:
    """BigQuery's API knows no NULL array."""
    assert engine.rows("SELECT ARRAY_AGG(quantity IGNORE NULLS) AS a FROM event WHERE FALSE") == [([],)]
