"""Send times of campaign messages. Not here: when each person got a message, which is an event."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import flag, key_instant, key_text

SPEC = copied_table(
    name="campaign_message_send_time",
    grain="One row per campaign message and time it is sent at.",
    description="The times a campaign message goes out; there are several if sends are spread.",
    key=("campaign_message_id", "send_at"),
    previewed=("campaign_message_id", "send_at", "is_local"),
    fields=(
        key_text("campaign_message_id", "Id of the message."),
        key_instant("send_at", "Time of the send (UTC); if `is_local`, a time of day in each recipient's own zone.",
                    raw="datetime"),
        flag("is_local", "Whether the message goes out at this time of day in each recipient's own time zone."),
    ),
)  # fmt: skip
