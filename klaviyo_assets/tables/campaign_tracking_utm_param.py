"""UTM parameters of campaigns. Not here: those of flows (`flow_action_tracking_utm_param`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text, text

SPEC = copied_table(
    name="campaign_tracking_utm_param",
    grain="One row per campaign and parameter.",
    description="The parameters a campaign adds to its links, by which web analytics recognize its visits.",
    key=("campaign_id", "name"),
    previewed=("campaign_id", "name", "type"),
    fields=(
        key_text("campaign_id", "Id of the campaign."),
        key_text("name", "Name of the parameter, such as `utm_source`."),
        text(
            "type",
            "Where the value comes from: `static` as written, `dynamic` filled in from the campaign.",
        ),
        text("value", "Value of the parameter; for a dynamic one, the name of what it is filled with."),
    ),
)
