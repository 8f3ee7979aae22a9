"""OVER: window specifications, and the functions that require one."""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.aggregates import refuse_nan, result
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, binds
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require, unify
from klaviyo_assets.sandbox.bigquery.sql.calls import AGGREGATES, ANALYTICS, Call, analytic
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.ordering import ordered_by
from klaviyo_assets.sandbox.bigquery.sql.scopes import Scope
from klaviyo_assets.sandbox.bigquery.sql.types import FLOAT64, INT64

_NUMBERING = {"ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG", "LEAD"}
_ORDERED = _NUMBERING - {"ROW_NUMBER"}


@binds(exp.Window)
def _window(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    """An analytic call."""
    inner = node.this
    if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        raise unsupported("IGNORE NULLS outside of the brackets of an analytic function")
    if not isinstance(inner, exp.Anonymous):
        raise unsupported(f"OVER after {excerpt(inner)}")
    name = inner.name.upper()
    over, parts, has_order, has_frame = _over(binder, node, scope)
    _check(name, has_order, has_frame)
    if has_order and any(isinstance(each, exp.Distinct) for each in inner.expressions):
        raise invalid("Window ORDER BY is not allowed if DISTINCT is specified")
    call = Call(name, inner.expressions, binder, scope, over)
    handler = ANALYTICS.get(name) or AGGREGATES.get(name)
    if handler is None:
        raise unsupported(f"the analytic function {name}")
    value = handler(call)
    if any(part.has_window for part in parts):
        raise invalid("Analytic functions cannot be nested")
    whole = combine(value.sql, value.type, [value, *parts])
    return Bound(whole.sql, whole.type, None, False, whole.ungrouped, whole.has_aggregate, True)


def _check(name: str, has_order: bool, has_frame: bool) -> None:
    if name in _ORDERED and not has_order:
        raise invalid(f"Window ORDER BY is required for analytic function {name.lower()}")
    if has_frame and (name in _NUMBERING or name.startswith("PERCENTILE_")):
        raise invalid(f"Window framing clause is not allowed for analytic function {name.lower()}")
    if has_order and name.startswith("PERCENTILE_"):
        raise invalid(f"Window ORDER BY is not allowed for analytic function {name.lower()}")


def _over(binder: Binder, node: exp.Expr, scope: Scope) -> tuple[str, list[Bound], bool, bool]:
    """DuckDB text of OVER (...), its bound expressions, and whether it has an order and a frame."""
    only(node, "this", "partition_by", "order", "spec", "alias", "over")
    partition, order, spec = _merge_windows(node, scope)
    keys = [_partition_key(binder.bind(each, scope)) for each in partition]
    order_keys = [(binder.bind(each.this, scope), each) for each in order]
    single = spec is not None and spec.args["kind"] == "RANGE"
    pieces = []
    if keys:
        pieces.append("PARTITION BY " + ", ".join(key.sql for key in keys))
    if order_keys:
        pieces.append(
            "ORDER BY " + ", ".join(ordered_by(key.sql, key.type, each, single=single) for key, each in order_keys)
        )
    if spec is not None:
        pieces.append(_frame(binder, spec, scope))
    values = [*keys, *(key for key, _ in order_keys)]
    return f" OVER ({' '.join(pieces)})", values, bool(order_keys), spec is not None


def _partition_key(value: Bound) -> Bound:
    if value.type.kind in ("ARRAY", "JSON", "STRUCT", "FLOAT64"):
        raise invalid(f"Partitioning by expressions of type {value.type} is not allowed")
    return value


def _merge_windows(node: exp.Expr, scope: Scope) -> tuple[list[exp.Expr], list[exp.Expr], exp.Expr | None]:
    """A window specification merged with the named one that it extends."""
    partition = list(node.args.get("partition_by") or ())
    order = node.args["order"].expressions if node.args.get("order") is not None else []
    spec = node.args.get("spec")
    alias = node.args.get("alias")
    if alias is None:
        return partition, order, spec
    base = scope.windows.get(alias.name.lower())
    if base is None:
        raise invalid(f"Unrecognized window alias {alias.name}")
    of_base = _merge_windows(base, scope)
    if partition or (order and of_base[1]) or (of_base[2] is not None and (order or spec)):
        raise invalid(f"A window on top of {alias.name} cannot redefine what it says")
    return of_base[0], order or of_base[1], spec or of_base[2]


_BOUNDS = ("PRECEDING", "FOLLOWING")


def _frame(binder: Binder, spec: exp.Expr, scope: Scope) -> str:
    only(spec, "kind", "start", "start_side", "end", "end_side")
    start = _frame_bound(binder, spec, "start", scope)
    end = _frame_bound(binder, spec, "end", scope) if spec.args.get("end") else "CURRENT ROW"
    kind = spec.args["kind"]
    if kind not in ("ROWS", "RANGE"):
        raise unsupported(f"a window frame in {kind}")
    return f"{kind} BETWEEN {start} AND {end}"


def _frame_bound(binder: Binder, spec: exp.Expr, name: str, scope: Scope) -> str:
    bound_value, side = spec.args[name], spec.args.get(f"{name}_side")
    if bound_value == "CURRENT ROW":
        return "CURRENT ROW"
    if side not in _BOUNDS:
        raise unsupported(f"a window frame bound {bound_value} {side}")
    if bound_value == "UNBOUNDED":
        return f"UNBOUNDED {side}"
    value = binder.bind(bound_value, scope)
    if value.literal is None or not value.type.is_numeric:
        raise invalid("A window frame bound must be a numeric literal or parameter")
    return f"{value.sql} {side}"


@analytic("ROW_NUMBER", "RANK", "DENSE_RANK")
def _position(call: Call) -> Bound:
    call.arity(0)
    return result(call, f"{call.name.lower()}(){call.over}", INT64, [])


@analytic("PERCENT_RANK", "CUME_DIST")
def _share(call: Call) -> Bound:
    call.arity(0)
    return result(call, f"{call.name.lower()}(){call.over}", FLOAT64, [])


@analytic("NTILE")
def _ntile(call: Call) -> Bound:
    call.arity(1)
    value = require(call.bind(0), INT64, "NTILE")
    return result(call, f"ntile({value.sql}){call.over}", INT64, [value])


@analytic("LAG", "LEAD")
def _neighbor(call: Call) -> Bound:
    call.arity(1, 3)
    value, *more_values = call.values()
    offset = require(more_values[0], INT64, call.name) if more_values else None
    if offset is not None and (offset.literal is None or offset.literal.startswith("-")):
        raise invalid(f"The offset of {call.name} must be a non-negative literal or parameter")
    extra = f", {offset.sql}" if offset is not None else ""
    kind = value.type
    if len(more_values) == 2:
        (value, default), kind = unify([value, more_values[1]], call.name)
        extra += f", {default.sql}"
    return result(call, f"{call.name.lower()}({value.sql}{extra}){call.over}", kind, [value, *more_values])


@analytic("FIRST_VALUE", "LAST_VALUE", "NTH_VALUE")
def _nth(call: Call) -> Bound:
    nulls = " IGNORE NULLS" if any(isinstance(node, exp.IgnoreNulls) for node in call.nodes) else ""
    call.arity(2 if call.name == "NTH_VALUE" else 1)
    nodes = [node.this if isinstance(node, exp.IgnoreNulls | exp.RespectNulls) else node for node in call.nodes]
    values = [call.binder.bind(node, call.scope) for node in nodes]
    argument_list = ", ".join(value.sql for value in values)
    return result(call, f"{call.name.lower()}({argument_list}{nulls}){call.over}", values[0].type, values)


@analytic("PERCENTILE_CONT")
def _percentile_cont(call: Call) -> Bound:
    value, share = _percentile(call)
    if not value.type.is_numeric:
        raise mismatch("PERCENTILE_CONT", [value])
    value = require(value, FLOAT64, "PERCENTILE_CONT")
    return result(call, f"quantile_cont({refuse_nan(call, value)}, {share}){call.over}", FLOAT64, [value])


@analytic("PERCENTILE_DISC")
def _percentile_disc(call: Call) -> Bound:
    value, share = _percentile(call)
    return result(call, f"quantile_disc({refuse_nan(call, value)}, {share}){call.over}", value.type, [value])


def _percentile(call: Call) -> tuple[Bound, str]:
    call.arity(2)
    spelling = call.literal(1, "percentile")
    if not 0 <= float(spelling) <= 1:
        raise invalid(f"The second argument to {call.name} must be between 0 and 1, not {spelling}")
    return call.bind(0), repr(float(spelling))
