"""Several accounts side by side. Money stays in each account's currency, and amounts are never summed."""

from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import Cell, cell
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.sections.headline import HEADLINES, Headline, change_of

_COMPARED = ("conversion_value", "conversions", "delivered", "open_rate", "click_rate", "conversion_rate",
             "revenue_per_recipient", "unsubscribe_rate")  # fmt: skip
# In the order of `_COMPARED`.
HEADINGS = tuple(next(number for number in HEADLINES if number.column == column) for column in _COMPARED)


@dataclass(frozen=True)
class AccountLine:
    """One account's line: for each number its statement, its cell and its change."""

    account: str
    currency: str
    numbers: list[tuple[Question, Cell, Cell | None]]


def account_lines(all_answers: Sequence[Answers]) -> list[AccountLine]:
    """A line for each account with data in the period."""
    return [
        AccountLine(answers.account.name, answers.currency, [_number(answers, number) for number in HEADINGS])
        for answers in all_answers
        if answers.has_data
    ]


def _number(answers: Answers, number: Headline) -> tuple[Question, Cell, Cell | None]:
    row = answers.row_of(number.question)
    return number.question, cell(row, number.column, number.kind, answers.currency), change_of(answers, number)


def has_currencies(all_answers: Sequence[Answers]) -> bool:
    """Whether the accounts have different currencies."""
    return len({answers.currency for answers in all_answers if answers.has_data}) > 1
