"""How Klaviyo's recorded attribution looks in the raw data, old shape and new.

Here: spelling touches as `property_attribution`. Not here: finding them (`attribution`).
"""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.sandbox.fivetran.shop.attribution import LONGEST, Touches, touches
from klaviyo_assets.sandbox.fivetran.shop.columns import join, number_texts, texts
from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.journal import LATE, Events
from klaviyo_assets.sandbox.fivetran.shop.message_columns import MessageColumns
from klaviyo_assets.sandbox.fivetran.shop.messages import Message
from klaviyo_assets.sandbox.fivetran.shop.metrics import IS_MESSAGE


def recorded_attribution(history: History, events: Events) -> Column | None:
    """What Klaviyo recorded on each event, as JSON texts; null for messages, strangers and unattributed events.

    Returns None for accounts that record nothing. Events that an incident delayed did not exist for Klaviyo yet.
    """
    if history.profile.attribution_shape == "none" or not len(events):
        return None
    candidates = np.flatnonzero(~IS_MESSAGE[events["metric"]] & (events["person"] >= 0))
    touches = _touches_for(history, events[candidates])
    spell = _several if history.profile.linear else _last
    positions, texts = spell(history, touches, events, candidates)
    rows = np.full(len(events), -1, dtype=np.int64)
    rows[positions] = np.arange(len(positions))
    return texts.take(pa.array(rows, mask=rows < 0))


def _touches_for(history: History, events: Events) -> Touches:
    past = history.events
    if not len(events):
        return touches(history.dice, past[:0])
    near = (past["at"] >= events["at"].min() - LONGEST) & (past["at"] <= events["at"].max())
    return touches(history.dice, past[near & ((past["flags"] & LATE) == 0)])


def _last(history: History, touches: Touches, events: Events, candidates: Ints) -> tuple[Ints, Column]:
    candidate_events = events[candidates]
    touch = touches.last(candidate_events["person"].astype(np.int64), candidate_events["at"])
    has = touch >= 0
    return candidates[has], _spell(history, candidate_events[has], touches.events[touch[has]])


def _several(history: History, touches: Touches, events: Events, candidates: Ints) -> tuple[Ints, Column]:
    touch_groups = [touches.several(int(event["person"]), int(event["at"])) for event in events[candidates]]
    counts = np.array([len(positions) for positions in touch_groups], dtype=np.int64)
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *touch_groups])
    members = _spell(history, np.repeat(events[candidates], counts), touches.events[flat])
    has = np.flatnonzero(counts > 0)
    ends = np.cumsum(counts)
    groups = [members.slice(ends[i] - counts[i], counts[i]).to_pylist() for i in has]
    return candidates[has], texts(["[" + ", ".join(group) + "]" for group in groups])


def _spell(history: History, credited: Events, touch: Events) -> Column:
    old = history.profile.attribution_shape == "event_id"
    return _by_event_id(history, touch) if old else _by_relationships(history, credited, touch)


def _by_event_id(history: History, touch: Events) -> Column:
    message = MessageColumns(history.messages, touch["message"])
    flow = pc.fill_null(join(', "$flow": "', message.flow_id, '"'), "")
    return join(
        '{"$attributed_event_id": "', _event_ids(history, touch), '", "$message": "', message.message_id,
        '", "$send_ts": ', number_texts(touch["sent_at"]), flow, "}",
    )  # fmt: skip


def _by_relationships(history: History, credited: Events, touch: Events) -> Column:
    attribution_id = history.dice.uuids(credited["sequence"] ^ (touch["sequence"] << 1), "attribution")
    keys, inverse = np.unique(touch["message"], return_inverse=True)
    sends = texts([_send(history.messages.message(int(key))) for key in keys]).take(pa.array(inverse))
    return join(
        '{"type": "attribution", "id": "', attribution_id,
        '", "relationships": {"event": {"data": {"type": "event", "id": "', _event_ids(history, credited),
        '"}}, "attributed-event": {"data": {"type": "event", "id": "', _event_ids(history, touch),
        '"}}, ', sends, "}}",
    )  # fmt: skip


def _send(message: Message) -> str:
    """The relationships that lead to the message, as members of a JSON object."""
    flow = message.flow_id is not None
    relationships = {
        "campaign": message.campaign_id,
        "campaign-message": None if flow else message.message_id,
        "flow": message.flow_id,
        "flow-message": message.message_id if flow else None,
        "flow-message-variation": message.variation if flow else None,
    }
    kinds = {"flow-message-variation": "flow-message"}
    data = {
        name: {"data": None if value is None else {"type": kinds.get(name, name), "id": value}}
        for name, value in relationships.items()
    }
    return json.dumps(data)[1:-1]


def _event_ids(history: History, events: Events) -> Column:
    return pa.array(history.dice.event_ids(events["sequence"])).cast(pa.string())
