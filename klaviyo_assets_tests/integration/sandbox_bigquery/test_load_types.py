"""What a Parquet file may hold: types, lists and records."""

import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from klaviyo_assets_tests.integration.sandbox_bigquery.server import (
    MAY_1,
    PROJECT,
    event_rows,
    event_table,
    load,
    load_config,
)


def test_lists_need_list_inference(client, dataset):
    config = load_config()
    config.parquet_options = None

    with pytest.raises(BadRequest, match="enable_list_inference"):
        load(client, event_rows(MAY_1, 1), event_table(client, dataset), config)


def test_json_columns_cannot_be_loaded_from_parquet(client, dataset):
    schema = [SchemaField("j", "JSON")]
    client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.t", schema=schema))

    with pytest.raises(BadRequest, match="Unsupported field type: JSON"):
        load(client, pa.table({"j": ["{}"]}), f"{PROJECT}.{dataset}.t", load_config(schema))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([1.7]), "INTEGER"),
        (pa.array(["5"]), "INTEGER"),
        (pa.array([1]), "FLOAT"),
        (pa.array([1]), "NUMERIC"),
        (pa.array([1.5]), "NUMERIC"),
        (pa.array([dt.datetime(2024, 5, 1)], pa.timestamp("us")), "TIMESTAMP"),
        (pa.array([dt.datetime(2024, 5, 1)], pa.timestamp("us", "UTC")), "DATETIME"),
        (pa.array([dt.datetime(2024, 5, 1)], pa.timestamp("us", "UTC")), "DATE"),
        (pa.array([b"x"]), "STRING"),
        (pa.array(["x"]), "BYTES"),
        (pa.array([True]), "INTEGER"),
    ],
)
def test_a_file_of_another_type_is_refused(client, dataset, values, kind):
    schema = [SchemaField("c", kind)]

    with pytest.raises(BadRequest, match="c has changed type from"):
        load(client, pa.table({"c": values}), f"{PROJECT}.{dataset}.t", load_config(schema))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([dt.datetime(2024, 5, 1)], pa.timestamp("ns")), "nanoseconds"),
        (pa.array([Decimal("1.5")], pa.decimal128(38, 10)), "does not fit NUMERIC"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "Map"),
        (pa.array([[[1]]]), "list of lists"),
    ],
)
def test_types_outside_the_subset_are_refused(client, dataset, values, message):
    file = io.BytesIO()
    pq.write_table(pa.table({"c": values}), file, version="2.6")
    file.seek(0)

    with pytest.raises(BadRequest, match=message):
        client.load_table_from_file(file, f"{PROJECT}.{dataset}.t", job_config=load_config(None)).result()


def test_a_null_inside_an_array_is_refused(client, dataset):
    rows = pa.table({"tags": pa.array([["a", None]])})

    with pytest.raises(BadRequest, match="null element"):
        load(client, rows, f"{PROJECT}.{dataset}.t", load_config([SchemaField("tags", "STRING", "REPEATED")]))


def test_every_type_survives_the_way_in_and_out(client, dataset):
    record = pa.struct([("b", pa.list_(pa.string())), ("a", pa.int64())])
    rows = pa.table(
        {
            "s": ["ä\n\"'", None],
            "b": pa.array([b"\x00\xff", None]),
            "i": pa.array([-(2**63), None]),
            "f": pa.array([0.1, None]),
            "n": pa.array([Decimal("12345678901234567890123456789.123456789"), None], pa.decimal128(38, 9)),
            "y": pa.array([True, None]),
            "ts": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC), None], pa.timestamp("us", "UTC")),
            "dt": pa.array([dt.datetime(2024, 5, 1, 1, 2, 3, 4), None], pa.timestamp("us")),
            "d": pa.array([dt.date(2024, 2, 29), None]),
            "t": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")),
            "r": pa.array([{"b": ["x"], "a": 1}, None], record),
            "rs": pa.array([[{"b": [], "a": None}, {"b": ["y"], "a": 2}], None], pa.list_(record)),
        }
    )

    load(client, rows, f"{PROJECT}.{dataset}.every", load_config(None))

    stored = [dict(row) for row in client.list_rows(client.get_table(f"{dataset}.every"))]
    arrow = client.query(f"SELECT * FROM `{dataset}.every`").to_arrow(create_bqstorage_client=False)
    expected = rows.to_pylist()
    expected[1]["rs"] = []
    assert stored == expected
    assert arrow.to_pylist() == expected


def test_members_of_a_record_are_matched_by_name(client, dataset):
    inner = [SchemaField("a", "INTEGER"), SchemaField("b", "STRING")]
    schema = [SchemaField("r", "RECORD", fields=inner)]
    rows = pa.table({"r": pa.array([{"b": "x", "a": 1}], pa.struct([("b", pa.string()), ("a", pa.int64())]))})

    load(client, rows, f"{PROJECT}.{dataset}.t", load_config(schema))

    assert [row["r"] for row in client.list_rows(client.get_table(f"{dataset}.t"))] == [{"a": 1, "b": "x"}]
