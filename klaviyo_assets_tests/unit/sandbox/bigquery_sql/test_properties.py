"""Arithmetic, rounding and dates against Python's own, over drawn values; damaged texts."""

import re
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.sandbox.bigquery.sql import Parameter, SqlError
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine, shop
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.test_queries import CASES

ENGINE, SHOP = Engine(), shop()
NINE = Decimal("1e-9")
EXACT = Context(prec=80)
decimals = st.decimals(min_value=-(10**9), max_value=10**9, places=9, allow_nan=False)
days = st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 12, 31))
integers = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def numeric(name: str, value: Decimal) -> Parameter:
    """A NUMERIC parameter."""
    return Parameter(name, "NUMERIC", format(value, "f"))


def rounded(value: Decimal, place: Decimal = NINE) -> Decimal:
    """Half away from zero, at any precision."""
    return value.quantize(place, ROUND_HALF_UP, EXACT)


@settings(max_examples=60, deadline=None)
@given(decimals, decimals)
def test_numeric_arithmetic_is_exact_to_nine_digits(left: Decimal, right: Decimal) -> None:
    """Sum, difference, product, quotient; half away from zero."""
    pair = numeric("a", left), numeric("b", right)
    row = ENGINE.rows("SELECT @a + @b, @a - @b, @a * @b, SAFE_DIVIDE(@a, @b)", *pair)[0]
    quotient = rounded(EXACT.divide(left, right)) if right else None
    assert row == (left + right, left - right, rounded(EXACT.multiply(left, right)), quotient)


@settings(max_examples=40, deadline=None)
@given(decimals, st.integers(min_value=-8, max_value=9))
def test_round_goes_half_away_from_zero_at_any_place(value: Decimal, place: int) -> None:
    """ROUND(NUMERIC, n)."""
    result = ENGINE.value(f"ROUND(@a, {place})", numeric("a", value))
    assert result == rounded(value, Decimal(1).scaleb(-place))


@settings(max_examples=40, deadline=None)
@given(st.lists(decimals, min_size=1, max_size=12))
def test_sum_and_average_of_numeric_are_exact(values: list[Decimal]) -> None:
    """Over an array parameter."""
    listed = Parameter("a", "ARRAY<NUMERIC>", [format(value, "f") for value in values])
    row = ENGINE.rows("SELECT SUM(x), AVG(x), COUNT(DISTINCT x) FROM UNNEST(@a) AS x", listed)[0]
    assert row == (sum(values), rounded(EXACT.divide(sum(values), len(values))), len(set(values)))


@settings(max_examples=60, deadline=None)
@given(integers, integers)
def test_integer_arithmetic_is_pythons_or_an_overflow(left: int, right: int) -> None:
    """DIV and MOD cut towards zero, as in C."""
    pair = Parameter("a", "INT64", str(left)), Parameter("b", "INT64", str(right))
    for sign, exact in (("+", left + right), ("-", left - right), ("*", left * right)):
        if -(2**63) <= exact < 2**63:
            assert ENGINE.value(f"@a {sign} @b", *pair) == exact
        else:
            with pytest.raises(duckdb.Error):
                ENGINE.value(f"@a {sign} @b", *pair)
    if right not in (0, -1):
        whole = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        assert ENGINE.rows("SELECT DIV(@a, @b), MOD(@a, @b)", *pair) == [(whole, left - whole * right)]


@settings(max_examples=60, deadline=None)
@given(days, days, st.integers(min_value=-4000, max_value=4000))
def test_dates_add_differ_and_truncate_as_pythons(first: date, second: date, count: int) -> None:
    """Days, months crossed, weeks from Sunday and from Monday."""
    given_values = (
        Parameter("a", "DATE", str(first)),
        Parameter("b", "DATE", str(second)),
        Parameter("n", "INT64", str(count)),
    )
    sql = """SELECT DATE_ADD(@a, INTERVAL @n DAY), DATE_DIFF(@a, @b, DAY), DATE_DIFF(@a, @b, MONTH),
             DATE_TRUNC(@a, WEEK), DATE_TRUNC(@a, ISOWEEK), DATE_DIFF(@a, @b, WEEK),
             EXTRACT(DAYOFWEEK FROM @a), EXTRACT(ISOWEEK FROM @a), FORMAT_DATE('%F', @a)"""
    sundays = [day - timedelta(days=(day.weekday() + 1) % 7) for day in (first, second)]
    assert ENGINE.rows(sql, *given_values)[0] == (
        first + timedelta(days=count),
        (first - second).days,
        (first.year - second.year) * 12 + first.month - second.month,
        sundays[0],
        first - timedelta(days=first.weekday()),
        (sundays[0] - sundays[1]).days // 7,
        (first.weekday() + 1) % 7 + 1,
        first.isocalendar().week,
        first.isoformat(),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(ZoneInfo("UTC"))),
    st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Sydney", "UTC"]),
)
def test_days_of_a_zone_are_pythons(moment: datetime, zone: str) -> None:
    """DATE(ts, zone), DATETIME(ts, zone), UNIX_MICROS, over changes of clocks."""
    given_values = Parameter("t", "TIMESTAMP", moment.isoformat(sep=" ")), Parameter("z", "STRING", zone)
    row = ENGINE.rows("SELECT DATE(@t, @z), DATETIME(@t, @z), UNIX_MICROS(@t)", *given_values)[0]
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    micros = (moment - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))) // timedelta(microseconds=1)
    assert row == (local.date(), local, micros)


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet="abé😀", max_size=8),
    st.integers(min_value=-10, max_value=10),
    st.integers(min_value=0, max_value=10),
)
def test_substr_counts_characters_from_either_end(text: str, start: int, count: int) -> None:
    """A start of 0 or left of the text is the first character."""
    begin = max(start - 1, 0) if start >= 0 else max(len(text) + start, 0)
    given_values = (
        Parameter("s", "STRING", text),
        Parameter("p", "INT64", str(start)),
        Parameter("n", "INT64", str(count)),
    )
    assert ENGINE.rows("SELECT SUBSTR(@s, @p, @n), LENGTH(@s)", *given_values) == [
        (text[begin : begin + count], len(text))
    ]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([case[0] for case in CASES]), st.data())
def test_a_text_without_one_of_its_words_is_translated_or_refused(sql: str, data: st.DataObject) -> None:
    """Never another exception: the server turns an SqlError, and nothing else, into an answer."""
    words = re.findall(r"'[^']*'|\w+|[^\w\s]", sql)
    place = data.draw(st.integers(min_value=0, max_value=len(words) - 1))
    outcome = ""
    try:
        outcome = SHOP.translate(" ".join(words[:place] + words[place + 1 :]))[0].kind
    except SqlError as error:
        outcome = error.message
    assert outcome
