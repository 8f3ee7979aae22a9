"""Whether later runs have made up for a failed one, day by day."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.publishing.mail.work import WHOLE, days_of, union_of, without

FIRST = date(2026, 2, 26)


def day(number):
    return (FIRST + timedelta(days=number)).isoformat()


def spans(numbers):
    """Days as one span each."""
    return tuple((day(number), day(number)) for number in numbers)


def days(work):
    """A work as sets of days; `WHOLE` stands for itself."""
    days_by_asset = {}
    for asset, listed in work.items():
        for first, last in listed:
            on = days_by_asset.setdefault(asset, set())
            on |= {WHOLE} if (first, last) == WHOLE else {one for one in map(day, range(60)) if first <= one <= last}
    return days_by_asset


range_of = st.tuples(st.integers(0, 20), st.integers(0, 10)).map(lambda pair: (day(pair[0]), day(sum(pair))))
works = st.dictionaries(
    st.sampled_from(["bigquery/event", "bigquery/attribution", "report/x"]),
    st.lists(range_of | st.just(WHOLE), min_size=1, max_size=4).map(tuple), max_size=3,
)  # fmt: skip


@given(works, works)
def test_joining_is_the_union_of_days(first, second):
    joined_days = days(union_of(first, second))

    assert joined_days == {
        asset: days(first).get(asset, set()) | days(second).get(asset, set()) for asset in {*first, *second}
    }  # fmt: skip


@given(works, works)
def test_taking_away_leaves_the_days_that_were_not_done(work, done):
    expected = {asset: on - days(done).get(asset, set()) for asset, on in days(work).items()}

    assert days(without(work, done)) == {asset: on for asset, on in expected.items() if on}


@given(works)
def test_neighboring_days_become_one_span(work):
    for listed in union_of(work, {}).values():
        dated = [span for span in listed if span != WHOLE]
        for (_, last), (first, _) in pairwise(dated):
            assert (date.fromisoformat(first) - date.fromisoformat(last)).days > 1


def test_the_days_of_a_work_are_its_first_and_last():
    assert days_of({"a": spans([3, 5]), "b": (WHOLE, (day(1), day(2)))}) == (day(1), day(5))
    assert days_of({"a": (WHOLE,)}) is None
