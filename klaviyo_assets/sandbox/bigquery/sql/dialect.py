"""GoogleSQL as read: sqlglot's BigQuery parser with every function call kept as written.

sqlglot turns known functions into classes of its own, reordering arguments and rewriting formats on the way.
Here a call stays a name and its arguments, so the allow-list (`functions`) decides on GoogleSQL's own names.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.bigquery import BigQueryParser

from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported


class _Parser(BigQueryParser):
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
        name: parse
        for name, parse in BigQueryParser.FUNCTION_PARSERS.items()
        if name in ("CAST", "SAFE_CAST", "EXTRACT")
    }


class GoogleSql(BigQuery):
    """The dialect to parse with; nothing is generated in it."""

    Parser = _Parser
    parser_class = _Parser


_DIALECT = GoogleSql()


def parse(sql: str) -> list[exp.Expr]:
    """The statements of a script.

    Raises:
        SqlError: The text is no GoogleSQL, or holds no statement.
    """
    try:
        statements = [node for node in sqlglot.parse(sql, dialect=_DIALECT) if node is not None]
    except (ParseError, TokenError) as error:
        raise invalid(f"Syntax error: {_plain(error)}") from error
    statements = [node for node in statements if not isinstance(node, exp.Semicolon)]
    if not statements:
        raise invalid("Syntax error: Unexpected end of statement")
    return statements


def _plain(error: Exception) -> str:
    faults = getattr(error, "errors", None)
    if not faults:
        return str(error).splitlines()[0]
    fault = faults[0]
    near = f" near {fault['highlight']!r}" if fault.get("highlight") else ""
    return f"{fault['description']}{near} at [{fault['line']}:{fault['col']}]"


def only(node: exp.Expr, *allowed: str) -> None:
    """Refuse a node that says more than the caller reads: what is not read would be silently dropped."""
    for name, value in node.args.items():
        if value and name not in allowed:
            raise unsupported(f"{name.rstrip('_').upper()} in {node.sql('bigquery')[:120]!r}")
