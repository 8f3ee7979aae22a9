"""Flow messages with everything that names them: flow, step, subject, sender, template, tags, link parameters.

Here: the view. Not here: statistics.
"""

from klaviyo_assets.reports.views.messages import details, parameters_of, tags_of
from klaviyo_assets.reports.views.spec import copied
from klaviyo_assets.tables.email_template import SPEC as TEMPLATE
from klaviyo_assets.tables.flow import SPEC as FLOW
from klaviyo_assets.tables.flow_action import SPEC as ACTION
from klaviyo_assets.tables.flow_action_tracking_utm_param import SPEC as PARAMETERS
from klaviyo_assets.tables.flow_message import SPEC as MESSAGE
from klaviyo_assets.tables.flow_tag import SPEC as TAGGING

_ID = "COALESCE(flow.flow_id, message.flow_id)"
# A message names its step, and the step its flow: both are joined first, then the flows without messages.
_MESSAGE = """(
  SELECT flow_message.*, flow_action.flow_id, flow_action.action_type, flow_action.status AS action_status
  FROM flow_message
  LEFT JOIN flow_action ON flow_action.flow_action_id = flow_message.flow_action_id
) AS message"""

DETAILS = details(
    name="flow_message_detail",
    questions=("What are the subject, sender, template, tags and link parameters of a flow message?",),
    grain="One row per flow message; one row with a null `message_id` for a flow without any.",
    description="Names and content of flow messages as Klaviyo shows them now: a renamed flow has its new name "
    "everywhere. Deleted flows are kept, with `is_deleted`. A message finds its flow through its step.",
    owner=copied(FLOW, "flow_id", sql=_ID),
    message=copied(MESSAGE, "flow_message_id", as_="message_id", sql="message.flow_message_id"),
    of_owner=(
        copied(FLOW, "name", as_="flow_name"),
        copied(FLOW, "status", as_="flow_status"),
        copied(FLOW, "is_deleted", sql="COALESCE(flow.is_deleted, FALSE)", note="About the flow."),
        copied(FLOW, "trigger_type"),
        tags_of("flow"),
    ),
    of_message=(
        copied(MESSAGE, "flow_action_id", sql="message.flow_action_id"),
        copied(ACTION, "action_type", sql="message.action_type"),
        copied(ACTION, "status", as_="action_status", sql="message.action_status"),
        copied(MESSAGE, "name", as_="message_name", sql="message.name"),
        copied(MESSAGE, "channel", sql="message.channel"),
        copied(MESSAGE, "content_subject", as_="subject", sql="message.content_subject"),
        copied(MESSAGE, "content_preview_text", as_="preview_text", sql="message.content_preview_text"),
        copied(MESSAGE, "content_from_email", as_="from_email", sql="message.content_from_email"),
        copied(MESSAGE, "content_from_label", as_="from_label", sql="message.content_from_label"),
        copied(MESSAGE, "content_reply_to_email", as_="reply_to_email", sql="message.content_reply_to_email"),
        copied(MESSAGE, "template_id", sql="message.template_id"),
        copied(TEMPLATE, "name", as_="template_name"),
        *parameters_of(PARAMETERS),
    ),
    tagging=TAGGING, parameters=PARAMETERS, reads=(FLOW, ACTION, MESSAGE, TEMPLATE),
    source=f"""FROM flow
FULL JOIN {_MESSAGE} ON message.flow_id = flow.flow_id
LEFT JOIN email_template ON email_template.email_template_id = message.template_id
LEFT JOIN tagged ON tagged.flow_id = {_ID}
LEFT JOIN parameters ON parameters.flow_action_id = message.flow_action_id""",
)  # fmt: skip
SPEC = DETAILS.spec
