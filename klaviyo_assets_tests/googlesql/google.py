"""What Google's engine says of a statement, and what it gives for a query over given rows.

Here: tables, parameters, analyzing, evaluating, the columns of an answer. Not here: how the engine is called
(`engine.py`), what BigQuery's language is (`language.py`), cells (`mapping/values.py`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public_options_pb2
from zetasql.wasi._pb2.zetasql.public import simple_table_pb2
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2

from klaviyo_assets_tests.googlesql.engine import Engine
from klaviyo_assets_tests.googlesql.language import language_options
from klaviyo_assets_tests.googlesql.values import Field, cell_of, field_of, type_of, value_of


@dataclass(frozen=True)
class Parameter:
    """A named query parameter: its type as a field of the API, and its cell."""

    name: str
    field: Field
    cell: Any = None


@dataclass(frozen=True)
class Table:
    """A table or view: its columns, and its rows as lists of cells."""

    columns: Sequence[Field]
    rows: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True)
class Answer:
    """Columns and rows of a query."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]] = field(default_factory=list)


class GoogleSql:
    """Google's engine with a set of tables.

    Args:
        tables: By name. `project.dataset.table` may be written with any quoting; a name without points is a table of
            the default dataset.
        engine: One that runs already; otherwise one is started.
    """

    def __init__(self, tables: Mapping[str, Table] | None = None, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self._language = language_options()
        self._defaults = self.engine.call(
            "GetAnalyzerOptions", service.AnalyzerOptionsRequest(), options_pb2.AnalyzerOptionsProto
        )
        self.tables = tables or {}

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables by name; setting them replaces all."""
        return self._tables

    @tables.setter
    def tables(self, tables: Mapping[str, Table]) -> None:
        self._tables = dict(tables)
        self._contents: dict[str, service.TableContent] = {}
        request = _with_pool(service.RegisterCatalogRequest(simple_catalog=self._catalog(nested=True)))
        self._catalog_id = self.engine.call("RegisterCatalog", request, service.RegisterResponse).registered_id

    def analyze(self, sql: str, parameters: Sequence[Parameter] = ()) -> resolved_ast_pb2.AnyResolvedStatementProto:
        """The resolved form of one statement.

        Raises:
            GoogleSqlError: BigQuery's language refuses it.
        """
        request = service.AnalyzeRequest(
            options=self._options(parameters), sql_statement=sql, registered_catalog_id=self._catalog_id
        )
        return self.engine.call("Analyze", _with_pool(request), service.AnalyzeResponse).resolved_statement

    def columns(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[dict[str, Any]]:
        """Names and types of the columns that a statement gives or makes, or that a MERGE takes from its source.

        Raises:
            GoogleSqlError: BigQuery's language refuses it.
        """
        return output_columns(self.analyze(sql, parameters))

    def evaluate(self, sql: str, parameters: Sequence[Parameter] = (), names: Sequence[str] | None = None) -> Answer:
        """What a query gives over the rows of the tables.

        Args:
            sql: A SELECT. A table in a dataset has to be named in one pair of backticks.
            parameters: With their cells.
            names: The tables it reads; all of them by default.

        Raises:
            GoogleSqlError: The language refuses it, or it fails.
        """
        read = list(self._tables if names is None else names)
        request = service.EvaluateQueryRequest(
            sql=sql, options=self._options(parameters), simple_catalog=self._catalog(read)
        )
        for name in read:
            if name not in self._contents:
                self._contents[name] = _content(self._tables[name])
            request.table_content[name].CopyFrom(self._contents[name])
        for parameter in parameters:
            request.params.add(name=parameter.name, value=value_of(parameter.cell, parameter.field))
        answer = self.engine.call("EvaluateQuery", _with_pool(request), service.EvaluateQueryResponse)
        columns = answer.prepared.columns
        kinds = [column.type for column in columns]
        rows = [
            [cell_of(value, kind) for value, kind in zip(row.cell, kinds, strict=True)]
            for row in answer.content.table_data.row
        ]
        return Answer([field_of(column.name, column.type) for column in columns], rows)

    def _options(self, parameters: Sequence[Parameter]) -> options_pb2.AnalyzerOptionsProto:
        options = options_pb2.AnalyzerOptionsProto()
        options.CopyFrom(self._defaults)
        options.language_options.CopyFrom(self._language)
        options.default_timezone = "UTC"
        options.error_message_mode = public_options_pb2.ERROR_MESSAGE_ONE_LINE
        options.parameter_mode = public_options_pb2.PARAMETER_NAMED
        options.statement_context = public_options_pb2.CONTEXT_DEFAULT
        for parameter in parameters:
            options.query_parameters.add(name=parameter.name, type=type_of(parameter.field))
        return options

    def _catalog(
        self, names: Sequence[str] | None = None, nested: bool = False
    ) -> simple_catalog_pb2.SimpleCatalogProto:
        catalog = simple_catalog_pb2.SimpleCatalogProto(name="bigquery")
        catalog.builtin_function_options.language_options.CopyFrom(self._language)
        for number, name in enumerate(self._tables if names is None else names, 1):
            table = _table(name, number, self._tables[name].columns)
            catalog.table.append(table)
            if nested:
                for place, last in _places(catalog, name):
                    place.table.add().CopyFrom(table)
                    place.table[-1].name = last
        return catalog


def _table(name: str, number: int, columns: Sequence[Field]) -> simple_table_pb2.SimpleTableProto:
    table = simple_table_pb2.SimpleTableProto(name=name, full_name=name, serialization_id=number)
    for column in columns:
        table.column.add(name=column["name"], type=type_of(column), is_writable_column=True)
    return table


def _places(
    catalog: simple_catalog_pb2.SimpleCatalogProto, name: str
) -> Iterator[tuple[simple_catalog_pb2.SimpleCatalogProto, str]]:
    """Where `project.dataset.table` is looked for when it is written as a path, and under which last name.

    One pair of backticks around everything is one name; `p`.`d`.`t` and `p.d`.`t` are paths.
    """
    parts = re.fullmatch(r"((?:[^:]+:)?[^.]+)\.([^.]+)\.(.+)", name)
    if not parts:
        return
    project, dataset, last = parts.groups()
    rest = last.split(".")
    for path in ([project, dataset], [f"{project}.{dataset}"]):
        place = catalog
        for step in (*path, *rest[:-1]):
            place = next((inner for inner in place.catalog if inner.name == step), None) or place.catalog.add(name=step)
        yield place, rest[-1]


def _content(table: Table) -> service.TableContent:
    content = service.TableContent()
    content.table_data.SetInParent()
    for row in table.rows:
        cells = (value_of(cell, column) for cell, column in zip(row, table.columns, strict=True))
        content.table_data.row.add(cell=cells)
    return content


def _with_pool(request: Any) -> Any:
    """Add the engine's own types: functions with arguments such as DAY refer to them."""
    request.descriptor_pool_list.definitions.add().builtin.SetInParent()
    return request


def output_columns(statement: resolved_ast_pb2.AnyResolvedStatementProto) -> list[dict[str, Any]]:
    """Names and types of the columns that a resolved statement gives or makes; of a MERGE, those of its source."""
    node = _within(statement)
    if "from_scan" in node.DESCRIPTOR.fields_by_name:
        return [field_of(column.name, column.type) for column in _within(node.from_scan).parent.column_list]
    while "output_column_list" not in node.DESCRIPTOR.fields_by_name:
        if "parent" not in node.DESCRIPTOR.fields_by_name:
            return []
        node = _within(node.parent)
    return [field_of(column.name, column.column.type) for column in node.output_column_list]


def _within(node: Any) -> Any:
    """What stands in a place that may hold any of several kinds."""
    while "node" in node.DESCRIPTOR.oneofs_by_name:
        node = getattr(node, node.WhichOneof("node"))
    return node
