"""One account in this process: a raw schema in Postgres, what was loaded from it, and the same account built anew.

Reading is the product's own, from a real Postgres (tables not logged, nothing flushed to disk); so are planning,
extraction, mapping, the ledger's entries and keeping reports current. Stand-ins: a dict for the archive, another for
the ledger, a third for quarantine, and for BigQuery the SQL of the sandbox on DuckDB (`Warehouse`), which replaces a
day with DELETE and INSERT. Of the account tables there are five, those that reports read. A mapping that was made of
the same frame with the same settings is remembered: it is a function of these.

Not here: what happens to a shop, and any expectation.
"""

import hashlib
import json
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.ledger import PLANNING_DETAILS
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.frames.record import FrameKey, FrameRecord
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.fingerprints import UNDATED, UNDATED_WITH
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import Days, restate, restate_parameters
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.source.extraction import AccountSource, extract_day, extract_table, extract_undated
from klaviyo_assets.stages.looks import Look
from klaviyo_assets.stages.mapping import AccountMapping
from klaviyo_assets.stages.planning import Plan, plan
from klaviyo_assets.stages.restating import AccountReports
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES
from klaviyo_assets_tests.in_process import as_text
from klaviyo_assets_tests.reference import Row
from klaviyo_assets_tests.unit.reports.warehouse import LOCATION, SPECS, Warehouse

DIMENSIONS = tuple(TABLES[name] for name in ("metric", "campaign", "list", "person", "list_person"))
LOADED = tuple(spec.name for spec in (EVENT, ATTRIBUTION, *DIMENSIONS))
TIMES = {"datetime", "timestamp", "send_time", "_fivetran_synced"}
KEY = b"0123456789abcdef"
Partition = tuple[str, str]


@dataclass(frozen=True)
class RawSchema:
    """One account's schema as Fivetran writes it."""

    connection: "psycopg.Connection[tuple[Any, ...]]"
    name: str

    @classmethod
    def create(cls, connection: "psycopg.Connection[Any]", name: str, tables: Mapping[str, list[Row]]) -> "RawSchema":
        """The schema with tables of these rows; an older one of the name is gone."""
        schema = cls(connection, name)
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(sql.Identifier(name)))
        for table, rows in tables.items():
            columns = dict.fromkeys(name for row in rows for name in row)
            connection.execute(
                sql.SQL("CREATE UNLOGGED TABLE {} ({}, PRIMARY KEY ({}))").format(
                    schema.at(table),
                    sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), _type(name)) for name in columns),
                    sql.SQL(", ").join(map(sql.Identifier, _key(table))),
                )
            )
            schema.insert(table, rows)
        return schema

    def at(self, table: str) -> sql.Identifier:
        """A table's quoted name."""
        return sql.Identifier(self.name, table)

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows, or replace those of the same key."""
        for row in rows:
            names = [sql.Identifier(name) for name in row]
            self.connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
                    self.at(table), sql.SQL(", ").join(names),
                    sql.SQL(", ").join([sql.Placeholder()] * len(names)),
                    sql.SQL(", ").join(map(sql.Identifier, _key(table))),
                    sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names),
                ),
                [_cell(name, value) for name, value in row.items()],
            )  # fmt: skip

    def run(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """A statement in which `{schema}` stands for the schema."""
        cursor = self.connection.execute(sql.SQL(statement).format(schema=sql.Identifier(self.name)), parameters)
        return cursor.fetchall() if cursor.description else []


def _key(table: str) -> tuple[str, ...]:
    return ("list_id", "person_id") if table == "list_person" else ("id",)


def _type(name: str) -> sql.SQL:
    if name in TIMES:
        return sql.SQL("timestamptz")
    special = {"_fivetran_deleted": "boolean", "custom_property_fields": "jsonb"}
    return sql.SQL(special.get(name, "text"))  # type: ignore[arg-type]


def _cell(name: str, value: Any) -> Any:
    if value is None or name in TIMES or name == "_fivetran_deleted":
        return value
    return json.dumps(value) if name == "custom_property_fields" else as_text(value)


class Dataset:
    """What reports ask of a dataset: queries with parameters."""

    qualified = LOCATION

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def prepare(self, spec: TableSpec) -> None:
        """The warehouse has every table from the start."""

    def row_count(self, name: str) -> int:
        """Nobody looks at it here."""
        return 0

    def query(self, text: str, parameters: Mapping[str, tuple[str, Any]] | None = None) -> Any:
        """Rows with attributes, as BigQuery's client gives them."""
        rows = self.warehouse.run(text, {name: value for name, (_, value) in (parameters or {}).items()})
        names = [column[0] for column in self.warehouse.connection.description or []]
        kind = namedtuple("kind", names, rename=True)  # type: ignore[misc]
        return [kind(*row) for row in rows]


@dataclass
class Memory:
    """Mappings by what they were made of."""

    mapped_frames: dict[str, tuple[FrameRecord, pa.Table, list[Row]]] = field(default_factory=dict)


@dataclass
class Platform:
    """What has been loaded of an account."""

    url: str
    frames: FrameStore
    warehouse: Warehouse
    memory: Memory
    entries: dict[Partition, Entry] = field(default_factory=dict)
    archive: dict[Partition, tuple[str, int, str, str]] = field(default_factory=dict)
    quarantine: dict[Partition, list[Row]] = field(default_factory=dict)
    look: Look | None = None
    _clock: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def begin(self) -> "Platform":
        """Nothing is loaded."""
        for name in SPECS:
            self.warehouse.connection.execute(f'TRUNCATE "{LOCATION.replace(".", chr(34) + "." + chr(34))}"."{name}"')
        self.entries, self.archive, self.quarantine, self.look = {}, {}, {}, None
        return self

    @contextmanager
    def source(self, account: Account) -> Iterator[AccountSource]:
        """The account as Postgres has it now; all that follows a sync reads one snapshot."""
        with PostgresResource(url=self.url).snapshot() as snapshot:
            yield AccountSource.open(account, snapshot)

    def plan(self, source: AccountSource, last: date, *, sweep: bool = False) -> Plan:
        """What has to be done, as the sensor finds it."""
        return plan(source, self.entries, source.account.start_date, last, None if sweep else self.look)

    def load_tables(self, source: AccountSource, names: Iterable[str]) -> None:
        """What a run of account tables does."""
        for spec in DIMENSIONS:
            if spec.name in names:
                self._load_table(source, spec)

    def _load_table(self, source: AccountSource, spec: TableSpec) -> None:
        account = source.account
        with self.frames.write(FrameKey("extracted", account.name, spec.name)) as writer:
            extract_table(source, spec, writer)
        self._load(account, spec, None, lambda mapping: mapping.map_table(spec))
        if spec is UNDATED_WITH:
            with self.frames.write(FrameKey("extracted", account.name, EVENT.name, UNDATED)) as writer:
                extract_undated(source, writer)
            record = self._mapping(account).map_undated()
            notes = self.frames.open(FrameKey("mapped", account.name, EVENT.name, UNDATED), "quarantine").read()
            self.quarantine[EVENT.name, UNDATED] = notes.to_pylist()
            self._enter(EVENT.name, UNDATED, record)

    def load_days(self, source: AccountSource, days: Iterable[date], *, only_attribution: bool = False) -> None:
        """What a run of days does."""
        account = source.account
        for day in days:
            with self.frames.write(FrameKey("extracted", account.name, EVENT.name, day.isoformat())) as writer:
                extract_day(source, day, writer)
            if not only_attribution:
                self._load(account, EVENT, day, lambda mapping, day=day: mapping.map_events(day))
            self._load(account, ATTRIBUTION, day, lambda mapping, day=day: mapping.map_attribution(day))

    def _mapping(self, account: Account) -> AccountMapping:
        # Junk is what these shops are made of: no share of it is too large.
        return AccountMapping(self.frames, account, Privacy(account.pii, KEY), quarantine_share=1.0)

    def _load(self, account: Account, spec: TableSpec, day: date | None, mapped: Any) -> None:
        record, rows, notes = self._mapped(account, spec, day, mapped)
        partition = day.isoformat() if day else account.name
        self.archive[spec.name, partition] = (
            record.sha256, record.rows, record.source_digest, record.settings_fingerprint,
        )  # fmt: skip
        place, connection = '"{}"."{}"."{}"'.format(*LOCATION.split("."), spec.name), self.warehouse.connection
        connection.execute(f"DELETE FROM {place}" + (f" WHERE occurred_on = DATE '{day}'" if day else ""))
        connection.register("fresh", rows)
        connection.execute(f"INSERT INTO {place} BY NAME FROM fresh")
        self.quarantine[spec.name, partition] = notes
        self._enter(spec.name, partition, record)

    def _mapped(
        self, account: Account, spec: TableSpec, day: date | None, mapped: Any
    ) -> tuple[FrameRecord, pa.Table, list[Row]]:
        source = FrameKey("extracted", account.name, EVENT.name if day else spec.name, day and day.isoformat())
        record = self.frames.require(source)
        parts = [replace(account, postgres_schema=""), spec.name, day, record.source_digest,
                 json.dumps(record.details, sort_keys=True)]  # fmt: skip
        seen = hashlib.sha256(repr(parts).encode())
        for name in ("rows", "touches") if day else ("rows",):
            with self.frames.local_file(source, name) as path:
                seen.update(path.read_bytes())
        memory_entry = self.memory.mapped_frames.get(seen.hexdigest())
        if memory_entry is None:
            frame_record = mapped(self._mapping(account))
            key = FrameKey("mapped", account.name, spec.name, day and day.isoformat())
            read = [self.frames.open(key, name).read() for name in ("rows", "quarantine")]
            memory_entry = self.memory.mapped_frames[seen.hexdigest()] = (frame_record, read[0], read[1].to_pylist())
        return replace(memory_entry[0], data_through=record.data_through), memory_entry[1], memory_entry[2]

    def _enter(self, table: str, partition: str, record: FrameRecord) -> None:
        details = json.loads(json.dumps({name: record.details.get(name) for name in PLANNING_DETAILS}))
        through = datetime.fromisoformat(record.data_through) if record.data_through else None
        self.entries[table, partition] = Entry(
            table, partition, self.tick(), record.source_digest, record.settings_fingerprint, through, details
        )

    def tick(self) -> datetime:
        """Now; later at every look."""
        self._clock += timedelta(seconds=1)
        return self._clock

    def reports(self, account: Account) -> None:
        """What a run of reports does."""
        dataset: Any = Dataset(self.warehouse)
        sends = dataset.query("SELECT campaign_id, send_at FROM campaign")
        campaign_sends = {row.campaign_id: row.send_at.isoformat() if row.send_at else None for row in sends}
        opened = AccountReports(account, dataset, dict(self.entries), campaign_sends)
        for report in REPORTS.values():
            if not report.keeps_history:
                entry = opened.restate(report, "a run").entry
                self.entries[report.name, account.name] = Entry(
                    report.name, account.name, self.tick(), None, entry["settings_fingerprint"], entry["data_through"],
                    json.loads(json.dumps(entry["details"])),
                )  # fmt: skip

    def rebuild(self, source: AccountSource) -> "Platform":
        """Everything anew, from Postgres."""
        self.begin()
        account = source.account
        read = "SELECT DISTINCT (coalesce(datetime, timestamp) AT TIME ZONE {})::date AS day FROM {} AS t"
        days = source.snapshot.read(
            sql.SQL(read).format(sql.Literal(account.timezone), source.table(EVENT).identifier)
        )["day"].to_pylist()
        self.load_tables(source, LOADED)
        self.load_days(source, sorted(day for day in days if day and day >= account.start_date))
        parameters = restate_parameters(account, Days.all(), datetime.fromisoformat(source.data_through or ""))
        for report in REPORTS.values():
            if not report.keeps_history:
                self.warehouse.run(restate(report, LOCATION), parameters)
        return self

    def state(self) -> dict[str, list[str]]:
        """Everything that a rebuild has to give as well: rows, quarantine and the archive's current parts, as texts."""
        names = [*LOADED, *(name for name, report in REPORTS.items() if not report.keeps_history)]
        contents = {name: sorted(repr(row) for row in self.rows(name)) for name in names}
        contents["quarantine"] = sorted(repr((key, note)) for key, notes in self.quarantine.items() for note in notes)
        # A day that lost its last event stays as an empty partition.
        contents["archive"] = sorted(repr((key, part)) for key, part in self.archive.items() if part[1])
        return contents

    def rows(self, name: str) -> list[Row]:
        """All rows of a table or report."""
        rows: list[Row] = self.warehouse.connection.sql(
            'FROM "{}"."{}"."{}"'.format(*LOCATION.split("."), name)
        ).to_arrow_table().to_pylist()  # fmt: skip
        return rows


def platform(url: str, folder: Path, memory: Memory) -> Platform:
    """Where accounts are loaded, one after the other."""
    new_platform = Platform(url, FrameStore(url=str(folder)), Warehouse(), memory)
    # So few rows are sooner done than shared out, or thought about.
    new_platform.warehouse.connection.execute("SET threads = 1; PRAGMA disable_optimizer")
    return new_platform
