"""JSON that is read and written again says what it said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.documents import NumberText, read, write

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
