"""The reports in plain Python: slow, obvious, and independent of the product's SQL and catalogue.

Rows are dicts with the columns of the mapped tables `event`, `attribution` and `campaign`. What counts as what is
written out here by hand, from the definitions of the statistics, so that a slip in the catalogue shows.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

RECEIVED = {"Received Email", "Received Text Message", "Received Push", "Received WhatsApp"}
BOUNCED = {"Bounced Email", "Bounced Push"}
FAILED = {"Failed to Deliver Text Message", "Failed to Deliver WhatsApp"}
DROPPED = {"Dropped Email"}
OPENED = {"Opened Email", "Opened Push", "Opened WhatsApp"}
CLICKED = {"Clicked Email", "Clicked Text Message", "Clicked Push", "Clicked WhatsApp"}
UNSUBSCRIBED = {
    "Unsubscribed from Email Marketing", "Unsubscribed from List", "Unsubscribed from Text Message Marketing",
}  # fmt: skip
SPAM = {"Marked Email as Spam"}
COUNTED = RECEIVED | BOUNCED | FAILED | DROPPED | OPENED | CLICKED | UNSUBSCRIBED | SPAM


@dataclass
class Mapped:
    """The mapped tables of one account."""

    events: list[Row] = field(default_factory=list)
    attribution: list[Row] = field(default_factory=list)
    campaigns: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """What decides a report besides the rows."""

    timezone: str
    currency: str
    window: timedelta
    data_through: datetime


def report(owner: str, basis: str, mapped: Mapped, standing: Standing) -> list[Row]:
    """The rows of one report.

    Args:
        owner: `campaign` or `flow`.
        basis: `event` or `send`: the date a row's day is.
        mapped: The account's mapped rows.
        standing: The account's settings, and how far its data reach.
    """
    day = "occurred_on" if basis == "event" else "send_on"
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for fact in facts(mapped, standing):
        if fact[f"{owner}_id"] is not None:
            key = (fact[day], fact[f"{owner}_id"], fact["message_id"], fact["channel"], fact["variation_id"])
            groups[key].append(fact)
    names = (day, f"{owner}_id", "message_id", "channel", "variation_id")
    rows = []
    for key, members in groups.items():
        row = dict(zip(names, key, strict=True)) | counts(members)
        if basis == "send":
            row |= of_sends(row, members)
        rows.append(row | finality(key[0], standing))
    return rows


def facts(mapped: Mapped, standing: Standing) -> Iterator[Row]:
    """Message events and credits, each with the send it belongs to.

    A credit's `money` says whether its conversion is in the account's `own` or an `other` currency; a message event's
    is None.
    """
    sent_at = {campaign["campaign_id"]: campaign["send_at"] for campaign in mapped.campaigns}
    echoes = repeated_unsubscribes(mapped.events)
    for event in mapped.events:
        if event["metric"] in COUNTED and event["channel"] is not None and event["event_id"] not in echoes:
            yield with_send({**event, "money": None}, sent_at, standing)
    by_id = {(event["event_id"], event["occurred_on"]): event for event in mapped.events}
    for credit in mapped.attribution:
        event = by_id.get((credit["event_id"], credit["occurred_on"]))
        if event is not None and event["is_conversion"]:
            money = "own" if event["currency"] in (None, standing.currency) else "other"
            fact = {**credit, "metric": None, "channel": credit["touch_channel"], "person_id": event["person_id"],
                    "money": money, "segment_count": None}  # fmt: skip
            yield with_send(fact, sent_at, standing)


def repeated_unsubscribes(events: list[Row]) -> set[str]:
    """Unsubscribes of one person, channel and second, but for the one that says most about its message."""
    seen: set[tuple[Any, ...]] = set()
    repeated = set()

    def silence(event: Row) -> tuple[bool, bool, str]:
        owner = event["campaign_id"] or event["flow_id"]
        return (owner is None, event["message_id"] is None, event["event_id"])

    for event in sorted(events, key=silence):
        if event["metric"] in UNSUBSCRIBED and event["person_id"] is not None:
            act = (event["person_id"], event["channel"], event["occurred_at"].replace(microsecond=0))
            if act in seen:
                repeated.add(event["event_id"])
            seen.add(act)
    return repeated


def with_send(fact: Row, sent_at: dict[str, datetime | None], standing: Standing) -> Row:
    """The fact with `send_at` and `send_on` filled from its campaign, or emptied where they cannot be."""
    send_at, send_on = fact["send_at"], fact["send_on"]
    if send_on is None:
        send_at = sent_at.get(fact["campaign_id"]) if fact["flow_id"] is None else None
        send_on = send_at.astimezone(ZoneInfo(standing.timezone)).date() if send_at else None
    if send_on is None or send_on > fact["occurred_on"] + timedelta(days=1):
        send_at = send_on = None
    return {**fact, "send_at": send_at, "send_on": send_on}


def counts(facts: list[Row]) -> Row:
    """The counts that both date bases share."""

    def events(metrics: set[str]) -> int:
        return sum(fact["metric"] in metrics for fact in facts)

    def people(metrics: set[str]) -> int:
        return len({fact["person_id"] for fact in facts if fact["metric"] in metrics} - {None})

    conversions = [fact for fact in facts if fact["money"] == "own"]
    others = [fact for fact in facts if fact["money"] == "other"]
    received = [fact for fact in facts if fact["metric"] in RECEIVED]
    segments = [fact["segment_count"] for fact in received if fact["segment_count"] is not None]
    return {
        "recipients": events(RECEIVED) + events(BOUNCED) + events(FAILED),
        "delivered": events(RECEIVED),
        "bounced": events(BOUNCED),
        "failed": events(FAILED),
        "bounced_or_failed": events(BOUNCED) + events(FAILED),
        "dropped": events(DROPPED),
        "opens": events(OPENED),
        "opens_unique": people(OPENED),
        "clicks": events(CLICKED),
        "clicks_unique": people(CLICKED),
        "unsubscribes": events(UNSUBSCRIBED),
        "unsubscribe_uniques": people(UNSUBSCRIBED),
        "spam_complaints": events(SPAM),
        "conversions": sum((fact["weight"] for fact in conversions), Decimal()),
        "conversion_uniques": len({fact["person_id"] for fact in conversions} - {None}),
        "conversion_value": sum((fact["value"] or Decimal() for fact in conversions), Decimal()),
        "conversions_other_currency": sum((fact["weight"] for fact in others), Decimal()),
        "message_segment_count_sum": sum(segments) if segments else None,
    }  # fmt: skip


def of_sends(row: Row, facts: list[Row]) -> Row:
    """What only rows about the same sends have: counts of sends, rates, first and last event."""

    def sends(chosen: list[Row]) -> int:
        return len({
            (fact["person_id"], fact["message_id"], fact["variation_id"], fact["send_at"])
            for fact in chosen if fact["person_id"] is not None
        })  # fmt: skip

    delivered, recipients = row["delivered"], row["recipients"]
    return {
        "sends_opened": sends([fact for fact in facts if fact["metric"] in OPENED]),
        "sends_clicked": sends([fact for fact in facts if fact["metric"] in CLICKED]),
        "sends_converted": sends([fact for fact in facts if fact["money"] == "own"]),
        "delivery_rate": rate(delivered, recipients),
        "bounce_rate": rate(row["bounced"], recipients),
        "failed_rate": rate(row["failed"], recipients),
        "bounced_or_failed_rate": rate(row["bounced_or_failed"], recipients),
        "open_rate": rate(row["opens_unique"], delivered),
        "click_rate": rate(row["clicks_unique"], delivered),
        "click_to_open_rate": rate(row["clicks_unique"], row["opens_unique"]),
        "unsubscribe_rate": rate(row["unsubscribe_uniques"], delivered),
        "spam_complaint_rate": rate(row["spam_complaints"], delivered),
        "conversion_rate": rate(row["conversion_uniques"], delivered),
        "average_order_value": money_rate(row["conversion_value"], row["conversions"]),
        "revenue_per_recipient": money_rate(row["conversion_value"], Decimal(delivered)),
        "first_event_on": min(fact["occurred_on"] for fact in facts),
        "last_event_on": max(fact["occurred_on"] for fact in facts),
    }


def rate(above: int, below: int) -> float | None:
    """A fraction; null over nothing."""
    return above / below if below else None


def money_rate(above: Decimal, below: Decimal) -> Decimal | None:
    """A quotient with nine decimals, halves away from zero; null over nothing."""
    return (above / below).quantize(Decimal("1e-9"), ROUND_HALF_UP) if below else None


def finality(day: date | None, standing: Standing) -> Row:
    """What the row says about itself."""
    if day is None:
        return {"currency": standing.currency, "data_through": standing.data_through, "is_final": False}
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(standing.timezone))
    # Elapsed time is counted in UTC: adding to a zoned time would add calendar hours.
    final_at = end.astimezone(ZoneInfo("UTC")) + standing.window
    return {
        "currency": standing.currency,
        "data_through": min(final_at, standing.data_through),
        "is_final": final_at <= standing.data_through,
    }
