"""Google's own analyzer accepts every statement that is made from a spec, and gives the columns the spec declares.

Here: reports, views, portfolio, questions, merges, checksums, of every spec. Not here: what the product sends beside
these (`integration/test_statements.py`).
"""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from google.cloud.bigquery import QueryJobConfig, TableReference

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import schema_fields
from klaviyo_assets.destinations.bigquery.ledger import LEDGER, QUARANTINE
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS
from klaviyo_assets.tables import ACCOUNT_TABLES, TABLES
from klaviyo_assets_tests.googlesql.call_sites import PACKAGE, ROOT, side_doors
from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql, Table
from klaviyo_assets_tests.googlesql.product import Statement, account_tables, names_of, spec_statements
from klaviyo_assets_tests.googlesql.rules import RESERVED, broken_rules, odd_column

ACCOUNT = Account("select", "klaviyo_select", timezone="Europe/Berlin", currency="EUR", start_date=date(2026, 1, 1))
# Quoted in every statement (`ledger.PARTITION`); a name that people rely on is not changed.
QUOTED = {("ledger", "partition"), ("quarantine", "partition")}


@pytest.fixture(scope="module")
def google() -> GoogleSql:
    return GoogleSql()


def refusals(google: GoogleSql, statements: Iterator[Statement]) -> tuple[int, list[str]]:
    """How many statements there are, and what is wrong with any of them."""
    count, wrong = 0, []
    for count, statement in enumerate(statements, 1):  # noqa: B007 (the number of the last one)
        try:
            columns = google.columns(statement.sql, statement.parameters)
        except GoogleSqlError as error:
            wrong.append(f"{statement.label}: {error}")
            continue
        wrong += [f"{statement.label}: {rule}" for rule in broken_rules(statement.sql, columns)]
        if statement.columns is not None and names_of(columns) != statement.columns:
            wrong.append(f"{statement.label}: columns {names_of(columns)}, declared {statement.columns}")
    return count, wrong


def test_google_accepts_every_statement_of_every_spec(google, record_property):
    """The account is named by a reserved word, the project as old ones are."""
    dataset = "a-project.klaviyo_select"
    google.tables = account_tables(dataset)

    count, wrong = refusals(google, spec_statements(ACCOUNT, dataset))

    record_property("statements", count)
    assert wrong == []
    assert count > len(REPORTS) + len(VIEWS) + 2 * len(PORTFOLIO_VIEWS) + len(QUESTIONS) + 2 * len(ACCOUNT_TABLES)


@pytest.mark.parametrize("project", ["example.com:a-project", "123-numbers"])
def test_any_project_may_hold_the_datasets(google, project):
    dataset = f"{project}.klaviyo_rows"
    google.tables = account_tables(dataset)
    chosen = ("campaign_by_event_date", "looker_campaign_by_event_date")

    count, wrong = refusals(google, (each for each in spec_statements(ACCOUNT, dataset) if each.label.endswith(chosen)))

    assert wrong == []
    assert count == 3


@pytest.mark.parametrize("project", ["example.com:a-project", "123-numbers"])
def test_googles_client_reads_the_same_project_and_dataset(project):
    """The client takes apart the texts that name a query's default dataset and a load's partition."""
    default = QueryJobConfig(default_dataset=f"{project}.klaviyo_rows").default_dataset
    loaded = TableReference.from_string(f"{project}.klaviyo_rows.event$20260101")

    assert (default.project, default.dataset_id) == (project, "klaviyo_rows")
    assert (loaded.project, loaded.dataset_id, loaded.table_id) == (project, "klaviyo_rows", "event$20260101")


def test_no_column_needs_to_be_quoted_but_those_that_are():
    """Whoever writes a query by hand, of the product or against it, would stumble over a reserved word."""
    specs = {**TABLES, **REPORTS, **VIEWS}
    names = {(spec.name, column.name) for spec in specs.values() for column in spec.columns}
    names |= {("ledger", column.name) for column in LEDGER} | {("quarantine", column.name) for column in QUARANTINE}
    names |= {("", name) for name in specs}

    assert {pair for pair in names if pair[1].upper() in RESERVED} == QUOTED
    assert [reason for _, name in names for reason in odd_column(name)] == []


def test_google_refuses_every_reserved_word_as_a_name(google):
    accepted = {word for word in RESERVED if not is_refused(google, f"SELECT 1 AS {word}")}

    assert accepted == set()


def is_refused(google: GoogleSql, sql: str) -> bool:
    try:
        google.analyze(sql)
    except GoogleSqlError:
        return True
    return False


def test_every_table_may_be_partitioned_and_clustered_as_its_spec_says():
    """BigQuery: at most four columns to cluster by, none of them FLOAT; days are of a DATE."""
    for spec in (*TABLES.values(), *REPORTS.values()):
        kinds = {field.name: field.field_type for field in schema_fields(spec.columns)}
        assert len(kinds) == len({name.lower() for name in kinds}) == len(spec.columns)
        assert len(spec.cluster) <= 4
        assert not {kinds[name] for name in spec.cluster} & {"FLOAT", "RECORD", "JSON"}
        assert spec.day_column is None or kinds[spec.day_column] == "DATE"


# Who ran how much, as Google documents it: docs/looker_studio.md asks for it.
JOBS = Table(
    [
        {"name": "creation_time", "type": "TIMESTAMP"},
        {"name": "total_bytes_billed", "type": "INTEGER"},
        {"name": "labels", "type": "RECORD", "mode": "REPEATED",
         "fields": [{"name": "key", "type": "STRING"}, {"name": "value", "type": "STRING"}]},
    ]
)  # fmt: skip


def documented_queries() -> list[str]:
    """The SQL for BigQuery that the documentation and the help of `query` show."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), PACKAGE / "cli" / "query.py"]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    blocks = re.findall(
        r"```sql\n(.*?)```", (ROOT / "docs" / "looker_studio.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return [*blocks, *(sql for text in texts for sql in re.findall(r'--account \w+ "(SELECT [^"\n]+)"', text))]


def test_google_accepts_the_queries_that_the_documentation_shows(google):
    google.tables = {**account_tables("a-project.klaviyo_select"), "region-eu.INFORMATION_SCHEMA.JOBS": JOBS}
    queries = documented_queries()

    refused = [sql for sql in queries if is_refused(google, sql)]

    assert refused == []
    assert len(queries) >= 4


def test_sql_is_sent_through_one_method():
    assert side_doors() == set()


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT n, n FROM (SELECT 1 AS n)", "2 columns named 'n'"),
        ("SELECT n, 2 AS N FROM (SELECT 1 AS n)", "2 columns named 'n'"),
        ("SELECT COUNT(*) FROM (SELECT 1 AS n)", "has no name"),
        ("SELECT 1 AS _PARTITIONTIME", "keeps for itself"),
        ("SELECT ARRAY_AGG(n) AS ns FROM (SELECT 1 AS n)", "may be null"),
        ("SELECT a.n FROM (SELECT 1 AS n) AS a LEFT JOIN (SELECT 2 AS n) AS b ON a.n < b.n", "a LEFT JOIN has no"),
        ("SELECT a.n FROM (SELECT 1 AS n) AS a FULL JOIN (SELECT 2 AS n) AS b ON a.n = 1", "a FULL JOIN has no"),
        ("CREATE VIEW v (n OPTIONS(colour='red')) AS SELECT 1 AS n", "a column has no option 'colour'"),
        ("CREATE VIEW v (n) OPTIONS(labels=[('a', 'B')]) AS SELECT 1 AS n", "the label 'B'"),
        (f"CREATE VIEW v (n OPTIONS(description='{'x' * 1025}')) AS SELECT 1 AS n", "has 1,025 letters"),
    ],
)  # fmt: skip
def test_what_bigquery_refuses_beyond_its_language_is_named(google, sql, rule):
    assert rule in "; ".join(broken_rules(sql, google.columns(sql)))
