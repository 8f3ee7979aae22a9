"""Asking BigQuery: the rows of every question for one account and period.

Here: periods, and running the statements. Not here: the statements (`questions.py`), and what is made of the rows.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation import Conservation, report_conservation
from klaviyo_assets.errors import NotFoundError, SettingsError
from klaviyo_assets.publishing.html_report.formatting import days
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.questions import COVERAGE, QUESTIONS

if TYPE_CHECKING:
    from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset

Row = Mapping[str, Any]
# BigQuery answers in a second or two, whatever is asked; several are asked at a time.
_AT_ONCE = 4


@dataclass(frozen=True)
class Period:
    """The days of a report, inclusive, and the same number of days before them."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise SettingsError(
                f"a report from {self.start} to {self.end} covers no day", "Give the earlier day first."
            )

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.end - self.start).days + 1

    @property
    def before(self) -> date:
        """The first day of the period before."""
        return self.start - timedelta(days=self.length)

    @property
    def text(self) -> str:
        """For people."""
        return days(self.start, self.end)

    @property
    def text_before(self) -> str:
        """The period before, for people."""
        return days(self.before, self.start - timedelta(days=1))

    @property
    def parameters(self) -> dict[str, tuple[str, Any]]:
        """What the statements take."""
        given = {"start_on": self.start, "end_on": self.end, "before_on": self.before}
        return {name: ("DATE", value) for name, value in given.items()}


@dataclass(frozen=True)
class Answers:
    """What BigQuery says of one account.

    Attributes:
        account: The account.
        period: The days.
        rows: Of each question, by its name. Empty where nothing was ever loaded.
        conservation: Whether the reports hold exactly the loaded events; None where nothing was loaded.
    """

    account: Account
    period: Period
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    conservation: Conservation | None = None

    def one(self, question: Question) -> Row:
        """The row of a question that has one; without columns where nothing was loaded."""
        found = self.rows.get(question.name, ())
        return found[0] if found else {}

    def all(self, question: Question) -> Sequence[Row]:
        """The rows of a question."""
        return self.rows.get(question.name, ())

    @property
    def currency(self) -> str:
        """Of all money: as the rows say."""
        return str(self.one(COVERAGE).get("currency") or self.account.currency)

    @property
    def is_loaded(self) -> bool:
        """Whether anything was ever loaded."""
        return self.one(COVERAGE).get("first_occurred_on") is not None

    @property
    def has_data(self) -> bool:
        """Whether anything happened in the period."""
        return bool(self.one(COVERAGE).get("events"))

    @property
    def has_before(self) -> bool:
        """Whether the data reach back over the whole period before: else a change would only be one of the data."""
        first = self.one(COVERAGE).get("first_occurred_on")
        return first is not None and first <= self.period.before

    @property
    def data_through(self) -> datetime | None:
        """Up to when the reports are complete, in the account's time zone."""
        found = self.one(COVERAGE).get("data_through")
        return found.astimezone(ZoneInfo(self.account.timezone)) if found else None

    @property
    def is_complete(self) -> bool:
        """Whether the data reach past the period's last day."""
        return self.data_through is not None and self.data_through.date() > self.period.end


def ask(account: Account, dataset: "BigQueryDataset", period: Period) -> Answers:
    """Run every statement for an account.

    Args:
        account: The account.
        dataset: Its dataset; it is only read.
        period: The days.

    Raises:
        TransientError: BigQuery could not be reached.
        PermanentError: it refused a statement.
    """
    try:
        coverage = rows_of(dataset, COVERAGE, period)
    except NotFoundError:
        return Answers(account, period)
    found = Answers(account, period, {COVERAGE.name: coverage})
    if not found.has_data:
        return found
    others = [question for question in QUESTIONS.values() if question is not COVERAGE]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        checked = pool.submit(report_conservation, dataset, account, period.start, period.end)
        rows = list(pool.map(lambda question: rows_of(dataset, question, period), others))
    by_name = {question.name: found for question, found in zip(others, rows, strict=True)}
    return Answers(account, period, {COVERAGE.name: coverage, **by_name}, checked.result())


def rows_of(dataset: "BigQueryDataset", question: Question, period: Period) -> list[Row]:
    """The rows of one question, in its order."""
    return [dict(row.items()) for row in dataset.query(question.sql, period.parameters)]
