"""The FROM clause: tables, views, WITH queries, subqueries, UNNEST, and how they are joined."""

from dataclasses import replace
from functools import lru_cache

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql import information_schema
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, unify
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only, parse
from klaviyo_assets.sandbox.bigquery.sql.model import SqlError, TableRef, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.names import written_name
from klaviyo_assets.sandbox.bigquery.sql.pivots import pivot_relation
from klaviyo_assets.sandbox.bigquery.sql.scopes import Column, Query, Range, Scope
from klaviyo_assets.sandbox.bigquery.sql.types import INT64, from_field, member_names, quoted_name, text


def bind_from(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """The FROM clause of a SELECT, its range variables put into `scope`; "" when there is none."""
    start = node.args.get("from_")
    if start is None:
        return ""
    pieces = [f" FROM {_first(binder, start.this, scope)}"]
    pieces.extend(_join(binder, join, scope) for join in node.args.get("joins") or ())
    return " ".join(pieces)


def _first(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    sql, range_variable = relation(binder, node, scope)
    _enter(scope, range_variable)
    return sql


def _enter(scope: Scope, range_variable: Range) -> None:
    scope.add(range_variable)
    scope.visible.extend(range_variable.columns)


def relation(binder: Binder, node: exp.Expr, scope: Scope) -> tuple[str, Range]:
    """One item of a FROM clause: DuckDB text and range variable."""
    if node.args.get("pivots"):
        plain = node.copy()
        plain.set("pivots", None)
        return pivot_relation(binder, node, relation(binder, plain, scope), scope)
    if isinstance(node, exp.Unnest):
        return _unnest(binder, node, scope)
    if isinstance(node, exp.Subquery):
        return _subquery(binder, node, scope)
    if isinstance(node, exp.Table):
        return _table(binder, node, scope)
    raise unsupported(f"{type(node).__name__} in FROM: {excerpt(node)}")


def _subquery(binder: Binder, node: exp.Subquery, scope: Scope) -> tuple[str, Range]:
    only(node, "this", "alias", "with_")
    query = binder.query(_bare(node), aside(binder, scope))
    scope.used_outside |= query.outer
    return _aliased(binder, query, _alias(node))


def _bare(node: exp.Subquery) -> exp.Expr:
    bare = node.copy()
    bare.set("alias", None)
    return bare


def aside(binder: Binder, scope: Scope) -> Scope:
    """The scope of a query in FROM or WITH: it sees WITH queries and outer queries, but not its neighbors."""
    level = binder.scope(scope.parent)
    level.ctes = scope.ctes
    return level


def _aliased(binder: Binder, query: Query, name: str) -> tuple[str, Range]:
    alias = binder.alias()
    return f"({query.sql}) AS {quoted_name(alias)}", query.as_range(name, alias)


def _alias(node: exp.Expr) -> str:
    alias = node.args.get("alias")
    if alias is None:
        return ""
    if alias.args.get("columns"):
        raise unsupported(f"column names in a table alias: {excerpt(alias)}")
    return str(alias.name)


def _table(binder: Binder, node: exp.Table, scope: Scope) -> tuple[str, Range]:
    only(node, "this", "db", "catalog", "alias")
    parts = [part.name for part in node.parts]
    if len(parts) == 1 and (query := scope.cte(parts[0])) is not None:
        alias = binder.alias()
        return f"{query.sql} AS {quoted_name(alias)}", query.as_range(_alias(node) or parts[0], alias)
    if len(parts) > 1 and scope.range_named(parts[0]) is not None:
        raise unsupported(f"a path to an array without UNNEST: {'.'.join(parts)}")
    ref = table_ref(binder, node)
    name = ref[2].removeprefix(information_schema.PREFIX) if _is_view_of_catalog(ref) else ref[2]
    return _table_or_view(binder, ref, _own_alias(node) or name)


def _own_alias(node: exp.Table) -> str:
    return "" if node.name.upper().startswith(information_schema.PREFIX) and not _has_own_alias(node) else _alias(node)


def _has_own_alias(node: exp.Table) -> bool:
    """Whether the alias of an INFORMATION_SCHEMA view was written, and not added by the parser."""
    alias = node.alias
    return alias.upper() != node.name.upper().rpartition(".")[2] and "." not in alias


def _is_view_of_catalog(ref: TableRef) -> bool:
    return ref[2].startswith(information_schema.PREFIX)


def table_ref(binder: Binder, node: exp.Table) -> TableRef:
    """Project, dataset and table of a table name."""
    name = node.name
    if name.upper().startswith(information_schema.PREFIX):
        name = name.upper()
    dataset = node.db or binder.catalog.default_dataset
    if "*" in name:
        raise unsupported(f"the wildcard table {name}")
    if "$" in name or "@" in name:
        raise unsupported(f"a table decorator in SQL: {name}")
    if not dataset:
        raise invalid(f'Table "{name}" must be qualified with a dataset (e.g. dataset.table)')
    return node.catalog or binder.catalog.default_project, dataset, name


def _table_or_view(binder: Binder, ref: TableRef, name: str) -> tuple[str, Range]:
    binder.reads.add(ref)
    catalog, alias = binder.catalog, binder.alias()
    if _is_view_of_catalog(ref):
        fields = information_schema.columns(ref[2])
    else:
        fields = catalog.columns(ref)
        view = catalog.schemas.view(ref)
        if view is not None:
            return _aliased(binder, _view_query(binder, ref, view), name)
    columns = (Column(each.name, f"{quoted_name(alias)}.{quoted_name(each.name)}", from_field(each)) for each in fields)
    return f"{catalog.physical_name(ref)} AS {quoted_name(alias)}", Range(name, tuple(columns))


def _view_query(binder: Binder, ref: TableRef, view: str) -> Query:
    """The view's own SELECT, which sees no parameters, no default dataset and no outer WITH queries."""
    catalog = replace(binder.catalog, default_project=ref[0], default_dataset=None)
    inner = Binder(catalog, reads=binder.reads, views=(*binder.views, ref))
    if ref in binder.views:
        raise invalid(f"View {'.'.join(ref)} refers to itself")
    tree = _parse_view(view)
    try:
        return inner.query(tree, None)
    except SqlError as error:
        raise SqlError(error.reason, f"In view {'.'.join(ref)}: {error.message}") from error


# Views are read far more often than created, also through each other: parsing took three quarters of the time.
# Binding does not change the tree, so it can be shared.
@lru_cache(256)
def _parse_view(view: str) -> exp.Expr:
    return parse(view)[0][0]


def _unnest(binder: Binder, node: exp.Unnest, scope: Scope) -> tuple[str, Range]:
    only(node, "expressions", "alias", "offset")
    values = binder.bind(node.expressions[0], scope)
    if values.type.element is None or len(node.expressions) != 1:
        raise invalid(f"Values referenced in UNNEST must be arrays. UNNEST contains {values.type}")
    alias = binder.alias()
    offset, visible_columns = _offset(node, alias)
    sql = f'SELECT unnest({values.sql}) AS "value"{offset.format(values.sql)}'
    name = _unnest_name(node)
    element = Column(name, f'{quoted_name(alias)}."value"', values.type.element)
    return f"({sql}) AS {quoted_name(alias)}", Range(name, (*_fields(element), *visible_columns), element)


def _offset(node: exp.Unnest, alias: str) -> tuple[str, tuple[Column, ...]]:
    offset = node.args.get("offset")
    if not offset:
        return "", ()
    name = offset.name if isinstance(offset, exp.Identifier) else "offset"
    return ', unnest(range(len({0}))) AS "offset"', (Column(name, f'{quoted_name(alias)}."offset"', INT64),)


def _unnest_name(node: exp.Unnest) -> str:
    alias = node.args.get("alias")
    if alias is None:
        return ""
    columns = alias.args.get("columns") or []
    return str(columns[0].name if columns else alias.name)


def _fields(element: Column) -> tuple[Column, ...]:
    """Columns of an unnested array: the element, or its fields if it is a STRUCT."""
    if element.type.kind != "STRUCT":
        return (element,)
    pairs = zip(member_names(element.type), element.type.fields, strict=True)
    return tuple(Column(name, f"struct_extract({element.sql}, {text(own)})", kind) for own, (name, kind) in pairs)


_SIDES = {"": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}


def _join(binder: Binder, node: exp.Join, scope: Scope) -> str:
    only(node, "this", "side", "kind", "on", "using")
    side = node.side.upper()
    if node.kind.upper() not in ("", "INNER", "OUTER", "CROSS"):
        raise unsupported(f"{node.kind} JOIN")
    sql, range_variable = relation(binder, node.this, scope)
    lateral = "LATERAL " if isinstance(node.this, exp.Unnest) else ""
    if node.args.get("using"):
        condition = _using(scope, range_variable, node.args["using"], side)
        return f"{_SIDES[side]} {lateral}{sql} ON {condition}"
    _enter(scope, range_variable)
    on = node.args.get("on")
    if on is None:
        if node.kind.upper() != "CROSS":
            return _without_condition(node, lateral, sql, side)
        return f"CROSS JOIN {lateral}{sql}"
    return f"{_SIDES[side]} {lateral}{sql} ON {binder.condition(on, scope, 'JOIN ON clause').sql}"


def _without_condition(node: exp.Join, lateral: str, sql: str, side: str) -> str:
    if not isinstance(node.this, exp.Unnest):
        raise invalid(f"{side or 'INNER'} JOIN must have an immediately following ON or USING clause")
    return f"{_SIDES[side]} {lateral}{sql} ON true"


def _using(scope: Scope, range_variable: Range, names: list[exp.Identifier], side: str) -> str:
    """Join on columns of the same name, and merge each pair into one column."""
    merged_columns, conditions = [], []
    for identifier in names:
        written_name(identifier)
        left, right = scope.lookup([identifier.name]), range_variable.find(identifier.name)
        if left is None or right is None:
            raise invalid(f"Column {identifier.name} in USING clause not found on both sides of the join")
        (first, second), kind = unify([left, Bound(right.sql, right.type)], "USING")
        conditions.append(f"({first.sql} = {second.sql})")
        merged_columns.append(Column(identifier.name, _merged_column(first.sql, second.sql, side), kind))
    merged_names = {column.name.lower() for column in merged_columns}
    scope.add(range_variable)
    scope.merged_columns.update({column.name.lower(): column for column in merged_columns})
    other_columns = [
        column for column in (*scope.visible, *range_variable.columns) if column.name.lower() not in merged_names
    ]
    scope.visible[:] = [*merged_columns, *other_columns]
    return " AND ".join(conditions)


def _merged_column(left: str, right: str, side: str) -> str:
    if side == "FULL":
        return f"coalesce({left}, {right})"
    return right if side == "RIGHT" else left
