"""The tables Fivetran's Klaviyo connector writes: keys and column types.

Here: the shape of the raw tables, transcribed from Fivetran's schema. Not here: their rows, and the
custom columns of `event` and `person`, which differ from account to account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_ARROW = {
    "text": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "double precision": pa.float64(),
    "bigint": pa.int64(),
    "timestamptz": pa.timestamp("s", "UTC"),
}
_SHORT = {"t": "timestamptz", "b": "boolean", "d": "double precision", "i": "bigint", "j": "json"}


@dataclass(frozen=True)
class Table:
    """One raw table.

    Attributes:
        name: As in Postgres.
        key: The primary key's columns.
        columns: Postgres type by column, without custom fields.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]

    def of(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """The rows as an Arrow table; columns that a row lacks are null, and times may be epoch seconds."""
        records = list(rows)
        return pa.table(
            {name: pa.array([row.get(name) for row in records], _ARROW[kind]) for name, kind in self.columns.items()}
        )

    @property
    def json_columns(self) -> frozenset[str]:
        """The columns that hold JSON."""
        return frozenset(name for name, kind in self.columns.items() if kind == "json")

    @property
    def captures_deletes(self) -> bool:
        """Whether rows are soft-deleted."""
        return "_fivetran_deleted" in self.columns


def _table(name: str, key: str, columns: str) -> Table:
    """Build a table; a column is `name` (text), or `name:x` with a type letter of `_SHORT`."""
    pairs = (word.partition(":") for word in f"{columns} _fivetran_synced:t".split())
    return Table(name, tuple(key.split()), {column: _SHORT.get(kind, "text") for column, _, kind in pairs})


_DELETED = "_fivetran_deleted:b"
_CONTENT = (
    "content_subject content_preview_text content_from_email content_from_label content_reply_to_email"
    " content_cc_email content_bcc_email content_body content_media_url"
)
_RENDER = "render_options_shorten_links:b render_options_add_org_prefix:b render_options_add_opt_out_language:b"
_TRACKING = "tracking_options_is_tracking_clicks:b tracking_options_is_tracking_opens:b"
_PREDICTED = " ".join(
    f"predictive_analytics_{name}"
    for name in [
        "average_days_between_orders:d",
        "average_order_value:d",
        "churn_probability:d",
        "expected_date_of_next_order:t",
        "historic_clv:d",
        "historic_number_of_orders:d",
        "predicted_clv:d",
        "predicted_number_of_orders:d",
        "total_clv:d",
    ]
)
_CONSENT = " ".join(
    f"subscriptions_{channel}_marketing_{name.format(channel)}"
    for channel in ("email", "sms")
    for name in [
        "can_receive_{}_marketing:b",
        "consent",
        "custom_method_detail",
        "double_optin:b",
        "last_updated:t",
        "method",
        "method_detail",
        "timestamp:t",
    ]
)

TABLES = {
    table.name: table
    for table in (
        _table(
            "event",
            "id",
            "id campaign_id flow_id flow_message_id metric_id person_id _variation datetime:t timestamp:t type uuid",
        ),
        _table(
            "person",
            "id",
            "id email phone_number external_id first_name last_name organization title address_1 address_2 city"
            " region country zip latitude longitude timezone ip image created:t updated:t last_event_date:t"
            f" {_PREDICTED} {_CONSENT} {_DELETED}",
        ),
        _table(
            "campaign",
            "id",
            "id name status archived:b created:t updated:t scheduled:t send_time:t"
            " send_option_ignore_unsubscribes:b send_option_use_smart_sending:b send_strategy_method"
            f" send_strategy_options_static_datetime:t {_TRACKING} campaign_type email_template_id from_email"
            f" from_name subject sent_at:t status_id:i status_label is_segmented:b {_DELETED}",
        ),
        _table(
            "campaign_message",
            "id",
            f"id campaign_id template_id channel label {_CONTENT} {_RENDER} created:t updated:t {_DELETED}",
        ),
        _table(
            "campaign_message_send_time",
            "datetime campaign_message_id",
            f"datetime:t campaign_message_id is_local:b {_DELETED}",
        ),
        _table("campaign_list", "campaign_id list_id", f"campaign_id list_id list_included_or_excluded {_DELETED}"),
        _table("campaign_tracking_utm_param", "name campaign_id", f"name campaign_id type value {_DELETED}"),
        _table("campaign_tag", "campaign_id tag_id", "campaign_id tag_id"),
        _table("flow_tag", "flow_id tag_id", "flow_id tag_id"),
        _table("list_tag", "list_id tag_id", "list_id tag_id"),
        _table("segment_tag", "segment_id tag_id", "segment_id tag_id"),
        _table("email_template", "id", f"id name html text editor_type created:t updated:t {_DELETED}"),
        _table("flow", "id", f"id name status archived:b trigger_type created:t updated:t {_DELETED}"),
        _table(
            "flow_action",
            "id",
            "id flow_id action_type status send_options_use_smart_sending:b send_options_is_transactional:b"
            f" {_TRACKING} {_RENDER} created:t updated:t",
        ),
        _table("flow_action_tracking_utm_param", "name flow_action_id", "name flow_action_id value"),
        _table("flow_message", "id", f"id flow_action_id template_id channel name {_CONTENT} created:t updated:t"),
        _table(
            "metric",
            "id",
            "id name integration_id integration_name integration_category integration_object created:t updated:t"
            f" {_DELETED}",
        ),
        _table("list", "id", f"id list_name created:t updated:t {_DELETED}"),
        _table("list_person", "list_id person_id", f"list_id person_id joined_group_at:t {_DELETED}"),
        _table("list_exclusion", "id list_id", f"id list_id created:t reason {_DELETED}"),
        _table("global_exclusion", "person_id", f"person_id reason timestamp:t {_DELETED}"),
        _table("segment", "id", f"id name definition:j created:t updated:t {_DELETED}"),
        _table("segment_person", "person_id segment_id", f"person_id segment_id {_DELETED}"),
        _table("tags", "id", "id tag_group_id name"),
        _table("tag_group", "id", "id name default:b exclusive:b"),
        _table("coupon", "id", "id external_id description"),
        _table("coupon_code", "id", "id coupon_id person_id unique_code status expires_at:t"),
    )
}
"""Every raw table by name."""
