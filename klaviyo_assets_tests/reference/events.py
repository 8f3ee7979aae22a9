"""From raw events to mapped ones: one rule per method, so that a test can switch a single one to another rule.

Here: what one row says, and the send it belongs to. Not here: who earned it (`mapping/credit.py`).
"""

import json
import re
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets_tests.reference import metrics, numbers
from klaviyo_assets_tests.reference.rows import Row, Settings, Shop

MESSAGE = ("message", "message_id")
SEND_COHORT = ("cohort_message_send_cohort", "message_send_cohort")


class Events:
    """The raw rows of one shop as events."""

    def __init__(self, shop: Shop, settings: Settings) -> None:
        self.shop = shop
        self.settings = settings
        self.zone = ZoneInfo(settings.timezone)

    @cached_property
    def events_by_id(self) -> dict[str, Row]:
        """Every event that happened, by id, whatever its day."""
        rows = [self.event(raw) for raw in self.shop["event"] if self.is_event(raw)]
        self.rows_by_person = self.by_person(rows)
        for row in rows:
            row["send_at"] = self.send_at(row)
            row["send_on"] = row["send_at"] and self.day(row["send_at"])
        return {row["event_id"]: row for row in rows}

    @cached_property
    def events(self) -> list[Row]:
        """The events that are reported: those of the account's days since its start date."""
        return [row for row in self.events_by_id.values() if row["occurred_on"] >= self.settings.start_date]

    def is_event(self, raw: Row) -> bool:
        """A deleted event does not exist; one without a time belongs to no day."""
        return not self.is_deleted(raw) and self.occurred_at(raw) is not None

    def is_deleted(self, raw: Row) -> bool:
        """Whether Fivetran marked the row as deleted."""
        return numbers.truth(self.text(raw, "_fivetran_deleted"))

    def event(self, raw: Row) -> Row:
        """One event; the sends that only other events tell come later."""
        at = self.occurred_at(raw)
        metric = self.metric(raw)
        fields = self.fields(raw)
        sent_at, sent_message = self.cohort(fields)
        return {
            "event_id": raw["id"],
            "occurred_at": at,
            "occurred_on": self.day(at),
            "metric_id": self.text(raw, "metric_id"),
            "metric": metric,
            "channel": metrics.channel(metric),
            "person_id": self.text(raw, "person_id"),
            "campaign_id": self.text(raw, "campaign_id"),
            "flow_id": self.text(raw, "flow_id"),
            "message_id": self.text(raw, "flow_message_id")
            or sent_message
            or self.field(fields, "message", "message_id"),
            "variation_id": self.text(raw, "_variation"),
            "value": self.number(self.field(fields, "value")),
            "currency": self.currency(self.field(fields, "currency_code", "currency")),
            "is_conversion": self.is_conversion(raw),
            "is_machine_open": metric in metrics.OPENED and self.says(fields, "apple_privacy_open", "machine_open"),
            "is_bot_click": metric in metrics.CLICKED and self.says(fields, "bot_click"),
            "send_at": sent_at,
            "stated_send_at": sent_at,
            "email_domain": self.field(fields, "email_domain"),
            "bounce_type": self.field(fields, "bounce_type"),
            "segment_count": numbers.whole(self.field(fields, "segment_count")),
            "list_id": self.field(fields, "list_id"),
            "list_name": self.field(fields, "list", "list_name"),
            "credit_usage": self.number(
                self.field(fields, "text_message_credit_usage_amount", "credit_usage", "credits_used")
            ),
            "spend": self.number(self.field(fields, "text_message_spend", "message_spend")),
            "attribution": self.field(fields, "attribution"),
        }

    def occurred_at(self, raw: Row) -> datetime | None:
        """When it happened: `datetime`, else `timestamp`."""
        at = raw.get("datetime") or raw.get("timestamp")
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at.astimezone(UTC) if at else None

    def day(self, at: datetime) -> date:
        """The calendar day of the account's time zone."""
        return at.astimezone(self.zone).date()

    def metric(self, raw: Row) -> str | None:
        """The event's metric id says what it is; its written name serves where the metric table lacks the id."""
        written = self.metric_names.get(self.text(raw, "metric_id")) or self.text(raw, "type")
        return metrics.canonical(written) if written else None

    @cached_property
    def metric_names(self) -> dict[str | None, str]:
        """Metric id -> name as the account has it."""
        return {row["id"]: row.get("name") or "" for row in self.shop["metric"]}

    def is_conversion(self, raw: Row) -> bool:
        """Whether the event is of the account's conversion metric."""
        return self.text(raw, "metric_id") in self.conversion_ids

    @cached_property
    def conversion_ids(self) -> set[str]:
        """The conversion metric: by its id, else by name (and integration) among those that are not deleted.

        Where all that fit are deleted, the only one of them: its events are there all the same.
        """
        wanted = self.settings.conversion_metric
        if any(row["id"] == wanted for row in self.shop["metric"]):
            return {wanted}
        fitting = [row for row in self.shop["metric"] if self.fits(row)]
        live = {row["id"] for row in fitting if not numbers.truth(self.text(row, "_fivetran_deleted"))}
        return live or {row["id"] for row in fitting if len(fitting) == 1}

    def fits(self, metric: Row) -> bool:
        """Whether a metric bears the wanted name and comes from the wanted integration."""
        names = {
            metrics.canonical(name).casefold() for name in (metric.get("name") or "", self.settings.conversion_metric)
        }
        wanted = (self.settings.conversion_integration or "").casefold()
        integration = {str(metric.get(name) or "").casefold() for name in ("integration_name", "integration_id")}
        return len(names) == 1 and (not wanted or wanted in integration)

    def number(self, text: str | None) -> Decimal | None:
        """An amount as raw text."""
        return numbers.money(text)

    def currency(self, text: str | None) -> str | None:
        """Three letters; anything else states no currency."""
        code = (text or "").strip().upper()
        return code if re.fullmatch("[A-Z]{3}", code) else None

    def cohort(self, fields: Row) -> tuple[datetime | None, str | None]:
        """Time and message of the send that an event states: `<unix seconds>:<message id>`."""
        seconds, colon, message = (self.field(fields, *SEND_COHORT) or "").partition(":")
        if not colon or not message or not numbers.is_digits(seconds) or len(seconds) not in {9, 10}:
            return None, None
        return datetime.fromtimestamp(int(seconds), UTC), message

    def send_at(self, event: Row) -> datetime | None:
        """When the event's message was sent: as stated, else as the person received it."""
        if event["send_at"] is not None:
            return event["send_at"]
        if event["metric"] in metrics.RECEIVED:
            return event["occurred_at"]
        if event["channel"] is None or event["message_id"] is None:
            return None
        receipt = self.latest_receipt(event, message_id=event["message_id"])
        return self.sent_by(receipt) if receipt else None

    def sent_by(self, receipt: Row) -> datetime:
        """The send that a receipt speaks of, for events that state none."""
        return receipt["send_at"] or receipt["occurred_at"]

    def latest_receipt(self, event: Row, **stated: Any) -> Row | None:
        """The same person's latest receipt at or before an event that has these ids; None for anonymous events."""
        receipts = self.receipts.get(event["person_id"] or "", [])
        position = bisect_right(receipts, event["occurred_at"], key=lambda receipt: receipt["occurred_at"])
        fitting = (r for r in reversed(receipts[:position]) if all(r[name] == value for name, value in stated.items()))
        return next(fitting, None)

    @cached_property
    def receipts(self) -> dict[str, list[Row]]:
        """Each known person's receipts in order of time and id."""
        return {
            person: [row for row in rows if row["metric"] in metrics.RECEIVED]
            for person, rows in self.rows_by_person.items()
        }

    def by_person(self, rows: list[Row]) -> dict[str, list[Row]]:
        """Rows of each known person in order of time and id; anonymous events share nothing."""
        grouped_rows: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])):
            if row["person_id"] is not None:
                grouped_rows[row["person_id"]].append(row)
        return grouped_rows

    def says(self, fields: Row, *names: str) -> bool:
        """Whether a custom field says yes."""
        return numbers.truth(self.field(fields, *names))

    def text(self, raw: Row, name: str) -> str | None:
        """A cell as text; blank is nothing."""
        return as_text(raw.get(name))

    def field(self, fields: Row, *names: str) -> str | None:
        """A custom field under the first of its names that the event has; blank is nothing."""
        values = (fields[squashed(name)] for name in names if squashed(name) in fields)
        return as_text(next(values, None))

    def fields(self, raw: Row) -> Row:
        """An event's custom fields from all three spellings: packed, unpacked, or in camel case."""
        packed = raw.get("custom_property_fields")
        document = json.loads(packed) if isinstance(packed, str) else packed or {}
        custom_fields = {squashed(key): value for key, value in document.items() if value is not None}
        for key, value in raw.items():
            if value is not None and squashed(key).startswith("property"):
                custom_fields[squashed(key).removeprefix("property")] = value
        return custom_fields

    @property
    def longest_window(self) -> timedelta:
        """The longest attribution window."""
        return self.settings.longest_window


def as_text(value: Any) -> str | None:
    """A cell as Postgres would write it; blank is nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value)
    return None if value is None or not str(value).strip() else str(value)


@lru_cache(maxsize=10_000)
def squashed(name: str) -> str:
    """A field's name without case and separators: `Email Domain`, `emailDomain` and `$email_domain` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
