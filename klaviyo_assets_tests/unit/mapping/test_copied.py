"""What every table's mapping shares: parsing with notes, personal values, and `properties` that lose nothing."""

import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.copied import (
    MappingContext,
    Note,
    bad_row_notes,
    column,
    gather_properties,
    map_copied,
    notes_frame,
)
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.values import TIMESTAMP
from klaviyo_assets.model.metrics import AccountMetrics
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.factories import raw_frame

PRIVACY = Privacy("hash", b"0123456789abcdef")
CONTEXT = MappingContext(Account(name="acme", postgres_schema="k"), AccountMetrics(), PRIVACY)
PERSON, CAMPAIGN, LIST_PERSON = TABLES["person"], TABLES["campaign"], TABLES["list_person"]


def properties_of(spec, row):
    text = gather_properties(spec, raw_frame(spec, row), PRIVACY)[0].to_pylist()[0]
    return text and json.loads(text)


def test_a_cell_that_does_not_parse_is_null_and_noted_with_its_row_and_reason():
    mapped = map_copied(PERSON, raw_frame(PERSON, {"id": "p1", "created": "someday"}), CONTEXT)

    assert mapped.rows["created_at"].isna().all()
    assert mapped.notes == [
        Note("person", "p1", "created_at", "parse_timestamp", "not a time such as 2024-01-31 12:00:00+00", "someday")
    ]


def test_a_note_names_a_row_by_its_whole_key():
    raw = raw_frame(LIST_PERSON, {"list_id": "l", "person_id": "p", "joined_group_at": "someday"})

    assert map_copied(LIST_PERSON, raw, CONTEXT).notes[0].row_id == "l|p"


def test_personal_values_in_notes_are_treated():
    mapped = map_copied(CAMPAIGN, raw_frame(CAMPAIGN, {"created": "nobody@example.com"}), CONTEXT)

    assert mapped.notes[0].value == PRIVACY.treat("nobody@example.com")


def test_long_values_are_cut_in_notes():
    mapped = map_copied(CAMPAIGN, raw_frame(CAMPAIGN, {"created": "x" * 5000}), CONTEXT)

    assert mapped.notes[0].value == "x" * 200


def test_a_row_is_not_deleted_where_fivetran_states_nothing():
    raw = raw_frame(CAMPAIGN, {"_fivetran_deleted": None}, {"_fivetran_deleted": True})

    assert map_copied(CAMPAIGN, raw, CONTEXT).rows["is_deleted"].tolist() == [False, True]


def test_a_column_the_frame_lacks_is_null():
    assert column(pd.DataFrame({"a": [1, 2]}), "b").to_pylist() == [None, None]


def test_unlisted_columns_and_packed_fields_are_one_document():
    properties = properties_of(
        PERSON, {"custom_color": "green", "custom_fields": {"Favorite Tea": [1, None, "x"], "$n": 1}}
    )

    assert properties == {"color": "green", "favorite_tea": [1, None, "x"], "n": 1}


def test_two_spellings_of_one_name_are_both_kept():
    properties = properties_of(PERSON, {"custom_tea": 1, "custom_fields": {"Tea": 2, "tea": 3, "$tea": 4, "TEA": 5}})

    assert sorted(properties.values()) == [1, 2, 3, 4, 5]
    assert properties["tea"] == 1


@pytest.mark.parametrize("packed", [["a", 1], "text", 5])
def test_a_packed_column_that_is_no_object_is_kept_whole(packed):
    assert properties_of(PERSON, {"custom_fields": json.dumps(packed)}) == {"custom_fields": packed}


@pytest.mark.parametrize("row", [{}, {"custom_fields": {}}, {"custom_fields": None}])
def test_nothing_is_no_document(row):
    assert properties_of(PERSON, row) is None


def test_notes_become_rows_in_a_total_order():
    notes = [
        Note("event", "b", "value", "r", "reason"),
        Note("event", "a", "value", "r", "reason", "x", dropped=True),
    ]

    frame = notes_frame(notes, "2026-01-31")

    assert frame.to_dict("records") == notes_frame(reversed(notes), "2026-01-31").to_dict("records")
    assert frame["row_id"].tolist() == ["a", "b"]
    assert frame["is_dropped"].tolist() == [True, False]
    assert set(frame["partition"]) == {"2026-01-31"}


def test_rows_that_broke_a_rule_are_noted_as_dropped():
    rows = pd.DataFrame({"list_id": ["l1", "l2"], "person_id": ["p1", "p2"]})
    bad = pd.DataFrame([(1, "list_id", "not_empty", "not the empty text")], columns=["row_number", "field", "rule",
                                                                                    "reason"])  # fmt: skip

    (note,) = bad_row_notes(LIST_PERSON, rows, bad, ("list_id", "person_id"))

    assert note == Note("list_person", "l2|p2", "list_id", "not_empty", "not the empty text", dropped=True)


def test_money_of_a_person_is_exact():
    raw = raw_frame(PERSON, {"predictive_analytics_historic_clv": "12345678901234567890.123456789"})

    row = map_copied(PERSON, raw, CONTEXT).rows.iloc[0]

    assert row["predictive_analytics_historic_clv"] == Decimal("12345678901234567890.123456789")


def test_numbers_of_packed_fields_keep_their_spelling():
    fields = '{"Price": 49.990000, "Points": 12345678901234567890.1, "Tiny": 1E-7}'

    text = gather_properties(PERSON, raw_frame(PERSON, {"custom_fields": fields}), PRIVACY)[0].to_pylist()[0]

    assert text == '{"price":49.990000,"points":12345678901234567890.1,"tiny":1E-7}'


def gathered(packed, **columns):
    raw = raw_frame(PERSON, {"id": "p1", "custom_fields": packed, **columns})
    values, notes = gather_properties(PERSON, raw, PRIVACY)
    return values.to_pylist()[0], [(note.row_id, note.field, note.rule, note.reason, note.value) for note in notes]


@pytest.mark.parametrize(
    ("packed", "reason"),
    {
        "no JSON": "the packed document is left out: it is not JSON",
        '{"a": 1': "the packed document is left out: it is not JSON",
        '{"a": NaN}': "the packed document is left out: it is not JSON",
        '{"a": %s}' % ("[" * 1500 + "]" * 1500): "the packed document is left out: it is nested too deeply",
    }.items(),
)  # fmt: skip
def test_a_packed_document_that_cannot_be_read_costs_itself(packed, reason):
    text, notes = gathered(packed, shoe_size="42")

    assert json.loads(text) == {"shoe_size": "42"}
    assert notes == [("p1", "properties", "parse_json", reason, None)]


def test_a_packed_document_with_marks_for_what_no_text_holds_is_kept_and_noted():
    text, notes = gathered('{"a": "x\ufffd"}')

    assert json.loads(text) == {"a": "x\ufffd"}
    assert notes == [("p1", "properties", "parse_json", "U+FFFD is in place of what no text can hold", None)]


def test_half_of_a_surrogate_pair_becomes_a_mark():
    text, notes = gathered(None, note=None, custom=None)
    assert (text, notes) == (None, [])

    text, _ = gathered(r'{"a": "\ud83d", "\ude00": 1}')

    assert json.loads(text) == {"a": "\ufffd", "\ufffd": 1}


@pytest.mark.parametrize("packed", ["null", "true", "[1]", "7", '"text"', "", " ", '{"": 1, "__proto__": 2}'])
def test_a_packed_document_may_be_anything_that_is_json(packed):
    text, notes = gathered(packed)

    assert (text is None or json.loads(text) is not None, notes) == (True, [])


def test_a_document_of_a_hundred_thousand_keys_that_are_alike_is_gathered():
    packed = json.dumps({f"key{'!' * (number % 7)} {number}": number for number in range(100_000)})

    text, notes = gathered(packed)

    assert (sorted(json.loads(text).values()), notes) == (list(range(100_000)), [])


@pytest.mark.parametrize("row", [{"id": ""}, {"id": None}, {"id": " "}])
def test_notes_of_rows_without_an_id_stand_beside_others(row):
    raw = raw_frame(PERSON, {**row, "created": "someday"}, {"id": "p1", "created": "someday"})
    mapped = map_copied(PERSON, raw, CONTEXT)

    assert len(notes_frame(mapped.notes, "acme")) == 2


@pytest.mark.parametrize(
    ("micros", "text"), {1_773_059_012_345_000_000: "the year 58156", -(10**17): "the year -1199"}.items()
)
def test_a_time_that_no_calendar_has_costs_its_cell(micros, text):
    raw = raw_frame(PERSON, {"id": "p1"})
    raw["created"] = pd.array(pa.array([micros], TIMESTAMP), dtype=pd.ArrowDtype(TIMESTAMP))

    mapped = map_copied(PERSON, raw, CONTEXT)

    (note,) = mapped.notes
    assert mapped.rows["created_at"].isna().all()
    assert (note.field, note.rule, note.reason) == (
        "created_at", "parse_timestamp", "a time outside the years 1 to 9999",
    )  # fmt: skip
    assert note.value == text


def test_a_note_shows_nothing_of_a_document():
    mapped = map_copied(PERSON, raw_frame(PERSON, {"id": "p1", "created": '{"name": "Jane Roe"}'}), CONTEXT)

    assert mapped.notes[0].value is None


@pytest.mark.parametrize(
    ("written", "is_kept"),
    {"9999-12-31 23:59:59+00": False, "9999-12-30 12:00:00+00": True, "0001-01-01 00:00:00+00": False}.items(),
)
def test_a_send_whose_day_not_every_time_zone_has_is_null(written, is_kept):
    mapped = map_copied(CAMPAIGN, raw_frame(CAMPAIGN, {"id": "c1", "send_time": written}), CONTEXT)

    assert (mapped.rows["send_at"].notna().all(), len(mapped.notes)) == (is_kept, 0 if is_kept else 1)


@pytest.mark.parametrize(
    ("written", "is_kept"), {"9999-12-31 23:59:59+00": True, "9999-12-31 23:59:59-05": False}.items()
)
def test_a_coupon_that_never_expires_is_kept(written, is_kept):
    coupon_code = TABLES["coupon_code"]

    mapped = map_copied(coupon_code, raw_frame(coupon_code, {"id": "k", "expires_at": written}), CONTEXT)

    assert (mapped.rows["expires_at"].notna().all(), len(mapped.rows), len(mapped.notes)) == (is_kept, 1, 1 - is_kept)
