"""BigQuery's own rules on top of GoogleSQL: what its service refuses although the language allows it.

Here: the rules that statements of a reporting product may break. Not here: the language (`google.py`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp

# docs/reference/standard-sql/lexical, "Reserved keywords".
RESERVED = frozenset(
    """
    ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT
    DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL
    GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP
    MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE
    RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN
    WHERE WINDOW WITH WITHIN
    """.split()  # noqa: SIM905 (as Google lists them)
)
# A column may not begin so, in whatever case.
_PREFIXES = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_LONGEST_QUERY = 1_000_000
_LONGEST_DESCRIPTION = {"view": 16_384, "column": 1_024}
_VIEW_OPTIONS = frozenset({"description", "labels", "friendly_name", "expiration_timestamp"})


def broken_rules(sql: str, columns: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What BigQuery would refuse in an analyzed statement, each rule in a sentence.

    Args:
        sql: The statement.
        columns: Of its result, as the engine gives them.
    """
    statement = sqlglot.parse_one(sql, dialect="bigquery")
    return [*_of_names(columns), *_of_joins(statement), *_of_views(statement), *_of_sizes(sql)]


def _of_names(columns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """BigQuery: "Duplicate column names in the result are not supported"; names differ by more than their case."""
    for name, count in Counter(column["name"].lower() for column in columns).items():
        if count > 1:
            yield f"the result has {count} columns named {name!r}"
        yield from odd_column(name)
    for column in columns:
        if column.get("mode") == "REPEATED":
            # "Array cannot have a null element": whether one has is seen only where rows are.
            yield f"the result has an array, {column['name']!r}: none of its elements may be null"


def odd_column(name: str) -> Iterator[str]:
    """Why BigQuery takes no column of that name."""
    if not re.fullmatch(r"[A-Za-z_]\w{0,299}", name, re.ASCII):
        yield f"the column {name!r} has no name, or one that not every client takes"
    if name.upper().startswith(_PREFIXES):
        yield f"the column {name!r} begins with a word that BigQuery keeps for itself"


def _of_joins(statement: exp.Expr) -> Iterator[str]:
    """BigQuery: "LEFT OUTER JOIN cannot be used without a condition that is an equality of fields from both sides"."""
    for join in statement.find_all(exp.Join):
        if join.side and not join.args.get("using") and not isinstance(join.this, exp.Unnest) and not _equates(join):
            yield f"a {join.side} JOIN has no equality of both sides: {join.sql('bigquery')[:200]}"


def _equates(join: exp.Join) -> bool:
    condition = join.args.get("on")
    parts = condition.flatten() if isinstance(condition, exp.And) else [condition]
    return any(
        isinstance(part, exp.EQ)
        and len({column.table for side in (part.left, part.right) for column in side.find_all(exp.Column)}) > 1
        for part in (part.unnest() for part in parts if part is not None)
    )


def _of_views(statement: exp.Expr) -> Iterator[str]:
    if not isinstance(statement, exp.Create):
        return
    for column in statement.find_all(exp.ColumnDef):
        yield from odd_column(column.name)
    for options in statement.find_all(exp.Property):
        name = options.name.lower()
        of = "column" if options.find_ancestor(exp.ColumnDef) else "view"
        value = options.args.get("value")
        if name not in (_VIEW_OPTIONS if of == "view" else {"description"}):
            yield f"a {of} has no option {name!r}"
        if name == "description" and value is not None and len(value.name) > _LONGEST_DESCRIPTION[of]:
            yield f"the description of a {of} has {len(value.name):,} letters"
        if name == "labels" and value is not None:
            words = [literal.name for literal in value.find_all(exp.Literal)]
            yield from (f"the label {word!r}" for word in words if not re.fullmatch(r"[a-z0-9_-]{1,63}", word))


def _of_sizes(sql: str) -> Iterator[str]:
    if len(sql) > _LONGEST_QUERY:
        yield f"the statement has {len(sql):,} letters"
