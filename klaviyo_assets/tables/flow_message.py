"""Messages of flows: what a send step sends. Not here: the step (`flow_action`) and the flow."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import CHANNEL, MESSAGE_CONTENT, created_at, key_text, text, updated_at

SPEC = copied_table(
    name="flow_message",
    grain="One row per message of a flow.",
    description="Name, subject, sender and text of each message of a flow. Its flow is found through `flow_action`.",
    key=("flow_message_id",),
    deletes=False,
    previewed=("flow_message_id", "channel", "name"),
    fields=(
        key_text("flow_message_id", "Klaviyo's id of the message.", raw="id"),
        text("flow_action_id", "Id of the flow step that sends the message."),
        text("template_id", "Id of the email template; see `email_template`."),
        CHANNEL,
        text("name", "Name of the message, which tells the messages of one flow apart."),
        *MESSAGE_CONTENT,
        created_at("message"),
        updated_at("message"),
    ),
)
