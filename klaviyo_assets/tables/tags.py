"""Tags: labels for campaigns, flows, lists and segments. Not here: what carries them (`<noun>_tag`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text, text

SPEC = copied_table(
    name="tags",
    grain="One row per tag.",
    description="Labels of the account. Imported anew at every sync; deletes are not captured.",
    key=("tag_id",),
    deletes=False,
    previewed=("tag_id", "tag_group_id", "name"),
    fields=(
        key_text("tag_id", "Klaviyo's id of the tag.", raw="id"),
        text("tag_group_id", "Id of the group the tag belongs to."),
        text("name", "Name of the tag."),
    ),
)
