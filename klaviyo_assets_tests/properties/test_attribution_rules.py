"""Attribution keeps its promises whatever happened: money is conserved, credit never crosses people or time."""

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from functools import reduce

from hypothesis import example, given
from hypothesis import strategies as st

from klaviyo_assets.accounts import DEFAULT_WINDOWS
from klaviyo_assets.mapping.credit import MAX_HOPS, Touch, TouchBook, attribute, split

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = st.sampled_from(["ann", "bob", None])
SECONDS = st.integers(0, 20)
IDS = [f"e{number}" for number in range(12)]
NAMED = st.sampled_from([*IDS, "missing"])
METRICS = {
    "Clicked Email": ("email", "click"), "Opened Email": ("email", "open"), "Received Email": ("email", None),
    "Received SMS": ("sms", "delivery"), "Opened Push": ("mobile_push", "open"), "Viewed Product": (None, None),
}  # fmt: skip
WINDOWS = {"email_click": 9, "email_open": 5, "sms_delivery": 3, "mobile_push_open": 0}
VALUES = st.none() | st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-9, Context(prec=60)))
RECORDED = st.one_of(
    st.none(),
    NAMED.map(lambda named: f'{{"$attributed_event_id": "{named}"}}'),
    st.lists(NAMED, min_size=1, max_size=7).map(
        lambda names: "[" + ",".join(f'{{"$attributed_event_id": "{named}"}}' for named in names) + "]"
    ),
)


@st.composite
def touches(draw, event_id):
    metric = draw(st.sampled_from(sorted(METRICS)))
    return Touch(
        event_id, draw(PEOPLE), START + timedelta(seconds=draw(SECONDS)), metric, METRICS[metric][0],
        campaign_id=draw(st.sampled_from(["c1", "c2", None])), flow_id=draw(st.sampled_from(["f1", None])),
        attribution=draw(RECORDED),
    )  # fmt: skip


BOOKS = st.tuples(*(touches(event_id) for event_id in IDS))
ORDERS = st.builds(
    Touch, st.sampled_from(["order", "e3"]), PEOPLE, SECONDS.map(lambda s: START + timedelta(seconds=s)),
    st.just("Placed Order"), st.none(), campaign_id=st.none(), flow_id=st.none(), attribution=RECORDED,
)  # fmt: skip


def exact_sum(amounts):
    with localcontext(Context(prec=80)):
        return sum(amounts, Decimal(0))


@given(VALUES.filter(lambda value: value is not None), st.integers(1, 50))
@example(Decimal("0.01"), 3)
@example(Decimal("99999999999999999999999999999.999999999"), 7)
def test_shares_sum_to_exactly_the_whole_and_hardly_differ(whole, parts):
    shares = split(whole, parts)

    assert len(shares) == parts
    assert exact_sum(shares) == whole
    assert all(share.as_tuple().exponent >= -9 for share in shares)
    with localcontext(Context(prec=80)):
        assert max(shares) - min(shares) <= Decimal(parts) * Decimal("1e-9")


@given(BOOKS, ORDERS, VALUES, st.sampled_from(["native", "touch"]))
def test_credit_is_conserved_and_never_crosses_people_or_time(touches, order, value, source):
    book = TouchBook.of(touches)

    earned = attribute(order, value, book, source, WINDOWS).credits

    if earned:
        assert exact_sum(credit.weight for credit in earned) == 1
        assert (value is None) == all(credit.value is None for credit in earned)
        assert value is None or exact_sum(credit.value for credit in earned) == value
    for credit in earned:
        assert credit.source == ("recorded" if source == "native" else "last_touch")
        assert credit.touch.at <= order.at
        assert credit.touch.event_id != order.event_id
        assert credit.touch.has_message
        assert not (order.person_id and credit.touch.person_id and order.person_id != credit.touch.person_id)
        assert (credit.campaign_id, credit.flow_id) == (credit.touch.campaign_id, credit.touch.flow_id)


def claim(touch):
    strength = ["Received SMS", "Received Email", "Opened Email", "Opened Push", "Clicked Email"]
    kinds = {"Received SMS": 1, "Received Email": 1, "Opened Email": 2, "Opened Push": 2, "Clicked Email": 3}
    assert touch.metric in strength
    return touch.at, kinds[touch.metric], touch.event_id


@given(BOOKS, ORDERS)
def test_the_last_touch_is_the_one_a_plain_reading_of_the_rules_gives(touches, order):
    """Same person, at or before, within the window in exact seconds; click before open before delivery, later id."""
    eligible = [
        touch
        for touch in touches
        if touch.person_id == order.person_id is not None
        and touch.event_id != order.event_id
        and (touch.campaign_id or touch.flow_id)
        and METRICS[touch.metric][1]
        and timedelta(0) <= order.at - touch.at
        and (order.at - touch.at).total_seconds() <= WINDOWS["_".join(METRICS[touch.metric])]
    ]
    wanted = max(eligible, key=claim, default=None)

    earned_credits = attribute(order, None, TouchBook.of(touches), "touch", WINDOWS).credits

    assert [credit.touch for credit in earned_credits] == ([wanted] if wanted else [])


TOUCHING = {
    "email_click": "Clicked Email", "email_open": "Opened Email", "sms_click": "Clicked SMS",
    "sms_delivery": "Received SMS", "mobile_push_open": "Opened Push", "whatsapp_click": "Clicked WhatsApp",
    "whatsapp_open": "Opened WhatsApp",
}  # fmt: skip


@given(st.sampled_from(sorted(TOUCHING)), st.integers(-1, 1))
def test_a_window_ends_on_its_last_second(name, beyond):
    touch = Touch("touch", "ann", START, TOUCHING[name], name.rpartition("_")[0], campaign_id="c1")
    order = Touch("order", "ann", START + timedelta(seconds=DEFAULT_WINDOWS[name] + beyond), "Placed Order")

    earned_credits = attribute(order, None, TouchBook.of([touch]), "touch", DEFAULT_WINDOWS).credits

    assert bool(earned_credits) == (beyond <= 0)


@given(BOOKS, ORDERS)
def test_every_recorded_id_earns_credit_or_is_reported(touches, order):
    verdict = attribute(order, None, TouchBook.of(touches), "native", WINDOWS)
    named = (order.attribution or "").count("attributed_event_id")

    assert len(verdict.credits) + len(verdict.dangling) == named


@given(st.integers(1, 9))
def test_a_trail_is_followed_so_many_hops_and_no_further(hops):
    trail = [
        Touch(f"hop{number}", "ann", START, "Viewed Product",
              attribution=f'{{"$attributed_event_id": "hop{number + 1}"}}')
        for number in range(1, hops)
    ]  # fmt: skip
    trail.append(Touch(f"hop{hops}", "ann", START, "Clicked Email", "email", campaign_id="c1"))
    order = Touch("order", "ann", START, "Placed Order", attribution='{"$attributed_event_id": "hop1"}')

    verdict = attribute(order, None, TouchBook.of(trail), "native", {})

    assert bool(verdict.credits) == (hops <= MAX_HOPS)
    assert bool(verdict.dangling) == (hops > MAX_HOPS)


@given(st.permutations(range(12)), BOOKS, ORDERS)
def test_the_order_in_which_touches_are_read_changes_nothing(order_read, touches, order):
    shuffled = reduce(lambda read, position: [*read, touches[position]], order_read, [])

    for source in ("native", "touch"):
        assert attribute(order, None, TouchBook.of(touches), source, WINDOWS) == attribute(
            order, None, TouchBook.of(shuffled), source, WINDOWS
        )
