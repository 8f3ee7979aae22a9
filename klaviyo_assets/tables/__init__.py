"""The catalogue: every table of the product, one file each.

Here: the list of them. Not here: what any of them holds. A new table is a file beside this one and a line below.
"""

from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.tables.attribution import SPEC as ATTRIBUTION
from klaviyo_assets.tables.campaign import SPEC as CAMPAIGN
from klaviyo_assets.tables.campaign_list import SPEC as CAMPAIGN_LIST
from klaviyo_assets.tables.campaign_message import SPEC as CAMPAIGN_MESSAGE
from klaviyo_assets.tables.campaign_message_send_time import SPEC as CAMPAIGN_MESSAGE_SEND_TIME
from klaviyo_assets.tables.campaign_tag import SPEC as CAMPAIGN_TAG
from klaviyo_assets.tables.campaign_tracking_utm_param import SPEC as CAMPAIGN_TRACKING_UTM_PARAM
from klaviyo_assets.tables.coupon import SPEC as COUPON
from klaviyo_assets.tables.coupon_code import SPEC as COUPON_CODE
from klaviyo_assets.tables.email_template import SPEC as EMAIL_TEMPLATE
from klaviyo_assets.tables.event import SPEC as EVENT
from klaviyo_assets.tables.flow import SPEC as FLOW
from klaviyo_assets.tables.flow_action import SPEC as FLOW_ACTION
from klaviyo_assets.tables.flow_action_tracking_utm_param import SPEC as FLOW_ACTION_TRACKING_UTM_PARAM
from klaviyo_assets.tables.flow_message import SPEC as FLOW_MESSAGE
from klaviyo_assets.tables.flow_tag import SPEC as FLOW_TAG
from klaviyo_assets.tables.global_exclusion import SPEC as GLOBAL_EXCLUSION
from klaviyo_assets.tables.list import SPEC as LIST
from klaviyo_assets.tables.list_exclusion import SPEC as LIST_EXCLUSION
from klaviyo_assets.tables.list_person import SPEC as LIST_PERSON
from klaviyo_assets.tables.list_tag import SPEC as LIST_TAG
from klaviyo_assets.tables.metric import SPEC as METRIC
from klaviyo_assets.tables.person import SPEC as PERSON
from klaviyo_assets.tables.segment import SPEC as SEGMENT
from klaviyo_assets.tables.segment_person import SPEC as SEGMENT_PERSON
from klaviyo_assets.tables.segment_tag import SPEC as SEGMENT_TAG
from klaviyo_assets.tables.tag_group import SPEC as TAG_GROUP
from klaviyo_assets.tables.tags import SPEC as TAGS

# Tables that other modules refer to by name.
__all__ = ["ACCOUNT_TABLES", "ATTRIBUTION", "CAMPAIGN", "DAILY_TABLES", "EVENT", "METRIC", "TABLES"]

# Divided by account: each is replaced as a whole.
ACCOUNT_TABLES: tuple[TableSpec, ...] = (
    PERSON,
    CAMPAIGN,
    CAMPAIGN_MESSAGE,
    CAMPAIGN_MESSAGE_SEND_TIME,
    CAMPAIGN_LIST,
    CAMPAIGN_TRACKING_UTM_PARAM,
    CAMPAIGN_TAG,
    FLOW_TAG,
    LIST_TAG,
    SEGMENT_TAG,
    EMAIL_TEMPLATE,
    FLOW,
    FLOW_ACTION,
    FLOW_ACTION_TRACKING_UTM_PARAM,
    FLOW_MESSAGE,
    METRIC,
    LIST,
    LIST_PERSON,
    LIST_EXCLUSION,
    GLOBAL_EXCLUSION,
    SEGMENT,
    SEGMENT_PERSON,
    TAGS,
    TAG_GROUP,
    COUPON,
    COUPON_CODE,
)
# Divided by account and day.
DAILY_TABLES: tuple[TableSpec, ...] = (EVENT, ATTRIBUTION)

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in (*DAILY_TABLES, *ACCOUNT_TABLES)}
