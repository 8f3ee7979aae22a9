"""Binding one parsed statement: queries and transactions here, changes in `dml` and `ddl`."""

from collections.abc import Callable

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql import ddl, dml
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.dialect import only
from klaviyo_assets.sandbox.bigquery.sql.model import Statement, unsupported
from klaviyo_assets.sandbox.bigquery.sql.results import result_query

_TRANSACTIONS: dict[type[exp.Expr], str] = {
    exp.Transaction: "BEGIN_TRANSACTION",
    exp.Commit: "COMMIT_TRANSACTION",
    exp.Rollback: "ROLLBACK_TRANSACTION",
}
_CHANGES: dict[type[exp.Expr], Callable[[Binder, exp.Expr], Statement]] = {
    exp.Insert: dml.insert,
    exp.Update: dml.update,
    exp.Delete: dml.delete,
    exp.Merge: dml.merge,
    exp.TruncateTable: dml.truncate,
    exp.Drop: ddl.drop,
    exp.Alter: ddl.alter,
}


def bind_statement(binder: Binder, node: exp.Expr, statement_text: str) -> Statement:
    """Bind one statement, whose text is `statement_text`; `binder` collects its parameters and reads."""
    if isinstance(node, exp.Query):
        query = result_query(binder, node)
        return Statement("SELECT", query.sql, schema=query.schema)
    if type(node) in _TRANSACTIONS:
        only(node)
        return Statement(_TRANSACTIONS[type(node)], "")
    if isinstance(node, exp.Command) and statement_text.strip().upper() == "BEGIN":
        return Statement("BEGIN_TRANSACTION", "")
    if isinstance(node, exp.Create):
        return ddl.create(binder, node, statement_text)
    handler = _CHANGES.get(type(node))
    if handler is None:
        raise unsupported(f"the statement {statement_text.strip()[:120]!r}")
    return handler(binder, node)
