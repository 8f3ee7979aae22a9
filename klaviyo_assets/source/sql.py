"""A `TableSpec` as the SELECT that reads it from Postgres, however much of it Fivetran has created so far.

Here: one expression per raw column and property, typed nulls for what is missing, and JSON text for what the spec
does not list. Not here: connections and snapshots (`resources/postgres/resource.py`), and which rows are wanted.

Identifiers and literals are quoted by `psycopg.sql`. Literals are part of the text because ADBC reads through
`COPY (query) TO STDOUT`, which takes no parameters.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from klaviyo_assets.model.spec import (
    BLANKS,
    END_OF_EVENTS,
    FIRST_INSTANT,
    INSTANT_TEXT,
    LAST_INSTANT,
    PACKED,
    UNLISTED,
    LogicalType,
    Property,
    RawColumn,
    TableSpec,
    free_key,
    packed_keys,
    packed_spellings,
    plain_spelling,
    squash,
)

# Postgres passes at most 100 arguments to a function.
_ARGUMENTS = 90
# From this version on, Postgres can check without an error whether a text is JSON that `jsonb` can hold.
_TELLS_VALID = 160_000
_VALID = "pg_input_is_valid(sound.document, 'jsonb')"
# In a `json` value, only numbers can be too large. For a text column, an earlier version cannot check more.
_LIKELY_VALID = r"sound.document ~ '^\s*[\[{].*[]}]\s*$' AND sound.document !~ '[0-9][eE]\+?[0-9]{4,}'"
# Times beyond these limits are read as the limits: ADBC returns microseconds in 64 bits, which hold neither Postgres's
# last years nor its infinities. The mapping refuses both limits as times outside the calendar.
_EARLIEST, _LATEST = "4713-01-01 00:00:00+00 BC", "200000-01-01 00:00:00+00"


@dataclass(frozen=True)
class RawTable:
    """A table as it is in Postgres now: its columns and their types (`udt_name`).

    `relation` is what to read instead of the table itself if its columns are spelled differently.
    """

    schema: str
    name: str
    columns: Mapping[str, str]
    # `server_version_num` of the server.
    server: int = _TELLS_VALID
    relation: sql.Composable | None = dataclasses.field(default=None, repr=False, compare=False)
    # The results of `select`: a day's extraction asks for the same one four times, a year's more than a thousand times.
    _selects: dict[tuple[str, bool], sql.SQL] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def identifier(self) -> sql.Composable:
        """The text after FROM: the quoted name with its schema."""
        return self.relation or sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class ColumnPlan:
    """What each column of a raw table is used for."""

    listed: Mapping[str, tuple[str, ...]]  # raw column of the spec -> present columns, best first
    properties: Mapping[str, tuple[str, ...]]  # property -> present columns in any spelling
    unlisted: Mapping[str, str]  # present column that no one else reads -> its key in `properties`
    packed: str | None  # the packed JSON column, where present

    @property
    def missing(self) -> list[str]:
        """The raw columns of the spec that the table does not have (yet); they are read as null."""
        return [name for name, present in self.listed.items() if not present]


def plan(spec: TableSpec, table: RawTable) -> ColumnPlan:
    """Decide how every present column is read."""
    listed = {raw.name: _present(raw, table) for raw in spec.raw}
    properties = {field.name: _spellings(spec, field, table) for field in spec.properties}
    packed = spec.custom_fields.packed if spec.custom_fields and spec.custom_fields.packed in table.columns else None
    read = {name for names in listed.values() for name in names} | {packed}
    read |= {name for field in spec.properties if not field.stays_in_properties for name in properties[field.name]}
    return ColumnPlan(listed, properties, _keys(spec, [name for name in table.columns if name not in read]), packed)


def _present(raw: RawColumn, table: RawTable) -> tuple[str, ...]:
    return tuple(name for name in (raw.name, *raw.older_names) if name in table.columns)


def _spellings(spec: TableSpec, field: Property, table: RawTable) -> tuple[str, ...]:
    prefix = squash(spec.custom_fields.prefix) if spec.custom_fields else ""
    wanted = [prefix + squash(name) for name in (field.name, *field.older_names)]
    return tuple(name for spelled in wanted for name in table.columns if squash(name) == spelled)


def _keys(spec: TableSpec, names: list[str]) -> dict[str, str]:
    """Unlisted columns and their keys in `properties`: the plain spelling without the prefix, unless that is taken."""
    keys: dict[str, str] = {}
    for name in sorted(names):
        keys[name] = free_key(set(keys.values()), plain_spelling(_without_prefix(spec, name)), name)
    return keys


def _without_prefix(spec: TableSpec, name: str) -> str:
    if spec.custom_fields is None:
        return name
    prefix = spec.custom_fields.prefix
    word = prefix.rstrip("_")
    if name.startswith(prefix) and name != prefix:
        return name[len(prefix) :]
    follows = name[len(word) :]
    # `propertySource` and the lower-cased export `propertysource`, but not `customer` for the prefix `custom_`.
    if name.startswith(word) and follows and (follows[0].isupper() or word == "property"):
        return follows
    return name


def select(spec: TableSpec, table: RawTable, *, properties: bool = True) -> sql.SQL:
    """`SELECT ... FROM table AS t` with every raw column and property of the spec, under the spec's names.

    Columns have their logical type if Postgres has them in that type, and are otherwise text for the mapping to parse.
    No expression may fail because of a cell's content: that would cost the account every row.

    Args:
        spec: What to read.
        table: What there is to read from.
        properties: Whether to add `_properties` and `_packed`, the two sources of `properties`.
    """
    query = table._selects.get((spec.name, properties))
    if query is None:
        # The result is kept as text: composing hundreds of expressions takes longer than querying many a day.
        text = _select(spec, table, properties=properties).as_string(None)
        query = table._selects[spec.name, properties] = sql.SQL(text)
    return query


def _select(spec: TableSpec, table: RawTable, *, properties: bool) -> sql.Composed:
    chosen = plan(spec, table)
    columns = [_as(_listed(raw, chosen, table), raw.name) for raw in spec.raw]
    columns += [_as(_property(field, chosen, table), f"property_{field.name}") for field in spec.properties]
    if properties:
        columns.append(_as(_unlisted(chosen), UNLISTED))
        columns.append(_as(_packed(spec, chosen, table), PACKED))
    return sql.SQL("SELECT {} FROM {} AS t{}").format(
        sql.SQL(", ").join(columns), table.identifier, _document_source(chosen, table)
    )


def order_by(spec: TableSpec, table: RawTable) -> sql.Composed:
    """`ORDER BY` in the mapped table's total order; text by code points, as everywhere else in the pipeline."""
    columns = {raw.name: raw for raw in spec.raw}
    terms = []
    for name in spec.total_order:
        source = spec.column(name).raw
        if source is None and name == "occurred_at":
            terms.append(event_time(table))
        elif source is not None:
            term = _listed(columns[source], plan(spec, table), table)
            is_text = columns[source].type is LogicalType.STRING
            terms.append(sql.SQL('{} COLLATE "C"').format(term) if is_text else term)
    return sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(terms))


def event_time(table: RawTable) -> sql.Composable:
    """When an event happened: `datetime`, else `timestamp`; null if neither is a time that has a day."""
    present = [_event_time(name, table.columns[name]) for name in ("datetime", "timestamp") if name in table.columns]
    if not present:
        return sql.SQL("NULL::timestamptz")
    return present[0] if len(present) == 1 else sql.SQL("coalesce({})").format(sql.SQL(", ").join(present))


def _event_time(name: str, postgres_type: str) -> sql.Composed:
    bounds = [sql.Literal(bound) for bound in (FIRST_INSTANT, END_OF_EVENTS)]
    return sql.SQL("CASE WHEN {0} >= {1} AND {0} < {2} THEN {0} END").format(_timestamp(name, postgres_type), *bounds)


def sync_time(column: sql.Composable) -> sql.Composed:
    """A condition: the time of a sync is plausible by now.

    A time far in the future would count as the newest sync for ever, and hide every sync that follows.
    """
    return sql.SQL("(isfinite({0}) AND {0} < now() + interval '1 day')").format(column)


def in_calendar(column: sql.Composable) -> sql.Composed:
    """A condition: a time that the mapping keeps."""
    return sql.SQL("({0} >= {1} AND {0} <= {2})").format(column, sql.Literal(FIRST_INSTANT), sql.Literal(LAST_INSTANT))


def id_text(table: RawTable, name: str) -> sql.Composable:
    """A present id column as text, as it is mapped; a text column stays bare, so that an index on it can be used."""
    kind = table.columns[name]
    return _column(name) if kind in {"text", "varchar"} else _text(name, kind)


def during(table: RawTable, start: datetime, end: datetime) -> sql.Composed:
    """Events from `start` up to, not including, `end`; by `timestamp` if `datetime` belongs to no day."""
    bounds = [sql.Literal(start), sql.Literal(end)]
    # Plain columns can use an index; any other type has to be converted to a time first.
    plain = all(table.columns.get(name, "timestamptz") == "timestamptz" for name in ("datetime", "timestamp"))
    if "datetime" not in table.columns or not plain:
        return sql.SQL("({0} >= {1} AND {0} < {2})").format(event_time(table), *bounds)
    direct = sql.SQL("(t.datetime >= {} AND t.datetime < {})").format(*bounds)
    if "timestamp" not in table.columns:
        return sql.SQL("({})").format(direct)
    unusable = sql.SQL("(t.datetime IS NULL OR t.datetime < {} OR t.datetime >= {})").format(
        sql.Literal(FIRST_INSTANT), sql.Literal(END_OF_EVENTS)
    )
    return sql.SQL("({0} OR ({1} AND t.timestamp >= {2} AND t.timestamp < {3}))").format(direct, unusable, *bounds)


def _as(expression: sql.Composable, name: str) -> sql.Composed:
    return sql.SQL("{} AS {}").format(expression, sql.Identifier(name))


def _column(name: str) -> sql.Composed:
    return sql.SQL("t.{}").format(sql.Identifier(name))


def _coalesce(expressions: list[sql.Composable]) -> sql.Composable:
    if not expressions:
        return sql.SQL("NULL::text")
    if len(expressions) == 1:
        return expressions[0]
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join(expressions))


def _listed(raw: RawColumn, chosen: ColumnPlan, table: RawTable) -> sql.Composable:
    present = chosen.listed[raw.name]
    typed = [_typed(name, table.columns[name], raw.type) for name in present]
    if len({table.columns[name] for name in present}) > 1:
        typed = [sql.SQL("({})::text").format(term) for term in typed]
    return _coalesce(typed)


_NATIVE = {
    LogicalType.INTEGER: ({"int2", "int4", "int8"}, "::bigint"),
    # A `numeric` can be too large for a float.
    LogicalType.FLOAT: ({"float4", "float8", "int2", "int4", "int8"}, "::float8"),
    LogicalType.BOOLEAN: ({"bool"}, ""),
}


def _typed(name: str, postgres_type: str, wanted: LogicalType) -> sql.Composable:
    if wanted is LogicalType.TIMESTAMP and postgres_type in {"timestamptz", "timestamp"}:
        return _timestamp(name, postgres_type)
    native, cast = _NATIVE.get(wanted, (set(), ""))
    if postgres_type in native:
        return _column(name) + sql.SQL(cast)
    return _text(name, postgres_type)


def _timestamp(name: str, postgres_type: str) -> sql.Composed:
    column = _column(name)
    if postgres_type not in {"timestamptz", "timestamp", "date"}:
        # A text that is not a time becomes null; casting it would fail every day of the account.
        text = sql.SQL("btrim({}, {})").format(_text(name, postgres_type), sql.Literal(BLANKS))
        return sql.SQL("CASE WHEN {0} ~ {1} THEN ({0})::timestamptz END").format(text, sql.Literal(INSTANT_TEXT))
    instant = sql.SQL("({} AT TIME ZONE 'UTC')").format(column) if postgres_type != "timestamptz" else column
    return sql.SQL(
        "CASE WHEN {0} > {latest}::{kind} THEN {latest}::timestamptz "
        "WHEN {0} < {earliest}::{kind} THEN {earliest}::timestamptz ELSE {1} END"
    ).format(
        column, instant, latest=sql.Literal(_LATEST), earliest=sql.Literal(_EARLIEST),
        kind=sql.Identifier(postgres_type),
    )  # fmt: skip


def _text(name: str, postgres_type: str) -> sql.Composed:
    if postgres_type == "jsonb":
        return sql.SQL("(t.{} #>> '{{}}')").format(sql.Identifier(name))
    if postgres_type != "json":
        return sql.SQL("t.{}::text").format(sql.Identifier(name))
    return sql.SQL("({}::json #>> '{{}}')").format(_sound(sql.SQL("t.{}::text").format(sql.Identifier(name))))


def _sound(document: sql.Composable) -> sql.Composed:
    r"""JSON text with U+FFFD for escapes that no text can hold: `\u0000` and single halves of surrogate pairs.

    Type `json` accepts these, but any access to such a document fails. Escaped backslashes and whole pairs are first
    replaced by control characters, which no JSON text contains.
    """
    return sql.SQL(
        r"CASE WHEN strpos({0}, '\u') = 0 THEN {0} ELSE replace(replace(regexp_replace(regexp_replace("
        r"replace({0}, '\\', chr(1)), "
        r"'\\u(d[89ab][0-9a-f]{{2}})\\u(d[c-f][0-9a-f]{{2}})', chr(2) || '\1' || chr(2) || '\2', 'gi'), "
        r"'\\u(?:0000|d[89a-f][0-9a-f]{{2}})', '\\ufffd', 'gi'), chr(2), '\u'), chr(1), '\\') END"
    ).format(document)


def _property(field: Property, chosen: ColumnPlan, table: RawTable) -> sql.Composable:
    sources: list[sql.Composable] = [_text(name, table.columns[name]) for name in chosen.properties[field.name]]
    if chosen.packed:
        sources.append(_packed_property(_document(chosen.packed, table), packed_spellings(field)))
    return _coalesce(sources)


def _document_source(chosen: ColumnPlan, table: RawTable) -> sql.Composable:
    """The packed column as `jsonb`, read once per row; null if Postgres cannot read it."""
    if not chosen.packed or table.columns[chosen.packed] == "jsonb":
        return sql.SQL("")
    return sql.SQL(
        " CROSS JOIN LATERAL (SELECT CASE WHEN {valid} THEN sound.document::jsonb END AS document "
        "FROM (SELECT {sound} AS document OFFSET 0) AS sound OFFSET 0) AS packed"
    ).format(
        valid=sql.SQL(_VALID if table.server >= _TELLS_VALID else _LIKELY_VALID),
        sound=_sound(sql.SQL("t.{}::text").format(sql.Identifier(chosen.packed))),
    )  # fmt: skip


def _document(packed: str, table: RawTable) -> sql.Composable:
    return _column(packed) if table.columns[packed] == "jsonb" else sql.SQL("packed.document")


def _packed_property(document: sql.Composable, keys: list[str]) -> sql.Composed:
    """The value of the first existing key. Most events lack most properties, so all keys are looked up at once."""
    values = [sql.SQL("({} ->> {})").format(document, sql.Literal(key)) for key in keys]
    return sql.SQL("CASE WHEN jsonb_exists_any({}, {}::text[]) THEN {} END").format(
        document, sql.Literal(keys), _coalesce(list(values))
    )


def _unlisted(chosen: ColumnPlan) -> sql.Composable:
    """JSON text of the non-null unlisted columns; null when there are none. Cells keep their own JSON untouched."""
    pairs = [
        sql.SQL("{} || to_json({})::text").format(sql.Literal(f"{json.dumps(key, ensure_ascii=False)}:"), _column(name))
        for name, key in sorted(chosen.unlisted.items(), key=lambda item: item[1])
    ]
    if not pairs:
        return sql.SQL("NULL::text")
    groups = [sql.SQL("nullif(concat_ws(',', {}), '')").format(sql.SQL(", ").join(group)) for group in _groups(pairs)]
    return sql.SQL("'{{' || nullif(concat_ws(',', {}), '') || '}}'").format(sql.SQL(", ").join(groups))


def _groups(pairs: list[sql.Composed]) -> Iterator[list[sql.Composed]]:
    return (pairs[start : start + _ARGUMENTS] for start in range(0, len(pairs), _ARGUMENTS))


def _packed(spec: TableSpec, chosen: ColumnPlan, table: RawTable) -> sql.Composable:
    """JSON text of what nothing else reads from the packed column; the whole column if Postgres cannot read it."""
    if not chosen.packed:
        return sql.SQL("NULL::text")
    document = _document(chosen.packed, table)
    written = sql.SQL("t.{}::text").format(sql.Identifier(chosen.packed))
    return sql.SQL(
        "coalesce(CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} - {1}::text[] ELSE {0} END::text, {2})"
    ).format(document, sql.Literal(packed_keys(spec)), written)
