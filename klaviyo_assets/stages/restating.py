"""Keeping one account's reports current: what changed since a report was restated, and restating exactly that.

Here: reading the ledger for a report, and running its statements. Not here: the statements (`reports/`), Dagster
(`defs/assets/report.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

from sqlglot import exp

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import current
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.statement import (
    PARAMETER_TYPES,
    Days,
    affected,
    affected_parameters,
    located,
    restate,
    restate_parameters,
)  # fmt: skip
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.statement import LABEL, definition
from klaviyo_assets.tables import DAILY_TABLES, TABLES

# BigQuery refuses a statement that changes more than 4,000 partitions (docs/scale.md).
MOST_DAYS_AT_ONCE = 3_900


@dataclass(frozen=True)
class Restated:
    """The outcome of keeping one report current: what was restated, and the ledger row that says so."""

    days: Days
    rows: int
    data_through: datetime
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class _State:
    """What a report is built from besides the days of `event` and `attribution`; its ledger row remembers it."""

    fingerprint: str
    data_through: datetime
    campaign_sends: Mapping[str, str | None]
    names: str

    @property
    def details(self) -> dict[str, Any]:
        """The text that the ledger keeps."""
        return {"campaign_sends": dict(self.campaign_sends), "names": self.names}


@dataclass(frozen=True)
class AccountReports:
    """The reports of one account, as the ledger describes them at one moment."""

    account: Account
    dataset: BigQueryDataset
    entries: Mapping[tuple[str, str], Entry]
    campaign_sends: Mapping[str, str | None]

    @classmethod
    def open(cls, account: Account, dataset: BigQueryDataset, reports: Iterable[ReportSpec]) -> "AccountReports":
        """Read the ledger, and make sure that the tables that reports read exist.

        Raises:
            PermanentError: no event of the account was ever loaded.
        """
        entries = current(dataset)
        if not list(_days_loaded(entries)):
            raise PermanentError(
                f"account {account.name!r} has no loaded events to report on",
                "Materialize the stages up to bigquery first: `klaviyo-assets run`, or the job `events`.",
            )
        loaded = {table for table, _ in entries}
        for name in sorted(({name for report in reports for name in report.reads} | {"campaign"}) - loaded):
            dataset.prepare(TABLES[name])
        rows = dataset.query("SELECT campaign_id, send_at FROM campaign")
        sends = {row.campaign_id: row.send_at.isoformat() if row.send_at else None for row in rows}
        return cls(account, dataset, entries, sends)

    @property
    def data_through(self) -> datetime:
        """The moment up to which the account's data are complete: the newest sync behind any loaded table."""
        moments = [
            entry.data_through for (table, _), entry in self.entries.items() if table in TABLES and entry.data_through
        ]
        return max(moments, default=datetime(1970, 1, 1, tzinfo=UTC))

    def restate(self, report: ReportSpec, run_id: str, *, everything: bool = False) -> Restated:
        """Bring one report up to date.

        Args:
            report: The report.
            run_id: For the ledger.
            everything: Rebuild all rows, whatever changed; history keeps its rows all the same.
        """
        self.dataset.prepare(report)
        state = self._state(report)
        if report.keeps_history:
            days = self._snapshot_days(report, state)
        else:
            days = Days.all() if everything else self._days(report, state)
        for part in self._parts(report, days) if days else ():
            parameters = restate_parameters(self.account, part, state.data_through)
            self.dataset.query(restate(report, self.dataset.qualified), _typed(parameters))
        rows = self.dataset.row_count(report.name)
        return Restated(days, rows, state.data_through, self._entry(report, state, rows, run_id))

    def _parts(self, report: ReportSpec, days: Days) -> list[Days]:
        """Restate the days in as many statements as needed: one changes no more partitions than BigQuery allows."""
        loaded = {day for day, _ in _days_loaded(self.entries)}
        if report.day_column is None or max(len(days.dates), len(loaded)) <= MOST_DAYS_AT_ONCE:
            return [days]
        return (self._every_day(report, loaded) if days.everything else days).slices(MOST_DAYS_AT_ONCE)

    def _every_day(self, report: ReportSpec, loaded: Set[date]) -> Days:
        """Every day for which the report has rows or will have rows."""
        parameters = affected_parameters(self.account, loaded, {name for name in self.campaign_sends if name})
        coming = self.dataset.query(affected(report, self.dataset.qualified), _typed(parameters))
        day = exp.column(str(report.day_column), quoted=True).sql("bigquery")
        there = self.dataset.query(located(f"SELECT DISTINCT {day} FROM {report.name}", self.dataset.qualified))
        return Days.of({row[0] for rows in (coming, there) for row in rows})

    def _state(self, report: ReportSpec) -> _State:
        through = self._snapshot_through(report) if report.keeps_history else self.data_through
        names = ""
        if report.names_sql:
            rows = self.dataset.query(located(report.names_sql, self.dataset.qualified))
            values = sorted([str(value) for value in row] for row in rows)
            names = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
        return _State(_fingerprint(report, self.account), through, self.campaign_sends, names)

    def _days(self, report: ReportSpec, state: _State) -> Days:
        """The days of a report that are affected by anything loaded since its last ledger row."""
        last = self.entries.get((report.name, self.account.name))
        if last is None or last.settings_fingerprint != state.fingerprint or last.details.get("names") != state.names:
            return Days.all()
        event_days = self._loaded_since(str(last.details.get("loaded_through", "")))
        campaigns = self._moved_campaigns(last.details.get("campaign_sends", {}))
        if not event_days and not campaigns and last.data_through == state.data_through:
            return Days()
        if report.day_column is None:
            return Days.all()
        parameters = affected_parameters(self.account, event_days, campaigns)
        rows = self.dataset.query(affected(report, self.dataset.qualified), _typed(parameters))
        return Days.of([row[0] for row in rows])

    def _snapshot_days(self, report: ReportSpec, state: _State) -> Days:
        """The day of a snapshot; none if its tables were not all loaded, or if it has already been taken."""
        last = self.entries.get((report.name, self.account.name))
        if any((table, self.account.name) not in self.entries for table in report.reads):
            return Days()
        if last and last.settings_fingerprint == state.fingerprint and last.data_through == state.data_through:
            return Days()
        return Days.of([state.data_through.astimezone(self.account.zone).date()])

    def _snapshot_through(self, report: ReportSpec) -> datetime:
        """The sync that all tables of a snapshot have seen."""
        loaded = [self.entries.get((table, self.account.name)) for table in report.reads]
        moments = [entry.data_through for entry in loaded if entry and entry.data_through]
        return min(moments, default=self.data_through)

    def _loaded_since(self, moment: str) -> set[date]:
        return {day for day, entry in _days_loaded(self.entries) if entry.recorded_at.isoformat() > moment}

    def _moved_campaigns(self, before: Mapping[str, str | None]) -> set[str]:
        """Campaigns that were added or removed, or whose send time differs from the one in the report."""
        missing = object()
        every = {*before, *self.campaign_sends}
        return {name for name in every if before.get(name, missing) != self.campaign_sends.get(name, missing)}

    def _entry(self, report: ReportSpec, state: _State, rows: int, run_id: str) -> dict[str, Any]:
        loaded = [entry.recorded_at for _, entry in _days_loaded(self.entries)]
        return {
            "recorded_at": datetime.now(UTC),
            "table_name": report.name,
            "partition": self.account.name,
            "run_id": run_id,
            "code_version": version("klaviyo-assets"),
            "rows_loaded": rows,
            "settings_fingerprint": state.fingerprint,
            "data_through": state.data_through,
            "details": {"loaded_through": max(loaded).isoformat(), **state.details},
        }


def is_current(account: Account, dataset: BigQueryDataset) -> bool:
    """Whether every report was restated after the newest load, and every view has its present definition.

    It costs two requests. A report that is current by this measure would be restated to the rows that it has.
    """
    entries = current(dataset)
    newest_load = max((entry.recorded_at for (table, _), entry in entries.items() if table in TABLES), default=None)
    if newest_load is None:
        return False
    for report in REPORTS.values():
        entry = entries.get((report.name, account.name))
        if (
            entry is None
            or entry.recorded_at < newest_load
            or entry.settings_fingerprint != _fingerprint(report, account)
        ):
            return False
    labels = dataset.tables()
    return all(
        labels.get(view.name, {}).get(LABEL) == definition(view, dataset.qualified, account) for view in VIEWS.values()
    )


def _fingerprint(report: ReportSpec, account: Account) -> str:
    text = f"{report.rows_sql}{report.column_names}{account.report_fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _days_loaded(entries: Mapping[tuple[str, str], Entry]) -> Iterator[tuple[date, Entry]]:
    """The current entry of every day of a daily table."""
    daily = {table.name for table in DAILY_TABLES}
    return ((entry.day, entry) for entry in entries.values() if entry.table in daily and entry.day)


def _typed(parameters: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {name: (PARAMETER_TYPES[name], value) for name, value in parameters.items()}
