"""The rows of `campaign` and its children, as of a given time.

Here: spelling campaigns in the new schema and in the one before September 2023.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.catalog import TABLES
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.lists import list_ids, tag_id
from klaviyo_assets.sandbox.fivetran.shop.messages import Campaign, Message

Rows = list[dict[str, Any]]

_UTM = {
    "utm_source": ("static", "Klaviyo"),
    "utm_campaign": ("dynamic", "campaign_name"),
    "utm_medium": ("dynamic", "email"),
}


class CampaignTables:
    """Campaigns known at `until`."""

    def __init__(self, history: History, until: int) -> None:
        self._history, self._until = history, until
        self._old = history.profile.inline_campaigns
        self._campaigns = history.messages.campaigns_until(until)

    def tables(self) -> dict[str, pa.Table]:
        """All tables that Fivetran re-imports with the campaigns; without messages in the old schema."""
        rows: dict[str, Rows] = {
            "campaign": [self._campaign(campaign) for campaign in self._campaigns],
            "campaign_list": [row for campaign in self._campaigns for row in self._audience(campaign)],
            "campaign_tracking_utm_param": [row for campaign in self._campaigns for row in self._utm(campaign)],
        }
        if not self._old:
            rows["campaign_message"] = [self._message(campaign) for campaign in self._campaigns]
            rows["campaign_message_send_time"] = [
                self._send_time(campaign) for campaign in self._campaigns if campaign.send_at is not None
            ]
        return {name: TABLES[name].of(listed) for name, listed in rows.items()}

    def tags(self) -> pa.Table:
        """Table `campaign_tag`: every third campaign has one."""
        return TABLES["campaign_tag"].of(
            {"campaign_id": campaign.campaign_id, "tag_id": tag_id(self._history, campaign.day % 4)}
            for campaign in self._campaigns
            if campaign.day % 3 == 0
        )

    def templates(self, since: int | None) -> Iterator[dict[str, Any]]:
        """Rows of `email_template` made for campaigns after `since`."""
        for campaign in self._campaigns:
            if campaign.channel == "email" and (since is None or campaign.created_at + 120 > since):
                yield from (template(message, campaign.created_at) for message in campaign.messages)

    def _campaign(self, campaign: Campaign) -> dict[str, Any]:
        is_sent = campaign.send_at is not None and campaign.send_at <= self._until
        status = "Sent" if is_sent else "Draft" if campaign.send_at is None else "Scheduled"
        name, renamed_at = self._history.overlay.campaign_names.get(campaign.campaign_id, (campaign.name, 0))
        row = {
            "id": campaign.campaign_id,
            "name": name if renamed_at <= self._until else campaign.name,
            "status": status.lower() if self._old else status,
            "archived": False,
            "created": campaign.created_at,
            "updated": max(campaign.created_at, campaign.send_at or 0 if is_sent else 0, renamed_at),
            "scheduled": campaign.created_at + 600 if campaign.send_at else None,
            "send_time": campaign.send_at,
            "_fivetran_deleted": self._is_deleted(campaign),
        }
        return row | (self._inline(campaign, status, is_sent) if self._old else self._options(campaign))

    def _inline(self, campaign: Campaign, status: str, is_sent: bool) -> dict[str, Any]:
        return {
            "campaign_type": "Regular",
            "email_template_id": campaign.messages[0].template_id,
            "from_email": f"hello@{self._history.profile.name}.example",
            "from_name": self._history.profile.name.title(),
            "subject": campaign.subject,
            "sent_at": campaign.send_at if is_sent else None,
            "status_id": 1 if is_sent else 2,
            "status_label": status,
            "is_segmented": False,
        }

    def _options(self, campaign: Campaign) -> dict[str, Any]:
        return {
            "send_option_ignore_unsubscribes": False if campaign.channel == "email" else None,
            "send_option_use_smart_sending": True,
            "send_strategy_method": "static" if campaign.send_at else "immediate",
            "send_strategy_options_static_datetime": campaign.send_at,
            "tracking_options_is_tracking_clicks": True,
            "tracking_options_is_tracking_opens": True if campaign.channel == "email" else None,
        }

    def _message(self, campaign: Campaign) -> dict[str, Any]:
        message = campaign.messages[0]
        return {
            "id": message.message_id,
            "campaign_id": campaign.campaign_id,
            "template_id": message.template_id if campaign.channel == "email" else None,
            "channel": campaign.channel,
            "label": campaign.name,
            "created": campaign.created_at + 1,
            "updated": campaign.created_at + 300,
            "_fivetran_deleted": self._is_deleted(campaign),
            **content(message, self._history.profile.name),
        }

    def _send_time(self, campaign: Campaign) -> dict[str, Any]:
        return {
            "datetime": campaign.send_at,
            "campaign_message_id": campaign.messages[0].message_id,
            "is_local": False,
            "_fivetran_deleted": self._is_deleted(campaign),
        }

    def _audience(self, campaign: Campaign) -> Rows:
        newsletter, texts, waitlist = list_ids(self._history)
        included = texts if campaign.channel == "sms" else newsletter
        base = {"campaign_id": campaign.campaign_id, "_fivetran_deleted": self._is_deleted(campaign)}
        rows = [{**base, "list_id": included, "list_included_or_excluded": "included"}]
        if campaign.day % 4 == 0:
            rows.append({**base, "list_id": waitlist, "list_included_or_excluded": "excluded"})
        return rows

    def _utm(self, campaign: Campaign) -> Rows:
        return [
            {
                "name": name,
                "campaign_id": campaign.campaign_id,
                "type": kind,
                "value": value,
                "_fivetran_deleted": self._is_deleted(campaign),
            }
            for name, (kind, value) in _UTM.items()
        ]

    def _is_deleted(self, campaign: Campaign) -> bool:
        is_deleted, at = self._history.overlay.campaigns_deleted.get(campaign.campaign_id, (False, 0))
        return is_deleted and at <= self._until


def content(message: Message, sender: str) -> dict[str, Any]:
    """The `content_*` columns of a campaign's or flow's message."""
    if message.channel != "email":
        return {"content_body": f"{message.subject} Reply STOP to opt out"}
    return {
        "content_subject": message.subject,
        "content_preview_text": f"{message.name}: have a look",
        "content_from_email": f"hello@{sender}.example",
        "content_from_label": sender.title(),
        "content_reply_to_email": f"care@{sender}.example",
    }


def template(message: Message, created_at: int) -> dict[str, Any]:
    """One row of `email_template`."""
    return {
        "id": message.template_id,
        "name": message.name,
        "html": f"<html><body><h1>{message.subject}</h1></body></html>",
        "text": message.subject,
        "editor_type": "SYSTEM_DRAGGABLE",
        "created": created_at,
        "updated": created_at + 120,
        "_fivetran_deleted": False,
    }
