"""Load jobs: the rules of BigQuery that DuckDB would let pass."""

import datetime as dt
import io

import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    EVENT,
    MAY_1,
    MAY_2,
    PROJECT,
    count,
    event_rows,
    event_table,
    load,
    load_config,
    parquet,
)

TRUNCATE = "WRITE_TRUNCATE"


def ids(client, table):
    """Return the ids of a table's rows."""
    return sorted(row["event_id"] for row in client.list_rows(client.get_table(table)))


def test_a_load_reports_rows_and_bytes(client, dataset):
    job = load(client, event_rows(MAY_1, 1000), event_table(client, dataset))

    assert (job.state, job.output_rows, job.input_files) == ("DONE", 1000, 1)
    assert job.input_file_bytes > 0
    assert job.output_bytes > 0
    assert job.ended >= job.started >= job.created


def test_a_day_is_replaced_and_the_other_days_are_untouched(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3, "old"), f"{table}$20240501", load_config(write_disposition=TRUNCATE))
    load(client, event_rows(MAY_2, 1, "other"), f"{table}$20240502", load_config(write_disposition=TRUNCATE))

    load(client, event_rows(MAY_1, 2, "new"), f"{table}$20240501", load_config(write_disposition=TRUNCATE))

    assert ids(client, table) == ["new0", "new1", "other0"]


def test_rows_of_another_day_are_refused_and_change_nothing(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3), f"{table}$20240501")

    with pytest.raises(BadRequest, match="Some rows belong to different partitions"):
        load(client, event_rows(MAY_2, 2), f"{table}$20240501", load_config(write_disposition=TRUNCATE))

    assert ids(client, table) == ["e0", "e1", "e2"]


def test_a_row_without_a_day_does_not_belong_to_a_day(client, dataset):
    schema = [SchemaField("id", "INTEGER"), SchemaField("day", "DATE")]
    table = bigquery.Table(f"{PROJECT}.{dataset}.t", schema=schema)
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    client.create_table(table)
    rows = pa.table({"id": [1, 2], "day": pa.array([MAY_1, None], pa.date32())})

    with pytest.raises(BadRequest, match="Some rows belong to different partitions"):
        load(client, rows, f"{PROJECT}.{dataset}.t$20240501", load_config(schema))
    load(client, rows, f"{PROJECT}.{dataset}.t", load_config(schema))

    assert client.list_partitions(f"{dataset}.t") == ["20240501", "__NULL__"]


def test_the_day_of_a_timestamp_is_its_utc_day(client, dataset):
    schema = [SchemaField("at", "TIMESTAMP")]
    table = bigquery.Table(f"{PROJECT}.{dataset}.t", schema=schema)
    table.time_partitioning = bigquery.TimePartitioning(field="at")
    client.create_table(table)
    late = pa.table({"at": pa.array([dt.datetime(2024, 5, 1, 23, 59, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))})

    load(client, late, f"{PROJECT}.{dataset}.t$20240501", load_config(schema))
    with pytest.raises(BadRequest, match="different partitions"):
        load(client, late, f"{PROJECT}.{dataset}.t$20240502", load_config(schema))

    assert client.list_partitions(f"{dataset}.t") == ["20240501"]


def test_a_file_without_rows_empties_its_day(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 3), f"{table}$20240501")
    load(client, event_rows(MAY_2, 2), f"{table}$20240502")

    job = load(client, event_rows(MAY_1, 0), f"{table}$20240501", load_config(write_disposition=TRUNCATE))

    assert job.output_rows == 0
    assert client.list_partitions(table) == ["20240502"]


@pytest.mark.parametrize("decorator", ["2024", "2024050112", "20240532", "__NULL__", "x"])
def test_other_decorators_than_days_are_refused(client, dataset, decorator):
    with pytest.raises(BadRequest, match="decorator"):
        load(client, event_rows(MAY_1, 1), f"{event_table(client, dataset)}${decorator}")


def test_a_decorator_needs_a_partitioned_table(client, dataset):
    client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.plain", schema=EVENT))

    with pytest.raises(BadRequest, match="not partitioned"):
        load(client, event_rows(MAY_1, 1), f"{PROJECT}.{dataset}.plain$20240501")


def test_a_missing_table_is_made_as_the_job_describes_it(client, dataset):
    config = load_config()
    config.time_partitioning = bigquery.TimePartitioning(field="occurred_on")
    config.clustering_fields = ["event_id"]
    config.destination_table_description = "made by a load"

    load(client, event_rows(MAY_1, 2), f"{PROJECT}.{dataset}.made$20240501", config)

    table = client.get_table(f"{dataset}.made")
    assert (table.num_rows, table.description) == (2, "made by a load")
    assert (table.time_partitioning.field, table.clustering_fields) == ("occurred_on", ["event_id"])
    assert list(table.schema) == list(EVENT)


def test_a_missing_table_is_not_made_when_told_so(client, dataset):
    with pytest.raises(NotFound):
        load(client, event_rows(MAY_1, 1), f"{PROJECT}.{dataset}.t", load_config(create_disposition="CREATE_NEVER"))
    with pytest.raises(NotFound):
        load(client, event_rows(MAY_1, 1), f"{PROJECT}.nowhere.t")


def test_append_adds_truncate_replaces_and_empty_wants_an_empty_table(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 2), table, load_config(write_disposition="WRITE_EMPTY"))
    load(client, event_rows(MAY_1, 2), table, load_config(write_disposition="WRITE_APPEND"))
    assert count(client, table) == 4

    with pytest.raises(Conflict):
        load(client, event_rows(MAY_1, 2), table, load_config(write_disposition="WRITE_EMPTY"))
    load(client, event_rows(MAY_2, 1), table, load_config(write_disposition=TRUNCATE))

    assert count(client, table) == 1


def test_truncating_a_whole_table_replaces_its_schema_and_keeps_its_layout(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 2), table)
    schema = [*EVENT[:2], SchemaField("extra", "INTEGER")]
    rows = event_rows(MAY_2, 1).select(["event_id", "occurred_on"]).append_column("extra", pa.array([7]))

    load(client, rows, table, load_config(schema, write_disposition=TRUNCATE))

    new_table = client.get_table(table)
    assert [field.name for field in new_table.schema] == ["event_id", "occurred_on", "extra"]
    assert (new_table.time_partitioning.field, new_table.clustering_fields) == ("occurred_on", ["event_id"])
    assert [row["extra"] for row in client.list_rows(new_table)] == [7]


def test_truncating_only_the_data_keeps_the_schema(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 2), table)

    load(client, event_rows(MAY_2, 1), table, load_config(write_disposition="WRITE_TRUNCATE_DATA"))

    assert list(client.get_table(table).schema) == list(EVENT)
    assert count(client, table) == 1


def test_another_layout_than_the_tables_is_refused(client, dataset):
    config = load_config()
    config.time_partitioning = bigquery.TimePartitioning(field="occurred_at")

    with pytest.raises(BadRequest, match="Incompatible table partitioning"):
        load(client, event_rows(MAY_1, 1), event_table(client, dataset), config)


def test_a_null_in_a_required_column_is_refused(client, dataset):
    table = event_table(client, dataset)
    rows = event_rows(MAY_1, 2).set_column(0, "event_id", pa.array(["a", None]))

    with pytest.raises(BadRequest, match="Required field"):
        load(client, rows, table)

    assert count(client, table) == 0


def test_a_table_with_required_columns_needs_the_schema_in_the_job(client, dataset):
    with pytest.raises(BadRequest, match="event_id has changed mode from REQUIRED to NULLABLE"):
        load(client, event_rows(MAY_1, 1), event_table(client, dataset), load_config(None))


def test_a_required_field_in_the_file_needs_one_in_the_schema(client, dataset):
    rows = pa.table({"n": pa.array([1])}, pa.schema([pa.field("n", pa.int64(), nullable=False)]))

    with pytest.raises(BadRequest, match="n has changed mode from NULLABLE to REQUIRED"):
        load(client, rows, f"{PROJECT}.{dataset}.t", load_config([SchemaField("n", "INTEGER")]))
    load(client, rows, f"{PROJECT}.{dataset}.t", load_config([SchemaField("n", "INTEGER", "REQUIRED")]))


def test_an_unknown_column_needs_leave_to_be_added(client, dataset):
    table = event_table(client, dataset)
    schema = [*EVENT, SchemaField("note", "STRING")]
    rows = event_rows(MAY_1, 1).append_column("note", pa.array(["n"]))
    day = f"{table}$20240501"

    with pytest.raises(BadRequest, match=r"Cannot add fields \(field: note\)"):
        load(client, rows, table, load_config(schema))
    allowed = load_config(schema, write_disposition=TRUNCATE, schema_update_options=["ALLOW_FIELD_ADDITION"])
    load(client, rows, day, allowed)
    load(client, event_rows(MAY_2, 1), f"{table}$20240502")

    assert [field.name for field in client.get_table(table).schema][-1] == "note"
    assert sorted(str(row["note"]) for row in client.list_rows(client.get_table(table))) == ["None", "n"]


def test_a_required_column_is_relaxed_with_leave(client, dataset):
    table = event_table(client, dataset)
    schema = [SchemaField("event_id", "STRING"), *EVENT[1:]]
    rows = event_rows(MAY_1, 1).set_column(0, "event_id", pa.array([None], pa.string()))

    load(client, rows, table, load_config(schema, schema_update_options=["ALLOW_FIELD_RELAXATION"]))

    assert client.get_table(table).schema[0].mode == "NULLABLE"


def test_schema_updates_do_not_go_with_truncating_a_whole_table(client, dataset):
    config = load_config(write_disposition=TRUNCATE, schema_update_options=["ALLOW_FIELD_ADDITION"])

    with pytest.raises(BadRequest, match="Schema update options"):
        load(client, event_rows(MAY_1, 1), event_table(client, dataset), config)


def test_a_missing_column_is_null_or_empty_and_a_required_one_refused(client, dataset):
    table = event_table(client, dataset)

    load(client, event_rows(MAY_1, 1).select(["event_id", "occurred_on"]), table)
    with pytest.raises(BadRequest, match="Missing required field: occurred_on"):
        load(client, event_rows(MAY_1, 1).select(["event_id"]), table)

    (row,) = client.list_rows(client.get_table(table))
    assert (row["value"], row["tags"]) == (None, [])


def test_a_job_writes_at_most_4000_partitions(client, dataset):
    schema = [SchemaField("day", "DATE")]
    table = bigquery.Table(f"{PROJECT}.{dataset}.t", schema=schema)
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    client.create_table(table)
    days = pa.table({"day": pa.array(range(4_001), pa.int32()).cast(pa.date32())})

    with pytest.raises(BadRequest, match="Too many partitions"):
        load(client, days, f"{PROJECT}.{dataset}.t", load_config(schema))
    load(client, days.slice(1), f"{PROJECT}.{dataset}.t", load_config(schema))

    assert count(client, f"{dataset}.t") == 4_000


def test_what_is_no_parquet_is_refused(client, dataset):
    with pytest.raises(BadRequest, match="not in Parquet format"):
        client.load_table_from_file(
            io.BytesIO(b"a,b\n1,2\n"), f"{PROJECT}.{dataset}.t", job_config=load_config()
        ).result()


@pytest.mark.parametrize("length", [1, 3])
def test_a_resumable_upload_arrives_in_chunks(client, dataset, length, monkeypatch):
    from google.cloud.bigquery import client as module

    monkeypatch.setattr(module, "_DEFAULT_CHUNKSIZE", 1024 * 1024)
    table = event_table(client, dataset)
    rows = event_rows(MAY_1, 300_000 * length)
    noise = pa.array([f"{place * 2654435761 % 2**32:x}" for place in range(rows.num_rows)])
    file = parquet(rows.set_column(0, "event_id", noise))

    job = client.load_table_from_file(file, table, job_config=load_config()).result()

    assert job.output_rows == rows.num_rows
    assert job.input_file_bytes == file.getbuffer().nbytes > 1024 * 1024


def test_a_job_id_is_used_once_whatever_became_of_it(client, dataset):
    table = event_table(client, dataset)
    load(client, event_rows(MAY_1, 1), table, job_id=f"{dataset}_a")
    with pytest.raises(Conflict):
        load(client, event_rows(MAY_1, 1), table, job_id=f"{dataset}_a")

    with pytest.raises(BadRequest):
        load(client, event_rows(MAY_1, 1).drop(["event_id"]), table, job_id=f"{dataset}_b")
    with pytest.raises(Conflict):
        load(client, event_rows(MAY_1, 1), table, job_id=f"{dataset}_b")

    assert count(client, table) == 1
    assert client.get_job(f"{dataset}_b").error_result["reason"] == "invalid"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"source_format": "CSV"}, "sourceFormat"),
        ({"ignore_unknown_values": True}, "ignoreUnknownValues"),
        ({"max_bad_records": 3}, "maxBadRecords"),
        ({"hive_partitioning": bigquery.HivePartitioningOptions()}, "hivePartitioningOptions"),
        ({"destination_encryption_configuration": bigquery.EncryptionConfiguration("k")}, "destinationEncryption"),
    ],
)
def test_settings_outside_the_subset_are_refused_by_name(client, dataset, settings, named):
    config = load_config()
    for name, value in settings.items():
        setattr(config, name, value)

    with pytest.raises(BadRequest, match=named):
        load(client, event_rows(MAY_1, 1), event_table(client, dataset), config)


def test_a_load_from_cloud_storage_is_refused(client, dataset):
    with pytest.raises(BadRequest, match="not supported by the local stand-in"):
        client.load_table_from_uri("gs://b/f", f"{PROJECT}.{dataset}.t", job_config=load_config()).result()
