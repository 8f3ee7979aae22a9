"""What happens to raw shops between two looks: events late, changed, gone and back; people merged; names changed.

Here: an account's raw tables to begin with, and single changes of them as Fivetran would write them. Not here: which
changes follow each other, and any expectation.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets_tests.incremental import Platform, RawSchema
from klaviyo_assets_tests.raw_shops import Drawn
from klaviyo_assets_tests.reference import Row, Shop

# Shops of one account lie so many days apart: further than any event is late, or any window reaches.
APART = 80
SYNCED = "_fivetran_synced"
METRICS = ("M-OpenedEmail", "M-ReceivedEmail", "M-ViewedProduct", "M-AnythingCustom", "M-PlacedOrder", "M-BouncedEmail")
OF_ONE_EVENT = ("late", "person", "metric", "owner", "value", "move", "delete", "restore", "vanish", "untimed")
OF_A_SHOP = ("merge", "campaign", "reschedule", "campaign gone", "list", "list gone", "member", "person edited")


@dataclass
class Sync:
    """An account while it is synced: everything Fivetran writes bears the sync's time."""

    account: Account
    schema: RawSchema
    platform: Platform
    at: datetime
    newest: int = 0

    def change(self, shop: int, kind: str, which: int, days: int) -> None:
        """One change of one shop."""
        prefix = f"s{shop:02}"
        if kind in OF_A_SHOP:
            self._of_shop(prefix, kind, which, days)
        else:
            event_ids = self.schema.run("SELECT id FROM {schema}.event WHERE id LIKE %s ORDER BY id", f"{prefix}e%")
            if event_ids:
                self._of_event(prefix, event_ids[which % len(event_ids)][0], kind, days)

    def _of_event(self, prefix: str, event_id: str, kind: str, days: int) -> None:
        if kind == "late":
            self._late(prefix, event_id, days)
        elif kind == "vanish":
            self.schema.run("DELETE FROM {schema}.event WHERE id = %s", event_id)
        else:
            assigned = {
                "person": f"person_id = '{prefix}p{1 + days % 3}'",
                "metric": f"metric_id = '{METRICS[days % len(METRICS)]}'",
                "owner": f"campaign_id = '{prefix}c{1 + days % 2}', flow_id = NULL", "value": self._value(days),
                "move": "datetime = {0}, timestamp = {0}".format(f"datetime + interval '{days % 7 - 3} days'"),
                "delete": "_fivetran_deleted = true", "restore": "_fivetran_deleted = false",
                "untimed": "datetime = NULL, timestamp = NULL",
            }[kind]  # fmt: skip
            self.schema.run(f"UPDATE {{schema}}.event SET {assigned}, {SYNCED} = %s WHERE id = %s", self.at, event_id)

    def _value(self, days: int) -> str:
        name = next((name for name in ("property_value", "propertyValue") if name in self._columns()), None)
        return f"\"{name}\" = '{days}.5'" if name else "type = type"

    def _columns(self) -> list[str]:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 'event'"
        return [name for (name,) in self.schema.connection.execute(query, [self.schema.name])]

    def _late(self, prefix: str, event_id: str, days: int) -> None:
        """An event like another arrives, up to 60 days late."""
        self.newest += 1
        replaced = {"id": "%(id)s", SYNCED: "%(at)s"} | {
            name: f"{name} - interval '{days} days'" for name in ("datetime", "timestamp")
        }
        names = self._columns()
        listed = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(replaced.get(name, f'"{name}"') for name in names)
        self.schema.connection.execute(
            f'INSERT INTO "{self.schema.name}".event ({listed}) SELECT {values} FROM "{self.schema.name}".event '
            "WHERE id = %(old)s", {"id": f"{prefix}e9{self.newest:03}", "at": self.at, "old": event_id},
        )  # fmt: skip

    def _of_shop(self, prefix: str, kind: str, which: int, days: int) -> None:
        person, other = f"{prefix}p{1 + which % 2}", f"{prefix}p{1 + (which + 1) % 2}"
        campaign, listed = f"{prefix}c{1 + which % 2}", f"{prefix}l{1 + which % 5}"
        if kind == "merge":
            self.schema.run(f"UPDATE {{schema}}.event SET person_id = %s, {SYNCED} = %s WHERE person_id = %s",
                            other, self.at, person)  # fmt: skip
            self._upsert("person", {"id": person, "_fivetran_deleted": True})
        elif kind == "member":
            self._upsert("list_person", {"list_id": listed, "person_id": person, "_fivetran_deleted": days % 3 == 0})
        elif kind == "person edited":
            self._upsert("person", {"id": person, "city": f"City {days}", "_fivetran_deleted": False})
        elif kind == "reschedule":
            sent = f"send_time = send_time - interval '{days} hours'"
            self.schema.run(f"UPDATE {{schema}}.campaign SET {sent}, {SYNCED} = %s WHERE id = %s", self.at, campaign)
        else:
            table, key = ("campaign", campaign) if kind.startswith("campaign") else ("list", listed)
            gone = f"_fivetran_deleted = {days % 2 == 0}"
            name = f"{'list_name' if table == 'list' else 'name'} = '{('News', 'Gone', 'Other')[days % 3]}'"
            self.schema.run(f"UPDATE {{schema}}.{table} SET {gone if kind.endswith('gone') else name}, {SYNCED} = %s "
                            "WHERE id = %s", self.at, key)  # fmt: skip

    def _upsert(self, table: str, row: Row) -> None:
        self.schema.insert(table, [{**row, SYNCED: self.at}])


def raw_tables(drawn: Drawn, shops: int, synced: datetime) -> dict[str, list[Row]]:
    """The first shops of an account, each 80 days before the one before it, with people and members of lists."""
    tables: dict[str, list[Row]] = {"metric": [dict(row) for row in drawn.shared["metric"]]}
    for number, shop in enumerate(drawn.shops[:shops]):
        for name, rows in earlier(shop, timedelta(days=APART * number)).items():
            tables.setdefault(name, []).extend(rows)
        people = [f"s{number:02}p{which}" for which in (1, 2, 3)]
        tables.setdefault("person", []).extend({"id": name, "city": "A", "_fivetran_deleted": False} for name in people)
        tables.setdefault("list_person", []).extend(
            {"list_id": f"s{number:02}l1", "person_id": name, "_fivetran_deleted": False} for name in people[:2]
        )
    whole = {"id": None, "person_id": None, "metric_id": None, "type": None, "campaign_id": None, "flow_id": None,
             "datetime": None, "timestamp": None, "_fivetran_deleted": None}  # fmt: skip
    tables["event"] = [whole | row for row in tables["event"]]
    return {name: [{**row, SYNCED: synced} for row in rows] for name, rows in tables.items()}


def earlier(shop: Shop, by: timedelta) -> dict[str, list[Row]]:
    """A shop that lived before: all its times, stated sends among them."""

    def moved(value: Any) -> Any:
        if isinstance(value, datetime):
            return value - by
        if isinstance(value, dict):
            return {name: moved(each) for name, each in value.items()}
        if isinstance(value, str) and (match := re.fullmatch(r"(\d{9,10}):(.+)", value)):
            return f"{int(match[1]) - int(by.total_seconds())}:{match[2]}"
        return value

    return {name: [{key: moved(value) for key, value in row.items()} for row in rows]
            for name, rows in shop.tables.items()}  # fmt: skip
