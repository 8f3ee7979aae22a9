"""From GoogleSQL text to statements for DuckDB: scripts, parameters, the cache."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import Any

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql import allowed
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, Catalog
from klaviyo_assets.sandbox.bigquery.sql.dialect import parse
from klaviyo_assets.sandbox.bigquery.sql.model import (
    Field,
    Parameter,
    SchemaLookup,
    Statement,
    TableRef,
    invalid,
    unsupported,
)
from klaviyo_assets.sandbox.bigquery.sql.statements import bind_statement
from klaviyo_assets.sandbox.bigquery.sql.types import Type
from klaviyo_assets.sandbox.bigquery.sql.types import parse as parse_type


@dataclass
class _Recorded:
    """A schema lookup that records its answers, so that the cache can check whether they still hold.

    What earlier statements of a script create or drop is laid over it in `statement_changes`.
    """

    schemas: SchemaLookup
    tables: dict[TableRef, tuple[Field, ...] | None] = field(default_factory=dict)
    views: dict[TableRef, str | None] = field(default_factory=dict)
    statement_changes: dict[TableRef, tuple[tuple[Field, ...] | None, str | None]] = field(default_factory=dict)

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """See `SchemaLookup`."""
        if ref in self.statement_changes:
            columns = self.statement_changes[ref][0]
            if columns is None:
                raise KeyError(ref)
            return columns
        self.tables[ref] = _columns(self.schemas, ref)
        return self.schemas.table(ref)

    def view(self, ref: TableRef) -> str | None:
        """See `SchemaLookup`."""
        if ref in self.statement_changes:
            return self.statement_changes[ref][1]
        self.views[ref] = self.schemas.view(ref)
        return self.views[ref]

    def note(self, statement: Statement) -> None:
        """Record a statement's changes to the catalog."""
        ref, kind = statement.target, statement.kind
        if ref is None:
            return
        if kind in ("CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "CREATE_VIEW"):
            if not (statement.options.get("if_not_exists") and _columns(self, ref) is not None):
                self.statement_changes[ref] = statement.schema, statement.options.get("view_query")
        elif kind in ("DROP_TABLE", "DROP_VIEW"):
            self.statement_changes[ref] = None, None
        elif kind == "ALTER_TABLE":
            self._widen(ref, statement.schema)

    def _widen(self, ref: TableRef, added_fields: tuple[Field, ...]) -> None:
        columns = _columns(self, ref)
        if columns is not None:
            column_names = {column.name.lower() for column in columns}
            fresh = tuple(column for column in added_fields if column.name.lower() not in column_names)
            self.statement_changes[ref] = columns + fresh, None

    def holds(self, schemas: SchemaLookup) -> bool:
        """Whether `schemas` answers as the recorded one did."""
        return all(_columns(schemas, ref) == known for ref, known in self.tables.items()) and all(
            schemas.view(ref) == known for ref, known in self.views.items()
        )


def _columns(schemas: SchemaLookup, ref: TableRef) -> tuple[Field, ...] | None:
    try:
        return schemas.table(ref)
    except KeyError:
        return None


@dataclass(frozen=True)
class _Translated:
    """A script's statements without parameter values, and the lookups that they depend on."""

    statements: tuple[Statement, ...]
    uses: tuple[frozenset[str], ...]
    recorded_lookup: _Recorded
    names: Mapping[TableRef, str]


_CACHE: dict[tuple[Any, ...], _Translated] = {}
_CACHE_SIZE = 500
_LOCK = Lock()


def translate(
    sql: str,
    *,
    parameters: Sequence[Parameter],
    schemas: SchemaLookup,
    default_project: str,
    default_dataset: str | None,
    physical_name: Callable[[TableRef], str],
) -> list[Statement]:
    """The statements of a GoogleSQL script for DuckDB, in order.

    Later statements see the tables that earlier ones create. Translations are kept by text, parameter types and the
    schemas they used.

    Args:
        sql: The script.
        parameters: Named query parameters; their names are case-insensitive.
        schemas: Tables and views.
        default_project: Project of tables named without one.
        default_dataset: Dataset of tables named without one; None when there is none.
        physical_name: DuckDB text, quoted where needed, that addresses a table.

    Raises:
        SqlError: BigQuery would refuse the script (invalidQuery, notFound), or the stand-in does not
            support something in it (notImplemented).
    """
    kinds = {statement.name.lower(): _parameter_type(statement) for statement in parameters}
    if len(kinds) < len(parameters):
        raise invalid("Duplicate query parameter names")
    key = (sql, tuple(sorted(kinds.items(), key=lambda item: item[0])), default_project, default_dataset)
    with _LOCK:
        translation = _CACHE.get(key)
    if translation is None or not _is_fresh(translation, schemas, physical_name):
        translation = _translate_script(sql, kinds, schemas, (default_project, default_dataset), physical_name)
        _remember(key, translation)
    values = {
        statement.name.lower(): _python_value(statement, kinds[statement.name.lower()]) for statement in parameters
    }
    pairs = zip(translation.statements, translation.uses, strict=True)
    return [
        replace(statement, parameters={name: values[name] for name in uses}, options=dict(statement.options))
        for statement, uses in pairs
    ]


def _is_fresh(translation: _Translated, schemas: SchemaLookup, physical_name: Callable[[TableRef], str]) -> bool:
    return translation.recorded_lookup.holds(schemas) and all(
        physical_name(ref) == name for ref, name in translation.names.items()
    )


def _remember(key: tuple[Any, ...], translation: _Translated) -> None:
    with _LOCK:
        while len(_CACHE) >= _CACHE_SIZE:
            del _CACHE[next(iter(_CACHE))]
        _CACHE[key] = translation


def _translate_script(
    sql: str,
    kinds: Mapping[str, Type],
    schemas: SchemaLookup,
    defaults: tuple[str, str | None],
    physical_name: Callable[[TableRef], str],
) -> _Translated:
    allowed.load()
    recorded_lookup, names = _Recorded(schemas), {}

    def name_table(ref: TableRef) -> str:
        names[ref] = physical_name(ref)
        return names[ref]

    statements, uses = [], []
    for node, statement_text in parse(sql):
        binder = Binder(Catalog(recorded_lookup, *defaults, name_table), kinds)
        statement = replace(_bind(binder, node, statement_text), reads=frozenset(binder.reads))
        recorded_lookup.note(statement)
        statements.append(statement)
        uses.append(frozenset(binder.used_parameters))
    recorded_lookup.schemas = _Nothing()
    return _Translated(tuple(statements), tuple(uses), recorded_lookup, names)


def _bind(binder: Binder, node: exp.Expr, statement_text: str) -> Statement:
    try:
        return bind_statement(binder, node, statement_text)
    except RecursionError as error:
        raise invalid("The query is too complex: it is nested too deeply") from error


class _Nothing:
    """An empty lookup for finished translations, so that the cache does not keep schemas alive."""

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """Never asked."""
        raise KeyError(ref)

    def view(self, ref: TableRef) -> str | None:
        """Never asked."""
        raise KeyError(ref)


def _parameter_type(parameter: Parameter) -> Type:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", parameter.name):
        raise unsupported(f"a query parameter named {parameter.name!r} (positional ones are not offered)")
    kind = parse_type(parameter.type)
    if kind.kind in ("STRUCT", "JSON") or (kind.element is not None and kind.element.kind == "STRUCT"):
        raise unsupported(f"a query parameter of type {kind}")
    return kind


def _python_value(parameter: Parameter, kind: Type) -> Any:
    """The value to bind; dates and times stay text, the statement casts them."""
    value = parameter.value
    if value is None:
        return [] if kind.element is not None else None
    if kind.element is not None:
        return [_scalar_value(parameter.name, each, kind.element) for each in value]
    return _scalar_value(parameter.name, value, kind)


def _scalar_value(name: str, value: Any, kind: Type) -> Any:
    if value is None:
        return None
    value_text = str(value)
    try:
        return _READERS.get(kind.kind, str)(value_text)
    except (ValueError, InvalidOperation) as error:
        raise invalid(f"Invalid value for query parameter {name} of type {kind}: {value_text!r}") from error


def _boolean(value_text: str) -> bool:
    if value_text.lower() not in ("true", "false"):
        raise ValueError(value_text)
    return value_text.lower() == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BOOL": _boolean,
}
