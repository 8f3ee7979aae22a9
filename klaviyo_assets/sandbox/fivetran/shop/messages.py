"""The messages an account sends: campaigns planned by day, and flows.

Here: which messages exist, their names, ids, variations and times. Not here: who received them
(`activity`) and how their rows look (`campaign_tables`, `flow_tables`).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.calendar import Calendar
from klaviyo_assets.sandbox.fivetran.shop.dice import Dice
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

Channel = Literal["email", "sms", "mobile_push"]

FIRST_CAMPAIGN = 1_000
"""Message keys from here on belong to campaigns; those below to flows."""

_SLOTS: tuple[Channel, ...] = ("email", "sms", "mobile_push")
_SLOT_CHANCE = (0.43, 0.17, 0.10)
_FORCED_DAY = (0, 2, 5)
_PLANNED_AHEAD = 3
_THEMES = (
    "New arrivals", "Weekend sale", "Back in stock", "Member preview", "Bestsellers", "Last chance",
    "Gift guide", "Behind the scenes", "Free shipping", "Bundle and save", "Color of the month", "Restock alert",
)  # fmt: skip
_SUBJECTS = ("{}: just for you", "{} is here", "Don't miss it: {}", "{}, picked by our team", "Ä little {} ✨")
_HOUR, _DAY = 3_600, 86_400
_FLOWS: tuple[tuple[str, str, str, tuple[tuple[str, Channel, int], ...]], ...] = (
    (
        "Welcome Series",
        "Added to List",
        "subscribed_list",
        (
            ("Welcome", "email", 300),
            ("Our story", "email", 2 * _DAY),
            ("Your code is waiting", "email", 4 * _DAY),
        ),
    ),
    (
        "Abandoned Cart",
        "Metric",
        "checkout_started",
        (
            ("You left something", "email", 4 * _HOUR),
            ("Cart text", "sms", 20 * _HOUR),
            ("Still yours", "email", _DAY),
        ),
    ),
    ("Browse Abandonment", "Metric", "viewed_product", (("Still looking?", "email", 6 * _HOUR),)),
    ("Post-Purchase", "Metric", "placed_order", (("How to care for it", "email", 3 * _DAY),)),
    ("Text Welcome", "Added to List", "subscribed_sms", (("Hello by text", "sms", 60),)),
    ("Winback - draft", "Metric", "", (("We miss you", "email", _DAY),)),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What one send refers to: one variation of one campaign or flow message."""

    key: int
    channel: Channel
    message_id: str
    name: str
    subject: str
    template_id: str
    campaign_id: str | None
    flow_id: str | None
    variation: str | None
    delay: int = 0
    """Seconds from trigger to send; flows only."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign and its variations; a draft has no `send_at`."""

    campaign_id: str
    name: str
    channel: Channel
    created_at: int
    send_at: int | None
    day: int
    messages: tuple[Message, ...]

    @property
    def subject(self) -> str:
        """The subject of the first variation."""
        return self.messages[0].subject


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow and its messages in order; `trigger` is a metric key, empty for a draft."""

    flow_id: str
    name: str
    trigger_type: str
    trigger: str
    messages: tuple[Message, ...]


class Messages:
    """Everything an account sends, as functions of the day."""

    def __init__(self, dice: Dice, profile: Profile, calendar: Calendar) -> None:
        self._dice, self._profile, self._calendar = dice, profile, calendar
        self.campaigns_on = lru_cache(maxsize=None)(self._campaigns_on)

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """The account's flows."""
        flows, key = [], 0
        for name, trigger_type, trigger, steps in _FLOWS:
            flow_id = self._dice.short_id("flow", name)
            messages: list[Message] = []
            for step in steps:
                variations = ("A", "B") if name == "Post-Purchase" else (None,)
                messages += [self._flow_message(key + i, flow_id, step, label) for i, label in enumerate(variations)]
                key += len(variations)
            flows.append(Flow(flow_id, name, trigger_type, trigger, tuple(messages)))
        return tuple(flows)

    @cached_property
    def drafts(self) -> tuple[Campaign, ...]:
        """Campaigns that are never sent."""
        return tuple(self._campaign(-5 - index, 0, None, self._calendar.midnight(-9 - index)) for index in range(2))

    def campaigns_until(self, at: int) -> list[Campaign]:
        """All campaigns created by then, drafts included, oldest first."""
        last = self._calendar.day_of(at) + _PLANNED_AHEAD + 1
        campaigns = [campaign for day in range(last + 1) for campaign in self.campaigns_on(day)]
        return [campaign for campaign in (*self.drafts, *campaigns) if campaign.created_at <= at]

    def message(self, key: int) -> Message:
        """The message of a key."""
        if key < FIRST_CAMPAIGN:
            return self._flow_messages[key]
        slot_number, variation = divmod(key - FIRST_CAMPAIGN, 2)
        day, slot = divmod(slot_number, 4)
        campaign = next(c for c in self.campaigns_on(day) if c.channel == _SLOTS[slot])
        return campaign.messages[variation]

    @cached_property
    def _flow_messages(self) -> tuple[Message, ...]:
        return tuple(message for flow in self.flows for message in flow.messages)

    def _campaigns_on(self, day: int) -> tuple[Campaign, ...]:
        return tuple(
            self._scheduled(day, slot)
            for slot in range(len(_SLOTS))
            if day == _FORCED_DAY[slot] or self._roll(day, slot, "planned") < _SLOT_CHANCE[slot]
        )

    def _scheduled(self, day: int, slot: int) -> Campaign:
        half_hours = 18 + int(self._roll(day, slot, "hour") * 16)
        send_at = int(self._calendar.at(day, np.array([half_hours / 48]))[0])
        ahead = int((1 + self._roll(day, slot, "created") * (_PLANNED_AHEAD - 1)) * _DAY)
        return self._campaign(day, slot, send_at, send_at - ahead)

    def _campaign(self, day: int, slot: int, send_at: int | None, created_at: int) -> Campaign:
        identity = ("campaign", day, slot)
        old = self._profile.inline_campaigns
        campaign_id = self._dice.short_id(*identity) if old else self._dice.ulid(created_at, *identity)
        message_id = campaign_id if old else self._dice.ulid(created_at + 1, "message", *identity)
        theme = _THEMES[int(self._roll(day, slot, "theme") * len(_THEMES))]
        split = slot == 0 and send_at is not None and (day == 0 or self._roll(day, slot, "split") < 0.35)
        key = FIRST_CAMPAIGN + (day * 4 + slot) * 2
        messages = tuple(
            self._variation(key, index, slot, theme, campaign_id, message_id, split) for index in range(1 + split)
        )
        name = f"{self._calendar.date_of(day):%Y-%m-%d} {theme}{' (text)' if slot == 1 else ''}"
        return Campaign(campaign_id, name, _SLOTS[slot], created_at, send_at, day, messages)

    def _variation(
        self, key: int, index: int, slot: int, theme: str, campaign_id: str, message_id: str, split: bool
    ) -> Message:
        return Message(
            key=key + index,
            channel=_SLOTS[slot],
            message_id=message_id,
            name=f"{theme} {'AB'[index]}" if split else theme,
            subject=_SUBJECTS[(key // 2 + index) % len(_SUBJECTS)].format(theme),
            template_id=self._dice.short_id("template", key + index),
            campaign_id=campaign_id,
            flow_id=None,
            variation=self._dice.short_id("variation", key, index) if split else None,
        )

    def _flow_message(self, key: int, flow_id: str, step: tuple[str, Channel, int], label: str | None) -> Message:
        name, channel, delay = step
        return Message(
            key=key,
            channel=channel,
            message_id=self._dice.short_id("flow message", flow_id, name),
            name=name,
            subject=f"{name} 👋" if name == "Welcome" else name,
            template_id=self._dice.short_id("template", "flow", key),
            campaign_id=None,
            flow_id=flow_id,
            variation=self._dice.short_id("variation", "flow", key) if label else None,
            delay=delay,
        )

    def _roll(self, day: int, slot: int, salt: str) -> float:
        return float(self._dice.uniform(np.array([day * 4 + slot]), f"campaign {salt}")[0])
