"""What reports add up to, and what `event` and `attribution` say they should.

Here: GoogleSQL that reads few columns and returns few rows, built from the reports' specs. Only additive
statistics are ever summed. Not here: comparing (`report_equations.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from klaviyo_assets.audit.reconciliation.warehouse import Warehouse
from klaviyo_assets.model.googlesql import quoted
from klaviyo_assets.model.metrics import Role
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.model.statistics import Kind, metrics_of, text_literals
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.tables import ATTRIBUTION, EVENT

Number = int | Decimal
Sums = dict[str, Number]
# A list of differing rows is longer than a screen anyway; at most this many are read for each pair.
MOST_DIFFERENCES = 200

_IN_RANGE = "occurred_on BETWEEN @first AND @last"
# Column of a report -> what it counts of one conversion and the shares it was given to, by owner of the share.
_OWNERS = ("campaign", "flow")
_EARNED = "happened.is_conversion AND shares.event_id IS NOT NULL"
_UNEARNED = "happened.is_conversion AND shares.event_id IS NULL"
_EXPECTED = {
    "events": "COUNT(happened.event_id)",
    "conversions": f"SUM(IF({_EARNED} AND happened.is_own, shares.weight, 0))",
    "conversion_value": f"SUM(IF({_EARNED} AND happened.is_own, COALESCE(shares.value, 0), 0))",
    "conversions_other_currency": f"SUM(IF({_EARNED} AND NOT happened.is_own, shares.weight, 0))",
    "conversions_unattributed": f"COUNTIF({_UNEARNED} AND happened.is_own)",
    "conversion_value_unattributed": f"SUM(IF({_UNEARNED} AND happened.is_own, COALESCE(happened.value, 0), 0))",
    "conversions_unattributed_other_currency": f"COUNTIF({_UNEARNED} AND NOT happened.is_own)",
}
_OF_OWNER = {
    "conversions": "SUM(IF({earned} AND happened.is_own, shares.{owner}_weight, 0))",
    "conversion_value": "SUM(IF({earned} AND happened.is_own, shares.{owner}_value, 0))",
    "conversions_other_currency": "SUM(IF({earned} AND NOT happened.is_own, shares.{owner}_weight, 0))",
}
# Totals that do not use attribution at all.
_WHOLES = {
    "conversion_events": "COUNTIF(happened.is_conversion)",
    "own_money": "SUM(IF(happened.is_conversion AND happened.is_own, COALESCE(happened.value, 0), 0))",
    "uneven": "COUNTIF(happened.event_id IS NOT NULL AND shares.event_id IS NOT NULL AND (shares.weight != 1 "
    "OR shares.value != happened.value OR (shares.value IS NULL) != (happened.value IS NULL)))",
    "orphans": "COUNTIF(happened.event_id IS NULL)",
}
_ROLES = {
    "delivered": Role.RECEIVED, "bounced": Role.BOUNCED, "failed": Role.FAILED, "dropped": Role.DROPPED,
    "opens": Role.OPENED, "clicks": Role.CLICKED, "spam_complaints": Role.SPAM,
}  # fmt: skip


@dataclass(frozen=True)
class ExpectedDay:
    """What the reports by event date should have for one day, according to `event` and `attribution`.

    Attributes:
        columns: Scope ("account", "campaign", "flow") -> column of its report -> number.
        conversion_events: Events of the conversion metric.
        own_money: Their value in the account's currency.
        uneven: Events whose shares do not add up to the event.
        orphans: Events with shares that are not in `event`.
    """

    columns: Mapping[str, Sums]
    conversion_events: int
    own_money: Decimal
    uneven: int
    orphans: int


def expected_days(warehouse: Warehouse, first: date, last: date) -> dict[date, ExpectedDay]:
    """Events, conversions and their money per day, by the kind of message that earned them."""
    rows = warehouse.rows(_expected_query(), [EVENT.name, ATTRIBUTION.name], first, last)
    return {row["day"]: _expected_day(dict(row.items())) for row in rows}


def _expected_query() -> str:
    owned = ", ".join(
        f"SUM(IF({owner}_id IS NOT NULL, weight, 0)) AS {owner}_weight, "
        f"SUM(IF({owner}_id IS NOT NULL, COALESCE(value, 0), 0)) AS {owner}_value"
        for owner in _OWNERS
    )
    expressions = {f"account__{name}": text for name, text in _EXPECTED.items()} | _WHOLES
    for owner in _OWNERS:
        expressions |= {
            f"{owner}__{name}": text.format(owner=owner, earned=_EARNED) for name, text in _OF_OWNER.items()
        }
    columns = ", ".join(f"{text} AS {name}" for name, text in expressions.items())
    return f"""
WITH shares AS (
  SELECT event_id, occurred_on, SUM(weight) AS weight, SUM(value) AS value, {owned}
  FROM attribution WHERE {_IN_RANGE} GROUP BY event_id, occurred_on
),
happened AS (
  SELECT event_id, occurred_on, is_conversion, value, COALESCE(event.currency, @currency) = @currency AS is_own
  FROM event WHERE {_IN_RANGE}
)
SELECT COALESCE(happened.occurred_on, shares.occurred_on) AS day, {columns}
FROM happened
FULL JOIN shares ON shares.event_id = happened.event_id AND shares.occurred_on = happened.occurred_on
GROUP BY 1
"""


def _expected_day(row: Mapping[str, Any]) -> ExpectedDay:
    columns: dict[str, Sums] = {scope: {} for scope in ("account", *_OWNERS)}
    for name, number in row.items():
        scope, parted, column = name.partition("__")
        if parted:
            columns[scope][column] = number
    return ExpectedDay(columns, **{name: row[name] for name in _WHOLES})


def message_days(warehouse: Warehouse, first: date, last: date) -> dict[date, dict[str, Sums]]:
    """Message events per day: scope -> column of its report -> number. Without unsubscribes: reports count acts."""
    scopes = {"account": "TRUE", **{owner: f"{owner}_id IS NOT NULL" for owner in _OWNERS}}
    columns = ", ".join(
        f"COUNTIF(metric IN ({text_literals(metrics_of(role))}) AND {condition}) AS {scope}__{name}"
        for scope, condition in scopes.items()
        for name, role in _ROLES.items()
    )
    text = f"SELECT occurred_on AS day, {columns} FROM event WHERE {_IN_RANGE} GROUP BY 1"
    days: dict[date, dict[str, Sums]] = {}
    for row in warehouse.rows(text, [EVENT.name], first, last):
        scoped = days.setdefault(row["day"], {scope: {} for scope in scopes})
        for name, number in row.items():
            scope, parted, column = name.partition("__")
            if parted:
                scoped[scope][column] = number
    return days


def report_days(
    warehouse: Warehouse, report: ReportSpec, columns: Iterable[str], first: date, last: date
) -> dict[date, Sums]:
    """A report by event date, summed per day; null counts as 0."""
    names = [name for name in columns if name in report.additive]
    if not names:
        return {}
    text = f"SELECT occurred_on AS day, {_sum_columns(names)} FROM {quoted(report.name)} WHERE {_IN_RANGE} GROUP BY 1"
    rows = warehouse.rows(text, [report.name], first, last)
    return {row["day"]: {name: row[name] for name in names} for row in rows}


@dataclass(frozen=True)
class Pair:
    """Two reports that have to add up to the same, per value of a column, in every additive statistic they share.

    `only_left` and `only_right` are conditions on their rows. Rows whose `per` is null are left out.
    """

    left: ReportSpec
    right: ReportSpec
    per: str
    only_left: str = "TRUE"
    only_right: str = "TRUE"

    @property
    def columns(self) -> tuple[str, ...]:
        """The additive statistics that both have, in the left one's order."""
        shared = self.left.additive & self.right.additive
        return tuple(statistic.name for statistic in self.left.statistics if statistic.name in shared)


def pairs(reports: Mapping[str, ReportSpec]) -> list[Pair]:
    """The pairs among some reports: every date basis of one owner's messages, and email's two reports."""
    report_pairs = []
    for owner in _OWNERS:
        base = reports.get(f"{owner}_by_event_date")
        other_bases = [reports.get(name) for name in (f"{owner}_by_send_date", f"{owner}_lifetime")]
        report_pairs += [Pair(base, other_basis, f"{owner}_id") for other_basis in other_bases if base and other_basis]
        whole, by_person = reports.get(f"{owner}_lifetime"), reports.get("person_touch")
        report_pairs += [Pair(whole, by_person, f"{owner}_id")] if whole and by_person else []
    account, domains = reports.get("account_by_event_date"), reports.get("deliverability_by_event_date")
    if account and domains:
        report_pairs.append(Pair(account, domains, "occurred_on", only_left="channel = 'email'"))
    return report_pairs


def pair_differences(warehouse: Warehouse, pair: Pair) -> list[tuple[Any, str, Number, Number]]:
    """Where a pair differs: value of `per`, statistic, left sum, right sum, for at most `MOST_DIFFERENCES` values."""
    names = pair.columns
    differs = " OR ".join(f"COALESCE(l.{quoted(n)}, 0) != COALESCE(r.{quoted(n)}, 0)" for n in names)
    sides = ", ".join(f"COALESCE({side}.{quoted(name)}, 0) AS {side}__{name}" for name in names for side in ("l", "r"))
    text = f"""
WITH l AS ({_grouped(pair.left, pair.per, names, pair.only_left)}),
r AS ({_grouped(pair.right, pair.per, names, pair.only_right)})
SELECT COALESCE(l.per, r.per) AS per, {sides}
FROM l FULL JOIN r ON l.per = r.per
WHERE {differs}
ORDER BY 1 LIMIT {MOST_DIFFERENCES}
"""
    return [
        (row["per"], name, row[f"l__{name}"], row[f"r__{name}"])
        for row in warehouse.rows(text, [pair.left.name, pair.right.name])
        for name in names
        if row[f"l__{name}"] != row[f"r__{name}"]
    ]


def _grouped(report: ReportSpec, per: str, names: Sequence[str], condition: str) -> str:
    return (
        f"SELECT {quoted(per)} AS per, {_sum_columns(names)} FROM {quoted(report.name)} "
        f"WHERE {quoted(per)} IS NOT NULL AND {condition} GROUP BY 1"
    )


def person_wholes(warehouse: Warehouse, report: ReportSpec) -> tuple[Sums, Sums]:
    """Over all time: the sums of known people in `event`, and those of the report of people."""
    parts = [name for name in _EXPECTED if name.startswith("conversions") and name in report.additive]
    report_columns = f"COALESCE(SUM(events), 0) AS events, COALESCE(SUM({' + '.join(parts)}), 0) AS conversion_events"
    event_rows = warehouse.rows(
        "SELECT COUNT(*) AS events, COUNTIF(is_conversion) AS conversion_events FROM event WHERE person_id IS NOT NULL",
        [EVENT.name],
    )
    report_rows = warehouse.rows(f"SELECT {report_columns} FROM {quoted(report.name)}", [report.name])
    return dict(event_rows[0].items()) if event_rows else {}, dict(report_rows[0].items()) if report_rows else {}


@dataclass(frozen=True)
class OddRate:
    """A rate that is not between 0 and 1 in some rows of a report."""

    rate: str
    above: int
    below: int
    largest: float


def odd_rates(warehouse: Warehouse, report: ReportSpec) -> list[OddRate]:
    """The shares of a report (not its amounts per person or order) that are outside 0 to 1 in some row."""
    names = [s.name for s in report.statistics if s.kind is Kind.RATE and s.type is LogicalType.FLOAT]
    if not names:
        return []
    columns = ", ".join(
        f"COUNTIF({quoted(n)} > 1) AS {n}__above, COUNTIF({quoted(n)} < 0) AS {n}__below, MAX({quoted(n)}) AS {n}__most"
        for n in names
    )
    (row,) = warehouse.rows(f"SELECT {columns} FROM {quoted(report.name)}", [report.name]) or [{}]
    rates = (OddRate(n, row[f"{n}__above"], row[f"{n}__below"], row[f"{n}__most"]) for n in names if row)
    return [odd for odd in rates if odd.above or odd.below]


def _sum_columns(names: Iterable[str]) -> str:
    return ", ".join(f"COALESCE(SUM({quoted(name)}), 0) AS {quoted(name)}" for name in names)
