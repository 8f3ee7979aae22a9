"""The headline numbers, each with its change since the period before."""

from dataclasses import dataclass

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import Card, Cards, Cell, Section, cell
from klaviyo_assets.publishing.html_report.formatting import NOTHING, Kind, day, text_of
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.questions import COVERAGE, HEADLINE, RATES


@dataclass(frozen=True)
class Headline:
    """One number of the headline.

    Attributes:
        label: What people read.
        question: The statement.
        column: Its column; `<column>_change` is the change.
        kind: What it is.
        change: The kind of the change.
        note: What it means.
        is_good_when_rising: None if a rise is neither good nor bad.
        details: Further columns, with their labels and kinds.
    """

    label: str
    question: Question
    column: str
    kind: Kind
    change: Kind
    note: str
    is_good_when_rising: bool | None = True
    details: tuple[tuple[str, str, Kind], ...] = ()


HEADLINES = (
    Headline("Revenue from messages", HEADLINE, "conversion_value", Kind.MONEY, Kind.RISE,
             "Value of the orders credited to a message.",
             details=(("of all revenue", "share_of_revenue", Kind.SHARE),)),
    Headline("Orders from messages", HEADLINE, "conversions", Kind.COUNT, Kind.RISE,
             "Conversions credited to a message."),
    Headline("Messages delivered", HEADLINE, "delivered", Kind.COUNT, Kind.RISE,
             "Emails, text messages and pushes that arrived.", is_good_when_rising=None,
             details=(("attempted", "recipients", Kind.COUNT),)),
    Headline("Revenue per recipient", RATES, "revenue_per_recipient", Kind.MONEY, Kind.MONEY,
             "Revenue per delivered message."),
    Headline("Open rate", RATES, "open_rate", Kind.SHARE, Kind.POINTS,
             "The share of delivered sends that were opened; text messages do not count.",
             details=(("without machine opens", "open_rate_excl_machine", Kind.SHARE),)),
    Headline("Click rate", RATES, "click_rate", Kind.SHARE, Kind.POINTS,
             "The share of delivered sends that were clicked."),
    Headline("Order rate", RATES, "conversion_rate", Kind.SHARE, Kind.POINTS,
             "The share of delivered sends that led to an order."),
    Headline("Unsubscribe rate", RATES, "unsubscribe_rate", Kind.SHARE, Kind.POINTS,
             "Unsubscribes per delivered message.", is_good_when_rising=False),
)  # fmt: skip


def headline(answers: Answers) -> Section:
    """The scorecards."""
    cards = [_card(answers, each) for each in HEADLINES]
    return Section("headline", "At a glance", _lead(answers), [Cards(HEADLINE, "Headline numbers", cards=cards)])


def change_of(answers: Answers, number: Headline) -> Cell | None:
    """The change of a headline number; None if there is nothing to compare with."""
    row = answers.row_of(number.question)
    if not answers.has_before:
        return None
    column = f"{number.column}_change"
    value = row[column]
    if value is None:
        return cell(row, column, number.change, text=_without_before(row, number))
    text = text_of(value, number.change, answers.currency)
    if number.change is Kind.MONEY and value > 0:
        text = f"+{text}"
    return cell(row, column, number.change, text=text, tone=_tone(value, number))


def _card(answers: Answers, number: Headline) -> Card:
    row = answers.row_of(number.question)
    return Card(
        question=number.question, label=number.label, number=cell(row, number.column, number.kind, answers.currency),
        change=change_of(answers, number), note=number.note,
        details=[(label, cell(row, column, kind, answers.currency)) for label, column, kind in number.details],
    )  # fmt: skip


def _without_before(row: "dict[str, object] | object", number: Headline) -> str:
    earlier_value = row.get(f"{number.column}_before") if hasattr(row, "get") else None
    return "none before" if earlier_value == 0 else NOTHING


def _tone(value: object, number: Headline) -> str:
    if number.is_good_when_rising is None or not value:
        return ""
    return "good" if (value > 0) is number.is_good_when_rising else "bad"  # type: ignore[operator]


def _lead(answers: Answers) -> str:
    if answers.has_before:
        return f"Changes are compared with {answers.period.text_before}, the {answers.period.length} days before."
    first = answers.row_of(COVERAGE)["first_occurred_on"]
    return (
        f"No changes are shown: data begin on {day(first)}, so the period before, {answers.period.text_before}, "
        "is not complete."
    )
