"""Numbers: + - * / and their result types, exact NUMERIC division.

INT64 widens to NUMERIC widens to FLOAT64; `/` of two INT64 is FLOAT64. NUMERIC is DECIMAL(38,9): products are
brought back to nine digits, quotients run on scaled integers; both round half away from zero. A FLOAT64 that
overflows is an error.
"""

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, common_type, mismatch, require
from klaviyo_assets.sandbox.bigquery.sql.types import FLOAT64, INT64, NULL, NUMERIC


def combine_numbers(sign: str, left: Bound, right: Bound) -> Bound:
    """`left sign right` for one of + - * /."""
    where = f"operator {sign}"
    kind = common_type([left, right], where)
    if kind == NULL or (kind == INT64 and sign == "/"):
        kind = FLOAT64 if sign == "/" else INT64
    if not kind.is_numeric:
        raise mismatch(where, [left, right])
    if kind == NUMERIC and sign == "*":
        return _numeric_product(left, right)
    sides = [require(side, kind, where) for side in (left, right)]
    if kind == NUMERIC and sign == "/":
        return combine(divide(sides[0].sql, sides[1].sql), NUMERIC, sides)
    if kind == FLOAT64 and not (left.type == right.type == INT64):
        return combine(f"bq_float_{_WORDS[sign]}({sides[0].sql}, {sides[1].sql})", kind, sides)
    return combine(f"({sides[0].sql} {sign} {sides[1].sql})", kind, sides)


_WORDS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


def divide(left: str, right: str) -> str:
    """DuckDB text of an exact NUMERIC quotient; by zero it is an error."""
    return f"bq_numeric_divide({left}, {right})"


def _numeric_product(left: Bound, right: Bound) -> Bound:
    whole = [side for side in (left, right) if side.type == INT64]
    if len(whole) == 1:
        part = right if whole[0] is left else left
        part = require(part, NUMERIC, "operator *")
        sql = f"(CAST({whole[0].sql} AS DECIMAL(19,0)) * {part.sql})"
        return combine(sql, NUMERIC, [left, right])
    sides = [require(side, NUMERIC, "operator *") for side in (left, right)]
    return combine(f"bq_numeric_multiply({sides[0].sql}, {sides[1].sql})", NUMERIC, sides)
