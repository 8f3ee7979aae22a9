"""Parsing GoogleSQL: sqlglot's BigQuery parser, which keeps every function call as written.

sqlglot turns known functions into classes of its own, reordering arguments and rewriting formats on the way.
Here a call stays a name with arguments, so the allow-list (`functions`) works with GoogleSQL's own names.
"""

import logging
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.bigquery import BigQueryParser
from sqlglot.tokenizer_core import Token, TokenType

from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.reserved import refuse_reserved_names

# sqlglot logs what it cannot parse and keeps it as a Command; a Command is refused by name.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class _Parser(BigQueryParser):
    # Otherwise sqlglot reads a column called `list`, or ARRAY(SELECT ...) with a subscript, as a constructor.
    ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
        name: parse
        for name, parse in BigQueryParser.FUNCTION_PARSERS.items()
        if name in ("CAST", "SAFE_CAST", "EXTRACT")
    }


class GoogleSql(BigQuery):
    """The dialect for parsing; it generates no SQL."""

    Parser = _Parser
    parser_class = _Parser  # type: ignore[assignment]


_DIALECT = GoogleSql()


def parse(sql: str) -> list[tuple[exp.Expr, str]]:
    """The statements of a script, each with its text.

    Raises:
        SqlError: The text is no GoogleSQL, or holds no statement.
    """
    try:
        pieces = _pieces(sql)
        node_texts = [(node, piece) for piece in pieces for node in sqlglot.parse(piece, dialect=_DIALECT)]
    except (ParseError, TokenError) as error:
        raise invalid(f"Syntax error: {_plain(error)}") from error
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        # sqlglot crashes on some malformed texts instead of refusing them.
        raise invalid(f"Syntax error: cannot be read ({type(error).__name__})") from error
    statements = [(node, piece) for node, piece in node_texts if node is not None]
    if not statements:
        raise invalid("Syntax error: Unexpected end of statement")
    for node, piece in statements:
        refuse_reserved_names(node, piece)
    return statements


def _pieces(sql: str) -> list[str]:
    """The texts between semicolons."""
    pieces, start, has_code = [], 0, False
    tokens = _DIALECT.tokenize(sql)
    for token, following in zip_longest(tokens, tokens[1:]):
        _check_pair(token, following)
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            pieces += [sql[start : token.start]] if has_code else []
            start, has_code = token.end + 1, False
        else:
            has_code = True
        if token.token_type == TokenType.PIPE_GT:
            raise unsupported("pipe syntax")
        if token.token_type in (TokenType.DCOLON, TokenType.NULLSAFE_EQ) or token.text == "==":
            raise invalid(f"Syntax error: Unexpected {token.text!r}")
    return [*pieces, sql[start:]] if has_code else pieces


def _check_pair(token: Token, following: Token | None) -> None:
    """Refuse what the parser silently drops: an AS without a name after it, extra digits of a NUMERIC literal."""
    next_type = following.token_type if following is not None else TokenType.SEMICOLON
    if token.token_type == TokenType.ALIAS and next_type in _ENDS:
        raise invalid(f"Syntax error: Unexpected end of statement after {token.text.upper()}")
    is_numeric = next_type == TokenType.STRING and token.text.upper() in ("NUMERIC", "DECIMAL")
    if is_numeric and following is not None and re.search(r"\.\d{10}", following.text):
        raise invalid(f'Invalid NUMERIC literal: "{following.text}"')


_ENDS = (TokenType.SEMICOLON, TokenType.COMMA, TokenType.R_PAREN)


def text_after_as(sql: str) -> str:
    """The query of a CREATE VIEW statement: what follows the first AS outside of brackets."""
    depth = 0
    for token in _DIALECT.tokenize(sql):
        depth += token.token_type == TokenType.L_PAREN
        depth -= token.token_type == TokenType.R_PAREN
        if depth == 0 and token.token_type == TokenType.ALIAS:
            return sql[token.end + 1 :].strip()
    raise invalid("Syntax error: CREATE VIEW without AS")


def _plain(error: Exception) -> str:
    faults = getattr(error, "errors", None)
    if not faults:
        return str(error).splitlines()[0]
    fault = faults[0]
    near = f" near {fault['highlight']!r}" if fault.get("highlight") else ""
    return f"{fault['description']}{near} at [{fault['line']}:{fault['col']}]"


def only(node: exp.Expr, *argument_names: str) -> None:
    """Refuse a node with arguments that the caller does not read: they would be silently dropped."""
    for name, value in node.args.items():
        if value and name not in argument_names:
            raise unsupported(f"{name.rstrip('_').upper()} in {excerpt(node)}")


def excerpt(node: exp.Expr) -> str:
    """The first characters of a node's text, for a message."""
    try:
        return repr(node.sql("bigquery")[:120])
    except (AttributeError, KeyError, TypeError, ValueError):
        # A malformed node has no text; the message goes without it.
        return type(node).__name__
