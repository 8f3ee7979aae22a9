"""Queries: WITH, set operations, ORDER BY and LIMIT around them. A single SELECT is in `selects`."""

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.ordering import limits, ordered_by
from klaviyo_assets.sandbox.bigquery.sql.relations import aside
from klaviyo_assets.sandbox.bigquery.sql.scopes import Output, Query, Scope
from klaviyo_assets.sandbox.bigquery.sql.selects import bind_select
from klaviyo_assets.sandbox.bigquery.sql.types import FLOAT64, Type, promoted, quoted_name


def bind_query(binder: Binder, node: exp.Expr, parent: Scope | None) -> Query:
    """Bind a SELECT, a set operation, or either in brackets, with its WITH clause."""
    scope = binder.scope(parent)
    head = _with(binder, node.args.get("with_"), scope)
    query = _body(binder, node, scope)
    outer = query.outer | frozenset(scope.used_outside)
    return replace(query, sql=head + query.sql, outer=outer)


def _body(binder: Binder, node: exp.Expr, scope: Scope) -> Query:
    if isinstance(node, exp.Select):
        return bind_select(binder, node, scope)
    if isinstance(node, exp.Union | exp.Except | exp.Intersect):
        return _set_operation(binder, node, scope)
    if isinstance(node, exp.Subquery):
        return _bracketed(binder, node, scope)
    raise unsupported(f"{type(node).__name__} as a query: {excerpt(node)}")


def _bracketed(binder: Binder, node: exp.Subquery, scope: Scope) -> Query:
    only(node, "this", "with_", "order", "limit", "offset")
    query = bind_query(binder, node.this, scope)
    tail = _tail(binder, node, query.outputs, scope)
    return replace(query, sql=f"({query.sql}){tail}") if tail else query


def _with(binder: Binder, clause: exp.Expr | None, scope: Scope) -> str:
    """The WITH clause: its queries become known to `scope`."""
    if clause is None:
        return ""
    only(clause, "expressions", "recursive")
    recursive = bool(clause.args.get("recursive"))
    pieces = [_cte(binder, each, scope, recursive) for each in clause.expressions]
    return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(pieces)} "


def _cte(binder: Binder, node: exp.Expr, scope: Scope, recursive: bool) -> str:
    only(node, "this", "alias")
    if node.args["alias"].args.get("columns"):
        raise unsupported(f"column names in WITH {node.alias}")
    name = node.alias.lower()
    if name in scope.ctes:
        raise invalid(f"Duplicate alias {node.alias} for WITH subquery")
    alias, inner = binder.alias(), aside(binder, scope)
    if recursive and _reads(node.this, name):
        query = _recursion(binder, node, inner, alias)
    else:
        query = binder.query(node.this, inner)
    query.as_columns()
    scope.ctes = {**scope.ctes, name: Query(quoted_name(alias), query.outputs)}
    scope.used_outside |= query.outer
    return f"{quoted_name(alias)} AS ({query.sql})"


def _reads(node: exp.Expr, name: str) -> bool:
    return any(table.name.lower() == name and not table.db for table in node.find_all(exp.Table))


def _recursion(binder: Binder, node: exp.Expr, scope: Scope, alias: str) -> Query:
    """A recursive query: a start, UNION ALL, and a step whose columns must fit those of the start."""
    union = node.this
    if not isinstance(union, exp.Union) or union.args.get("distinct") or _reads(union.this, node.alias.lower()):
        raise invalid(
            f"Recursive query {node.alias} must be a start UNION ALL a step, and only the step may refer to it"
        )
    only(union, "this", "expression", "distinct")
    start = bind_query(binder, union.this, scope)
    start.as_columns()
    scope.ctes = {**scope.ctes, node.alias.lower(): Query(quoted_name(alias), start.outputs)}
    step = bind_query(binder, union.expression, scope)
    step.as_columns()
    kinds = _common_columns("UNION", [start, step])
    if kinds != [output.type for output in start.outputs]:
        start_types = ", ".join(str(output.type) for output in start.outputs)
        raise unsupported(f"a recursive query whose step is wider than its start ({start_types}): CAST the start")
    sql = f"({start.sql}) UNION ALL ({_convert_query(binder, step, kinds)})"
    return Query(sql, start.outputs, start.outer | step.outer)


_SIGNS = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


def _set_operation(binder: Binder, node: exp.Expr, scope: Scope) -> Query:
    only(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
    sign = _SIGNS[type(node)]  # type: ignore[index]
    if sign != "UNION" and not node.args.get("distinct"):
        raise unsupported(f"{sign} ALL")
    _check_mixture(node)
    sides = [bind_query(binder, node.args[name], scope) for name in ("this", "expression")]
    for side in sides:
        side.as_columns()
    kinds = _common_columns(sign, sides)
    left, right = (_convert_query(binder, side, kinds) for side in sides)
    outputs = _rename_outputs(sides[0].outputs, kinds)
    all_rows = "" if node.args.get("distinct") else " ALL"
    sql = f"({left}) {sign}{all_rows} ({right}){_tail(binder, node, outputs, scope)}"
    return Query(sql, outputs, sides[0].outer | sides[1].outer)


def _check_mixture(node: exp.Expr) -> None:
    for side in (node.args["this"], node.args["expression"]):
        if isinstance(side, exp.SetOperation) and (
            type(side) is not type(node) or side.args.get("distinct") != node.args.get("distinct")
        ):
            raise invalid("Syntax error: Different set operations cannot be used in the same query without brackets")


def _common_columns(sign: str, sides: Sequence[Query]) -> list[Type]:
    left, right = (side.outputs for side in sides)
    if len(left) != len(right):
        counts = f"{len(left)} and {len(right)}"
        raise invalid(f"Queries in {sign} have mismatched column count; they have {counts} columns")
    kinds = []
    for place, (first, second) in enumerate(zip(left, right, strict=True), start=1):
        kind = promoted([first.type, second.type])
        if kind is None:
            type_pair = f"{first.type}, {second.type}"
            raise invalid(f"Column {place} in {sign} has incompatible types: {type_pair}")
        kinds.append(kind)
    return kinds


def _rename_outputs(outputs: Sequence[Output], kinds: Sequence[Type]) -> tuple[Output, ...]:
    return tuple(replace(output, type=kind) for output, kind in zip(outputs, kinds, strict=True))


def _convert_query(binder: Binder, query: Query, kinds: Sequence[Type]) -> str:
    if [output.type for output in query.outputs] == list(kinds):
        return query.sql
    alias = binder.alias()
    columns = []
    for output, kind in zip(query.outputs, kinds, strict=True):
        column = f"{quoted_name(alias)}.{quoted_name(output.physical)}"
        columns.append(f"{cast_text(column, output.type, kind)} AS {quoted_name(output.physical)}")
    return f"SELECT {', '.join(columns)} FROM ({query.sql}) AS {quoted_name(alias)}"


def _tail(binder: Binder, node: exp.Expr, outputs: Sequence[Output], scope: Scope) -> str:
    """ORDER BY over output columns, LIMIT and OFFSET."""
    order = node.args.get("order")
    keys = [_output_key(each, outputs) for each in order.expressions] if order is not None else []
    order_sql = f" ORDER BY {', '.join(keys)}" if keys else ""
    return order_sql + limits(binder, node, scope)


def _output_key(node: exp.Expr, outputs: Sequence[Output]) -> str:
    names = [output.name.lower() for output in outputs]
    key = node.this
    if isinstance(key, exp.Literal) and not key.is_string:
        place = int(key.this)
    elif isinstance(key, exp.Column) and names.count(key.name.lower()) == 1 and len(key.parts) == 1:
        place = names.index(key.name.lower()) + 1
    else:
        raise unsupported(f"ORDER BY {excerpt(key)} after a set operation or a bracket")
    if not 1 <= place <= len(outputs):
        raise invalid(f"ORDER BY is out of SELECT column number range: {place}")
    output = outputs[place - 1]
    return ordered_by(quoted_name(output.physical) if output.type == FLOAT64 else str(place), output.type, node)
