"""Facts: what there is to count, one row per event and per credit, each with the send it belongs to.

Here: which events and credits say what. Not here: counting them (`reports.py`).
"""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from klaviyo_assets_tests.reference import metrics
from klaviyo_assets_tests.reference.rows import Mapped, Row, Standing

KINDS = {
    "received": metrics.RECEIVED, "bounced": metrics.BOUNCED, "failed": metrics.FAILED, "dropped": metrics.DROPPED,
    "opened": metrics.OPENED, "clicked": metrics.CLICKED, "unsubscribed": metrics.UNSUBSCRIBED, "spam": metrics.SPAM,
}  # fmt: skip
MEASURES = ("segment_count", "credit_usage", "spend")


class Facts:
    """The facts of one account's mapped rows."""

    mapped: Mapped
    standing: Standing

    @cached_property
    def facts(self) -> list[Row]:
        """Events, then what they earned for messages, then the conversions that no message earned."""
        facts = [self.of_event(event) for event in self.mapped.events]
        by_id = {(event["event_id"], event["occurred_on"]): event for event in self.mapped.events}
        earned = set()
        for credit in self.mapped.attribution:
            key = (credit["event_id"], credit["occurred_on"])
            earned.add(key)
            if key in by_id:
                facts.append(self.of_credit(credit, by_id[key]))
        unearned = [event for key, event in by_id.items() if event["is_conversion"] and key not in earned]
        return facts + [self.of_unattributed(event) for event in unearned]

    def of_event(self, event: Row) -> Row:
        """An event itself: it weighs one."""
        metric, channel = event["metric"], event["channel"]
        is_counted = channel is not None and event["event_id"] not in self.echoes
        kind = next((kind for kind, names in KINDS.items() if metric in names), None) if is_counted else None
        return {
            **self.plain(event), "is_event": True, "fact": kind, "metric": metric, "channel": channel,
            "message_id": event["message_id"], "variation_id": event["variation_id"],
            "campaign_id": event["campaign_id"], "flow_id": event["flow_id"],
            "is_machine": event["is_machine_open"] or event["is_bot_click"],
            "email_domain": lower(event.get("email_domain")),
            "bounce_type": lower(event.get("bounce_type")) if metric in metrics.BOUNCED else None,
            **{name: event.get(name) for name in MEASURES},
            "weight": 1, "value": event["value"], **self.send(event, event["occurred_on"]),
        }  # fmt: skip

    def of_credit(self, credit: Row, event: Row) -> Row:
        """What an event earned for a message; it belongs to the touch's channel and send."""
        return {
            **self.plain(event), "is_event": False, "fact": self.money(event, "converted"), "metric": event["metric"],
            "channel": credit["touch_channel"], "message_id": credit["message_id"],
            "variation_id": credit["variation_id"], "campaign_id": credit["campaign_id"], "flow_id": credit["flow_id"],
            "is_machine": False, "weight": credit["weight"], "value": credit["value"],
            **self.send(credit, event["occurred_on"]),
        }  # fmt: skip

    def of_unattributed(self, event: Row) -> Row:
        """A conversion that no message earned, as it would be credited."""
        nobody = dict.fromkeys(("metric", "channel", "message_id", "variation_id", "campaign_id", "flow_id"))
        return {
            **self.plain(event), **nobody, "is_event": False, "fact": self.money(event, "unattributed"),
            "is_machine": False, "weight": 1, "value": event["value"], "send_at": None, "send_on": None,
        }  # fmt: skip

    def plain(self, event: Row) -> Row:
        """What all facts of an event share."""
        same = {name: event[name] for name in ("occurred_on", "occurred_at", "person_id")}
        return {**dict.fromkeys(MEASURES), **same, "is_own_currency": self.is_own_currency(event)}

    def is_own_currency(self, event: Row) -> bool:
        """What states no currency is in the account's."""
        return event["currency"] in {None, self.standing.currency}

    def money(self, event: Row, kind: str) -> str | None:
        """What a conversion is counted as; nothing for other events."""
        if not event["is_conversion"]:
            return None
        return kind if self.is_own_currency(event) else f"{kind}_other_currency"

    @cached_property
    def echoes(self) -> set[str]:
        """Unsubscribes of one person, channel and second, but for the one that says most about its message."""
        seen = set()
        repeated = set()

        def silence(event: Row) -> tuple[bool, bool, str]:
            owner = event["campaign_id"] or event["flow_id"]
            return (owner is None, event["message_id"] is None, event["event_id"])

        for event in sorted(self.mapped.events, key=silence):
            if event["metric"] in metrics.UNSUBSCRIBED and event["person_id"] is not None:
                act = (event["person_id"], event["channel"], second(event))
                if act in seen:
                    repeated.add(event["event_id"])
                seen.add(act)
        return repeated

    @cached_property
    def campaign_sends(self) -> dict[str | None, datetime | None]:
        """When each campaign goes or went out."""
        return {campaign["campaign_id"]: campaign["send_at"] for campaign in self.mapped.campaigns}

    def send(self, row: Row, occurred_on: object) -> Row:
        """A row's send: as stated, else its campaign's; unknown where it would lie more than a day after the event."""
        send_at, send_on = row["send_at"], row["send_on"]
        if send_on is None:
            send_at = self.campaign_sends.get(row["campaign_id"]) if row["flow_id"] is None else None
            send_on = send_at.astimezone(ZoneInfo(self.standing.timezone)).date() if send_at else None
        if send_on is None or send_on > occurred_on + timedelta(days=1):
            return {"send_at": None, "send_on": None}
        return {"send_at": send_at, "send_on": send_on}


def second(event: Row) -> datetime:
    """The second an event happened in."""
    return event["occurred_at"].astimezone(UTC).replace(microsecond=0)


def lower(text: str | None) -> str | None:
    """A text in lower case."""
    return text and text.lower()
