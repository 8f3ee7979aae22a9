"""Leaves of an expression: literals, parameters, names, and the constructors of STRUCT and ARRAY."""

# ruff: noqa: ARG001 - every handler has the signature that `binds` calls

import json
import re

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, binds
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, coerce, combine, require, unify
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt, only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.scopes import Scope, member
from klaviyo_assets.sandbox.bigquery.sql.types import (
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    JSON,
    NULL,
    STRING,
    Type,
    array_of,
    member_names,
    quoted_name,
    text,
)


@binds(exp.Literal)
def _literal(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    value = node.this
    if node.args["is_string"]:
        return Bound(text(value), STRING, literal=value)
    return number(value)


def number(spelling: str) -> Bound:
    """A numeric literal; it is an INT64 if it has no point and no exponent."""
    if re.fullmatch(r"-?\d+", spelling):
        if not -(2**63) <= int(spelling) < 2**63:
            raise invalid(f"Invalid integer literal: {spelling}")
        return Bound(f"CAST({spelling} AS BIGINT)", INT64, literal=spelling)
    if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", spelling):
        raise invalid(f"Invalid numeric literal: {spelling}")
    return Bound(f"CAST({text(spelling)} AS DOUBLE)", FLOAT64, literal=spelling)


@binds(exp.RawString)
def _raw_string(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return Bound(text(node.this), STRING, literal=node.this)


@binds(exp.ByteString)
def _byte_string(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    if not node.this.isascii() or "\\" in node.this:
        raise unsupported("a BYTES literal with escapes or non-ASCII characters")
    return Bound(f"encode({text(node.this)})", BYTES)


@binds(exp.HexString)
def _hex_string(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return number(str(int(node.this, 16)))


@binds(exp.Boolean)
def _boolean(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return Bound("true" if node.this else "false", BOOL)


@binds(exp.Null)
def _null(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return Bound("NULL", NULL)


@binds(exp.ParseJSON)
def _json_literal(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "is_literal")
    if not isinstance(node.this, exp.Literal):
        raise unsupported(f"a field of a JSON value: {excerpt(node)}; use JSON_VALUE or JSON_QUERY")
    return Bound(f"CAST({text(normalized_json(node.this.this))} AS JSON)", JSON)


def normalized_json(document: str) -> str:
    """JSON text in BigQuery's form: keys sorted, numbers in their shortest form."""
    try:
        value = json.loads(document)
    except ValueError as error:
        raise invalid(f"Invalid JSON literal: {error}") from error
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@binds(exp.Parameter)
def _parameter(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    name = node.this.name.lower()
    if name not in binder.parameters:
        raise invalid(f"Query parameter '{node.this.name}' not found")
    binder.used_parameters.add(name)
    kind = binder.parameters[name]
    return Bound(f"CAST(${name} AS {kind.duckdb})", kind, literal="", is_parameter=True)


@binds(exp.Column)
def _column(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    assert isinstance(node, exp.Column)  # noqa: S101 - what it is registered for
    if isinstance(node.this, exp.Star):
        raise invalid("* is not allowed here")
    return scope.resolve([part.name for part in node.parts])


@binds(exp.Dot)
def _dot(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    if isinstance(node.expression, exp.Identifier):
        return member(binder.bind(node.this, scope), node.expression.name)
    raise unsupported(f"the function {excerpt(node)}")


@binds(exp.Paren)
def _paren(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return binder.bind(node.this, scope)


@binds(exp.Array)
def _array(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "expressions", "value_constructor", "struct_name_inheritance", "bracket_notation")
    return _array_of(binder, node.expressions, scope)


def _array_of(binder: Binder, nodes: list[exp.Expr], scope: Scope) -> Bound:
    if not nodes:
        return Bound("[]", Type("ARRAY", NULL), literal=None)
    values, kind = unify([binder.bind(each, scope) for each in nodes], "ARRAY")
    element_list = ", ".join(value.sql for value in values)
    return combine(f"[{element_list}]", array_of(kind), values)


@binds(exp.Tuple, exp.Struct)
def _struct(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return struct(binder, node.expressions, scope)


def struct(binder: Binder, nodes: list[exp.Expr], scope: Scope) -> Bound:
    """STRUCT(a, b AS c); names come from aliases, or else from columns."""
    if not nodes:
        raise unsupported("a STRUCT without fields")
    values = [binder.bind(each.this if isinstance(each, exp.Alias) else each, scope) for each in nodes]
    pairs = zip(nodes, values, strict=True)
    return pack([(output_name(node), value) for node, value in pairs])


def pack(members: list[tuple[str, Bound]]) -> Bound:
    """A STRUCT of named values."""
    kind = Type("STRUCT", None, tuple((name, value.type) for name, value in members))
    parts = zip(member_names(kind), members, strict=True)
    packed = ", ".join(f"{quoted_name(name)} := {_typed_null(value)}" for name, (_, value) in parts)
    return combine(f"struct_pack({packed})", kind, [value for _, value in members])


def _typed_null(value: Bound) -> str:
    return "CAST(NULL AS BIGINT)" if value.type == NULL else value.sql


def output_name(node: exp.Expr) -> str:
    """The name BigQuery infers for a SELECT item or a STRUCT field; "" when there is none."""
    if isinstance(node, exp.Alias):
        return node.alias
    if isinstance(node, exp.Column | exp.Dot):
        return node.name
    return ""


def written_name(node: exp.Expr) -> str:
    """The lower-case name in a list that allows only names: USING, EXCEPT.

    Raises:
        SqlError: It is a literal or an expression.
    """
    if not isinstance(node, exp.Identifier | exp.Column):
        raise invalid(f"Syntax error: a name is expected, not {excerpt(node)}")
    return str(node.name.lower())


@binds(exp.Bracket)
def _subscript(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    only(node, "this", "expressions", "offset", "safe")
    if isinstance(node.this, exp.Column) and _is_word(node.this, "ARRAY"):
        return _array_of(binder, node.expressions, scope)
    values = binder.bind(node.this, scope)
    if values.type.kind != "ARRAY" or values.type.element is None or len(node.expressions) != 1:
        raise unsupported(f"a subscript on a value of type {values.type}")
    subscript_node, first, is_safe = _position(node)
    place = require(binder.bind(subscript_node, scope), INT64, "array subscript")
    inside = f"({place.sql} >= {first} AND {place.sql} < len({values.sql}) + {first})"
    element_sql = f"{values.sql}[{place.sql} + {1 - first}]"
    kind = values.type.element
    otherwise = "NULL" if is_safe else f"CAST(error('Array index out of bounds') AS {kind.duckdb})"
    guard = f"{values.sql} IS NULL OR {place.sql} IS NULL"
    sql = f"CASE WHEN {guard} THEN NULL WHEN {inside} THEN {element_sql} ELSE {otherwise} END"
    return combine(sql, kind, [values, place])


def _is_word(node: exp.Column, word: str) -> bool:
    return len(node.parts) == 1 and node.name.upper() == word and not node.this.args.get("quoted")


_POSITIONS = {
    "OFFSET": (0, False),
    "ORDINAL": (1, False),
    "SAFE_OFFSET": (0, True),
    "SAFE_ORDINAL": (1, True),
}


def _position(node: exp.Expr) -> tuple[exp.Expr, int, bool]:
    """The expression in the brackets, the number of the first element, and whether an index outside gives NULL."""
    inner = node.expressions[0]
    if isinstance(inner, exp.Anonymous) and inner.name.upper() in _POSITIONS and len(inner.expressions) == 1:
        return inner.expressions[0], *_POSITIONS[inner.name.upper()]
    return inner, node.args.get("offset") or 0, bool(node.args.get("safe"))


def typed_constructor(binder: Binder, node: exp.Expr, target: Type, scope: Scope) -> Bound:
    """ARRAY<T>[...] and STRUCT<...>(...): members coerce, they are not cast."""
    if isinstance(node, exp.Array) and target.element is not None:
        members = [binder.bind(each, scope) for each in node.expressions]
        if any(coerce(value, target.element) is None for value in members):
            raise unsupported(f"an ARRAY whose elements are not of type {target.element}: CAST each of them")
        values = [require(value, target.element, "ARRAY") for value in members]
        element_list = ", ".join(value.sql for value in values)
        return combine(f"CAST([{element_list}] AS {target.duckdb})", target, values)
    values = [binder.bind(each, scope) for each in node.expressions]
    if len(values) != len(target.fields):
        raise invalid(f"STRUCT type has {len(target.fields)} fields but constructor call has {len(values)}")
    coerced = [coerce(value, kind) for value, (_, kind) in zip(values, target.fields, strict=True)]
    if any(value is None for value in coerced):
        raise invalid(f"Struct fields do not match {target}")
    names = [name for name, _ in target.fields]
    return pack([(name, value) for name, value in zip(names, coerced, strict=True) if value is not None])
