"""How long the reports take on a large account: `python -m klaviyo_assets_tests.benchmarks.reports --events 1000000`.

Here: the reports' own GoogleSQL on made-up mapped rows, in this process on DuckDB, from nothing and for one day. Not
here: loading and HTTP (`__main__.py` measures whole commands). BigQuery's own seconds are others; what grows with what
is the same.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.model.arrow import arrow_type
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import Days
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.reference import Standing
from klaviyo_assets_tests.unit.reports.warehouse import Warehouse

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 120
# Of ten events, in this order: most are receipts, one in ten is an order.
METRICS = ("Received Email",) * 4 + ("Opened Email",) * 2 + ("Clicked Email", "Active on Site", "Viewed Product",
           "Placed Order")  # fmt: skip
EVENTS_PER_CAMPAIGN = 5_000


def events(count: int, people: int) -> pa.Table:
    """Mapped events spread evenly over the days; a third of the messages are flows'."""
    numbers = pa.array(range(count))
    seconds = pc.multiply(numbers, DAYS * 86_400 / count).cast(pa.int64(), safe=False)
    at = pc.add(pc.multiply(seconds, 1_000_000), int(START.timestamp() * 1e6)).cast(pa.timestamp("us", tz="UTC"))
    scattered = pc.bit_wise_and(pc.multiply(numbers, 2_654_435_761), 0xFFFFFFF)
    metric = pa.array(METRICS).take(_modulo(scattered, 10))
    is_message = pc.is_in(metric, pa.array(METRICS[:7]))
    is_flow = pc.and_(is_message, pc.equal(_modulo(numbers, 3), 0))
    campaign = pc.binary_join_element_wise("c", pc.divide(numbers, EVENTS_PER_CAMPAIGN).cast(pa.string()), "")
    flow = pc.binary_join_element_wise("f", _modulo(numbers, 10).cast(pa.string()), "")
    nothing = pa.scalar(None, pa.string())
    flags = pa.array([False]).take(pa.array([0] * count))
    columns = {
        "event_id": numbers.cast(pa.string()),
        "occurred_at": at, "occurred_on": at.cast(pa.date32(), safe=False), "metric": metric,
        "channel": pc.if_else(is_message, "email", nothing),
        "person_id": _modulo(scattered, people).cast(pa.string()),
        "campaign_id": pc.if_else(pc.and_(is_message, pc.invert(is_flow)), campaign, nothing),
        "flow_id": pc.if_else(is_flow, flow, nothing), "message_id": pc.if_else(is_flow, flow, campaign),
        "value": pc.if_else(pc.equal(metric, "Placed Order"), pa.scalar("49.90"), nothing),
        "is_conversion": pc.equal(metric, "Placed Order"), "is_machine_open": flags, "is_bot_click": flags,
        "send_at": at, "send_on": at.cast(pa.date32(), safe=False),
    }  # fmt: skip
    return _table("event", columns)


def earned_credits(event_rows: pa.Table) -> pa.Table:
    """Every event that is no message's, credited to the campaign of its time."""
    earned = event_rows.filter(pc.is_null(event_rows["channel"]))
    count = earned.num_rows
    columns = {name: earned[name] for name in ("event_id", "occurred_on", "value", "message_id", "send_at", "send_on")}
    columns |= {
        "campaign_id": earned["message_id"], "touch_rank": pa.array([1] * count), "weight": pa.array(["1"] * count),
        "attribution_source": pa.array(["last_touch"] * count), "touch_channel": pa.array(["email"] * count),
    }  # fmt: skip
    return _table("attribution", columns)


def _modulo(numbers: pa.Array, divisor: int) -> pa.Array:
    return pc.subtract(numbers, pc.multiply(pc.divide(numbers, divisor), divisor))


def _table(name: str, columns: dict[str, pa.Array]) -> pa.Table:
    typed = {column.name: arrow_type(column.type) for column in TABLES[name].columns}
    return pa.table({column: values.cast(typed[column]) for column, values in columns.items()})


def measure(count: int, people: int) -> None:
    """Print each report's seconds and rows."""
    warehouse, event_rows = Warehouse(), events(count, people)
    warehouse.load_tables({"event": event_rows, "attribution": earned_credits(event_rows)})
    end = START + timedelta(days=DAYS)
    standing = Standing("Europe/Berlin", "EUR", timedelta(days=5), end)
    print(f"{count:,} events, {people:,} people, {DAYS} days\n{'report':30}{'all':>8}{'one day':>10}{'rows':>12}")
    for name, report in REPORTS.items():
        chosen = [Days.all()]
        if report.day_column and not report.keeps_history:
            chosen.append(Days.of([(end - timedelta(days=20)).date()]))
        seconds = []
        for days in chosen:
            began = time.monotonic()
            warehouse.restate(report, standing, days)
            seconds.append(f"{time.monotonic() - began:.2f} s")
        print(f"{name:30}{seconds[0]:>8}{seconds[1] if len(seconds) > 1 else '':>10}{len(warehouse.rows(report)):>12,}")


def main() -> None:
    """Read the size from the command line, and measure."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets_tests.benchmarks.reports", description=main.__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=50_000)
    chosen = parser.parse_args()
    measure(chosen.events, chosen.people)


if __name__ == "__main__":
    main()
