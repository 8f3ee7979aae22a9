"""Datasets, tables and views through the real client."""

import datetime as dt

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed
from google.cloud import bigquery

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    EVENT,
    MAY_1,
    MAY_2,
    PROJECT,
    count,
    event_rows,
    event_table,
    load,
)


def test_a_dataset_keeps_what_was_said_about_it(client, dataset):
    new_dataset = bigquery.Dataset(f"{PROJECT}.{dataset}_described")
    new_dataset.description, new_dataset.labels, new_dataset.location, new_dataset.friendly_name = (
        "of acme",
        {"a": "b"},
        "EU",
        "Acme",
    )
    client.create_dataset(new_dataset)

    kept_dataset = client.get_dataset(f"{PROJECT}.{dataset}_described")

    assert (kept_dataset.description, kept_dataset.labels, kept_dataset.location) == ("of acme", {"a": "b"}, "EU")
    assert (kept_dataset.friendly_name, kept_dataset.created.tzinfo) == ("Acme", dt.UTC)
    client.delete_dataset(kept_dataset)


def test_creating_a_dataset_twice_is_a_conflict_unless_it_may_exist(client, dataset):
    with pytest.raises(Conflict):
        client.create_dataset(dataset)

    assert client.create_dataset(dataset, exists_ok=True).dataset_id == dataset


def test_datasets_are_listed_page_by_page(client, dataset):
    client.create_dataset(f"{dataset}_2")

    names = [one.dataset_id for one in client.list_datasets(page_size=1)]

    assert {dataset, f"{dataset}_2"} <= set(names)
    client.delete_dataset(f"{dataset}_2")


def test_a_patched_dataset_changes_in_what_was_named(client, dataset):
    fetched_dataset = client.get_dataset(dataset)
    fetched_dataset.description, fetched_dataset.labels = "new", {"team": "data"}

    changed = client.update_dataset(fetched_dataset, ["description", "labels"])

    assert (changed.description, changed.labels) == ("new", {"team": "data"})
    assert changed.etag != fetched_dataset.etag


def test_a_dataset_with_tables_is_only_deleted_with_its_contents(client, dataset):
    event_table(client, dataset)

    with pytest.raises(BadRequest, match="still in use"):
        client.delete_dataset(dataset)

    client.delete_dataset(dataset, delete_contents=True)
    with pytest.raises(NotFound):
        client.get_dataset(dataset)


def test_a_table_keeps_its_layout_and_descriptions(client, dataset):
    table = bigquery.Table(f"{PROJECT}.{dataset}.event", schema=EVENT)
    table.time_partitioning = bigquery.TimePartitioning(field="occurred_on")
    table.clustering_fields = ["event_id"]
    table.description, table.labels, table.friendly_name = "events", {"stage": "loaded"}, "Events"
    client.create_table(table)

    kept_table = client.get_table(f"{dataset}.event")

    assert list(kept_table.schema) == list(EVENT)
    assert (kept_table.time_partitioning.field, kept_table.time_partitioning.type_) == ("occurred_on", "DAY")
    assert (kept_table.clustering_fields, kept_table.description) == (["event_id"], "events")
    assert (kept_table.labels, kept_table.friendly_name, kept_table.table_type) == (
        {"stage": "loaded"},
        "Events",
        "TABLE",
    )
    assert (kept_table.num_rows, kept_table.num_bytes, kept_table.location) == (0, 0, "US")


def test_every_type_of_the_subset_can_be_a_column(client, dataset):
    schema = [
        bigquery.SchemaField(kind.lower(), kind)
        for kind in ("STRING", "BYTES", "INTEGER", "FLOAT", "NUMERIC", "BOOLEAN", "TIMESTAMP", "DATETIME", "DATE")
    ]
    schema += [bigquery.SchemaField("t", "TIME"), bigquery.SchemaField("j", "JSON")]
    inner = [bigquery.SchemaField("a", "INTEGER"), bigquery.SchemaField("b", "STRING", "REPEATED")]
    schema.append(bigquery.SchemaField("record", "RECORD", fields=inner))
    schema.append(bigquery.SchemaField("records", "RECORD", "REPEATED", fields=inner))

    client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.every", schema=schema))

    assert list(client.get_table(f"{dataset}.every").schema) == schema


def test_type_names_of_googlesql_come_back_as_those_of_the_api(client, dataset):
    schema = [
        bigquery.SchemaField("n", "INT64"),
        bigquery.SchemaField("f", "FLOAT64"),
        bigquery.SchemaField("b", "BOOL"),
    ]

    table = client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.names", schema=schema))

    assert [field.field_type for field in table.schema] == ["INTEGER", "FLOAT", "BOOLEAN"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (bigquery.SchemaField("n", "BIGNUMERIC"), "BIGNUMERIC"),
        (bigquery.SchemaField("g", "GEOGRAPHY"), "GEOGRAPHY"),
        (bigquery.SchemaField("s", "STRING", default_value_expression="'x'"), "defaultValueExpression"),
        (bigquery.SchemaField("a b", "STRING"), "Invalid field name"),
    ],
)
def test_columns_outside_the_subset_are_refused_by_name(client, dataset, field, message):
    with pytest.raises(BadRequest, match=message):
        client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.refused", schema=[field]))


def test_other_partitions_than_days_of_a_column_are_refused(client, dataset):
    table = bigquery.Table(f"{PROJECT}.{dataset}.hourly", schema=EVENT)
    table.time_partitioning = bigquery.TimePartitioning(type_="HOUR", field="occurred_at")
    with pytest.raises(BadRequest, match="supported: DAY"):
        client.create_table(table)

    table.time_partitioning = bigquery.TimePartitioning()
    with pytest.raises(BadRequest, match="ingestion time"):
        client.create_table(table)


def test_names_that_differ_only_in_case_are_refused(client, dataset):
    event_table(client, dataset)

    with pytest.raises(BadRequest, match="only in case"):
        client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.Event", schema=EVENT))


def test_creating_a_table_twice_is_a_conflict(client, dataset):
    table = event_table(client, dataset)

    with pytest.raises(Conflict):
        client.create_table(bigquery.Table(table, schema=EVENT))


def test_a_table_that_is_missing_is_not_found(client, dataset):
    with pytest.raises(NotFound, match=f"Not found: Table local:{dataset}.none"):
        client.get_table(f"{dataset}.none")
    with pytest.raises(NotFound, match="Not found: Dataset"):
        client.get_table("nowhere.none")


def test_tables_are_listed_with_their_kind(client, dataset):
    event_table(client, dataset)
    view = bigquery.Table(f"{PROJECT}.{dataset}.shown")
    view.view_query = f"SELECT event_id FROM `{PROJECT}.{dataset}.event`"
    client.create_table(view)

    listed = {one.table_id: one.table_type for one in client.list_tables(dataset, page_size=1)}

    assert listed == {"event": "TABLE", "shown": "VIEW"}


def test_an_update_with_an_old_etag_fails(client, dataset):
    table = client.get_table(event_table(client, dataset))
    table.description = "first"
    client.update_table(table, ["description"])

    table.description = "second"
    with pytest.raises(PreconditionFailed):
        client.update_table(table, ["description"])

    assert client.get_table(table.reference).description == "first"


def test_a_load_changes_the_etag(client, dataset):
    table = event_table(client, dataset)
    before = client.get_table(table)

    load(client, event_rows(MAY_1, 1), table)

    after = client.get_table(table)
    assert after.etag != before.etag
    assert after.modified >= before.modified


def test_columns_can_be_added_and_relaxed_but_not_removed(client, dataset):
    table = client.get_table(event_table(client, dataset))
    load(client, event_rows(MAY_1, 2), str(table.reference))
    table = client.get_table(table.reference)
    relaxed = bigquery.SchemaField("event_id", "STRING", description="relaxed")
    table.schema = [relaxed, *EVENT[1:], bigquery.SchemaField("note", "STRING")]

    changed = client.update_table(table, ["schema"])

    assert [field.name for field in changed.schema][-1] == "note"
    assert (changed.schema[0].mode, changed.schema[0].description) == ("NULLABLE", "relaxed")
    changed.schema = changed.schema[:-1]
    with pytest.raises(BadRequest, match="note is missing in new schema"):
        client.update_table(changed, ["schema"])


def test_partitioning_cannot_be_changed(client, dataset):
    table = client.get_table(event_table(client, dataset))
    table.time_partitioning = bigquery.TimePartitioning(field="occurred_at")

    with pytest.raises(BadRequest, match="Cannot change the partitioning"):
        client.update_table(table, ["time_partitioning"])


def test_a_deleted_day_leaves_the_others(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3), f"{table}$20240501")
    load(client, event_rows(MAY_2, 4), f"{table}$20240502")

    client.delete_table(f"{table}$20240501")

    assert count(client, table) == 4
    assert client.list_partitions(table) == ["20240502"]


def test_one_day_of_a_table_has_its_own_number_of_rows(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3), f"{table}$20240501")
    load(client, event_rows(MAY_2, 4), f"{table}$20240502")

    assert client.get_table(f"{table}$20240501").num_rows == 3
    assert client.list_partitions(table) == ["20240501", "20240502"]


def test_a_deleted_table_is_gone_and_may_be_missing(client, dataset):
    table = event_table(client, dataset)

    client.delete_table(table)
    client.delete_table(table, not_found_ok=True)

    with pytest.raises(NotFound):
        client.delete_table(table)


def test_a_view_shows_the_table_it_reads(client, dataset):
    table = event_table(client, dataset)
    view = bigquery.Table(f"{PROJECT}.{dataset}.ids")
    view.view_query = f"SELECT event_id AS id, value * 2 AS double_value FROM `{table}`"
    client.create_table(view)
    load(client, event_rows(MAY_1, 2), table)

    kept_view = client.get_table(f"{dataset}.ids")
    rows = [tuple(row) for row in client.query(f"SELECT * FROM `{PROJECT}.{dataset}.ids` ORDER BY id").result()]

    assert kept_view.view_query == view.view_query
    assert [(field.name, field.field_type) for field in kept_view.schema] == [
        ("id", "STRING"),
        ("double_value", "NUMERIC"),
    ]
    assert [row[0] for row in rows] == ["e0", "e1"]
    assert {str(row[1]) for row in rows} == {"2.5"}


def test_a_view_with_an_unknown_column_is_refused(client, dataset):
    view = bigquery.Table(f"{PROJECT}.{dataset}.wrong")
    view.view_query = f"SELECT nothing FROM `{event_table(client, dataset)}`"

    with pytest.raises(BadRequest, match="nothing"):
        client.create_table(view)


def test_a_changed_view_answers_with_its_new_query(client, dataset):
    table = event_table(client, dataset)
    view = bigquery.Table(f"{PROJECT}.{dataset}.v")
    view.view_query = f"SELECT event_id FROM `{table}`"
    kept_view = client.create_table(view)
    kept_view.view_query = f"SELECT occurred_on FROM `{table}`"

    client.update_table(kept_view, ["view_query"])

    assert [field.name for field in client.get_table(f"{dataset}.v").schema] == ["occurred_on"]


def test_rows_are_listed_as_they_are_stored(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 250), table)

    rows = list(client.list_rows(client.get_table(table), page_size=100))
    some = list(client.list_rows(client.get_table(table), selected_fields=EVENT[:1], max_results=3, start_index=10))
    day = client.list_rows(f"{table}$20240502", selected_fields=EVENT[:1])

    assert [row["event_id"] for row in rows] == [f"e{place}" for place in range(250)]
    assert rows[0]["occurred_at"] == dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    assert rows[0]["tags"] == ["a", "b"]
    assert [tuple(row) for row in some] == [("e10",), ("e11",), ("e12",)]
    assert list(day) == []


def test_a_table_changed_between_two_pages_is_not_mixed(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 10), table)
    pages = client.list_rows(client.get_table(table), page_size=5).pages
    next(pages)

    load(client, event_rows(MAY_2, 1), table)

    with pytest.raises(BadRequest, match="changed while it was being read"):
        next(pages)


def test_a_view_has_no_rows_of_its_own_to_list(client, dataset):
    view = bigquery.Table(f"{PROJECT}.{dataset}.v")
    view.view_query = "SELECT 1 AS x"
    client.create_table(view)

    with pytest.raises(BadRequest, match="type VIEW"):
        list(client.list_rows(client.get_table(f"{dataset}.v")))
