"""Reading and comparing schemas."""

import pytest

from klaviyo_assets.sandbox.bigquery.errors import ApiError
from klaviyo_assets.sandbox.bigquery.schema import (
    ADDITION,
    RELAXATION,
    column_definition,
    columns_of,
    evolve,
    fields_of,
    read_schema,
)


def columns(*specs):
    """Return columns from (name, type, mode) triples."""
    return read_schema([dict(zip(("name", "type", "mode"), spec, strict=False)) for spec in specs])


def test_names_of_types_become_those_of_the_api():
    read = columns(("a", "int64"), ("b", "FLOAT64", "required"), ("c", "bool", "REPEATED"))

    assert [(column["type"], column["mode"]) for column in read] == [
        ("INTEGER", "NULLABLE"),
        ("FLOAT", "REQUIRED"),
        ("BOOLEAN", "REPEATED"),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("x", "list of fields"),
        ([{"name": "a", "type": "STRING"}, {"name": "A", "type": "STRING"}], "Duplicate field name"),
        ([{"name": "a", "type": "RECORD"}], "has no schema"),
        ([{"name": "a", "type": "STRING", "mode": "MAYBE"}], "Invalid mode"),
        ([{"name": "a", "type": "STRING", "policyTags": {}}], "policyTags"),
        ([{"name": "r", "type": "RECORD", "fields": [{"name": "a", "type": "DATE", "mode": "REQUIRED"}]}], "REQUIRED"),
        (["a"], "JSON object"),
    ],
)
def test_what_is_no_schema_is_refused(fields, message):
    with pytest.raises(ApiError, match=message):
        read_schema(fields)


def test_fields_and_columns_are_each_others_inverse():
    nested = read_schema(
        [{"name": "r", "type": "STRUCT", "mode": "REPEATED", "fields": [{"name": "a", "type": "INT64"}]}]
    )

    assert columns_of(fields_of(nested)) == nested


def test_columns_become_duckdb_columns():
    (record,) = read_schema([{"name": "r", "type": "RECORD", "fields": [{"name": "a b"[0], "type": "NUMERIC"}]}])

    assert column_definition(record) == '"r" STRUCT("a" DECIMAL(38,9))'
    assert column_definition(columns(("n", "INTEGER", "REQUIRED"))[0]) == '"n" BIGINT NOT NULL'
    assert column_definition(columns(("t", "STRING", "REPEATED"))[0]) == '"t" VARCHAR[] DEFAULT []'


def test_equal_schemas_change_nothing_in_any_case_of_the_names():
    existing = columns(("a", "STRING"), ("b", "DATE", "REQUIRED"))

    evolution = evolve("p:d.t", existing, columns(("B", "DATE", "REQUIRED"), ("A", "STRING")), ())

    assert (evolution.columns, evolution.added_columns, evolution.relaxed) == (existing, [], [])


def test_an_allowed_change_is_told():
    existing = columns(("a", "STRING", "REQUIRED"))

    evolution = evolve("p:d.t", existing, columns(("a", "STRING"), ("n", "DATE")), {ADDITION, RELAXATION})

    assert [(column["name"], column["mode"]) for column in evolution.columns] == [("a", "NULLABLE"), ("n", "NULLABLE")]
    assert ([column["name"] for column in evolution.added_columns], evolution.relaxed) == (["n"], ["a"])


@pytest.mark.parametrize(
    ("existing", "written", "options", "message"),
    [
        (("a", "STRING"), ("a", "INTEGER"), {ADDITION, RELAXATION}, "changed type from STRING to INTEGER"),
        (("a", "STRING", "REQUIRED"), ("a", "STRING"), {ADDITION}, "from REQUIRED to NULLABLE"),
        (("a", "STRING"), ("a", "STRING", "REQUIRED"), {RELAXATION}, "from NULLABLE to REQUIRED"),
        (("a", "STRING"), ("a", "STRING", "REPEATED"), {RELAXATION}, "from NULLABLE to REPEATED"),
        (("a", "STRING"), ("b", "STRING"), {RELAXATION}, "Cannot add fields"),
        (("a", "STRING"), ("b", "STRING", "REQUIRED"), {ADDITION}, "Cannot add required fields"),
        (("a", "STRING", "REQUIRED"), ("b", "STRING"), {ADDITION}, "Missing required field: a"),
    ],
)
def test_other_changes_are_refused(existing, written, options, message):
    with pytest.raises(ApiError, match=message):
        evolve("p:d.t", columns(existing), columns(written), options)
