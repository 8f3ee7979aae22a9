"""The rows of `flow` and its children.

Here: spelling flows, their actions, messages and templates.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.campaign_tables import content, template
from klaviyo_assets.sandbox.fivetran.shop.catalog import TABLES
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.lists import founded_at, tag_id
from klaviyo_assets.sandbox.fivetran.shop.messages import Flow, Message

_HALF_A_YEAR = 180 * 86_400
_ACTIONS = {"email": "SEND_EMAIL", "sms": "SEND_SMS", "mobile_push": "SEND_PUSH_NOTIFICATION"}


class FlowTables:
    """Flows are older than the shop's first day and do not change."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._created_at = founded_at(history)
        self._updated_at = self._created_at + _HALF_A_YEAR

    def flow(self) -> pa.Table:
        """Table `flow`."""
        return TABLES["flow"].of(
            {
                "id": flow.flow_id,
                "name": flow.name,
                "status": "live" if flow.trigger else "draft",
                "archived": False,
                "trigger_type": flow.trigger_type,
                "created": self._created_at,
                "updated": self._updated_at,
                "_fivetran_deleted": False,
            }
            for flow in self._history.messages.flows
        )

    def templates(self) -> Iterator[dict[str, Any]]:
        """Rows of `email_template` made for flows."""
        for _, message in self._messages():
            if message.channel == "email":
                yield template(message, self._created_at)

    def children(self) -> dict[str, pa.Table]:
        """The tables that Fivetran writes at every sync."""
        actions = list(self._actions())
        return {
            "flow_action": TABLES["flow_action"].of(actions),
            "flow_action_tracking_utm_param": TABLES["flow_action_tracking_utm_param"].of(
                {"name": "utm_source", "flow_action_id": action["id"], "value": "Klaviyo"}
                for action in actions
                if action["action_type"] == "SEND_EMAIL"
            ),
            "flow_message": TABLES["flow_message"].of(self._message(m) for _, m in self._messages()),
            "flow_tag": TABLES["flow_tag"].of(
                {"flow_id": flow.flow_id, "tag_id": tag_id(self._history, 2)}
                for flow in self._history.messages.flows
                if flow.trigger
            ),
        }

    def _messages(self) -> Iterator[tuple[Flow, Message]]:
        """Each message once, whatever its variations."""
        for flow in self._history.messages.flows:
            for message in {message.message_id: message for message in flow.messages}.values():
                yield flow, message

    def _actions(self) -> Iterator[dict[str, Any]]:
        for flow, message in self._messages():
            delay = {"id": self._history.dice.digits("delay", message.message_id), "action_type": "TIME_DELAY"}
            send = {"id": self._action_id(message), "action_type": _ACTIONS[message.channel]}
            options = {
                "send_options_use_smart_sending": True,
                "send_options_is_transactional": False,
                "tracking_options_is_tracking_clicks": True,
                "tracking_options_is_tracking_opens": message.channel == "email",
            }
            for action in (delay, send | options):
                status = "live" if flow.trigger else "draft"
                times = {"created": self._created_at, "updated": self._updated_at}
                yield {"flow_id": flow.flow_id, "status": status, **times, **action}

    def _message(self, message: Message) -> dict[str, Any]:
        return {
            "id": message.message_id,
            "flow_action_id": self._action_id(message),
            "template_id": message.template_id if message.channel == "email" else None,
            "channel": message.channel,
            "name": message.name,
            "created": self._created_at,
            "updated": self._updated_at,
            **content(message, self._history.profile.name),
        }

    def _action_id(self, message: Message) -> str:
        return self._history.dice.digits("action", message.message_id)
