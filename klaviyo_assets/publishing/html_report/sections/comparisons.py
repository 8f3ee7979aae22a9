"""Subject lines and A/B tests compared, with the certainty of each difference; and what machines opened."""

from collections.abc import Sequence
from itertools import groupby

from klaviyo_assets.publishing.html_report.answers import Answers, Row
from klaviyo_assets.publishing.html_report.confidence import Comparison, Outcome, Share, compare, verdict
from klaviyo_assets.publishing.html_report.figures import (
    Cell,
    Figure,
    Interval,
    Line,
    Section,
    Table,
    TableColumn,
    cell,
    lines,
)
from klaviyo_assets.publishing.html_report.formatting import Kind, share
from klaviyo_assets.publishing.html_report.questions import MACHINES, SUBJECTS, VARIATIONS

_SUBJECT_COLUMNS = (
    TableColumn("subject", "Subject line", Kind.TEXT),
    TableColumn("campaigns", "Campaigns", Kind.COUNT),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    TableColumn("sends_opened_excl_machine", "Opened", Kind.COUNT),
    TableColumn("open_rate_excl_machine", "Open rate", Kind.SHARE),
    TableColumn("interval", "Likely range", Kind.TEXT),
    TableColumn("verdict", "Compared with all others", Kind.TEXT),
)
_VARIATION_COLUMNS = (
    TableColumn("variation_id", "Variation", Kind.TEXT),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    TableColumn("open_rate_excl_machine", "Open rate", Kind.SHARE),
    TableColumn("opened_interval", "Likely range", Kind.TEXT),
    TableColumn("click_rate", "Click rate", Kind.SHARE),
    TableColumn("clicked_interval", "Likely range", Kind.TEXT),
    TableColumn("sends_converted", "Ordered", Kind.COUNT),
    TableColumn("conversion_value", "Revenue", Kind.MONEY),
)
_MACHINE_COLUMNS = (
    TableColumn("source", "Email of", Kind.TEXT, names={"campaign": "Campaigns", "flow": "Flows"}),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    TableColumn("sends_opened", "Opened, as Klaviyo counts", Kind.COUNT),
    TableColumn("sends_opened_by_machine", "by machines only", Kind.COUNT),
    TableColumn("sends_opened_excl_machine", "by people", Kind.COUNT),
    TableColumn("open_rate", "Open rate, as Klaviyo counts", Kind.SHARE),
    TableColumn("open_rate_excl_machine", "without machines", Kind.SHARE),
    TableColumn("click_rate", "Click rate, as Klaviyo counts", Kind.SHARE),
    TableColumn("click_rate_excl_bot", "without bots", Kind.SHARE),
)
_WORDS = {
    Outcome.BETTER: "opened more often", Outcome.WORSE: "opened less often", Outcome.NO_DIFFERENCE:
    "no clear difference", Outcome.TOO_FEW: "too few to tell",
}  # fmt: skip
_TONES = {Outcome.BETTER: "good", Outcome.WORSE: "bad"}
MOST_TESTS = 12
_RANGE = "The likely range contains the true rate 95 times out of 100 (Wilson interval)."


def subject_lines(answers: Answers) -> Section:
    """Subject lines against each other, and A/B tests."""
    rows = answers.all(SUBJECTS)
    scale = max((_opened(row).interval[1] for row in rows), default=1.0)
    note = (
        f"Machine opens are left out. {_RANGE} Campaigns go to different people on different days, so this is a "
        "hint, not a test. The more lines are compared, the larger a difference has to be to count."
    )
    table = Table(
        SUBJECTS, "Subject lines of campaigns", note, columns=_SUBJECT_COLUMNS, is_searchable=True,
        lines=[_subject(number, row, scale, len(rows), answers.currency) for number, row in enumerate(rows)],
        empty="No campaign email with a subject line was sent in these days.",
    )  # fmt: skip
    return Section(
        "subject_lines", "Subject lines and A/B tests",
        "Which words were opened, which variations won, and whether the difference is more than chance.",
        [table, *_ab_tests(answers)],
    )  # fmt: skip


def machine_opens(answers: Answers) -> Section:
    """What programs opened and clicked."""
    note = (
        "Apple's mail privacy protection and some security scanners open and click messages themselves. Klaviyo's "
        "rates count these opens and clicks; the others leave out what a program may have done."
    )
    table = Table(
        MACHINES, "Opens and clicks by people and by machines", note, columns=_MACHINE_COLUMNS,
        lines=lines(answers.all(MACHINES), _MACHINE_COLUMNS, answers.currency),
        empty="No email was sent in these days.",
    )  # fmt: skip
    return Section("machine_opens", "Machine opens", "How many opens and clicks were not made by people.", [table])


def _subject(number: int, row: Row, scale: float, line_count: int, currency: str) -> Line:
    opened = _opened(row)
    other_lines = Share("all the others", row["others_opened_excl_machine"], row["others_delivered"])
    comparison = compare(opened, other_lines, comparisons=line_count)
    values = [_value_cell(row, column, currency) for column in _SUBJECT_COLUMNS[:5]]
    return Line(number, [*values, _interval(opened, scale), _verdict(comparison)])


def _opened(row: Row) -> Share:
    return Share(str(row.get("subject") or ""), row["sends_opened_excl_machine"], row["delivered"])


def _value_cell(row: Row, column: TableColumn, currency: str) -> Cell:
    return cell(row, column.column, column.kind, currency)


def _interval(rate_share: Share, scale: float) -> Cell:
    low, high = rate_share.interval
    marks = Interval(*(round(100 * min(1.0, at / scale), 2) for at in (low, high, rate_share.rate)))
    return Cell(f"{share(low)} to {share(high)}", f"{rate_share.rate:.9f}", interval=marks)


def _verdict(comparison: Comparison) -> Cell:
    is_clear = comparison.outcome in _TONES
    below = f"by chance {comparison.chance_in_words}" if is_clear else ""
    order = "" if comparison.chance is None else f"{comparison.chance:.6f}"
    return Cell(_WORDS[comparison.outcome], order, below=below, tone=_TONES.get(comparison.outcome, ""))


def _ab_tests(answers: Answers) -> list[Figure]:
    numbered = list(enumerate(answers.all(VARIATIONS)))
    tests = groupby(numbered, key=lambda entry: (entry[1]["source"], entry[1]["owner_id"], entry[1]["message_id"]))
    figures: list[Figure] = [_ab_test(list(rows), answers.currency) for _, rows in tests]
    left_out = len(figures) - MOST_TESTS
    if not figures or left_out > 0:
        empty_text = (
            f"{left_out} earlier A/B tests are left out." if figures else "There was no A/B test in these days."
        )
        title = "Other A/B tests" if figures else "A/B tests"
        return [
            *figures[:MOST_TESTS],
            Table(VARIATIONS, title, columns=_VARIATION_COLUMNS, lines=[], empty=empty_text),
        ]
    return figures


def _ab_test(rows: Sequence[tuple[int, Row]], currency: str) -> Table:
    first = rows[0][1]
    arms = [_arm(place, row) for place, (_, row) in enumerate(rows)]
    scales = [max(share_.interval[1] for share_ in shares) for shares in zip(*arms, strict=True)]
    opened, clicked = zip(*arms, strict=True)
    note = f"{verdict(opened, 'opened')} {verdict(clicked, 'clicked')} {_RANGE}"
    table_lines = []
    for (number, row), (opens, clicks) in zip(rows, arms, strict=True):
        values = [_value_cell(row, column, currency) for column in _VARIATION_COLUMNS if column.column in row]
        name_cell = Cell(opens.name, values[0].value, values[0].column, below=str(row["variation_id"]))
        ranges = _interval(opens, scales[0]), _interval(clicks, scales[1])
        table_lines.append(Line(number, [name_cell, *values[1:3], ranges[0], values[3], ranges[1], *values[4:]]))
    name = first["message_name"] or first["owner_name"] or first["message_id"]
    return Table(VARIATIONS, f"A/B test: {name}", note, columns=_VARIATION_COLUMNS, lines=table_lines)


def _arm(place: int, row: Row) -> tuple[Share, Share]:
    """Opened and clicked of a variation; variations are called A, B, ... in the order of their ids."""
    name = f"Variation {chr(ord('A') + place) if place < 26 else place + 1}"
    return (
        Share(name, row["sends_opened_excl_machine"], row["delivered"]),
        Share(name, row["sends_clicked"], row["delivered"]),
    )
