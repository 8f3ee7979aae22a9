"""Several accounts side by side. Money stays in each account's currency, and no money is added up."""

from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import Cell, cell
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.sections.headline import HEADLINES, Headline, change_of

_COMPARED = ("conversion_value", "conversions", "delivered", "open_rate", "click_rate", "conversion_rate",
             "revenue_per_recipient", "unsubscribe_rate")  # fmt: skip
# In the order of `_COMPARED`.
HEADINGS = tuple(next(each for each in HEADLINES if each.column == column) for column in _COMPARED)


@dataclass(frozen=True)
class Compared:
    """One account's line: a cell and its change per number, with the statement of each."""

    account: str
    currency: str
    numbers: list[tuple[Question, Cell, Cell | None]]


def compared(all_answers: Sequence[Answers]) -> list[Compared]:
    """A line for each account with data in the period."""
    return [
        Compared(answers.account.name, answers.currency, [_number(answers, each) for each in HEADINGS])
        for answers in all_answers
        if answers.has_data
    ]


def _number(answers: Answers, each: Headline) -> tuple[Question, Cell, Cell | None]:
    row = answers.one(each.question)
    return each.question, cell(row, each.column, each.kind, answers.currency), change_of(answers, each)


def has_currencies(all_answers: Sequence[Answers]) -> bool:
    """Whether the accounts are of several currencies."""
    return len({answers.currency for answers in all_answers if answers.has_data}) > 1
