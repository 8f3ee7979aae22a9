"""Operators, CASE, CAST, predicates and subqueries used as expressions."""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.arithmetic import combine_numbers
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, binds
from klaviyo_assets.sandbox.bigquery.sql.binding import (
    Bound,
    combine,
    common_type,
    mismatch,
    require,
    unify,
)
from klaviyo_assets.sandbox.bigquery.sql.casts import cast_text
from klaviyo_assets.sandbox.bigquery.sql.dates import shift
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.names import number, typed_constructor
from klaviyo_assets.sandbox.bigquery.sql.scopes import Output, Query, Scope
from klaviyo_assets.sandbox.bigquery.sql.types import (
    BOOL,
    FLOAT64,
    INT64,
    NULL,
    STRING,
    Type,
    array_of,
    from_sqlglot,
    quoted_name,
)

_COMPARISONS = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}
_EQUALITIES = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)


def _operands(binder: Binder, node: exp.Expr, sign: str, scope: Scope) -> list[Bound]:
    """Both operands, or the one of a sign; BigQuery refuses a bare NULL."""
    sides = [node.args[name] for name in ("this", "expression") if name in node.args]
    if any(isinstance(side.unnest(), exp.Null) for side in sides if side is not None):
        raise invalid(f"Operands of {sign} cannot be literal NULL")
    return [binder.bind(side, scope) for side in sides]


@binds(*_COMPARISONS)
def _comparison(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expression")
    sign = _COMPARISONS[type(node)]  # type: ignore[index]
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        sides = [binder.bind(node.this, scope), binder.bind(node.expression, scope)]
    else:
        sides = _operands(binder, node, sign, scope)
    (left, right), kind = comparable(sides, f"operator {sign}")
    if kind.kind == "STRUCT" and not isinstance(node, _EQUALITIES):
        raise mismatch(f"operator {sign}", sides)
    return compared(left, sign, right)


_FLOAT_WORDS = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def compared(left: Bound, sign: str, right: Bound) -> Bound:
    """A comparison of two values of one type."""
    sql = f"({left.sql} {sign} {right.sql})"
    # In DuckDB, NaN equals itself and is the greatest number. A literal is never NaN.
    is_safe = sign in ("=", "<>") and (left.literal or right.literal)
    if left.type == FLOAT64 and sign in _FLOAT_WORDS and not is_safe:
        sql = f"bq_float_{_FLOAT_WORDS[sign]}({left.sql}, {right.sql})"
    return combine(sql, BOOL, [left, right])


def comparable(values: list[Bound], where: str) -> tuple[list[Bound], Type]:
    """Values in their common type, which must support equality."""
    unified, kind = unify(values, where)
    if kind.kind in ("ARRAY", "JSON"):
        raise invalid(f"{where} is not defined for arguments of type {kind}")
    return unified, kind


@binds(exp.And, exp.Or)
def _logical(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    sign = "AND" if isinstance(node, exp.And) else "OR"
    operands = [node.this, node.expression]
    values = [require(binder.bind(each, scope), BOOL, f"operator {sign}") for each in operands]
    return combine(f"({values[0].sql} {sign} {values[1].sql})", BOOL, values)


@binds(exp.Not)
def _not(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    value = require(_operands(binder, node, "NOT", scope)[0], BOOL, "operator NOT")
    return combine(f"(NOT {value.sql})", BOOL, [value])


@binds(exp.Between)
def _between(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "low", "high")
    values = [binder.bind(node.args[name], scope) for name in ("this", "low", "high")]
    (value, low, high), kind = comparable(values, "operator BETWEEN")
    sql = f"({value.sql} BETWEEN {low.sql} AND {high.sql})"
    if kind == FLOAT64:
        sql = f"({compared(value, '>=', low).sql} AND {compared(value, '<=', high).sql})"
    return combine(sql, BOOL, [value, low, high])


@binds(exp.Is)
def _is(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    value = binder.bind(node.this, scope)
    if isinstance(node.expression, exp.Null):
        return combine(f"({value.sql} IS NULL)", BOOL, [value])
    if not isinstance(node.expression, exp.Boolean):
        raise unsupported(f"IS {excerpt(node.expression)}")
    value = require(value, BOOL, "operator IS")
    truth = "true" if node.expression.this else "false"
    return combine(f"({value.sql} IS NOT DISTINCT FROM {truth})", BOOL, [value])


@binds(exp.Like)
def _like(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expression", "negate")
    negation = "NOT " if node.args.get("negate") else ""
    if isinstance(node.expression, exp.Any | exp.All):
        return _like_several(binder, node, negation, scope)
    left, right = (require(side, STRING, "operator LIKE") for side in _operands(binder, node, "LIKE", scope))
    return combine(f"({left.sql} {negation}LIKE {right.sql} ESCAPE '\\')", BOOL, [left, right])


def _like_several(binder: Binder, node: exp.Expr, negation: str, scope: Scope) -> Bound:
    """LIKE ANY (...), LIKE SOME (...), LIKE ALL (...) over a list of patterns."""
    patterns = node.expression.this
    if not isinstance(patterns, exp.Tuple | exp.Paren):
        raise unsupported(f"LIKE with {excerpt(node.expression)}")
    pattern_nodes = patterns.expressions if isinstance(patterns, exp.Tuple) else [patterns.this]
    values = [require(binder.bind(each, scope), STRING, "operator LIKE") for each in (node.this, *pattern_nodes)]
    value, *pattern_values = values
    sign = " OR " if isinstance(node.expression, exp.Any) else " AND "
    matches = (f"({value.sql} {negation}LIKE {each.sql} ESCAPE '\\')" for each in pattern_values)
    return combine(f"({sign.join(matches)})", BOOL, values)


@binds(exp.In)
def _in(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expressions", "query", "unnest")
    value = binder.bind(node.this, scope)
    if node.args.get("query") is not None:
        query = node.args["query"]
        return _in_query(binder, value, query.this if isinstance(query, exp.Subquery) else query, scope)
    if node.args.get("unnest") is not None:
        return _in_array(value, binder.bind(node.args["unnest"].expressions[0], scope))
    if not node.expressions:
        raise invalid("Syntax error: IN without a list")
    candidates = [binder.bind(each, scope) for each in node.expressions]
    (value, *candidates), kind = comparable([value, *candidates], "operator IN")
    if kind == FLOAT64 and any(each.literal is None for each in candidates):
        sql = " OR ".join(compared(value, "=", each).sql for each in candidates)
        return combine(f"({sql})", BOOL, [value, *candidates])
    return combine(f"({value.sql} IN ({', '.join(each.sql for each in candidates)}))", BOOL, [value, *candidates])


def _in_array(value: Bound, values: Bound) -> Bound:
    if values.type.element is None:
        raise invalid(f"Values referenced in UNNEST must be arrays. UNNEST contains {values.type}")
    kind = common_type([value, Bound("", values.type.element)], "operator IN UNNEST")
    value = require(value, kind, "operator IN UNNEST")
    cast = cast_text(values.sql, values.type, array_of(kind))
    if kind == FLOAT64:
        cast = f"list_filter({cast}, lambda each: each IS NULL OR NOT isnan(each))"
    return combine(f"({value.sql} IN (SELECT unnest({cast})))", BOOL, [value, values])


def _in_query(binder: Binder, value: Bound, node: exp.Expr, scope: Scope) -> Bound:
    query = binder.query(node, scope)
    output = single(query, "IN subquery")
    kind = common_type([value, Bound("", output.type)], "operator IN")
    value = require(value, kind, "operator IN")
    alias = binder.alias()
    cast = cast_text(f"{quoted_name(alias)}.{quoted_name(output.physical)}", output.type, kind)
    filter_sql = f" WHERE {cast} IS NULL OR NOT isnan({cast})" if kind == FLOAT64 else ""
    sql = f"({value.sql} IN (SELECT {cast} FROM ({query.sql}) AS {quoted_name(alias)}{filter_sql}))"
    return combine(sql, BOOL, [value, Bound("", NULL, ungrouped=query.outer)])


def single(query: Query, where: str) -> Output:
    """The only column of a subquery expression."""
    if len(query.outputs) != 1:
        raise invalid(f"{where} must have exactly one column, it has {len(query.outputs)}")
    return query.outputs[0]


@binds(exp.Exists)
def _exists(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    query = binder.query(node.this, scope)
    return Bound(f"EXISTS ({query.sql})", BOOL, ungrouped=query.outer)


@binds(exp.Subquery)
def _scalar_subquery(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    query = binder.query(node, scope)
    return Bound(f"({query.sql})", single(query, "Scalar subquery").type, ungrouped=query.outer)


def array_subquery(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    """ARRAY(SELECT ...)."""
    query = binder.query(node, scope)
    kind = single(query, "ARRAY subquery").type
    return Bound(f"ARRAY({query.sql})", array_of(kind), ungrouped=query.outer)


@binds(exp.DPipe)
def _concat(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expression", "safe")
    values = _operands(binder, node, "||", scope)
    (left, right), kind = unify(as_texts(values), "operator ||")
    if kind.kind not in ("STRING", "BYTES", "ARRAY"):
        raise mismatch("operator ||", values)
    if kind.kind == "ARRAY":
        guard = f"{left.sql} IS NULL OR {right.sql} IS NULL"
        sql = f"CASE WHEN {guard} THEN NULL ELSE list_concat({left.sql}, {right.sql}) END"
        return combine(sql, kind, values)
    return combine(f"({left.sql} || {right.sql})", kind, values)


def as_texts(values: list[Bound]) -> list[Bound]:
    """The values to concatenate: if one is a STRING, the others are cast to STRING."""
    kinds = {value.type.kind for value in values} - {"NULL"}
    if kinds & {"ARRAY", "STRUCT", "BYTES", "JSON"} or not kinds - {"STRING"}:
        return values
    texts = [cast_text(value.sql, value.type, STRING) for value in values]
    return [value.as_type(sql, STRING) for value, sql in zip(values, texts, strict=True) if sql is not None]


_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}


@binds(*_ARITHMETIC)
def _arithmetic(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expression", "typed", "safe")
    sign = _ARITHMETIC[type(node)]  # type: ignore[index]
    left, right = node.this, node.expression
    if isinstance(right, exp.Interval) or isinstance(left, exp.Interval):
        return shift(binder, left, right, sign, scope)
    sides = _operands(binder, node, sign, scope)
    kinds = [side.type.kind for side in sides]
    if sign == "+" and kinds == ["INT64", "DATE"]:
        sides, kinds = sides[::-1], kinds[::-1]
    if sign in "+-" and kinds == ["DATE", "INT64"]:
        sql = f"bq_checked_date({sides[0].sql} {sign} CAST({sides[1].sql} AS INTEGER))"
        return combine(sql, sides[0].type, sides)
    if sign == "-" and kinds in (["DATE", "DATE"], ["DATETIME", "DATETIME"], ["TIMESTAMP", "TIMESTAMP"]):
        raise unsupported(f"{kinds[0]} - {kinds[0]}, which is an INTERVAL: use {kinds[0]}_DIFF")
    return combine_numbers(sign, sides[0], sides[1])


_BITWISE: dict[type[exp.Expr], str] = {
    exp.BitwiseAnd: "({} & {})",
    exp.BitwiseOr: "({} | {})",
    exp.BitwiseXor: "xor({}, {})",
}


@binds(*_BITWISE)
def _bitwise(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    sign = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}[type(node)]  # type: ignore[index]
    operands = (node.this, node.expression)
    if any(isinstance(each, exp.Binary) and type(each) in _BITWISE.keys() - {type(node)} for each in operands):
        raise unsupported("&, | and ^ side by side without brackets")
    values = [require(each, INT64, f"operator {sign}") for each in _operands(binder, node, sign, scope)]
    return combine(_BITWISE[type(node)].format(values[0].sql, values[1].sql), INT64, values)


@binds(exp.BitwiseNot)
def _inverse(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    value = require(_operands(binder, node, "~", scope)[0], INT64, "operator ~")
    return combine(f"(~{value.sql})", INT64, [value])


@binds(exp.Neg)
def _negative(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    if isinstance(node.this, exp.Literal) and not node.this.args["is_string"]:
        return number(f"-{node.this.this}")
    value = _operands(binder, node, "-", scope)[0]
    if not value.type.is_numeric:
        raise mismatch("operator -", [value])
    # DuckDB negates the smallest INT64 into a larger type; BigQuery fails.
    return combine(f"(0 - {value.sql})" if value.type == INT64 else f"(-{value.sql})", value.type, [value])


@binds(exp.Case)
def _case(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "ifs", "default")
    ifs, operand = node.args["ifs"], node.this
    whens = [binder.bind(each.this, scope) for each in ifs]
    results = [binder.bind(each.args["true"], scope) for each in ifs]
    default = node.args.get("default")
    results.append(binder.bind(default, scope) if default is not None else Bound("NULL", NULL))
    head = ""
    if operand is not None:
        (subject, *whens), kind = comparable([binder.bind(operand, scope), *whens], "CASE")
        if kind == FLOAT64:
            return _cases("", [compared(subject, "=", when) for when in whens], results)
        whens = [combine(f"{when.sql}", when.type, [when, subject]) for when in whens]
        head = f" {subject.sql}"
    else:
        whens = [require(when, BOOL, "WHEN") for when in whens]
    return _cases(head, whens, results)


def _cases(head: str, whens: list[Bound], results: list[Bound]) -> Bound:
    values, kind = unify(results, "CASE")
    *thens, otherwise = values
    pairs = zip(whens, thens, strict=True)
    branches = " ".join(f"WHEN {when.sql} THEN {then.sql}" for when, then in pairs)
    return combine(f"CASE{head} {branches} ELSE {otherwise.sql} END", kind, [*whens, *values])


@binds(exp.If)
def _if(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    if node.args.get("false") is None:
        raise invalid("Number of arguments does not match for function IF")
    when = require(binder.bind(node.this, scope), BOOL, "IF")
    results = [binder.bind(node.args[name], scope) for name in ("true", "false")]
    return _cases("", [when], results)


@binds(exp.Cast)
def _cast(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "to")
    target = from_sqlglot(node.args["to"])
    if isinstance(node.this, exp.Array | exp.Struct) and target.kind in ("ARRAY", "STRUCT"):
        return typed_constructor(binder, node.this, target, scope)
    return cast(binder.bind(node.this, scope), target)


@binds(exp.TryCast)
def _safe_cast(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "to", "safe")
    value = cast(binder.bind(node.this, scope), from_sqlglot(node.args["to"]))
    return value.as_type(f"TRY({value.sql})", value.type)


def cast(value: Bound, target: Type) -> Bound:
    """CAST(value AS target)."""
    literal = value.literal
    if literal is not None and value.type.is_numeric and target.kind == "NUMERIC" and not value.is_parameter:
        return value.as_type(f"CAST('{literal}' AS {target.duckdb})", target)
    sql = cast_text(value.sql, value.type, target)
    if sql is None:
        raise invalid(f"Invalid cast from {value.type} to {target}")
    return value.as_type(sql, target)
