"""DML, DDL, scripts and their transactions through the real client."""

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    EVENT,
    MAY_1,
    MAY_2,
    count,
    rows_of,
)


def test_dml_reports_what_it_changed(client, events):
    def affected(sql):
        job = client.query(sql)
        assert list(job.result()) == []
        return job.num_dml_affected_rows, job.dml_stats

    inserted, stats = affected(f"INSERT INTO `{events}` (event_id, occurred_on) VALUES ('x', DATE '2024-05-03')")
    assert (inserted, stats.inserted_row_count) == (1, 1)
    assert affected(f"UPDATE `{events}` SET value = NUMERIC '2' WHERE event_id = 'x'")[0] == 1
    merged, stats = affected(
        f"MERGE `{events}` t USING (SELECT 'x' AS id UNION ALL SELECT 'y') s ON t.event_id = s.id "
        "WHEN MATCHED THEN UPDATE SET value = NUMERIC '3' "
        "WHEN NOT MATCHED THEN INSERT (event_id, occurred_on) VALUES (s.id, DATE '2024-05-04')"
    )
    assert (merged, stats.inserted_row_count, stats.updated_row_count) == (2, 1, 1)
    assert affected(f"DELETE FROM `{events}` WHERE event_id IN ('x', 'y')")[0] == 2
    assert affected(f"TRUNCATE TABLE `{events}`")[1].deleted_row_count == 7


def test_dml_cannot_put_null_into_a_required_column(client, events):
    with pytest.raises(BadRequest):
        rows_of(client, f"INSERT INTO `{events}` (event_id) VALUES ('x')")

    assert count(client, events) == 7


def test_tables_are_made_filled_and_dropped_by_sql(client, events, dataset):
    job = client.query(
        f"CREATE TABLE `{dataset}.days` PARTITION BY day CLUSTER BY n OPTIONS (description = 'per day') AS "
        f"SELECT occurred_on AS day, COUNT(*) AS n FROM `{events}` GROUP BY day"
    )
    job.result()
    table = client.get_table(f"{dataset}.days")
    assert (job.statement_type, job.ddl_operation_performed) == ("CREATE_TABLE_AS_SELECT", "CREATE")
    assert (table.num_rows, table.time_partitioning.field, table.clustering_fields) == (2, "day", ["n"])
    assert table.description == "per day"

    rows_of(client, f"CREATE OR REPLACE TABLE `{dataset}.days` AS SELECT day FROM `{dataset}.days`")
    assert [field.name for field in client.get_table(f"{dataset}.days").schema] == ["day"]
    rows_of(client, f"CREATE TABLE IF NOT EXISTS `{dataset}.days` (x INT64)")
    rows_of(client, f"CREATE TABLE `{dataset}.other` (x INT64 NOT NULL, y ARRAY<STRING>)")
    assert [field.mode for field in client.get_table(f"{dataset}.other").schema] == ["REQUIRED", "REPEATED"]
    with pytest.raises(Conflict):
        rows_of(client, f"CREATE TABLE `{dataset}.days` (x INT64)")

    rows_of(client, f"DROP TABLE `{dataset}.days`")
    rows_of(client, f"DROP TABLE IF EXISTS `{dataset}.days`")
    with pytest.raises(NotFound):
        rows_of(client, f"DROP TABLE `{dataset}.days`")


def test_views_are_made_and_replaced_by_sql(client, events, dataset):
    rows_of(client, f"CREATE VIEW `{dataset}.v` AS SELECT event_id FROM `{events}`")
    rows_of(client, f"CREATE OR REPLACE VIEW `{dataset}.v` AS SELECT occurred_on FROM `{events}`")

    view = client.get_table(f"{dataset}.v")

    assert (view.table_type, [field.name for field in view.schema]) == ("VIEW", ["occurred_on"])
    assert "occurred_on" in view.view_query
    rows_of(client, f"DROP VIEW `{dataset}.v`")
    with pytest.raises(NotFound):
        client.get_table(f"{dataset}.v")


def test_a_view_keeps_its_descriptions_until_it_is_replaced(client, events, dataset):
    options = "OPTIONS (friendly_name = 'Ids', description = 'whose', labels = [('team', 'crm')])"
    column = "(event_id OPTIONS (description = 'the event\\'s id'))"
    rows_of(client, f"CREATE VIEW `{dataset}.v` {column} {options} AS SELECT event_id FROM `{events}`")

    view = client.get_table(f"{dataset}.v")
    assert [(field.name, field.description) for field in view.schema] == [("event_id", "the event's id")]
    assert (view.friendly_name, view.description, view.labels) == ("Ids", "whose", {"team": "crm"})

    rows_of(client, f"CREATE OR REPLACE VIEW `{dataset}.v` AS SELECT event_id FROM `{events}`")
    view = client.get_table(f"{dataset}.v")
    assert [field.description for field in view.schema] == [None]
    assert (view.friendly_name, view.description, view.labels) == (None, None, {})


def test_a_view_sees_a_column_that_was_added_to_its_table(client, events, dataset):
    rows_of(client, f"CREATE VIEW `{dataset}.v` AS SELECT * FROM `{events}`")

    rows_of(client, f"ALTER TABLE `{events}` ADD COLUMN note STRING")

    assert [field.name for field in client.get_table(events).schema] == [*(field.name for field in EVENT), "note"]
    assert rows_of(client, f"SELECT COUNT(*), COUNT(note) FROM `{events}`") == [(7, 0)]
    assert rows_of(client, f"SELECT COUNT(*) FROM `{dataset}.v`") == [(7,)]


def test_a_script_gives_the_rows_of_its_last_select(client, events):
    job = client.query(
        f"DELETE FROM `{events}` WHERE occurred_on = DATE '2024-05-01'; SELECT COUNT(*) AS n FROM `{events}`"
    )

    assert [tuple(row) for row in job.result()] == [(4,)]
    assert job.statement_type == "SCRIPT"


def test_a_transaction_takes_effect_as_a_whole(client, events, report):
    swap = (
        f"BEGIN TRANSACTION; DELETE FROM `{report}` WHERE TRUE; "
        f"INSERT INTO `{report}` (day, events) SELECT occurred_on, COUNT(*) FROM `{events}` GROUP BY 1; "
        "COMMIT TRANSACTION"
    )
    rows_of(client, swap)
    rows_of(client, swap)

    assert rows_of(client, f"SELECT day, events FROM `{report}` ORDER BY 1") == [(MAY_1, 3), (MAY_2, 4)]


def test_a_failing_transaction_leaves_nothing(client, events):
    with pytest.raises(BadRequest):
        rows_of(
            client,
            f"BEGIN TRANSACTION; DELETE FROM `{events}` WHERE TRUE; "
            f"INSERT INTO `{events}` (event_id) VALUES ('no day'); COMMIT TRANSACTION",
        )

    assert count(client, events) == 7


def test_a_statement_before_the_one_that_fails_is_kept(client, events):
    with pytest.raises(BadRequest):
        rows_of(client, f"DELETE FROM `{events}` WHERE event_id = 'e0'; SELECT 1/0")

    assert count(client, events) == 5


def test_a_rolled_back_transaction_leaves_nothing(client, events):
    rows_of(client, f"BEGIN TRANSACTION; DELETE FROM `{events}` WHERE TRUE; ROLLBACK TRANSACTION")

    assert count(client, events) == 7


def test_a_transaction_has_to_be_ended(client, events):
    with pytest.raises(BadRequest, match="ends within a transaction"):
        rows_of(client, f"BEGIN TRANSACTION; DELETE FROM `{events}` WHERE TRUE")

    assert count(client, events) == 7
