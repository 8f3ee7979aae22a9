"""The state of one translation, and the dispatch from syntax nodes to the functions that bind them.

Handlers of the supported expression classes register with `binds`; every other class is refused by name, so
nothing reaches DuckDB unread. Rooms: `names`, `operators`, `calls` for expressions, `relations` and `queries` above.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, require
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt
from klaviyo_assets.sandbox.bigquery.sql.model import (
    Field,
    SchemaLookup,
    SqlError,
    TableRef,
    invalid,
    unsupported,
)
from klaviyo_assets.sandbox.bigquery.sql.scopes import Query, Scope
from klaviyo_assets.sandbox.bigquery.sql.types import BOOL, Type


@dataclass(frozen=True)
class Catalog:
    """Where tables are looked up, and their names in DuckDB."""

    schemas: SchemaLookup
    default_project: str
    default_dataset: str | None
    physical_name: Callable[[TableRef], str]

    def columns(self, ref: TableRef) -> tuple[Field, ...]:
        """Columns of a table, or BigQuery's notFound error."""
        try:
            return self.schemas.table(ref)
        except KeyError:
            project, dataset, table = ref
            raise SqlError("notFound", f"Not found: Table {project}:{dataset}.{table}") from None


@dataclass
class Binder:
    """Binds the expressions and queries of one statement.

    Attributes:
        catalog: Tables.
        parameters: Types of the declared query parameters by lower-case name.
        reads: Tables and views met so far.
        used_parameters: Parameters met so far.
        views: Views around the query, outermost first.
    """

    catalog: Catalog
    parameters: Mapping[str, Type] = field(default_factory=dict)
    reads: set[TableRef] = field(default_factory=set)
    used_parameters: set[str] = field(default_factory=set)
    views: tuple[TableRef, ...] = ()
    _count: int = 0

    def number(self) -> int:
        """A number that no scope has yet."""
        self._count += 1
        return self._count

    def alias(self) -> str:
        """A DuckDB relation name that is unique in the statement."""
        return f"_{self.number()}"

    def scope(self, parent: Scope | None = None) -> Scope:
        """A new, empty scope."""
        return Scope(self.number(), parent)

    def bind(self, node: exp.Expr, scope: Scope) -> Bound:
        """Bind an expression of any kind."""
        handler = _EXPRESSIONS.get(type(node))
        if not isinstance(node, exp.Expr):
            raise invalid("Syntax error: an expression is missing")
        if handler is None:
            raise unsupported(f"{type(node).__name__} in {excerpt(node)}")
        return scope.as_group_key(handler(self, node, scope))

    def condition(self, node: exp.Expr, scope: Scope, where: str) -> Bound:
        """Bind a BOOL that must not contain aggregates or analytic functions."""
        value = require(self.bind(node, scope), BOOL, where)
        if value.has_aggregate:
            raise invalid(f"Aggregate function not allowed in {where}")
        if value.has_window:
            raise invalid(f"Analytic function not allowed in {where}")
        return value

    def query(self, node: exp.Expr, parent: Scope | None) -> Query:
        """Bind a query of any kind; `parent` is the scope that it may refer to."""
        # Queries contain expressions and expressions contain queries: this import closes the circle at run time.
        from klaviyo_assets.sandbox.bigquery.sql.queries import bind_query

        return bind_query(self, node, parent)


Handler = Callable[[Binder, "exp.Expr", Scope], Bound]
_EXPRESSIONS: dict[type[exp.Expr], Handler] = {}


def binds(*classes: type[exp.Expr]) -> Callable[[Handler], Handler]:
    """Register a function as the one that binds `classes`."""

    def register(handler: Handler) -> Handler:
        _EXPRESSIONS.update(dict.fromkeys(classes, handler))
        return handler

    return register
