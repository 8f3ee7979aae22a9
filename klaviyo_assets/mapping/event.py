"""Raw events to mapped events.

Here: how each computed column of `event` is built, and what raw events say about messages before they are mapped. Not
here: the columns themselves (`tables/event.py`), and attribution (`mapping/attribution.py`).
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.copied import (
    Mapped,
    MappingContext,
    Note,
    build_frame,
    column,
    copy_columns,
    gather_properties,
    shown_value,
)  # fmt: skip
from klaviyo_assets.mapping.credit import first_recorded_event
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.values import parse
from klaviyo_assets.model.metrics import MESSAGE_ROLES, AccountMetrics, Role, metric_kind
from klaviyo_assets.model.spec import CURRENCY_CODE, END_OF_EVENTS, LogicalType
from klaviyo_assets.tables import EVENT

SEND_COHORT = "property_cohort_message_send_cohort"
COHORT_TIME, COHORT_MESSAGE = "[0-9]{9,10}", r"[^\n]+"
"""A send cohort is `<unix seconds>:<message id>`: the two sides of the colon, for RE2 and for Postgres."""
MESSAGE_COLUMNS = ("flow_message_id", SEND_COHORT, "property_message")
"""The raw columns that name an event's message; the first one that does so counts."""
MESSAGE_INPUTS = (
    "id", "person_id", "metric_id", "type", "campaign_id", "flow_id", "flow_message_id", "datetime", "timestamp",
    "_fivetran_deleted", SEND_COHORT, "property_message",
)  # fmt: skip
"""The raw columns that `message_columns` reads."""


@dataclass(frozen=True)
class MessageColumns:
    """What raw events say about messages, before anything else in them is mapped: one array each."""

    person: pa.Array
    at: pa.Array
    campaign: pa.Array
    flow: pa.Array
    message: pa.Array
    sent_at: pa.Array
    deleted: pa.Array
    of_message: pa.Array
    """Whether the event is a message's own: such an event earns credit and is never credited."""
    is_receipt: pa.Array
    has_channel: pa.Array


def message_columns(raw: pd.DataFrame, metrics: AccountMetrics) -> MessageColumns:
    """Quickly read what `map_event` will find about messages from raw rows (the columns `MESSAGE_INPUTS`)."""
    sends, _ = _sends(raw)
    names, channels = _metrics(raw, _text(raw, "metric_id"), metrics)
    return MessageColumns(
        _text(raw, "person_id"), _occurred_at(raw), _text(raw, "campaign_id"), _text(raw, "flow_id"),
        _message(raw, sends), sends.field("at"), _deleted(raw), has_role(names, MESSAGE_ROLES),
        has_role(names, {Role.RECEIVED}), pc.is_valid(channels),
    )  # fmt: skip


@dataclass(frozen=True)
class Receipts:
    """Sends known from receipts, for events without a send cohort.

    `sends` maps (person, message) to its receipts: when, event id, and when the message was sent (microseconds since
    1970, UTC). A message may be received later than it was sent, even on another day.
    """

    sends: dict[tuple[str, str], list[tuple[int, str, int]]]

    def latest(self, person: str | None, message: str | None, at: int) -> int | None:
        """The send of the person's latest receipt of the message at or before `at`; in a tie, the greater event id."""
        receipts = self.sends.get((person, message), []) if person and message else []
        latest = max((receipt for receipt in receipts if receipt[0] <= at), default=None)
        return latest[2] if latest else None


def map_event(raw: pd.DataFrame, context: MappingContext, receipts: Receipts | None = None) -> Mapped:
    """Turn raw events into mapped ones, values parsed and personal data treated.

    Args:
        raw: Rows as extracted; deleted ones are left out here.
        context: With the account's metrics. `day` is the partition's day; None (touches of other days) leaves
            `occurred_on` to the time zone.
        receipts: Earlier receipts, for message events that carry no send cohort.

    Returns:
        One row per event that is not deleted. `value` keeps the sign and currency of the raw event.
    """
    raw = _without_deleted(raw)
    columns, notes = copy_columns(EVENT, raw, context)
    ids = columns["event_id"]
    columns["occurred_at"] = _occurred_at(raw)
    columns["occurred_on"] = _account_day(columns["occurred_at"], context)
    columns["metric"], columns["channel"] = _metrics(raw, columns["metric_id"], context.metrics)
    converting = pa.array(sorted(context.metrics.conversion_ids), pa.string())
    columns["is_conversion"] = pc.is_in(columns["metric_id"], converting)
    columns["currency"], wrong = _currency(raw, ids, context.privacy)
    sends, wrong_sends = _sends(raw, ids, context.privacy)
    notes += wrong + wrong_sends
    columns["message_id"] = _message(raw, sends)
    columns["send_at"] = _send_times(columns, sends.field("at"), receipts)
    columns["send_on"] = _account_day(columns["send_at"], context, whole_day=False)
    columns["is_machine_open"] = _flag(raw, "property_apple_privacy_open", columns["metric"], Role.OPENED)
    columns["is_bot_click"] = _flag(raw, "property_bot_click", columns["metric"], Role.CLICKED)
    columns["attributed_event_id"] = _attributed(raw)
    columns["properties"], unread = gather_properties(EVENT, raw, context.privacy)
    return Mapped(build_frame(EVENT, columns), [*notes, *_unusable_times(raw, ids, context.privacy), *unread])


def _without_deleted(raw: pd.DataFrame) -> pd.DataFrame:
    keep = pc.invert(_deleted(raw))
    return raw if pc.all(keep).as_py() is not False else raw[keep.to_numpy(zero_copy_only=False)]


def _deleted(raw: pd.DataFrame) -> pa.Array:
    return pc.fill_null(parse(column(raw, "_fivetran_deleted"), LogicalType.BOOLEAN).values, False)


def _message(raw: pd.DataFrame, sends: pa.StructArray) -> pa.Array:
    return pc.coalesce(
        *(sends.field("message") if name == SEND_COHORT else _text(raw, name) for name in MESSAGE_COLUMNS)
    )


def _text(raw: pd.DataFrame, name: str) -> pa.Array:
    return parse(column(raw, name), LogicalType.STRING).values


def _occurred_at(raw: pd.DataFrame) -> pa.Array:
    """The time, as in `source/sql.py`: `datetime`, else `timestamp`, if it has a day in every time zone."""
    times = [parse(column(raw, name), LogicalType.TIMESTAMP).values for name in ("datetime", "timestamp")]
    end = pa.scalar(END_OF_EVENTS, times[0].type)
    return pc.coalesce(*(pc.if_else(pc.less(values, end), values, pa.scalar(None, values.type)) for values in times))


def _unusable_times(raw: pd.DataFrame, ids: pa.Array, privacy: Privacy) -> Iterator[Note]:
    """Notes on events that have their time from `timestamp`, because `datetime` holds none."""
    cells = column(raw, "datetime")
    for row, reason in parse(cells, LogicalType.TIMESTAMP).reasons.items():
        value = shown_value(cells[row], privacy)
        yield Note("event", ids[row].as_py(), "occurred_at", "parse_timestamp", f"datetime is {reason}", value)


def event_days(raw: pd.DataFrame, account: Account) -> pa.Array:
    """The account's calendar day of each raw event; null if it has no usable time."""
    return _local_days(_occurred_at(raw), account)


def _account_day(instants: pa.Array, context: MappingContext, *, whole_day: bool = True) -> pa.Array:
    """Calendar days in the account's time zone. A daily partition is one day by construction."""
    if whole_day and context.day is not None:
        return pa.array([context.day] * len(instants), pa.date32())
    return _local_days(instants, context.account)


def _local_days(instants: pa.Array, account: Account) -> pa.Array:
    local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz=account.timezone)))
    return local.cast(pa.date32(), safe=False)


def _metrics(raw: pd.DataFrame, metric_ids: pa.Array, metrics: AccountMetrics) -> tuple[pa.Array, pa.Array]:
    """Canonical names and channels; each distinct pair of id and written name is looked up once."""
    # No text in Postgres contains a NUL.
    pairs = pc.binary_join_element_wise(pc.fill_null(metric_ids, ""), pc.fill_null(_text(raw, "type"), ""), "\0")
    encoded = pairs.dictionary_encode()
    names = [metrics.name_of(*pair.split("\0")) for pair in encoded.dictionary.to_pylist()]
    kinds = [metric_kind(name) for name in names]
    channels = pa.array([kind.channel if kind else None for kind in kinds], pa.string())
    return pa.array(names, pa.string()).take(encoded.indices), channels.take(encoded.indices)


def _currency(raw: pd.DataFrame, ids: pa.Array, privacy: Privacy) -> tuple[pa.Array, list[Note]]:
    codes = pc.utf8_upper(pc.utf8_trim_whitespace(_text(raw, "property_currency_code")))
    sound = pc.match_substring_regex(codes, "^[A-Z]{3}$")
    wrong = pc.indices_nonzero(pc.fill_null(pc.invert(sound), False)).to_pylist()
    notes = [
        Note(
            "event",
            ids[row].as_py(),
            "currency",
            "currency_code",
            CURRENCY_CODE.description,
            shown_value(codes[row], privacy),
        )
        for row in wrong
    ]
    return pc.if_else(pc.fill_null(sound, False), codes, pa.scalar(None, pa.string())), notes


def _sends(
    raw: pd.DataFrame, ids: pa.Array | None = None, privacy: Privacy | None = None
) -> tuple[pa.StructArray, list[Note]]:
    """The time and message of the send, from `<unix seconds>:<message id>`; null if the event has none.

    Notes name the events whose send cohort has a different form, by `ids`; without ids there are no notes.
    """
    cohorts = _text(raw, SEND_COHORT)
    parts = pc.extract_regex(cohorts, f"^(?P<at>{COHORT_TIME}):(?P<message>{COHORT_MESSAGE})$")
    seconds = pc.struct_field(parts, "at").cast(pa.int64())
    times = pc.multiply(seconds, 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    sends = pa.StructArray.from_arrays([times, pc.struct_field(parts, "message")], names=["at", "message"])
    if ids is None or privacy is None:
        return sends, []
    wrong = pc.indices_nonzero(pc.and_(pc.is_valid(cohorts), pc.is_null(parts))).to_pylist()
    notes = [
        Note("event", ids[row].as_py(), "send_at", "send_cohort", "not <unix seconds>:<message id>",
             shown_value(cohorts[row], privacy))
        for row in wrong
    ]  # fmt: skip
    return sends, notes


def _send_times(columns: dict[str, pa.Array], stated: pa.Array, receipts: Receipts | None) -> pa.Array:
    """The stated send, else the receipt itself for a receipt, else the send of the person's latest earlier receipt."""
    is_receipt = has_role(columns["metric"], {Role.RECEIVED})
    times = pc.coalesce(stated, pc.if_else(is_receipt, columns["occurred_at"], pa.scalar(None, stated.type)))
    if receipts is None or not receipts.sends:
        return times
    missing = pc.and_(pc.is_null(times), pc.is_valid(columns["channel"]))
    rows = pc.indices_nonzero(missing).to_pylist()
    if not rows:
        return times
    at = columns["occurred_at"].cast(pa.int64())
    send_times = [
        receipts.latest(columns["person_id"][row].as_py(), columns["message_id"][row].as_py(), at[row].as_py())
        for row in rows
    ]
    return pc.replace_with_mask(times, missing, pa.array(send_times, pa.int64()).cast(times.type))


def has_role(metrics: pa.Array, roles: Set[Role]) -> pa.Array:
    """Which canonical metric names mean one of these roles for a message."""
    encoded = metrics.dictionary_encode()
    kinds = [metric_kind(name) for name in encoded.dictionary.to_pylist()]
    flags = pa.array([kind is not None and kind.role in roles for kind in kinds], pa.bool_())
    return pc.fill_null(flags.take(encoded.indices), False)


def _flag(raw: pd.DataFrame, name: str, metrics: pa.Array, role: Role) -> pa.Array:
    stated = parse(column(raw, name), LogicalType.BOOLEAN).values
    return pc.and_(pc.fill_null(stated, False), has_role(metrics, {role}))


def _attributed(raw: pd.DataFrame) -> pa.Array:
    texts = _text(raw, "property_attribution")
    rows = pc.indices_nonzero(pc.is_valid(texts))
    if len(rows) == 0:
        return texts
    event_ids = [first_recorded_event(text) for text in texts.take(rows).to_pylist()]
    return pc.replace_with_mask(texts, pc.is_valid(texts), pa.array(event_ids, pa.string()))
