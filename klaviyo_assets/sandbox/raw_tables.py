"""Names and types of the tables, keys and columns of Fivetran's Klaviyo connector, for `sandbox import`.

Here: facts of the raw schema. Not here: the part that the product reads (`klaviyo_assets/tables`); files may have more.
Source: https://fivetran.com/docs/connectors/applications/klaviyo
"""

import re

KEYS: dict[str, tuple[str, ...]] = {
    "event": ("id",),
    "person": ("id",),
    "campaign": ("id",),
    "campaign_message": ("id",),
    "campaign_message_send_time": ("datetime", "campaign_message_id"),
    "campaign_list": ("campaign_id", "list_id"),
    "campaign_tracking_utm_param": ("name", "campaign_id"),
    "campaign_tag": ("campaign_id", "tag_id"),
    "flow_tag": ("flow_id", "tag_id"),
    "list_tag": ("list_id", "tag_id"),
    "segment_tag": ("segment_id", "tag_id"),
    "email_template": ("id",),
    "flow": ("id",),
    "flow_action": ("id",),
    "flow_action_tracking_utm_param": ("name", "flow_action_id"),
    "flow_message": ("id",),
    "metric": ("id",),
    "list": ("id",),
    "list_person": ("list_id", "person_id"),
    "list_exclusion": ("id", "list_id"),
    "global_exclusion": ("person_id",),
    "segment": ("id",),
    "segment_person": ("segment_id", "person_id"),
    "tags": ("id",),
    "tag_group": ("id",),
    "coupon": ("id",),
    "coupon_code": ("id",),
    "form": ("id",),
    "form_version": ("id",),
    "account_history": (),
}
"""Primary key by table; empty where it is not known."""

_TYPED = {
    "timestamptz": (
        r"datetime|timestamp|created|updated|scheduled|send_time|sent_at|last_event_date|joined_group_at|expires_at|"
        r"_fivetran_synced|predictive_analytics_expected_date_of_next_order|"
        r"subscriptions_\w+_(last_updated|timestamp)"
    ),
    "boolean": (
        r"_fivetran_deleted|archived|is_local|default|exclusive|is_segmented|"
        r"send_option_(ignore_unsubscribes|use_smart_sending)|"
        r"subscriptions_\w+_(can_receive_\w+_marketing|double_optin)"
    ),
    "double precision": r"predictive_analytics_\w+",
    "json": r"definition|custom_property_fields|custom_fields",
}
_TEXT = (
    r"uuid|type|_variation|email|external_id|first_name|last_name|organization|title|address_1|address_2|city|region|"
    r"country|latitude|longitude|timezone|ip|image|subscriptions_\w+|name|status|channel|label|content_\w+|"
    r"list_included_or_excluded|value|html|text|editor_type|trigger_type|action_type|list_name|reason|"
    r"integration_\w+|description|unique_code|campaign_type|status_label|from_email|from_name|subject"
)
# These can consist of digits but are not numbers: leading zeros and length matter.
_NEVER_A_NUMBER = re.compile(
    r"id|.*_ids?|property\w*id|custom\w*id|.*(zip|phone|postal|code|sku|number)\w*", re.IGNORECASE
)


def stated_type(column: str) -> str | None:
    """The Postgres type that the raw schema states for a column; None for columns it does not list."""
    for kind, pattern in _TYPED.items():
        if re.fullmatch(pattern, column):
            return kind
    return "text" if re.fullmatch(_TEXT, column) else None


def may_be_number(column: str) -> bool:
    """Whether digits in this column are a quantity."""
    return not _NEVER_A_NUMBER.fullmatch(column)
