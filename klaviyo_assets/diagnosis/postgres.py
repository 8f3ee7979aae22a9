"""Postgres: can it be reached, and does it show what each account needs?

What belongs here: the server, permissions, tables, columns, indexes, the conversion metric, the clock. What does not:
reading rows for the product (`source/extraction.py`), and which indexes are recommended (`source/indexes.py`).
"""

import re
import time
from collections.abc import Collection, Iterator
from typing import Any

from psycopg import sql

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.ledger import loaded_entries
from klaviyo_assets.diagnosis.findings import DoctorFinding, Level, Scope
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource, Snapshot
from klaviyo_assets.source.catalog import SourceCatalog
from klaviyo_assets.source.extraction import AccountSource, outside_warnings
from klaviyo_assets.source.indexes import RecommendedIndex, possible
from klaviyo_assets.source.sql import RawTable, plan
from klaviyo_assets.stages.vanished import advice, losses
from klaviyo_assets.tables import EVENT, TABLES

POSTGRES = "postgres"
_OLDEST_VERSION = 13
_SKEW_WARN, _SKEW_FAIL = 5.0, 300.0
# Without these, whole reports are empty. Fivetran creates the others with their first row, which many shops never have.
_EXPECTED = ("event", "metric", "person", "campaign", "campaign_message", "flow", "flow_message")
_EVENT_NEEDS = {"id": "events cannot be told apart", "metric_id": "the kind of an event is unknown",
                "person_id": "nothing can be attributed"}  # fmt: skip
Row = dict[str, Any]


def check_server(postgres: PostgresResource) -> Iterator[DoctorFinding]:
    """Check the server itself: version, login, clock."""
    scope = Scope(POSTGRES)
    with postgres.snapshot() as snapshot:
        (server,) = _rows(
            snapshot,
            "SELECT current_setting('server_version_num')::bigint AS version, "
            "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser",
        )
        yield scope.ok(f"Postgres {server['version'] // 10_000} answers")
        if server["version"] < _OLDEST_VERSION * 10_000:
            yield scope.warn(
                f"Postgres {server['version'] // 10_000} is older than any tested version",
                f"Upgrade it to {_OLDEST_VERSION} or newer.",
            )
        if server["is_superuser"]:
            yield scope.warn(
                "the login of POSTGRES_URL is a superuser",
                "Create a role that has only USAGE on the schemas and SELECT on their tables.",
            )
        yield _clock(scope, snapshot)


def _clock(scope: Scope, snapshot: Snapshot) -> DoctorFinding:
    before = time.time()
    (told,) = _rows(snapshot, "SELECT extract(epoch FROM clock_timestamp())::float8 AS at")
    return judged_clock(scope, told["at"] - (before + time.time()) / 2)


def judged_clock(scope: Scope, skew: float) -> DoctorFinding:
    """Judge a Postgres clock that is `skew` seconds ahead of this machine's."""
    what = f"the clocks of Postgres and this machine are {abs(skew):.1f} s apart"
    if abs(skew) <= _SKEW_WARN:
        return scope.ok(what)
    finding = scope.warn if abs(skew) <= _SKEW_FAIL else scope.fail
    return finding(what, "Switch on time synchronization (NTP) on the machine whose clock is wrong.")


def check_account(postgres: PostgresResource, account: Account) -> Iterator[DoctorFinding]:
    """Check one account's schema: hidden parts, tables, columns, indexes, conversion metric, days that no run loads."""
    scope = Scope(POSTGRES, account.name)
    with postgres.snapshot() as snapshot:
        catalog = SourceCatalog.read(snapshot, account.postgres_schema)
        refused = [*_hidden(scope, catalog, account)] or [*check_tables(scope, catalog.tables)]
        yield from refused
        if any(finding.level is Level.FAIL for finding in refused):
            return
        present = _indexes(snapshot, account.postgres_schema)
        for name, table in catalog.tables.items():
            # An index belongs to a column as it is spelled in Postgres: none is recommended for a different spelling.
            if table.relation is None:
                yield from check_indexes(scope, table, [row for row in present if row["table_name"] == name])
        source = AccountSource.open(account, snapshot)
        yield from _conversion(scope, source)
        for warning in outside_warnings(account, source.events_outside(account.today())):
            yield scope.warn(warning.rstrip("."), "Set start_date in accounts.toml, or check the times in Klaviyo.")


def check_loaded(
    postgres: PostgresResource, bigquery: BigQueryProjectResource, account: Account
) -> Iterator[DoctorFinding]:
    """Check that Postgres still has what was loaded for an account. This queries some kilobytes of the ledger."""
    scope, entries = Scope(POSTGRES, account.name), loaded_entries(bigquery.dataset(account))
    with postgres.snapshot() as snapshot:
        gone = losses(AccountSource.open(account, snapshot), entries)
    for loss in gone:
        finding = scope.warn if loss.subject in account.accept_empty else scope.fail
        yield finding(loss.what, advice(account, [loss]))
    if not gone:
        yield scope.ok("Postgres still has what was loaded")


def _hidden(scope: Scope, catalog: SourceCatalog, account: Account) -> Iterator[DoctorFinding]:
    """Find what keeps the login from the schema, or from tables, columns and rows that are read."""
    if fault := catalog.missing_schema():
        yield scope.fail(*fault)
        return
    hidden = [obstacle for obstacle in catalog.obstacles() if obstacle.subject not in account.accept_empty]
    closed = sorted(one.subject for one in hidden if one.is_of_table)
    if closed:
        yield scope.fail(
            f"the login {catalog.login!r} may not read {_listed(closed)} in {catalog.schema!r}",
            f"Run as Fivetran's user: {catalog.grant_all}",
        )
    for obstacle in hidden:
        if not obstacle.is_of_table:
            yield scope.fail(obstacle.cause, f"Run as Fivetran's user: {obstacle.statement}")


def check_tables(scope: Scope, tables: "dict[str, RawTable] | Any") -> Iterator[DoctorFinding]:
    """Check which tables and columns exist, and how custom fields are spelled."""
    missing = [name for name in _EXPECTED if name not in tables]
    if "event" in missing:
        yield scope.fail(
            f"the table event is missing; the schema has {_listed(sorted(tables))}",
            "Switch event on in Fivetran's schema settings, then run `klaviyo-assets sync`.",
        )
    elif missing:
        yield scope.warn(
            f"Fivetran has not created {_listed(missing)}, so they count as empty",
            "Switch them on in Fivetran's schema settings if the shop has any; otherwise there is nothing to do.",
        )
    read = sum(name in TABLES for name in tables)
    yield scope.ok(f"{read} tables are read; {'; '.join(spellings(tables)) or 'no custom fields'}")
    if "event" in tables:
        yield from _event_columns(scope, tables["event"])


def _event_columns(scope: Scope, table: RawTable) -> Iterator[DoctorFinding]:
    for name, consequence in _EVENT_NEEDS.items():
        if name not in table.columns:
            yield scope.fail(
                f"event has no column {name}: {consequence}", "Switch it on in Fivetran's schema settings."
            )
    if not {"datetime", "timestamp"} & table.columns.keys():
        yield scope.fail(
            "event has neither datetime nor timestamp", "Switch datetime on in Fivetran's schema settings."
        )
    odd = [name for name in ("datetime", "timestamp") if table.columns.get(name, "timestamptz") != "timestamptz"]
    if odd:
        kinds = ", ".join(f"{name} is {table.columns[name]}" for name in odd)
        yield scope.warn(
            f"event: {kinds}, not timestamptz, so times are converted row by row",
            "Have Fivetran re-sync the table (`klaviyo-assets sync` does not), or leave it: it is read anyway.",
        )
    if not spelling(EVENT, table):
        yield scope.warn(
            "event has no custom fields in any known spelling, so no event has a value",
            "Check what Fivetran writes. Expected: columns property_..., propertyValue... or custom_property_fields.",
        )


def spellings(tables: "dict[str, RawTable] | Any") -> Iterator[str]:
    """For each existing table with custom fields, how they are spelled."""
    for spec in TABLES.values():
        if spec.custom_fields and spec.name in tables:
            forms = spelling(spec, tables[spec.name])
            yield f"{spec.name}: {' and '.join(forms) or 'no custom fields'}"


def spelling(spec: TableSpec, table: RawTable) -> list[str]:
    """The spellings of a table's custom fields: `unpacked`, `packed`, `camelCase`; there are several after a change."""
    custom = spec.custom_fields
    if custom is None:
        return []
    camel = re.compile(rf"{custom.prefix.rstrip('_')}[A-Z]\w*")
    columns = table.columns
    return [
        name
        for name, is_there in {
            "unpacked": any(column.startswith(custom.prefix) and column != custom.packed for column in columns),
            "camelCase": any(camel.fullmatch(column) for column in columns),
            "packed": plan(spec, table).packed is not None,
        }.items()
        if is_there
    ]


def _conversion(scope: Scope, source: AccountSource) -> Iterator[DoctorFinding]:
    """Check that the conversion metric exists; an ambiguous one was refused when the source was opened."""
    if source.metrics.problem:
        yield scope.warn(
            source.metrics.problem, "Set conversion_metric in accounts.toml to one of these, by name or id."
        )
    else:
        metric_ids = ", ".join(sorted(source.metrics.conversion_ids))
        yield scope.ok(f"conversion metric {metric_ids}; attribution: {source.attribution_source}")


def _indexes(snapshot: Snapshot, schema: str) -> list[Row]:
    return _rows(
        snapshot,
        "SELECT t.relname::text AS table_name, c.relname::text AS name, m.amname::text AS method, "
        "i.indisvalid AS is_valid, i.indpred IS NOT NULL AS is_partial, "
        "array_to_string(ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place) "
        "JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.number ORDER BY k.place), ',') AS columns "
        "FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid "
        "JOIN pg_am AS m ON m.oid = c.relam WHERE t.relnamespace = {}::regnamespace",
        _quoted(schema),
    )


def check_indexes(scope: Scope, table: RawTable, present: Collection[Row]) -> Iterator[DoctorFinding]:
    """Find the recommended indexes that a table lacks; everything works without them, but more slowly."""
    for index in possible(table.columns, table.name):
        serving = [row for row in present if _serves(row, index)]
        statement = index.statement(table.schema, concurrently=True).as_string(None)
        if any(row["is_valid"] for row in serving):
            yield scope.ok(f"index on {table.name} ({', '.join(index.columns)})")
        elif serving:
            broken = sql.Identifier(table.schema, serving[0]["name"]).as_string(None)
            yield scope.warn(
                f"the index {serving[0]['name']} is invalid, because its creation was interrupted",
                f"Run as Fivetran's user: DROP INDEX {broken}; {statement};",
            )
        else:
            yield scope.warn(
                f"{table.name} has no index on {', '.join(index.columns)}, so {index.purpose} is slow",
                f"Run as Fivetran's user: {statement}; (docs/postgres_indexes.md)",
            )


def _serves(row: Row, index: RecommendedIndex) -> bool:
    """Whether an index does the job of the recommended one: same leading columns; a B-tree can replace a BRIN index."""
    leading = tuple(row["columns"].split(","))[: len(index.columns)]
    return leading == index.columns and not row["is_partial"] and row["method"] in {index.method, "btree"}


def _rows(snapshot: Snapshot, query: str, *literals: str) -> list[Row]:
    text = sql.SQL(query).format(*map(sql.Literal, literals))
    rows: list[Row] = snapshot.read(text).to_pylist()
    return rows


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"
