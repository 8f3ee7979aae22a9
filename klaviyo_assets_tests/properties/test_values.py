"""Numbers go in and come out the same, or not at all."""

from datetime import UTC, timedelta
from decimal import Context, Decimal, localcontext

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.mapping.values import NotANumberError, parse, parse_number
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets_tests.strategies import INSTANTS, JUNK, TEXTS

# Everything NUMERIC holds: 29 digits before the point, 9 behind.
NUMERICS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda number: Decimal(number).scaleb(-9, Context(prec=60)))
CELLS = st.lists(st.none() | st.sampled_from(JUNK) | TEXTS | NUMERICS.map(str) | st.floats().map(repr), max_size=8)


def parsed(texts, wanted):
    return parse(pa.array(texts, pa.string()), wanted)


def grouped(number, thousands, decimal):
    return f"{number:,}".translate({ord(","): thousands, ord("."): decimal})


@given(st.lists(NUMERICS, max_size=5))
def test_every_numeric_comes_back_exactly(numbers):
    result = parsed([format(number, "f") for number in numbers], LogicalType.NUMERIC)

    assert result.values.to_pylist() == numbers
    assert result.reasons == {}


@given(NUMERICS, st.sampled_from(["{:e}", "{:E}", "+{:f}", "  {:f}  "]))
def test_every_way_to_write_a_number_is_the_same_number(number, way):
    if way.startswith("+"):
        number = number.copy_abs()

    assert parse_number(way.format(number)) == number


@given(st.decimals(1000, 10**12, places=2), st.sampled_from([",.", ".,", " .", " ,", "'.", "\u00a0,"]))
def test_grouped_numbers_with_decimals_mean_one_number(number, marks):
    assert parse_number(grouped(number, *marks)) == number


@given(st.integers(1, 999), st.integers(0, 999), st.sampled_from(", '"))
def test_a_single_group_may_be_two_numbers_and_is_neither(before, behind, mark):
    result = parsed([f"{before}{mark}{behind:03}"], LogicalType.NUMERIC)

    assert result.values.to_pylist() == [None]
    assert "ambiguous" in result.reasons[0]


@given(TEXTS | st.text("0123456789.,'eE+- ", max_size=15))
def test_a_number_is_what_its_digits_say_or_is_refused(text):
    """Whatever is accepted has the text's own digits, in their order."""
    try:
        number = parse_number(text)
    except NotANumberError:
        return

    mantissa, _, exponent = text.strip().lower().partition("e")
    digits = "".join(str(int(mark)) for mark in mantissa if mark.isdigit())
    with localcontext(Context(prec=120)):
        candidates = [Decimal(digits or 0).scaleb(int(exponent or 0) - places) for places in range(len(digits) + 1)]
        errors = [abs(number.copy_abs() - candidate) for candidate in candidates]
    assert min(errors) <= Decimal("0.5e-9")
    assert (number < 0) == (mantissa.startswith("-") and number != 0)


@given(CELLS, st.sampled_from(LogicalType))
def test_no_cell_stops_a_column_and_each_is_a_value_or_null_with_a_reason(cells, wanted):
    result = parsed(cells, wanted)

    result.values.validate(full=True)
    assert len(result.values) == len(cells)
    for row, (cell, value) in enumerate(zip(cells, result.values.to_pylist(), strict=True)):
        blank = cell is None or not cell.strip()
        assert (value is None) == (blank or row in result.reasons), cell


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_every_integer_of_64_bits_comes_back(numbers):
    assert parsed(map(str, numbers), LogicalType.INTEGER).values.to_pylist() == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_every_finite_float_comes_back(numbers):
    result = parsed(map(repr, numbers), LogicalType.FLOAT)

    assert result.values.to_pylist() == numbers
    assert result.reasons == {}


@given(st.lists(INSTANTS, max_size=5), st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_offset(instants, minutes):
    local = [(instant + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat(" ") for instant in instants]
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    texts = [f"{text}{sign}{size // 60:02}:{size % 60:02}" for text in local]

    moments = parsed(texts, LogicalType.TIMESTAMP).values.to_pylist()

    assert [moment.astimezone(UTC) for moment in moments] == instants
