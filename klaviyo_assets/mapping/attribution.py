"""Mapped events and touches to rows of attribution.

Here: building the frame. Not here: the columns themselves (`tables/attribution.py`), and the rules that decide who gets
the credit (`mapping/credit.py`).
"""

from collections.abc import Iterator, Mapping
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.mapping.copied import Mapped, MappingContext, Note, build_frame, column
from klaviyo_assets.mapping.credit import Credit, Touch, TouchBook, attribute
from klaviyo_assets.mapping.event import has_role
from klaviyo_assets.model.metrics import MESSAGE_ROLES
from klaviyo_assets.tables import ATTRIBUTION

_OF_TOUCH = (
    "event_id", "person_id", "occurred_at", "metric", "channel", "campaign_id", "flow_id", "message_id",
    "variation_id", "send_at", "send_on",
)  # fmt: skip
_AT = _OF_TOUCH.index("occurred_at")


def touches_of(events: pd.DataFrame, attributions: Mapping[str, str]) -> Iterator[Touch]:
    """Mapped events as touches; events without an id or a time do not count.

    Args:
        events: Mapped events (`event` columns).
        attributions: Event id -> its recorded attribution, for the events that have one.
    """
    columns = [column(events, name).to_pylist() for name in _OF_TOUCH]
    recorded = [attributions.get(event_id) for event_id in columns[0]]
    machine = pc.or_(column(events, "is_machine_open"), column(events, "is_bot_click")).to_pylist()
    rows = zip(*columns, recorded, machine, strict=True)
    return (Touch(*row) for row in rows if row[0] and row[_AT] is not None)


def is_message_event(events: pd.DataFrame) -> pa.Array:
    """Whether mapped events are a message's own: such events earn credit and are never credited."""
    return has_role(column(events, "metric").cast(pa.string()), MESSAGE_ROLES)


def map_attribution(
    events: pd.DataFrame, book: TouchBook, attributions: Mapping[str, str], context: MappingContext, source: str
) -> Mapped:
    """Credit each event of a day that is not itself a message's.

    Args:
        events: Mapped events of the day.
        book: Touches that may be credited, read in the same snapshot: those in the window before, and those that
            recorded attribution leads to; and receipts of the messages that are credited without a touch.
        attributions: Event id -> recorded attribution text, for the events that have one.
        context: With the account's windows and the day.
        source: `native` or `touch`.

    Returns:
        Rows of `attribution`, in order of event id and rank; notes name recorded ids that lead nowhere.
    """
    candidates = pc.invert(is_message_event(events))
    credited = events[candidates.to_numpy(zero_copy_only=False)]
    values = column(credited, "value").to_pylist()
    windows = context.account.attribution.windows
    rows: list[tuple[str, int, Credit]] = []
    notes: list[Note] = []
    for event, value in zip(touches_of(credited, attributions), values, strict=True):
        verdict = attribute(event, value, book, source, windows)
        rows += [(event.event_id, rank, credit) for rank, credit in enumerate(verdict.credits, start=1)]
        notes += [_dangling(event.event_id, named, context) for named in verdict.dangling]
    rows.sort(key=lambda row: (row[0], row[1]))
    return Mapped(build_frame(ATTRIBUTION, _columns(rows, context.day)), notes)


def _dangling(event_id: str, named: str, context: MappingContext) -> Note:
    reason = "the event Klaviyo recorded is missing, deleted, later, or a different person's"
    value = context.privacy.scrub(named[:200])
    return Note("attribution", event_id, "touch_event_id", "dangling_attribution", reason, value)


def _columns(rows: list[tuple[str, int, Credit]], day: date | None) -> dict[str, pa.Array]:
    earned = [credit for _, _, credit in rows]
    touches = [credit.touch for credit in earned]

    def of_touch(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array([getattr(touch, name) if touch else None for touch in touches], kind)

    instant, text, amount = pa.timestamp("us", tz="UTC"), pa.string(), pa.decimal128(38, 9)
    return {
        "event_id": pa.array([event_id for event_id, _, _ in rows], text),
        "occurred_on": pa.array([day] * len(rows), pa.date32()),
        "touch_rank": pa.array([rank for _, rank, _ in rows], pa.int64()),
        "weight": pa.array([credit.weight for credit in earned], amount),
        "value": pa.array([credit.value for credit in earned], amount),
        "attribution_source": pa.array([credit.source for credit in earned], text),
        "touch_event_id": of_touch("event_id", text),
        "touch_metric": of_touch("metric", text),
        "touch_at": of_touch("at", instant),
        "touch_channel": pa.array([credit.channel for credit in earned], text),
        "campaign_id": pa.array([credit.campaign_id for credit in earned], text),
        "flow_id": pa.array([credit.flow_id for credit in earned], text),
        "message_id": pa.array([credit.message_id for credit in earned], text),
        "variation_id": pa.array([credit.variation_id for credit in earned], text),
        "send_at": pa.array([credit.send_at for credit in earned], instant),
        "send_on": pa.array([credit.send_on for credit in earned], pa.date32()),
    }
