"""JSON that is read and written again says what it said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.mapping.documents import NumberText, read, repeats_a_key, sound, write

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(DOCUMENTS)
def test_nothing_changes_but_blanks(document):
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    assert write(read(text)) == text


@pytest.mark.parametrize("text", ["49.990000", "1E5", "-0.0", "1e-400", "12345678901234567890.123", "9" * 6_000])
def test_a_number_keeps_its_spelling(text):
    number = read(text)

    assert isinstance(number, NumberText)
    assert number.spelled == text
    assert write({"n": [number]}) == f'{{"n":[{text}]}}'


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "[Infinity]", "{", ""])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        r'"\ud83d"': r'"\ufffd"', r'"\ude00"': r'"\ufffd"', r'"\uD83D\uDE00"': r'"\uD83D\uDE00"',
        r'"\ud83d\ud83d\ude00"': r'"\ufffd\ud83d\ude00"', r'"\\ud83d"': r'"\\ud83d"', r'"\\\ud83d"': r'"\\\ufffd"',
        r'{"\ud83d": "\ude00"}': r'{"\ufffd": "\ufffd"}', r'"\u0000"': r'"\u0000"',
    }.items(),
)  # fmt: skip
def test_half_of_a_surrogate_pair_is_replaced_and_nothing_else(text, wanted):
    assert sound(text) == wanted
    write(read(text)).encode()


@pytest.mark.parametrize(
    ("text", "wanted"),
    {'{"a": 1, "a": 1}': True, '{"a": {"b": 1, "b": 2}}': True, '[{"a": 1}, {"a": 2}]': False, "7": False}.items(),
)
def test_a_key_that_is_there_twice_is_seen(text, wanted):
    assert repeats_a_key(text) is wanted
