"""Raw rows of every copied table go through the mapping and pass the table's checks, whatever cells hold."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.copied import MappingContext, map_copied
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.rules import validate
from klaviyo_assets.model.metrics import AccountMetrics
from klaviyo_assets.tables import ACCOUNT_TABLES, TABLES
from klaviyo_assets_tests.factories import raw_frame
from klaviyo_assets_tests.strategies import raw_frames

COPIED = pytest.mark.parametrize("spec", ACCOUNT_TABLES, ids=lambda spec: spec.name)
CONTEXT = MappingContext(
    account=Account(name="acme", postgres_schema="klaviyo_acme"),
    metrics=AccountMetrics(),
    privacy=Privacy("hash", b"0123456789abcdef"),
)
PERSON = TABLES["person"]


@COPIED
def test_sound_raw_rows_become_sound_mapped_rows(spec):
    mapped = map_copied(spec, raw_frame(spec, {}, {}, {}), CONTEXT)

    assert mapped.notes == []
    assert validate(mapped.rows, spec).ok
    assert len(mapped.rows) == 3


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ACCOUNT_TABLES).flatmap(lambda spec: st.tuples(st.just(spec), raw_frames(spec))))
def test_junk_never_breaks_a_table(drawn):
    spec, raw = drawn

    mapped = map_copied(spec, raw, CONTEXT)

    assert len(mapped.rows) == len(raw)
    assert validate(mapped.rows, spec).schema_errors == ()


@pytest.mark.parametrize("name", PERSON.personal_properties)
def test_custom_fields_that_are_personal_by_name_are_hashed(name):
    raw = raw_frame(PERSON, {f"custom_{name}": "Open Sesame"})

    properties = map_copied(PERSON, raw, CONTEXT).rows["properties"][0]

    assert "Open Sesame" not in properties
    assert len(json.loads(properties)[name]) == 64


def test_personal_columns_of_a_person_are_hashed():
    raw = raw_frame(PERSON, {"email": "nobody@example.com", "latitude": "12.5", "city": "Brooklyn"})

    row = map_copied(PERSON, raw, CONTEXT).rows.iloc[0]

    assert (len(row["email"]), len(row["latitude"]), row["city"]) == (64, 64, "Brooklyn")


def test_packed_custom_fields_are_personal_by_name_too():
    raw = raw_frame(PERSON, {"custom_fields": {"Birthday": "1990-01-31", "Favorite Color": "green"}})

    properties = json.loads(map_copied(PERSON, raw, CONTEXT).rows["properties"][0])

    assert properties["favorite_color"] == "green"
    assert properties["birthday"] != "1990-01-31"


def test_columns_from_before_september_2023_are_campaign_columns():
    raw = raw_frame(TABLES["campaign"], {"subject": "say hello", "status_id": "1", "is_segmented": "true"})

    row = map_copied(TABLES["campaign"], raw, CONTEXT).rows.iloc[0]

    assert (row["subject"], row["status_id"], row["is_segmented"]) == ("say hello", 1, True)
