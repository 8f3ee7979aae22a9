"""The audience of campaigns: which lists and segments are in or out. Not here: the people on them."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text, text

SPEC = copied_table(
    name="campaign_list",
    grain="One row per campaign and list or segment in its audience.",
    description="The lists and segments a campaign goes to, and those it leaves out.",
    key=("campaign_id", "list_id"),
    previewed=("campaign_id", "list_id", "list_included_or_excluded"),
    fields=(
        key_text("campaign_id", "Id of the campaign."),
        key_text("list_id", "Id of the list or of the segment; Klaviyo uses one kind of id for both."),
        text("list_included_or_excluded", "Whether its people are in the audience or left out: `included` or "
             "`excluded`."),
    ),
)  # fmt: skip
