"""GoogleSQL for DuckDB: the translation behind the local stand-in for BigQuery.

A statement is parsed by sqlglot, then bound here: names resolved, types inferred and checked, functions looked up
in an allow-list, and DuckDB SQL written. What BigQuery would refuse is refused; what the stand-in does not offer
is refused by name. Nothing reaches DuckDB that was not understood.
"""

from klaviyo_assets.sandbox.bigquery.sql.allowed import function_names
from klaviyo_assets.sandbox.bigquery.sql.model import (
    Field,
    Parameter,
    SchemaLookup,
    SqlError,
    Statement,
    TableRef,
)
from klaviyo_assets.sandbox.bigquery.sql.session import session_setup
from klaviyo_assets.sandbox.bigquery.sql.translate import translate
from klaviyo_assets.sandbox.bigquery.sql.types import from_duckdb, to_field, type_named

__all__ = [
    "Field",
    "Parameter",
    "SchemaLookup",
    "SqlError",
    "Statement",
    "TableRef",
    "bigquery_type",
    "duckdb_type",
    "function_names",
    "session_setup",
    "translate",
]


def duckdb_type(bigquery_type: str) -> str:
    """DuckDB type of a scalar BigQuery type, by API name or GoogleSQL name.

    Raises:
        SqlError: The stand-in has no such type (BIGNUMERIC, GEOGRAPHY, ...).
    """
    return type_named(bigquery_type).duckdb


def bigquery_type(duckdb_type: str) -> Field:
    """API column, without name, for a DuckDB type as `DESCRIBE` spells it, e.g. "DECIMAL(38,9)[]".

    Raises:
        SqlError: No BigQuery type has this DuckDB type.
    """
    return to_field("", from_duckdb(duckdb_type))
