"""What a SELECT reads from a real Postgres, whatever Fivetran has created so far and however it spelled it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from klaviyo_assets.mapping.values import parse
from klaviyo_assets.model.spec import (
    Column,
    CustomFields,
    LogicalType,
    Property,
    RawColumn,
    TableSpec,
    packed_spellings,
)
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.source.catalog import SourceCatalog
from klaviyo_assets.source.extraction import during
from klaviyo_assets.source.sql import RawTable, event_time, order_by, plan, select
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

SPEC = TableSpec(
    name="thing",
    grain="One row per thing.",
    description="A thing.",
    key=("thing_id",),
    columns=(Column(name="thing_id", type=LogicalType.STRING, description="Id.", raw="id"),),
    raw=(
        RawColumn(name="id", type=LogicalType.STRING),
        RawColumn(name="name", type=LogicalType.STRING, older_names=("title",)),
        RawColumn(name="size", type=LogicalType.INTEGER),
        RawColumn(name="weight", type=LogicalType.FLOAT),
        RawColumn(name="is_red", type=LogicalType.BOOLEAN),
        RawColumn(name="created", type=LogicalType.TIMESTAMP),
    ),
    properties=(Property(name="value"), Property(name="email_domain"), Property(name="tags", stays_in_properties=True)),
    custom_fields=CustomFields(prefix="property_", packed="custom_property_fields"),
)


@pytest.fixture(scope="module")
def url():
    with throwaway_postgres() as address:
        yield address


@pytest.fixture
def read(url):
    """Create `k.thing` from column definitions and rows, and read it as the spec says."""

    def do(columns, *rows, spec=SPEC, properties=True, server=None):
        with psycopg.connect(url) as connection:
            connection.execute("DROP SCHEMA IF EXISTS k CASCADE")
            connection.execute("CREATE SCHEMA k")
            connection.execute(f"CREATE TABLE k.{spec.name} ({columns})")
            for row in rows:
                connection.execute(f"INSERT INTO k.{spec.name} VALUES ({', '.join(['%s'] * len(row))})", row)
        with PostgresResource(url=url).snapshot() as snapshot:
            table = SourceCatalog.read(snapshot, "k").tables[spec.name]
            if server is not None:
                table = replace(table, server=server)
            query = sql.SQL(" ").join([select(spec, table, properties=properties), order_by(spec, table)])
            return snapshot.read(query)

    return do


def rest(table, row=0):
    """The `_properties` of a row."""
    text = table.column("_properties").to_pylist()[row]
    return text and json.loads(text)


def test_columns_that_are_missing_are_null_and_named(read):
    table = read("id text", ["a"])

    assert table.column_names == [
        "id", "name", "size", "weight", "is_red", "created", "property_value", "property_email_domain",
        "property_tags", "_properties", "_packed",
    ]  # fmt: skip
    assert table.to_pylist() == [dict.fromkeys(table.column_names) | {"id": "a"}]
    assert plan(SPEC, RawTable("k", "thing", {"id": "text", "title": "text"})).missing == [
        "size", "weight", "is_red", "created",
    ]  # fmt: skip


def test_native_types_come_as_they_are_and_others_as_text(read):
    native = read("id text, size int4, weight float8, is_red bool, created timestamptz",
                  ["a", 7, "1.5", True, datetime(2026, 1, 31, tzinfo=UTC)])  # fmt: skip
    texts = read("id text, size text, weight text, is_red text, created timestamp",
                 ["a", "7", "1.5", "yes", datetime(2026, 1, 31)])  # fmt: skip

    kinds = [native.schema.field(name).type for name in ("size", "weight", "is_red", "created")]
    assert kinds == [pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", "UTC")]
    assert native.column("created").to_pylist() == texts.column("created").to_pylist()
    assert texts.select(["size", "weight", "is_red"]).to_pylist() == [{"size": "7", "weight": "1.5", "is_red": "yes"}]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize(
    "moment", ["infinity", "-infinity", "58158-03-01", "10000-01-01", "0044-03-15 BC", "4713-01-01 BC", "200001-01-01"]
)
def test_times_that_no_calendar_has_reach_the_mapping_which_leaves_them_out(read, kind, moment):
    cells = read(f"id text, created {kind}", ["a", moment], ["b", "2026-01-31"]).column("created").combine_chunks()

    parsed = parse(cells, LogicalType.TIMESTAMP)
    assert parsed.values.to_pylist()[0] is None
    assert parsed.values.to_pylist()[1] == datetime(2026, 1, 31, tzinfo=UTC)
    assert list(parsed.reasons) == [0]


def test_a_date_that_no_instant_can_be_is_left_out(read):
    cells = read("id text, created date", ["a", "5874897-12-31"]).column("created").combine_chunks()

    assert parse(cells, LogicalType.TIMESTAMP).values.to_pylist() == [None]


def test_a_number_too_large_for_a_float_costs_its_cell(read):
    cells = read("id text, weight numeric", ["a", "1e400"], ["b", "NaN"], ["c", "1.5"]).column("weight")

    assert parse(cells.combine_chunks(), LogicalType.FLOAT).values.to_pylist() == [None, None, 1.5]


HOSTILE = {
    "nul": (r'"x\u0000y"', "x\ufffdy"),
    "high half": (r'"cut \ud83d"', "cut \ufffd"),
    "low half": (r'"\ude00 cut"', "\ufffd cut"),
    "halves in the wrong order": (r'"\ude00\ud83d"', "\ufffd\ufffd"),
    "two high halves and a low one": (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
    "a pair": (r'"\uD83D\uDE00"', "\U0001f600"),
    "an escaped backslash before it": (r'"\\u0000"', r"\u0000"),
    "an escaped backslash before a low half": (r'"\\ud83d\ude00"', "\\ud83d\ufffd"),
    "three backslashes": (r'"\\\u0000"', "\\\ufffd"),
    "plain": (r'"a\u00e9\n"', "a\u00e9\n"),
    "no text": ("7", "7"),
    "null": ("null", None),
    "object": (r'{"a": "\u00e9"}', r'{"a": "\u00e9"}'),
}


@pytest.mark.parametrize(("written", "wanted"), HOSTILE.values(), ids=HOSTILE)
def test_a_json_cell_that_no_text_can_hold_is_read_with_a_mark_in_its_place(read, written, wanted):
    table = read("id text, property_value json", ["a", written])

    assert table.column("property_value").to_pylist() == [wanted]


PACKED_ROWS = {
    "nul": r'{"value": 7, "url": "x\u0000"}',
    "half": r'{"value": 7, "url": "\ud83d"}',
    "half in a key": r'{"value": 7, "\ud83d": 1}',
    "twice": '{"value": 3, "value": 7}',
}
UNREADABLE = {
    "number too large": '{"value": 7, "n": 1e999999}',
    "deep": '{"value": 7, "n": ' + "[" * 1500 + "]" * 1500 + "}",
}


@pytest.mark.parametrize("kind", ["json", "text"])
@pytest.mark.parametrize("document", PACKED_ROWS.values(), ids=PACKED_ROWS)
def test_a_hostile_packed_document_keeps_its_other_values(read, kind, document):
    table = read(f"id text, custom_property_fields {kind}", ["a", document], ["b", '{"value": 8}'])

    assert table.column("property_value").to_pylist() == ["7", "8"]


@pytest.mark.parametrize("kind", ["json", "text"])
@pytest.mark.parametrize("server", [0, 180_000])
def test_a_packed_document_that_postgres_cannot_read_costs_no_other(read, url, kind, server):
    documents = list(UNREADABLE.values())[:1] + ([""" {"value": 7 """, "no JSON", ""] if kind == "text" else [])
    table = read(f"id text, custom_property_fields {kind}", *([str(at), text] for at, text in enumerate(documents)),
                 ["z", '{"value": 8}'], server=server)  # fmt: skip

    assert table.column("property_value").to_pylist()[-1] == "8"
    assert table.column("_packed").to_pylist() == [*documents, "{}"]


def test_keys_of_a_packed_document_may_be_anything(read):
    packed = {"": 1, "__proto__": {"a": 2}, "value": {"a": 1}, "$value ": 3}
    table = read("id text, custom_property_fields json", ["a", json.dumps(packed)])

    assert json.loads(table.column("property_value").to_pylist()[0]) == {"a": 1}
    assert json.loads(table.column("_packed").to_pylist()[0]) == {"": 1, "__proto__": {"a": 2}, "$value ": 3}


@pytest.mark.parametrize("document", ["[1, 2]", "null", "true", '"text"', "7"])
def test_a_packed_document_may_be_anything(read, document):
    table = read("id text, custom_property_fields json", ["a", document], ["b", '{"value": 8}'])

    assert table.column("property_value").to_pylist() == [None, "8"]
    assert table.column("_packed").to_pylist() == [document, "{}"]


def test_an_older_name_is_read_where_the_newer_one_says_nothing(read):
    table = read("id text, name text, title text", ["a", "new", "old"], ["b", None, "old"])

    assert table.column("name").to_pylist() == ["new", "old"]
    assert rest(table) is None


def test_an_older_name_of_another_type_is_read_as_text(read):
    assert read("id text, name text, title int4", ["a", None, 7]).column("name").to_pylist() == ["7"]


@pytest.mark.parametrize("spelling", ["property_email_domain", "propertyEmailDomain", "propertyemaildomain",
                                      "property_email_domain_", "PROPERTY_EMAIL_DOMAIN"])  # fmt: skip
def test_a_property_is_read_in_every_spelling_of_a_column(read, spelling):
    table = read(f'id text, "{spelling}" text', ["a", "example.com"])

    assert table.column("property_email_domain").to_pylist() == ["example.com"]
    assert rest(table) is None


@pytest.mark.parametrize("key", ["email_domain", "Email Domain", "$email_domain", "emailDomain", "email domain"])
@pytest.mark.parametrize("kind", ["jsonb", "json", "text"])
def test_a_property_is_read_in_every_spelling_of_a_packed_key(read, key, kind):
    table = read(f"id text, custom_property_fields {kind}", ["a", json.dumps({key: "example.com", "Other": [1]})])

    assert table.column("property_email_domain").to_pylist() == ["example.com"]
    assert json.loads(table.column("_packed").to_pylist()[0]) == {"Other": [1]}


@pytest.mark.parametrize("packed", ["[1, 2]", '"text"', "5", "{}"])
def test_a_packed_column_that_is_no_object_is_kept(read, packed):
    table = read("id text, custom_property_fields jsonb", ["a", packed])

    assert json.loads(table.column("_packed").to_pylist()[0]) == json.loads(packed)


def test_klaviyos_own_keys_of_a_send_are_read(read):
    table = read("id text, custom_property_fields jsonb", [
        "a", json.dumps({"$_cohort$message_send_cohort": "1586116963:LyZ7re", "$value": 5, "Bounce Type": "Hard"})
    ], spec=EVENT)  # fmt: skip

    assert table.column("property_cohort_message_send_cohort").to_pylist() == ["1586116963:LyZ7re"]
    assert table.column("property_value").to_pylist() == ["5"]
    assert table.column("property_bounce_type").to_pylist() == ["Hard"]


def test_a_property_that_stays_is_read_and_stays(read):
    table = read("id text, property_tags jsonb", ["a", '["x"]'])

    assert table.column("property_tags").to_pylist() == ['["x"]']
    assert rest(table) == {"tags": ["x"]}


def test_unlisted_columns_are_one_document_without_nulls(read):
    table = read(
        'id text, property_note text, "propertyBrandNew" numeric, property_list jsonb, uuid uuid, flag bool, '
        "odd float8",
        ["a", 'say "hi"\n', "1.50", '{"b": [1, null]}', "00000000-0000-0000-0000-000000000001", True, "NaN"],
        ["b", *[None] * 6],
    )

    assert rest(table) == {
        "note": 'say "hi"\n', "brand_new": 1.5, "list": {"b": [1, None]}, "flag": True, "odd": "NaN",
        "uuid": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    assert rest(table, 1) is None


def test_columns_that_would_share_a_key_are_both_kept(read):
    """An event has a `uuid` of its own, and may have a property of that name."""
    table = read('id text, uuid text, property_uuid text, "propertyUuid" text', ["a", "own", "custom", "camel"])

    text = table.column("_properties").to_pylist()[0]
    pairs = json.loads(text, object_pairs_hook=list)
    assert sorted(value for _, value in pairs) == ["camel", "custom", "own"]
    assert len({key for key, _ in pairs}) == 3


def test_more_columns_than_a_function_takes_arguments(read):
    names = [f"property_p{number}" for number in range(400)]
    columns = ", ".join(f"{name} text" for name in names)

    properties = rest(read(f"id text, {columns}", ["a", *names]))

    assert properties == {name.removeprefix("property_"): name for name in names}


@pytest.mark.parametrize(
    "name", ['property_"; DROP TABLE k.thing; --', "property_%s {} 'x'", "property_名前", "property_"]
)
def test_names_are_quoted_whatever_they_hold(read, name):
    quoted = name.replace('"', '""')

    table = read(f'id text, "{quoted}" text', ["a", "x"])

    assert list(rest(table).values()) == ["x"]


def test_touches_are_read_without_properties(read):
    assert not {"_properties", "_packed"} & set(read("id text", ["a"], properties=False).column_names)


def test_rows_come_in_order_of_the_key_byte_by_byte(read):
    table = read("id text", ["b"], ["a"], ["B"], ["ä"])

    assert table.column("id").to_pylist() == ["B", "a", "b", "ä"]


@pytest.mark.parametrize(("columns", "kind"), [
    ({"datetime": "timestamptz", "timestamp": "timestamptz"}, "both"), ({"datetime": "timestamptz"}, "datetime"),
    ({"timestamp": "timestamp"}, "timestamp"), ({}, "none"),
])  # fmt: skip
def test_the_time_of_an_event_is_whichever_is_there(url, columns, kind):
    table = RawTable("k", "event", columns)
    with psycopg.connect(url) as connection:
        values = [f"'2026-01-31 05:00:00'::{kind} AS {name}" for name, kind in columns.items()] or ["1 AS nothing"]
        (moment,) = connection.execute(
            f"SELECT {event_time(table).as_string(None)} AT TIME ZONE 'UTC' FROM (SELECT {', '.join(values)}) AS t"
        ).fetchone()

    assert (moment is None) == (kind == "none")


def test_a_day_of_events_ends_before_the_next_begins(url):
    table = RawTable("k", "event", {"datetime": "timestamptz", "timestamp": "timestamptz"})
    bounds = (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    rows = """(VALUES ('first', '2026-01-31 00:00Z'::timestamptz, NULL::timestamptz),
        ('next', '2026-02-01 00:00Z', NULL),
        ('fallback', NULL, '2026-01-31 23:59:59Z'), ('datetime wins', '2026-03-01 00:00Z', '2026-01-31 01:00Z'),
        ('undated', NULL, NULL)) AS t(id, datetime, timestamp)"""
    with psycopg.connect(url) as connection:
        ids = connection.execute(
            f"SELECT id FROM {rows} WHERE {during(table, *bounds).as_string(None)} ORDER BY id"
        ).fetchall()

    assert ids == [("fallback",), ("first",)]
    assert bounds[0].date() == date(2026, 1, 31)


def test_packed_keys_are_tried_in_every_known_spelling():
    assert {"$value", "value", "Value"} <= set(packed_spellings(Property(name="value")))
    assert {"Email Domain", "emailDomain", "$emailDomain", "Email_Domain"} <= set(
        packed_spellings(Property(name="email_domain"))
    )


def test_a_database_of_another_encoding_is_read_as_what_it_says(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    latin = f"{url.removesuffix('postgres')}latin"
    with psycopg.connect(latin, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA k; CREATE TABLE k.thing (id text, name text)")
        connection.execute("INSERT INTO k.thing VALUES ('a', 'Z\u00fcrich')")
    with PostgresResource(url=latin).snapshot() as snapshot:
        table = snapshot.read(select(SPEC, SourceCatalog.read(snapshot, "k").tables["thing"]))

    assert table.column("name").to_pylist() == ["Z\u00fcrich"]


def test_columns_of_any_type_are_read(read):
    table = read(
        "id text, name text[], size numeric, is_red text, created timestamp, property_value bytea, "
        "property_tags text[], odd interval, bits bit(3), place point, span int4range",
        ["a", ["x", "\u00e9"], "NaN", "maybe", datetime(2026, 1, 31), b"\x00\xff", ["1"], "1 day", "101", "(1,2)",
         "[1,3)"],
    )  # fmt: skip

    assert table.select(["name", "size", "is_red", "property_value"]).to_pylist() == [
        {"name": "{x,\u00e9}", "size": "NaN", "is_red": "maybe", "property_value": "\\x00ff"}
    ]
    assert rest(table).keys() == {"odd", "bits", "place", "span", "tags"}
