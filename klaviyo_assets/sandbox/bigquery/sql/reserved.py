"""GoogleSQL's reserved words: what cannot be a name unless it is quoted with backticks.

sqlglot accepts most of them as names, BigQuery none. One check of all names in a parsed
statement covers every position: columns, aliases of columns and tables, WITH queries, fields, windows.
"""

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.model import invalid

RESERVED = frozenset(
    """
    ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT
    DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM
    FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT
    LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE
    RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST
    USING WHEN WHERE WINDOW WITH WITHIN
    """.split()  # noqa: SIM905 - as the reference lists them, easy to compare
)
"""As BigQuery's lexical reference lists them."""


def refuse_reserved_names(statement: exp.Expr, statement_text: str) -> None:
    """Check the names of a statement; `statement_text` is the text it was parsed from.

    Raises:
        SqlError: An unquoted name is a reserved word.
    """
    for name in statement.find_all(exp.Identifier):
        start = name.meta.get("start")
        if name.args.get("quoted") or start is None or name.name.upper() not in RESERVED:
            continue
        if not _follows_a_dot(statement_text, start) and not _is_array_constructor(name):
            raise invalid(
                f"Syntax error: Unexpected keyword {name.name.upper()} at {_place(statement_text, start)};"
                f" as a name it needs backticks: `{name.name}`"
            )


def _follows_a_dot(statement_text: str, start: int) -> bool:
    """Only a name can follow a dot, so BigQuery accepts any word there."""
    return statement_text[:start].rstrip().endswith(".")


def _is_array_constructor(name: exp.Expr) -> bool:
    """ARRAY[1, 2] is read as a subscript on a column called ARRAY."""
    column = name.parent
    return name.name.upper() == "ARRAY" and isinstance(column, exp.Column) and isinstance(column.parent, exp.Bracket)


def _place(statement_text: str, start: int) -> str:
    text_before = statement_text[:start]
    return f"[{text_before.count(chr(10)) + 1}:{start - text_before.rfind(chr(10))}]"
