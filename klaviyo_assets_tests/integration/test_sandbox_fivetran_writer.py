"""How syncs look in a real Postgres."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from klaviyo_assets.sandbox.fivetran.shop import TABLES, Incident, Shop, profile
from klaviyo_assets.sandbox.fivetran.writer import create_indexes, write_sync
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

START, NOW = date(2026, 9, 20), datetime(2026, 10, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture(scope="module")
def server():
    with throwaway_postgres() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reporting LOGIN")
        yield url


@pytest.fixture
def connection(server):
    with psycopg.connect(server) as connection:
        for index in range(3):
            connection.execute(f"DROP SCHEMA IF EXISTS {profile(index).schema} CASCADE")
        connection.commit()
        yield connection


def shop(index=0, incidents=()):
    return Shop(profile(index), 7, 60, START, incidents=incidents)


def cell(connection, query, *values):
    return connection.execute(query, values).fetchone()[0]


def column_types(connection, schema, table):
    return dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [schema, table],
        ).fetchall()
    )


def test_a_first_sync_writes_every_row_and_says_how_many(connection):
    counts = write_sync(connection, shop(), until=NOW)

    for table, count in counts.items():
        assert cell(connection, f'SELECT count(*) FROM klaviyo_acme."{table}"') == count > 0, table


def test_tables_have_fivetrans_types_and_only_primary_keys(connection):
    write_sync(connection, shop(), until=NOW)

    types = column_types(connection, "klaviyo_acme", "event")
    expected = {
        "id": "text", "datetime": "timestamp with time zone", "property_value": "text", "property_items": "json",
        "property_attribution": "json", "property_apple_privacy_open": "boolean", "property_price": "double precision",
        "property_item_count": "bigint", "_fivetran_synced": "timestamp with time zone", "_fivetran_deleted": "boolean",
    }  # fmt: skip
    assert expected.items() <= types.items()
    indexes = cell(connection, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'klaviyo_acme'")
    assert indexes == cell(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'klaviyo_acme'")


def test_packed_and_source_naming_reach_postgres(connection):
    write_sync(connection, shop(1), until=NOW)
    write_sync(connection, shop(2), until=NOW)

    assert column_types(connection, "klaviyo_bloom", "event")["custom_property_fields"] == "json"
    assert column_types(connection, "klaviyo_bloom", "person")["custom_fields"] == "json"
    assert column_types(connection, "klaviyo_cedar", "event")["propertyAttribution"] == "json"
    number = cell(
        connection,
        "SELECT json_typeof(custom_property_fields -> 'value') FROM klaviyo_bloom.event"
        " WHERE type = 'Ordered Product' LIMIT 1",
    )
    assert number == "number"


def test_columns_and_tables_without_a_value_do_not_exist(connection):
    write_sync(connection, shop(2), until=NOW)

    assert "property_attribute_loyalty_tier" not in column_types(connection, "klaviyo_acme", "event")
    assert "title" not in column_types(connection, "klaviyo_cedar", "person")
    assert column_types(connection, "klaviyo_cedar", "campaign_message") == {}


def test_a_later_sync_adds_what_is_new_and_the_column_that_came_with_it(connection):
    source = shop()
    write_sync(connection, source, until=NOW)
    before = cell(connection, "SELECT count(*) FROM klaviyo_acme.event")
    source.happen(Incident("new_column", int(NOW.timestamp()) + 60, 0, name="gift_wrap"))

    counts = write_sync(connection, source, since=NOW, until=LATER)

    assert counts["event"] < before / 3
    assert cell(connection, "SELECT count(property_gift_wrap) FROM klaviyo_acme.event") > 0
    # Late events, from before the column, have no value in it.
    assert cell(connection, "SELECT min(datetime) FROM klaviyo_acme.event WHERE property_gift_wrap <> ''") > NOW


def test_edits_and_deletes_replace_rows_and_move_their_stamp(connection):
    source = shop()
    write_sync(connection, source, until=NOW)
    before = cell(connection, "SELECT count(*) FROM klaviyo_acme.event")
    source.happen(Incident("edit_events", int(NOW.timestamp()) + 1, 0, count=3, days=30))
    source.happen(Incident("delete_events", int(NOW.timestamp()) + 2, 1, count=4, days=30))
    soon = NOW + timedelta(seconds=2)

    write_sync(connection, source, since=NOW, until=soon)

    stamped = "SELECT count(*) FROM klaviyo_acme.event WHERE _fivetran_synced = %s AND datetime < %s"
    assert cell(connection, stamped, soon, NOW - timedelta(minutes=5)) >= 5
    assert cell(connection, "SELECT count(*) FROM klaviyo_acme.event WHERE _fivetran_deleted") >= 4
    assert cell(connection, "SELECT count(*) FROM klaviyo_acme.event") <= before + 2


@pytest.mark.parametrize(("index", "left"), [(0, "flagged"), (1, "gone")])
def test_a_resync_forgets_what_vanished_without_moving_its_stamp(connection, index, left):
    """Soft-deleted where the account captures deletes of events, gone where it does not."""
    source, schema = shop(index), profile(index).schema
    write_sync(connection, source, until=NOW)
    before = cell(connection, f"SELECT count(*) FROM {schema}.event")
    source.happen(Incident("vanish_events", int(NOW.timestamp()) + 1, 0, count=5, days=30))
    write_sync(connection, source, since=NOW, until=LATER)
    unnoticed = cell(connection, f"SELECT count(*) FROM {schema}.event WHERE _fivetran_synced = %s", NOW)

    write_sync(connection, source, until=LATER + timedelta(seconds=1), mode="resync")

    stale = f"SELECT count(*) FROM {schema}.event WHERE _fivetran_synced < %s"
    assert before - unnoticed < 20
    assert cell(connection, stale, LATER + timedelta(seconds=1)) == (5 if left == "flagged" else 0)


def test_a_reload_leaves_only_what_the_source_has(connection):
    source = shop()
    write_sync(connection, source, until=NOW)
    source.happen(Incident("vanish_events", int(NOW.timestamp()) + 1, 0, count=5, days=30))

    counts = write_sync(connection, source, until=NOW + timedelta(seconds=1), mode="reload")

    assert cell(connection, "SELECT count(*) FROM klaviyo_acme.event") == counts["event"]


def test_only_the_named_tables_are_written(connection):
    counts = write_sync(connection, shop(), until=NOW, tables=["metric"])

    assert set(counts) == {"metric"}
    assert cell(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'klaviyo_acme'") == 1


def test_nothing_stays_of_a_sync_that_is_rolled_back(connection):
    write_sync(connection, shop(), until=NOW)
    connection.rollback()

    assert cell(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = 'klaviyo_acme'") == 0


def test_the_reading_role_may_read_and_not_write(connection, server):
    write_sync(connection, shop(), until=NOW)
    connection.commit()

    with psycopg.connect(server.replace("postgres@", "reporting@")) as reader:
        assert cell(reader, "SELECT count(*) FROM klaviyo_acme.person") > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM klaviyo_acme.person")


def test_recommended_indexes_are_made_once(connection):
    write_sync(connection, shop(), until=NOW)
    create_indexes(connection, "klaviyo_acme")
    create_indexes(connection, "klaviyo_acme")

    methods = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'klaviyo_acme' AND tablename = 'event'"
    ).fetchall()
    indexes = {text.split(" USING ")[1] for (text,) in methods}
    assert {"btree (id)", "btree (datetime)"} < indexes
    assert len(methods) == len(indexes) == 3


def test_indexes_do_not_keep_fivetran_from_changing_its_tables(connection):
    """Retyping rebuilds an index, dropping drops it; afterwards those that are possible can be made again."""
    write_sync(connection, shop(), until=NOW)
    create_indexes(connection, "klaviyo_acme")
    left = {
        "ALTER TABLE {} ALTER COLUMN datetime TYPE text": 3,
        "ALTER TABLE {} ALTER COLUMN datetime TYPE timestamp": 3,
        "ALTER TABLE {} ALTER COLUMN _fivetran_synced TYPE text": 3,
        "ALTER TABLE {} RENAME COLUMN datetime TO datetime_old": 3,
        'ALTER TABLE {} DROP COLUMN "timestamp"': 3,
        "ALTER TABLE {} DROP COLUMN datetime": 2,
        "TRUNCATE {}": 3,
        "DROP TABLE {}": 0,
    }

    for change, indexes in left.items():
        with connection.transaction(force_rollback=True):
            connection.execute(change.format("klaviyo_acme.event"))
            create_indexes(connection, "klaviyo_acme")
            index_count = cell(connection, "SELECT count(*) FROM pg_indexes WHERE tablename = 'event'")
            assert index_count == indexes, change


def test_a_table_that_is_made_anew_gets_its_indexes_again(connection):
    for _ in range(2):
        connection.execute("DROP SCHEMA IF EXISTS klaviyo_acme CASCADE")
        write_sync(connection, shop(), until=NOW)
        create_indexes(connection, "klaviyo_acme")

    assert cell(connection, "SELECT count(*) FROM pg_indexes WHERE tablename = 'event'") == 3


def test_keys_of_every_table_are_those_fivetran_declares(connection):
    write_sync(connection, shop(), until=NOW)

    keys = connection.execute(
        "SELECT t.relname, array_agg(a.attname ORDER BY k.position)"
        " FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace,"
        " unnest(c.conkey) WITH ORDINALITY AS k(number, position), pg_attribute a"
        " WHERE c.contype = 'p' AND n.nspname = 'klaviyo_acme' AND a.attrelid = t.oid AND a.attnum = k.number"
        " GROUP BY t.relname"
    ).fetchall()
    assert {name: tuple(columns) for name, columns in keys} == {name: TABLES[name].key for name, _ in keys}
