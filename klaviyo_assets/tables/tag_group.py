"""Groups of tags. Not here: the tags (`tags.py`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import flag, key_text, text

SPEC = copied_table(
    name="tag_group",
    grain="One row per group of tags.",
    description="How tags are grouped, such as by brand or season.",
    key=("tag_group_id",),
    deletes=False,
    previewed=("tag_group_id", "name", "is_default", "is_exclusive"),
    fields=(
        key_text("tag_group_id", "Klaviyo's id of the group.", raw="id"),
        text("name", "Name of the group."),
        flag("is_default", "Whether tags without a stated group go here; one group per account.", raw="default"),
        flag("is_exclusive", "Whether a campaign, flow, list or segment may carry only one tag of the group.",
             raw="exclusive"),
    ),
)  # fmt: skip
