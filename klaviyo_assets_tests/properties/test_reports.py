"""Reports on generated mapped rows: the SQL gives the reference's numbers, and restating some days is a full rebuild.

Mapped rows may hold what mapping never makes, such as an instant of a send without its day. What raw rows become is in
`test_raw_to_reports.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import Days
from klaviyo_assets_tests import reference
from klaviyo_assets_tests.reference import Mapped, MappedReference, Row, Standing
from klaviyo_assets_tests.reference.metrics import SHOP, SUBSCRIBED
from klaviyo_assets_tests.unit.reports.warehouse import Warehouse, differences

# Five days around the end of March, when clocks change in Europe.
START = datetime(2024, 3, 29, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
CHANNELS = {"Email": "email", "List": "email", "Spam": "email", "Marketing": "email", "Message": "sms",
            "Push": "mobile_push", "WhatsApp": "whatsapp"}  # fmt: skip
METRICS = (*sorted(reference.COUNTED), *SHOP, "Placed Order", "Placed Order", *sorted(SUBSCRIBED), "Sent Text Message",
           "Failed to Deliver Automated Response Text Message", "Anything Custom", None)  # fmt: skip
COMPARED = sorted(name for name, report in REPORTS.items() if not report.keeps_history)
SPLITS = ([Decimal(1)], [Decimal("0.5")] * 2, [Decimal("0.333333333")] * 2 + [Decimal("0.333333334")])

people = st.sampled_from(("p1", "p2", "p3", None))
owners = st.sampled_from((("c1", None), ("c1", None), ("c2", None), (None, "f1"), (None, None), ("c2", "f1")))
messages = st.sampled_from(("m1", "m1", "m2", None))
variations = st.sampled_from((None, None, "a", "b"))
currencies = st.sampled_from((None, "EUR", "EUR", "USD", "XXX"))
# Few distinct instants, so that ties are normal: every third hour, and half a second or a second past it.
instants = st.builds(
    lambda hours, past: START + timedelta(hours=hours, seconds=past),
    st.integers(0, 40).map(lambda thirds: 3 * thirds), st.sampled_from((0, 0, 0.5, 1)),
)  # fmt: skip
amounts = st.one_of(st.none(), st.decimals("-999.99", "9999.99", places=2), st.just(Decimal("0.000000001")))
# What only some kinds of event have, and reports leave out elsewhere.
details = st.sampled_from((
    {}, {}, {"is_machine_open": True}, {"is_bot_click": True}, {"segment_count": 1, "spend": Decimal("0.05")},
    {"segment_count": 3, "credit_usage": Decimal("1.5")}, {"email_domain": "GMX.de", "bounce_type": "Hard"},
    {"email_domain": "gmx.de", "bounce_type": "soft"}, {"list_id": "l1"}, {"list_name": "News"},
    {"list_id": "l9", "list_name": "News"}, {"list_name": "Twice"}, {"list_name": "news"},
))  # fmt: skip
NOTHING = {"is_machine_open": False, "is_bot_click": False} | dict.fromkeys(
    ("segment_count", "credit_usage", "spend", "email_domain", "bounce_type", "list_id", "list_name")
)
lists = st.lists(
    st.fixed_dictionaries({
        "list_id": st.sampled_from(("l1", "l2", "l3")), "name": st.sampled_from(("News", "Twice", None)),
        "is_deleted": st.sampled_from((False, False, True)),
    }), unique_by=lambda row: row["list_id"],
)  # fmt: skip
sends = st.tuples(
    st.sampled_from(("known", "known", "unknown", "day only", "instant only")),
    st.integers(-24, 20).map(lambda thirds: 3 * thirds),
)  # fmt: skip


def _send(drawn: tuple[str, int], at: datetime, zone: ZoneInfo) -> Row:
    kind, hours = drawn
    send_at = at - timedelta(hours=hours)
    return {
        "send_at": send_at if kind in ("known", "instant only") else None,
        "send_on": send_at.astimezone(zone).date() if kind in ("known", "day only") else None,
    }


def _channel(metric: str | None, is_odd: bool) -> str | None:
    natural = next((channel for word, channel in CHANNELS.items() if metric and word in metric), None)
    return None if is_odd else natural


@st.composite
def accounts(draw: st.DrawFn, zone: ZoneInfo, prefix: str) -> Mapped:
    """Mapped rows of one account: every kind of event, ties, anonymous people, junk."""
    mapped = Mapped()
    for number in range(draw(st.integers(0, 25))):
        event = _event(draw, f"{prefix}{number:02}", zone)
        mapped.events.append(event)
        if draw(st.integers(0, 2)) == 0:
            mapped.events.append(_twin(draw, event))
        if event["metric"] not in reference.COUNTED and draw(st.booleans()):
            mapped.attribution += _credits(draw, event, zone)
    if mapped.attribution and draw(st.booleans()):
        mapped.attribution.append({**mapped.attribution[0], "event_id": "missing"})
    sent = st.one_of(st.none(), instants)
    campaign_ids = [name for name in ("c1", "c2", "c3") if draw(st.integers(0, 3))]
    mapped.campaigns = [{"campaign_id": name, "send_at": draw(sent)} for name in campaign_ids]
    mapped.lists = draw(lists)
    return mapped


def _event(draw: st.DrawFn, event_id: str, zone: ZoneInfo) -> Row:
    at, metric = draw(instants), draw(st.sampled_from(METRICS))
    campaign_id, flow_id = draw(owners)
    return {
        "event_id": event_id, "occurred_at": at, "occurred_on": at.astimezone(zone).date(), "metric": metric,
        "channel": _channel(metric, draw(st.integers(0, 9)) == 0), "person_id": draw(people),
        "campaign_id": campaign_id, "flow_id": flow_id, "message_id": draw(messages),
        "variation_id": draw(variations), "value": draw(amounts), "currency": draw(currencies),
        "is_conversion": metric == "Placed Order" or draw(st.integers(0, 9)) == 0, **NOTHING,
        **draw(details), **_send(draw(sends), at, zone),
    }  # fmt: skip


def _twin(draw: st.DrawFn, event: Row) -> Row:
    """What else happened to the same person in the same second: an unsubscribe is written for every list."""
    metric = draw(st.sampled_from((event["metric"], "Unsubscribed from List", "Opened Email")))
    owner = draw(st.sampled_from(({}, {}, {"campaign_id": None, "flow_id": None}, {"message_id": None})))
    at = event["occurred_at"].replace(microsecond=draw(st.sampled_from((0, 250_000))))
    channel = _channel(metric, is_odd=False)
    return {
        **event,
        **owner,
        "event_id": f"{event['event_id']}t",
        "metric": metric,
        "channel": channel,
        "occurred_at": at,
    }


def _credits(draw: st.DrawFn, event: Row, zone: ZoneInfo) -> list[Row]:
    rows = []
    for rank, weight in enumerate(draw(st.sampled_from(SPLITS)), start=1):
        campaign_id, flow_id = draw(owners)
        share = None if event["value"] is None else (event["value"] * weight).quantize(Decimal("1e-9"))
        rows.append({
            "event_id": event["event_id"], "occurred_on": event["occurred_on"], "touch_rank": rank, "weight": weight,
            "value": share, "attribution_source": "recorded",
            "touch_channel": draw(st.sampled_from(("email", "sms", None))),
            "campaign_id": campaign_id, "flow_id": flow_id, "message_id": draw(messages),
            "variation_id": draw(variations), **_send(draw(sends), event["occurred_at"], zone),
        })  # fmt: skip
    return rows


standings = st.builds(
    Standing, st.sampled_from(ZONES), st.sampled_from(("EUR", "USD")),
    st.sampled_from((timedelta(0), timedelta(hours=12), timedelta(days=2, seconds=1))), instants,
)  # fmt: skip


@st.composite
def standing_accounts(draw: st.DrawFn) -> tuple[Mapped, Standing]:
    """An account's rows and its settings."""
    standing = draw(standings)
    return draw(accounts(ZoneInfo(standing.timezone), "e")), standing


@dataclass(frozen=True)
class History:
    """An account before and after a sync: what it held, what it holds, and which days and campaigns changed.

    Lists may have changed as well.
    """

    before: Mapped
    after: Mapped
    event_days: list[date]
    campaign_ids: list[str]
    then: Standing
    now: Standing


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any days replaced, any campaigns rescheduled, gone or new, lists renamed, and any time passed."""
    before, then = draw(standing_accounts())
    fresh = draw(accounts(ZoneInfo(then.timezone), "f"))
    days = draw(st.lists(st.sampled_from([START.date() + timedelta(days=n) for n in range(-1, 6)]), unique=True))
    campaign_ids = draw(st.lists(st.sampled_from(("c1", "c2", "c3")), unique=True, max_size=1))
    after = Mapped(
        _replaced(before.events, fresh.events, "occurred_on", days),
        _replaced(before.attribution, fresh.attribution, "occurred_on", days),
        _replaced(before.campaigns, fresh.campaigns, "campaign_id", campaign_ids),
        fresh.lists if draw(st.booleans()) else before.lists,
    )
    passed = timedelta(hours=draw(st.integers(0, 72)))
    return History(before, after, days, campaign_ids, then, replace(then, data_through=then.data_through + passed))


def _replaced(old: list[Row], fresh: list[Row], column: str, changed: Collection[object]) -> list[Row]:
    return [row for row in old if row[column] not in changed] + [row for row in fresh if row[column] in changed]


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    """One in-memory dataset, emptied by every load."""
    return Warehouse()


def expected(name: str, mapped: Mapped, standing: Standing) -> list[Row]:
    """The reference's rows of a report."""
    return MappedReference(mapped, standing).report(name)


def check_full_rebuild(name: str, warehouse: Warehouse, mapped: Mapped, standing: Standing) -> None:
    """A full rebuild gives exactly the reference's rows."""
    warehouse.load(mapped)
    warehouse.restate(REPORTS[name], standing, Days.all())
    assert not differences(REPORTS[name], warehouse.rows(REPORTS[name]), expected(name, mapped, standing))


def check_affected_days(name: str, warehouse: Warehouse, history: History) -> None:
    """Restating the affected days alone gives what a full rebuild would."""
    report = REPORTS[name]
    warehouse.load(history.before)
    warehouse.restate(report, history.then, Days.all())
    warehouse.load(history.after)
    days = warehouse.affected(report, history.now, history.event_days, history.campaign_ids)
    if report.names_sql and history.before.lists != history.after.lists:
        days = Days.all()
    if days:
        warehouse.restate(report, history.now, days)
    assert not differences(report, warehouse.rows(report), expected(name, history.after, history.now))


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(COMPARED), account=standing_accounts())
def test_a_report_equals_the_reference_cell_by_cell(
    warehouse: Warehouse, name: str, account: tuple[Mapped, Standing]
) -> None:
    check_full_rebuild(name, warehouse, *account)


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(COMPARED), history=histories())
def test_restating_the_affected_days_equals_a_full_rebuild(warehouse: Warehouse, name: str, history: History) -> None:
    """After late, changed and deleted events, rescheduled campaigns and the passing of time."""
    check_affected_days(name, warehouse, history)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", COMPARED)
@settings(max_examples=500, deadline=None)
@given(account=standing_accounts())
def test_a_report_equals_the_reference_on_many_accounts(
    warehouse: Warehouse, name: str, account: tuple[Mapped, Standing]
) -> None:
    check_full_rebuild(name, warehouse, *account)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", COMPARED)
@settings(max_examples=300, deadline=None)
@given(history=histories())
def test_restating_the_affected_days_equals_a_full_rebuild_on_many_accounts(
    warehouse: Warehouse, name: str, history: History
) -> None:
    check_affected_days(name, warehouse, history)
