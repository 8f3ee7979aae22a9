"""Flows: series of messages that a person's action sets off. Not here: their steps and messages."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import created_at, flag, key_text, text, updated_at

SPEC = copied_table(
    name="flow",
    grain="One row per flow.",
    description="Automations that send messages after a trigger, such as joining a list or leaving a cart.",
    key=("flow_id",),
    previewed=("flow_id", "name", "status", "is_archived", "trigger_type"),
    fields=(
        key_text("flow_id", "Klaviyo's id of the flow.", raw="id"),
        text("name", "Name of the flow as Klaviyo shows it now."),
        text("status", "Whether the flow sends: `draft`, `manual` or `live`."),
        flag("is_archived", "Whether the flow was archived in Klaviyo.", raw="archived"),
        text("trigger_type", "What starts the flow, such as `Metric` or `Added to List`."),
        created_at("flow"),
        updated_at("flow"),
    ),
)
