"""Whether the numbers can be trusted: up to when they are complete, and whether they add up."""

from dataclasses import dataclass

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import Cell, cell
from klaviyo_assets.publishing.html_report.formatting import Kind, day, instant
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.questions import COVERAGE
from klaviyo_assets.publishing.html_report.sections.messages import not_final
from klaviyo_assets.text import plural


@dataclass(frozen=True)
class Standing:
    """The last part of an account's page.

    Attributes:
        question: The statement of `facts`.
        facts: Labels and values.
        is_whole: Whether every equation holds; None if none was checked.
        verdict: The result of the reconciliation in a sentence.
        findings: What does not hold, and what to do about it.
        numbers: What was compared, as labels and values.
    """

    question: Question
    facts: list[tuple[str, Cell]]
    is_whole: bool | None
    verdict: str
    findings: list[str]
    numbers: list[tuple[str, str]]


def standing(answers: Answers) -> Standing:
    """Freshness and reconciliation of an account."""
    conservation = answers.conservation
    if conservation is None:
        verdict = "Nothing was compared: these days have no events."
        return Standing(COVERAGE, _facts(answers), None, verdict, [], [])
    equations = int(conservation.metadata.get("equations", 0))
    verdict = (
        f"All {equations:,} equations hold: events, orders and money of the reports by event date are exactly those "
        "of the loaded events, day by day."
        if conservation.holds
        else f"{plural(len(conservation.findings), 'equation')} of {equations:,} do not hold: do not rely on these "
        "numbers."
    )
    numbers = [
        (name.replace("_", " "), str(value)) for name, value in conservation.metadata.items() if name != "equations"
    ]
    findings = [str(finding) for finding in conservation.findings]
    return Standing(COVERAGE, _facts(answers), conservation.holds, verdict, findings, numbers)


def warnings(answers: Answers) -> list[str]:
    """What a reader should know first."""
    sentences = []
    if not answers.is_complete and answers.data_through:
        through = f"{instant(answers.data_through)} ({answers.account.timezone})"
        sentences.append(f"Data are complete up to {through}: the last days are missing some events.")
    if not_final(answers):
        sentences.append("Numbers by send date are still growing: the attribution window of some messages is open.")
    if answers.conservation is not None and not answers.conservation.holds:
        sentences.append("The reports do not add up to the loaded events: see the end of this account.")
    return sentences


def _facts(answers: Answers) -> list[tuple[str, Cell]]:
    row = answers.row_of(COVERAGE)
    if not row:
        return []
    through = answers.data_through
    return [
        ("Complete up to", cell(row, "data_through", Kind.TEXT,
                                text=f"{instant(through)} ({answers.account.timezone})" if through else "")),
        ("Attribution final through", cell(row, "final_through", Kind.DAY)),
        ("First day with events", cell(row, "first_occurred_on", Kind.DAY)),
        ("Last day with events", cell(row, "last_occurred_on", Kind.DAY)),
        ("Events in these days", cell(row, "events", Kind.COUNT)),
    ]  # fmt: skip


def nothing(answers: Answers) -> str:
    """Why there is nothing to see, and what to do."""
    name = answers.account.name
    if not answers.is_loaded:
        return (
            f"Nothing has been loaded for {name} yet. Load it with `klaviyo-assets run --account {name}`, then "
            "rebuild the HTML report."
        )
    row = answers.row_of(COVERAGE)
    return (
        f"Nothing happened in {name} in these days. Its data reach from {day(row['first_occurred_on'])} to "
        f"{day(row['last_occurred_on'])}."
    )
