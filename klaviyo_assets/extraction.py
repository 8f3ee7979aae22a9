"""What is read from Postgres for one partition, in one snapshot.

Here: which rows a day or a table needs (the touches of a day included), the digest of a source, and streaming both
into frames. Not here: SQL expressions per column (`schemas/sql.py`), Dagster (`assets/extracted.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from klaviyo_assets.accounts import Account
from klaviyo_assets.attribution import MAX_HOPS, recorded
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.frames import FrameRecord, FrameWriter
from klaviyo_assets.metrics import MESSAGE_ROLES, AccountMetrics, Metric, Role, metric_kind, resolve_metrics
from klaviyo_assets.resources.postgres import Snapshot
from klaviyo_assets.schemas.sql import RawTable, event_time, order_by, plan, select
from klaviyo_assets.spec import TableSpec
from klaviyo_assets.tables import EVENT, METRIC

_IDS_PER_QUERY = 10_000


@dataclass
class AccountSource:
    """One account's schema as one snapshot shows it, with what every mapping needs to know of the whole account."""

    account: Account
    snapshot: Snapshot
    tables: Mapping[str, RawTable]
    metrics: AccountMetrics = field(default_factory=AccountMetrics)
    attribution_source: str = "touch"
    data_through: str | None = None

    @classmethod
    def open(cls, account: Account, snapshot: Snapshot) -> "AccountSource":
        """Look at the account's schema.

        Raises:
            PermanentError: the schema does not exist, or the login may not see into it.
        """
        tables = snapshot.tables(account.postgres_schema)
        if not tables:
            raise PermanentError(
                f"account {account.name!r}: Postgres shows no table in the schema {account.postgres_schema!r}. Either "
                "Fivetran has not synced yet (`klaviyo-assets sync`), or the name is wrong (accounts.toml), or the "
                "login of POSTGRES_URL lacks USAGE and SELECT on it."
            )
        source = cls(account, snapshot, tables)
        source.metrics = source._metrics()
        source.attribution_source = source._attribution_source()
        source.data_through = source._newest_sync()
        return source

    def table(self, spec: TableSpec) -> RawTable:
        """The raw table, without columns where Fivetran has not created it."""
        return self.tables.get(spec.name) or RawTable(self.account.postgres_schema, spec.name, {})

    def _metrics(self) -> AccountMetrics:
        if METRIC.name not in self.tables:
            return resolve_metrics([], self.account.conversion_metric, self.account.conversion_integration)
        rows = self.snapshot.read(select(METRIC, self.table(METRIC), properties=False)).to_pylist()
        found = [
            Metric(
                row["id"],
                row["name"] or "",
                row["integration_name"],
                row["integration_id"],
                row["_fivetran_deleted"] in {True, "true"},
            )
            for row in rows
        ]
        return resolve_metrics(found, self.account.conversion_metric, self.account.conversion_integration)

    def _attribution_source(self) -> str:
        """`native` where Klaviyo's own attribution is wanted, or `auto` finds any; decided for the whole account."""
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
        """Start of the newest sync that wrote anything of this account, ISO 8601 UTC."""
        synced = [table for table in self.tables.values() if table.columns.get("_fivetran_synced") == "timestamptz"]
        if not synced:
            return None
        union = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT max(_fivetran_synced) AS at FROM {}").format(table.identifier) for table in synced
        )
        newest = self.snapshot.read(
            sql.SQL("SELECT max(at) AS at FROM ({}) AS s WHERE isfinite(at)").format(union)
        ).to_pylist()[0]["at"]
        return newest.isoformat() if newest else None

    def warnings(self, spec: TableSpec) -> list[str]:
        """What a person should know about how complete this table's source is."""
        if spec.name not in self.tables:
            return [f"Fivetran has not created {self.account.postgres_schema}.{spec.name}; it is taken as empty."]
        missing = plan(spec, self.table(spec)).missing
        found = [f"columns not there (yet), read as null: {', '.join(missing)}"] if missing else []
        if spec is EVENT and self.metrics.problem:
            found.append(self.metrics.problem)
        return found

    def details(self) -> dict[str, Any]:
        """What the mapping of a day needs to know of the account, as JSON."""
        metrics = [[m.metric_id, m.name, m.integration, m.integration_id, m.is_deleted] for m in self.metrics.metrics]
        return {"metrics": metrics, "attribution_source": self.attribution_source}


def metrics_of(details: Mapping[str, Any], account: Account) -> AccountMetrics:
    """The account's metrics from an extracted frame's record."""
    listed = [Metric(*row) for row in details.get("metrics", [])]
    return resolve_metrics(listed, account.conversion_metric, account.conversion_integration)


def extract_table(source: AccountSource, spec: TableSpec, writer: FrameWriter) -> FrameRecord:
    """Read a whole account table into a frame, in its total order."""
    table = source.table(spec)
    if table.columns:
        query = sql.SQL("{} {}").format(select(spec, table), order_by(spec, table))
        _write(source.snapshot, query, writer, "rows")
    else:
        writer.append(_empty(spec))
    return writer.finish(
        source_digest=_digest(source, spec, table), data_through=source.data_through,
        warnings=source.warnings(spec), details=source.details(),
    )  # fmt: skip


def extract_day(source: AccountSource, day: date, writer: FrameWriter) -> FrameRecord:
    """Read one day of events into a frame, with the touches and receipts its mapping needs.

    Files: `rows` (every event of the account's calendar day, deleted ones included, in order of time and id) and
    `touches` (events of other days: those that recorded attribution leads to, in touch mode the message events of
    the window before, and receipts for message events without a send cohort). A day before the account's
    `start_date` is empty.
    """
    table = source.table(EVENT)
    if not table.columns or day < source.account.start_date:
        return _empty_day(source, day, writer)
    bounds = source.account.day_bounds(day)
    of_day = sql.SQL("WHERE {}").format(during(table, *bounds))
    needed = _Needed()
    query = sql.SQL("{} {} {}").format(select(EVENT, table), of_day, order_by(EVENT, table))
    _write(source.snapshot, query, writer, "rows", needed)
    touches = list(_touches(source, table, bounds, needed))
    writer.append(_distinct(touches), "touches")
    return writer.finish(
        source_digest=day_digests(source, [day])[day], data_through=source.data_through,
        warnings=source.warnings(EVENT), details=source.details() | {"needs_receipts": needed.without_send},
    )  # fmt: skip


def _empty_day(source: AccountSource, day: date, writer: FrameWriter) -> FrameRecord:
    writer.append(_empty(EVENT))
    writer.append(_empty(EVENT, properties=False), "touches")
    start, warnings = source.account.start_date, source.warnings(EVENT)
    if day < start:
        warnings.append(f"{day} lies before the start_date of {source.account.name}, {start}: nothing of it is taken.")
    return writer.finish(
        source_digest=NO_ROWS, data_through=source.data_through, warnings=warnings, details=source.details()
    )


def extract_undated(source: AccountSource, writer: FrameWriter) -> FrameRecord:
    """Read the ids of events that no day can claim: they have no usable time."""
    table = source.table(EVENT)
    if table.columns:
        of_no_day = sql.SQL("SELECT t.id::text AS id FROM {} AS t WHERE {} IS NULL ORDER BY 1").format(
            table.identifier, event_time(table)
        )
        _write(source.snapshot, of_no_day, writer, "rows")
    else:
        writer.append(_empty(EVENT))
    return writer.finish(data_through=source.data_through, details=source.details())


def during(table: RawTable, start: datetime, end: datetime) -> sql.Composed:
    """Events from `start` up to, not including, `end`; by `timestamp` where `datetime` is null or infinite."""
    bounds = [sql.Literal(start), sql.Literal(end)]
    # Plain columns can use an index; any other type has to be made a time first.
    plain = all(table.columns.get(name, "timestamptz") == "timestamptz" for name in ("datetime", "timestamp"))
    if "datetime" not in table.columns or not plain:
        return sql.SQL("({0} >= {1} AND {0} < {2})").format(event_time(table), *bounds)
    direct = sql.SQL("(t.datetime >= {} AND t.datetime < {})").format(*bounds)
    if "timestamp" not in table.columns:
        return sql.SQL("({})").format(direct)
    unusable = sql.SQL("(t.datetime IS NULL OR NOT isfinite(t.datetime))")
    return sql.SQL("({0} OR ({1} AND t.timestamp >= {2} AND t.timestamp < {3}))").format(direct, unusable, *bounds)


@dataclass
class _Needed:
    """What a day's rows ask for, gathered while they stream by."""

    recorded_ids: set[str] = field(default_factory=set)
    without_send: bool = False

    def look(self, batch: pa.RecordBatch) -> None:
        texts = batch.column("property_attribution")
        for text in texts.drop_null().to_pylist():
            self.recorded_ids |= {entry.event_id for entry in recorded(text) if entry.event_id}
        if not self.without_send:
            stated = batch.column("property_cohort_message_send_cohort")
            message = pc.or_(pc.is_valid(batch.column("campaign_id")), pc.is_valid(batch.column("flow_id")))
            self.without_send = bool(pc.any(pc.and_(message, pc.is_null(stated))).as_py())


def _write(
    snapshot: Snapshot, query: sql.Composable, writer: FrameWriter, name: str, needed: _Needed | None = None
) -> None:
    with snapshot.stream(query) as batches:
        written = False
        for batch in batches:
            if needed is not None:
                needed.look(batch)
            writer.append(batch, name)
            written = True
        if not written:
            writer.append(batches.schema.empty_table(), name)


def _touches(
    source: AccountSource, table: RawTable, bounds: tuple[datetime, datetime], needed: _Needed
) -> Iterator[pa.Table]:
    narrow = select(EVENT, table, properties=False)
    yield source.snapshot.read(sql.SQL("{} LIMIT 0").format(narrow))
    if source.attribution_source == "touch":
        yield _window_touches(source, table, bounds, narrow)
    else:
        yield from _recorded_touches(source, needed.recorded_ids, narrow)
    if needed.without_send:
        yield from _receipts(source, table, bounds, narrow)


def _window_touches(
    source: AccountSource, table: RawTable, bounds: tuple[datetime, datetime], narrow: sql.Composed
) -> pa.Table:
    """Message events of the window before the day, of people who did something else on the day."""
    start, end = bounds
    ids = _metric_ids(source, MESSAGE_ROLES)
    if not ids or not {"person_id", "metric_id"} <= set(table.columns):
        return source.snapshot.read(sql.SQL("{} LIMIT 0").format(narrow))
    acting = sql.SQL(
        "SELECT t.person_id FROM {} AS t WHERE {} AND t.person_id IS NOT NULL AND NOT (t.metric_id = ANY({}))"
    ).format(table.identifier, during(table, start, end), sql.Literal(ids))
    window = during(table, start - source.account.attribution.longest_window, end)
    query = sql.SQL("{} WHERE {} AND t.metric_id = ANY({}) AND t.person_id IN ({})")
    return source.snapshot.read(query.format(narrow, window, sql.Literal(ids), acting))


def _recorded_touches(source: AccountSource, ids: Iterable[str], narrow: sql.Composed) -> Iterator[pa.Table]:
    """The events that recorded attribution names, and those that these name in turn."""
    wanted, seen = set(ids), set[str]()
    for _hop in range(MAX_HOPS):
        wanted -= seen
        seen |= wanted
        following: set[str] = set()
        for chunk in _chunks(sorted(wanted)):
            found = source.snapshot.read(sql.SQL("{} WHERE t.id = ANY({})").format(narrow, sql.Literal(chunk)))
            for text in found.column("property_attribution").drop_null().to_pylist():
                following |= {entry.event_id for entry in recorded(text) if entry.event_id}
            yield found
        wanted = following


def _receipts(
    source: AccountSource, table: RawTable, bounds: tuple[datetime, datetime], narrow: sql.Composed
) -> Iterator[pa.Table]:
    """Earlier receipts of the messages that people opened or clicked on the day."""
    ids = _metric_ids(source, {Role.RECEIVED})
    links = [name for name in ("campaign_id", "flow_message_id") if name in table.columns]
    if not ids or "person_id" not in table.columns:
        return
    for link in links:
        pairs = sql.SQL("SELECT t.person_id, t.{0} FROM {1} AS t WHERE {2} AND t.{0} IS NOT NULL").format(
            sql.Identifier(link), table.identifier, during(table, *bounds)
        )
        query = sql.SQL("{} WHERE t.metric_id = ANY({}) AND {} < {} AND (t.person_id, t.{}) IN ({})")
        yield source.snapshot.read(
            query.format(
                narrow, sql.Literal(ids), event_time(table), sql.Literal(bounds[0]), sql.Identifier(link), pairs
            )
        )


def _metric_ids(source: AccountSource, roles: Iterable[Role]) -> list[str]:
    kinds = {metric.metric_id: metric_kind(metric.name) for metric in source.metrics.metrics}
    return sorted(metric_id for metric_id, kind in kinds.items() if kind and kind.role in roles)


def _distinct(touches: Sequence[pa.Table]) -> pa.Table:
    """Touches without repetitions, in order of id."""
    rows = pa.concat_tables(touches)
    first: dict[str, int] = {}
    for position, event_id in enumerate(rows.column("id").to_pylist()):
        first.setdefault(event_id, position)
    return rows.take(pa.array([first[event_id] for event_id in sorted(first)], pa.int64()))


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    return (list(ids[start : start + _IDS_PER_QUERY]) for start in range(0, len(ids), _IDS_PER_QUERY))


def _empty(spec: TableSpec, *, properties: bool = True) -> pa.Table:
    """A frame without rows, for a table that Fivetran has not created."""
    names = [raw.name for raw in spec.raw] + [f"property_{item.name}" for item in spec.properties]
    names += ["_properties", "_packed"] if properties else []
    return pa.table({name: pa.nulls(0, pa.string()) for name in names})


def digest_expression(table: RawTable, columns: Iterable[str]) -> sql.Composed:
    """A digest of a set of rows that does not depend on their order: count and sum of 64-bit hashes."""
    present = [name for name in columns if name in table.columns]
    texts = sql.SQL(", ").join(sql.SQL("coalesce(t.{}::text, '')").format(sql.Identifier(name)) for name in present)
    row = sql.SQL("hashtextextended(concat_ws('|', {}), 0)").format(texts)
    return sql.SQL("count(*)::text || ':' || coalesce(sum({}::numeric), 0)::text").format(row)


EVENT_DIGEST_COLUMNS = ("id", "datetime", "timestamp", "person_id", "metric_id", "_fivetran_deleted",
                        "_fivetran_synced")  # fmt: skip


NO_ROWS = "0:0"


def day_digests(source: AccountSource, days: Sequence[date]) -> dict[date, str]:
    """The digest of each day's events: it differs when any of them was added, changed, deleted or synced again."""
    table = source.table(EVENT)
    digests = {}
    for day in days:
        query = sql.SQL("SELECT {} AS digest FROM {} AS t WHERE {}").format(
            digest_expression(table, EVENT_DIGEST_COLUMNS),
            table.identifier,
            during(table, *source.account.day_bounds(day)),
        )
        digests[day] = source.snapshot.read(query).to_pylist()[0]["digest"]
    return digests


def _digest(source: AccountSource, spec: TableSpec, table: RawTable) -> str:
    if not table.columns:
        return "0"
    keys = [spec.column(name).raw or "" for name in spec.key]
    query = sql.SQL("SELECT {} AS digest FROM {} AS t").format(
        digest_expression(table, [*keys, "_fivetran_deleted", "_fivetran_synced"]), table.identifier
    )
    return str(source.snapshot.read(query).to_pylist()[0]["digest"])
