"""Query jobs: they translate GoogleSQL and run it statement by statement.

Here: reading a query's configuration, running scripts with their transactions, the bytes estimate.
What one statement does is in `statements`, what it means in `sql`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.sandbox.bigquery import allowed
from klaviyo_assets.sandbox.bigquery.catalog import Catalog
from klaviyo_assets.sandbox.bigquery.destinations import Destination, read_destination
from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, invalid_query, unsupported
from klaviyo_assets.sandbox.bigquery.jobs import Outcome, Run
from klaviyo_assets.sandbox.bigquery.locations import check_datasets, location_of
from klaviyo_assets.sandbox.bigquery.names import physical_name
from klaviyo_assets.sandbox.bigquery.results import ResultFiles
from klaviyo_assets.sandbox.bigquery.schema import columns_of
from klaviyo_assets.sandbox.bigquery.sizes import table_bytes
from klaviyo_assets.sandbox.bigquery.sql import Parameter, SqlError, Statement, translate
from klaviyo_assets.sandbox.bigquery.sql.model import TableRef
from klaviyo_assets.sandbox.bigquery.statements import DDL, Execution, relations
from klaviyo_assets.sandbox.bigquery.store import Store


@dataclass(frozen=True)
class Query:
    """A query as configured."""

    sql: str
    parameters: tuple[Parameter, ...] = ()
    default_dataset: str | None = None
    destination: Destination | None = None
    maximum_bytes: int | None = None


def read_query(configuration: Any) -> Query:
    """Check a job's `configuration.query`.

    Raises:
        ApiError: It asks for something that BigQuery refuses or the stand-in does not support.
    """
    allowed.check(configuration, allowed.QUERY, "configuration.query")
    if not configuration.get("query"):
        raise invalid("Required parameter is missing: query")
    if configuration.get("useLegacySql") is not False:
        # The API's default is legacy SQL; the client always sends false.
        raise unsupported("legacy SQL: send useLegacySql = false")
    destination = None
    if configuration.get("destinationTable"):
        destination = read_destination(configuration, "WRITE_EMPTY")
    elif configuration.get("schemaUpdateOptions") or configuration.get("timePartitioning"):
        raise invalid("schemaUpdateOptions and timePartitioning need a destinationTable")
    maximum = configuration.get("maximumBytesBilled")
    return Query(
        configuration["query"],
        tuple(_parameter(entry) for entry in configuration.get("queryParameters") or ()),
        (configuration.get("defaultDataset") or {}).get("datasetId"),
        destination,
        int(maximum) if maximum else None,
    )


def _parameter(entry: dict[str, Any]) -> Parameter:
    kind, value = entry.get("parameterType") or {}, entry.get("parameterValue") or {}
    name = entry.get("name")
    if not name:
        raise unsupported("positional query parameters: use @name")
    if kind.get("type") == "ARRAY":
        items = value.get("arrayValues")
        element = (kind.get("arrayType") or {}).get("type", "")
        values = None if items is None else [item.get("value") for item in items]
        return Parameter(name, f"ARRAY<{element}>", values)
    if kind.get("type") in (None, "STRUCT", "RANGE"):
        raise unsupported(f"the type {kind.get('type')} of the query parameter @{name}")
    return Parameter(name, kind["type"], value.get("value"))


@dataclass(frozen=True)
class Plan:
    """A translated query.

    Attributes:
        statements: In order.
        processed: The bytes it reads, as an estimate.
    """

    statements: list[Statement]
    processed: int

    @property
    def statement_type(self) -> str:
        """What the API calls it: a kind of statement, or SCRIPT."""
        return self.statements[0].kind if len(self.statements) == 1 else "SCRIPT"

    def statistics(self) -> dict[str, Any]:
        """Return the part of a job's statistics that is known before it runs."""
        query = {
            "statementType": self.statement_type,
            "totalBytesProcessed": str(self.processed),
            "totalBytesBilled": str(self.processed),
            "cacheHit": False,
        }
        return {"totalBytesProcessed": str(self.processed), "query": query}


def plan(query: Query, catalog: Catalog, location: str) -> Plan:
    """Translate a query against the tables as they are.

    Raises:
        SqlError: It is not a GoogleSQL, or outside the subset.
        ApiError: It would read more than its maximumBytesBilled, or a dataset is in another location.
    """
    statements = _translate(query, catalog)
    check_datasets(catalog, _datasets(query, statements), location)
    if not statements:
        raise invalid_query("Syntax error: the query holds no statement")
    _check_destination(query, statements)
    processed = sum(_bytes(statement, catalog) for statement in statements)
    if query.maximum_bytes is not None and processed > query.maximum_bytes:
        raise ApiError(
            400,
            "bytesBilledLimitExceeded",
            f"Query exceeded limit for bytes billed: {query.maximum_bytes}. {processed} or higher required. "
            "(The stand-in counts whole tables.)",
        )
    return Plan(statements, processed)


def _translate(query: Query, catalog: Catalog) -> list[Statement]:
    return translate(
        query.sql,
        parameters=query.parameters,
        schemas=catalog,
        default_project=catalog.project,
        default_dataset=query.default_dataset,
        physical_name=physical_name,
    )


def _datasets(query: Query, statements: list[Statement]) -> list[str]:
    """The datasets that a query names, the one that decides its location first."""
    names = [query.destination.address.ref[1]] if query.destination else []
    for statement in statements:
        names += [statement.target[1]] if statement.target else []
        names += sorted(ref[1] for ref in statement.reads)
    return [*names, query.default_dataset] if query.default_dataset else names


def location_of_query(query: Query, catalog: Catalog, default: str) -> str:
    """Return where a query runs if it names no location."""
    try:
        statements = _translate(query, catalog)
    except SqlError:
        # The job itself will report the error; until then the stated location must do.
        statements = []
    return location_of(catalog, _datasets(query, statements), default)


def dry_run(query: Query, catalog: Catalog, location: str) -> dict[str, Any]:
    """Return the statistics of a query that is not run."""
    query_plan = plan(query, catalog, location)
    statistics = query_plan.statistics()
    statistics["query"]["totalBytesProcessedAccuracy"] = "UPPER_BOUND"
    last = query_plan.statements[-1]
    if last.kind == "SELECT":
        statistics["query"]["schema"] = {"fields": columns_of(last.schema)}
    return statistics


def _check_destination(query: Query, statements: list[Statement]) -> None:
    if query.destination and (len(statements) > 1 or statements[0].kind != "SELECT"):
        raise invalid("configuration.query.destinationTable can only be set for one SELECT statement")


def _bytes(statement: Statement, catalog: Catalog) -> int:
    tables = (catalog.find_table(ref) for ref in statement.reads)
    return sum(table_bytes(catalog.cursor, table) for table in tables if table and not table.is_view)


class QueryWork:
    """What a query job does."""

    def __init__(self, query: Query, store: Store, project: str, results: ResultFiles, location: str) -> None:
        self._query, self._store, self._project, self._results = query, store, project, results
        self._location = location

    def targets(self) -> set[TableRef]:
        """Return the tables it writes, which only a translation can tell."""
        with self._store.snapshot() as cursor:
            query_plan = plan(self._query, Catalog(cursor, self._project), self._location)
        targets = {statement.target for statement in query_plan.statements if statement.target}
        if self._query.destination:
            targets.add(self._query.destination.address.ref)
        return targets

    def run(self, run: Run) -> Outcome:
        """Run all statements; the last one's effects are left for the job's end to commit."""
        catalog = Catalog(run.cursor, self._project)
        # Planned again: a table may have changed while this job waited for its turn.
        query_plan = plan(self._query, catalog, self._location)
        execution = Execution(catalog, run.job_id, self._results, self._query.destination)
        _run_all(query_plan.statements, execution)
        statistics = query_plan.statistics()
        statistics["query"] |= execution.statistics if len(query_plan.statements) == 1 else {}
        result = execution.result
        if query_plan.statement_type != "SCRIPT" and query_plan.statements[0].kind != "SELECT":
            result = None
        return Outcome(statistics, result)

    def end(self) -> None:
        """Do nothing: a query holds nothing but its transaction."""


def _run_all(statements: Iterable[Statement], execution: Execution) -> None:
    within = False
    # As in BigQuery, each statement outside BEGIN ... COMMIT is final by itself. Its commit is put off until the
    # next one starts, so that the last one's is also that of the job's record.
    commit_due = False
    for statement in statements:
        if commit_due:
            _begin_anew(execution.catalog, "COMMIT")
        within, ends = _next(statement, execution, within)
        commit_due = ends
    if within:
        raise invalid_query("Transaction control error: the script ends within a transaction; add COMMIT TRANSACTION")


def _begin_anew(catalog: Catalog, end: str) -> None:
    catalog.cursor.execute(end)
    catalog.cursor.execute("BEGIN TRANSACTION")
    catalog.forget()


def _next(statement: Statement, execution: Execution, within: bool) -> tuple[bool, bool]:
    """Run one statement; return whether a transaction is open after it, and whether a commit is due."""
    if statement.kind == "BEGIN_TRANSACTION":
        if within:
            raise invalid_query("Transaction control error: transactions cannot be nested")
        return True, False
    if statement.kind in ("COMMIT_TRANSACTION", "ROLLBACK_TRANSACTION"):
        if not within:
            raise invalid_query("Transaction control error: there is no transaction to end")
        if statement.kind == "ROLLBACK_TRANSACTION":
            _begin_anew(execution.catalog, "ROLLBACK")
        return False, True
    if within and statement.kind in DDL:
        raise invalid_query(f"{statement.kind} is not supported in a transaction")
    with relations(execution.catalog, statement.reads):
        execution.run(statement)
    return within, not within
