"""What tables, columns, indexes and clocks mean for an account."""

import pytest

from klaviyo_assets.diagnosis.findings import Level, Scope
from klaviyo_assets.diagnosis.postgres import check_indexes, check_tables, judged_clock, spelling
from klaviyo_assets.source.indexes import RECOMMENDED, possible
from klaviyo_assets.source.sql import RawTable
from klaviyo_assets.tables import EVENT

SCOPE = Scope("postgres", "acme")
COLUMNS = {
    "id": "text", "metric_id": "text", "person_id": "text", "datetime": "timestamptz", "timestamp": "timestamptz",
    "_fivetran_synced": "timestamptz", "property_value": "text",
}  # fmt: skip
EXPECTED = ("event", "metric", "person", "campaign", "campaign_message", "flow", "flow_message")


def event(*, without=(), **more):
    kept = {name: kind for name, kind in COLUMNS.items() if name not in without}
    return RawTable("klaviyo_acme", "event", {**kept, **more})


def tables(chosen, *names):
    return {name: RawTable("klaviyo_acme", name, {"id": "text"}) for name in names or EXPECTED} | {"event": chosen}


def problems(findings):
    return [(one.level, one.what) for one in findings if one.level]


def test_a_whole_schema_has_no_problem():
    assert problems(check_tables(SCOPE, tables(event()))) == []


@pytest.mark.parametrize(
    ("chosen", "spelled"),
    [
        (event(), ["unpacked"]),
        (event(without=["property_value"], custom_property_fields="jsonb"), ["packed"]),
        (event(without=["property_value"], propertyValue="text"), ["camelCase"]),
        (event(custom_property_fields="jsonb", propertyValue="text"), ["unpacked", "camelCase", "packed"]),
        (event(without=["property_value"], propertyvalue="text", properties="text"), []),
    ],
)
def test_the_spelling_of_custom_fields_is_told(chosen, spelled):
    assert spelling(EVENT, chosen) == spelled


@pytest.mark.parametrize(
    ("chosen", "level", "what"),
    [
        (event(without=["metric_id"]), Level.FAIL, "event has no column metric_id"),
        (event(without=["datetime", "timestamp"]), Level.FAIL, "neither datetime nor timestamp"),
        (event(datetime="text"), Level.WARN, "datetime is text, not timestamptz"),
        (event(without=["property_value"]), Level.WARN, "no custom fields in any known spelling"),
    ],
)
def test_what_the_event_table_lacks_is_told_with_the_consequence(chosen, level, what):
    ((found_level, sentence),) = problems(check_tables(SCOPE, tables(chosen)))

    assert found_level is level
    assert what in sentence


def test_missing_tables_are_told():
    ((level, what),) = problems(check_tables(SCOPE, tables(event(), "metric", "person", "campaign", "flow")))

    assert (level, what) == (
        Level.WARN,
        "Fivetran has not created campaign_message, flow_message, so they count as empty",
    )


def test_without_events_there_is_nothing_to_report():
    ((level, what),) = problems(check_tables(SCOPE, {"person": RawTable("s", "person", {})}))

    assert (level, what) == (Level.FAIL, "the table event is missing; the schema has person")


def index(columns, method="btree", **more):
    return {"name": "x", "columns": columns, "method": method, "is_valid": True, "is_partial": False, **more}


GOOD = [index("id"), index("_fivetran_synced", "brin"), index("datetime"), index("timestamp")]


def test_with_the_recommended_indexes_all_is_well():
    assert problems(check_indexes(SCOPE, event(), GOOD)) == []


def test_an_index_that_does_the_same_is_as_good():
    other = [index("_fivetran_synced"), index("datetime,metric_id"), index("timestamp")]

    assert problems(check_indexes(SCOPE, event(), other)) == []


@pytest.mark.parametrize(
    "spoiled",
    [
        index("metric_id,datetime"),
        index("datetime", "hash"),
        index("datetime", "brin"),
        index("datetime", is_partial=True),
    ],
)
def test_an_index_that_does_less_does_not_count(spoiled):
    ((level, what),) = problems(check_indexes(SCOPE, event(), [GOOD[1], spoiled, GOOD[3]]))

    assert level is Level.WARN
    assert "no index on datetime" in what


def test_a_missing_index_comes_with_the_statement_that_makes_it():
    fixes = [one.fix for one in check_indexes(SCOPE, event(), [])]

    assert len(fixes) == len(RECOMMENDED)
    assert (
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS "event_datetime" ON "klaviyo_acme"."event" USING BTREE ("datetime");'
        in fixes[1]
    )


def test_an_index_whose_making_was_interrupted_is_to_be_made_again():
    spoiled = index("datetime", is_valid=False)

    (finding,) = [one for one in check_indexes(SCOPE, event(), [GOOD[1], spoiled, GOOD[3]]) if one.level]

    assert "invalid" in finding.what
    assert 'DROP INDEX "klaviyo_acme"."x"; CREATE INDEX' in finding.fix


def test_an_index_on_a_column_that_is_not_there_is_not_missed():
    assert [one.columns for one in possible(["id", "datetime"], "event")] == [("datetime",)]
    assert list(possible(COLUMNS, "person")) == []


@pytest.mark.parametrize(
    ("skew", "level"), [(0.0, Level.OK), (-4.9, Level.OK), (6.0, Level.WARN), (-299.0, Level.WARN), (301.0, Level.FAIL)]
)
def test_clocks_may_differ_by_seconds(skew, level):
    finding = judged_clock(SCOPE, skew)

    assert finding.level is level
    assert f"{abs(skew):.1f} s apart" in finding.what
