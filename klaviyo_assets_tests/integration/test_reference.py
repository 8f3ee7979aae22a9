"""A dozen raw shops through the real servers: Postgres, the whole pipeline, S3 and BigQuery's stand-in; every report.

Accounts of six disjoint shops each (`raw_shops.py`), one for each spelling of custom fields; the third is slow only
because a third takes its time. What the test in process replaces by plain Python, reading from Postgres, is the
product's own here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.sandbox.postgres import create_schema
from klaviyo_assets_tests.in_process import account_of
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox
from klaviyo_assets_tests.raw_shops import Drawn, accounts, camel, packed, unpacked
from klaviyo_assets_tests.reference import Reference, Row
from klaviyo_assets_tests.unit.reports.warehouse import differences

SHOPS, EVENTS = 6, 20
WANTED = {"converted", "unattributed", "opened", "clicked"}
ACCOUNTS = {
    "columns": {"spelled": unpacked, "source": "native"},
    "packed": {"spelled": packed, "source": "touch"},
    "camel": {"spelled": camel, "source": "auto"},
}
COMPARED = sorted(name for name, report in REPORTS.items() if not report.keeps_history)


def drawn(**stated: Any) -> Drawn:
    """The account with the most kinds of facts and credits among a few that are always the same."""
    drawn_accounts: list[Drawn] = []

    @settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate], database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(account=accounts(SHOPS, EVENTS, **stated))
    def draw(account: Drawn) -> None:
        drawn_accounts.append(account)

    draw()
    return max(drawn_accounts, key=richness)


def richness(drawn: Drawn) -> tuple[int, int, int]:
    """How many of the wanted facts there are, how many kinds of facts and credits, and how many credits."""
    reference = Reference(drawn.whole, drawn.settings)
    kinds = {(row["attribution_source"], row["touch_rank"], row["touch_event_id"] is None, row["send_at"] is None)
             for row in reference.attribution}  # fmt: skip
    facts = {fact["fact"] for fact in reference.facts}
    return len(facts & WANTED), len(kinds) + len(facts), len(reference.attribution)


@dataclass
class Loaded:
    """One account, loaded, and what the reference makes of its raw rows."""

    deployment: Deployment
    reference: Reference


@pytest.fixture(
    scope="module", params=["columns", *(pytest.param(name, marks=pytest.mark.slow) for name in ("packed", "camel"))]
)
def loaded(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Loaded]:
    """One account after the other, each in a schema and a dataset of its own."""
    account = drawn(**ACCOUNTS[request.param])
    with dg.DagsterInstance.ephemeral() as instance:
        deployment = deployed(sandbox, instance, f"odd_{request.param}", account)
        yield Loaded(deployment, Reference(account.whole, account.settings))


def deployed(sandbox: Sandbox, instance: dg.DagsterInstance, name: str, drawn: Drawn) -> Deployment:
    """A drawn account, written to Postgres and run."""
    account = account_of(drawn.settings, name)
    with sandbox.postgres() as connection:
        create_schema(connection, account.postgres_schema)
        for table, rows in drawn.whole.tables.items():
            write(connection, sql.Identifier(account.postgres_schema, table), rows)
    deployment = Deployment(sandbox, account, instance)
    times = [raw.get("datetime") or raw.get("timestamp") for raw in drawn.whole["event"]]
    days = sorted(at.astimezone(account.zone).date() for at in times if at)
    totals = deployment.run(account.start_date, days[-1])
    assert totals.failures == []
    return deployment


def write(connection: "Connection[tuple[Any, ...]]", table: sql.Identifier, rows: list[Row]) -> None:
    """A table with the columns that any row has, as Fivetran would type them."""
    names = sorted({name for row in rows for name in row})
    types = {name: kind([row[name] for row in rows if row.get(name) is not None]) for name in names}
    columns = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(types[n])) for n in names)
    connection.execute(sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(table, columns))
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(names))
    statement = sql.SQL("INSERT INTO {} VALUES ({})").format(table, marks)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[cell(row.get(name), types[name]) for name in names] for row in rows])


def kind(cells: list[Any]) -> str:
    """The Postgres type of a column by what is in it; mixed ones are text."""
    postgres_types = {datetime: "timestamptz", bool: "boolean", dict: "jsonb"}
    types = {postgres_types.get(type(value), "text") for value in cells}
    return types.pop() if len(types) == 1 else "text"


def cell(value: Any, wanted: str) -> Any:
    """A value as its column takes it."""
    if value is None or wanted in {"timestamptz", "boolean"}:
        return value
    return Jsonb(value) if wanted == "jsonb" else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("report", COMPARED)
def test_every_cell_of_a_report_is_the_references(loaded: Loaded, report: str) -> None:
    rows = [dict(row.items()) for row in loaded.deployment.dataset.query(f"SELECT * FROM `{report}`")]
    assert not differences(REPORTS[report], rows, loaded.reference.report(report))


def test_the_shops_have_something_of_most_things(loaded: Loaded) -> None:
    """Conversions earned and not, credits with a touch and completed from a receipt."""
    credited = loaded.reference.attribution
    assert {"own", "recorded" if loaded.reference.source == "native" else "last_touch"} <= {
        row["attribution_source"] for row in credited
    }
    assert any(row["touch_event_id"] for row in credited)
    assert any(row["touch_event_id"] is None and row["send_at"] for row in credited)
    assert {fact["fact"] for fact in loaded.reference.facts} >= WANTED
