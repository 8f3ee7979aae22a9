"""No plain personal value leaves the mapping, unless the account says so."""

import json
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.mapping.privacy import _EMAIL, _PHONE, PERSONAL_KEYS, Privacy, _personal_texts
from klaviyo_assets.model.spec import squash

KEY = b"0123456789abcdef"
HASH, KEEP, DROP = Privacy("hash", KEY), Privacy("keep"), Privacy("drop")
EMAIL, PHONE = "nobody@example.com", "+1 (516) 555-5555"


def treated(document, privacy=HASH, personal=frozenset()):
    """A JSON document after treatment."""
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return json.loads(privacy.json_column(pa.array([text]), personal).to_pylist()[0])


@pytest.mark.parametrize("key", [b"", b"too short"])
def test_hashing_without_a_long_key_is_refused_with_a_way_to_make_one(key):
    with pytest.raises(SettingsError, match=r"PII_HASH_KEY is missing or shorter .*secrets\.token_hex"):
        Privacy("hash", key)


def test_keeping_and_dropping_need_no_key():
    assert (KEEP.treat("x"), DROP.treat("x")) == ("x", None)


def test_the_same_value_has_the_same_hash_and_another_key_another():
    assert HASH.treat(EMAIL) == HASH.treat("  Nobody@Example.COM ")
    assert len(HASH.treat(EMAIL)) == 64
    assert HASH.treat(EMAIL) != HASH.treat("somebody@example.com")
    assert HASH.treat(EMAIL) != Privacy("hash", KEY[::-1]).treat(EMAIL)


def test_a_column_is_hashed_dropped_or_kept():
    values = pa.array([EMAIL, None, EMAIL])

    assert HASH.column(values).to_pylist() == [HASH.treat(EMAIL), None, HASH.treat(EMAIL)]
    assert DROP.column(values).to_pylist() == [None, None, None]
    assert KEEP.column(values) is values


@pytest.mark.parametrize("spelling", [
    "email", "Email", "$email", "E-Mail", "customer_email", "emailAddress", "IP Address", "First Name", "firstName",
    "last_name", "ZIP", "Client IP",
])  # fmt: skip
def test_a_personal_key_is_known_in_any_spelling(spelling):
    assert treated({spelling: "secret", "plain": "as is"}) == {spelling: HASH.treat("secret"), "plain": "as is"}


@pytest.mark.parametrize("key", sorted(PERSONAL_KEYS))
def test_every_personal_key_is_looked_at(key):
    assert treated({key: "secret"}) == {key: HASH.treat("secret")}


def test_a_tables_own_personal_keys_are_looked_at_too():
    assert treated({"Kit Sender": "secret"}, personal=frozenset({squash("kit_sender")})) != {"Kit Sender": "secret"}


def test_everything_below_a_personal_key_is_personal():
    address = {"street": "1 Main St", "geo": [12.5, None], "is_home": True}

    assert treated({"billing_address": address}) == {
        "billing_address": {
            "street": HASH.treat("1 Main St"), "geo": [HASH.treat("12.5"), None], "is_home": True,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("text", "left"), [
    (f"write to {EMAIL}!", "write to {hash}!"), (f"{EMAIL},{EMAIL}", "{hash},{hash}"),
    ("https://shop.example/?e=nobody%40example.com&x=1", "https://shop.example/?e={hash}&x=1"),
    ("jürgen@müller.de", None), ("call +15165555555", None), (f"call {PHONE}", None),
])  # fmt: skip
def test_addresses_and_numbers_in_free_text_are_treated(text, left):
    treated_note = treated({"note": [text]})["note"][0]

    assert not any(part in treated_note for part in ("nobody", "jürgen", "müller", "rgen", "5555"))
    assert left is None or treated_note == left.format(hash=HASH.treat(EMAIL))


def test_letters_written_as_escapes_are_letters():
    """The type json, unlike jsonb, keeps a document as it was written."""
    assert treated(r'{"note": "nobody\u0040example.com", "\u0065mail": "x"}') == {
        "note": HASH.treat(EMAIL), "email": HASH.treat("x"),
    }  # fmt: skip


def test_a_document_without_anything_personal_stays_byte_for_byte():
    documents = pa.array(['{"b":1.10,  "a":[null]}', None, "[]", '{"email_count":  2}'])

    assert HASH.json_column(documents).to_pylist() == documents.to_pylist()


def test_what_is_no_json_is_scrubbed_and_becomes_json():
    assert treated(f"{{broken {EMAIL}") == f"{{broken {HASH.treat(EMAIL)}"


def test_a_document_nested_too_deep_to_look_through_is_personal_as_a_whole():
    text = "[" * 50_000 + f'"{EMAIL}"' + "]" * 50_000

    assert treated(text) == HASH.treat(text)


def test_drop_leaves_nulls_and_keep_leaves_all():
    document = {"email": EMAIL, "note": f"to {EMAIL}"}

    assert treated(document, DROP) == {"email": None, "note": "to "}
    assert treated(document, KEEP) == document


@pytest.mark.parametrize("number", [
    "12345678901234567890.123456789", "49.990000", "1.10", "1E5", "-0", "0.1e-400", "9" * 5_000, "1e400",
])  # fmt: skip
def test_numbers_of_a_rewritten_document_keep_their_spelling(number):
    text = f'{{"email": "ann@example.com", "price": {number}, "nested": [{{"n": {number}}}]}}'

    (document,) = HASH.json_column(pa.array([text])).to_pylist()

    assert document == f'{{"email":"{HASH.treat("ann@example.com")}","price":{number},"nested":[{{"n":{number}}}]}}'


def test_a_number_under_a_personal_key_is_treated_as_it_is_spelled():
    (document,) = HASH.json_column(pa.array(['{"phone": 15165555555, "zip": 1.50}'])).to_pylist()

    assert document == f'{{"phone":"{HASH.treat("15165555555")}","zip":"{HASH.treat("1.50")}"}}'


LONG = 5_000_000
LONG_TEXTS = {
    "letters and an at sign": ("a" * LONG + " @", None),
    "one run of letters and points": ("a." * (LONG // 2), None),
    "at signs": ("a@" * (LONG // 2), None),
    "escaped at signs": ("%40a" * (LONG // 4), None),
    "a domain without an end": ("a@" + "b-" * (LONG // 2), None),
    "plus signs": ("+1 " * (LONG // 3) + "@", None),
    "addresses side by side": ("a@b.co+" * (LONG // 70), "+"),
}


@pytest.mark.parametrize(("text", "wanted"), LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_five_megabytes_are_scrubbed_in_one_pass(text, wanted):
    """What looked at all that follows from every letter on, as it once did, would not end within a day."""
    assert DROP.scrub(text) == (text if wanted is None else wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "a@b.co @": " @", "a@b.co c@d.org": " ", "a@b.co+c@d.org": "", "x@y@z.com": "x@", "a%40b.co": "", "a@b": "a@b",
        "+49 30 1234567": "", "+12345678901@b.co": "", "+1 234 567 8901x@y.com": "", "+1 2 @ b.co": "+1 2 @ b.co",
        "a+12345678": "a", "mail:a@b.co,+12345678901": "mail:,",
    }.items(),
)  # fmt: skip
def test_addresses_and_numbers_are_found_wherever_they_begin(text, wanted):
    assert DROP.scrub(text) == wanted


_OLD = re.compile(rf"{_EMAIL}|{_PHONE}")


@given(st.text(alphabet="ab.@%40+-1 2()_", max_size=40))
def test_the_linear_search_finds_what_one_pattern_for_both_finds(text):
    assert [found.group() for found in _personal_texts(text)] == [found.group() for found in _OLD.finditer(text)]


@pytest.mark.parametrize(
    "document",
    [
        '{"email": "jane@shop.example", "email": null}', '{"email": null, "email": "jane@shop.example"}',
        r'{"email": "jane\ud83d@shop.example"}', r'{"title": "cut \ud83d", "contact": "jane@shop.example"}',
        '{"x": ' + "[" * 1500 + '"jane@shop.example"' + "]" * 1500 + "}",
        '{"x": {"email": 1e999999}, "y": "jane@shop.example"}', r'{"em\u0061il": "jane"}',
        '{"email": "jane", "x": ' + "9" * 5_000 + "}", r'{"\ude00email": "jane@shop.example"}',
    ],
)  # fmt: skip
def test_a_hostile_document_is_treated_and_can_be_read(document):
    (text,) = Privacy("hash", b"0123456789abcdef").json_column(pa.array([document])).to_pylist()

    assert "jane" not in text
    text.encode()
    json.loads(text, parse_int=str)
