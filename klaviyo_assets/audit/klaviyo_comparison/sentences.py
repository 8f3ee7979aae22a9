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


def headline(compared: Comparison, owner: str, window: Window, names: Mapping[str, str]) -> str:
    """The outcome in one sentence or two."""
    messages = plural(len(compared.ours), f"{owner} message")
    over = f"{messages} sent {window}"
    if compared.agrees:
        return f"Klaviyo and these reports agree on all {compared.numbers} numbers of {over}."
    parts = []
    if compared.differences:
        affected = len({found.key for found in compared.differences})
        first = compared.differences[0]
        parts.append(
            f"{len(compared.differences)} of {compared.numbers} numbers differ, in {affected} of {over}; the largest: "
            f"{first.statistic} of {label(first.key, names)} is {_number(first.statistic, first.klaviyo)} in Klaviyo "
            f"and {_number(first.statistic, first.ours)} here{_by(first)}."
        )
    else:
        parts.append(f"All {compared.numbers} numbers of {over} agree.")
    parts += [
        f"{plural(len(side), 'message')} only {where}: {_listed(side, names)}."
        for side, where in ((compared.only_klaviyo, "Klaviyo has"), (compared.only_ours, "these reports have"))
        if side
    ]
    return " ".join(parts)


def differences_table(compared: Comparison, names: Mapping[str, str]) -> str:
    """Markdown: the largest differences, at most twenty."""
    head = ("message", "statistic", "Klaviyo", "here", "difference", "relative")
    rows = (
        (label(each.key, names), each.statistic, _number(each.statistic, each.klaviyo),
         _number(each.statistic, each.ours), _number(each.statistic, each.absolute, sign=True), _share(each))
        for each in compared.differences[:LISTED]
    )  # fmt: skip
    more = len(compared.differences) - LISTED
    return markdown_table(head, rows, numbers=4) + (f"\n\nand {more} more." if more > 0 else "")


def remarks(compared: Comparison, found: tuple[Formula, ...]) -> str:
    """Markdown: what Klaviyo's rates are made of, and what else explains a difference."""
    lines = [*_on_direction(compared), *_on_variants(compared), *_on_formulas(found)]
    for name, messages in compared.not_stated.items():
        lines.append(f"{name}: Klaviyo states it for {plural(messages, 'message')}, the raw data say nothing of it.")
    for owner_id, message_id in compared.added_up:
        lines.append(
            f"The variations of {message_id or owner_id} have other ids in Klaviyo's report: compared as a whole."
        )
    return "\n".join(f"- {line}" for line in lines)


def label(key: MessageKey, names: Mapping[str, str]) -> str:
    """A message as people know it: the name of its campaign or flow, its own, and its id."""
    owner, own = names.get(key.owner_id), names.get(key.message_id)
    named = " / ".join(f'"{name}"' for name in (owner, own) if name)
    message = key.message_id or f"{key.owner_id}, events without a message"
    variation = f", variation {key.variation_id}" if key.variation_id else ""
    return f"{named} ({message}{variation})" if named else f"{message}{variation}"


def _on_direction(compared: Comparison) -> Iterator[str]:
    """What it means when all counts are off to the same side."""
    counts = [found.absolute for found in compared.differences if found.statistic not in RATES]
    if counts and max(counts) < 0:
        yield (
            "Every count that differs is larger in Klaviyo, as when events have not arrived yet: start a sync, load it "
            "and compare again."
        )
    if counts and min(counts) > 0:
        yield (
            "Every count that differs is larger here, as when Klaviyo has deleted events or merged people since, and "
            "Fivetran did not tell: re-sync the table `event`, load it and compare again."
        )


def _on_formulas(found: tuple[Formula, ...]) -> Iterator[str]:
    same = [one for one in found if one.is_ours]
    if same:
        listed = ", ".join(f"{one.statistic} = {one.numerator} / {one.denominator}" for one in same)
        yield f"Klaviyo's own counts give its rates by the formulas used here: {listed}."
    for one in found:
        ours = f"{STATISTICS[one.statistic].numerator} / {STATISTICS[one.statistic].denominator}"
        where = "the message that has one" if one.messages == 1 else f"all {one.messages} messages that have one"
        if not one.numerator:
            yield f"{one.statistic}: no formula tried gives Klaviyo's rate in {where}; here it is {ours}."
        elif not one.is_ours:
            others = "".join(f", or {above} / {below}" for above, below in one.others)
            yield (
                f"{one.statistic}: Klaviyo's is {one.numerator} / {one.denominator}{others} in {where}; here it is "
                f"{ours}."
            )


def _on_variants(compared: Comparison) -> Iterator[str]:
    for name, variant in compared.variants.items():
        yield f"{name}: Klaviyo's number is our {variant} in every message; it counts {STATISTICS[variant].formula}."


def _listed(side: Side, names: Mapping[str, str]) -> str:
    more = len(side) - _NAMED
    shown = ", ".join(f"{label(key, names)} with {_counts(side, key)}" for key in list(side)[:_NAMED])
    return f"{shown}, and {more} more" if more > 0 else shown


def _counts(side: Side, key: MessageKey) -> str:
    values = side[key]
    name = next((name for name in ("recipients", "opens", "clicks", "conversions") if values.get(name)), None)
    name = name or next(name for name, value in values.items() if value)
    return f"{_number(name, values[name] or Decimal(0))} {name}"


def _by(found: Difference) -> str:
    return f" ({_share(found)})" if found.relative is not None else ""


def _share(found: Difference) -> str:
    return "" if found.relative is None else f"{found.relative:+.2%}"


def _number(statistic: str, number: Decimal, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if statistic in MONEY:
        return f"{number:{plus},.2f}"
    if statistic in RATES:
        return f"{number:{plus}.4f}"
    return f"{number:{plus},.0f}" if number == number.to_integral_value() else f"{number:{plus},.3f}"
