"""From GoogleSQL text to statements for DuckDB: scripts, parameters, the cache."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from klaviyo_assets.sandbox.bigquery.sql import arrays, dates, documents, functions, operators, texts  # noqa: F401 - they register what they offer
from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, Catalog
from klaviyo_assets.sandbox.bigquery.sql.dialect import parse
from klaviyo_assets.sandbox.bigquery.sql.model import (
    Field,
    Parameter,
    SchemaLookup,
    Statement,
    TableRef,
    invalid,
    unsupported,
)
from klaviyo_assets.sandbox.bigquery.sql.statements import bind_statement
from klaviyo_assets.sandbox.bigquery.sql.types import Type
from klaviyo_assets.sandbox.bigquery.sql.types import parse as parse_type


@dataclass
class _Recorded:
    """A schema lookup that remembers what it was asked: the cache replays it to see whether anything changed."""

    schemas: SchemaLookup
    tables: dict[TableRef, tuple[Field, ...] | None] = field(default_factory=dict)
    views: dict[TableRef, str | None] = field(default_factory=dict)

    def table(self, ref: TableRef) -> tuple[Field, ...]:
        """See `SchemaLookup`."""
        self.tables[ref] = None
        self.tables[ref] = self.schemas.table(ref)
        return self.schemas.table(ref)

    def view(self, ref: TableRef) -> str | None:
        """See `SchemaLookup`."""
        self.views[ref] = self.schemas.view(ref)
        return self.views[ref]
