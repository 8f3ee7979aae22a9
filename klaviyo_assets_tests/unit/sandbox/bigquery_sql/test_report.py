"""A report as the product writes them, over two tables, against the same numbers computed in Python."""

import json
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets.sandbox.bigquery.sql import Field, Parameter
from klaviyo_assets_tests.unit.sandbox.bigquery_sql.engine import Engine

EVENT = (
    Field("event_id", "STRING"),
    Field("occurred_at", "TIMESTAMP"),
    Field("metric", "STRING"),
    Field("person_id", "STRING"),
    Field("campaign_id", "STRING"),
    Field("value", "NUMERIC"),
    Field("properties", "STRING"),
)
CAMPAIGN = (Field("campaign_id", "STRING"), Field("name", "STRING"))

REPORT = """
WITH days AS (
  SELECT day FROM UNNEST(GENERATE_DATE_ARRAY(@first, @last)) AS day
),
touched AS (
  SELECT
    e.event_id, e.person_id, e.metric, e.value, c.campaign_id, c.name,
    DATE(e.occurred_at, @zone) AS occurred_on,
    JSON_VALUE(e.properties, '$."$client"') AS client,
    ROW_NUMBER() OVER (PARTITION BY e.event_id ORDER BY e.occurred_at DESC) AS copy
  FROM event AS e
  LEFT JOIN campaign AS c USING (campaign_id)
  WHERE e.occurred_at >= TIMESTAMP(@first, @zone)
    AND e.occurred_at < TIMESTAMP(DATE_ADD(@last, INTERVAL 1 DAY), @zone)
  QUALIFY copy = 1
),
daily AS (
  SELECT
    occurred_on, campaign_id, ANY_VALUE(name) AS name,
    COUNTIF(metric = 'open') AS opens,
    COUNT(DISTINCT IF(metric = 'open', person_id, NULL)) AS opens_unique,
    COUNTIF(metric = 'order') AS orders,
    SUM(IF(metric = 'order', value, 0)) AS revenue,
    SAFE_DIVIDE(SUM(IF(metric = 'order', value, 0)), COUNTIF(metric = 'order')) AS average_order,
    SAFE_DIVIDE(COUNTIF(metric = 'order'), COUNT(DISTINCT IF(metric = 'open', person_id, NULL))) AS order_rate,
    APPROX_QUANTILES(value, 2)[SAFE_OFFSET(1)] AS median_value,
    STRING_AGG(DISTINCT client, ',' ORDER BY client) AS clients,
    ARRAY_AGG(value IGNORE NULLS ORDER BY value DESC LIMIT 2) AS largest
  FROM touched
  WHERE campaign_id IS NOT NULL
  GROUP BY occurred_on, campaign_id
)
SELECT
  days.day, d.campaign_id, d.name, d.opens, d.opens_unique, d.orders, d.revenue, d.average_order,
  ROUND(d.order_rate, 4) AS order_rate, d.median_value, d.clients, d.largest,
  LAG(d.revenue) OVER (PARTITION BY d.campaign_id ORDER BY days.day) AS revenue_before,
  SUM(d.revenue) OVER (PARTITION BY d.campaign_id ORDER BY days.day
                       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS revenue_so_far
FROM days LEFT JOIN daily AS d ON d.occurred_on = days.day
ORDER BY days.day, d.campaign_id
"""
ZONE, FIRST, LAST = "America/New_York", date(2024, 3, 8), date(2024, 3, 14)
PARAMETERS = (
    Parameter("first", "DATE", str(FIRST)),
    Parameter("last", "DATE", str(LAST)),
    Parameter("zone", "STRING", ZONE),
)


def simulated_events(count: int) -> list[dict[str, Any]]:
    """Events around a change of daylight saving time, some outside of the range, one in ten without a campaign."""
    dice = random.Random(7)
    return [
        {
            "event_id": f"e{place}",
            "occurred_at": datetime(2024, 3, 7, tzinfo=UTC) + timedelta(seconds=dice.randrange(9 * 86_400)),
            "metric": dice.choice(["open", "open", "click", "order"]),
            "person_id": f"p{dice.randrange(20)}",
            "campaign_id": dice.choice(["c1", "c2", "c3", None]) if dice.random() > 0.1 else None,
            "value": Decimal(dice.randrange(1, 10_000)) / 100 if dice.random() > 0.3 else None,
            "properties": json.dumps({"$client": dice.choice(["ios", "web"])}) if dice.random() > 0.2 else None,
        }
        for place in range(count)
    ]


def load(engine: Engine, events: list[dict[str, Any]]) -> None:
    """Both tables, every event twice: the report takes one copy."""
    engine.add("event", EVENT)
    engine.add("campaign", CAMPAIGN, "('c1', 'Spring'), ('c2', 'Summer'), ('c9', 'Never')")
    rows = [tuple(event.values()) for event in events]
    engine.connection.executemany('INSERT INTO "p.d.event" VALUES (?, ?, ?, ?, ?, ?, ?)', [*rows, *rows])


def expected_days(events: list[dict[str, Any]]) -> dict[tuple[date, str], dict[str, Any]]:
    """Per day and campaign, the numbers computed without SQL."""
    groups: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        day = event["occurred_at"].astimezone(ZoneInfo(ZONE)).date()
        if FIRST <= day <= LAST and event["campaign_id"] in ("c1", "c2"):
            groups[day, event["campaign_id"]].append(event)
    return {key: numbers(group) for key, group in groups.items()}


def numbers(group: list[dict[str, Any]]) -> dict[str, Any]:
    """One cell of the report."""
    values = sorted(event["value"] for event in group if event["value"] is not None)
    orders = [event for event in group if event["metric"] == "order"]
    openers = {event["person_id"] for event in group if event["metric"] == "open"}
    # A NULL value adds nothing to SUM, and an IF that picks it leaves NULL out of the sum.
    revenue = sum((event["value"] for event in orders if event["value"] is not None), Decimal())
    clients = {json.loads(event["properties"])["$client"] for event in group if event["properties"]}
    average = (revenue / len(orders)).quantize(Decimal("1e-9"), ROUND_HALF_UP) if orders else None
    return {
        "opens": sum(event["metric"] == "open" for event in group),
        "opens_unique": len(openers),
        "orders": len(orders),
        "revenue": revenue,
        "average_order": average,
        "order_rate": round(len(orders) / len(openers), 4) if openers else None,
        "clients": ",".join(sorted(clients)) or None,
        "largest": values[::-1][:2],
    }


def test_a_report_equals_the_same_numbers_computed_in_python(fresh: Engine) -> None:
    """Counts, exact money, zone days over a change of clocks, running totals, days without events."""
    events = simulated_events(600)
    load(fresh, events)
    expected, seen = expected_days(events), set()
    schema = [field.name for field in fresh.translate(REPORT, *PARAMETERS)[0].schema]
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for values in fresh.rows(REPORT, *PARAMETERS):
        row = dict(zip(schema, values, strict=True))
        key = row["day"], row["campaign_id"]
        wanted = expected[key]
        assert {name: row[name] for name in wanted} == wanted
        totals[row["campaign_id"]] += row["revenue"]
        assert row["revenue_so_far"] == totals[row["campaign_id"]]
        seen.add(key)
    assert seen == set(expected)


def test_a_day_without_events_has_a_row_of_nulls(fresh: Engine) -> None:
    """The days come from GENERATE_DATE_ARRAY, not from the events."""
    load(fresh, simulated_events(1))
    rows = fresh.rows(REPORT, *PARAMETERS)
    assert {row[0] for row in rows} == {FIRST + timedelta(days=offset) for offset in range(7)}
    assert {row[3] for row in rows} <= {None, 0, 1}
