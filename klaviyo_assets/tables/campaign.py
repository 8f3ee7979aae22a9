"""Campaigns: one-off sends to lists and segments.

Here: the campaign itself, with the columns that connectors before September 2023 kept on it (subject, sender,
template). Not here: its messages (`campaign_message`), which is where newer connectors keep those.
"""

from klaviyo_assets.model.spec import Field, LogicalType, copied_table
from klaviyo_assets.tables._fields import (
    ADDS_TRACKING_PARAMS,
    IS_TRACKING_CLICKS,
    IS_TRACKING_OPENS,
    created_at,
    flag,
    instant,
    key_text,
    text,
    updated_at,
)

SPEC = copied_table(
    name="campaign",
    grain="One row per campaign.",
    description="Campaigns of every channel and state, drafts included. Columns that say `before September 2023` are "
    "filled by old connections only; read `campaign_message` first and fall back on them.",
    key=("campaign_id",),
    previewed=("campaign_id", "name", "status", "is_archived", "created_at"),
    fields=(
        key_text("campaign_id", "Klaviyo's id of the campaign.", raw="id"),
        text("name", "Name of the campaign as Klaviyo shows it now."),
        text("status", "State of the campaign, in Klaviyo's words, such as `Draft`, `Scheduled` or `Sent`."),
        flag("is_archived", "Whether the campaign was archived in Klaviyo.", raw="archived"),
        created_at("campaign"),
        updated_at("campaign"),
        instant("scheduled_at", "When the campaign was scheduled to be sent (UTC).", raw="scheduled"),
        instant("send_at", "When the campaign goes or went out (UTC); under local sending, the first zone's time.",
                raw="send_time", has_day=True),
        text("send_strategy_method", "How sends are spread: `immediate`, `static`, `throttled` or `smart_send_time`."),
        flag("is_ignoring_unsubscribes", "Whether the campaign also goes to people who unsubscribed.",
             raw="send_option_ignore_unsubscribes"),
        flag("is_using_smart_sending", "Whether people who got a message shortly before are left out.",
             raw="send_option_use_smart_sending"),
        IS_TRACKING_OPENS,
        IS_TRACKING_CLICKS,
        ADDS_TRACKING_PARAMS,
        instant("sent_at", "When the campaign had been sent (UTC); before September 2023."),
        text("campaign_type", "Kind of campaign, such as `Regular`; before September 2023."),
        text("subject", "Subject line; before September 2023."),
        text("from_email", "Sender's email address, the business's; before September 2023."),
        text("from_name", "Sender's name as recipients see it; before September 2023."),
        text("email_template_id", "Id of the template; before September 2023."),
        Field(name="status_id", type=LogicalType.INTEGER, description="Number of the state; before September 2023."),
        text("status_label", "Name of the state, such as `Sent`; before September 2023."),
        flag("is_segmented", "Whether the campaign went to a segment of a list; before September 2023."),
    ),
)  # fmt: skip
