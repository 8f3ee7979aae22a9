"""The stages, their order, and what is known about each: the only place that states this.

Here: the stages of the asset graph as data, and questions about them. Not here: what a stage does (`stages/`), and its
assets (`defs/assets/`). A stage's name is the first part of the keys of its assets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from typing import Any

FIVETRAN, EXTRACTED, MAPPED, S3_ARCHIVE, BIGQUERY = "fivetran", "extracted", "mapped", "s3_archive", "bigquery"
ENTRY_POINTS = "klaviyo_assets.destinations"
REPORT, VIEW, PORTFOLIO, HTML_REPORT = "report", "view", "portfolio", "html_report"
# The tables by which an account's data are dated: its newest rows are in its last days of events, and its people
# change all the time.
_PEOPLE, _DATED = ("person",), ("person", "event")


class Cut(StrEnum):
    """How a stage's assets are divided into partitions."""

    TABLE = "per account, or per account and day if the table is daily"
    ACCOUNT = "per account"
    WEEK = "per account and week"
    NONE = "not at all"


@dataclass(frozen=True)
class Stage:
    """One stage of the graph.

    Attributes:
        name: First part of its assets' keys.
        cut: How its assets are divided into partitions.
        steps: The names of its steps (ops).
        after: The stages whose partitions it continues with in the same run. It reports their failures as its own, so
            that a run fails only once.
        dated_tables: The tables whose newest materializations show the age of the stage; empty if the stage has no age.
        loads: Whether it is on a table's way from Postgres to a destination.
        is_destination: Whether it delivers mapped frames to a system outside the pipeline.
        usual_seconds: How long a partition takes if nothing has been measured yet: a load job of BigQuery's takes
            seconds however few rows it has; the local stand-in is quicker.
    """

    name: str
    cut: Cut
    steps: tuple[str, ...]
    after: tuple[str, ...] = ()
    dated_tables: tuple[str, ...] = ()
    loads: bool = False
    is_destination: bool = False
    usual_seconds: float = 1.0


def destination(name: str, verb: str, *, usual_seconds: float = 1.0) -> Stage:
    """The stage of a destination: `<verb>_tables` and `<verb>_events` are its steps."""
    steps = (f"{verb}_tables", f"{verb}_events")
    return Stage(
        name, Cut.TABLE, steps, (MAPPED,), _DATED, loads=True, is_destination=True, usual_seconds=usual_seconds
    )


_TO_MAPPED = (
    Stage(FIVETRAN, Cut.ACCOUNT, ("fivetran_sync",), dated_tables=_PEOPLE),
    Stage(EXTRACTED, Cut.TABLE, ("extract_tables", "extract_events"), (FIVETRAN,), _DATED, loads=True),
    Stage(MAPPED, Cut.TABLE, ("map_tables", "map_events"), (EXTRACTED,), _DATED, loads=True, usual_seconds=2.0),
)
_ARCHIVE = destination(S3_ARCHIVE, "archive", usual_seconds=0.8)
_WAREHOUSE = destination(BIGQUERY, "load", usual_seconds=4.0)
_FROM_BIGQUERY = (
    Stage(REPORT, Cut.ACCOUNT, ("restate_reports",), dated_tables=("account_by_event_date",), usual_seconds=1.5),
    Stage(VIEW, Cut.ACCOUNT, ("create_views",), usual_seconds=0.2),
    Stage(PORTFOLIO, Cut.NONE, ("create_portfolio",), usual_seconds=0.2),
    Stage(HTML_REPORT, Cut.WEEK, ("make_html_report",)),
)


@cache
def registered() -> list[Any]:
    """The destinations that installed packages add (`stages/destination.py`), by the names of their entry points."""
    return [point.load() for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]


@cache
def stages() -> dict[str, Stage]:
    """All stages by name, in the order of the flow."""
    added = [each.stage for each in registered()]
    return {stage.name: stage for stage in (*_TO_MAPPED, _ARCHIVE, *added, _WAREHOUSE, *_FROM_BIGQUERY)}


def loading() -> list[str]:
    """The stages that bring a table from Postgres to its destinations, in order."""
    return [stage.name for stage in stages().values() if stage.loads]


def destinations() -> list[str]:
    """The stages that deliver mapped frames to other systems, in order; BigQuery is the last."""
    return [stage.name for stage in stages().values() if stage.is_destination]


def dated_stages() -> list[str]:
    """The stages whose age freshness reports, in order."""
    return [stage.name for stage in stages().values() if stage.dated_tables]


def followers(name: str) -> set[str]:
    """The stages that continue with a stage's partitions in the same run, and report what failed in it.

    BigQuery also reports what failed in the destinations before it.
    """
    direct = {stage.name for stage in stages().values() if name in stage.after}
    return direct | ({BIGQUERY} if stages()[name].is_destination and name != BIGQUERY else set())


def stages_of_a_run() -> list[str]:
    """The stages that `klaviyo-assets run` goes through, in order."""
    return [stage.name for stage in stages().values() if stage.cut is not Cut.WEEK]


def stage_of_step(step: str) -> str:
    """The stage that a step belongs to."""
    return next(stage.name for stage in stages().values() if step in stage.steps)


def keys_of(stage_names: Iterable[str], tables: Iterable[str]) -> Iterator[list[str]]:
    """The asset keys of tables in some stages; attribution is mapped from what was extracted of events."""
    listed = list(tables)
    return ([name, table] for name in stage_names for table in listed if (name, table) != (EXTRACTED, "attribution"))
