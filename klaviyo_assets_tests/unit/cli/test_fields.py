"""`klaviyo-assets fields`: the mapping from raw field to column."""

import io
import json

import pytest
from rich.console import Console

from klaviyo_assets.cli.fields import fields, fields_table, mapping, overview
from klaviyo_assets.tables import TABLES


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in TABLES.items()])
def test_every_column_and_every_raw_field_of_a_table_is_there_once(spec):
    field_rows = list(mapping(spec))
    columns = [field.column for field in field_rows if field.column]

    assert columns == list(spec.column_names)
    raw = {column.name for column in spec.raw} | {f"property_{field.name}" for field in spec.properties}
    assert {field.raw for field in field_rows if field.raw} == raw


def test_a_table_shows_what_becomes_of_its_fields(call):
    lines = [line.split() for line in call(fields, "--table", "campaign").stdout.splitlines()]

    assert ["id", "campaign_id", "STRING", "key"] in lines
    assert ["archived", "is_archived", "BOOLEAN"] in lines
    assert ["every", "other", "field", "properties", "JSON"] in lines


def test_older_names_and_old_table_names_are_understood(call):
    output = call(fields, "--table", "klaviyo_events").stdout

    assert "property_currency_code or currency" in output
    assert "for computed" in output


def test_the_meaning_is_shown_when_asked_for(call):
    assert "Klaviyo's id of the campaign." not in call(fields, "--table", "campaign").stdout
    assert "Klaviyo's id of the campaign." in call(fields, "--table", "campaign", "-v").stdout


def test_without_a_table_all_are_listed(call):
    output = call(fields).stdout

    assert all(name in output for name in TABLES)
    assert "event and touch that shares its credit" in output


def test_json_holds_the_whole_mapping(call):
    (email,) = [field for field in json.loads(call(fields, "--table", "person", "--json").stdout)
                if field["raw"] == "email"]  # fmt: skip

    assert (email["table"], email["column"], email["personal"]) == ("person", "email", True)


def test_an_unknown_table_is_wrong_usage_and_the_nearest_is_asked_for(call):
    result = call(fields, "--table", "campain")

    assert result.exit_code == 2
    assert "Did you mean 'campaign'?" in result.stderr


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in TABLES.items()])
def test_it_is_readable_at_80_columns(spec):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(fields_table(spec))
    console.print(overview([spec]))
    text = console.file.getvalue()

    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
