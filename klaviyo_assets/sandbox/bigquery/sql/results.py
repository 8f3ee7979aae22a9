"""The outermost query of a statement: the rules for its output."""

from dataclasses import dataclass

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder
from klaviyo_assets.sandbox.bigquery.sql.model import Field, invalid
from klaviyo_assets.sandbox.bigquery.sql.scopes import Output, Query
from klaviyo_assets.sandbox.bigquery.sql.types import quoted_name, text, to_field


@dataclass(frozen=True)
class Result:
    """DuckDB text of a query and its columns for the API."""

    sql: str
    schema: tuple[Field, ...]


def result_query(binder: Binder, node: exp.Expr) -> Result:
    """The query, its output columns named as BigQuery names them.

    Raises:
        SqlError: Two output columns have one name.
    """
    query = binder.query(node, None)
    query.as_columns()
    _check_names(query)
    schema = tuple(to_field(output.physical, output.type) for output in query.outputs)
    if not any(output.type.kind == "ARRAY" for output in query.outputs):
        return Result(query.sql, schema)
    alias = binder.alias()
    columns = ", ".join(_checked(output, alias) for output in query.outputs)
    return Result(f"SELECT {columns} FROM ({query.sql}) AS {quoted_name(alias)}", schema)


def _check_names(query: Query) -> None:
    names = [output.name.lower() for output in query.outputs if output.name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise invalid(f"Duplicate column names in the result are not supported. Found duplicate(s): {', '.join(twice)}")


def _checked(output: Output, alias: str) -> str:
    """An array in the output has no NULL elements, and a NULL array becomes empty."""
    column = f"{quoted_name(alias)}.{quoted_name(output.physical)}"
    if output.type.kind != "ARRAY":
        return f"{column} AS {quoted_name(output.physical)}"
    message = f"Array cannot have a null element; error in writing field {output.name}"
    empty = f"CAST([] AS {output.type.duckdb})"
    return (
        f"CASE WHEN len(list_filter({column}, lambda each: each IS NULL)) > 0"
        f" THEN CAST(error({text(message)}) AS {output.type.duckdb})"
        f" ELSE coalesce({column}, {empty}) END AS {quoted_name(output.physical)}"
    )
