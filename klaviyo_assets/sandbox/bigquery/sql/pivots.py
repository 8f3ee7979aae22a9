"""PIVOT and UNPIVOT: they turn one relation into another.

PIVOT becomes a grouped query whose aggregates see one value each; UNPIVOT becomes one row per listed column.
"""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.names import written_name
from klaviyo_assets.sandbox.bigquery.sql.scopes import Output, Query, Range, Scope
from klaviyo_assets.sandbox.bigquery.sql.types import INT64, NULL, STRING, quoted_name, text

_OF_ONE_VALUE = ("SUM", "AVG", "MIN", "MAX", "COUNT", "ANY_VALUE", "STRING_AGG", "COUNTIF", "LOGICAL_OR", "LOGICAL_AND")


def pivot_relation(binder: Binder, node: exp.Expr, source: tuple[str, Range], scope: Scope) -> tuple[str, Range]:
    """`source` after the PIVOT or UNPIVOT clause of `node`."""
    pivots = node.args["pivots"]
    if len(pivots) > 1:
        raise unsupported(f"several PIVOT or UNPIVOT clauses on one relation: {excerpt(node)}")
    pivot, (sql, columns) = pivots[0], source
    inner = binder.scope(scope)
    inner.add(columns)
    make = _unpivot if pivot.args.get("unpivot") else _pivot
    query = make(binder, pivot, f"FROM {sql}", columns, inner)
    alias = binder.alias()
    return f"({query.sql}) AS {quoted_name(alias)}", query.as_range(pivot.alias, alias)


def _fields_of(pivot: exp.Expr) -> tuple[exp.Expr, list[exp.Expr]]:
    """The column after FOR, and the list after IN."""
    fields = pivot.args["fields"]
    if len(fields) != 1 or not isinstance(fields[0], exp.In) or not fields[0].expressions:
        raise unsupported(f"this form of {excerpt(pivot)}")
    return fields[0].this, fields[0].expressions


def _pivot(binder: Binder, pivot: exp.Expr, source: str, columns: Range, scope: Scope) -> Query:
    key, in_nodes = _fields_of(pivot)
    aggregates = pivot.expressions
    if len(aggregates) > 1 and not all(isinstance(each, exp.Alias) for each in aggregates):
        raise invalid("PIVOT with several aggregates needs an alias for each")
    used_names = {name.name.lower() for node in (key, *aggregates) for name in node.find_all(exp.Column)}
    group_columns = [column for column in columns.columns if column.name.lower() not in used_names]
    for column in group_columns:
        if column.type.kind in ("ARRAY", "JSON"):
            raise invalid(f"PIVOT groups by {column.name}, and grouping by {column.type} is not allowed")
    items = [(column.name, Bound(column.sql, column.type)) for column in group_columns]
    items += [_cell(binder, aggregate, key, value, scope) for value in in_nodes for aggregate in aggregates]
    group = f" GROUP BY {', '.join(column.sql for column in group_columns)}" if group_columns else ""
    return _query(items, f"{source}{group}")


def _cell(binder: Binder, aggregate: exp.Expr, key: exp.Expr, value: exp.Expr, scope: Scope) -> tuple[str, Bound]:
    """A column of the result: its name, and the aggregate of the rows with one value."""
    literal = value.this if isinstance(value, exp.PivotAlias) else value
    name = value.args["alias"].name if isinstance(value, exp.PivotAlias) else _name_of(literal)
    call = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
    if isinstance(aggregate, exp.Alias):
        name = f"{aggregate.alias}_{name}"
    matches = exp.NullSafeEQ(this=key.copy(), expression=literal.copy())
    return name, binder.bind(_restricted(call, matches), scope)


def _restricted(call: exp.Expr, matches: exp.Expr) -> exp.Expr:
    """An aggregate call restricted to the rows that match."""
    if not isinstance(call, exp.Anonymous) or call.name.upper() not in _OF_ONE_VALUE or not call.expressions:
        raise unsupported(f"{excerpt(call)} in PIVOT; there are {', '.join(_OF_ONE_VALUE)}")
    first, *more_arguments = call.expressions
    if isinstance(first, exp.Star):
        return exp.Anonymous(this="COUNTIF", expressions=[matches])
    if isinstance(first, exp.Distinct):
        inner = _only_where(matches, first.expressions[0])
        return exp.Anonymous(this=call.name, expressions=[exp.Distinct(expressions=[inner]), *more_arguments])
    if not isinstance(first, exp.Column | exp.Literal | exp.Binary | exp.Anonymous | exp.Case | exp.If):
        raise unsupported(f"{excerpt(call)} in PIVOT")
    return exp.Anonymous(this=call.name, expressions=[_only_where(matches, first), *more_arguments])


def _only_where(matches: exp.Expr, value: exp.Expr) -> exp.Expr:
    return exp.If(this=matches, true=value.copy(), false=exp.Null())


def _name_of(literal: exp.Expr) -> str:
    if isinstance(literal, exp.Literal) and literal.is_string:
        return str(literal.this)
    if isinstance(literal, exp.Literal) and literal.this.isdigit():
        return f"_{literal.this}"
    raise unsupported(f"the value {excerpt(literal)} in PIVOT without an alias")


def _unpivot(binder: Binder, pivot: exp.Expr, source: str, columns: Range, scope: Scope) -> Query:
    name, in_nodes = _fields_of(pivot)
    names = [written_name(each.this if isinstance(each, exp.PivotAlias) else each) for each in in_nodes]
    if len(pivot.expressions) != 1 or not isinstance(pivot.expressions[0], exp.Identifier):
        raise unsupported(f"UNPIVOT of several columns at once: {excerpt(pivot)}")
    values = [scope.resolve([each]) for each in names]
    kinds = {value.type for value in values} - {NULL} or {INT64}
    kind = kinds.pop()
    if kinds:
        raise invalid(f"UNPIVOT needs columns of one type, not {', '.join(str(value.type) for value in values)}")
    labels = [_label(each) for each in in_nodes]
    pairs = zip(labels, values, strict=True)
    rows = ", ".join(f"struct_pack(k := {text(label)}, v := {value.sql})" for label, value in pairs)
    kept_columns = [column for column in columns.columns if column.name.lower() not in names]
    items = [(column.name, Bound(column.sql, column.type)) for column in kept_columns]
    alias = quoted_name(binder.alias())
    items += [
        (pivot.expressions[0].name, Bound(f"struct_extract({alias}.\"r\", 'v')", kind)),
        (name.name, Bound(f"struct_extract({alias}.\"r\", 'k')", STRING)),
    ]
    empty = "" if pivot.args.get("include_nulls") else f" WHERE struct_extract({alias}.\"r\", 'v') IS NOT NULL"
    return _query(items, f'{source} CROSS JOIN LATERAL (SELECT unnest([{rows}]) AS "r") AS {alias}{empty}')


def _label(node: exp.Expr) -> str:
    if not isinstance(node, exp.PivotAlias):
        return node.name
    alias = node.args["alias"]
    if not (isinstance(alias, exp.Literal) and alias.is_string):
        raise unsupported(f"the label {excerpt(alias)} in UNPIVOT: only a STRING")
    return str(alias.this)


def _query(items: list[tuple[str, Bound]], source: str) -> Query:
    names = [name.lower() for name, _ in items]
    if len(set(names)) < len(names):
        raise invalid("PIVOT or UNPIVOT gives two columns of one name")
    select_list = ", ".join(f"{value.sql} AS {quoted_name(name)}" for name, value in items)
    outputs: list[Output] = [Output(name, name, value.type) for name, value in items]
    return Query(f"SELECT {select_list} {source}", tuple(outputs))
