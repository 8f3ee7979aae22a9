"""Klaviyo's quota: requests that wait as long as `wait` says are never refused, by whatever fixed windows."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.resources.klaviyo.quota import DAY_SECONDS, Quota, Spending

QUOTAS = st.builds(Quota, st.integers(1, 3), st.integers(1, 4), st.integers(1, 6))
NOW = 1_800_000_000.0


@given(QUOTAS, st.lists(st.floats(0, 50_000), min_size=1, max_size=25), st.floats(0, 86_400))
def test_no_fixed_window_ever_sees_more_than_its_limit(quota, gaps, phase):
    """Wherever Klaviyo's windows begin."""
    now, spending, request_times = NOW, Spending(), []
    for gap in gaps:
        now += gap
        # Klaviyo counts a hair later than we do: a request on the very edge belongs to either window.
        now += (wait := spending.wait(quota, now)) + (1e-3 if wait else 0)
        spending = spending.after_request(now)
        request_times.append(now)
    for limit, seconds in quota.windows:
        assert max(Counter(int((at - phase) // seconds) for at in request_times).values()) <= limit


@given(QUOTAS, st.lists(st.floats(0, 86_400), max_size=20))
def test_nobody_waits_for_longer_than_the_fullest_window_needs(quota, ages):
    """A wait ends when the window that is full has room again, and is nothing where all have."""
    spending = Spending(tuple(sorted(NOW - age for age in ages)))
    wait = spending.wait(quota, NOW)
    full = [
        seconds for limit, seconds in quota.windows if sum(at > NOW - seconds for at in spending.request_times) >= limit
    ]
    assert 0 <= wait <= max(full, default=0)
    assert (wait > 0) == bool(full)


def test_the_default_is_klaviyos_quota():
    spending = Spending()
    assert spending.wait(Quota(), NOW) == 0
    assert spending.after_request(NOW).wait(Quota(), NOW + 0.25) == 0.75
    assert spending.after_request(NOW).after_request(NOW + 1).wait(Quota(), NOW + 5) == 55
    busy = Spending(tuple(NOW - 80_000 + 100 * number for number in range(225)))
    assert busy.left(Quota(), NOW) == 0
    assert busy.wait(Quota(), NOW) == DAY_SECONDS - 80_000


@given(st.lists(st.floats(0, 2e9), max_size=10), st.floats(0, 2e9))
def test_the_spending_survives_being_kept(request_times, paused_until):
    spending = Spending(tuple(sorted(request_times)), paused_until)
    assert Spending.of(spending.text) == spending


def test_what_is_kept_and_cannot_be_read_counts_as_nothing():
    for text in (None, "", "no json", "[]", '{"made": ["x"]}', "3"):
        assert Spending.of(text) == Spending()


def test_a_pause_that_klaviyo_asked_for_holds_in_the_next_run_too():
    spending = Spending.of(Spending().paused(NOW + 600).text)
    assert spending.wait(Quota(), NOW) == 600
    assert spending.paused(NOW + 10).wait(Quota(), NOW) == 600
    assert spending.wait(Quota(), NOW + 601) == 0


def test_requests_of_more_than_a_day_ago_are_forgotten():
    spending = Spending((NOW - DAY_SECONDS - 1, NOW - 10)).after_request(NOW)
    assert spending.request_times == (NOW - 10, NOW)
    assert spending.left(Quota(), NOW) == 223
