"""The state of every person at a given time, derived from all events that had arrived by then.

Here: counting a person's orders, last acts and departures. Not here: rows (`person_tables`,
`membership_tables`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Floats, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.journal import HARD, Events
from klaviyo_assets.sandbox.fivetran.shop.metrics import CODES, METRICS
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER

# Events that people do not cause themselves; they do not change the person's row.
_PASSIVE = [
    "received_email",
    "opened_email",
    "dropped_email",
    "received_sms",
    "failed_sms",
    "auto_sms",
    "received_push",
    "opened_push",
    "bounced_push",
    "fulfilled_order",
    "confirmed_shipment",
    "delivered_shipment",
]
_IS_ACT = np.array([metric.key not in _PASSIVE for metric in METRICS])
_ENGAGES = ("opened_email", "clicked_email", "clicked_sms")
REASONS = ("UNSUBSCRIBE", "HARD_BOUNCE", "REPORTED_SPAM")
"""Why a person left e-mail, by code."""


@dataclass(frozen=True)
class Standing:
    """Arrays over person numbers, all times epoch seconds; NEVER where it has not happened, 0 for no last time.

    A merged person's acts count for the survivor. What somebody left, and what they ever were before a merge (`ever_*`:
    with the acts of everybody who was merged into them by then), stays with them.
    """

    created_at: Ints
    exists: Bools
    is_gone: Bools
    gone_at: Ints
    updated_at: Ints
    last_event: Ints
    last_engaged: Ints
    ever_engaged: Ints
    orders: Ints
    ever_orders: Ints
    amount_spent: Floats
    email_left: Ints
    email_left_seen: Ints
    email_reason: Ints
    sms_left: Ints
    sms_left_seen: Ints
    editions: Ints


def standing(history: History, until: int) -> Standing:
    """The standing of every person at `until`, from the events that had arrived by then."""
    count = history.people.count(max(history.calendar.day_of(until), -1))
    everyone = np.arange(count, dtype=np.int64)
    event_rows = history.events[(history.events["arrives"] <= until) & (history.events["person"] >= 0)]
    *former, last = (_of(event_rows, persons) for persons in history.lineage(everyone, until))
    events, ever = last, _ever(former, last)
    created_at = history.people.created_at(everyone)
    editions, edited_at = history.overlay.edits_of(count, until)
    is_gone, gone_at, into_at = _absence(history, everyone, until)
    acted = [_last(_acts(rows), count, "arrives") for rows in (events, event_rows)]
    return Standing(
        created_at=created_at,
        exists=created_at <= until,
        is_gone=is_gone,
        gone_at=gone_at,
        updated_at=np.max([created_at, *acted, edited_at, gone_at, into_at], axis=0),
        last_event=_last(_acts(events), count, "at"),
        editions=editions,
        **_engagement(events, ever, count),
        **_purchases(history, events, ever, count),
        **_departures(event_rows, count),
    )


def _of(rows: Events, persons: Ints) -> Events:
    """The same events, assigned to the persons that their persons were merged into."""
    events = rows.copy()
    events["person"] = persons[rows["person"]]
    return events


def _ever(former: list[Events], last: Events) -> Events:
    """Every event once for each person it ever belonged to, so that `ever_*` survives merges."""
    following = [*former[1:], last]
    left = [events[events["person"] != after["person"]] for events, after in zip(former, following, strict=True)]
    return np.concatenate([*left, last])


def _acts(events: Events) -> Events:
    acts: Events = events[_IS_ACT[events["metric"]] | ((events["flags"] & HARD) > 0)]
    return acts


def _engagement(events: Events, ever: Events, count: int) -> dict[str, Any]:
    codes = [CODES[key] for key in _ENGAGES]
    now, before_rows = (_last(rows[np.isin(rows["metric"], codes)], count, "at") for rows in (events, ever))
    return {"last_engaged": now, "ever_engaged": before_rows}


def _purchases(history: History, events: Events, ever: Events, count: int) -> dict[str, Any]:
    placed = events[events["metric"] == CODES["placed_order"]]
    ever_placed = ever[ever["metric"] == CODES["placed_order"]]
    totals = history.orders.totals(placed["sequence"])
    return {
        "orders": np.bincount(placed["person"], minlength=count),
        "ever_orders": np.bincount(ever_placed["person"], minlength=count),
        "amount_spent": np.bincount(placed["person"], totals, minlength=count),
    }


def _last(events: Events, count: int, moment: str) -> Ints:
    latest = np.zeros(count, dtype=np.int64)
    np.maximum.at(latest, events["person"], events[moment])
    return latest


def _first(events: Events, count: int) -> tuple[Ints, Ints]:
    """When an event first happened to each person, and when the last of these events arrived."""
    first, seen_at = np.full(count, NEVER), np.zeros(count, dtype=np.int64)
    np.minimum.at(first, events["person"], events["at"])
    np.maximum.at(seen_at, events["person"], events["arrives"])
    return first, seen_at


def _departures(events: Events, count: int) -> dict[str, Any]:
    left, seen_at, reason = np.full(count, NEVER), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    kinds = (
        events["metric"] == CODES["unsubscribed_email"],
        (events["metric"] == CODES["bounced_email"]) & ((events["flags"] & HARD) > 0),
        events["metric"] == CODES["spam"],
    )
    for code, is_of_kind in enumerate(kinds):
        first, arrived = _first(events[is_of_kind], count)
        reason = np.where(first < left, code, reason)
        left, seen_at = np.minimum(left, first), np.maximum(seen_at, arrived)
    sms_left, sms_seen = _first(events[events["metric"] == CODES["unsubscribed_sms"]], count)
    return {
        "email_left": left,
        "email_left_seen": seen_at,
        "email_reason": reason,
        "sms_left": sms_left,
        "sms_left_seen": sms_seen,
    }


def _absence(history: History, everyone: Ints, until: int) -> tuple[Bools, Ints, Ints]:
    """For each person: are they gone, when was that last decided, and when was somebody last merged into them?"""
    survivor, merged_at = history.overlay.merges_of(everyone)
    is_merged = merged_at <= until
    is_gone, at, into = is_merged.copy(), np.where(is_merged, merged_at, 0), np.zeros(len(everyone), dtype=np.int64)
    np.maximum.at(into, survivor[is_merged], merged_at[is_merged])
    for person, decisions in history.overlay.persons_deleted.items():
        past_decisions = [decision for decision in decisions if decision[1] <= until]
        if past_decisions and person < len(everyone):
            is_deleted, decided_at = past_decisions[-1]
            is_gone[person] |= is_deleted
            at[person] = max(at[person], decided_at)
    return is_gone, at, into
