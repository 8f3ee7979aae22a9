"""Attribution: which touch earned how much of which event, one row per event and touch.

Here: the columns. Not here: building them (`mapping/attribution.py`), and who gets the credit (`mapping/credit.py`).
Changing an account's windows rebuilds this table and nothing else.
"""

from klaviyo_assets.model.spec import Column, LogicalType, Partitioning, TableSpec, at_least, one_of

_S, _T, _N = LogicalType.STRING, LogicalType.TIMESTAMP, LogicalType.NUMERIC

SOURCE = one_of("own", "recorded", "last_touch")

# What leads from an event to its touches, where Klaviyo recorded them.
_RECORDED = "attributed_event_id"

SPEC = TableSpec(
    name="attribution",
    grain="One row per event and touch that shares its credit.",
    description="Which message earned the credit for what a person did. Only events that some message earned have "
    "rows. `touch_*` columns describe the touch, never the event it is credited with.",
    key=("event_id", "touch_rank"),
    partitioning=Partitioning.ACCOUNT_DAY,
    day_column="occurred_on",
    cluster=("campaign_id", "flow_id"),
    columns=(
        Column(name="event_id", type=_S, is_previewed=True, required=True, made_of=("event_id",),
               description="The event that is credited."),
        Column(name="occurred_on", type=LogicalType.DATE, required=True, made_of=("occurred_on",),
               description="The calendar day of the event in the account's time zone."),
        Column(name="touch_rank", type=LogicalType.INTEGER, is_previewed=True, required=True,
               constraints=(at_least(1),), made_of=(_RECORDED,),
               description="1 for the first touch that shares the credit; last touch has only rank 1."),
        Column(name="weight", type=_N, is_previewed=True, required=True, made_of=(_RECORDED,),
               description="The touch's share of the event: 1 for last touch; the weights of an event sum to 1."),
        Column(name="value", type=_N, is_previewed=True, made_of=("value", _RECORDED),
               description="The touch's share of the event's value, in the event's currency; the shares sum to it."),
        Column(name="attribution_source", type=_S, is_previewed=True, required=True, constraints=(SOURCE,),
               made_of=("campaign_id", "flow_id", _RECORDED),
               description="own: the event names its campaign or flow; recorded: Klaviyo's own attribution; "
               "last_touch: the person's last eligible touch."),
        Column(name="touch_event_id", type=_S, made_of=("event_id", _RECORDED),
               description="The touch; null if only the message is known, because the event names it or Klaviyo "
               "recorded it without an event that can be found."),
        Column(name="touch_metric", type=_S, made_of=("metric",),
               description="Metric of the touch, such as Clicked Email."),
        Column(name="touch_at", type=_T, made_of=("occurred_at",),
               description="When the touch happened (UTC)."),
        Column(name="touch_channel", type=_S, made_of=("channel",),
               description="email, sms, mobile_push or whatsapp: the touch's channel, else that of the person's latest "
               "receipt of the credited campaign or flow."),
        Column(name="campaign_id", type=_S, made_of=("campaign_id", _RECORDED),
               description="The campaign that earned the credit."),
        Column(name="flow_id", type=_S, made_of=("flow_id", _RECORDED),
               description="The flow that earned the credit."),
        Column(name="message_id", type=_S, made_of=("message_id", _RECORDED),
               description="The message that earned the credit: as stated, else the touch's, else that of the person's "
               "latest receipt of the campaign or flow."),
        Column(name="variation_id", type=_S, made_of=("variation_id", _RECORDED),
               description="The A/B variation that earned the credit, found as `message_id` is."),
        Column(name="send_at", type=_T, made_of=("send_at",),
               description="When the credited message was sent (UTC): the touch's send, else that of the person's "
               "latest receipt of it at or before the event."),
        Column(name="send_on", type=LogicalType.DATE, made_of=("send_on",),
               description="The calendar day of `send_at` in the account's time zone."),
    ),
)  # fmt: skip
