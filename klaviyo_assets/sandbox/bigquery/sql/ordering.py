"""ORDER BY directions, LIMIT and OFFSET."""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.binding import require
from klaviyo_assets.sandbox.bigquery.sql.dialect import only
from klaviyo_assets.sandbox.bigquery.sql.model import invalid
from klaviyo_assets.sandbox.bigquery.sql.scopes import Scope
from klaviyo_assets.sandbox.bigquery.sql.types import FLOAT64, INT64, Type


def direction(node: exp.Expr) -> str:
    """ASC or DESC, and the place of NULLs: first when ascending, last when descending."""
    only(node, "this", "desc", "nulls_first")
    word = "DESC" if node.args.get("desc") else "ASC"
    return f" {word} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"


def ordered_by(sql: str, kind: Type, node: exp.Expr, *, single: bool = False) -> str:
    """A key of ORDER BY with its direction. NaN comes before all other numbers; in DuckDB it is the greatest.

    `single` keeps it to one key, as a RANGE frame with an offset requires.
    """
    way = direction(node)
    if kind != FLOAT64 or single:
        return sql + way
    nulls = way.partition(" NULLS ")[2]
    return f"isnan({sql}) {'ASC' if node.args.get('desc') else 'DESC'} NULLS {nulls}, {sql}{way}"


def limits(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """LIMIT and OFFSET; each is a literal or a parameter."""
    pieces = []
    for name, word in (("limit", "LIMIT"), ("offset", "OFFSET")):
        clause = node.args.get(name)
        if clause is None:
            continue
        value = require(binder.bind(clause.expression, scope), INT64, word)
        if value.literal is None or value.literal.startswith("-"):
            raise invalid(f"{word} expects a non-negative integer literal or parameter")
        pieces.append(f" {word} {value.sql}")
    return "".join(pieces)
