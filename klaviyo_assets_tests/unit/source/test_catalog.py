"""What is said of a schema, from what its catalog has; the real catalog is read in `integration/test_visibility.py`."""

import pytest

from klaviyo_assets.errors import PermanentError, UnknownNameError
from klaviyo_assets.source.catalog import HiddenSourceError, SourceCatalog, _Relation, accepted_names, require_key
from klaviyo_assets.source.sql import RawTable
from klaviyo_assets.tables import TABLES

EVENT_COLUMNS = dict.fromkeys(("id", "datetime", "metric_id", "person_id"), "text")


def catalog(*relations, readings=(), **facts):
    relations_by_name = {relation.name: relation for relation in relations}
    fields = {
        "schema": 'k"x', "login": "Reader 1", "database": "d", "version": 160_000, "may_use": True, "other_schemas": (),
    } | facts  # fmt: skip
    return SourceCatalog(**fields, relations=relations_by_name, readings=tuple(readings))


def reading(relation, *, base="event", reader="Reader 1", is_below=False, hides_rows=False, may_read=True):
    return {"relation": relation, "base_schema": "b", "base": base, "reader": reader, "is_below": is_below,
            "hides_rows": hides_rows, "may_read": may_read}  # fmt: skip


def refusal(source_catalog, **options):
    with pytest.raises(HiddenSourceError) as caught:
        source_catalog.refuse_hidden("acme", **options)
    return str(caught.value)


def test_every_name_in_a_statement_is_quoted():
    message = refusal(catalog(_Relation("event", {}, ["id"])))

    assert 'GRANT SELECT ON "k""x"."event" TO "Reader 1";' in message
    assert 'accept_empty = ["event"]' in message


def test_tables_that_nobody_reads_may_be_hidden():
    catalog(_Relation("form", {}, ["id"]), _Relation("event", EVENT_COLUMNS)).refuse_hidden("acme")


def test_only_wanted_tables_and_what_was_not_accepted_are_refused():
    source_catalog = catalog(_Relation("event", {}, ["id"]), _Relation("person", {"id": "text"}, ["email", "zip"]))

    assert "event" not in refusal(source_catalog, names={"person"})
    assert "column zip" in refusal(source_catalog, accepted={"event", "person.email"})
    source_catalog.refuse_hidden("acme", {"event", "person.email", "person.zip"})


def test_a_grant_that_serves_several_columns_is_said_once():
    message = refusal(catalog(_Relation("person", {"id": "text"}, ["email", "zip"])))

    assert message.count("GRANT SELECT") == 1
    assert "ALTER DEFAULT PRIVILEGES" not in message, "no table was made again"


@pytest.mark.parametrize(("source_reading", "says"), [
    (reading("event", hides_rows=True), 'ALTER ROLE "Reader 1" BYPASSRLS'),
    (reading("event", is_below=True, reader="owner", hides_rows=True), 'ALTER ROLE "owner" BYPASSRLS'),
    (reading("event", is_below=True, reader="owner", may_read=False), 'GRANT SELECT ON "b"."event" TO "owner"'),
])  # fmt: skip
def test_hidden_rows_and_what_a_view_may_not_read_are_refused(source_reading, says):
    assert says in refusal(catalog(_Relation("event", EVENT_COLUMNS), readings=[source_reading]))


@pytest.mark.parametrize(("facts", "says"), [
    ({"may_use": None, "other_schemas": ("klaviyo_b",)}, "no schema 'k\"x' in the database 'd' (it has: klaviyo_b)"),
    ({"may_use": False}, 'GRANT USAGE ON SCHEMA "k""x" TO "Reader 1";'),
    ({}, "shows no table in the schema"),
])  # fmt: skip
def test_a_schema_that_cannot_be_looked_into_is_refused_whatever_is_accepted(facts, says):
    assert says in refusal(catalog(**facts), accepted=set(TABLES))


def test_a_table_in_another_spelling_is_the_one_that_is_read():
    source_catalog = catalog(_Relation("campaignTag", {"campaignId": "text", "tagId": "text"}))

    assert list(source_catalog.tables) == ["campaign_tag"]
    assert '"campaignTag"' in source_catalog.tables["campaign_tag"].identifier.as_string(None)


@pytest.mark.parametrize("missing", ["id", "metric_id", "person_id"])
def test_events_without_what_tells_them_apart_are_refused(missing):
    source_catalog = catalog(
        _Relation("event", {name: kind for name, kind in EVENT_COLUMNS.items() if name != missing})
    )

    with pytest.raises(PermanentError, match=f"event has no column {missing}"):
        source_catalog.require_columns("acme")


def test_an_event_has_one_time_or_the_other():
    catalog(_Relation("event", EVENT_COLUMNS | {"timestamp": "text"})).require_columns("acme")
    without = {name: kind for name, kind in EVENT_COLUMNS.items() if name != "datetime"}
    catalog(_Relation("event", without | {"timestamp": "text"})).require_columns("acme")
    with pytest.raises(PermanentError, match="no column datetime or timestamp"):
        catalog(_Relation("event", without)).require_columns("acme")


def test_a_table_without_its_key_is_refused():
    require_key(TABLES["person"], RawTable("k", "person", {"id": "text"}))
    with pytest.raises(PermanentError, match=r"the table k\.list_person has no column list_id, person_id"):
        require_key(TABLES["list_person"], RawTable("k", "list_person", {"other": "text"}))


def test_accepted_names_are_tables_or_columns_of_tables():
    assert accepted_names(["event", " person.email"]) == {"event", "person.email"}
    with pytest.raises(UnknownNameError, match=r"Did you mean 'person'"):
        accepted_names(["persons"])
