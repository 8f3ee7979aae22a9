"""Subject lines and A/B tests compared, with how sure the difference is; and what machines opened."""

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
    Shown,
    Table,
    cell,
    lines,
)
from klaviyo_assets.publishing.html_report.formatting import Kind, share
from klaviyo_assets.publishing.html_report.questions import MACHINES, SUBJECTS, VARIATIONS

_SUBJECT_COLUMNS = (
    Shown("subject", "Subject line", Kind.TEXT),
    Shown("campaigns", "Campaigns", Kind.COUNT),
    Shown("delivered", "Delivered", Kind.COUNT),
    Shown("sends_opened_excl_machine", "Opened", Kind.COUNT),
    Shown("open_rate_excl_machine", "Open rate", Kind.SHARE),
    Shown("interval", "Likely range", Kind.TEXT),
    Shown("verdict", "Against all the others", Kind.TEXT),
)
_VARIATION_COLUMNS = (
    Shown("variation_id", "Variation", Kind.TEXT),
    Shown("delivered", "Delivered", Kind.COUNT),
    Shown("open_rate_excl_machine", "Open rate", Kind.SHARE),
    Shown("opened_interval", "Likely range", Kind.TEXT),
    Shown("click_rate", "Click rate", Kind.SHARE),
    Shown("clicked_interval", "Likely range", Kind.TEXT),
    Shown("sends_converted", "Ordered", Kind.COUNT),
    Shown("conversion_value", "Revenue", Kind.MONEY),
)
_MACHINE_COLUMNS = (
    Shown("source", "Email of", Kind.TEXT, names={"campaign": "Campaigns", "flow": "Flows"}),
    Shown("delivered", "Delivered", Kind.COUNT),
    Shown("sends_opened", "Opened, as Klaviyo counts", Kind.COUNT),
    Shown("sends_opened_by_machine", "by machines only", Kind.COUNT),
    Shown("sends_opened_excl_machine", "by people", Kind.COUNT),
    Shown("open_rate", "Open rate, as Klaviyo counts", Kind.SHARE),
    Shown("open_rate_excl_machine", "without machines", Kind.SHARE),
    Shown("click_rate", "Click rate, as Klaviyo counts", Kind.SHARE),
    Shown("click_rate_excl_bot", "without bots", Kind.SHARE),
)
_WORDS = {
    Outcome.BETTER: "opened more", Outcome.WORSE: "opened less", Outcome.NO_DIFFERENCE: "no clear difference",
    Outcome.TOO_FEW: "too few to tell",
}  # fmt: skip
_TONES = {Outcome.BETTER: "good", Outcome.WORSE: "bad"}
MOST_TESTS = 12
_RANGE = "The likely range holds the true rate 95 times of 100 (Wilson interval)."


def subject_lines(answers: Answers) -> Section:
    """Subject lines against each other, and A/B tests."""
    rows = answers.all(SUBJECTS)
    scale = max((_opened(row).interval[1] for row in rows), default=1.0)
    note = (
        f"Machine opens are left out. {_RANGE} Campaigns go to different people on different days: this is a hint, "
        "not a test. The more lines are compared, the more it takes to stand out."
    )
    table = Table(
        SUBJECTS, "Subject lines of campaigns", note, columns=_SUBJECT_COLUMNS, is_searchable=True,
        lines=[_subject(number, row, scale, len(rows), answers.currency) for number, row in enumerate(rows)],
        empty="No campaign email with a subject line was sent in these days.",
    )  # fmt: skip
    return Section(
        "subject_lines", "Subject lines and A/B tests",
        "Which words were opened, which variations won, and whether that can be told from chance.",
        [table, *_ab_tests(answers)],
    )  # fmt: skip


def machine_opens(answers: Answers) -> Section:
    """What programs opened and clicked."""
    note = (
        "Apple's mail privacy protection and some security scanners open and click messages themselves. Klaviyo's "
        "rates count that; the others leave out what a program may have done."
    )
    table = Table(
        MACHINES, "Opens and clicks by people and by machines", note, columns=_MACHINE_COLUMNS,
        lines=lines(answers.all(MACHINES), _MACHINE_COLUMNS, answers.currency),
        empty="No email was sent in these days.",
    )  # fmt: skip
    return Section("machine_opens", "Machine opens", "How much of what looks like reading was none.", [table])


def _subject(number: int, row: Row, scale: float, compared: int, currency: str) -> Line:
    opened = _opened(row)
    others = Share("all the others", row["others_opened_excl_machine"], row["others_delivered"])
    found = compare(opened, others, comparisons=compared)
    known = [_known(row, shown, currency) for shown in _SUBJECT_COLUMNS[:5]]
    return Line(number, [*known, _interval(opened, scale), _verdict(found)])


def _opened(row: Row) -> Share:
    return Share(str(row.get("subject") or ""), row["sends_opened_excl_machine"], row["delivered"])


def _known(row: Row, shown: Shown, currency: str) -> Cell:
    return cell(row, shown.column, shown.kind, currency)


def _interval(of: Share, scale: float) -> Cell:
    low, high = of.interval
    marks = Interval(*(round(100 * min(1.0, at / scale), 2) for at in (low, high, of.rate)))
    return Cell(f"{share(low)} to {share(high)}", f"{of.rate:.9f}", interval=marks)


def _verdict(found: Comparison) -> Cell:
    is_clear = found.outcome in _TONES
    below = f"by chance {found.chance_in_words}" if is_clear else ""
    order = "" if found.chance is None else f"{found.chance:.6f}"
    return Cell(_WORDS[found.outcome], order, below=below, tone=_TONES.get(found.outcome, ""))


def _ab_tests(answers: Answers) -> list[Figure]:
    numbered = list(enumerate(answers.all(VARIATIONS)))
    tests = groupby(numbered, key=lambda one: (one[1]["source"], one[1]["owner_id"], one[1]["message_id"]))
    figures: list[Figure] = [_ab_test(list(rows), answers.currency) for _, rows in tests]
    left_out = len(figures) - MOST_TESTS
    if not figures or left_out > 0:
        said = f"{left_out} earlier A/B tests are left out." if figures else "No A/B test in these days."
        other = Table(VARIATIONS, "Other A/B tests" if figures else "A/B tests", columns=_VARIATION_COLUMNS, lines=[],
                      empty=said)  # fmt: skip
        return [*figures[:MOST_TESTS], other]
    return figures


def _ab_test(rows: Sequence[tuple[int, Row]], currency: str) -> Table:
    first = rows[0][1]
    arms = [_arm(place, row) for place, (_, row) in enumerate(rows)]
    scales = [max(share_.interval[1] for share_ in shares) for shares in zip(*arms, strict=True)]
    opened, clicked = zip(*arms, strict=True)
    note = f"{verdict(opened, 'opened')} {verdict(clicked, 'clicked')} {_RANGE}"
    table_lines = []
    for (number, row), (opens, clicks) in zip(rows, arms, strict=True):
        known = [_known(row, shown, currency) for shown in _VARIATION_COLUMNS if shown.column in row]
        named = Cell(opens.name, known[0].value, known[0].column, below=str(row["variation_id"]))
        ranges = _interval(opens, scales[0]), _interval(clicks, scales[1])
        table_lines.append(Line(number, [named, *known[1:3], ranges[0], known[3], ranges[1], *known[4:]]))
    name = first["message_name"] or first["owner_name"] or first["message_id"]
    return Table(VARIATIONS, f"A/B test: {name}", note, columns=_VARIATION_COLUMNS, lines=table_lines)


def _arm(place: int, row: Row) -> tuple[Share, Share]:
    """Opened and clicked of a variation; variations are called A, B, ... in the order of their ids."""
    name = f"Variation {chr(ord('A') + place) if place < 26 else place + 1}"
    return (
        Share(name, row["sends_opened_excl_machine"], row["delivered"]),
        Share(name, row["sends_clicked"], row["delivered"]),
    )
