"""The comparison in words and as a table for people. Not here: what differs (`comparing.py`)."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from klaviyo_assets.audit.klaviyo_comparison.comparing import Comparison, Difference
from klaviyo_assets.audit.klaviyo_comparison.formulas import Formula
from klaviyo_assets.audit.klaviyo_comparison.numbers import MONEY, RATES, MessageKey, Side
from klaviyo_assets.audit.klaviyo_comparison.ours import Window
from klaviyo_assets.model.statistics import STATISTICS
from klaviyo_assets.text import markdown_table, plural

LISTED = 20
_NAMED = 5


def headline(comparison: Comparison, owner: str, window: Window, names: Mapping[str, str]) -> str:
    """The outcome in one or two sentences."""
    messages = plural(len(comparison.ours), f"{owner} message")
    over = f"{messages} sent {window}"
    if comparison.agrees:
        return f"Klaviyo and these reports agree on all {comparison.numbers} numbers of {over}."
    parts = []
    if comparison.differences:
        affected = len({difference.key for difference in comparison.differences})
        first = comparison.differences[0]
        parts.append(
            f"{len(comparison.differences)} of {comparison.numbers} numbers differ, in {affected} of {over}; "
            f"the largest: {first.statistic} of {label(first.key, names)} is "
            f"{_number(first.statistic, first.klaviyo)} in Klaviyo and {_number(first.statistic, first.ours)} here"
            f"{_relative(first)}."
        )
    else:
        parts.append(f"All {comparison.numbers} numbers of {over} agree.")
    parts += [
        f"{plural(len(side), 'message')} only {where}: {_message_list(side, names)}."
        for side, where in ((comparison.only_klaviyo, "Klaviyo has"), (comparison.only_ours, "these reports have"))
        if side
    ]
    return " ".join(parts)


def differences_table(comparison: Comparison, names: Mapping[str, str]) -> str:
    """Markdown: the largest differences, at most twenty."""
    head = ("message", "statistic", "Klaviyo", "here", "difference", "relative")
    rows = (
        (label(difference.key, names), difference.statistic, _number(difference.statistic, difference.klaviyo),
         _number(difference.statistic, difference.ours),
         _number(difference.statistic, difference.absolute, sign=True), _share(difference))
        for difference in comparison.differences[:LISTED]
    )  # fmt: skip
    hidden_count = len(comparison.differences) - LISTED
    return markdown_table(head, rows, numbers=4) + (f"\n\nand {hidden_count} more." if hidden_count > 0 else "")


def remarks(comparison: Comparison, formulas: tuple[Formula, ...]) -> str:
    """Markdown: the formulas of Klaviyo's rates, and what else explains a difference."""
    lines = [*_on_direction(comparison), *_on_variants(comparison), *_on_formulas(formulas)]
    for name, messages in comparison.not_stated.items():
        lines.append(f"{name}: Klaviyo states it for {plural(messages, 'message')}, the raw data do not have it.")
    for owner_id, message_id in comparison.added_up:
        lines.append(
            f"The variations of {message_id or owner_id} have other ids in Klaviyo's report: compared as a whole."
        )
    return "\n".join(f"- {line}" for line in lines)


def label(key: MessageKey, names: Mapping[str, str]) -> str:
    """A message for people: the name of its campaign or flow, its own name, and its id."""
    owner, own = names.get(key.owner_id), names.get(key.message_id)
    name = " / ".join(f'"{name}"' for name in (owner, own) if name)
    message = key.message_id or f"{key.owner_id}, events without a message"
    variation = f", variation {key.variation_id}" if key.variation_id else ""
    return f"{name} ({message}{variation})" if name else f"{message}{variation}"


def _on_direction(comparison: Comparison) -> Iterator[str]:
    """What it means if all counts differ in the same direction."""
    counts = [difference.absolute for difference in comparison.differences if difference.statistic not in RATES]
    if counts and max(counts) < 0:
        yield (
            "Every count that differs is larger in Klaviyo, as if events have not arrived yet: start a sync, load "
            "its rows and compare again."
        )
    if counts and min(counts) > 0:
        yield (
            "Every count that differs is larger here, as if Klaviyo has deleted events or merged people since, and "
            "Fivetran has not noticed: re-sync the table `event`, load it and compare again."
        )


def _on_formulas(formulas: tuple[Formula, ...]) -> Iterator[str]:
    same = [formula for formula in formulas if formula.is_ours]
    if same:
        equations = ", ".join(f"{formula.statistic} = {formula.numerator} / {formula.denominator}" for formula in same)
        yield f"Klaviyo's own counts give its rates by the formulas used here: {equations}."
    for formula in formulas:
        ours = f"{STATISTICS[formula.statistic].numerator} / {STATISTICS[formula.statistic].denominator}"
        where = (
            "the message that has one" if formula.messages == 1 else f"all {formula.messages} messages that have one"
        )
        if not formula.numerator:
            yield f"{formula.statistic}: none of the formulas tried gives Klaviyo's rate in {where}; here it is {ours}."
        elif not formula.is_ours:
            alternatives = "".join(f", or {above} / {below}" for above, below in formula.alternatives)
            yield (
                f"{formula.statistic}: Klaviyo's is {formula.numerator} / {formula.denominator}{alternatives} in "
                f"{where}; here it is {ours}."
            )


def _on_variants(comparison: Comparison) -> Iterator[str]:
    for name, variant in comparison.variants.items():
        yield f"{name}: Klaviyo's number is our {variant} in every message; it counts {STATISTICS[variant].formula}."


def _message_list(side: Side, names: Mapping[str, str]) -> str:
    hidden_count = len(side) - _NAMED
    messages = ", ".join(f"{label(key, names)} with {_counts(side, key)}" for key in list(side)[:_NAMED])
    return f"{messages}, and {hidden_count} more" if hidden_count > 0 else messages


def _counts(side: Side, key: MessageKey) -> str:
    values = side[key]
    name = next((name for name in ("recipients", "opens", "clicks", "conversions") if values.get(name)), None)
    name = name or next(name for name, value in values.items() if value)
    return f"{_number(name, values[name] or Decimal(0))} {name}"


def _relative(difference: Difference) -> str:
    return f" ({_share(difference)})" if difference.relative is not None else ""


def _share(difference: Difference) -> str:
    return "" if difference.relative is None else f"{difference.relative:+.2%}"


def _number(statistic: str, number: Decimal, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if statistic in MONEY:
        return f"{number:{plus},.2f}"
    if statistic in RATES:
        return f"{number:{plus}.4f}"
    return f"{number:{plus},.0f}" if number == number.to_integral_value() else f"{number:{plus},.3f}"
