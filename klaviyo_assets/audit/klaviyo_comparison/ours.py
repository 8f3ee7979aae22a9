"""Our numbers of the same messages: what the reports by send date hold for a range of send days.

Here: the range, and the two queries. Not here: the facts behind them (`reports/facts.py`).

Numbers that may be summed are summed over the report's rows. People may not be summed: for a message sent on one day
they are in its row; for other messages they are counted over the whole range, from the facts behind the report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.klaviyo_comparison.numbers import RATES, MessageKey, Values, decimal, rate
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.model.metrics import Metric, resolve_metrics
from klaviyo_assets.model.statistics import STATISTICS, Kind, Statistic, statistics
from klaviyo_assets.reports.facts import Scope, facts
from klaviyo_assets.reports.messages import COUNTS, OF_SENDS
from klaviyo_assets.reports.statement import located

# The report that each of Klaviyo's is compared with.
REPORTS: Mapping[str, str] = {"campaign": "campaign_by_send_date", "flow": "flow_by_send_date"}
_COUNTED = statistics(*(name for name in (*COUNTS, *OF_SENDS) if not STATISTICS[name].is_computed))
_ADDED = tuple(statistic for statistic in _COUNTED if statistic.kind is not Kind.PEOPLE)
_PEOPLE = tuple(statistic for statistic in _COUNTED if statistic.kind is Kind.PEOPLE)
_UNIQUES = (*_PEOPLE, *statistics("delivered_uniques"))
_NAMES: Mapping[str, str] = {
    "campaign": "SELECT campaign_id AS owner_id, CAST(NULL AS STRING) AS message_id, name FROM campaign",
    "flow": "SELECT flow_id AS owner_id, CAST(NULL AS STRING) AS message_id, name FROM flow "
    "UNION ALL SELECT CAST(NULL AS STRING), flow_message_id, name FROM flow_message",
}


@dataclass(frozen=True)
class Window:
    """Send days to compare, both ends included, of the account's time zone."""

    first: date
    last: date

    def __str__(self) -> str:
        """The range in words."""
        return f"{self.first} to {self.last}"


def window_of(dataset: BigQueryDataset, account: Account, days: int) -> Window | None:
    """The last days whose rows are final: Klaviyo credits nothing to them any more. None if there is no such day yet.

    Days before the account's first day are left out: their sends are loaded only in part.
    """
    final = " UNION ALL ".join(f"SELECT send_on FROM {report} WHERE is_final" for report in REPORTS.values())
    row = next(iter(dataset.query(f"SELECT MAX(send_on) AS last FROM ({final})")), None)
    last = row["last"] if row else None
    if last is None or last < account.start_date:
        return None
    return Window(max(last - timedelta(days=days - 1), account.start_date), last)


def conversion_metric_id(dataset: BigQueryDataset, account: Account) -> str | None:
    """Klaviyo's id of the account's conversion metric, from the loaded table `metric`; None if it is not there."""
    rows = dataset.query("SELECT metric_id, name, integration_name, integration_id FROM metric")
    metrics = [
        Metric(row["metric_id"], row["name"] or "", row["integration_name"], row["integration_id"]) for row in rows
    ]
    resolved = resolve_metrics(metrics, account.conversion_metric, account.conversion_integration)
    return min(resolved.conversion_ids, default=None)


def our_side(dataset: BigQueryDataset, account: Account, owner: str, window: Window) -> dict[MessageKey, Values]:
    """Our numbers by message over the window, with the variants that Klaviyo may count."""
    span = {"first": ("DATE", window.first), "last": ("DATE", window.last)}
    of_facts = {
        "first_event_on": ("DATE", window.first - timedelta(days=1)),
        "currency": ("STRING", account.currency),
        "timezone": ("STRING", account.timezone),
    }
    people = {_key(row): row for row in dataset.query(located(_people_sql(owner), dataset.qualified), span | of_facts)}
    rows = dataset.query(located(_report_sql(owner), dataset.qualified), span)
    return {_key(row): _values(row, people.get(_key(row), {})) for row in rows}


def names(dataset: BigQueryDataset, owner: str) -> dict[str, str]:
    """Names of campaigns, of flows and of messages of flows, by their ids."""
    rows = dataset.query(_NAMES[owner])
    return {row["owner_id"] or row["message_id"]: row["name"] for row in rows if row["name"]}


@cache
def _report_sql(owner: str) -> str:
    columns = [*(f"SUM({statistic.name}) AS {statistic.name}" for statistic in _ADDED), *_only_row(_PEOPLE)]
    return f"""
SELECT {owner}_id AS owner_id, message_id, variation_id, {", ".join(columns)} FROM {REPORTS[owner]}
WHERE send_on BETWEEN @first AND @last GROUP BY owner_id, message_id, variation_id
"""


def _only_row(people: tuple[Statistic, ...]) -> Iterator[str]:
    """People of a message with one row, from the report itself."""
    return (f"IF(COUNT(*) = 1, MAX({statistic.name}), NULL) AS {statistic.name}" for statistic in people)


@cache
def _people_sql(owner: str) -> str:
    columns = ", ".join(f"{statistic.expression} AS {statistic.name}" for statistic in _UNIQUES)
    return f"""
WITH {facts(Scope.MESSAGES)}
SELECT {owner}_id AS owner_id, message_id, variation_id, {columns} FROM facts
WHERE {owner}_id IS NOT NULL AND fact IS NOT NULL AND send_on BETWEEN @first AND @last
GROUP BY owner_id, message_id, variation_id
"""


def _key(row: Mapping[str, Any]) -> MessageKey:
    return MessageKey(row["owner_id"], row["message_id"] or "", row["variation_id"] or "")


def _values(row: Mapping[str, Any], people: Mapping[str, Any]) -> Values:
    values: dict[str, Decimal | None] = {statistic.name: decimal(row[statistic.name]) for statistic in _COUNTED}
    for statistic in _UNIQUES:
        if values.get(statistic.name) is None:
            values[statistic.name] = decimal(people.get(statistic.name))
    return values | {name: rate(values, STATISTICS[name].numerator, STATISTICS[name].denominator) for name in RATES}
