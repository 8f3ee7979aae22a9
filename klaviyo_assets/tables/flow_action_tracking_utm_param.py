"""UTM parameters of flow steps. Not here: those of campaigns (`campaign_tracking_utm_param`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text, text

SPEC = copied_table(
    name="flow_action_tracking_utm_param",
    grain="One row per flow step and parameter.",
    description="The parameters a flow's messages add to their links, by which web analytics recognize the visits.",
    key=("flow_action_id", "name"),
    deletes=False,
    previewed=("flow_action_id", "name"),
    fields=(
        key_text("flow_action_id", "Id of the flow step."),
        key_text("name", "Name of the parameter, such as `utm_source`."),
        text("value", "Value of the parameter."),
    ),
)
