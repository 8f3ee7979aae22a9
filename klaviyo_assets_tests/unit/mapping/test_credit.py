"""Who gets the credit: the shapes of what Klaviyo recorded, and the rules on small examples."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from klaviyo_assets.mapping.credit import Recorded, Touch, TouchBook, attribute, first_recorded_event, recorded, split

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WINDOWS = {"email_click": 3600, "email_open": 1800, "email_delivery": 60}


def relationships(**ids):
    """A JSON:API attribution, `flow_message` meaning `flow-message`."""
    entries = {name.replace("_", "-"): {"data": {"type": name, "id": named}} for name, named in ids.items()}
    return {"type": "attribution", "id": "a", "relationships": entries}


def touch(event_id, metric="Clicked Email", seconds=-10, **others):
    return Touch(event_id, others.pop("person_id", "ann"), NOON + timedelta(seconds=seconds), metric,
                 others.pop("channel", "email"), **{"campaign_id": "c1", **others})  # fmt: skip


def order(attribution=None, **others):
    text = attribution if attribution is None or isinstance(attribution, str) else json.dumps(attribution)
    return Touch("order", others.pop("person_id", "ann"), NOON, "Placed Order", attribution=text, **others)


NAMED = Recorded(event_id="e1")


@pytest.mark.parametrize(("document", "records"), [
    ({"$attributed_event_id": "e1", "$ts": 5}, (NAMED,)),
    ({"attributed_event_id": "e1"}, (NAMED,)),
    (relationships(attributed_event="e1"), (NAMED,)),
    ({"data": relationships(attributed_event="e1")}, (NAMED,)),
    ([{"$attributed_event_id": "e1"}, relationships(attributed_event="e2")], (NAMED, Recorded("e2"))),
    ({"data": [relationships(attributed_event="e1"), {"nothing": 1}]}, (NAMED,)),
    (relationships(campaign="c", campaign_message="m", campaign_message_variation="v"),
     (Recorded(None, "c", None, "m", "v"),)),
    (relationships(attributed_event="e1", flow="f", flow_message="m", flow_message_variation="v"),
     (Recorded("e1", None, "f", "m", "v"),)),
    ({"relationships": {"campaign": {"data": None}, "flow": None, "attributed-event": {"data": {"id": 7}}}},
     (Recorded("7"),)),
    *((nothing, ()) for nothing in ({}, [], None, "e1", 5, [None, 1, "x"], {"$attributed_event_id": ""}, {"data": 5})),
])  # fmt: skip
def test_every_shape_of_recorded_attribution_is_read(document, records):
    assert recorded(json.dumps(document)) == records


@pytest.mark.parametrize("text", [None, "", "{", "nan", "[" * 100_000])
def test_what_cannot_be_read_is_no_touch(text):
    assert recorded(text) == ()
    assert first_recorded_event(text) is None


def test_the_events_own_campaign_comes_first():
    book = TouchBook.of([touch("e1", campaign_id="other")])

    (credit,) = attribute(order({"$attributed_event_id": "e1"}, flow_id="f"), Decimal(5), book, "native", {}).credits

    assert (credit.source, credit.flow_id, credit.campaign_id, credit.touch) == ("own", "f", None, None)
    assert (credit.weight, credit.value) == (1, 5)


def test_direct_relationships_come_before_the_named_events_campaign():
    book = TouchBook.of([touch("e1", campaign_id="of the event")])

    (credit,) = attribute(
        order(relationships(attributed_event="e1", campaign="direct")), None, book, "native", {}
    ).credits

    assert credit.campaign_id == "direct"
    assert credit.touch.event_id == "e1"


def test_a_direct_relationship_earns_credit_though_its_event_is_missing():
    verdict = attribute(order(relationships(attributed_event="gone", flow="f")), None, TouchBook.of([]), "native", {})

    assert [credit.flow_id for credit in verdict.credits] == ["f"]
    assert verdict.dangling == ("gone",)


@pytest.mark.parametrize("wrong", [
    touch("e1", person_id="bob"), touch("e1", seconds=1), touch("e2"),
    touch("e1", campaign_id=None, attribution='{"$attributed_event_id": "e1"}'),
    touch("e1", campaign_id=None, attribution='{"$attributed_event_id": "order"}'),
])  # fmt: skip
def test_a_trail_to_another_person_the_future_nowhere_or_in_a_circle_dangles(wrong):
    verdict = attribute(order({"$attributed_event_id": "e1"}), None, TouchBook.of([wrong]), "native", {})

    assert verdict.credits == ()
    assert verdict.dangling == ("e1",)


def test_a_trail_never_leads_from_one_known_person_to_another():
    """Not even from an order that nobody is known for."""
    book = TouchBook.of([
        touch("e1", "Viewed Product", campaign_id=None, attribution='{"$attributed_event_id": "e2"}'),
        touch("e2", person_id="bob"),
    ])  # fmt: skip

    verdict = attribute(order({"$attributed_event_id": "e1"}, person_id=None), None, book, "native", {})

    assert (verdict.credits, verdict.dangling) == ((), ("e1",))


SENT = NOON - timedelta(days=1)
RECEIPT = {"metric": "Received Email", "message_id": "m1", "variation_id": "v1", "send_at": SENT,
           "send_on": SENT.date()}  # fmt: skip


def receipt(event_id="r1", seconds=-100, **others):
    return touch(event_id, **{**RECEIPT, "seconds": seconds, **others})


def placed(credit):
    """What a credit says of the message and its send."""
    return credit.message_id, credit.variation_id, credit.channel, credit.send_at, credit.send_on


FROM_RECEIPT = ("m1", "v1", "email", SENT, SENT.date())
NOWHERE = (None, None, None, None, None)


@pytest.mark.parametrize("event", [
    order(campaign_id="c1"), order(relationships(campaign="c1")),
    order(relationships(campaign="c1", attributed_event="gone")),
])  # fmt: skip
@pytest.mark.parametrize(("receipts", "expected"), [
    ([receipt()], FROM_RECEIPT),
    ([receipt(seconds=0)], FROM_RECEIPT), ([receipt(seconds=1)], NOWHERE), ([], NOWHERE),
    ([receipt(person_id="bob")], NOWHERE), ([receipt(person_id=None)], NOWHERE),
    ([receipt(campaign_id="c2")], NOWHERE), ([receipt(metric="Opened Email")], NOWHERE),
    ([receipt("r1", message_id="old"), receipt("r2", -50), receipt("r3", -70, message_id="older")], FROM_RECEIPT),
    ([receipt("a", message_id="first id"), receipt("b")], FROM_RECEIPT),
    ([receipt(variation_id=None)], ("m1", None, "email", SENT, SENT.date())),
    ([receipt(send_at=None, send_on=None)], ("m1", "v1", "email", None, None)),
])  # fmt: skip
def test_credit_without_a_touch_stands_where_the_persons_latest_receipt_stands(event, receipts, expected):
    (credit,) = attribute(event, None, TouchBook.of(receipts), "native", {}).credits

    assert placed(credit) == expected
    assert credit.touch is None


def test_a_stated_message_is_kept_and_its_own_receipt_is_looked_for():
    book = TouchBook.of([receipt("r1", -100, message_id="m2"), receipt("r2", -50)])

    (own,) = attribute(order(campaign_id="c1", message_id="m2", variation_id="own"), None, book, "touch", {}).credits
    (direct,) = attribute(order(relationships(campaign="c1", campaign_message="m3")), None, book, "native", {}).credits

    assert placed(own) == ("m2", "own", "email", SENT, SENT.date())
    assert placed(direct) == ("m3", None, None, None, None)


def test_an_events_own_send_is_kept():
    book = TouchBook.of([receipt()])
    at = NOON - timedelta(hours=2)

    (credit,) = attribute(order(campaign_id="c1", send_at=at, send_on=at.date()), None, book, "native", {}).credits

    assert (credit.send_at, credit.channel) == (at, "email")


def test_anonymous_events_share_no_receipts():
    book = TouchBook.of([receipt(person_id=None)])

    (credit,) = attribute(order(campaign_id="c1", person_id=None), None, book, "native", {}).credits

    assert placed(credit) == NOWHERE


@pytest.mark.parametrize(("stated", "message", "variation"), [
    ({"campaign": "c1"}, "m1", "v1"), ({"campaign": "c1", "campaign_message": "m9"}, "m9", "v1"),
    ({"campaign": "c2"}, None, None), ({"flow": "f"}, None, None),
])  # fmt: skip
def test_a_direct_relationship_takes_what_it_lacks_from_a_touch_of_the_same_message(stated, message, variation):
    opened = receipt("e1", metric="Opened Email", channel="sms")

    (credit,) = attribute(
        order(relationships(attributed_event="e1", **stated)), None, TouchBook.of([opened, receipt()]), "native", {}
    ).credits

    assert placed(credit) == (message, variation, "sms", SENT, SENT.date())
    assert credit.touch == opened


@pytest.mark.parametrize(("metric", "settings", "winner"), [
    ("Opened Email", {}, "machine"), ("Opened Email", {"bot_clicks_earn": False}, "machine"),
    ("Opened Email", {"machine_opens_earn": False}, "person"), ("Clicked Email", {}, "machine"),
    ("Clicked Email", {"bot_clicks_earn": False}, "person"),
])  # fmt: skip
def test_machines_earn_credit_unless_the_account_says_otherwise(metric, settings, winner):
    touches = [touch("machine", metric, is_machine=True), touch("person", metric, seconds=-20)]

    (computed,) = attribute(order(), None, TouchBook.of(touches, **settings), "touch", WINDOWS).credits
    (recorded_credit,) = attribute(
        order({"$attributed_event_id": "machine"}), None, TouchBook.of(touches, **settings), "native", {}
    ).credits

    assert computed.touch.event_id == winner
    assert recorded_credit.touch.event_id == "machine", "what Klaviyo recorded is taken as it is"


@pytest.mark.parametrize(("of_order", "of_touch"), [(None, "ann"), ("ann", None), (None, None)])
def test_an_anonymous_side_does_not_contradict_what_klaviyo_recorded(of_order, of_touch):
    book = TouchBook.of([touch("e1", person_id=of_touch)])

    verdict = attribute(order({"$attributed_event_id": "e1"}, person_id=of_order), None, book, "native", {})

    assert [credit.campaign_id for credit in verdict.credits] == ["c1"]


def test_native_and_touch_are_never_mixed():
    """In an account that Klaviyo attributes, an order it left alone stays unattributed; and the other way round."""
    book = TouchBook.of([touch("e1"), touch("e2", campaign_id="c2", seconds=-20)])

    assert attribute(order(), None, book, "native", WINDOWS).credits == ()
    (credit,) = attribute(order({"$attributed_event_id": "e2"}), None, book, "touch", WINDOWS).credits
    assert (credit.source, credit.touch.event_id) == ("last_touch", "e1")


def test_linear_attribution_shares_to_the_last_cent():
    book = TouchBook.of([touch(f"e{n}", campaign_id=f"c{n}") for n in range(3)])

    verdict = attribute(
        order([{"$attributed_event_id": f"e{n}"} for n in range(3)]), Decimal("100.00"), book, "native", {}
    )

    assert [credit.campaign_id for credit in verdict.credits] == ["c0", "c1", "c2"]
    assert sum(credit.value for credit in verdict.credits) == 100
    assert sum(credit.weight for credit in verdict.credits) == 1


@pytest.mark.parametrize(("touches", "winner"), [
    ([touch("a", seconds=-20), touch("b", seconds=-10)], "b"),
    ([touch("a"), touch("z", "Opened Email")], "a"),
    ([touch("z", "Received Email"), touch("a", "Opened Email")], "a"),
    ([touch("a"), touch("b")], "b"),
    ([touch("a", seconds=0)], "a"),
    ([touch("a", seconds=-3600)], "a"),
    ([touch("a", seconds=-3601)], None),
    ([touch("a", "Opened Email", seconds=-1801), touch("b", seconds=-1900)], "b"),
    ([touch("a", seconds=1)], None),
    ([touch("a", person_id="bob")], None),
    ([touch("a", person_id=None)], None),
    ([touch("a", campaign_id=None)], None),
    ([touch("a", campaign_id=None, flow_id="f")], "a"),
    ([touch("a", channel="sms")], None),
    ([touch("a", "Unsubscribed")], None),
    ([touch("order")], None),
])  # fmt: skip
def test_the_last_eligible_touch(touches, winner):
    earned_credits = attribute(order(), None, TouchBook.of(touches), "touch", WINDOWS).credits

    assert [credit.touch.event_id for credit in earned_credits] == ([winner] if winner else [])


def test_an_anonymous_event_shares_no_touches_with_other_anonymous_ones():
    book = TouchBook.of([touch("a", person_id=None)])

    assert attribute(order(person_id=None), None, book, "touch", WINDOWS).credits == ()


def test_no_parts_are_no_shares():
    assert split(Decimal(5), 0) == []
