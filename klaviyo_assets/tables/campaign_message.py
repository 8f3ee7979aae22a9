"""Messages of campaigns: what is sent, one per channel or variation. Not here: when and to whom (`campaign`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import CHANNEL, MESSAGE_CONTENT, created_at, key_text, text, updated_at

SPEC = copied_table(
    name="campaign_message",
    grain="One row per message of a campaign.",
    description="Subject, sender and text of each message of a campaign. Filled since September 2023; what older "
    "connections know is on `campaign`.",
    key=("campaign_message_id",),
    previewed=("campaign_message_id", "channel", "label"),
    fields=(
        key_text("campaign_message_id", "Klaviyo's id of the message.", raw="id"),
        text("campaign_id", "Id of the campaign the message belongs to."),
        text("template_id", "Id of the email template; see `email_template`."),
        CHANNEL,
        text("label", "Name of the message, which tells the variations of one campaign apart."),
        *MESSAGE_CONTENT,
        created_at("message"),
        updated_at("message"),
    ),
)
