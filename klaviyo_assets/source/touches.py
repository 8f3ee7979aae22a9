"""The events of other days that a day's mapping needs, and reading them in the day's own snapshot.

Here: gathering what a day's rows need while they stream by, and the queries that find it: recorded events, touches in
the window, receipts. Not here: the day itself (`source/extraction.py`), and who gets the credit (`mapping/credit.py`).
More may be read than the rules use, never less.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from klaviyo_assets.mapping.credit import MAX_HOPS, TOUCH_KINDS, Recorded, recorded
from klaviyo_assets.mapping.event import MESSAGE_INPUTS, MessageColumns, message_columns
from klaviyo_assets.model.metrics import MESSAGE_ROLES, AccountMetrics
from klaviyo_assets.resources.postgres.resource import Snapshot
from klaviyo_assets.source.event_rules import is_of_kind, is_receipt, message
from klaviyo_assets.source.sql import RawTable, during, event_time, id_text, select
from klaviyo_assets.tables import EVENT

_IDS_PER_QUERY = 10_000
# No Postgres index holds a longer key, whatever an event records as the id of a different event.
_LONGEST_KEY = 100_000
_T = TypeVar("_T")


class Wanted(NamedTuple):
    """Receipts that may be needed: those of one person, for the stated campaign, flow and message."""

    person: str
    campaign: str | None
    flow: str | None
    message: str | None


class _Direct(NamedTuple):
    """A message that Klaviyo recorded by its ids, on an event of a known person."""

    person: str
    at: datetime
    entry: Recorded


@dataclass
class Needs:
    """What rows need, gathered while they stream by."""

    metrics: AccountMetrics
    native: bool
    recorded_ids: set[str] = field(default_factory=set)
    found_ids: set[str] = field(default_factory=set)
    without_send: bool = False
    _wanted: set[Wanted] = field(default_factory=set)
    _direct: list[_Direct] = field(default_factory=list)
    _usable: dict[str, tuple[str | None, datetime]] = field(default_factory=dict)

    def look(self, batch: pa.RecordBatch) -> None:
        """Look at rows of the day."""
        raw = _frame(batch)
        columns = message_columns(raw, self.metrics)
        self.without_send |= self._look_for_sends(columns)
        owned = pc.and_(pc.or_(pc.is_valid(columns.campaign), pc.is_valid(columns.flow)), pc.invert(columns.of_message))
        chosen = pc.indices_nonzero(pc.and_(owned, pc.is_valid(columns.person)))
        parts = (columns.person, columns.campaign, columns.flow, columns.message)
        self._wanted |= {Wanted(*row) for row in zip(*(part.take(chosen).to_pylist() for part in parts), strict=True)}
        if self.native:
            self._look_for_recorded(raw, columns.person, columns.at, pc.invert(pc.or_(owned, columns.of_message)))

    def look_at_touches(self, touches: pa.Table) -> set[str]:
        """Look at events that were read for those of the day; return the ids that they name in turn."""
        columns = message_columns(_frame(touches), self.metrics)
        self._look_for_sends(columns)
        ids = touches.column("id").to_pylist()
        self.found_ids |= set(ids) - {None}
        usable = pc.and_(pc.or_(pc.is_valid(columns.campaign), pc.is_valid(columns.flow)), pc.invert(columns.deleted))
        for event_id, person, at, good in zip(
            ids, columns.person.to_pylist(), columns.at.to_pylist(), usable.to_pylist(), strict=True
        ):
            if good and event_id and at is not None:
                self._usable[event_id] = (person, at)
        texts = touches.column("property_attribution").drop_null().to_pylist()
        return {entry.event_id for text in texts for entry in recorded(text) if entry.event_id}

    def _look_for_sends(self, columns: MessageColumns) -> bool:
        """Note events of a message that do not say when it was sent: receipts of that message do."""
        silent = pc.and_(pc.is_null(columns.sent_at), pc.and_(columns.has_channel, pc.invert(columns.is_receipt)))
        chosen = pc.indices_nonzero(pc.and_(silent, pc.and_(pc.is_valid(columns.person), pc.is_valid(columns.message))))
        pairs = zip(columns.person.take(chosen).to_pylist(), columns.message.take(chosen).to_pylist(), strict=True)
        self._wanted |= {Wanted(person, None, None, message) for person, message in pairs}
        return len(chosen) > 0

    def _look_for_recorded(self, raw: pd.DataFrame, persons: pa.Array, times: pa.Array, credited: pa.Array) -> None:
        texts = pa.array(raw["property_attribution"])
        rows = pc.indices_nonzero(pc.and_(pc.is_valid(texts), credited))
        events = zip(*(values.take(rows).to_pylist() for values in (texts, persons, times)), strict=True)
        for text, person, at in events:
            for entry in recorded(text):
                if entry.event_id:
                    self.recorded_ids.add(entry.event_id)
                if entry.is_direct and person and at is not None:
                    self._direct.append(_Direct(person, at, entry))

    @property
    def receipts(self) -> list[Wanted]:
        """The receipts to read, once all touches are known."""
        unled = {
            Wanted(direct.person, direct.entry.campaign_id, direct.entry.flow_id, direct.entry.message_id)
            for direct in self._direct
            if not self._leads(direct)
        }
        return sorted(self._wanted | unled, key=lambda wanted: tuple(part or "" for part in wanted))

    def _leads(self, direct: _Direct) -> bool:
        person, at = self._usable.get(direct.entry.event_id or "", (None, None))
        return at is not None and at <= direct.at and person in {None, direct.person}


def _frame(rows: pa.RecordBatch | pa.Table) -> pd.DataFrame:
    names = [name for name in (*MESSAGE_INPUTS, "property_attribution") if name in rows.schema.names]
    frame: pd.DataFrame = rows.select(names).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


@dataclass(frozen=True)
class TouchReader:
    """Reads what one day of an account needs from events of any day, all in one snapshot.

    `bounds` are the day's first instant and the next day's.
    """

    snapshot: Snapshot
    table: RawTable
    metrics: AccountMetrics
    bounds: tuple[datetime, datetime]

    @property
    def _narrow(self) -> sql.SQL:
        return select(EVENT, self.table, properties=False)

    def none(self) -> pa.Table:
        """A query without rows, with the columns that all queries have."""
        return self.snapshot.read(sql.SQL("{} LIMIT 0").format(self._narrow))

    def recorded(self, needs: Needs) -> Iterator[pa.Table]:
        """The events that recorded attribution names, and those that they name in turn."""
        if "id" not in self.table.columns:
            return
        event_ids, seen = set(needs.recorded_ids), set[str]()
        for _hop in range(MAX_HOPS):
            event_ids = {event_id for event_id in event_ids - seen if len(event_id) <= _LONGEST_KEY}
            seen |= event_ids
            # Ids that are still missing are remembered, whichever event named them.
            needs.recorded_ids |= event_ids
            following: set[str] = set()
            for chunk in _chunks(sorted(event_ids), _IDS_PER_QUERY):
                key = id_text(self.table, "id")
                touches = self.snapshot.read(
                    sql.SQL("{} WHERE {} = ANY({})").format(self._narrow, key, sql.Literal(chunk))
                )
                following |= needs.look_at_touches(touches)
                yield touches
            event_ids = following

    def window(self, windows: Iterable[str], longest: timedelta) -> pa.Table:
        """Touches that may earn credit, in the window before the day and on the day, of people who did something else.

        Args:
            windows: `<channel>_<kind>` of the touches that can earn credit.
            longest: How long before the day the earliest of them may be.
        """
        earning = set(windows)
        if "person_id" not in self.table.columns or not earning:
            return self.none()
        start, end = self.bounds
        touching = is_of_kind(
            self.table, self.metrics, lambda kind: f"{kind.channel}_{TOUCH_KINDS.get(kind.role)}" in earning
        )
        person = id_text(self.table, "person_id")
        acting = sql.SQL("SELECT {0} FROM {1} AS t WHERE {2} AND {0} IS NOT NULL AND NOT {3}").format(
            person, self.table.identifier, during(self.table, start, end),
            is_of_kind(self.table, self.metrics, lambda kind: kind.role in MESSAGE_ROLES),
        )  # fmt: skip
        query = sql.SQL("{} WHERE {} AND {} AND {} IN ({})")
        return self.snapshot.read(
            query.format(self._narrow, during(self.table, start - longest, end), touching, person, acting)
        )

    def receipts(self, wanted: Sequence[Wanted]) -> Iterator[pa.Table]:
        """The receipts of the wanted people and messages, up to the day's end."""
        if "person_id" not in self.table.columns:
            return
        received = sql.SQL("{} WHERE {} < {} AND {}").format(
            self._narrow, event_time(self.table), sql.Literal(self.bounds[1]),
            is_receipt(self.table, self.metrics),
        )  # fmt: skip
        for chunk in _chunks(wanted, _IDS_PER_QUERY):
            columns = [sql.Literal(list(part)) for part in zip(*chunk, strict=True)]
            yield self.snapshot.read(_WANTED_RECEIPTS.format(received, *columns, message("e")))


_WANTED_RECEIPTS = sql.SQL(
    "SELECT e.* FROM ({}) AS e WHERE EXISTS (SELECT 1 FROM unnest({}::text[], {}::text[], {}::text[], {}::text[]) "
    "AS n(person, campaign, flow, message) WHERE n.person = e.person_id "
    "AND (n.campaign IS NULL OR n.campaign = e.campaign_id) AND (n.flow IS NULL OR n.flow = e.flow_id) "
    "AND (n.message IS NULL OR n.message = {}))"
)


def _chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
