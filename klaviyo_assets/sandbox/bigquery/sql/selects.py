"""One SELECT: its items, the grouping rules, and the clauses in the order of BigQuery's evaluation."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, require
from klaviyo_assets.sandbox.bigquery.sql.dialect import only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.names import output_name, pack, written_name
from klaviyo_assets.sandbox.bigquery.sql.ordering import limits, ordered_by
from klaviyo_assets.sandbox.bigquery.sql.relations import bind_from
from klaviyo_assets.sandbox.bigquery.sql.scopes import Column, Output, Query, Scope, member
from klaviyo_assets.sandbox.bigquery.sql.types import BOOL, FLOAT64, NULL, quoted_name

_CLAUSES = (
    *("with_", "expressions", "from_", "joins", "where", "group", "having", "qualify"),
    *("order", "limit", "offset", "distinct", "kind", "windows"),
)


@dataclass
class Item:
    """An item of the SELECT list, after * is expanded; `make` binds it once the grouping is known."""

    name: str
    make: Callable[[], Bound]
    fixed: Bound | None = None

    def bind(self) -> Bound:
        """The expression."""
        return self.fixed if self.fixed is not None else self.make()


@dataclass
class _Select:
    """A SELECT under construction."""

    binder: Binder
    node: exp.Select
    scope: Scope
    items: list[Item] = field(default_factory=list)
    values: list[Bound] = field(default_factory=list)
    is_grouped: bool = False


def bind_select(binder: Binder, node: exp.Select, scope: Scope) -> Query:
    """Bind a SELECT whose WITH queries are already in `scope`."""
    only(node, *_CLAUSES)
    if node.args.get("distinct"):
        only(node.args["distinct"])
    select = _Select(binder, node, scope)
    _named_windows(node, scope)
    from_sql = bind_from(binder, node, scope)
    where = _where(select)
    select.items = [item for each in node.expressions for item in _items(select, each)]
    group = _group(select)
    _bind_items(select)
    having, qualify = _filter(select, "having"), _filter(select, "qualify")
    order = _order(select)
    _check_windows(select, qualify)
    outputs, columns = _outputs(select)
    distinct = "DISTINCT " if node.args.get("distinct") else ""
    tail = f"{from_sql}{where}{group}{having}{qualify}{order}{limits(binder, node, scope)}"
    is_value = node.args.get("kind") is not None
    return Query(f"SELECT {distinct}{columns}{tail}", outputs, frozenset(scope.used_outside), is_value)


def _named_windows(node: exp.Select, scope: Scope) -> None:
    for window in node.args.get("windows") or ():
        scope.windows[window.this.name.lower()] = window


def _where(select: _Select) -> str:
    clause = select.node.args.get("where")
    if clause is None:
        return ""
    if select.node.args.get("from_") is None:
        raise invalid("Query without FROM clause cannot have a WHERE clause")
    return f" WHERE {select.binder.condition(clause.this, select.scope, 'WHERE clause').sql}"


def _items(select: _Select, node: exp.Expr) -> list[Item]:
    scope = select.scope
    if isinstance(node, exp.Star):
        return _star(select, node, scope.visible, bool(scope.ranges))
    if isinstance(node, exp.Column | exp.Dot) and isinstance(_last(node), exp.Star):
        return _star(select, _last(node), _qualified(select, node), True)
    inner = node.this if isinstance(node, exp.Alias) else node
    return [Item(output_name(node), lambda: select.binder.bind(inner, scope))]


def _last(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Column) else node.expression  # type: ignore[no-any-return]


def _qualified(select: _Select, node: exp.Expr) -> list[Column]:
    """Columns of `t.*`, or fields of `s.*`."""
    scope = select.scope
    if isinstance(node, exp.Column):
        names = [part.name for part in node.parts[:-1]]
        owner = scope.range_named(names[0]) if len(names) == 1 else None
        if owner is not None:
            return list(owner.columns)
        value = scope.resolve(names)
    else:
        value = select.binder.bind(node.this, scope)
    if value.type.kind != "STRUCT":
        raise invalid(f"Dot-star is not supported for type {value.type}")
    return [Column(name, member(value, name).sql, kind) for name, kind in value.type.fields]


def _star(select: _Select, node: exp.Expr, columns: list[Column], has_from: bool) -> list[Item]:
    only(node, "except_", "replace")
    if not has_from:
        raise invalid("SELECT * must have a FROM clause")
    dropped = {written_name(each) for each in node.args.get("except_") or ()}
    replacements = {each.alias.lower(): each.this for each in node.args.get("replace") or ()}
    _check_names(dropped | replacements.keys(), columns)
    return [_star_item(select, column, replacements) for column in columns if column.name.lower() not in dropped]


def _check_names(names: set[str], columns: list[Column]) -> None:
    unknown = names - {column.name.lower() for column in columns}
    if unknown:
        raise invalid(f"Column {', '.join(sorted(unknown))} in SELECT * EXCEPT or REPLACE list does not exist")


def _star_item(select: _Select, column: Column, replacements: dict[str, exp.Expr]) -> Item:
    scope, node = select.scope, replacements.get(column.name.lower())
    if node is not None:
        return Item(column.name, lambda: select.binder.bind(node, scope))
    return Item(column.name, lambda: scope.as_group_key(scope.use(column)))


def _group(select: _Select) -> str:
    """GROUP BY: bind the keys and put them into the scope."""
    clause = select.node.args.get("group")
    if clause is None:
        return ""
    only(clause, "expressions", "all")
    if not clause.args.get("all") and not clause.expressions:
        raise invalid("Syntax error: GROUP BY without an expression")
    keys: list[Bound] = []
    if clause.args.get("all"):
        keys = [_fix(item) for item in select.items if _is_plain(item.bind())]
        pieces = [key.sql for key in keys]
    else:
        pieces = [_grouping(select, each, keys) for each in clause.expressions]
    _settle(select, keys)
    return f" GROUP BY {', '.join(pieces)}" if pieces else ""


def _is_plain(value: Bound) -> bool:
    return not value.has_aggregate and not value.has_window


def _fix(item: Item) -> Bound:
    item.fixed = item.bind()
    return item.fixed


def _settle(select: _Select, keys: list[Bound]) -> None:
    for key in keys:
        if not _is_plain(key):
            raise invalid("Aggregate or analytic function is not allowed in GROUP BY")
        if key.type.kind in ("ARRAY", "JSON"):
            raise invalid(f"Grouping by expressions of type {key.type} is not allowed")
    select.scope.group_keys = frozenset(key.sql for key in keys)
    select.is_grouped = True
    for item in select.items:
        if item.fixed is not None:
            item.fixed = select.scope.as_group_key(item.fixed)


_SETS: dict[type[exp.Expr], str] = {exp.Rollup: "ROLLUP", exp.Cube: "CUBE", exp.GroupingSets: "GROUPING SETS"}


def _grouping(select: _Select, node: exp.Expr, keys: list[Bound]) -> str:
    if type(node) in _SETS:
        key_list = ", ".join(_grouping(select, each, keys) for each in node.expressions)
        return f"{_SETS[type(node)]} ({key_list})"
    if isinstance(node, exp.Tuple):
        return f"({', '.join(_grouping(select, each, keys) for each in node.expressions)})"
    key = _group_key(select, node)
    keys.append(key)
    return key.sql


def _group_key(select: _Select, node: exp.Expr) -> Bound:
    node = node.unnest()
    if isinstance(node, _LITERALS):
        return _fix(_item_at(select, node, "GROUP BY"))
    if isinstance(node, exp.Column) and len(node.parts) == 1:
        items_named = [item for item in select.items if item.name.lower() == node.name.lower()]
        if items_named:
            return _fix(items_named[0])
    return select.binder.bind(node, select.scope)


_LITERALS = (exp.Literal, exp.Boolean, exp.Null)


def _item_at(select: _Select, node: exp.Expr, clause: str) -> Item:
    if not isinstance(node, exp.Literal) or node.is_string or not node.this.isdigit():
        raise invalid(f"Cannot {clause} literal values")
    if not 1 <= int(node.this) <= len(select.items):
        raise invalid(f"{clause} is out of SELECT column number range: {node.this}")
    return select.items[int(node.this) - 1]


def _bind_items(select: _Select) -> None:
    """Bind the items under the rules of grouping; their names become known to HAVING, QUALIFY, ORDER BY."""
    select.values = [item.bind() for item in select.items]
    if select.node.args.get("from_") is None and not all(_is_plain(value) for value in select.values):
        raise invalid("Aggregate or analytic function not allowed in SELECT without FROM clause")
    having = select.node.args.get("having")
    order = select.node.args.get("order")
    if any(value.has_aggregate for value in select.values) or having is not None:
        select.is_grouped = True
    if order is not None and not select.is_grouped:
        select.is_grouped = _orders_by_aggregate(select, order)
    for value in select.values:
        _check_grouped(select, value, "SELECT list")
    names = [item.name.lower() for item in select.items]
    select.scope.aliases = {
        name: value for name, value in zip(names, select.values, strict=True) if name and names.count(name) == 1
    }


def _orders_by_aggregate(select: _Select, order: exp.Expr) -> bool:
    names = {item.name.lower() for item in select.items}
    keys = [each.this for each in order.expressions if each.this.name.lower() not in names]
    return any(select.binder.bind(key, select.scope).has_aggregate for key in keys if isinstance(key, exp.Anonymous))


def _check_grouped(select: _Select, value: Bound, clause: str) -> None:
    if not select.is_grouped:
        return
    loose = select.scope.ungrouped_names(value)
    if loose:
        raise invalid(f"{clause} expression references column {loose[0]} which is neither grouped nor aggregated")


def _filter(select: _Select, name: str) -> str:
    clause = select.node.args.get(name)
    if clause is None:
        return ""
    word = name.upper()
    value = require(select.binder.bind(clause.this, select.scope), BOOL, f"{word} clause")
    if name == "having" and value.has_window:
        raise invalid("Analytic function not allowed in HAVING clause")
    if name == "qualify" and not value.has_window and not any(each.has_window for each in select.values):
        raise invalid("The QUALIFY clause requires analytic function to be present")
    _check_grouped(select, value, f"{word} clause")
    return f" {word} {value.sql}"


def _check_windows(select: _Select, qualify: str) -> None:
    if qualify and select.node.args.get("distinct"):
        raise unsupported("QUALIFY together with SELECT DISTINCT")


def _order(select: _Select) -> str:
    clause = select.node.args.get("order")
    if clause is None:
        return ""
    only(clause, "expressions")
    keys = [_order_key(select, each) for each in clause.expressions]
    return f" ORDER BY {', '.join(keys)}"


def _order_key(select: _Select, order_node: exp.Expr) -> str:
    node = order_node.this
    if isinstance(node, _LITERALS):
        _item_at(select, node, "ORDER BY")
        value, place = select.values[int(node.this) - 1], int(node.this)
    else:
        value = select.binder.bind(node, select.scope)
        texts = [each.sql for each in select.values]
        place = texts.index(value.sql) + 1 if value.sql in texts else 0
    _check_grouped(select, value, "ORDER BY clause")
    if value.type.kind in ("ARRAY", "STRUCT", "JSON"):
        raise invalid(f"ORDER BY does not support expressions of type {value.type}")
    if select.node.args.get("distinct") and not place:
        raise invalid("ORDER BY clause expression must be in the SELECT DISTINCT list")
    is_placed = place and select.node.args.get("kind") is None and value.type != FLOAT64
    return ordered_by(str(place) if is_placed else value.sql, value.type, order_node)


def _outputs(select: _Select) -> tuple[tuple[Output, ...], str]:
    """The output columns, and the SELECT list in DuckDB text."""
    pairs = [(item.name, value) for item, value in zip(select.items, select.values, strict=True)]
    if not pairs:
        raise invalid("SELECT list is empty")
    kind = select.node.args.get("kind")
    if kind is not None:
        if kind != "STRUCT":
            raise unsupported(f"SELECT AS {kind}")
        pairs = [("", pack(pairs))]
    if select.node.args.get("distinct"):
        _check_distinct([value for _, value in pairs])
    outputs: list[Output] = []
    texts, nameless = [], 0
    for place, (name, value) in enumerate(pairs):
        taken_names = {output.physical.lower() for output in outputs}
        physical = name or f"f{nameless}_"
        nameless += not name
        if physical.lower() in taken_names:
            physical = f"_c{place}"
        outputs.append(Output(name, physical, value.type))
        value_sql = f"CAST({value.sql} AS BIGINT)" if value.type == NULL else value.sql
        texts.append(f"{value_sql} AS {quoted_name(physical)}")
    return tuple(outputs), ", ".join(texts)


def _check_distinct(values: list[Bound]) -> None:
    for value in values:
        if value.type.kind in ("ARRAY", "JSON"):
            raise unsupported(f"SELECT DISTINCT of a column of type {value.type}")
