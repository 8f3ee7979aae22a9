"""Email templates: what a message looks like. Not here: the message that uses one."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import created_at, key_text, text, updated_at

SPEC = copied_table(
    name="email_template",
    grain="One row per email template.",
    description="The body of emails, with Klaviyo's template tags where a recipient's values go.",
    key=("email_template_id",),
    previewed=("email_template_id", "name", "editor_type", "created_at", "updated_at"),
    fields=(
        key_text("email_template_id", "Klaviyo's id of the template.", raw="id"),
        text("name", "Name of the template."),
        text("html", "The body as HTML, tags not filled in."),
        text("text", "The body as plain text, tags not filled in."),
        text("editor_type", "Editor the template was made with, such as `CODE` or `SYSTEM_DRAGGABLE`."),
        created_at("template"),
        updated_at("template"),
    ),
)
