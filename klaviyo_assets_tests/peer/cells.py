"""Cells: what two sets of tables are compared by.

Here: naming a cell, and the cells of our own reports. Not here: the package's cells (`source.py`), and the reference's
(`tally.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from klaviyo_assets_tests.reference import metrics

Value = Decimal | datetime | str
PERSON_TOUCH, TOUCH, PERSON, CREDIT = TABLES = ("person x touch", "touch", "person", "credit")
COUNTED = (
    "Active on Site", "Viewed Product", "Ordered Product", "Placed Order", "Refunded Order", "Received Email",
    "Clicked Email", "Opened Email", "Marked Email as Spam", "Unsubscribed from Email Marketing",
    "Received Text Message", "Clicked Text Message", "Sent Text Message", "Unsubscribed from Text Message Marketing",
)  # fmt: skip
"""The 14 metrics that the package counts, by their canonical names."""


class Cell(NamedTuple):
    """One number: of which table, of which row, of which column.

    `table` is `person x touch` (row: person, campaign, flow), `touch` (row: campaign, flow), `person` (row: person), or
    `credit` (row: an event that names no campaign or flow itself). Columns: `count`, `value`, `revenue` and `people`
    with a metric's name, `people`, `first event`, `last event`; of a credit `campaign`, `flow`, `touched at`, `touch`.
    `revenue` is what the package's marts add up, `value` the same amounts as its events have them before the marts
    cast them; of ours, both are the metric's value.
    """

    table: str
    row: tuple[str | None, ...]
    column: str


# What is nothing has no cell, on either side.
Cells = dict[Cell, Value]


def cells_of_reports(person_touch: Iterable[Mapping[str, Any]], person_lifetime: Iterable[Mapping[str, Any]]) -> Cells:
    """The cells of our reports `person_touch` and `person_lifetime`."""
    cells: Cells = {}
    for row in person_touch:
        touch = (row["person_id"], row["campaign_id"], row["flow_id"])
        cells |= {Cell(PERSON_TOUCH, touch, column): value for column, value in measures(row, "value", "revenue")}
    for row in person_lifetime:
        person = (row["person_id"],)
        cells |= {Cell(PERSON, person, column): value for column, value in measures(row, "revenue")}
    return cells | people_of(cells)


def cells_of_attribution(attribution: Iterable[Mapping[str, Any]]) -> Cells:
    """The cells of rows of `attribution`: the first earner of each event."""
    names = {"campaign": "campaign_id", "flow": "flow_id", "touched at": "touch_at", "touch": "touch_metric"}
    return {
        Cell(CREDIT, (row["event_id"],), column): row[name]
        for row in attribution
        if row["touch_rank"] == 1 and row["attribution_source"] != "own"
        for column, name in names.items()
        if row[name] is not None
    }


def measures(row: Mapping[str, Any], *amounts: str) -> Iterable[tuple[str, Value]]:
    """What a row of a report counts and adds up, with its first and last event."""
    cells = [(f"count {metric}", row[f"{metrics.column(metric)}_events"]) for metric in COUNTED]
    cells += [(f"{name} {metric}", row[f"{metrics.column(metric)}_value"])
              for metric in metrics.VALUED for name in amounts]  # fmt: skip
    yield from ((column, Decimal(value)) for column, value in cells if value)
    yield "first event", row["first_event_at"]
    yield "last event", row["last_event_at"]


def people_of(cells: Iterable[Cell]) -> Cells:
    """Known people by campaign or flow: all of them, and those with each metric."""
    counted: Counter[Cell] = Counter()
    people: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    for cell in cells:
        if cell.table == PERSON_TOUCH and cell.row[0] is not None:
            people[cell.row[1:]].add(cell.row[0])
            if cell.column.startswith("count "):
                counted[Cell(TOUCH, cell.row[1:], cell.column.replace("count", "people", 1))] += 1
    people_cells: Cells = {cell: Decimal(count) for cell, count in counted.items()}
    return people_cells | {Cell(TOUCH, row, "people"): Decimal(len(known)) for row, known in people.items()}
