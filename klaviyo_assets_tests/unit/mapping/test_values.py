"""What real cells hold, and what becomes of it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from klaviyo_assets.mapping.values import NotANumberError, parse, parse_number
from klaviyo_assets.model.arrow import arrow_type
from klaviyo_assets.model.spec import LogicalType


def parsed(cell, wanted):
    """The value and the reason of one text cell."""
    result = parse(pa.array([cell], pa.string()), wanted)
    return result.values.to_pylist()[0], result.reasons.get(0)


@pytest.mark.parametrize(("text", "number"), [
    ("49.990000", "49.99"), ("-12.5", "-12.5"), ("1e-05", "0.00001"), ("1E5", "100000"), ("+5", "5"), (".5", "0.5"),
    ("5.", "5"), ("1.234,50", "1234.5"), ("1,234.50", "1234.5"), ("1 234,50", "1234.5"), ("1'234.50", "1234.5"),
    ("1,234,567", "1234567"), ("1.234.567", "1234567"), ("12,50", "12.5"), ("0,5", "0.5"), ("1,2345", "1.2345"),
    ("0.0000000005", "0.000000001"), ("-0.0000000005", "-0.000000001"), ("0.00000000049", "0"),
    ("12345678901234567890.1234567891", "12345678901234567890.123456789"),
    ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
    ("1\u202f234,50", "1234.5"), ("1\u00a0234.50", "1234.5"), ("1\u2009234\u2009567", "1234567"),
    ("1\u2019234.50", "1234.5"),
    ("1'234,50", "1234.5"), ("\uff11\uff12.\uff15\uff10", "12.5"),
    ("१२", "12"), ("007", "7"), ("0012,50", "12.5"), ("1e-400", "0"),
    ("-0", "0"), ("1,234.567", "1234.567"), ("1.234", "1.234"),
])  # fmt: skip
def test_a_number_in_any_usual_spelling(text, number):
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize(("text", "reason"), [
    ("1,234", "ambiguous"), ("1 234", "ambiguous"), ("1'234", "ambiguous"), ("inf", "not finite"),
    ("-Infinity", "not finite"), ("NaN", "not finite"), ("n.a.", "not a number"), ("$5", "not a number"),
    ("1.2.3", "not a number"), ("1,2,3", "not a number"), ("12,34,567", "not a number"), ("5 EUR", "not a number"),
    ("0x1F", "not a number"), ("1_000", "not a number"), ("- 5", "not a number"), ("--5", "not a number"),
    ("0.123,45", "not a number"), ("1e", "not a number"), ("1e9999", "not a number"), ("9" * 30, "out of range"),
    ("1e30", "out of range"), ("$12.50", "it comes with a currency"), ("EUR 12,50", "it comes with a currency"),
    ("12.50 USD", "it comes with a currency"), ("12,50€", "it comes with a currency"), ("£-3", "comes with a currency"),
    ("USD1,234.50", "it comes with a currency"), ("(12.50)", "not a number"), ("12.50-", "not a number"),
    ("5+", "not a number"), ("\u22125", "not a number"), ("1\u00a0234", "ambiguous"), ("1\u2019234", "ambiguous"),
    ("1\u202f234", "ambiguous"), ("0,123", "ambiguous"), ("1e400", "out of range"), ("1²", "not a number"),
    ("½", "not a number"), ("12.5\u200b", "not a number"), ("\ufeff12.5", "not a number"), ("1,234e5", "not a number"),
    ("1.234.56", "not a number"), ("12,34,567.89", "not a number"), ("01,234,567", "not a number"),
    ("1\u066b5", "not a number"), ("5%", "not a number"), ("true", "not a number"), ("null", "not a number"),
    ("99999999999999999999999999999.9999999999", "out of range"), ("", "not a number"),
])  # fmt: skip
def test_what_is_no_number_or_could_be_two_is_refused_with_its_reason(text, reason):
    with pytest.raises(NotANumberError, match=reason):
        parse_number(text)


@pytest.mark.parametrize(("cell", "wanted", "value", "reason"), [
    ("7", LogicalType.INTEGER, 7, None),
    ("7.0", LogicalType.INTEGER, 7, None),
    ("1e3", LogicalType.INTEGER, 1000, None),
    ("-9223372036854775808", LogicalType.INTEGER, -(2**63), None),
    ("9223372036854775808", LogicalType.INTEGER, None, "not a whole number of 64 bits"),
    ("1e999", LogicalType.INTEGER, None, "not a whole number of 64 bits"),
    ("7.5", LogicalType.INTEGER, None, "not a whole number of 64 bits"),
    ("1.0000000001", LogicalType.INTEGER, None, "not a whole number of 64 bits"),
    ("seven", LogicalType.INTEGER, None, "not a number"),
    (".5e-11", LogicalType.FLOAT, 5e-12, None),
    ("1e308", LogicalType.FLOAT, 1e308, None),
    ("9" * 400, LogicalType.FLOAT, None, "out of range"),
    ("inf", LogicalType.FLOAT, None, "not finite"),
    (" TRUE ", LogicalType.BOOLEAN, True, None),
    ("f", LogicalType.BOOLEAN, False, None),
    ("maybe", LogicalType.BOOLEAN, None, "not true or false"),
    ("2023-07-18 12:43:52 UTC", LogicalType.TIMESTAMP, datetime(2023, 7, 18, 12, 43, 52, tzinfo=UTC), None),
    ("2023-07-18 12:43:52+02", LogicalType.TIMESTAMP, datetime(2023, 7, 18, 10, 43, 52, tzinfo=UTC), None),
    ("2023-07-18T12:43:52.5Z", LogicalType.TIMESTAMP, datetime(2023, 7, 18, 12, 43, 52, 500000, UTC), None),
    ("2023-07-18", LogicalType.TIMESTAMP, datetime(2023, 7, 18, tzinfo=UTC), None),
    ("2024-02-30", LogicalType.TIMESTAMP, None, "not a time such as 2024-01-31 12:00:00+00"),
    ("0000-00-00", LogicalType.TIMESTAMP, None, "not a time such as 2024-01-31 12:00:00+00"),
    *((text, LogicalType.TIMESTAMP, None, "not a time such as 2024-01-31 12:00:00+00")
      for text in ("20240131", "2024-W05-3", "1700000000", "1900-02-29", "2024-01-31 24:00:00", "0000-01-01",
                   "2024-01-31 12:00:00.1234567", "2024-01-31 12:00:00+15", "2024-01-31x12:00:00", "12:00:00")),
    ("2024-02-29 23:59:59.999999-0330", LogicalType.TIMESTAMP, datetime(2024, 3, 1, 3, 29, 59, 999999, UTC), None),
    ("infinity", LogicalType.TIMESTAMP, None, "not a time such as 2024-01-31 12:00:00+00"),
    ("0001-01-01T00:00:00+14:00", LogicalType.TIMESTAMP, None, "not a time such as 2024-01-31 12:00:00+00"),
    ("2024-01-31", LogicalType.DATE, date(2024, 1, 31), None),
    ("31.01.2024", LogicalType.DATE, None, "not a time such as 2024-01-31 12:00:00+00"),
    ('{"a": 1}', LogicalType.JSON, '{"a": 1}', None),
    ("plain words", LogicalType.JSON, '"plain words"', None),
    ("NaN", LogicalType.JSON, '"NaN"', None),
    (" outer blanks ", LogicalType.STRING, " outer blanks ", None),
])  # fmt: skip
def test_a_cell_of_each_type(cell, wanted, value, reason):
    assert parsed(cell, wanted) == (value, reason)


@pytest.mark.parametrize("wanted", LogicalType)
@pytest.mark.parametrize("cell", [None, "", " ", "\t\n"])
def test_nothing_is_null_in_every_type(cell, wanted):
    assert parsed(cell, wanted) == (None, None)


@pytest.mark.parametrize("wanted", LogicalType)
def test_a_column_that_is_missing_is_all_null_of_its_type(wanted):
    values = parse(pa.nulls(3), wanted).values

    assert values.type == arrow_type(wanted)
    assert values.null_count == 3


@pytest.mark.parametrize(("cells", "wanted", "values"), [
    (pa.array([1, None]), LogicalType.NUMERIC, [Decimal(1), None]),
    (pa.array([0.1, 1e22]), LogicalType.NUMERIC, [Decimal("0.1"), Decimal(10**22)]),
    (pa.array([Decimal("1.10")]), LogicalType.NUMERIC, [Decimal("1.10")]),
    (pa.array([1, 0]), LogicalType.BOOLEAN, [True, False]),
    (pa.array([True]), LogicalType.STRING, ["true"]),
    (pa.array(["5", "5", "x"]).dictionary_encode(), LogicalType.INTEGER, [5, 5, None]),
    (pa.array([datetime(2024, 1, 31)], pa.timestamp("ms", "UTC")), LogicalType.TIMESTAMP,
     [datetime(2024, 1, 31, tzinfo=UTC)]),
    (pa.array([float("inf"), 1.5, None]), LogicalType.FLOAT, [None, 1.5, None]),
])  # fmt: skip
def test_cells_that_come_as_another_type_are_converted(cells, wanted, values):
    assert parse(cells, wanted).values.to_pylist() == values


def test_a_document_nested_too_deep_is_kept_as_text():
    value, reason = parsed("[" * 100_000, LogicalType.JSON)

    assert (value, reason) == ('"' + "[" * 100_000 + '"', None)


def test_reasons_are_found_by_row():
    result = parse(pa.array(["1", "x", None, "2.5", "1,234"]), LogicalType.NUMERIC)

    assert result.values.to_pylist() == [Decimal(1), None, None, Decimal("2.5"), None]
    assert sorted(result.reasons) == [1, 4]
