"""What an account's Postgres schema contains, and what the login may see of it.

Here: the facts of the catalog, what keeps the login from tables, columns and rows, and the statement that removes each
obstacle. Not here: what was loaded and is gone (`stages/vanished.py`), reading rows (`source/extraction.py`).

Only `pg_catalog` shows this: `information_schema` omits what the login may not see, so a revoked grant looks like a
table that Fivetran never created.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from psycopg import sql

from klaviyo_assets.errors import PermanentError, UnknownNameError
from klaviyo_assets.model.spec import TableSpec, squash
from klaviyo_assets.resources.postgres.resource import Snapshot
from klaviyo_assets.source.spellings import with_known_names
from klaviyo_assets.source.sql import RawTable, plan
from klaviyo_assets.tables import EVENT, METRIC, TABLES

RAW_TABLES = {name: spec for name, spec in TABLES.items() if spec.raw}
_BY_LETTERS = {squash(name): name for name in RAW_TABLES}
_MOST_NAMED = 8
# One column of each of these has to exist.
_REQUIRED = {
    EVENT.name: (("id",), ("datetime", "timestamp"), ("metric_id",), ("person_id",)),
    METRIC.name: (("id",), ("name",)),
}

_SCHEMA = """
SELECT current_user::text AS login, current_database()::text AS database,
  current_setting('server_version_num')::int AS version,
  (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = {schema}) AS may_use,
  ARRAY(SELECT n.nspname::text FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid
        WHERE c.relname = 'event' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1 LIMIT 20) AS others
"""
_COLUMNS = """
SELECT c.relname::text AS relation, a.attname::text AS name,
  coalesce(base.typname, t.typname)::text AS type, has_column_privilege(c.oid, a.attnum, 'SELECT') AS may_read
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_type AS base ON t.typtype = 'd' AND base.oid = t.typbasetype
WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY c.relname, a.attnum
"""
# A view reads its tables with its owner's rights, or with its reader's if it is a security_invoker. A policy that lets
# every row through (`USING (true)`) hides none.
_READINGS = """
WITH RECURSIVE reading(relation, base, reader) AS (
  SELECT c.oid, c.oid, (SELECT oid FROM pg_roles WHERE rolname = current_user)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT r.relation, d.refobjid, CASE WHEN EXISTS (
    SELECT FROM pg_options_to_table(v.reloptions) WHERE option_name = 'security_invoker' AND option_value::boolean
  ) THEN r.reader ELSE v.relowner END
  FROM reading AS r JOIN pg_class AS v ON v.oid = r.base AND v.relkind = 'v'
  JOIN pg_rewrite AS w ON w.ev_class = v.oid
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
), policy AS (
  SELECT p.polrelid, p.polpermissive, p.polroles, pg_get_expr(p.polqual, p.polrelid) = 'true' AS lets_all
  FROM pg_policy AS p WHERE p.polcmd IN ('r', '*')
), filtered AS (
  SELECT r.relation, r.base, r.reader, b.relrowsecurity AND NOT role.rolsuper AND NOT role.rolbypassrls
    AND (b.relforcerowsecurity OR NOT pg_has_role(r.reader, b.relowner, 'USAGE'))
    AND (
      NOT EXISTS (SELECT FROM policy WHERE polrelid = b.oid AND polpermissive AND lets_all AND EXISTS (
        SELECT FROM unnest(polroles) AS held(id) WHERE id = 0 OR pg_has_role(r.reader, id, 'USAGE')))
      OR EXISTS (SELECT FROM policy WHERE polrelid = b.oid AND NOT polpermissive AND lets_all IS NOT TRUE AND EXISTS (
        SELECT FROM unnest(polroles) AS held(id) WHERE id = 0 OR pg_has_role(r.reader, id, 'USAGE')))
    ) AS hides_rows
  FROM reading AS r JOIN pg_class AS b ON b.oid = r.base JOIN pg_roles AS role ON role.oid = r.reader
)
SELECT c.relname::text AS relation, n.nspname::text AS base_schema, b.relname::text AS base,
  role.rolname::text AS reader, f.relation <> f.base AS is_below, f.hides_rows,
  has_table_privilege(f.reader, f.base, 'SELECT') OR has_any_column_privilege(f.reader, f.base, 'SELECT') AS may_read
FROM filtered AS f JOIN pg_class AS c ON c.oid = f.relation JOIN pg_class AS b ON b.oid = f.base
JOIN pg_namespace AS n ON n.oid = b.relnamespace JOIN pg_roles AS role ON role.oid = f.reader
WHERE f.hides_rows OR NOT (
  has_table_privilege(f.reader, f.base, 'SELECT') OR has_any_column_privilege(f.reader, f.base, 'SELECT'))
ORDER BY 1, 5, 3
"""


class HiddenSourceError(PermanentError):
    """The login may not see some tables, columns or rows: they must not be mistaken for tables that do not exist."""


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps the login from what is in Postgres.

    Attributes:
        subject: `event`, or `event.property_value`: the name for `--accept-empty`.
        cause: What is hidden, and why.
        statement: The SQL that gives access.
        is_of_table: Whether a whole table or view is closed to the login.
    """

    subject: str
    cause: str
    statement: str
    is_of_table: bool = False


@dataclass(frozen=True)
class _Relation:
    """A table or view as the catalog describes it: readable columns with their types, and the hidden ones."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceCatalog:
    """One account's schema in one snapshot; `may_use` is None if there is no such schema."""

    schema: str
    login: str
    database: str
    version: int
    may_use: bool | None
    other_schemas: tuple[str, ...]
    relations: Mapping[str, _Relation]
    readings: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, snapshot: Snapshot, schema: str) -> "SourceCatalog":
        """Look the schema up."""
        (about,) = _rows(snapshot, _SCHEMA, schema)
        relations: dict[str, _Relation] = {}
        for row in _rows(snapshot, _COLUMNS, schema) if about["may_use"] else ():
            relation = relations.setdefault(row["relation"], _Relation(row["relation"]))
            if row["may_read"]:
                relation.columns[row["name"]] = row["type"]
            else:
                relation.hidden.append(row["name"])
        readings = _rows(snapshot, _READINGS, schema) if about["may_use"] else []
        return cls(
            schema, about["login"], about["database"], about["version"], about["may_use"],
            tuple(about["others"] or ()), relations, tuple(readings),
        )  # fmt: skip

    @cached_property
    def _names(self) -> dict[str, str]:
        """Relation -> the catalogue's name of the table, however it is spelled; other relations keep their names."""
        names = {name: name for name in self.relations}
        for name in self.relations:
            table_name = _BY_LETTERS.get(squash(name), name)
            names[name] = table_name if table_name not in self.relations else name
        return names

    @cached_property
    def tables(self) -> dict[str, RawTable]:
        """The tables of which the login may read something, with the columns that it may read."""
        readable: dict[str, RawTable] = {}
        for relation in self.relations.values():
            if relation.columns:
                name = self._names[relation.name]
                table = RawTable(self.schema, relation.name, relation.columns, self.version)
                readable[name] = with_known_names(RAW_TABLES[name], table) if name in RAW_TABLES else table
        return readable

    def obstacles(self, names: Collection[str] = frozenset(RAW_TABLES)) -> Iterator[Obstacle]:
        """What keeps the login from the tables of the catalogue with these names."""
        for relation in self.relations.values():
            name = self._names[relation.name]
            if name not in names or name not in RAW_TABLES:
                continue
            if not relation.columns:
                yield Obstacle(
                    name, f"the login {self.login!r} may not read the table {self.schema}.{relation.name}",
                    self._grant(relation.name), is_of_table=True,
                )  # fmt: skip
                continue
            for column in relation.hidden:
                yield Obstacle(
                    f"{name}.{column}",
                    f"the login {self.login!r} may not read the column {column} of {self.schema}.{relation.name}",
                    self._grant(relation.name),
                )
        yield from (found for reading in self.readings for found in self._below(reading, names))

    @property
    def grant_all(self) -> str:
        """The statements that give access to every table of the schema, and to tables created later."""
        schema, login = _quoted(self.schema), _quoted(self.login)
        return f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}; {self.grant_later}"

    @property
    def grant_later(self) -> str:
        """The statement that gives access to later tables: a table that Fivetran recreates has lost its grants."""
        schema, login = _quoted(self.schema), _quoted(self.login)
        return f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {login};"

    def _grant(self, relation: str) -> str:
        return f"GRANT SELECT ON {_quoted(self.schema, relation)} TO {_quoted(self.login)};"

    def _below(self, reading: Mapping[str, Any], names: Collection[str]) -> Iterator[Obstacle]:
        """Obstacles from row-level security, and from what a view's owner may not read."""
        name = self._names[reading["relation"]]
        if name not in names or name not in RAW_TABLES:
            return
        base, reader = (reading["base_schema"], reading["base"]), reading["reader"]
        through = f" that the view {self.schema}.{reading['relation']} reads" if reading["is_below"] else ""
        if reading["is_below"] and not reading["may_read"]:
            yield Obstacle(
                name, f"{reader!r} may not read {'.'.join(base)}{through}",
                f"GRANT SELECT ON {_quoted(*base)} TO {_quoted(reader)};",
            )  # fmt: skip
        elif reading["hides_rows"] and reading["may_read"]:
            yield Obstacle(
                name, f"row-level security hides rows of {'.'.join(base)}{through} from {reader!r}",
                f"ALTER ROLE {_quoted(reader)} BYPASSRLS; or, as the table's owner: CREATE POLICY "
                f"{_quoted(f'{reader}_reads_all')} ON {_quoted(*base)} FOR SELECT TO {_quoted(reader)} USING (true);",
            )  # fmt: skip

    def missing_schema(self) -> tuple[str, str] | None:
        """What is wrong with the schema as a whole, and what to do; None if the login has access to it."""
        if self.may_use is None:
            listed = ", ".join(self.other_schemas) or "none with a table event"
            return (
                f"Postgres has no schema {self.schema!r} in the database {self.database!r} (it has: {listed})",
                "Set postgres_schema in accounts.toml to one of these, name the right database in POSTGRES_URL, or "
                "let Fivetran sync first (`klaviyo-assets sync`).",
            )
        if not self.may_use:
            return (
                f"the login {self.login!r} may not look into the schema {self.schema!r}",
                f"Run as its owner: GRANT USAGE ON SCHEMA {_quoted(self.schema)} TO {_quoted(self.login)};",
            )
        if not self.relations:
            return (
                f"Postgres shows no table in the schema {self.schema!r}",
                "Either Fivetran has not synced yet (`klaviyo-assets sync`), or the tables were dropped, or the name "
                "is wrong (postgres_schema in accounts.toml).",
            )
        return None

    def refuse_hidden(
        self, account: str, accepted: Collection[str] = (), names: Collection[str] = frozenset(RAW_TABLES)
    ) -> None:
        """Refuse to go on while something is hidden that was not accepted as empty.

        Args:
            account: The account's name.
            accepted: `TABLE` and `TABLE.COLUMN` that may be missing.
            names: The tables that are wanted.

        Raises:
            HiddenSourceError: the message has the cause, and the statement that removes it.
        """
        fault = self.missing_schema()
        if fault:
            raise HiddenSourceError(f"account {account!r}: {fault[0]}", f"{fault[1]}")
        hidden = [obstacle for obstacle in self.obstacles(names) if obstacle.subject not in accepted]
        if hidden:
            later = f" {self.grant_later}" if any(obstacle.is_of_table for obstacle in hidden) else ""
            raise _hidden_source(account, hidden, later)

    def require_columns(self, account: str) -> None:
        """Refuse to read events or metrics without the columns that identify and date them.

        Raises:
            PermanentError: a column is missing; the message names it and its table, and the existing columns.
        """
        for name, needed in _REQUIRED.items():
            table = self.tables.get(name)
            for choice in needed if table else ():
                if table and not any(column in table.columns for column in choice):
                    raise PermanentError(
                        f"account {account!r}: the table {self.schema}.{name} has no column {' or '.join(choice)}, "
                        "and cannot be read without it",
                        f"It has: {', '.join(sorted(table.columns))}. Rename the column back, or switch it on in "
                        "Fivetran's schema settings and have the table re-synced.",
                    )


def _hidden_source(account: str, hidden: list[Obstacle], later: str) -> HiddenSourceError:
    causes = [obstacle.cause for obstacle in hidden[:_MOST_NAMED]]
    more = f"; and {len(hidden) - _MOST_NAMED} more" if len(hidden) > _MOST_NAMED else ""
    statements = " ".join(dict.fromkeys(obstacle.statement for obstacle in hidden))
    subjects = ", ".join(f'"{subject}"' for subject in dict.fromkeys(obstacle.subject for obstacle in hidden))
    return HiddenSourceError(
        f"account {account!r}: {'; '.join(causes)}{more}",
        f"BigQuery keeps what it has. Run as Fivetran's user: {statements}{later} If it is hidden on purpose, "
        f"set accept_empty = [{subjects}] in the account's block of accounts.toml to treat it as empty.",
    )


def require_key(spec: TableSpec, table: RawTable) -> None:
    """Refuse to read a table without its key: rows could not be told apart.

    Raises:
        PermanentError: key columns are missing; the message names the table and the columns.
    """
    listed = plan(spec, table).listed
    missing = [raw for name in spec.key if (raw := spec.column(name).raw) and not listed[raw]]
    if missing:
        raise PermanentError(
            f"the table {table.schema}.{spec.name} has no column {', '.join(missing)}, and cannot be read without "
            "its key",
            f"It has: {', '.join(sorted(table.columns))}. Rename the column back, or have Fivetran re-sync the table.",
        )


def accepted_names(names: Iterable[str]) -> frozenset[str]:
    """The names that `--accept-empty` was given, `TABLE` or `TABLE.COLUMN`.

    Raises:
        UnknownNameError: no table of that name is read.
    """
    accepted = frozenset(name.strip() for name in names)
    for name in accepted:
        if name.partition(".")[0] not in RAW_TABLES:
            raise UnknownNameError("raw table", name, RAW_TABLES, "Give TABLE, or TABLE.COLUMN, to accept as empty.")
    return accepted


def _rows(snapshot: Snapshot, query: str, schema: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = snapshot.read(sql.SQL(query).format(schema=sql.Literal(schema))).to_pylist()
    return rows


def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string(None)
