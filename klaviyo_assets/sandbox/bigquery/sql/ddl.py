"""CREATE, DROP and ALTER: what the server has to do.

OPTIONS, PARTITION BY and CLUSTER BY are metadata in the stand-in: they are read here and stored by the server.
An unknown option is refused unless it is NULL.
"""

from typing import Any

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, coerce
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only, text_after_as
from klaviyo_assets.sandbox.bigquery.sql.model import Field, Statement, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.relations import table_ref
from klaviyo_assets.sandbox.bigquery.sql.results import Result, result_query
from klaviyo_assets.sandbox.bigquery.sql.types import from_field, from_sqlglot, quoted_name, to_field


def create(binder: Binder, node: exp.Expr, statement_text: str) -> Statement:
    """CREATE TABLE, CREATE TABLE AS SELECT, CREATE VIEW."""
    only(node, "this", "kind", "replace", "exists", "properties", "expression")
    kind = node.args["kind"]
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"CREATE {kind}")
    has_list = isinstance(node.this, exp.Schema)
    ref = table_ref(binder, node.this.this if has_list else node.this)
    columns = node.this.expressions if has_list else []
    options: dict[str, Any] = {}
    options.update({"or_replace": True} if node.args.get("replace") else {})
    options.update({"if_not_exists": True} if node.args.get("exists") else {})
    _column_descriptions(columns, options)
    if kind == "VIEW":
        return _view(binder, node, columns, statement_text, Statement("CREATE_VIEW", "", target=ref, options=options))
    return _table(binder, node, columns, Statement("CREATE_TABLE", "", target=ref, options=options))


def _table(binder: Binder, node: exp.Expr, columns: list[exp.Expr], base: Statement) -> Statement:
    declared_fields = tuple(_field(each) for each in columns)
    if node.expression is None:
        if not declared_fields:
            raise invalid("CREATE TABLE must specify columns or AS SELECT")
        _table_properties(node, declared_fields, base.options)
        return Statement(base.kind, "", schema=declared_fields, target=base.target, options=base.options)
    result = _name_columns(result_query(binder, node.expression), binder, declared_fields)
    _table_properties(node, result.schema, base.options)
    return Statement(
        "CREATE_TABLE_AS_SELECT", result.sql, schema=result.schema, target=base.target, options=base.options
    )


def _name_columns(result: Result, binder: Binder, declared_fields: tuple[Field, ...]) -> Result:
    """The query of a CREATE TABLE AS SELECT, converted to the declared columns if there are any."""
    if not declared_fields:
        nameless = [each.name for each in result.schema if each.name.startswith("f") and each.name[1:-1].isdigit()]
        if nameless:
            raise invalid("CREATE TABLE columns must be named, but one of the columns has no name")
        return result
    if len(declared_fields) != len(result.schema):
        raise invalid("The number of columns in the column definition list does not match the query's")
    alias, cells = binder.alias(), []
    for output, column in zip(result.schema, declared_fields, strict=True):
        source = Bound(f"{quoted_name(alias)}.{quoted_name(output.name)}", from_field(output))
        value = coerce(source, from_field(column))
        if value is None:
            raise invalid(f"Column {column.name} has type {from_field(column)}, the query gives {source.type}")
        cells.append(f"{value.sql} AS {quoted_name(column.name)}")
    return Result(f"SELECT {', '.join(cells)} FROM ({result.sql}) AS {quoted_name(alias)}", declared_fields)


def _view(binder: Binder, node: exp.Expr, columns: list[exp.Expr], statement_text: str, base: Statement) -> Statement:
    result = result_query(binder, node.expression)
    if binder.used_parameters:
        raise invalid("Query parameters cannot be used in the body of a view")
    names = [property_node.name for property_node in columns]
    if names and names != [property_node.name for property_node in result.schema]:
        raise unsupported("a column list of a view that renames the query's columns")
    for property_node in node.args["properties"].expressions if node.args.get("properties") else []:
        _option(property_node, base.options)
    base.options["view_query"] = text_after_as(statement_text)
    return Statement("CREATE_VIEW", result.sql, schema=result.schema, target=base.target, options=base.options)


def _field(node: exp.Expr) -> Field:
    if not isinstance(node, exp.ColumnDef) or node.args.get("kind") is None:
        raise unsupported(f"{excerpt(node)} in a column list")
    only(node, "this", "kind", "constraints", "exists")
    column = to_field(node.name, from_sqlglot(node.args["kind"]))
    required = any(isinstance(each.kind, exp.NotNullColumnConstraint) for each in _constraints(node))
    return Field(column.name, column.type, "REQUIRED", column.fields) if required else column


def _constraints(node: exp.Expr) -> list[exp.ColumnConstraint]:
    constraints = list(node.args.get("constraints") or ())
    for constraint in constraints:
        if not isinstance(constraint.kind, exp.NotNullColumnConstraint | exp.Properties):
            raise unsupported(f"{excerpt(constraint)} on a column")
    return constraints


def _column_descriptions(columns: list[exp.Expr], options: dict[str, Any]) -> None:
    for column in columns:
        stated_options: dict[str, Any] = {}
        for constraint in _constraints(column):
            if isinstance(constraint.kind, exp.Properties):
                for option in constraint.kind.expressions:
                    _option(option, stated_options)
        if stated_options.keys() - {"description"}:
            raise unsupported(f"the column options {sorted(stated_options)}")
        if stated_options:
            options.setdefault("column_descriptions", {})[column.name] = stated_options["description"]


def _option(node: exp.Expr, options: dict[str, Any]) -> None:
    if type(node) is not exp.Property:
        raise unsupported(f"{type(node).__name__.removesuffix('Property').upper()} in CREATE")
    name, value = node.this.name.lower(), node.args["value"]
    if name in ("description", "friendly_name") and isinstance(value, exp.Literal | exp.RawString):
        options[name] = value.this
    elif name == "labels" and isinstance(value, exp.Array):
        options[name] = {pair.expressions[0].this: pair.expressions[1].this for pair in value.expressions}
    elif not isinstance(value, exp.Null):
        raise unsupported(f"the option {name}")


def _table_properties(node: exp.Expr, columns: tuple[Field, ...], options: dict[str, Any]) -> None:
    properties = node.args["properties"].expressions if node.args.get("properties") else []
    for property_node in properties:
        if isinstance(property_node, exp.PartitionedByProperty):
            _partition(property_node.this, columns, options)
        elif isinstance(property_node, exp.ClusterProperty):
            names = [_column(key.name, columns).name for key in property_node.expressions]
            options["cluster_fields"] = names
        else:
            _option(property_node, options)


def _column(name: str, columns: tuple[Field, ...]) -> Field:
    for field in columns:
        if field.name.lower() == name.lower():
            return field
    raise invalid(f"Unrecognized name: {name}")


_TRUNCATIONS = {
    "DATE_TRUNC": ("DATE", {"MONTH", "YEAR"}),
    "DATETIME_TRUNC": ("DATETIME", {"HOUR", "DAY", "MONTH", "YEAR"}),
    "TIMESTAMP_TRUNC": ("TIMESTAMP", {"HOUR", "DAY", "MONTH", "YEAR"}),
}


def _partition(node: exp.Expr, columns: tuple[Field, ...], options: dict[str, Any]) -> None:
    """PARTITION BY day, DATE(moment), or a *_TRUNC of either."""
    partition_text = node.sql("bigquery")
    kinds, part, source = {"DATE"}, "DAY", node
    if isinstance(node, exp.Anonymous) and node.name.upper() == "DATE" and len(node.expressions) == 1:
        kinds, source = {"TIMESTAMP", "DATETIME"}, node.expressions[0]
    elif isinstance(node, exp.Anonymous) and node.name.upper() in _TRUNCATIONS and len(node.expressions) == 2:
        kind, parts = _TRUNCATIONS[node.name.upper()]
        kinds, part, source = {kind}, node.expressions[1].name.upper(), node.expressions[0]
        if part not in parts:
            raise invalid(f"PARTITION BY {partition_text}: partitioning by {part} is not offered")
    if not isinstance(source, exp.Column | exp.Identifier):
        raise unsupported(f"PARTITION BY {partition_text}")
    column = _column(source.name, columns)
    if column.type not in kinds or column.mode == "REPEATED":
        raise invalid(f"PARTITION BY {partition_text}: column {column.name} has type {column.type}")
    options.update(partition_field=column.name, partition_type=part)


def drop(binder: Binder, node: exp.Expr) -> Statement:
    """DROP TABLE, DROP VIEW."""
    only(node, "exists", "tables", "kind")
    kind, tables = node.args["kind"], node.args["tables"]
    if kind not in ("TABLE", "VIEW") or len(tables) != 1:
        raise unsupported(f"DROP {kind}")
    options = {"if_exists": True} if node.args.get("exists") else {}
    return Statement(f"DROP_{kind}", "", target=table_ref(binder, tables[0]), options=options)


def alter(binder: Binder, node: exp.Expr) -> Statement:
    """ALTER TABLE ADD COLUMN and SET OPTIONS."""
    only(node, "this", "kind", "exists", "actions")
    if node.args["kind"] != "TABLE":
        raise unsupported(f"ALTER {node.args['kind']}")
    ref = table_ref(binder, node.this)
    options: dict[str, Any] = {"if_exists": True} if node.args.get("exists") else {}
    added_fields = []
    for action in node.args["actions"]:
        if isinstance(action, exp.ColumnDef):
            added_fields.append(_added_field(action, options))
        elif isinstance(action, exp.AlterSet) and action.expressions:
            only(action, "expressions")
            for column_node in action.expressions[0].expressions:
                _option(column_node, options)
        else:
            raise unsupported(f"{excerpt(action)} in ALTER TABLE")
    return Statement("ALTER_TABLE", "", schema=tuple(added_fields), target=ref, options=options)


def _added_field(node: exp.ColumnDef, options: dict[str, Any]) -> Field:
    column = _field(node)
    if column.mode == "REQUIRED":
        raise invalid(f"Cannot add the REQUIRED column {column.name} to an existing table")
    _column_descriptions([node], options)
    if node.args.get("exists"):
        options.setdefault("added_if_not_exists", set()).add(column.name)
    return column
