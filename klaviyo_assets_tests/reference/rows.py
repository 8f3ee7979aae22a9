"""What goes into the reference and between its rooms: raw rows and settings, mapped rows, and how far the data reach.

Here: plain containers. Not here: any rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

Row = dict[str, Any]

# Klaviyo's own windows for accounts opened since 2024-10-09, in seconds.
WINDOWS = {
    "email_click": 5 * 86_400, "email_open": 5 * 86_400, "sms_click": 5 * 86_400, "sms_open": 86_400,
    "sms_delivery": 12 * 3_600, "mobile_push_open": 86_400, "whatsapp_click": 5 * 86_400, "whatsapp_open": 12 * 3_600,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What an account decides about its numbers.

    `source` is `auto`, `native` or `touch`; `windows` maps `<channel>_<kind>` to seconds.
    """

    timezone: str = "UTC"
    currency: str = "USD"
    conversion_metric: str = "Placed Order"
    conversion_integration: str | None = None
    source: str = "auto"
    windows: Mapping[str, int] = field(default_factory=lambda: dict(WINDOWS))
    start_date: date = date(2020, 1, 1)
    machine_opens_earn: bool = True
    bot_clicks_earn: bool = True

    @property
    def longest_window(self) -> timedelta:
        """How far back a touch may lie at most."""
        return timedelta(seconds=max(self.windows.values(), default=0))


@dataclass
class Shop:
    """One account's raw tables: name -> rows as Fivetran writes them, columns that are missing left out."""

    tables: dict[str, list[Row]] = field(default_factory=dict)

    def __getitem__(self, table: str) -> list[Row]:
        """A table's rows; none where Fivetran has not created it."""
        return self.tables.get(table, [])

    @property
    def data_through(self) -> datetime:
        """Start of the newest sync that wrote anything."""
        sync_times = [
            row["_fivetran_synced"] for rows in self.tables.values() for row in rows if row.get("_fivetran_synced")
        ]
        return max(sync_times, default=datetime(1970, 1, 1, tzinfo=UTC))


@dataclass
class Mapped:
    """The mapped tables of one account that reports read."""

    events: list[Row] = field(default_factory=list)
    attribution: list[Row] = field(default_factory=list)
    campaigns: list[Row] = field(default_factory=list)
    lists: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """What decides a report besides the mapped rows; `window` is the longest one."""

    timezone: str
    currency: str
    window: timedelta
    data_through: datetime
