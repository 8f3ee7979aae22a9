"""What is read from Postgres for one partition, in one snapshot.

Here: the source of an account, the rows of a day or a table, their digests, and streaming them into frames. Not here:
which touches a day needs (`source/touches.py`), SQL expressions per column (`source/sql.py`), Dagster
(`defs/assets/extracted.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from psycopg import sql

from klaviyo_assets.accounts import Account
from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.frames.record import FrameRecord, TableState
from klaviyo_assets.frames.store import FrameWriter
from klaviyo_assets.mapping.event import event_days
from klaviyo_assets.model.arrow import table_to_frame
from klaviyo_assets.model.metrics import AccountMetrics, Metric, metric_names, misspelled, spelling
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.postgres.resource import Snapshot
from klaviyo_assets.source import event_rules
from klaviyo_assets.source.catalog import SourceCatalog, accepted_names, require_key
from klaviyo_assets.source.digests import EVENT_DIGEST_COLUMNS, NO_ROWS, digest_expression
from klaviyo_assets.source.spellings import columns_read
from klaviyo_assets.source.sql import RawTable, event_time, id_text, order_by, plan, select, sync_time
from klaviyo_assets.source.sql import during as during
from klaviyo_assets.source.touches import Needs, TouchReader
from klaviyo_assets.tables import EVENT, METRIC

# Recorded ids that do not exist yet are remembered, up to this many, so that a day is rebuilt when one arrives.
MOST_MISSING = 500
# Klaviyo's ids have up to 36 letters, but what an event records as an id may be anything that somebody sent.
LONGEST_ID = 1_000


@dataclass
class AccountSource:
    """One account's schema in one snapshot, with what every mapping needs to know about the whole account.

    `accepted` names what may be treated as empty: tables, and columns as `table.column`.
    """

    account: Account
    snapshot: Snapshot
    tables: Mapping[str, RawTable]
    accepted: frozenset[str] = frozenset()
    metrics: AccountMetrics = field(default_factory=AccountMetrics)
    attribution_source: str = "touch"
    data_through: str | None = None
    _digests: dict[date, str] = field(default_factory=dict)
    _table_digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, account: Account, snapshot: Snapshot, accepted: Iterable[str] = ()) -> "AccountSource":
        """Examine the account's schema, and refuse what would be read wrongly.

        Args:
            account: The account.
            snapshot: Where to read.
            accepted: What may be treated as empty in this run, besides the account's `accept_empty`.

        Raises:
            PermanentError: there is no such schema, or something that is read is hidden, missing, or of an unknown
                kind.
        """
        allowed = accepted_names([*account.accept_empty, *accepted])
        catalog = SourceCatalog.read(snapshot, account.postgres_schema)
        catalog.refuse_hidden(account.name, allowed)
        catalog.require_columns(account.name)
        source = cls(account, snapshot, catalog.tables, allowed)
        source.metrics = source._metrics()
        source._refuse_unknown_kinds()
        source.attribution_source = source._attribution_source()
        source.data_through = source._newest_sync()
        return source

    def table(self, spec: TableSpec) -> RawTable:
        """The raw table; it has no columns if Fivetran has not created it."""
        return self.tables.get(spec.name) or RawTable(self.account.postgres_schema, spec.name, {})

    def _refuse_unknown_kinds(self) -> None:
        """Refuse events of unknown kinds: none would count as a conversion, or as an open."""
        problem = self.metrics.problem
        if EVENT.name not in self.tables or METRIC.name in self.accepted or not problem:
            return
        place = f"{self.account.postgres_schema}.{METRIC.name}"
        if not any(metric.name.strip() for metric in self.metrics.metrics):
            if self._has_events(sql.SQL("true")):
                why = "has no row with a name" if METRIC.name in self.tables else "is not there"
                raise PermanentError(
                    f"account {self.account.name!r}: there are events, but the table {place} {why}, so the kind of "
                    "an event is unknown",
                    "Switch metric on in Fivetran's schema settings and have it re-synced (`klaviyo-assets sync`).",
                )
        elif suggestion := misspelled(self.metrics.metrics, self.account.conversion_metric):
            raise SettingsError(f"account {self.account.name!r}: {problem}", f"Did you mean {suggestion!r}?")
        elif self._has_events(self._is_of(self.account.conversion_metric)):
            raise SettingsError(
                f"account {self.account.name!r}: {problem}, but there are events of it",
                f"Set conversion_metric or conversion_integration in accounts.toml to a metric of the table {place}, "
                "or have that table re-synced.",
            )

    def _has_events(self, condition: sql.Composable) -> bool:
        query = sql.SQL("SELECT 1 AS found FROM {} AS t WHERE {} LIMIT 1")
        return bool(self.snapshot.read(query.format(self.table(EVENT).identifier, condition)).num_rows)

    def _is_of(self, metric: str) -> sql.Composed:
        """Whether an event belongs to a metric, by its id or by a name that the metric table lacks."""
        table, named = self.table(EVENT), sql.Literal([known.metric_id for known in self.metrics.metrics])
        metric_id = id_text(table, "metric_id")
        by_id = sql.SQL("{} = {}").format(metric_id, sql.Literal(metric))
        if "type" not in table.columns:
            return by_id
        written, spellings = event_rules.spelling(id_text(table, "type")), list(map(spelling, metric_names(metric)))
        by_name = sql.SQL("{} = ANY({}::text[]) AND {} = ANY({}::text[])")
        return sql.SQL("{} OR ({})").format(by_id, by_name.format(metric_id, named, written, sql.Literal(spellings)))

    def _metrics(self) -> AccountMetrics:
        if METRIC.name not in self.tables:
            return self.account.metrics([])
        read = self.snapshot.read(select(METRIC, self.table(METRIC), properties=False))
        # Python cannot represent every time that the other columns may hold.
        rows = read.select(["id", "name", "integration_name", "integration_id", "_fivetran_deleted"]).to_pylist()
        metrics = [
            Metric(
                row["id"],
                row["name"] or "",
                row["integration_name"],
                row["integration_id"],
                row["_fivetran_deleted"] in {True, "true"},
            )
            for row in rows
            if row["id"]
        ]
        return self.account.metrics(metrics)

    def _attribution_source(self) -> str:
        """`native` if Klaviyo's own attribution is wanted, or if `auto` finds any; decided for the whole account."""
        wanted = self.account.attribution.source
        if wanted != "auto":
            return wanted
        table = self.table(EVENT)
        chosen = plan(EVENT, table)
        if not chosen.properties["attribution"] and not chosen.packed:
            return "touch"
        present = sql.SQL(
            "SELECT 1 AS found FROM ({}) AS e WHERE e.property_attribution IS NOT NULL "
            "AND e.property_attribution NOT IN ('', '{{}}', '[]') LIMIT 1"
        ).format(select(EVENT, table, properties=False))
        return "native" if self.snapshot.read(present).num_rows else "touch"

    def _newest_sync(self) -> str | None:
        """The start of the newest sync that wrote anything for this account, ISO 8601 UTC."""
        column = sql.Identifier("_fivetran_synced")
        synced = [table for table in self.tables.values() if table.columns.get("_fivetran_synced") == "timestamptz"]
        if not synced:
            return None
        union = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT max({0}) AS at FROM {1} AS t WHERE {2}").format(column, table.identifier, sync_time(column))
            for table in synced
        )
        newest = self.snapshot.read(sql.SQL("SELECT max(at) AS at FROM ({}) AS s").format(union)).to_pylist()[0]["at"]
        return newest.isoformat() if newest else None

    def warnings(self, spec: TableSpec) -> list[str]:
        """What a person should know about how complete this table's source is."""
        if spec.name not in self.tables:
            place = f"{self.account.postgres_schema}.{spec.name}"
            if spec.name in self.accepted:
                return [f"{place} is missing or hidden; it is treated as empty, as was accepted."]
            return [f"Fivetran has not created {place}; it is treated as empty."]
        missing = plan(spec, self.table(spec)).missing
        sentences = [f"columns that do not exist (yet) and are read as null: {', '.join(missing)}"] if missing else []
        if spec is EVENT and self.metrics.problem:
            sentences.append(self.metrics.problem)
        return sentences

    @property
    def conversion(self) -> dict[str, Any]:
        """The conversion metric as the settings name it, and the ids that it was found under, as JSON."""
        wanted = [self.account.conversion_metric, self.account.conversion_integration]
        return {"wanted": wanted, "ids": sorted(self.metrics.conversion_ids)}

    def details(self) -> dict[str, Any]:
        """What the mapping of a day needs to know of the account, as JSON."""
        return {**self.metrics.details, "attribution_source": self.attribution_source}

    def digests(self, days: Iterable[date]) -> dict[date, str]:
        """The digest of a day's events: it changes when any of them is added, changed, deleted or synced again."""
        days = list(days)
        table = self.table(EVENT)
        for day in days:
            if day not in self._digests:
                query = sql.SQL("SELECT {} AS digest FROM {} AS t WHERE {}").format(
                    digest_expression(table, EVENT_DIGEST_COLUMNS), table.identifier,
                    during(table, *self.account.day_bounds(day)),
                )  # fmt: skip
                self._digests[day] = self.snapshot.read(query).to_pylist()[0]["digest"]
        return {day: self._digests[day] for day in days}

    def table_digest(self, spec: TableSpec) -> str:
        """The digest of an account table: number of rows, a colon, and a sum over keys, delete marks and sync times."""
        if spec.name not in self._table_digests:
            self._table_digests[spec.name] = _digest(self, spec, self.table(spec))
        return self._table_digests[spec.name]

    def undated_digest(self) -> str:
        """The digest of the events that no day can claim: they have no usable time."""
        table = self.table(EVENT)
        if not table.columns:
            return NO_ROWS
        query = sql.SQL("SELECT {} AS digest FROM {} AS t WHERE {} IS NULL").format(
            digest_expression(table, EVENT_DIGEST_COLUMNS), table.identifier, event_time(table)
        )
        return str(self.snapshot.read(query).to_pylist()[0]["digest"])

    def events_outside(self, today: date) -> dict[str, int]:
        """How many events are before the account's start date or after today: they belong to no day."""
        table = self.table(EVENT)
        if not table.columns:
            return {}
        query = sql.SQL(
            "SELECT count(*) FILTER (WHERE {time} < {first}) AS before_start_date, "
            "count(*) FILTER (WHERE {time} >= {last}) AS after_today FROM {table} AS t"
        ).format(
            time=event_time(table), table=table.identifier,
            first=sql.Literal(self.account.day_bounds(self.account.start_date)[0]),
            last=sql.Literal(self.account.day_bounds(today)[1]),
        )  # fmt: skip
        counts: dict[str, int] = self.snapshot.read(query).to_pylist()[0]
        return counts

    def reads(self, day: date, touches: pa.Table) -> dict[str, str]:
        """The other days on which a day's touches were looked for or found, as ISO dates, with their digests."""
        days = set(event_days(table_to_frame(touches), self.account).drop_null().unique().to_pylist())
        if self.attribution_source == "touch":
            begin = self.account.day_bounds(day)[0] - self.account.attribution.longest_window
            first = begin.astimezone(self.account.zone).date()
            days |= {first + timedelta(days=ahead) for ahead in range((day - first).days)}
        return {other.isoformat(): digest for other, digest in self.digests(sorted(days - {day})).items()}


def extract_table(
    source: AccountSource, spec: TableSpec, writer: FrameWriter, state: TableState | None = None,
    where: sql.Composable | None = None,
) -> FrameRecord:  # fmt: skip
    """Read an account table into a frame, in its total order.

    Args:
        source: The account in one snapshot.
        spec: The table.
        writer: Takes the rows.
        state: The state to which the frame brings a large table.
        where: Which rows `t` to read; by default all.
    """
    table = source.table(spec)
    if table.columns:
        require_key(spec, table)
        chosen = sql.SQL("WHERE {}").format(where) if where else sql.SQL("")
        query = sql.SQL("{} {} {}").format(select(spec, table), chosen, order_by(spec, table))
        _write(source.snapshot, query, writer, "rows")
    else:
        writer.append(_empty(spec))
    return writer.finish(
        source_digest=source.table_digest(spec), data_through=source.data_through,
        warnings=source.warnings(spec), details=source.details() | {"columns": columns_read(spec, table)}, state=state,
    )  # fmt: skip


def extract_day(source: AccountSource, day: date, writer: FrameWriter) -> FrameRecord:
    """Read one day of events into a frame, with the touches and receipts its mapping needs.

    Files: `rows` (every event of the account's calendar day, deleted ones included, in order of time and id) and
    `touches` (events of any day: those that recorded attribution leads to or, in touch mode, the touches of the
    window; and the receipts that say when a message was sent, or which message of a campaign or flow is credited).
    A day before the account's `start_date` is empty.
    """
    table = source.table(EVENT)
    if not table.columns or day < source.account.start_date:
        return _empty_day(source, day, writer)
    bounds = source.account.day_bounds(day)
    needs = Needs(source.metrics, source.attribution_source == "native")
    query = sql.SQL("{} WHERE {} {}").format(select(EVENT, table), during(table, *bounds), order_by(EVENT, table))
    _write(source.snapshot, query, writer, "rows", needs)
    touches = _distinct(list(_touches(source, TouchReader(source.snapshot, table, source.metrics, bounds), needs)))
    writer.append(touches, "touches")
    return writer.finish(
        source_digest=source.digests([day])[day], data_through=source.data_through, warnings=source.warnings(EVENT),
        details=source.details() | {
            "needs_receipts": needs.without_send,
            "reads": source.reads(day, touches),
            "missing": sorted(name for name in needs.recorded_ids - needs.found_ids if len(name) <= LONGEST_ID)[
                :MOST_MISSING
            ],
            # Unlisted columns are left out: every day's row in the ledger would hold hundreds of names.
            "columns": columns_read(EVENT, table, unlisted=False),
        },
    )  # fmt: skip


def _touches(source: AccountSource, reader: TouchReader, needs: Needs) -> Iterator[pa.Table]:
    yield reader.none()
    if needs.native:
        yield from reader.recorded(needs)
    else:
        attribution = source.account.attribution
        touches = reader.window(attribution.windows, attribution.longest_window)
        needs.look_at_touches(touches)
        yield touches
    yield from reader.receipts(needs.receipts)


def _empty_day(source: AccountSource, day: date, writer: FrameWriter) -> FrameRecord:
    writer.append(_empty(EVENT))
    writer.append(_empty(EVENT, properties=False), "touches")
    start, warnings = source.account.start_date, source.warnings(EVENT)
    if day < start:
        warnings.append(f"{day} is before the start_date of {source.account.name}, {start}: none of it is loaded.")
    return writer.finish(
        source_digest=NO_ROWS, data_through=source.data_through, warnings=warnings, details=source.details()
    )


def extract_undated(source: AccountSource, writer: FrameWriter) -> FrameRecord:
    """Read the ids of events that no day can claim: they have no usable time.

    The record also counts the events that belong to no day because they are outside the account's days.
    """
    table, outside = source.table(EVENT), source.events_outside(source.account.today())
    if table.columns:
        of_no_day = sql.SQL("SELECT {} AS id FROM {} AS t WHERE {} IS NULL ORDER BY 1").format(
            id_text(table, "id"), table.identifier, event_time(table)
        )
        _write(source.snapshot, of_no_day, writer, "rows")
    else:
        writer.append(_empty(EVENT))
    return writer.finish(
        source_digest=source.undated_digest(), data_through=source.data_through,
        warnings=outside_warnings(source.account, outside),
        details=source.details() | {
            "columns": columns_read(EVENT, table), "outside": outside, "conversion": source.conversion,
        },
    )  # fmt: skip


def outside_warnings(account: Account, outside: Mapping[str, int]) -> list[str]:
    """Sentences about the events outside the account's days."""
    sentences = {
        "before_start_date": f"before the start_date of {account.name}, {account.start_date}; such events are not "
        "loaded",
        "after_today": "after today, perhaps by a wrong clock; such events are loaded once their day has come",
    }
    return [f"{_number(outside[name])} dated {text}." for name, text in sentences.items() if outside.get(name)]


def _number(events: int) -> str:
    return "1 event is" if events == 1 else f"{events:,} events are"


def _write(
    snapshot: Snapshot, query: sql.Composable, writer: FrameWriter, name: str, needs: Needs | None = None
) -> None:
    with snapshot.stream(query) as batches:
        written = False
        for batch in batches:
            if needs is not None:
                needs.look(batch)
            writer.append(batch, name)
            written = True
        if not written:
            writer.append(batches.schema.empty_table(), name)


def _distinct(touches: Sequence[pa.Table]) -> pa.Table:
    """The touches without repetitions, in order of id."""
    rows = pa.concat_tables(touches)
    first: dict[str, int] = {}
    for position, event_id in enumerate(rows.column("id").to_pylist()):
        if event_id is not None:
            first.setdefault(event_id, position)
    return rows.take(pa.array([first[event_id] for event_id in sorted(first)], pa.int64()))


def _empty(spec: TableSpec, *, properties: bool = True) -> pa.Table:
    """A frame without rows, for a table that Fivetran has not created."""
    names = [raw.name for raw in spec.raw] + [f"property_{item.name}" for item in spec.properties]
    names += ["_properties", "_packed"] if properties else []
    return pa.table({name: pa.nulls(0, pa.string()) for name in names})


def _digest(source: AccountSource, spec: TableSpec, table: RawTable) -> str:
    if not table.columns:
        return "0"
    keys = [spec.column(name).raw or "" for name in spec.key]
    query = sql.SQL("SELECT {} AS digest FROM {} AS t").format(
        digest_expression(table, [*keys, "_fivetran_deleted", "_fivetran_synced"]), table.identifier
    )
    return str(source.snapshot.read(query).to_pylist()[0]["digest"])
