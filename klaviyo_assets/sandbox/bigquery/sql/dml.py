"""INSERT, UPDATE, DELETE, MERGE, TRUNCATE TABLE.

DuckDB converts freely on writing, BigQuery only between types that coerce: every value is brought to the column's type
here, or refused.
"""

from collections.abc import Sequence

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, coerce
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import Field, Statement, TableRef, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.relations import relation, table_ref
from klaviyo_assets.sandbox.bigquery.sql.scopes import Column, Range, Scope
from klaviyo_assets.sandbox.bigquery.sql.types import from_field, quoted_name


class _Target:
    """The table a statement changes."""

    def __init__(self, binder: Binder, node: exp.Expr) -> None:
        if not isinstance(node, exp.Table):
            raise unsupported(f"changing {excerpt(node)}")
        only(node, "this", "db", "catalog", "alias")
        self.ref: TableRef = table_ref(binder, node)
        self.fields = binder.catalog.columns(self.ref)
        if binder.catalog.schemas.view(self.ref) is not None:
            raise invalid(f"Cannot modify the view {'.'.join(self.ref)}")
        self.name = node.alias or self.ref[2]
        self.physical = binder.catalog.physical_name(self.ref)

    def field(self, name: str) -> Field:
        """The column called `name`."""
        for field in self.fields:
            if field.name.lower() == name.lower():
                return field
        raise invalid(f"Column {name} is not present in table {'.'.join(self.ref)}")

    def as_range(self, alias: str) -> Range:
        """The range variable of the table under a DuckDB alias."""
        columns = (
            Column(field.name, f"{quoted_name(alias)}.{quoted_name(field.name)}", from_field(field))
            for field in self.fields
        )
        return Range(self.name, tuple(columns))

    def named_fields(self, names: Sequence[str]) -> list[Field]:
        """The columns that an INSERT names, or all columns if it names none."""
        fields = [self.field(name) for name in names] if names else list(self.fields)
        names_given = [each.name for each in fields]
        if len(set(names_given)) < len(names_given):
            raise invalid("Duplicate column in the INSERT column list")
        missing = [each.name for each in self.fields if each.mode == "REQUIRED" and each.name not in names_given]
        if missing:
            raise invalid(f"Required column value for column {missing[0]} is not specified")
        return fields


def _assigned(value: Bound, column: Field) -> str:
    """`value` converted to the column's type."""
    coerced = coerce(value, from_field(column))
    if coerced is None:
        kinds = f"Value has type {value.type} which cannot be inserted into column {column.name}"
        raise invalid(f"{kinds}, which has type {from_field(column)}")
    return coerced.sql


def insert(binder: Binder, node: exp.Expr) -> Statement:
    """INSERT ... VALUES and INSERT ... SELECT."""
    only(node, "this", "expression")
    has_list = isinstance(node.this, exp.Schema)
    target = _Target(binder, node.this.this if has_list else node.this)
    columns = target.named_fields([each.name for each in node.this.expressions] if has_list else [])
    names = ", ".join(quoted_name(each.name) for each in columns)
    source = node.expression
    rows = (
        _values(binder, source, columns) if isinstance(source, exp.Values) else _select_source(binder, source, columns)
    )
    return Statement("INSERT", f"INSERT INTO {target.physical} ({names}) {rows}", target=target.ref)


def _values(binder: Binder, node: exp.Values, columns: Sequence[Field]) -> str:
    rows = []
    for row in node.expressions:
        cells = row.expressions if isinstance(row, exp.Tuple) else [row.unnest()]
        rows.append(f"({', '.join(_cells(binder, cells, columns, binder.scope()))})")
    return f"VALUES {', '.join(rows)}"


def _cells(binder: Binder, nodes: Sequence[exp.Expr], columns: Sequence[Field], scope: Scope) -> list[str]:
    if len(nodes) != len(columns):
        raise invalid(f"Inserted row has wrong column count; Has {len(nodes)}, expected {len(columns)}")
    return [_assigned(_plain(binder, node, scope), column) for node, column in zip(nodes, columns, strict=True)]


def _plain(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    if isinstance(node, exp.Var):
        raise unsupported(f"{node.name} as a value")
    value = binder.bind(node, scope)
    if value.has_aggregate or value.has_window:
        raise invalid("Aggregate and analytic functions are not allowed here")
    return value


def _select_source(binder: Binder, node: exp.Expr, columns: Sequence[Field]) -> str:
    query = binder.query(node, None)
    if len(query.outputs) != len(columns):
        counts = f"Has {len(query.outputs)}, expected {len(columns)}"
        raise invalid(f"Inserted row has wrong column count; {counts}")
    alias = binder.alias()
    cells = [
        _assigned(Bound(f"{quoted_name(alias)}.{quoted_name(output.physical)}", output.type), column)
        for output, column in zip(query.outputs, columns, strict=True)
    ]
    return f"SELECT {', '.join(cells)} FROM ({query.sql}) AS {quoted_name(alias)}"


def _assignments(binder: Binder, nodes: Sequence[exp.Expr], target: _Target, scope: Scope) -> str:
    """The SET list."""
    pieces, assigned_names = [], set()
    for node in nodes:
        left = node.this
        if not isinstance(node, exp.EQ) or not isinstance(left, exp.Column):
            raise unsupported(f"the assignment {excerpt(node)}")
        names = [part.name for part in left.parts]
        if len(names) > 1 and (len(names) > 2 or names[0].lower() != target.name.lower()):
            raise unsupported(f"an assignment to a field of a STRUCT: {'.'.join(names)}")
        column = target.field(names[-1])
        if column.name in assigned_names:
            raise invalid(f"Update item {column.name} assigned more than once")
        assigned_names.add(column.name)
        value = _assigned(_plain(binder, node.expression, scope), column)
        pieces.append(f"{quoted_name(column.name)} = {value}")
    return ", ".join(pieces)


def _where(node: exp.Expr, word: str) -> exp.Expr:
    clause = node.args.get("where")
    if clause is None:
        raise invalid(f"{word} must have a WHERE clause")
    condition: exp.Expr = clause.this
    return condition


def update(binder: Binder, node: exp.Expr) -> Statement:
    """UPDATE; with FROM it becomes a MERGE, which fails if two rows would change the same row."""
    only(node, "this", "expressions", "from_", "where")
    target, alias, scope = _Target(binder, node.this), binder.alias(), binder.scope()
    scope.add(target.as_range(alias))
    head = f"{target.physical} AS {quoted_name(alias)}"
    source = ""
    if node.args.get("from_") is not None:
        source, source_range = relation(binder, node.args["from_"].this, scope)
        if node.args["from_"].this.args.get("joins"):
            raise unsupported("joins in the FROM clause of UPDATE")
        scope.add(source_range)
    condition = binder.condition(_where(node, "UPDATE"), scope, "WHERE clause").sql
    changes = _assignments(binder, node.expressions, target, scope)
    sql = f"UPDATE {head} SET {changes} WHERE {condition}"
    if source:
        sql = f"MERGE INTO {head} USING {source} ON {condition} WHEN MATCHED THEN UPDATE SET {changes}"
    return Statement("UPDATE", sql, target=target.ref)


def delete(binder: Binder, node: exp.Expr) -> Statement:
    """DELETE."""
    only(node, "this", "tables", "where")
    tables = node.args.get("tables") or [node.this]
    target, alias, scope = _Target(binder, tables[0]), binder.alias(), binder.scope()
    scope.add(target.as_range(alias))
    condition = binder.condition(_where(node, "DELETE"), scope, "WHERE clause").sql
    sql = f"DELETE FROM {target.physical} AS {quoted_name(alias)} WHERE {condition}"
    return Statement("DELETE", sql, target=target.ref)


def truncate(binder: Binder, node: exp.Expr) -> Statement:
    """TRUNCATE TABLE."""
    only(node, "expressions")
    if len(node.expressions) != 1:
        raise unsupported("TRUNCATE of several tables")
    target = _Target(binder, node.expressions[0])
    return Statement("TRUNCATE_TABLE", f"DELETE FROM {target.physical}", target=target.ref)


class _Merge:
    """The scopes of a MERGE: its clauses see the target, the source, or both."""

    def __init__(self, binder: Binder, node: exp.Expr) -> None:
        self.binder = binder
        self.target = _Target(binder, node.this)
        alias = binder.alias()
        self.alias, self.head = alias, f"{self.target.physical} AS {quoted_name(alias)}"
        self.of_both, self.of_target, self.of_source = (binder.scope() for _ in range(3))
        self.source_sql, self.source = relation(binder, node.args["using"], binder.scope())
        target = self.target.as_range(alias)
        for scope, ranges in (
            (self.of_both, (target, self.source)),
            (self.of_target, (target,)),
            (self.of_source, (self.source,)),
        ):
            for range_variable in ranges:
                scope.add(range_variable)

    def condition(self, on: exp.Expr) -> str:
        """The ON clause. For FALSE, DuckDB would compare
        every pair of rows; for an equality that is never true, it uses a lookup.
        """
        condition_sql = self.binder.condition(on, self.of_both, "MERGE ON clause").sql
        if not (isinstance(on, exp.Boolean) and not on.this and self.source.columns):
            return condition_sql
        return f"{quoted_name(self.alias)}.rowid = CAST({self.source.columns[0].sql} IS NULL AS BIGINT) - 2"

    def when(self, node: exp.Expr) -> str:
        """One WHEN clause."""
        only(node, "matched", "source", "condition", "then")
        scope, words = self.of_both, "MATCHED"
        if not node.args.get("matched"):
            by_source = bool(node.args.get("source"))
            scope = self.of_target if by_source else self.of_source
            words = "NOT MATCHED BY SOURCE" if by_source else "NOT MATCHED"
        condition = node.args.get("condition")
        test = ""
        if condition is not None:
            test = f" AND {self.binder.condition(condition, scope, 'WHEN clause').sql}"
        return f"WHEN {words}{test} THEN {self.action(node.args['then'], scope)}"

    def action(self, node: exp.Expr, scope: Scope) -> str:
        """The action of a WHEN clause."""
        if isinstance(node, exp.Var) and node.name.upper() == "DELETE":
            return "DELETE"
        if isinstance(node, exp.Update):
            only(node, "expressions")
            return f"UPDATE SET {_assignments(self.binder, node.expressions, self.target, scope)}"
        if isinstance(node, exp.Insert):
            only(node, "this", "expression")
            return self.insertion(node, scope)
        raise unsupported(f"{excerpt(node)} in MERGE")

    def insertion(self, node: exp.Insert, scope: Scope) -> str:
        """INSERT (columns) VALUES (...), or INSERT ROW, which takes all columns of the source in order."""
        if isinstance(node.this, exp.Var) and node.this.name.upper() == "ROW":
            columns = self.target.named_fields([])
            sources = self.source.columns
            if len(sources) != len(columns):
                counts = f"Has {len(sources)}, expected {len(columns)}"
                raise invalid(f"Inserted row has wrong column count; {counts}")
            pairs = zip(sources, columns, strict=True)
            cells = [_assigned(Bound(source.sql, source.type), column) for source, column in pairs]
        else:
            names = [each.name for each in node.this.expressions] if node.this else []
            columns = self.target.named_fields(names)
            if not isinstance(node.expression, exp.Tuple):
                raise unsupported(f"{excerpt(node)} in MERGE")
            cells = _cells(self.binder, node.expression.expressions, columns, scope)
        column_list = ", ".join(quoted_name(each.name) for each in columns)
        return f"INSERT ({column_list}) VALUES ({', '.join(cells)})"


def merge(binder: Binder, node: exp.Expr) -> Statement:
    """MERGE, ON FALSE for replacing days in one statement included."""
    only(node, "this", "using", "on", "whens")
    parts = _Merge(binder, node)
    condition = parts.condition(node.args["on"])
    whens = " ".join(parts.when(each) for each in node.args["whens"].expressions)
    sql = f"MERGE INTO {parts.head} USING {parts.source_sql} ON {condition} {whens}"
    return Statement("MERGE", sql, target=parts.target.ref)
