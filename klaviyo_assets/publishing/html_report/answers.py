"""Asking BigQuery: the rows of every question for one account and period.

Here: periods, and running the statements. Not here: the statements (`questions.py`), and what becomes of the rows.
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
# BigQuery takes a second or two for any query, so several run at the same time.
_AT_ONCE = 4


@dataclass(frozen=True)
class Period:
    """The days of the HTML report, both ends included, and the same number of days before them."""

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
        """The parameters of the statements."""
        dates = {"start_on": self.start, "end_on": self.end, "before_on": self.before}
        return {name: ("DATE", value) for name, value in dates.items()}


@dataclass(frozen=True)
class Answers:
    """What BigQuery says of one account.

    Attributes:
        account: The account.
        period: The days.
        rows: The rows of each question, by its name. Empty if nothing was ever loaded.
        conservation: Whether the reports hold exactly the loaded events; None if nothing was loaded.
    """

    account: Account
    period: Period
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    conservation: Conservation | None = None

    def row_of(self, question: Question) -> Row:
        """The only row of a question; without columns if nothing was loaded."""
        rows = self.rows.get(question.name, ())
        return rows[0] if rows else {}

    def all(self, question: Question) -> Sequence[Row]:
        """The rows of a question."""
        return self.rows.get(question.name, ())

    @property
    def currency(self) -> str:
        """The currency of all amounts, as the rows state it."""
        return str(self.row_of(COVERAGE).get("currency") or self.account.currency)

    @property
    def is_loaded(self) -> bool:
        """Whether anything was ever loaded."""
        return self.row_of(COVERAGE).get("first_occurred_on") is not None

    @property
    def has_data(self) -> bool:
        """Whether anything happened in the period."""
        return bool(self.row_of(COVERAGE).get("events"))

    @property
    def has_before(self) -> bool:
        """Whether there are data for the whole preceding period: if not, a change only shows that data are missing."""
        first = self.row_of(COVERAGE).get("first_occurred_on")
        return first is not None and first <= self.period.before

    @property
    def data_through(self) -> datetime | None:
        """Up to when the reports are complete, in the account's time zone."""
        moment = self.row_of(COVERAGE).get("data_through")
        return moment.astimezone(ZoneInfo(self.account.timezone)) if moment else None

    @property
    def is_complete(self) -> bool:
        """Whether the data are complete beyond the period's last day."""
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
    answers = Answers(account, period, {COVERAGE.name: coverage})
    if not answers.has_data:
        return answers
    other_questions = [question for question in QUESTIONS.values() if question is not COVERAGE]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        conservation = pool.submit(report_conservation, dataset, account, period.start, period.end)
        rows = list(pool.map(lambda question: rows_of(dataset, question, period), other_questions))
    by_name = {question.name: answers for question, answers in zip(other_questions, rows, strict=True)}
    return Answers(account, period, {COVERAGE.name: coverage, **by_name}, conservation.result())


def rows_of(dataset: "BigQueryDataset", question: Question, period: Period) -> list[Row]:
    """The rows of one question, in its order."""
    return [dict(row.items()) for row in dataset.query(question.sql, period.parameters)]
