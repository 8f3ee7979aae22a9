"""Campaign messages with everything that names them: campaign, subject, sender, template, tags, link parameters.

Here: the view, falling back to what older connections keep on `campaign`. Not here: statistics.
"""

from klaviyo_assets.reports.views.messages import details, parameters_of, tags_of
from klaviyo_assets.reports.views.spec import ViewColumn, copied
from klaviyo_assets.tables.campaign import SPEC as CAMPAIGN
from klaviyo_assets.tables.campaign_message import SPEC as MESSAGE
from klaviyo_assets.tables.campaign_tag import SPEC as TAGGING
from klaviyo_assets.tables.campaign_tracking_utm_param import SPEC as PARAMETERS
from klaviyo_assets.tables.email_template import SPEC as TEMPLATE

_ID = "COALESCE(campaign.campaign_id, campaign_message.campaign_id)"


def _older(name: str) -> str:
    # The values on the campaign belong to its email: a text message of the same campaign has no subject.
    return f"IF(COALESCE(campaign_message.channel, 'email') = 'email', campaign.{name}, NULL)"


def _content(name: str, as_: str, older: str = "") -> ViewColumn:
    """A part of the message's content; before September 2023 the campaign has it."""
    if not older:
        return copied(MESSAGE, name, as_=as_)
    return copied(
        MESSAGE, name, as_=as_, older=(CAMPAIGN, older), sql=f"COALESCE(campaign_message.{name}, {_older(older)})"
    )  # fmt: skip


DETAILS = details(
    name="campaign_message_detail",
    questions=("What are the subject, sender, template, tags and link parameters of a campaign message?",),
    grain="One row per campaign message; one row with a null `message_id` for a campaign without any.",
    description="Names and content of campaign messages as Klaviyo shows them now: a renamed campaign has its new name "
    "everywhere. Deleted campaigns are kept, with `is_deleted`. Campaigns of connections created before September 2023 "
    "have no messages of their own: their only row shows the content stored on the campaign.",
    owner=copied(CAMPAIGN, "campaign_id", sql=_ID),
    message=copied(MESSAGE, "campaign_message_id", as_="message_id"),
    of_owner=(
        copied(CAMPAIGN, "name", as_="campaign_name"),
        copied(CAMPAIGN, "status", as_="campaign_status", older=(CAMPAIGN, "status_label"),
               sql="COALESCE(campaign.status, campaign.status_label)"),
        copied(CAMPAIGN, "is_deleted", sql="COALESCE(campaign.is_deleted, FALSE)", note="About the campaign."),
        copied(CAMPAIGN, "send_at", as_="campaign_send_at", older=(CAMPAIGN, "sent_at"),
               sql="COALESCE(campaign.send_at, campaign.sent_at)"),
        tags_of("campaign"),
        *parameters_of(PARAMETERS),
    ),
    of_message=(
        _content("label", "message_label"),
        copied(MESSAGE, "is_deleted", as_="message_is_deleted", sql="COALESCE(campaign_message.is_deleted, FALSE)"),
        copied(MESSAGE, "channel"),
        _content("content_subject", "subject", "subject"),
        _content("content_preview_text", "preview_text"),
        _content("content_from_email", "from_email", "from_email"),
        _content("content_from_label", "from_label", "from_name"),
        _content("content_reply_to_email", "reply_to_email"),
        copied(MESSAGE, "template_id", older=(CAMPAIGN, "email_template_id"),
               sql=f"COALESCE(campaign_message.template_id, {_older('email_template_id')})"),
        copied(TEMPLATE, "name", as_="template_name"),
    ),
    tagging=TAGGING, parameters=PARAMETERS, reads=(CAMPAIGN, MESSAGE, TEMPLATE),
    source=f"""FROM campaign
FULL JOIN campaign_message ON campaign_message.campaign_id = campaign.campaign_id
LEFT JOIN email_template
  ON email_template.email_template_id = COALESCE(campaign_message.template_id, {_older("email_template_id")})
LEFT JOIN tagged ON tagged.campaign_id = {_ID}
LEFT JOIN parameters ON parameters.campaign_id = {_ID}""",
)  # fmt: skip
SPEC = DETAILS.spec
