"""Columns in any spelling are read under one name, and what is gone is told from what is spelled in another way."""

from klaviyo_assets.source.spellings import columns_gone, columns_read, with_known_names
from klaviyo_assets.source.sql import RawTable
from klaviyo_assets.tables import EVENT, TABLES

PLAIN = {
    "id": "text", "person_id": "text", "metric_id": "text", "datetime": "timestamptz", "property_value": "text",
    "property_color": "text", "_fivetran_synced": "timestamptz",
}  # fmt: skip
CAMEL = {
    "id": "text", "personId": "text", "metricId": "text", "datetime": "timestamptz", "propertyValue": "text",
    "propertyColor": "text", "_fivetran_synced": "timestamptz",
}  # fmt: skip


def events(columns):
    return with_known_names(EVENT, RawTable("k", "event", columns))


def gone(before, now):
    return columns_gone(EVENT, columns_read(EVENT, events(before)), columns_read(EVENT, events(now)))


def without(columns, *names):
    return {name: kind for name, kind in columns.items() if name not in names}


def test_a_table_in_the_plain_spelling_is_read_itself():
    assert events(PLAIN).relation is None


def test_the_sources_own_spelling_is_read_under_the_known_names():
    table = events(CAMEL)

    assert {"person_id", "metric_id"} <= table.columns.keys()
    assert 's."personId" AS "person_id"' in table.identifier.as_string(None)


def test_of_two_spellings_the_plain_one_is_read_first_and_other_types_as_texts():
    table = events({**PLAIN, "personId": "int8"})

    assert 'coalesce(s."person_id"::text, s."personId"::text) AS "person_id"' in table.identifier.as_string(None)
    assert table.columns["person_id"] == "text"


def test_every_raw_column_of_every_table_is_found_in_camel_case():
    for spec in TABLES.values():
        for raw in spec.raw:
            first, *others = raw.name.strip("_").split("_")
            camel = first + "".join(word.capitalize() for word in others)
            table = with_known_names(spec, RawTable("k", spec.name, {camel: "text"}))
            assert raw.name in table.columns or camel in {raw.name, *raw.older_names}, (spec.name, camel)


def test_another_spelling_is_no_loss_and_another_name_is():
    assert gone(PLAIN, CAMEL) == gone(CAMEL, PLAIN) == []
    assert gone(PLAIN, without(PLAIN, "property_value", "property_color") | {"property_shade": "text"}) == [
        "property_color", "property_value",
    ]  # fmt: skip
    assert gone(PLAIN, without(PLAIN, "person_id")) == ["person_id"]


def test_custom_fields_that_are_packed_now_or_not_any_more_are_no_loss():
    packed = without(PLAIN, "property_value", "property_color") | {"custom_property_fields": "json"}

    assert gone(PLAIN, packed) == gone(packed, PLAIN) == []
    assert gone(packed, without(packed, "custom_property_fields")) == ["custom_property_fields"]


def test_a_new_column_is_no_loss():
    assert gone(PLAIN, {**PLAIN, "property_new": "text"}) == []


def test_unlisted_columns_are_left_out_where_every_day_would_repeat_them():
    assert "property_color" not in columns_read(EVENT, events(PLAIN), unlisted=False)
    assert "property_value" in columns_read(EVENT, events(PLAIN), unlisted=False)
