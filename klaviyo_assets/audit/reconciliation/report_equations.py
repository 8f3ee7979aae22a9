"""From BigQuery's events to the reports: what has to be equal, and what is reported if it is not.

Here: comparing. Not here: GoogleSQL (`report_sums.py`).
"""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from klaviyo_assets.audit.reconciliation.findings import Equation, Findings, Severity, exact_sum, run_command
from klaviyo_assets.audit.reconciliation.report_sums import (
    ExpectedDay,
    Number,
    Pair,
    Sums,
    expected_days,
    message_days,
    odd_rates,
    pair_differences,
    pairs,
    person_wholes,
    report_days,
)
from klaviyo_assets.audit.reconciliation.stages import StageSum
from klaviyo_assets.audit.reconciliation.warehouse import LedgerRow, Warehouse, at_once
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.tables import DAILY_TABLES

SHARES = Equation(
    "shares",
    "The shares of an event add up to the event, in weight and in value.",
    "events whose shares do not",
    "none",
)
ORPHANS = Equation("orphans", "Everything with shares is an event.", "credited events that are not there", "none")
WHOLE_EVENTS = Equation("whole_events", "Rows of `event` = events of the account's report.", "event", "report")
WHOLE_CONVERSIONS = Equation(
    "whole_conversions", "Conversion events = attributed + unattributed, in own and other currencies.", "event",
    "report: the four columns",
)  # fmt: skip
WHOLE_MONEY = Equation(
    "whole_money", "Conversion value in the account's currency = attributed + unattributed value.", "event",
    "report: the two columns",
)  # fmt: skip
REPORTED = Equation(
    "reported", "A statistic of a report by event date = what its events and credits add up to.", "event, attribution",
    "report",
)  # fmt: skip
SAME_SUMS = Equation("same_sums", "Reports of the same messages add up to the same.", "first report", "second report")
PEOPLE = Equation(
    "people", "Events and conversions of known people = those of the report of people.", "event", "person_lifetime"
)
REPORT_MADE = Equation("report_made", "Every report was built.", "reports", "made")
REPORT_ROWS = Equation("report_rows", "Rows of a report = rows it had when it was last built.", "ledger", "BigQuery")
RATES = Equation("rate_above_1", "A rate is a share: at most 1.", "rows above 1", "none")
NEGATIVE_RATES = Equation("rate_below_0", "A rate is a share: at least 0.", "rows below 0", "none")

_PARTS = (
    "conversions", "conversions_other_currency", "conversions_unattributed", "conversions_unattributed_other_currency",
)  # fmt: skip
_MONEY = ("conversion_value", "conversion_value_unattributed")
_SCOPES = {
    "account": "account_by_event_date",
    "campaign": "campaign_by_event_date",
    "flow": "flow_by_event_date",
}
# The reports that are compared with `event` and `attribution` day by day.
BY_EVENT_DATE = tuple(_SCOPES.values())


def check_days(
    warehouse: Warehouse, findings: Findings, first: date, last: date, *, messages: bool,
    reports: Collection[str] = BY_EVENT_DATE,
) -> list[StageSum]:  # fmt: skip
    """Compare the reports by event date with `event` and `attribution`, day by day.

    Args:
        warehouse: The account's dataset.
        findings: Where differences go.
        first: First day.
        last: Last day.
        messages: Whether to compare counts of message events too, which reads three more columns.
        reports: Which of `BY_EVENT_DATE` to compare.

    Returns:
        Rows and money of attribution and of each report, for people to look at.
    """
    expected_by_day, message_counts = at_once(
        [partial(expected_days, warehouse, first, last),
         partial(message_days, warehouse, first, last) if messages else dict]
    )  # fmt: skip
    for day, of_day in sorted(expected_by_day.items()):
        fix = f"The day's attribution is not what was loaded: {_again(findings, day)} rebuilds it."
        findings.compare(SHARES, of_day.uneven, 0, fix, day=day)
        findings.compare(ORPHANS, of_day.orphans, 0, fix, day=day)
    present_reports = warehouse.tables.intersection(reports)
    expected_sums = {
        scope: _expected_sums(scope, expected_by_day, message_counts)
        for scope, name in _SCOPES.items()
        if name in present_reports
    }
    reads = [
        partial(_reported_sums, warehouse, scope, of_days, (first, last)) for scope, of_days in expected_sums.items()
    ]
    sums = _attribution_sums(warehouse, expected_by_day)
    for (scope, of_days), reported_sums in zip(expected_sums.items(), at_once(reads), strict=True):
        _check_report_days(findings, _SCOPES[scope], of_days, reported_sums)
        if scope == "account":
            _check_wholes(findings, _SCOPES[scope], expected_by_day, reported_sums)
        sums.append(_report_sum(warehouse, _SCOPES[scope], reported_sums))
    return sums


def _expected_sums(
    scope: str, expected_by_day: Mapping[date, ExpectedDay], message_counts: Mapping[date, Mapping[str, Sums]]
) -> dict[date, Sums]:
    """The sums that the report of a scope should have, per day."""
    return {
        day: {**of_day.columns[scope], **message_counts.get(day, {}).get(scope, {})}
        for day, of_day in expected_by_day.items()
    }


def _reported_sums(
    warehouse: Warehouse, scope: str, expected_sums: Mapping[date, Sums], range_: tuple[date, date]
) -> dict[date, Sums]:
    """The sums that the report of a scope has, per day."""
    columns = dict.fromkeys(column for of_day in expected_sums.values() for column in of_day)
    return report_days(warehouse, REPORTS[_SCOPES[scope]], columns or _PARTS, *range_)


def _check_report_days(
    findings: Findings, name: str, expected_sums: Mapping[date, Sums], reported_sums: Mapping[date, Sums]
) -> None:
    for day in sorted({*expected_sums, *reported_sums}):
        reported = reported_sums.get(day, {})
        additive = REPORTS[name].additive
        for column in dict.fromkeys((*expected_sums.get(day, {}), *reported)):
            # The account's events are compared separately, as a whole.
            if column in additive and column != "events":
                left, right = expected_sums.get(day, {}).get(column, 0), reported.get(column, 0)
                fix = _restate(findings, name, day)
                findings.compare(REPORTED, left, right, fix, day=day, subject=f"{name}.{column}")


def _check_wholes(
    findings: Findings, name: str, expected_by_day: Mapping[date, ExpectedDay], reported_sums: Mapping[date, Sums]
) -> None:
    """The account's report is complete: everything is in exactly one column."""
    if not {"events", *_PARTS, *_MONEY} <= REPORTS[name].additive:
        return
    for day, of_day in sorted(expected_by_day.items()):
        reported, fix = reported_sums.get(day, {}), _restate(findings, name, day)
        note = partial(findings.compare, fix=fix, day=day, subject=name)
        note(WHOLE_EVENTS, of_day.columns["account"]["events"], reported.get("events", 0))
        note(WHOLE_CONVERSIONS, of_day.conversion_events, exact_sum(reported.get(part) for part in _PARTS))
        note(WHOLE_MONEY, of_day.own_money, exact_sum(reported.get(part) for part in _MONEY))


def _attribution_sums(warehouse: Warehouse, expected_by_day: Mapping[date, ExpectedDay]) -> list[StageSum]:
    def total(column: str) -> Decimal:
        return exact_sum(day.columns["account"].get(column) for day in expected_by_day.values())

    own = warehouse.account.currency
    other_currencies = exact_sum(
        [total("conversions_other_currency"), total("conversions_unattributed_other_currency")]
    )
    return [
        StageSum("    attributed", total("conversions"), {own: total("conversion_value")}),
        StageSum("    unattributed", total("conversions_unattributed"), {own: total("conversion_value_unattributed")}),
        *([StageSum("    in another currency", other_currencies)] if other_currencies else []),
    ]


def _report_sum(warehouse: Warehouse, name: str, reported_sums: Mapping[date, Sums]) -> StageSum:
    """For the account's report: all events and conversion money. For a report of messages: what they earned."""
    whole = "events" in REPORTS[name].additive

    def total(*columns: str) -> Decimal:
        return exact_sum(day.get(column) for day in reported_sums.values() for column in columns)

    money = {warehouse.account.currency: total(*_MONEY)}
    return StageSum(f"{name} (events)" if whole else f"{name} (conversions)",
                    total("events" if whole else "conversions"), money)  # fmt: skip


def check_bases(warehouse: Warehouse, findings: Findings, first: date, last: date) -> None:
    """Compare the reports with each other over all time: different groupings of the same messages have equal sums."""
    there = [pair for pair in pairs(REPORTS) if {pair.left.name, pair.right.name} <= warehouse.tables and pair.columns]
    differing = at_once(partial(pair_differences, warehouse, pair) for pair in there)
    for pair, differences in zip(there, differing, strict=True):
        findings.compared += len(pair.columns)
        for per, column, left_sum, right_sum in differences:
            _note_pair(findings, pair, per, column, (left_sum, right_sum), (first, last))
    people = REPORTS.get("person_lifetime")
    if people and people.name in warehouse.tables:
        event_sums, report_sums = person_wholes(warehouse, people)
        for column, left_sum in event_sums.items():
            fix = _restate(findings, people.name, last)
            findings.compare(PEOPLE, left_sum, report_sums.get(column, 0), fix, subject=f"{people.name}.{column}")


def _note_pair(
    findings: Findings, pair: Pair, per: object, column: str, sides: tuple[Number, Number], range_: tuple[date, date]
) -> None:
    subject = f"{pair.per} {per}: {column} of {pair.left.name}, {pair.right.name}"
    day = per if isinstance(per, date) else None
    fix = _restate(findings, f"{pair.left.name}, report/{pair.right.name}", day or range_[1])
    findings.compare(SAME_SUMS, *sides, fix, day=day, subject=subject)


def check_books(
    warehouse: Warehouse, findings: Findings, ledger: Mapping[tuple[str, str], LedgerRow], last: date
) -> None:
    """Compare the reports' tables with the ledger, and check their rates."""
    daily = {table.name for table in DAILY_TABLES}
    if not any(table in daily for table, _ in ledger):
        return
    row_counts = warehouse.table_rows(REPORTS)
    odd_of = dict(
        zip(row_counts, at_once(partial(odd_rates, warehouse, REPORTS[name]) for name in row_counts), strict=True)
    )
    for name in REPORTS:
        row = ledger.get((name, warehouse.account.name))
        fix = _restate(findings, name, last)
        if findings.compare(REPORT_MADE, 1, int(bool(row) and name in row_counts), fix, subject=name) and row:
            findings.compare(REPORT_ROWS, row.rows_loaded, row_counts[name], fix, subject=name)
        for odd in odd_of.get(name, []):
            subject = f"{name}.{odd.rate}, at most {odd.largest:.3f}"
            why = "No sum is wrong: some people opened or clicked messages without a receipt; rates are not clamped."
            findings.compare(RATES, odd.above, 0, why, subject=subject, severity=Severity.WARN)
            findings.compare(NEGATIVE_RATES, odd.below, 0, fix, subject=subject)


def older_reports(ledger: Mapping[tuple[str, str], LedgerRow]) -> list[str]:
    """Reports that were built before the newest load of the tables they read."""
    loads = {table: max(row.entry.recorded_at for (of, _), row in ledger.items() if of == table) for table, _ in ledger}
    return [
        name
        for name, report in REPORTS.items()
        if name in loads and any(loads[read] > loads[name] for read in report.reads if read in loads)
    ]


def _again(findings: Findings, day: date) -> str:
    return run_command(findings.account, day, day, "--no-sync")


def _restate(findings: Findings, name: str, day: date) -> str:
    return (
        f"{_again(findings, day)} loads the day and restates its rows; or materialize report/{name} of "
        f"{findings.account} with the setting everything = true."
    )


def all_days() -> tuple[date, date]:
    """A range with every day that BigQuery can partition by."""
    return date.min + timedelta(days=1), date.max - timedelta(days=1)
