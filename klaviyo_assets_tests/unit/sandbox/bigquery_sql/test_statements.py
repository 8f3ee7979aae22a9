"""DML, DDL, scripts, views, INFORMATION_SCHEMA, the cache."""

import duckdb
import pytest

from klaviyo_assets.sandbox.bigquery.sql import Field, Parameter, SqlError
from klaviyo_assets.sandbox.bigquery.sql.information_schema import COLUMNS
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import DATASET, PROJECT, Engine, day, money

EVENT = (PROJECT, DATASET, "event")
DAILY = (Field("d", "DATE"), Field("metric", "STRING"), Field("n", "INTEGER"))
DAILY_ROWS = "('2024-05-01', 'open', 9), ('2024-05-01', 'gone', 1), ('2024-05-03', 'open', 7)"


def test_insert_values_and_select_coerce_to_the_columns_types(fresh: Engine) -> None:
    """Text literals become dates, INT64 becomes NUMERIC."""
    fresh.rows("INSERT INTO event (event_id, occurred_on, value) VALUES ('x', '2024-06-01', 3)")
    fresh.rows("INSERT INTO event (event_id, value) SELECT 'y', COUNT(*) FROM campaign")
    rows = fresh.rows("SELECT event_id, occurred_on, value FROM event WHERE event_id IN ('x', 'y') ORDER BY 1")
    assert rows == [("x", day("2024-06-01"), money("3")), ("y", None, money("3"))]


def test_update_and_delete_change_the_rows_they_name(fresh: Engine) -> None:
    """An alias may name the table."""
    fresh.rows("UPDATE event AS e SET e.quantity = quantity + 1, value = 0 WHERE e.event_id = 'e1'")
    fresh.rows("DELETE event e WHERE e.event_id = 'e2'")
    assert fresh.rows("SELECT quantity, value FROM event WHERE event_id = 'e1'") == [(2, money("0"))]
    assert fresh.value("(SELECT COUNT(*) FROM event)") == 4


def test_update_from_another_table_matches_one_row_each(fresh: Engine) -> None:
    """Two source rows for one target row are an error, as in BigQuery."""
    fresh.rows("UPDATE event SET metric = name FROM campaign c WHERE event.campaign_id = c.campaign_id")
    assert fresh.rows("SELECT metric FROM event WHERE event_id = 'e4'") == [("Summer",)]
    with pytest.raises(duckdb.Error):
        fresh.rows("UPDATE campaign c SET name = event_id FROM event e WHERE e.campaign_id = c.campaign_id")


def test_merge_on_false_replaces_days_in_one_statement(fresh: Engine) -> None:
    """The idiom behind reports: other days stay, the named ones are replaced, days without rows emptied."""
    fresh.add("daily", DAILY, DAILY_ROWS)
    sql = """
        MERGE INTO daily AS target
        USING (SELECT occurred_on AS d, metric, COUNT(*) AS n FROM event
               WHERE occurred_on IN UNNEST(@days) GROUP BY d, metric) AS source
        ON FALSE
        WHEN NOT MATCHED BY SOURCE AND target.d IN UNNEST(@days) THEN DELETE
        WHEN NOT MATCHED THEN INSERT ROW
    """
    days = Parameter("days", "ARRAY<DATE>", ["2024-05-01", "2024-05-02"])
    statement = fresh.translate(sql, days)[0]
    assert (statement.kind, statement.target, statement.reads) == ("MERGE", (PROJECT, DATASET, "daily"), {EVENT})
    assert "rowid = " in statement.duckdb_sql, "every pair of rows compared would take hours for large reports"
    for _ in range(2):
        fresh.rows(sql, days)
    expected = [(day("2024-05-01"), "open", 2), (day("2024-05-02"), "order", 2), (day("2024-05-03"), "open", 7)]
    assert fresh.rows("SELECT * FROM daily ORDER BY 1, 2") == expected


def test_merge_updates_inserts_and_deletes_by_key(fresh: Engine) -> None:
    """Clauses are tried in order; columns resolve to the side that has them."""
    fresh.add("daily", DAILY, DAILY_ROWS)
    fresh.rows("""
        MERGE daily AS t USING (SELECT DATE '2024-05-01' AS d, k, v FROM UNNEST([STRUCT('open' AS k, 5 AS v),
                                STRUCT('gone', 0), STRUCT('new', 8)])) AS s
        ON t.d = s.d AND t.metric = s.k
        WHEN MATCHED AND v = 0 THEN DELETE
        WHEN MATCHED THEN UPDATE SET n = t.n + v
        WHEN NOT MATCHED BY TARGET THEN INSERT (d, metric, n) VALUES (s.d, k, v)
    """)
    expected = [(day("2024-05-01"), "new", 8), (day("2024-05-01"), "open", 14), (day("2024-05-03"), "open", 7)]
    assert fresh.rows("SELECT * FROM daily ORDER BY 1, 2") == expected


def test_merge_fails_when_two_source_rows_match_one(fresh: Engine) -> None:
    """And changes nothing."""
    with pytest.raises(duckdb.Error):
        fresh.rows("""MERGE campaign t USING (SELECT 'c1' AS k, n FROM UNNEST([1, 2]) AS n) s
                      ON t.campaign_id = s.k WHEN MATCHED THEN UPDATE SET name = CAST(n AS STRING)""")
    assert fresh.value("(SELECT name FROM campaign WHERE campaign_id = 'c1')") == "Spring"


@pytest.mark.parametrize(
    "clause",
    [
        "WHEN NOT MATCHED BY SOURCE AND s.n = 1 THEN DELETE",
        "WHEN NOT MATCHED THEN INSERT (campaign_id) VALUES (t.name)",
        "WHEN NOT MATCHED THEN INSERT ROW",
        "WHEN MATCHED THEN UPDATE SET send_at = s.n",
    ],
)
def test_a_merge_clause_sees_only_its_side_and_types(engine: Engine, clause: str) -> None:
    """The target where there is no source row, the source where there is no target row."""
    with pytest.raises(SqlError):
        engine.translate(f"MERGE campaign t USING (SELECT 1 AS n) s ON FALSE {clause}")


def test_truncate_empties_a_table(fresh: Engine) -> None:
    """The table stays."""
    assert fresh.translate("TRUNCATE TABLE event")[0].kind == "TRUNCATE_TABLE"
    fresh.rows("TRUNCATE TABLE event")
    assert fresh.value("(SELECT COUNT(*) FROM event)") == 0


def test_create_table_says_everything_the_server_keeps(engine: Engine) -> None:
    """Columns, modes, partition, cluster, descriptions, labels."""
    statement = engine.translate("""
        CREATE OR REPLACE TABLE `q.e.t` (
            day DATE NOT NULL OPTIONS(description="the day"), tags ARRAY<STRING>, s STRUCT<a INT64, b NUMERIC>)
        PARTITION BY day CLUSTER BY day, s OPTIONS(description="rows", labels=[("team", "crm")])""")[0]
    inner = (Field("a", "INTEGER"), Field("b", "NUMERIC"))
    assert (statement.kind, statement.target) == ("CREATE_TABLE", ("q", "e", "t"))
    assert statement.schema == (
        Field("day", "DATE", "REQUIRED"),
        Field("tags", "STRING", "REPEATED"),
        Field("s", "RECORD", "NULLABLE", inner),
    )
    assert statement.options == {
        "or_replace": True,
        "column_descriptions": {"day": "the day"},
        "partition_field": "day",
        "partition_type": "DAY",
        "cluster_fields": ["day", "s"],
        "description": "rows",
        "labels": {"team": "crm"},
    }


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("occurred_on", ("occurred_on", "DAY")),
        ("DATE(occurred_at)", ("occurred_at", "DAY")),
        ("DATE_TRUNC(occurred_on, MONTH)", ("occurred_on", "MONTH")),
        ("TIMESTAMP_TRUNC(occurred_at, HOUR)", ("occurred_at", "HOUR")),
    ],
)
def test_create_table_as_select_partitions_by_a_column(engine: Engine, clause: str, expected: tuple[str, str]) -> None:
    """The SELECT comes translated, its columns with BigQuery's types."""
    sql = f"CREATE TABLE IF NOT EXISTS d.t PARTITION BY {clause} AS SELECT occurred_on, occurred_at FROM event"
    statement = engine.translate(sql)[0]
    assert statement.kind == "CREATE_TABLE_AS_SELECT"
    assert (statement.options["partition_field"], statement.options["partition_type"]) == expected
    assert statement.options["if_not_exists"]
    assert [field.type for field in statement.schema] == ["DATE", "TIMESTAMP"]
    assert len(engine.connection.execute(statement.duckdb_sql).fetchall()) == 5


def test_create_table_as_select_brings_values_to_declared_columns(engine: Engine) -> None:
    """Only where the types coerce."""
    statement = engine.translate("CREATE TABLE d.t (a NUMERIC) AS SELECT 1 AS x")[0]
    assert statement.schema == (Field("a", "NUMERIC"),)
    assert engine.connection.execute(statement.duckdb_sql).fetchall() == [(money("1"),)]
    with pytest.raises(SqlError, match="Column a has type INT64"):
        engine.translate("CREATE TABLE d.t (a INT64) AS SELECT 1.5 AS x")


def test_create_view_keeps_the_text_and_the_descriptions(engine: Engine) -> None:
    """The text is BigQuery's, not DuckDB's."""
    statement = engine.translate("""
        CREATE OR REPLACE VIEW d.v (metric OPTIONS(description="kind of event"), n) OPTIONS(description="counts")
        AS SELECT metric, COUNT(*) AS n FROM `p.d.event` GROUP BY metric;""")[0]
    assert statement.options["view_query"] == "SELECT metric, COUNT(*) AS n FROM `p.d.event` GROUP BY metric"
    assert statement.options["column_descriptions"] == {"metric": "kind of event"}
    assert statement.options["description"] == "counts"
    assert statement.schema == (Field("metric", "STRING"), Field("n", "INTEGER"))


def test_a_view_is_read_through_its_own_text(fresh: Engine) -> None:
    """Views over views, with WITH queries of the same name outside; parameters do not reach inside."""
    fresh.views[(PROJECT, DATASET, "opens")] = (
        "WITH x AS (SELECT * FROM d.event WHERE metric = 'open') SELECT event_id, quantity FROM x",
        (Field("event_id", "STRING"), Field("quantity", "INTEGER")),
    )
    fresh.views[(PROJECT, DATASET, "sums")] = ("SELECT SUM(quantity) AS s FROM d.opens", (Field("s", "INTEGER"),))
    statement = fresh.translate("WITH x AS (SELECT 1 AS one) SELECT one, s FROM x, sums")[0]
    assert {ref[2] for ref in statement.reads} == {"event", "opens", "sums"}
    assert fresh.rows("WITH x AS (SELECT 1 AS one) SELECT one, s FROM x, sums") == [(1, 3)]
    fresh.views[(PROJECT, DATASET, "loop")] = ("SELECT * FROM d.loop", (Field("s", "INTEGER"),))
    with pytest.raises(SqlError, match="refers to itself"):
        fresh.translate("SELECT * FROM d.loop")
    with pytest.raises(SqlError, match="Cannot modify the view"):
        fresh.translate("DELETE FROM sums WHERE TRUE")


def test_drop_and_alter_name_what_they_change(engine: Engine) -> None:
    """IF EXISTS and IF NOT EXISTS are told apart."""
    drop = engine.translate("DROP TABLE IF EXISTS d.t; DROP VIEW e.v")
    assert [(each.kind, each.target, each.options) for each in drop] == [
        ("DROP_TABLE", (PROJECT, "d", "t"), {"if_exists": True}),
        ("DROP_VIEW", (PROJECT, "e", "v"), {}),
    ]
    alter = engine.translate(
        "ALTER TABLE event ADD COLUMN IF NOT EXISTS a STRING OPTIONS(description='x'), ADD COLUMN b ARRAY<INT64>"
    )[0]
    assert alter.schema == (Field("a", "STRING"), Field("b", "INTEGER", "REPEATED"))
    assert alter.options == {"column_descriptions": {"a": "x"}, "added_if_not_exists": {"a"}}
    options = engine.translate("ALTER TABLE event SET OPTIONS (description='y')")[0].options
    assert options == {"description": "y"}


def test_a_script_sees_what_it_creates(engine: Engine) -> None:
    """Each statement binds against the catalog as the ones before leave it; only used parameters are bound."""
    script = """
        BEGIN TRANSACTION;
        CREATE TABLE d.t AS SELECT 1 AS a; -- a comment; with a semicolon
        ALTER TABLE d.t ADD COLUMN b STRING;
        INSERT INTO d.t (a, b) VALUES (2, ';');
        SELECT a, b FROM d.t WHERE a > @least;
        DROP TABLE d.t;
        COMMIT TRANSACTION;
    """
    statements = engine.translate(script, Parameter("least", "INT64", "0"), Parameter("spare", "STRING", "x"))
    assert [each.kind for each in statements] == [
        "BEGIN_TRANSACTION",
        "CREATE_TABLE_AS_SELECT",
        "ALTER_TABLE",
        "INSERT",
        "SELECT",
        "DROP_TABLE",
        "COMMIT_TRANSACTION",
    ]
    assert [each.parameters for each in statements if each.parameters] == [{"least": 0}]
    with pytest.raises(SqlError, match=r"Not found: Table p:d\.t"):
        engine.translate(script + "SELECT * FROM d.t", Parameter("least", "INT64", "0"))


def test_information_schema_is_read_from_a_relation_of_that_name(fresh: Engine) -> None:
    """The reference is in `reads`; the alias is the view's plain name."""
    view = "INFORMATION_SCHEMA.TABLES"
    fresh.add(view, COLUMNS[view], "('p', 'd', 'event', 'BASE TABLE', 'YES', 'NO', '2024-01-01', 'x')")
    statement = fresh.translate("SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES")[0]
    assert statement.reads == {(PROJECT, DATASET, view)}
    assert fresh.rows("SELECT table_name FROM `p.d.INFORMATION_SCHEMA.TABLES`") == [("event",)]
    assert fresh.rows("SELECT t.table_name FROM d.INFORMATION_SCHEMA.TABLES AS t") == [("event",)]
    assert fresh.rows("SELECT TABLES.table_name FROM p.d.information_schema.tables") == [("event",)]


def test_a_translation_is_kept_until_a_schema_changes(fresh: Engine) -> None:
    """Same text, new values: same SQL. New column: * has one more."""
    sql = "SELECT * FROM campaign WHERE campaign_id = @id"
    first = fresh.translate(sql, Parameter("id", "STRING", "c1"))[0]
    second = fresh.translate(sql, Parameter("id", "STRING", "c2"))[0]
    assert second.duckdb_sql is first.duckdb_sql
    assert (first.parameters, second.parameters) == ({"id": "c1"}, {"id": "c2"})
    ref = (PROJECT, DATASET, "campaign")
    fresh.tables[ref] = (*fresh.tables[ref], Field("extra", "STRING"))
    assert len(fresh.translate(sql, Parameter("id", "STRING", "c1"))[0].schema) == 4
