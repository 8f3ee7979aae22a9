"""Types of CSV columns."""

import pytest

from klaviyo_assets.sandbox.csv_columns import ColumnScan, is_json, is_number, parse_time


def scanned(name: str, *cells: str) -> ColumnScan:
    scan = ColumnScan(name)
    for cell in cells:
        scan.see(cell)
    return scan


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("property_flag", ["true", "FALSE", ""], "boolean"),
        ("property_item_count", ["1", "", "-20"], "bigint"),
        ("property_value", ["1", "2.5", "1e-05"], "double precision"),
        ("property_value", ["49.990000", "n.a."], "text"),
        ("property_value", ["1", "inf"], "text"),
        ("property_value", ["1.234,50"], "text"),
        ("property_value", ["1e999"], "text"),
        ("property_value", ["1", "true"], "text"),
        ("property_note", ["007"], "text"),
        ("property_note", ["1_000"], "text"),
        ("property_note", ["٣"], "text"),
        ("property_items", ['["a"]', '{"b": 1}'], "json"),
        ("property_items", ['["a"]', "[broken"], "text"),
        ("property_when", ["2023-07-18 12:43:52 UTC", "2023-07-18T12:43:52.123+02:00"], "timestamptz"),
        ("property_when", ["2023-07-18"], "text"),
        ("property_when", ["2023-02-30 00:00:00"], "text"),
        ("property_event_id", ["123456"], "text"),
        ("propertyproductid", ["123456"], "text"),
        ("property_from_phone", ["15551234567"], "text"),
        ("zip", ["64224"], "text"),
        ("custom_zipcode", ["64224"], "text"),
        ("id", ["12", "13"], "text"),
        ("property_empty", ["", ""], "text"),
    ],
)
def test_a_column_is_typed_only_if_every_cell_fits(name, cells, expected):
    assert scanned(name, *cells).type == expected


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        ("_fivetran_synced", "2021-04-14 07:45:40.981", "timestamptz"),
        ("archived", "false", "boolean"),
        ("latitude", "52.5", "text"),
        ("name", "2023", "text"),
        ("predictive_analytics_historic_clv", "12", "double precision"),
        ("definition", '{"a": []}', "json"),
        ("subscriptions_email_marketing_consent", "true", "text"),
        ("subscriptions_email_marketing_can_receive_email_marketing", "true", "boolean"),
    ],
)
def test_a_column_of_the_raw_schema_has_the_type_stated_there(name, cell, expected):
    scan = scanned(name, cell)
    assert scan.type == expected
    assert not scan.fell_back


def test_a_stated_type_that_a_cell_does_not_fit_becomes_text_and_is_said():
    scan = scanned("datetime", "2023-01-01 00:00:00", "Placed Order")
    assert scan.type == "text"
    assert scan.fell_back


def test_the_earliest_time_is_kept_in_utc():
    scan = scanned("datetime", "2023-01-02 00:30:00+01:00", "2023-05-01 00:00:00", "shifted cell")
    assert scan.earliest.isoformat() == "2023-01-01T23:30:00+00:00"


def test_a_time_without_a_zone_is_utc():
    assert parse_time("2023-01-02 03:04:05").isoformat() == "2023-01-02T03:04:05+00:00"


@pytest.mark.parametrize("cell", ["1e-400", "-", ".5", "5.", "+1", " 1", "0x1", "NaN", "-00"])
def test_what_is_no_finite_number_is_no_number(cell):
    assert not is_number(cell)


@pytest.mark.parametrize("cell", ['{"a": "\\u0000"}', '{"a": "\\ud800"}', "[NaN]", "12", '"text"', "{"])
def test_json_that_postgres_would_refuse_is_text(cell):
    assert not is_json(cell)
