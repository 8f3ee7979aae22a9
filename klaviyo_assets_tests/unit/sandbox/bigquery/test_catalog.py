"""What a transaction knows of its tables, and what their rows weigh: right after every change, though kept between."""

from dataclasses import replace

import pytest

from klaviyo_assets.sandbox.bigquery.catalog import SET_UP, Catalog, Dataset, Table
from klaviyo_assets.sandbox.bigquery.sizes import table_bytes
from klaviyo_assets.sandbox.bigquery.store import Store

REF = ("p", "d", "t")
TEXT = {"name": "text", "type": "STRING", "mode": "NULLABLE"}


@pytest.fixture
def catalog(tmp_path):
    """A dataset without tables, in an open transaction."""
    store = Store(tmp_path / "x.duckdb")
    with store.transaction() as cursor:
        for statement in SET_UP:
            cursor.execute(statement)
        opened = Catalog(cursor, "p")
        opened.add_dataset(Dataset("d", "EU"))
        yield opened
    store.close()


def test_a_table_is_found_as_it_is_after_each_change(catalog):
    assert catalog.find_table(REF) is None

    catalog.create_table(Table(REF, [TEXT]))
    assert catalog.get_table(REF).description is None

    catalog.replace_table(replace(catalog.get_table(REF), description="of texts"))
    assert catalog.get_table(REF).description == "of texts"

    catalog.drop_table(catalog.get_table(REF))
    assert catalog.find_table(REF) is None


def test_what_was_rolled_back_is_forgotten(catalog):
    catalog.cursor.execute("COMMIT")
    catalog.cursor.execute("BEGIN TRANSACTION")
    catalog.create_table(Table(REF, [TEXT]))
    assert catalog.find_table(REF) is not None

    catalog.cursor.execute("ROLLBACK")
    catalog.cursor.execute("BEGIN TRANSACTION")
    catalog.forget()

    assert catalog.find_table(REF) is None


def test_rows_are_weighed_again_after_a_write(catalog):
    catalog.create_table(Table(REF, [TEXT]))
    assert table_bytes(catalog.cursor, catalog.get_table(REF)) == 0
    for text, expected in (("a", 3), ("abcde", 10)):
        catalog.cursor.execute(f"INSERT INTO {catalog.get_table(REF).physical} VALUES ('{text}')")
        catalog.replace_table(catalog.get_table(REF))
        assert table_bytes(catalog.cursor, catalog.get_table(REF)) == expected
