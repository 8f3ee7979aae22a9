"""From raw rows to report rows in this process: the product's own mapping and SQL, without Postgres, S3 or BigQuery.

Reading from Postgres is a stand-in: plain Python finds the rows of a day, the events that recorded ids name, those of
the window before and the receipts; what a day asks for is the product's own `Needs`, and the SQL that finds it there is
tested with the real server. Everything after it is the product: `AccountMapping`, its frames and checks, the statements
of the reports.
"""

import json
from collections.abc import Iterator
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from klaviyo_assets.accounts import Account, AttributionSettings
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.credit import MAX_HOPS
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.model.arrow import arrow_type, mapped_schema
from klaviyo_assets.model.metrics import read_metrics
from klaviyo_assets.model.spec import PACKED, UNLISTED, Property, TableSpec, packed_spellings, squash
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import Days
from klaviyo_assets.source.touches import Needs, Wanted
from klaviyo_assets.stages.mapping import AccountMapping
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES
from klaviyo_assets_tests.reference import Row, Settings, Shop, Standing
from klaviyo_assets_tests.unit.reports.warehouse import Warehouse

DIMENSIONS = tuple(TABLES[name] for name in ("campaign", "list"))
PRIVACY = Privacy("keep")
ATTRIBUTED, COHORT, MESSAGE = (
    next(field for field in EVENT.properties if field.name == name)
    for name in ("attribution", "cohort_message_send_cohort", "message")
)


class InProcess:
    """One dataset in this process; frames between the stages lie in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.frames = FrameStore(url=str(folder))
        self.warehouse = Warehouse()

    def reports(self, shop: Shop, settings: Settings) -> dict[str, list[Row]]:
        """The rows of every report of a shop, but for those that are history."""
        standing = Standing(settings.timezone, settings.currency, settings.longest_window, shop.data_through)
        self.warehouse.load_tables(self.tables(shop, settings))
        rows = {}
        for report in REPORTS.values():
            if not report.keeps_history:
                self.warehouse.restate(report, standing, Days.all())
                rows[report.name] = self.warehouse.rows(report)
        return rows

    def tables(self, shop: Shop, settings: Settings) -> dict[str, pa.Table]:
        """The mapped tables of a shop that these reports read."""
        account = account_of(settings)
        # Junk is what these shops are made of: no share of it is too large.
        mapping = AccountMapping(self.frames, account, PRIVACY, quarantine_share=1.0)
        parts: dict[str, list[pa.Table]] = {spec.name: [] for spec in (EVENT, ATTRIBUTION, *DIMENSIONS)}
        for spec in DIMENSIONS:
            key = FrameKey("extracted", account.name, spec.name)
            write_frame(self.frames, key, raw_table(spec, shop[spec.name]))
            mapping.map_table(spec)
            parts[spec.name].append(read_frame(self.frames, account, spec))
        for day in Extraction(shop, account).write(self.frames):
            mapping.map_events(day)
            mapping.map_attribution(day)
            for spec in (EVENT, ATTRIBUTION):
                parts[spec.name].append(read_frame(self.frames, account, spec, day))
        return {name: pa.concat_tables(found) if found else empty(TABLES[name]) for name, found in parts.items()}


def account_of(settings: Settings, name: str = "acme") -> Account:
    """The product's account with the reference's settings."""
    attribution = AttributionSettings(
        settings.source, dict(settings.windows), settings.machine_opens_earn, settings.bot_clicks_earn
    )
    return Account(
        name, f"klaviyo_{name}", timezone=settings.timezone, currency=settings.currency,
        conversion_metric=settings.conversion_metric, conversion_integration=settings.conversion_integration,
        start_date=settings.start_date, pii="keep", attribution=attribution,
    )  # fmt: skip


class Extraction:
    """A stand-in for reading events from Postgres: the rows of each day, and the events that these ask for."""

    def __init__(self, shop: Shop, account: Account) -> None:
        self.shop = shop
        self.account = account
        self.by_id = {raw["id"]: raw for raw in shop["event"]}
        self.by_day: dict[date, list[Row]] = {}
        self.by_person: dict[str, list[Row]] = {}
        dated = [raw for raw in shop["event"] if event_time(raw)]
        for raw in sorted(dated, key=lambda raw: (event_time(raw), raw["id"])):
            self.by_day.setdefault(event_time(raw).astimezone(account.zone).date(), []).append(raw)
            if raw.get("person_id"):
                self.by_person.setdefault(raw["person_id"], []).append(raw)

    @cached_property
    def details(self) -> dict[str, Any]:
        """What a frame's record says of the whole account."""
        metrics = [
            [raw["id"], raw.get("name") or "", raw.get("integration_name"), raw.get("integration_id"),
             raw.get("_fivetran_deleted") is True]
            for raw in self.shop["metric"]
        ]  # fmt: skip
        return {"metrics": metrics, "attribution_source": self.source}

    @property
    def source(self) -> str:
        """`native` or `touch`, as decided for the whole account."""
        wanted = self.account.attribution.source
        if wanted != "auto":
            return wanted
        texts = {property_text(ATTRIBUTED, raw) for raw in self.shop["event"]}
        return "native" if texts - {None, "", "{}", "[]"} else "touch"

    def write(self, frames: FrameStore) -> Iterator[date]:
        """Write the frame of each day that has events, and name the day."""
        for day, rows in self.by_day.items():
            if day >= self.account.start_date:
                needs = Needs(self.account.metrics(read_metrics(self.details)), self.source == "native")
                table = raw_table(EVENT, rows)
                needs.look(table)
                touches_by_id = {raw["id"]: raw for raw in self.touches(day, rows, needs)}
                touches = raw_table(EVENT, [touches_by_id[event_id] for event_id in sorted(touches_by_id)])
                key = FrameKey("extracted", self.account.name, EVENT.name, day.isoformat())
                write_frame(frames, key, table, touches, self.details | {"needs_receipts": needs.without_send})
                yield day

    def touches(self, day: date, rows: list[Row], needs: Needs) -> Iterator[Row]:
        """The events of any day that a day's own ask for."""
        start, end = self.account.day_bounds(day)
        if needs.native:
            yield from self.recorded(needs)
        else:
            longest = self.account.attribution.longest_window
            people = {raw["person_id"] for raw in rows if raw.get("person_id")}
            touches = [raw for person in people for raw in self.by_person[person]
                       if start - longest <= event_time(raw) < end]  # fmt: skip
            needs.look_at_touches(raw_table(EVENT, touches))
            yield from touches
        for wanted in needs.receipts:
            yield from (
                raw for raw in self.by_person.get(wanted.person, []) if event_time(raw) < end and fits(raw, wanted)
            )

    def recorded(self, needs: Needs) -> Iterator[Row]:
        """The events that recorded attribution names, and those that these name in turn."""
        event_ids = needs.recorded_ids
        for _hop in range(MAX_HOPS):
            events = [self.by_id[event_id] for event_id in sorted(event_ids & self.by_id.keys())]
            event_ids = needs.look_at_touches(raw_table(EVENT, events))
            yield from events


def fits(raw: Row, wanted: Wanted) -> bool:
    """Whether an event is of the campaign, flow and message that are wanted, where these are stated."""
    stated = {wanted.campaign: raw.get("campaign_id"), wanted.flow: raw.get("flow_id")}
    cohort = property_text(COHORT, raw) or ""
    messages = {raw.get("flow_message_id"), cohort.partition(":")[2], property_text(MESSAGE, raw)}
    of_message = wanted.message is None or wanted.message in messages
    return of_message and all(name in {None, found} for name, found in stated.items())


def event_time(raw: Row) -> Any:
    """When a raw event happened; None where it has no usable time."""
    return raw.get("datetime") or raw.get("timestamp")


def write_frame(
    frames: FrameStore, key: FrameKey, rows: pa.Table, touches: pa.Table | None = None,
    details: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """A frame as extraction would write it."""
    with frames.write(key) as writer:
        writer.append(rows)
        if touches is not None:
            writer.append(touches.drop_columns([UNLISTED, PACKED]), "touches")
        writer.finish(details=details or {}, data_through=None)


def raw_table(spec: TableSpec, rows: list[Row]) -> pa.Table:
    """Raw rows as the columns that extraction reads; unlisted columns are left out, for no report reads them."""
    columns = {}
    for raw in spec.raw:
        names = (raw.name, *raw.older_names)
        cells = [next((row[name] for name in names if row.get(name) is not None), None) for row in rows]
        columns[raw.name] = pa.array(cells, arrow_type(raw.type))
    for field in spec.properties:
        texts = [property_text(field, row) for row in rows]
        columns[f"property_{field.name}"] = pa.array(texts, pa.string())
    nothing = pa.nulls(len(rows), pa.string())
    return pa.table({**columns, UNLISTED: nothing, PACKED: nothing})


def property_text(field: Property, row: Row) -> str | None:
    """A custom field as text, from whichever spelling the row has it in."""
    columns, keys = spellings(field)
    cells = [value for name, value in row.items() if name[:8] == "property" and plain(name) in columns]
    packed = row.get("custom_property_fields")
    cells += [packed[key] for key in keys if key in packed] if packed else []
    return next((as_text(cell) for cell in cells if cell is not None), None)


@cache
def spellings(field: Property) -> tuple[frozenset[str], tuple[str, ...]]:
    """The columns, without case and separators, and the packed keys that may hold a custom field."""
    columns = frozenset(f"property{squash(name)}" for name in (field.name, *field.older_names))
    return columns, tuple(packed_spellings(field))


plain = cache(squash)


def as_text(cell: Any) -> str:
    """A cell as Postgres casts it to text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return json.dumps(cell) if isinstance(cell, dict | list) else str(cell)


def read_frame(frames: FrameStore, account: Account, spec: TableSpec, day: date | None = None) -> pa.Table:
    """The rows of a mapped frame."""
    key = FrameKey("mapped", account.name, spec.name, day and day.isoformat())
    return frames.open(key).read()


def empty(spec: TableSpec) -> pa.Table:
    """No rows of a mapped table."""
    return mapped_schema(spec).empty_table()
