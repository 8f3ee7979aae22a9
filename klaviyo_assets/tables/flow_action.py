"""Steps of flows: sends, waits, splits. Not here: what a send step says (`flow_message`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import (
    ADDS_TRACKING_PARAMS,
    IS_TRACKING_CLICKS,
    IS_TRACKING_OPENS,
    created_at,
    flag,
    key_text,
    text,
    updated_at,
)

SPEC = copied_table(
    name="flow_action",
    grain="One row per step of a flow.",
    description="What a flow does, step by step. Imported anew at every sync; deletes are not captured.",
    key=("flow_action_id",),
    deletes=False,
    previewed=("flow_action_id", "action_type", "status", "is_transactional", "is_using_smart_sending"),
    fields=(
        key_text("flow_action_id", "Klaviyo's id of the step.", raw="id"),
        text("flow_id", "Id of the flow the step belongs to."),
        text("action_type", "What the step does, such as `SEND_EMAIL`, `SEND_SMS` or `TIME_DELAY`."),
        text("status", "Whether the step runs: `draft`, `manual`, `live` or `disabled`."),
        flag("is_transactional", "Whether the message also goes to people who have not consented to marketing.",
             raw="send_options_is_transactional"),
        flag("is_using_smart_sending", "Whether people who got a message shortly before are left out.",
             raw="send_options_use_smart_sending"),
        IS_TRACKING_OPENS,
        IS_TRACKING_CLICKS,
        ADDS_TRACKING_PARAMS,
        created_at("step"),
        updated_at("step"),
    ),
)  # fmt: skip
