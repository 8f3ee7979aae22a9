"""What stands in Postgres: the raw rows of an account, and the tables that the package made of them.

Here: reading, and pairing the package's columns with canonical metrics. Not here: what the numbers mean.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from klaviyo_assets_tests.peer.cells import CREDIT, PERSON, PERSON_TOUCH, TOUCH, Cell, Cells
from klaviyo_assets_tests.reference import Shop, metrics

RAW_TABLES = ("event", "metric", "person", "campaign", "flow", "list")
SPANS = {"first_event_at": "first event", "last_event_at": "last event"}


def connect(url: str) -> "psycopg.Connection[dict[str, Any]]":
    """Postgres with rows as dicts; the package writes times without a zone in its session's, which was UTC."""
    return psycopg.connect(url, row_factory=dict_row, options="-c TimeZone=UTC -c default_transaction_read_only=on")


def raw_shop(connection: "psycopg.Connection[dict[str, Any]]", schema: str) -> Shop:
    """An account's raw tables, cells without a value left out."""
    present = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema]
    ).fetchall()
    tables = {}
    for name in sorted({row["table_name"] for row in present} & set(RAW_TABLES)):
        rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name)))
        tables[name] = [{key: value for key, value in row.items() if value is not None} for row in rows]
    return Shop(tables)


class PeerTables:
    """The package's tables of one account.

    Args:
        connection: To the database they are in.
        schema: The schema of its marts.
    """

    def __init__(self, connection: "psycopg.Connection[dict[str, Any]]", schema: str) -> None:
        self.connection = connection
        self.schema = schema

    def cells(self) -> Cells:
        """Everything of it that we have as well."""
        cells: Cells = {}
        for table, rows in (
            (PERSON_TOUCH, self.person_touch()), (PERSON_TOUCH, self.values()),
            (TOUCH, self.touches("campaign")), (TOUCH, self.touches("flow")), (PERSON, self.persons()),
            (CREDIT, self.credits()),
        ):  # fmt: skip
            cells |= {Cell(table, row, column): value for row, column, value in rows}
        return cells

    def person_touch(self) -> Iterator[tuple[Any, str, Any]]:
        """`klaviyo__person_campaign_flow`, its several rows of one person and touch added up."""
        columns = self.columns("klaviyo__person_campaign_flow")
        wanted = [sql.SQL("sum({0}) AS {0}").format(sql.Identifier(name)) for name in measured(columns)]
        rows = self.query(
            "SELECT person_id, last_touch_campaign_id, last_touch_flow_id, min(first_event_at) AS first_event_at, "
            "max(last_event_at) AS last_event_at, {} FROM {} "
            "WHERE last_touch_campaign_id IS NOT NULL OR last_touch_flow_id IS NOT NULL GROUP BY 1, 2, 3",
            wanted, "klaviyo__person_campaign_flow",
        )  # fmt: skip
        return narrow(rows, ("person_id", "last_touch_campaign_id", "last_touch_flow_id"))

    def values(self) -> Iterator[tuple[Any, str, Any]]:
        """The amounts of `klaviyo__events` before its marts cast them, by person and touch."""
        rows = self.query(
            "SELECT person_id, last_touch_campaign_id, last_touch_flow_id, lower(type) AS metric, "
            "sum(numeric_value) AS value FROM {} WHERE numeric_value IS NOT NULL "
            "AND (last_touch_campaign_id IS NOT NULL OR last_touch_flow_id IS NOT NULL) GROUP BY 1, 2, 3, 4",
            [], "klaviyo__events",
        )  # fmt: skip
        for row in rows:
            person, campaign, flow, metric, value = row.values()
            if metrics.canonical(metric) in metrics.VALUED and value:
                yield (person, campaign, flow), f"value {metrics.canonical(metric)}", value

    def touches(self, owner: str) -> Iterator[tuple[Any, str, Any]]:
        """`klaviyo__campaigns` or `klaviyo__flows`: how many people did what, its variations added up."""
        table = f"klaviyo__{owner}s"
        counted = [name for name in self.columns(table) if name.startswith("unique_count_")]
        wanted = [sql.SQL("sum({0}) AS {0}").format(sql.Identifier(name)) for name in counted]
        identified = sql.SQL("{} AS id").format(sql.Identifier(f"{owner}_id"))
        rows = self.query(
            "SELECT {}, sum(total_count_unique_people) AS people FROM {} GROUP BY id", [identified, *wanted], table
        )
        for row in rows:
            identifier = row.pop("id")
            of_owner = (identifier, None) if owner == "campaign" else (None, identifier)
            for name, value in row.items():
                if value:
                    column = name if name == "people" else f"people {metric_of(name, 'unique_count_')}"
                    yield of_owner, column, Decimal(value)

    def persons(self) -> Iterator[tuple[Any, str, Any]]:
        """`klaviyo__persons`: everything a person did, whatever earned it."""
        table = "klaviyo__persons"
        totals = [name for name in self.columns(table) if name.startswith("total_")]
        wanted = [
            sql.SQL("{} AS {}").format(sql.Identifier(name), sql.Identifier(name.removeprefix("total_")))
            for name in totals
        ]
        rows = self.query("SELECT person_id, first_event_at, last_event_at, {} FROM {}", wanted, table)
        return narrow(rows, ("person_id",))

    def credits(self) -> Iterator[tuple[Any, str, Any]]:
        """What `klaviyo__events` says of the touch of events that name no campaign or flow themselves."""
        rows = self.query(
            "SELECT event_id, last_touch_campaign_id AS campaign, last_touch_flow_id AS flow, "
            "last_touch_at AS \"touched at\", last_touch_event_type AS touch FROM {} WHERE campaign_id IS NULL "
            "AND flow_id IS NULL AND (last_touch_campaign_id IS NOT NULL OR last_touch_flow_id IS NOT NULL)",
            [], "klaviyo__events",
        )  # fmt: skip
        for row in rows:
            event_id = row.pop("event_id")
            yield from (((event_id,), name, in_utc(value)) for name, value in row.items() if value is not None)

    def columns(self, table: str) -> list[str]:
        """The columns of one of its tables."""
        rows = self.connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
            "ORDER BY ordinal_position", [self.schema, table],
        ).fetchall()  # fmt: skip
        return [row["column_name"] for row in rows]

    def query(self, text: str, wanted: list[sql.Composed], table: str) -> Iterable[dict[str, Any]]:
        """Rows of a query that has room for columns, where some are wanted, and for the table."""
        parts = [sql.SQL(", ").join(wanted)] if wanted else []
        where = sql.Identifier(self.schema, table)
        return self.connection.execute(sql.SQL(text).format(*parts, where)).fetchall()


def measured(columns: list[str]) -> list[str]:
    """The columns that count or add up."""
    return [name for name in columns if name.startswith(("count_", "sum_revenue_"))]


def narrow(rows: Iterable[dict[str, Any]], key: tuple[str, ...]) -> Iterator[tuple[Any, str, Any]]:
    """Each cell of wide rows that has a value."""
    for row in rows:
        for name, value in row.items():
            if name not in key and value:
                yield tuple(row[part] for part in key), column_of(name), in_utc(value)


def in_utc(value: Any) -> Any:
    """A time as what it is: it was written in a session in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def column_of(name: str) -> str:
    """Our word for one of its columns."""
    if name in SPANS:
        return SPANS[name]
    if name.startswith("sum_revenue_"):
        return f"revenue {metric_of(name, 'sum_revenue_')}"
    return f"count {metric_of(name, 'count_')}"


def metric_of(name: str, prefix: str) -> str:
    """The canonical metric that a column is named after."""
    return metrics.canonical(name.removeprefix(prefix).replace("_", " "))
