"""Events: everything a person did or that was done to a message, one row each. The product's central fact.

Here: the raw and mapped columns of `event`, and how one becomes the other. Not here: attribution, which has a table
of its own, and the statistics, which are SQL in `reports/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.attribution import first_recorded_event
from klaviyo_assets.mapping import Mapped, MappingContext, Note, build_frame, column, copy_columns, gather_properties
from klaviyo_assets.metrics import Role, canonical_metric, metric_kind
from klaviyo_assets.spec import (
    CURRENCY_CODE,
    PROPERTIES,
    SYNCED_AT,
    Column,
    CustomFields,
    LogicalType,
    Partitioning,
    Property,
    RawColumn,
    TableSpec,
)  # fmt: skip
from klaviyo_assets.values import parse

_S, _T, _B = LogicalType.STRING, LogicalType.TIMESTAMP, LogicalType.BOOLEAN

SPEC = TableSpec(
    name="event",
    grain="One row per event.",
    description="Everything that happened: messages received, opened and clicked, orders placed, pages viewed. "
    "Deleted events are left out. Times are UTC; `occurred_on` is the account's calendar day.",
    key=("event_id",),
    order=("occurred_at", "event_id"),
    partitioning=Partitioning.ACCOUNT_DAY,
    day_column="occurred_on",
    cluster=("metric", "campaign_id", "flow_id"),
    raw=(
        RawColumn(name="id", type=_S),
        RawColumn(name="person_id", type=_S),
        RawColumn(name="metric_id", type=_S),
        RawColumn(name="type", type=_S),
        RawColumn(name="campaign_id", type=_S),
        RawColumn(name="flow_id", type=_S),
        RawColumn(name="flow_message_id", type=_S),
        RawColumn(name="_variation", type=_S),
        RawColumn(name="datetime", type=_T),
        RawColumn(name="timestamp", type=_T),
        RawColumn(name="_fivetran_deleted", type=_B),
        RawColumn(name="_fivetran_synced", type=_T),
    ),
    properties=(
        Property(name="value"),
        Property(name="currency_code", older_names=("currency",)),
        Property(name="attribution", stays_in_properties=True),
        Property(name="cohort_message_send_cohort",
                 older_names=("message_send_cohort", "$_cohort$message_send_cohort")),
        Property(name="cohort_variation_send_cohort",
                 older_names=("variation_send_cohort", "$_cohort$variation_send_cohort")),
        Property(name="message", older_names=("message_id",), stays_in_properties=True),
        Property(name="apple_privacy_open", older_names=("machine_open",)),
        Property(name="bot_click"),
        Property(name="email_domain"),
        Property(name="bounce_type"),
        Property(name="segment_count"),
    ),
    custom_fields=CustomFields(prefix="property_", packed="custom_property_fields"),
    columns=(
        Column(name="event_id", type=_S, raw="id", required=True, description="Klaviyo's id of the event."),
        Column(name="occurred_at", type=_T, required=True,
               description="When it happened (UTC). Fivetran cuts it to the second, so ties are normal."),
        Column(name="occurred_on", type=LogicalType.DATE, required=True,
               description="The calendar day it happened on, in the account's time zone."),
        Column(name="metric_id", type=_S, raw="metric_id", description="Id of the metric (the kind of event)."),
        Column(name="metric", type=_S,
               description="Canonical name of the metric: older names and other spellings are brought to one."),
        Column(name="channel", type=_S,
               description="email, sms, mobile_push or whatsapp for events of messages; null for all others."),
        Column(name="person_id", type=_S, raw="person_id",
               description="The person; null for anonymous events, which count but never as a unique person."),
        Column(name="campaign_id", type=_S, raw="campaign_id", description="The campaign Klaviyo wrote on the event."),
        Column(name="flow_id", type=_S, raw="flow_id", description="The flow Klaviyo wrote on the event."),
        Column(name="message_id", type=_S,
               description="The message: the flow message, else the campaign message named by the send cohort."),
        Column(name="variation_id", type=_S, raw="_variation", description="The A/B variation of the message."),
        Column(name="value", type=LogicalType.NUMERIC, raw="property_value",
               description="The event's value, in `currency`; null where Klaviyo sent none or no finite number."),
        Column(name="currency", type=_S, constraints=(CURRENCY_CODE,),
               description="ISO code of the currency of `value`; null: the event states none, so the account's."),
        Column(name="is_conversion", type=_B, required=True,
               description="Whether the event is of the account's conversion metric."),
        Column(name="is_machine_open", type=_B, required=True,
               description="An open that Apple Mail Privacy Protection may have made, not a person."),
        Column(name="is_bot_click", type=_B, required=True,
               description="A click that Klaviyo takes for a security scanner's."),
        Column(name="send_at", type=_T,
               description="When the message was sent (UTC): the send cohort, else the same person's latest receipt "
               "of the message. Reports fall back to the campaign's send time."),
        Column(name="send_on", type=LogicalType.DATE,
               description="The calendar day of `send_at` in the account's time zone."),
        Column(name="email_domain", type=_S, raw="property_email_domain", description="Domain of the recipient."),
        Column(name="bounce_type", type=_S, raw="property_bounce_type", description="Hard or Soft, for bounces."),
        Column(name="segment_count", type=LogicalType.INTEGER, raw="property_segment_count",
               description="Segments a text message was sent in."),
        Column(name="attributed_event_id", type=_S,
               description="The event Klaviyo itself recorded as the reason for this one (the first, if several)."),
        PROPERTIES,
        SYNCED_AT.column,
    ),
    personal_properties=("to_number", "from_number", "email", "phone", "client_ip"),
)  # fmt: skip


@dataclass(frozen=True)
class Receipts:
    """Sends known from receipts: (person, message) -> times of receipt, ascending, for events without a send cohort."""

    times: dict[tuple[str, str], list[int]]

    def latest(self, person: str | None, message: str | None, at: int) -> int | None:
        """Time of the person's latest receipt of the message at or before `at` (microseconds since 1970, UTC)."""
        known = self.times.get((person, message), []) if person and message else []
        return max((time for time in known if time <= at), default=None)


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
    columns, notes = copy_columns(SPEC, raw, context)
    ids = columns["event_id"]
    columns["occurred_at"] = _occurred_at(raw)
    columns["occurred_on"] = _account_day(columns["occurred_at"], context)
    columns |= _metric_columns(raw, columns["metric_id"], context)
    columns["currency"], wrong = _currency(raw, ids)
    sends, wrong_sends = _sends(raw, ids)
    notes += wrong + wrong_sends
    columns["message_id"] = pc.coalesce(
        _text(raw, "flow_message_id"), sends.field("message"), _text(raw, "property_message")
    )
    columns["send_at"] = _send_times(columns, sends.field("at"), receipts)
    columns["send_on"] = _account_day(columns["send_at"], context, whole_day=False)
    columns["is_machine_open"] = _flag(raw, "property_apple_privacy_open", columns["metric"], Role.OPENED)
    columns["is_bot_click"] = _flag(raw, "property_bot_click", columns["metric"], Role.CLICKED)
    columns["attributed_event_id"] = _attributed(raw)
    columns["properties"] = gather_properties(SPEC, raw, context.privacy)
    return Mapped(build_frame(SPEC, columns), notes)


def _without_deleted(raw: pd.DataFrame) -> pd.DataFrame:
    deleted = parse(column(raw, "_fivetran_deleted"), _B).values
    keep = pc.invert(pc.fill_null(deleted, False))
    return raw if pc.all(keep).as_py() is not False else raw[keep.to_numpy(zero_copy_only=False)]


def _text(raw: pd.DataFrame, name: str) -> pa.Array:
    return parse(column(raw, name), _S).values


def _occurred_at(raw: pd.DataFrame) -> pa.Array:
    return pc.coalesce(parse(column(raw, "datetime"), _T).values, parse(column(raw, "timestamp"), _T).values)


def _account_day(instants: pa.Array, context: MappingContext, *, whole_day: bool = True) -> pa.Array:
    """Calendar days in the account's time zone. A daily partition is one day by construction."""
    if whole_day and context.day is not None:
        return pa.array([context.day] * len(instants), pa.date32())
    local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz=context.account.timezone)))
    return local.cast(pa.date32(), safe=False)


def _metric_columns(raw: pd.DataFrame, metric_ids: pa.Array, context: MappingContext) -> dict[str, pa.Array]:
    """`metric`, `channel` and `is_conversion`; each distinct pair of id and name is looked at once."""
    written = _text(raw, "type")
    pairs = pc.binary_join_element_wise(pc.fill_null(metric_ids, ""), pc.fill_null(written, ""), "\n")
    encoded = pairs.dictionary_encode()
    names, channels, conversions = [], [], []
    for pair in encoded.dictionary.to_pylist():
        metric_id, _, name = pair.partition("\n")
        # The event's own metric id is what is unique; its written name serves where the metric table lacks the id.
        known = context.metrics.names.get(metric_id) or (canonical_metric(name) if name else None)
        kind = metric_kind(known)
        names.append(known)
        channels.append(kind.channel if kind else None)
        conversions.append(metric_id in context.metrics.conversion_ids)

    def spread(values: Sequence[object], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(encoded.indices)

    return {
        "metric": spread(names, pa.string()),
        "channel": spread(channels, pa.string()),
        "is_conversion": spread(conversions, pa.bool_()),
    }


def _currency(raw: pd.DataFrame, ids: pa.Array) -> tuple[pa.Array, list[Note]]:
    codes = pc.utf8_upper(pc.utf8_trim_whitespace(_text(raw, "property_currency_code")))
    sound = pc.match_substring_regex(codes, "^[A-Z]{3}$")
    wrong = pc.indices_nonzero(pc.fill_null(pc.invert(sound), False)).to_pylist()
    notes = [
        Note("event", ids[row].as_py(), "currency", "currency_code", CURRENCY_CODE.description, codes[row].as_py()[:20])
        for row in wrong
    ]
    return pc.if_else(pc.fill_null(sound, False), codes, pa.scalar(None, pa.string())), notes


def _sends(raw: pd.DataFrame, ids: pa.Array) -> tuple[pa.StructArray, list[Note]]:
    """Time and message of the send, from `<unix seconds>:<message id>`; null where the event carries none."""
    cohorts = _text(raw, "property_cohort_message_send_cohort")
    found = pc.extract_regex(cohorts, r"^(?P<at>[0-9]{9,10}):(?P<message>.+)$")
    seconds = pc.struct_field(found, "at").cast(pa.int64())
    wrong = pc.indices_nonzero(pc.and_(pc.is_valid(cohorts), pc.is_null(found))).to_pylist()
    notes = [
        Note("event", ids[row].as_py(), "send_at", "send_cohort", "not <unix seconds>:<message id>",
             cohorts[row].as_py()[:100])
        for row in wrong
    ]  # fmt: skip
    times = pc.multiply(seconds, 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    message = pc.struct_field(found, "message")
    return pa.StructArray.from_arrays([times, message], names=["at", "message"]), notes


def _send_times(columns: dict[str, pa.Array], stated: pa.Array, receipts: Receipts | None) -> pa.Array:
    """The stated send, else the receipt itself for a receipt, else the person's latest earlier receipt."""
    is_receipt = _has_role(columns["metric"], Role.RECEIVED)
    times = pc.coalesce(stated, pc.if_else(is_receipt, columns["occurred_at"], pa.scalar(None, stated.type)))
    if receipts is None or not receipts.times:
        return times
    missing = pc.and_(pc.is_null(times), pc.is_valid(columns["channel"]))
    rows = pc.indices_nonzero(missing).to_pylist()
    if not rows:
        return times
    at = columns["occurred_at"].cast(pa.int64())
    found = [
        receipts.latest(columns["person_id"][row].as_py(), columns["message_id"][row].as_py(), at[row].as_py())
        for row in rows
    ]
    return pc.replace_with_mask(times, missing, pa.array(found, pa.int64()).cast(times.type))


def _has_role(metrics: pa.Array, role: Role) -> pa.Array:
    encoded = metrics.dictionary_encode()
    kinds = [metric_kind(name) for name in encoded.dictionary.to_pylist()]
    flags = pa.array([kind is not None and kind.role is role for kind in kinds], pa.bool_())
    return pc.fill_null(flags.take(encoded.indices), False)


def _flag(raw: pd.DataFrame, name: str, metrics: pa.Array, role: Role) -> pa.Array:
    stated = parse(column(raw, name), _B).values
    return pc.and_(pc.fill_null(stated, False), _has_role(metrics, role))


def _attributed(raw: pd.DataFrame) -> pa.Array:
    texts = _text(raw, "property_attribution")
    rows = pc.indices_nonzero(pc.is_valid(texts))
    if len(rows) == 0:
        return texts
    found = [first_recorded_event(text) for text in texts.take(rows).to_pylist()]
    return pc.replace_with_mask(texts, pc.is_valid(texts), pa.array(found, pa.string()))
